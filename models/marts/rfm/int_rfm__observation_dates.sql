-- Grain: one row per day at whose end RFM is looked at (observation_date).
-- Why: the last day of every month from the first purchase month on, and the as-of date.
-- Not here: months older than the var rfm_history_months.
{{ config(schema='lifecycle', materialized='table', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

first_purchase as (
    select min(valid_from) as first_purchase_on from {{ ref('fct_orders') }}
),

months_back as (
    {{ quanyu.whole_numbers(0, var('rfm_history_months')) }}
),

month_ends as (
    select
        cast({{ dbt.last_day(dbt.dateadd('month', '-1 * months_back.n', 'as_of.as_of_date'), 'month') }} as date)
            as observation_date
    from as_of
    cross join months_back
),

observed as (
    select month_ends.observation_date
    from month_ends
    cross join first_purchase
    inner join as_of on month_ends.observation_date <= as_of.as_of_date
    where month_ends.observation_date >= first_purchase.first_purchase_on
    union
    select as_of_date as observation_date from as_of
),

int_rfm__observation_dates as (
    select
        observed.observation_date,
        observed.observation_date = as_of.as_of_date as is_as_of,
        observed.observation_date
        = cast({{ dbt.last_day('observed.observation_date', 'month') }} as date) as is_month_end
    from observed
    cross join as_of
    where observed.observation_date is not null
)

select * from int_rfm__observation_dates
