-- Grain: one row per brand and customer with a valid purchase.
-- Why: the cohort a customer belongs to: month of the first valid purchase, and the channel that brought them.
-- Not here: customers who never bought.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with first_purchases as (
    select
        brand_id,
        customer_key,
        min(purchased_on) as first_purchase_on
    from {{ ref('int_value__purchase_days') }}
    where observation = 'as_of'
    group by brand_id, customer_key
),

-- The first touch-point with a channel up to the first purchase brought the customer; advertising is booked there.
first_touches as (
    select
        touchpoints.brand_id,
        touchpoints.customer_key,
        min(touchpoints.occurred_at) as occurred_at
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join first_purchases
        on
            touchpoints.brand_id = first_purchases.brand_id
            and touchpoints.customer_key = first_purchases.customer_key
            and touchpoints.occurred_on <= first_purchases.first_purchase_on
    where touchpoints.channel is not null
    group by touchpoints.brand_id, touchpoints.customer_key
),

touch_channels as (
    select
        touchpoints.brand_id,
        touchpoints.customer_key,
        min(touchpoints.channel) as channel
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join first_touches
        on
            touchpoints.brand_id = first_touches.brand_id
            and touchpoints.customer_key = first_touches.customer_key
            and touchpoints.occurred_at = first_touches.occurred_at
    group by touchpoints.brand_id, touchpoints.customer_key
),

order_channels as (
    select
        orders.brand_id,
        orders.customer_key,
        min(orders.channel) as channel
    from {{ ref('fct_orders') }} as orders
    inner join first_purchases
        on
            orders.brand_id = first_purchases.brand_id
            and orders.customer_key = first_purchases.customer_key
            and orders.valid_from = first_purchases.first_purchase_on
    where orders.is_valid_purchase
    group by orders.brand_id, orders.customer_key
),

int_value__acquisitions as (
    select
        first_purchases.brand_id,
        first_purchases.customer_key,
        first_purchases.first_purchase_on,
        cast({{ dbt.date_trunc('month', 'first_purchases.first_purchase_on') }} as date) as cohort_month,
        coalesce(touch_channels.channel, order_channels.channel, 'unknown') as acquisition_channel
    from first_purchases
    left join touch_channels
        on
            first_purchases.brand_id = touch_channels.brand_id
            and first_purchases.customer_key = touch_channels.customer_key
    left join order_channels
        on
            first_purchases.brand_id = order_channels.brand_id
            and first_purchases.customer_key = order_channels.customer_key
)

select * from int_value__acquisitions
