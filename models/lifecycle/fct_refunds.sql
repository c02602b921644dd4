-- Grain: one row per accepted refund up to the as-of date (source_system, refund_id).
-- Why: money given back, on the day it went back, with the order and the customer it belongs to.
-- Not here: what is left of an order; fct_orders nets its linked refunds.
with refunds as (
    select * from {{ ref('stg_landing__refunds') }}
    where refunded_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

orders as (
    select
        source_system,
        order_id,
        brand_id,
        identifier_key,
        ordered_at
    from {{ ref('stg_landing__orders') }}
    where ordered_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

linked as (
    select
        refunds.source_system,
        refunds.refund_id,
        coalesce(orders.brand_id, refunds.brand_id) as brand_id,
        refunds.order_id,
        orders.order_id is not null as is_linked,
        case
            when orders.order_id is not null then coalesce(orders.identifier_key, refunds.identifier_key)
            else refunds.identifier_key
        end as identifier_key,
        -- The buyer had the device when the order was placed.
        case when orders.identifier_key is not null then orders.ordered_at else refunds.refunded_at end as owned_at,
        refunds.refunded_at,
        refunds.refunded_on,
        refunds.amount as refund_amount
    from refunds
    left join orders
        on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
),

customers as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
),

fct_refunds as (
    select
        linked.source_system,
        linked.refund_id,
        linked.brand_id,
        linked.order_id,
        linked.is_linked,
        customers.customer_key,
        linked.refunded_at,
        linked.refunded_on,
        linked.refund_amount
    from linked
    left join customers on linked.identifier_key = customers.identifier_key
    where {{ quanyu.owned_at('linked.owned_at', 'customers') }}
)

select * from fct_refunds
