-- Grain: one row per brand, audience, tag and value that a member carries on the as-of date (brand_id, audience, tag,
--        tag_value).
-- Why: audience_profiles as it may leave the house: nothing in it counts fewer than `small_cell_k` people, nor lets them be
--      worked out by subtraction.
-- Not here: people.
with profiles as (
    select * from {{ ref('audience_profiles') }}
),

suppressed as (
    {{ quanyu.profiles_without_small_cells('profiles', var('small_cell_k')) | indent(4) }}
),

audience_profiles_shared as (
    {{ quanyu.audience_profile_columns('suppressed') | indent(4) }}
)

select * from audience_profiles_shared
order by brand_id, audience, tag, tag_value
