-- Grain: one row per fit (as_of, calibration), brand and customer with a valid purchase.
-- Why: what BG/NBD and Gamma-Gamma know about a customer, in days; same-day orders are one purchase.
-- Not here: predictions.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with purchase_days as (
    select
        case observation when 'as_of' then 'as_of' else 'calibration' end as fit_name,
        observation_date,
        brand_id,
        customer_key,
        purchased_on,
        order_count,
        net_amount
    from {{ ref('int_value__purchase_days') }}
    where observation in ('as_of', 'clv_calibration')
),

int_clv__customers as (
    select
        fit_name,
        observation_date,
        brand_id,
        customer_key,
        min(purchased_on) as first_purchase_on,
        max(purchased_on) as last_purchase_on,
        cast(sum(order_count) as bigint) as order_count,
        count(*) - 1 as bg_frequency,
        {{ quanyu.days_between('min(purchased_on)', 'max(purchased_on)') }} as bg_recency,
        {{ quanyu.days_between('min(purchased_on)', 'observation_date') }} as bg_age,
        cast(sum(net_amount) as decimal(18, 4)) as net_amount,
        -- The first day is not a repeat.
        cast(sum(net_amount) - min_by(net_amount, purchased_on) as decimal(18, 4)) as repeat_amount
    from purchase_days
    group by fit_name, observation_date, brand_id, customer_key
)

select * from int_clv__customers
