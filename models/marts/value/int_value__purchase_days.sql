-- Grain: one row per observation, brand, customer and day with a valid purchase, as known on the observation date.
-- Why: CLV, cycles and churn count purchase days; a back-test must not know of refunds after its own day.
-- Not here: anonymous orders and, by default, anonymous visitors.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with observations as (
    select * from {{ ref('int_value__observations') }}
),

observation_dates as (
    select distinct observation_date from observations
),

purchases as (
    {{ quanyu.valid_purchases('observation_dates') }}
),

daily as (
    select
        observation_date,
        brand_id,
        customer_key,
        purchased_on,
        count(*) as order_count,
        sum(net_amount) as net_amount
    from purchases
    group by observation_date, brand_id, customer_key, purchased_on
),

int_value__purchase_days as (
    select
        observations.observation,
        daily.observation_date,
        daily.brand_id,
        daily.customer_key,
        daily.purchased_on,
        daily.order_count,
        cast(daily.net_amount as decimal(18, 4)) as net_amount
    from daily
    inner join observations
        on daily.brand_id = observations.brand_id and daily.observation_date = observations.observation_date
)

select * from int_value__purchase_days
