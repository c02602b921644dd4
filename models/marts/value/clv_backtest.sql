-- Grain: one row per brand, level (all, frequency, decile) and bucket.
-- Why: a fit of the days before the hold-out, measured against what happened in it. Row `all` is what the gate reads.
-- Not here: brands whose calibration has too few repeat buyers to fit.
with predictions as (
    select * from {{ ref('int_clv__predictions') }}
    where fit_name = 'calibration'
),

observations as (
    select * from {{ ref('int_value__observations') }}
    where observation = 'clv_calibration'
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

actual as (
    select
        purchase_days.brand_id,
        purchase_days.customer_key,
        count(*) as actual_orders,
        sum(purchase_days.net_amount) as actual_amount
    from {{ ref('int_value__purchase_days') }} as purchase_days
    inner join observations on purchase_days.brand_id = observations.brand_id
    where
        purchase_days.observation = 'as_of'
        and purchase_days.purchased_on > observations.observation_date
    group by purchase_days.brand_id, purchase_days.customer_key
),

-- Money is added as decimals: the order of additions must not show in the result.
compared as (
    select
        predictions.brand_id,
        predictions.bg_frequency,
        cast(predictions.expected_orders_holdout as decimal(28, 10)) as predicted_orders,
        cast(
            predictions.expected_orders_holdout * predictions.expected_order_value as decimal(28, 4)
        ) as predicted_amount,
        coalesce(actual.actual_orders, 0) as actual_orders,
        coalesce(actual.actual_amount, 0) as actual_amount,
        1 + cast(floor(least(9, 10 * percent_rank() over (
            partition by predictions.brand_id order by predictions.expected_orders_holdout desc
        ))) as integer) as decile
    from predictions
    left join actual
        on predictions.brand_id = actual.brand_id and predictions.customer_key = actual.customer_key
),

levels as (
    select
        compared.*,
        'all' as level,
        'all' as bucket
    from compared
    union all
    select
        compared.*,
        'frequency' as level,
        case
            when bg_frequency <= 3 then cast(bg_frequency as {{ dbt.type_string() }})
            when bg_frequency <= 6 then '4-6'
            else '7+'
        end as bucket
    from compared
    union all
    select
        compared.*,
        'decile' as level,
        case when decile < 10 then concat('0', cast(decile as {{ dbt.type_string() }})) else '10' end as bucket
    from compared
),

totals as (
    select
        brand_id,
        level,
        bucket,
        count(*) as customers,
        sum(predicted_orders) as predicted_orders,
        sum(actual_orders) as actual_orders,
        sum(predicted_amount) as predicted_amount,
        sum(actual_amount) as actual_amount
    from levels
    group by brand_id, level, bucket
),

rated as (
    select
        *,
        cast(predicted_orders as double) / nullif(actual_orders, 0) - 1 as orders_error_rate,
        (cast(actual_orders as double) / customers)
        / nullif(
            max(case when level = 'all' then cast(actual_orders as double) / customers end)
                over (partition by brand_id), 0
        ) as lift,
        max(case when level = 'decile' and bucket = '01' then cast(actual_orders as double) / customers end)
            over (partition by brand_id) as top_decile_orders
    from totals
),

clv_backtest as (
    select
        cast(rated.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(rated.level as {{ dbt.type_string() }}) as level,
        cast(rated.bucket as {{ dbt.type_string() }}) as bucket,
        observations.observation_date as calibration_to,
        as_of.as_of_date as holdout_to,
        cast(rated.customers as bigint) as customers,
        {{ quanyu.money('rated.predicted_orders') }} as predicted_orders,
        cast(rated.actual_orders as bigint) as actual_orders,
        round(rated.orders_error_rate, 10) as orders_error_rate,
        {{ quanyu.money('rated.predicted_amount') }} as predicted_amount,
        cast(rated.actual_amount as decimal(18, 4)) as actual_amount,
        round(cast(rated.predicted_amount as double) / nullif(cast(rated.actual_amount as double), 0) - 1, 10)
            as amount_error_rate,
        round(rated.lift, 10) as lift,
        case
            when rated.level = 'all' then
                coalesce(abs(rated.orders_error_rate) <= {{ var('clv_max_backtest_error') }}, false)
                and coalesce(
                    rated.top_decile_orders * rated.customers
                    >= {{ var('clv_min_backtest_lift') }} * rated.actual_orders, false
                )
        end as is_passed
    from rated
    inner join observations on rated.brand_id = observations.brand_id
    cross join as_of
)

select * from clv_backtest
order by brand_id, level, bucket
