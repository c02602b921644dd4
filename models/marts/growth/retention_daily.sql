-- Grain: one row per brand, cohort day and channel (`all` included) on which somebody was active there for the first time.
-- Why: of the people new to a channel on a day, how many were active in it again exactly 1 to 7, 14 and 30 days later.
-- Not here: purchases of cohorts (retention_cohorts); days after the as-of date, which are NULL and not zero.
{%- set numbers = [1, 2, 3, 4, 5, 6, 7, 14, 30] %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

days as (
    select
        scope_key,
        first_activity_date as cohort_date,
        {{ quanyu.days_between('first_activity_date', 'activity_date') }} as day_number
    from {{ ref('int_growth__channel_days') }}
    where is_counted
),

cohorts as (
    select
        scope_key,
        cohort_date,
        sum(case when day_number = 0 then 1 else 0 end) as new_users
        {%- for n in numbers %},
        sum(case when day_number = {{ n }} then 1 else 0 end) as retained_{{ n }}d
        {%- endfor %}
    from days
    where day_number <= {{ numbers | max }}
    group by scope_key, cohort_date
),

retention_daily as (
    select
        cast(scopes.brand_id as {{ dbt.type_string() }}) as brand_id,
        cohorts.cohort_date,
        cast(scopes.channel as {{ dbt.type_string() }}) as channel,
        cast(cohorts.new_users as bigint) as new_users
        {%- for n in numbers %},
        cast(case
            when {{ quanyu.add_days('cohorts.cohort_date', n) }} <= as_of.as_of_date then cohorts.retained_{{ n }}d
        end as bigint) as retained_{{ n }}d,
        case
            when {{ quanyu.add_days('cohorts.cohort_date', n) }} <= as_of.as_of_date
                then cast(cohorts.retained_{{ n }}d as double) / cohorts.new_users
        end as retention_rate_{{ n }}d
        {%- endfor %}
    from cohorts
    inner join scopes on cohorts.scope_key = scopes.scope_key
    cross join as_of
)

select * from retention_daily
order by brand_id, cohort_date, channel
