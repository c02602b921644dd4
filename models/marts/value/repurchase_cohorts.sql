-- Grain: one row per brand, acquisition channel (`all` included), cohort month and horizon in days.
-- Why: who of the first-time buyers bought again within n days, and what they were worth in n days.
-- Not here: first-time buyers not yet observed for n days; a cohort without any observed buyer is NULL.
with acquisitions as (
    select * from {{ ref('int_value__acquisitions') }}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

horizons as (
    {%- for days in var('cohort_horizons') %}
    select {{ days }} as horizon_days
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

outcomes as (
    select
        acquisitions.brand_id,
        acquisitions.acquisition_channel,
        acquisitions.cohort_month,
        acquisitions.customer_key,
        horizons.horizon_days,
        max(case
            when {{ quanyu.add_days('acquisitions.first_purchase_on', 'horizons.horizon_days') }} <= as_of.as_of_date
                then 1
            else 0
        end) as observed,
        max(case
            when
                money.order_count > 0
                and money.flow_date > acquisitions.first_purchase_on
                then 1
            else 0
        end) as has_repeated,
        coalesce(sum(money.order_date_amount), 0) as order_date_amount
    from acquisitions
    cross join horizons
    cross join as_of
    left join {{ ref('int_value__money_days') }} as money
        on
            acquisitions.brand_id = money.brand_id
            and acquisitions.customer_key = money.customer_key
            and money.flow_date
            <= {{ quanyu.add_days('acquisitions.first_purchase_on', 'horizons.horizon_days') }}
    group by
        acquisitions.brand_id, acquisitions.acquisition_channel, acquisitions.cohort_month,
        acquisitions.customer_key, horizons.horizon_days
),

with_all as (
    select * from outcomes
    union all
    select
        brand_id,
        'all' as acquisition_channel,
        cohort_month,
        customer_key,
        horizon_days,
        observed,
        has_repeated,
        order_date_amount
    from outcomes
),

counted as (
    select
        brand_id,
        acquisition_channel,
        cohort_month,
        horizon_days,
        count(*) as cohort_customers,
        sum(observed) as observed_customers,
        sum(observed * has_repeated) as repeat_customers,
        sum(case when observed = 1 then order_date_amount else 0 end) as order_date_amount
    from with_all
    group by brand_id, acquisition_channel, cohort_month, horizon_days
),

repurchase_cohorts as (
    select
        as_of.as_of_date,
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.acquisition_channel as {{ dbt.type_string() }}) as acquisition_channel,
        counted.cohort_month,
        cast(counted.horizon_days as integer) as horizon_days,
        cast(counted.cohort_customers as bigint) as cohort_customers,
        cast(counted.observed_customers as bigint) as observed_customers,
        cast(case when counted.observed_customers > 0 then counted.repeat_customers end as bigint)
            as repeat_customers,
        cast(counted.repeat_customers as double) / nullif(counted.observed_customers, 0) as repurchase_rate,
        cast(case when counted.observed_customers > 0 then counted.order_date_amount end as decimal(18, 4))
            as order_date_amount,
        {{ quanyu.money('cast(counted.order_date_amount as double) / nullif(counted.observed_customers, 0)') }} as amount_per_customer
    from counted
    cross join as_of
)

select * from repurchase_cohorts
order by brand_id, acquisition_channel, cohort_month, horizon_days
