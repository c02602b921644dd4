-- Grain: one row per accepted touch-point up to the as-of date (source_system, event_id).
-- Why: who did what, when and where, with the customer resolved; on a device that people share, the person linked
--      to it last at or before the event, else the first one after.
--      A table, because twenty models read it: as a view each of them joined all touch-points with identity again, and
--      planned what follows for 78 rows.
-- Not here: purchases (fct_orders), member states (fct_membership_spells).
{{ config(materialized='incremental', incremental_strategy='replace_touched') }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }}

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
    {%- if is_incremental() %}
    where customer_key in ({{ quanyu.touched_since_last_refresh() | indent(4) }})
    {%- endif %}
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
        touchpoints.event_value,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from touchpoints
    inner join customers on touchpoints.identifier_key = customers.identifier_key
    where
        {{ quanyu.owned_at('touchpoints.occurred_at', 'customers') }}
        -- As a difference: DuckDB takes a plain comparison for a join that leaves 78 rows, and builds its hash table on
        -- all touch-points.
        and {{ quanyu.days_between('touchpoints.occurred_on', "(select as_of.as_of_date from " ~ ref('as_of') ~ " as as_of)") }} >= 0
)

select * from fct_touchpoints
