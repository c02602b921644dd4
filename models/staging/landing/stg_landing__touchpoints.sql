-- Grain: one row per source_system, event_id.
-- Why: the accepted touch-points, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__touchpoints and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__touchpoints') }}
    where _fate = 'accepted'
),

stg_landing__touchpoints as (
    select
        event_id,
        source_system,
        brand_id,
        occurred_at,
        cast(occurred_at as date) as occurred_on,
        event_type,
        channel,
        identifier_type,
        identifier_value,
        identifier_key,
        product_id,
        campaign_id,
        content_id,
        store_id,
        staff_id,
        value as event_value
    from accepted
)

select * from stg_landing__touchpoints
