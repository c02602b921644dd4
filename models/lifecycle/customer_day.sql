-- Grain: one row per brand, customer and day with any activity, up to the as-of date.
-- Why: the one table that stages, RFM, FAST and the customer marts share instead of scanning touch-points.
-- Not here: anonymous orders; days on which only time passed.
{{ config(materialized='incremental', incremental_strategy='replace_touched') }}

{% if is_incremental() %}
with touched as (
    {{ quanyu.touched_since_last_refresh() }}
),
{% else %}
with touched as (
    select customer_key from {{ ref('int_lifecycle__touched_customers') }}
),
{% endif %}

touchpoints as (
    select
        brand_id,
        customer_key,
        occurred_on as activity_date,
        count(*) as touchpoint_count
    from {{ ref('fct_touchpoints') }}
    {% if is_incremental() %}
    where customer_key in (select touched.customer_key from touched)
    {% endif %}
    group by brand_id, customer_key, occurred_on
),

orders as (
    select orders.*
    from {{ ref('fct_orders') }} as orders
    inner join touched on orders.customer_key = touched.customer_key
),

refunds as (
    select refunds.*
    from {{ ref('fct_refunds') }} as refunds
    inner join touched on refunds.customer_key = touched.customer_key
),

memberships as (
    select
        memberships.brand_id,
        customers.customer_key,
        memberships.occurred_on
    from {{ ref('stg_landing__memberships') }} as memberships
    inner join {{ ref('int_identity__customer_map') }} as customers
        on memberships.member_key = customers.identifier_key
    inner join touched on customers.customer_key = touched.customer_key
    where memberships.occurred_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

activity as (
    select
        brand_id,
        customer_key,
        activity_date,
        touchpoint_count,
        0 as placed_order_count,
        0 as purchase_count,
        0 as purchase_amount,
        0 as purchase_net_amount,
        0 as refund_amount,
        0 as unlinked_refund_amount,
        0 as membership_event_count
    from touchpoints
    union all
    select
        brand_id,
        customer_key,
        ordered_on as activity_date,
        0, 1, 0, 0, 0, 0, 0, 0
    from orders
    union all
    select
        brand_id,
        customer_key,
        purchased_on as activity_date,
        0, 0, 1, paid_amount, net_amount, 0, 0, 0
    from orders
    where is_valid_purchase
    union all
    select
        brand_id,
        customer_key,
        refunded_on as activity_date,
        0, 0, 0, 0, 0, refund_amount, case when is_linked then 0 else refund_amount end, 0
    from refunds
    union all
    select
        brand_id,
        customer_key,
        occurred_on as activity_date,
        0, 0, 0, 0, 0, 0, 0, 1
    from memberships
),

customer_day as (
    select
        brand_id,
        customer_key,
        activity_date,
        cast(sum(touchpoint_count) as bigint) as touchpoint_count,
        cast(sum(placed_order_count) as bigint) as placed_order_count,
        cast(sum(purchase_count) as bigint) as purchase_count,
        cast(sum(purchase_amount) as decimal(18, 4)) as purchase_amount,
        cast(sum(purchase_net_amount) as decimal(18, 4)) as purchase_net_amount,
        cast(sum(refund_amount) as decimal(18, 4)) as refund_amount,
        cast(sum(unlinked_refund_amount) as decimal(18, 4)) as unlinked_refund_amount,
        cast(sum(membership_event_count) as bigint) as membership_event_count,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from activity
    group by brand_id, customer_key, activity_date
)

select * from customer_day
