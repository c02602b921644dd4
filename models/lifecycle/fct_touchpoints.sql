-- Grain: one row per accepted touch-point up to the as-of date (source_system, event_id).
-- Why: who did what, when and where, with the customer resolved; on a device that people share, the person linked
--      to it last at or before the event, else the first one after.
-- Not here: purchases (fct_orders), member states (fct_membership_spells).
{{ config(materialized='view') }}

with touchpoints as (
    select * from {{ ref('stg_landing__touchpoints') }}
),

-- Spells of an identifier cover all time, so that an event finds exactly one. Bounds stand in `where`: as conditions
-- of a left join their OR made 5.6 million events cost 28 s of CPU instead of 0.5.
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
        (customers.valid_from is null or touchpoints.occurred_at >= customers.valid_from)
        and (customers.valid_to is null or touchpoints.occurred_at < customers.valid_to)
        and touchpoints.occurred_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
)

select * from fct_touchpoints
