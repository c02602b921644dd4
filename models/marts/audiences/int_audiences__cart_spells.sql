-- Grain: one row per brand, customer, product, kind (open, paid), day of the cart_add and day of the payment.
-- Why: whether an item that was put into the cart is still in it, or was paid since.
-- Not here: items added and removed, or paid, within one day count as open on no day.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

cart_events as (
    select
        brand_id,
        customer_key,
        product_id,
        occurred_at as happened_at,
        event_type
    from {{ ref('fct_touchpoints') }}
    where event_type in ('cart_add', 'cart_remove') and product_id is not null
),

cart_products as (
    select distinct
        brand_id,
        customer_key,
        product_id
    from cart_events
    where event_type = 'cart_add'
),

orders as (
    select
        orders.source_system,
        orders.order_id,
        orders.brand_id,
        orders.customer_key,
        coalesce(orders.paid_at, orders.ordered_at) as paid_at,
        orders.valid_to
    from {{ ref('fct_orders') }} as orders
    inner join as_of on orders.valid_from <= as_of.as_of_date
    where orders.customer_key is not null
),

order_products as (
    select distinct
        source_system,
        order_id,
        product_id
    from {{ ref('fct_order_lines') }}
),

orders_without_lines as (
    select orders.*
    from orders
    left join (select distinct source_system, order_id from order_products) as with_lines
        on orders.source_system = with_lines.source_system and orders.order_id = with_lines.order_id
    where with_lines.order_id is null
),

-- An order whose lines never landed pays for whatever lies in the cart.
payments as (
    select
        orders.brand_id,
        orders.customer_key,
        order_products.product_id,
        orders.paid_at,
        orders.valid_to
    from orders
    inner join order_products
        on orders.source_system = order_products.source_system and orders.order_id = order_products.order_id
    union all
    select
        orders.brand_id,
        orders.customer_key,
        cart_products.product_id,
        orders.paid_at,
        orders.valid_to
    from orders_without_lines as orders
    inner join cart_products
        on orders.brand_id = cart_products.brand_id and orders.customer_key = cart_products.customer_key
),

events as (
    select
        brand_id,
        customer_key,
        product_id,
        happened_at,
        case when event_type = 'cart_add' then happened_at end as added_at,
        case when event_type = 'cart_remove' then happened_at end as removed_at,
        cast(null as {{ quanyu.type_local_timestamp() }}) as paid_at,
        cast(null as date) as valid_to
    from cart_events
    union all
    select
        payments.brand_id,
        payments.customer_key,
        payments.product_id,
        payments.paid_at as happened_at,
        null,
        null,
        payments.paid_at,
        payments.valid_to
    from payments
    inner join cart_products
        on
            payments.brand_id = cart_products.brand_id
            and payments.customer_key = cart_products.customer_key
            and payments.product_id = cart_products.product_id
),

-- Rows of one instant are one frame: an item paid at the very moment of its cart_add is paid.
compared as (
    select
        *,
        max(added_at) over (
            partition by brand_id, customer_key, product_id order by happened_at
            range between unbounded preceding and current row
        ) as last_added_at,
        min(coalesce(removed_at, paid_at)) over (
            partition by brand_id, customer_key, product_id order by happened_at desc
            range between unbounded preceding and current row
        ) as next_ended_at
    from events
),

carts as (
    select
        brand_id,
        customer_key,
        product_id,
        'open' as kind,
        cast(added_at as date) as added_on,
        cast(added_at as date) as valid_from,
        cast(next_ended_at as date) as valid_to
    from compared
    where added_at is not null
    union all
    select
        brand_id,
        customer_key,
        product_id,
        'paid' as kind,
        cast(last_added_at as date) as added_on,
        cast(paid_at as date) as valid_from,
        valid_to
    from compared
    where paid_at is not null and last_added_at is not null
),

int_audiences__cart_spells as (
    select
        brand_id,
        customer_key,
        product_id,
        kind,
        added_on,
        valid_from,
        max(coalesce(valid_to, {{ quanyu.far_date() }})) as valid_to
    from carts
    group by brand_id, customer_key, product_id, kind, added_on, valid_from
)

select * from int_audiences__cart_spells
where valid_to > valid_from
