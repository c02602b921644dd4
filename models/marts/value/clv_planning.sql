-- Grain: one row per brand.
-- Why: order value x orders per year x years of a customer: the sum a plan is made with before any model is fitted, and
--      the check of a model that is.
-- Not here: single customers (clv_customers); discounting.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

buyers as (
    select
        brand_id,
        count(*) as customers,
        sum(frequency) as orders,
        sum(monetary_amount) as monetary_amount
    from {{ ref('rfm_customers') }}
    where is_as_of and scope = 'all'
    group by brand_id
),

last_months as (
    select
        brand_id,
        churn_rate
    from {{ ref('churn_rates') }}
    where relationship = 'purchase'
    qualify row_number() over (partition by brand_id order by churn_month desc) <= 12
),

-- Who is there after twelve months: the product of the shares that stayed. Rounded, as logs end in the last digit.
churn as (
    select
        brand_id,
        case
            when count(churn_rate) = 12
                then round(1 - exp(sum(ln(greatest(1 - churn_rate, 1e-300)))), 10)
        end as annual_churn_rate
    from last_months
    group by brand_id
),

rated as (
    select
        buyers.brand_id,
        buyers.customers,
        buyers.orders,
        buyers.monetary_amount,
        cast(buyers.monetary_amount as double) / buyers.orders as order_value,
        cast(buyers.orders as double) / buyers.customers * 365 / {{ var('rfm_window_days') }} as orders_per_year,
        churn.annual_churn_rate,
        1 / nullif(churn.annual_churn_rate, 0) as lifetime_years
    from buyers
    left join churn on buyers.brand_id = churn.brand_id
),

clv_planning as (
    select
        as_of.as_of_date,
        cast(rated.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(rated.customers as bigint) as customers,
        cast(rated.orders as bigint) as orders,
        cast(rated.monetary_amount as decimal(18, 4)) as monetary_amount,
        {{ quanyu.money('rated.order_value') }} as order_value,
        cast(rated.orders_per_year as double) as orders_per_year,
        cast(rated.annual_churn_rate as double) as annual_churn_rate,
        cast(rated.lifetime_years as double) as lifetime_years,
        {{ quanyu.money(
            'rated.order_value * rated.orders_per_year * rated.lifetime_years * ' ~ var('clv_margin_rate')
        ) }} as planning_value
    from rated
    cross join as_of
)

select * from clv_planning
order by brand_id
