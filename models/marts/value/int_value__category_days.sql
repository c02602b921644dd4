-- Grain: one row per observation (as_of, churn_backtest), brand, customer, category and purchase day.
-- Why: repurchase is a matter of what is bought: milk powder every month, a coat every year.
-- Not here: money; an order without lines, or of products without a category, is in the category `unknown`.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with observations as (
    select * from {{ ref('int_value__observations') }}
    where observation in ('as_of', 'churn_backtest')
),

observation_dates as (
    select distinct observation_date from observations
),

purchases as (
    {{ quanyu.valid_purchases('observation_dates') }}
),

order_categories as (
    select distinct
        source_system,
        order_id,
        category
    from {{ ref('fct_order_lines') }}
),

int_value__category_days as (
    select distinct
        observations.observation,
        observations.observation_date,
        purchases.brand_id,
        purchases.customer_key,
        coalesce(order_categories.category, 'unknown') as category,
        purchases.purchased_on
    from purchases
    inner join observations
        on
            purchases.brand_id = observations.brand_id
            and purchases.observation_date = observations.observation_date
    left join order_categories
        on
            purchases.source_system = order_categories.source_system
            and purchases.order_id = order_categories.order_id
)

select * from int_value__category_days
