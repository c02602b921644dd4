-- Grain: one row per accepted touch-point up to the as-of date (source_system, event_id).
-- Why: who did what, when and where, with the customer resolved; on a device that people share, the person linked
--      to it last at or before the event, else the first one after.
-- Not here: purchases (fct_orders), member states (fct_membership_spells).
{{ config(materialized='view') }}

with touchpoints as (
    select * from {{ ref('stg_landing__touchpoints') }}
),

customers as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
),

fct_touchpoints as (
    select
        touchpoints.source_system,
        touchpoints.event_id,
        touchpoints.brand_id,
        customers.customer_key,
        touchpoints.occurred_at,
        touchpoints.occurred_on,
        touchpoints.event_type,
        touchpoints.channel,
        touchpoints.product_id,
        touchpoints.campaign_id,
        touchpoints.content_id,
        touchpoints.store_id,
        touchpoints.staff_id,
        touchpoints.event_value
    from touchpoints
    inner join customers on touchpoints.identifier_key = customers.identifier_key
    where
        {{ quanyu.owned_at('touchpoints.occurred_at', 'customers') }}
        and touchpoints.occurred_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
)

select * from fct_touchpoints
