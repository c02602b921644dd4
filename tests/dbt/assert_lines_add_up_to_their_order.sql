-- Fails for an order whose lines do not sum to what was paid. Warns only: a platform may keep freight or a discount out
-- of its lines.
{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_order_lines'}}}) }}

select
    orders.source_system,
    orders.order_id,
    orders.paid_amount,
    sum(lines.line_amount) as lines_amount
from {{ ref('fct_orders') }} as orders
inner join {{ ref('fct_order_lines') }} as lines
    on orders.source_system = lines.source_system and orders.order_id = lines.order_id
group by orders.source_system, orders.order_id, orders.paid_amount
having sum(lines.line_amount) <> orders.paid_amount
