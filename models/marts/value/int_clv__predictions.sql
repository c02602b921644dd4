-- Grain: one row per fit, brand and customer with a valid purchase, where the brand has a fit.
-- Why: what the models expect of each customer. Rounded to ten decimals, so that stored values are the same
--      wherever they are computed.
-- Not here: whether to believe it (int_clv__gate).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
{%- set horizons = quanyu.clv_horizons() %}

with expected as (
    select
        fit_name,
        brand_id,
        bg_frequency,
        bg_age,
        max(case when fit_name = 'calibration' then expected_orders_if_alive end) as expected_holdout
        {%- for days in horizons %},
        max(case when horizon_days = {{ days }} then expected_orders_if_alive end) as expected_{{ days }}
        {%- endfor %}
    from {{ ref('int_clv__expected_orders') }}
    group by fit_name, brand_id, bg_frequency, bg_age
),

-- The months are added one by one in the text of the query: a sum over rows could add them in another order.
discounted as (
    select
        *,
        0
        {%- for month in range(1, var('clv_months') + 1) %}
        + (expected_{{ 30 * month }} - {{ 'expected_' ~ (30 * (month - 1)) if month > 1 else 0 }})
        / {{ (1 + var('clv_discount_rate')) ** month }}
        {%- endfor %} as discounted_orders
    from expected
),

customers as (
    select
        customers.*,
        {{ quanyu.clv_p_alive(
            'models.r', 'models.alpha', 'models.a', 'models.b',
            'customers.bg_frequency', 'customers.bg_recency', 'customers.bg_age'
        ) }} as p_alive,
        case
            when models.q > 1 then {{ quanyu.clv_order_value(
                'models.p', 'models.q', 'models.v',
                'customers.bg_frequency', 'cast(customers.repeat_amount as double)'
            ) }}
        end as expected_order_value
    from {{ ref('int_clv__customers') }} as customers
    inner join {{ ref('int_clv__models') }} as models
        on customers.fit_name = models.fit_name and customers.brand_id = models.brand_id
),

int_clv__predictions as (
    select
        customers.fit_name,
        customers.brand_id,
        customers.customer_key,
        customers.bg_frequency,
        round(customers.p_alive, 10) as p_alive,
        round(customers.expected_order_value, 4) as expected_order_value,
        round(discounted.expected_holdout * customers.p_alive, 10) as expected_orders_holdout,
        {%- for days in [30, 90, 180, 365] %}
        round(discounted.expected_{{ days }} * customers.p_alive, 10) as expected_orders_{{ days }}d,
        {%- endfor %}
        round(
            discounted.expected_365 * customers.p_alive * customers.expected_order_value, 4
        ) as expected_value_365d,
        round(
            discounted.discounted_orders * customers.p_alive * customers.expected_order_value
            * {{ var('clv_margin_rate') }}, 4
        ) as discounted_value
    from customers
    inner join discounted
        on
            customers.fit_name = discounted.fit_name
            and customers.brand_id = discounted.brand_id
            and customers.bg_frequency = discounted.bg_frequency
            and customers.bg_age = discounted.bg_age
)

select * from int_clv__predictions
