-- Grain: one row per observation (as_of, clv_calibration, churn_backtest) and brand.
-- Why: the days at whose end purchases are looked at: the as-of date, and the days a back-test pretends it is.
-- Not here: what is seen on them (int_value__purchase_days).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

purchase_days as (
    select distinct
        brand_id,
        customer_key,
        purchased_on
    from {{ ref('fct_orders') }}
    where is_valid_purchase and customer_key is not null
),

gaps as (
    select
        brand_id,
        {{ quanyu.days_between(
            'lag(purchased_on) over (partition by brand_id, customer_key order by purchased_on)', 'purchased_on'
        ) }} as gap_days
    from purchase_days
),

-- The cycle of the whole brand: how far back "last cycle" is. The seed's day count stands in until there are gaps.
cycles as (
    select
        gaps.brand_id,
        cast(round(coalesce(
            percentile_cont(0.5) within group (order by gaps.gap_days),
            max(fallbacks.cycle_days)
        )) as integer) as cycle_days
    from gaps
    left join {{ ref('category_cycles') }} as fallbacks on fallbacks.category = '*'
    group by gaps.brand_id
),

int_value__observations as (
    select
        'as_of' as observation,
        cycles.brand_id,
        as_of.as_of_date as observation_date,
        cycles.cycle_days
    from cycles
    cross join as_of
    union all
    select
        'clv_calibration' as observation,
        cycles.brand_id,
        cast({{ quanyu.add_days('as_of.as_of_date', -var('clv_holdout_days')) }} as date) as observation_date,
        cycles.cycle_days
    from cycles
    cross join as_of
    union all
    select
        'churn_backtest' as observation,
        cycles.brand_id,
        cast({{ quanyu.add_days('as_of.as_of_date', '-1 * cycles.cycle_days') }} as date) as observation_date,
        cycles.cycle_days
    from cycles
    cross join as_of
)

select * from int_value__observations
