-- Grain: one row per accepted line of an order that is known (source_system, order_id, line_number).
-- Why: which products a customer bought, on the purchase day and with the validity of the order.
-- Not here: lines whose order never landed; the test assert_lines_have_orders counts them.
{{ config(materialized='view') }}

with lines as (
    select * from {{ ref('stg_landing__order_lines') }}
),

orders as (
    select * from {{ ref('fct_orders') }}
),

products as (
    select * from {{ ref('stg_landing__products') }}
),

fct_order_lines as (
    select
        lines.source_system,
        lines.order_id,
        lines.line_number,
        orders.brand_id,
        orders.customer_key,
        orders.purchased_on,
        orders.is_valid_purchase,
        lines.product_id,
        products.category,
        lines.quantity,
        lines.line_amount,
        cast(lines.quantity * products.unit_cost as decimal(18, 4)) as cost_amount
    from lines
    inner join orders
        on lines.source_system = orders.source_system and lines.order_id = orders.order_id
    left join products on lines.product_id = products.product_id
)

select * from fct_order_lines
