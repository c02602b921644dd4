-- Grain: one row per brand, audience, tag and value that a member carries on the as-of date (brand_id, audience, tag,
--        tag_value).
-- Why: what an audience is like, against all customers of the brand: share, lift (TGI), and whether chance explains it.
-- Not here: a correction for reading many rows at once; of 100 rows one is `significant` at 0.01 by chance.
with as_of as (
    select
        as_of_date,
        {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

members as (
    select * from {{ ref('int_audiences__members') }}
),

sizes as (
    select
        brand_id,
        audience,
        count(*) as customers
    from members
    group by brand_id, audience
),

tags as (
    select
        spells.brand_id,
        spells.customer_key,
        spells.tag,
        spells.tag_value
    from {{ ref('int_audiences__tag_spells') }} as spells
    inner join as_of on spells.from_day <= as_of.as_of_day and spells.to_day > as_of.as_of_day
),

cells as (
    select
        members.brand_id,
        members.audience,
        tags.tag,
        tags.tag_value,
        count(*) as customers
    from members
    inner join tags on members.brand_id = tags.brand_id and members.customer_key = tags.customer_key
    group by members.brand_id, members.audience, tags.tag, tags.tag_value
),

compared as (
    select
        cells.brand_id,
        cells.audience,
        cells.tag,
        cells.tag_value,
        cells.customers,
        sizes.customers as audience_customers,
        coverage.customers as tag_customers,
        coverage.base_customers,
        cast(cells.customers as double) as a,
        cast(sizes.customers as double) as n,
        cast(coverage.customers as double) as k,
        cast(coverage.base_customers as double) as total
    from cells
    inner join sizes on cells.brand_id = sizes.brand_id and cells.audience = sizes.audience
    inner join {{ ref('tag_coverage') }} as coverage
        on cells.brand_id = coverage.brand_id and cells.tag = coverage.tag and cells.tag_value = coverage.tag_value
),

-- Chi-square of the table in the audience or not x with the tag or not, without a continuity correction.
tested as (
    select
        *,
        a / n as share,
        k / total as base_share,
        100 * (a / n) / (k / total) as tgi,
        total * (a * total - n * k) * (a * total - n * k) / nullif(n * (total - n) * k * (total - k), 0) as chi_square,
        least(n, total - n) * least(k, total - k) / total as least_expected
    from compared
),

measured as (
    select
        tested.brand_id,
        tested.audience,
        tested.tag,
        tested.tag_value,
        as_of.as_of_date,
        tested.customers,
        tested.audience_customers,
        tested.tag_customers,
        tested.base_customers,
        tested.share,
        tested.base_share,
        tested.tgi,
        tested.chi_square,
        {{ quanyu.chi_square_p_value('tested.chi_square') }} as p_value,
        -- A cell with fewer than 5 expected is too small for the test.
        tested.least_expected >= 5
        and {{ quanyu.chi_square_p_value('tested.chi_square') }} < {{ var('audience_significance') }} as is_significant
    from tested
    cross join as_of
),

suppressed as (
    {{ quanyu.profiles_without_small_cells('measured', var('small_cell_k_marts')) | indent(4) }}
),

audience_profiles as (
    {{ quanyu.audience_profile_columns('suppressed') | indent(4) }}
)

select * from audience_profiles
order by brand_id, audience, tag, tag_value
