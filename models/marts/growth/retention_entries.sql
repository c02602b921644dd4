-- Grain: one row per brand, cohort month, channel and entry channel (the one that brought the person to the brand).
-- Why: do people who came to the mini-program through advertisements stay as long as those a shop assistant sent?
-- Not here: people not yet observed for n days, who are neither kept nor lost.
{%- set numbers = [1, 7, 30] %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
    where channel <> 'all'
),

days as (
    select
        scope_key,
        customer_key,
        first_activity_date as cohort_date,
        {{ quanyu.days_between('first_activity_date', 'activity_date') }} as day_number
    from {{ ref('int_growth__channel_days') }}
    where is_counted
),

people as (
    select
        scope_key,
        customer_key,
        cohort_date
        {%- for n in numbers %},
        max(case when day_number = {{ n }} then 1 else 0 end) as retained_{{ n }}d
        {%- endfor %}
    from days
    where day_number <= {{ numbers | max }}
    group by scope_key, customer_key, cohort_date
),

placed as (
    select
        scopes.brand_id,
        cast({{ dbt.date_trunc('month', 'people.cohort_date') }} as date) as cohort_month,
        scopes.channel,
        coalesce(origins.acquisition_channel, 'unknown') as entry_channel,
        {%- for n in numbers %}
        case when {{ quanyu.add_days('people.cohort_date', n) }} <= as_of.as_of_date then 1 else 0 end as observed_{{ n }}d,
        people.retained_{{ n }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from people
    inner join scopes on people.scope_key = scopes.scope_key
    cross join as_of
    left join {{ ref('int_stages__origins') }} as origins
        on scopes.brand_id = origins.brand_id and people.customer_key = origins.customer_key
),

counted as (
    select
        brand_id,
        cohort_month,
        channel,
        entry_channel,
        count(*) as new_users
        {%- for n in numbers %},
        sum(observed_{{ n }}d) as observed_{{ n }}d,
        sum(observed_{{ n }}d * retained_{{ n }}d) as retained_{{ n }}d
        {%- endfor %}
    from placed
    group by brand_id, cohort_month, channel, entry_channel
),

retention_entries as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cohort_month,
        cast(channel as {{ dbt.type_string() }}) as channel,
        cast(entry_channel as {{ dbt.type_string() }}) as entry_channel,
        cast(new_users as bigint) as new_users
        {%- for n in numbers %},
        cast(observed_{{ n }}d as bigint) as observed_{{ n }}d,
        cast(case when observed_{{ n }}d > 0 then retained_{{ n }}d end as bigint) as retained_{{ n }}d,
        cast(retained_{{ n }}d as double) / nullif(observed_{{ n }}d, 0) as retention_rate_{{ n }}d
        {%- endfor %}
    from counted
)

select * from retention_entries
order by brand_id, cohort_month, channel, entry_channel
