-- Grain: one row per brand and band (all, active, due, warning, churned) one cycle before the as-of date.
-- Why: of those warned a cycle ago, how many indeed did not buy since; a warning is worth its lift over everybody.
-- Not here: brands whose history is shorter than a cycle.
with past as (
    select * from {{ ref('int_value__person_cycles') }}
    where observation = 'churn_backtest' and category = '*'
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

last_purchases as (
    select
        brand_id,
        customer_key,
        max(purchased_on) as last_purchase_on
    from {{ ref('int_value__purchase_days') }}
    where observation = 'as_of'
    group by brand_id, customer_key
),

outcomes as (
    select
        past.brand_id,
        past.band,
        past.observation_date,
        case when last_purchases.last_purchase_on > past.observation_date then 0 else 1 end as stayed_away
    from past
    left join last_purchases
        on past.brand_id = last_purchases.brand_id and past.customer_key = last_purchases.customer_key
),

bands as (
    select * from outcomes
    union all
    select
        brand_id,
        'all' as band,
        observation_date,
        stayed_away
    from outcomes
),

counted as (
    select
        brand_id,
        band,
        observation_date,
        count(*) as customers,
        sum(stayed_away) as stayed_away
    from bands
    group by brand_id, band, observation_date
),

churn_backtest as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.band as {{ dbt.type_string() }}) as band,
        cast(counted.observation_date as date) as warned_on,
        as_of.as_of_date as observed_to,
        cast(counted.customers as bigint) as customers,
        cast(counted.stayed_away as bigint) as stayed_away,
        cast(counted.stayed_away as double) / counted.customers as stayed_away_rate,
        (cast(counted.stayed_away as double) / counted.customers)
        / nullif(max(
            case when counted.band = 'all' then cast(counted.stayed_away as double) / counted.customers end
        ) over (partition by counted.brand_id), 0) as lift,
        -- Where most stay away anyway, lift has no room above 1: who still buys tells the bands apart.
        (1 - cast(counted.stayed_away as double) / counted.customers)
        / nullif(max(
            case when counted.band = 'active' then 1 - cast(counted.stayed_away as double) / counted.customers end
        ) over (partition by counted.brand_id), 0) as purchase_ratio
    from counted
    cross join as_of
)

select * from churn_backtest
order by brand_id, band
