-- Grain: one row per source_system, order_id.
-- Why: the accepted orders, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__orders and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__orders') }}
    where _fate = 'accepted'
),

stg_landing__orders as (
    select
        order_id,
        source_system,
        brand_id,
        identifier_type,
        identifier_value,
        identifier_key,
        ordered_at,
        cast(ordered_at as date) as ordered_on,
        paid_at,
        cast(paid_at as date) as paid_on,
        status,
        channel,
        store_id,
        staff_id,
        amount,
        discount_amount,
        campaign_id,
        coupon_id
    from accepted
)

select * from stg_landing__orders
