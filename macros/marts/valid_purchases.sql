{#- Valid purchases of known customers on each observation date: every order that is a valid purchase at the end of
    that day, with its money less its own refunds up to that day. `observations` is a relation with the column
    observation_date; with `window_days` only purchases of the window that ends on the date. -#}
{% macro valid_purchases(observations, window_days=none) -%}
    select
        observations.observation_date,
        orders.source_system,
        orders.order_id,
        orders.brand_id,
        orders.customer_key,
        orders.channel,
        orders.channel_domain,
        orders.valid_from as purchased_on,
        orders.paid_amount - coalesce(refunds.refunded_amount, 0) as net_amount
    -- Before the days multiply them: an order of nobody is dropped once.
    from (
        select known.*
        from {{ ref('fct_orders') }} as known
        where known.customer_key in (select customers.customer_key from ({{ quanyu.counted_customers() }}) as customers)
    ) as orders
    inner join {{ observations }} as observations
        on
            orders.valid_from <= observations.observation_date
            and (orders.valid_to is null or orders.valid_to > observations.observation_date)
            {%- if window_days is not none %}
            and orders.valid_from > {{ quanyu.add_days('observations.observation_date', -window_days) }}
            {%- endif %}
    left join (
        select
            observations.observation_date,
            refunds.source_system,
            refunds.order_id,
            sum(refunds.refund_amount) as refunded_amount
        from {{ ref('fct_refunds') }} as refunds
        inner join {{ observations }} as observations
            on refunds.refunded_on <= observations.observation_date
        where refunds.is_linked
        group by observations.observation_date, refunds.source_system, refunds.order_id
    ) as refunds
        on
            observations.observation_date = refunds.observation_date
            and orders.source_system = refunds.source_system
            and orders.order_id = refunds.order_id
{%- endmacro %}


{#- The customers that head-counts count, with their public id. The identity map has a row per identifier. -#}
{% macro counted_customers() -%}
    select distinct
        customer_key,
        customer_id
    from {{ ref('int_identity__customer_map') }}
    {%- if not var('count_anonymous_visitors') %}
    where not is_anonymous_visitor
    {%- endif %}
{%- endmacro %}
