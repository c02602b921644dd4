-- Grain: one row per accepted order up to the as-of date (source_system, order_id).
-- Why: what was bought and paid, less what came back, and on which days the order is a valid purchase; bought on a
--      device that people share, by the person who had it then.
-- Not here: refunds without an order (fct_refunds); money of anonymous orders is here, a person is not.
with orders as (
    select * from {{ ref('stg_landing__orders') }}
    where ordered_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

customers as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
),

channels as (
    select * from {{ ref('channels') }}
),

refunds as (
    select
        source_system,
        order_id,
        refunded_on,
        refunded_at,
        refund_id,
        refund_amount
    from {{ ref('fct_refunds') }}
    where is_linked
),

refunds_running as (
    select
        source_system,
        order_id,
        refunded_on,
        refund_amount,
        sum(refund_amount) over (
            partition by source_system, order_id order by refunded_at, refund_id
            rows between unbounded preceding and current row
        ) as refunded_so_far
    from refunds
),

refunds_of_orders as (
    select
        orders.source_system,
        orders.order_id,
        sum(refunds_running.refund_amount) as refunded_amount,
        count(*) as refund_count,
        min(refunds_running.refunded_on) as first_refunded_on,
        min(
            case when refunds_running.refunded_so_far >= orders.amount then refunds_running.refunded_on end
        ) as refunded_in_full_on
    from orders
    inner join refunds_running
        on
            orders.source_system = refunds_running.source_system
            and orders.order_id = refunds_running.order_id
    group by orders.source_system, orders.order_id
),

dated as (
    select
        orders.*,
        coalesce(orders.paid_on, orders.ordered_on) as purchased_on,
        orders.status in ('paid', 'shipped', 'completed') and orders.amount > 0 as is_purchase
    from orders
),

fct_orders as (
    select
        dated.source_system,
        dated.order_id,
        dated.brand_id,
        customers.customer_key,
        dated.identifier_key is null as is_anonymous,
        dated.ordered_at,
        dated.ordered_on,
        dated.paid_at,
        dated.purchased_on,
        dated.status,
        dated.channel,
        coalesce(channels.domain, 'unknown') as channel_domain,
        dated.store_id,
        dated.staff_id,
        dated.campaign_id,
        dated.coupon_id,
        cast(dated.amount + coalesce(dated.discount_amount, 0) as decimal(18, 4)) as gross_amount,
        cast(coalesce(dated.discount_amount, 0) as decimal(18, 4)) as discount_amount,
        dated.amount as paid_amount,
        cast(coalesce(refunds_of_orders.refunded_amount, 0) as decimal(18, 4)) as refunded_amount,
        cast(
            dated.amount - coalesce(refunds_of_orders.refunded_amount, 0) as decimal(18, 4)
        ) as net_amount,
        coalesce(refunds_of_orders.refund_count, 0) as refund_count,
        refunds_of_orders.first_refunded_on,
        -- The order is a valid purchase on every day d with valid_from <= d < valid_to (NULL: open).
        case when dated.is_purchase then dated.purchased_on end as valid_from,
        case when dated.is_purchase then refunds_of_orders.refunded_in_full_on end as valid_to,
        dated.is_purchase
        and dated.purchased_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
        and refunds_of_orders.refunded_in_full_on is null as is_valid_purchase
    from dated
    left join customers on dated.identifier_key = customers.identifier_key
    left join channels on dated.channel = channels.channel
    left join refunds_of_orders
        on
            dated.source_system = refunds_of_orders.source_system
            and dated.order_id = refunds_of_orders.order_id
    where {{ quanyu.owned_at('dated.ordered_at', 'customers') }}
)

select * from fct_orders
