-- Grain: one row per source_system, refund_id.
-- Why: the accepted refunds, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__refunds and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__refunds') }}
    where _fate = 'accepted'
),

stg_landing__refunds as (
    select
        refund_id,
        source_system,
        brand_id,
        order_id,
        identifier_type,
        identifier_value,
        identifier_key,
        refunded_at,
        cast(refunded_at as date) as refunded_on,
        amount
    from accepted
)

select * from stg_landing__refunds
