-- Grain: one row per source_system, left_type, left_value, right_type, right_value, linked_at.
-- Why: the accepted identity links, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__identity_links and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__identity_links') }}
    where _fate = 'accepted'
),

stg_landing__identity_links as (
    select
        source_system,
        left_type,
        left_value,
        left_key,
        right_type,
        right_value,
        right_key,
        linked_at,
        cast(linked_at as date) as linked_on
    from accepted
)

select * from stg_landing__identity_links
