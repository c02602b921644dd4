-- Grain: one row per brand, relationship (purchase, member, follower, wecom_contact, group_member) and month.
-- Why: of those who were there when the month began, how many left in it. To stop buying and to unfollow are two
--      ways of leaving and two rows.
-- Not here: the running month; who it was (churn_warnings); what happened to them afterwards.
with spells as (
    select
        brand_id,
        relationship,
        customer_key,
        live_from,
        cast({{ dbt.date_trunc('month', 'live_from') }} as date) as begun_month,
        cast({{ dbt.date_trunc('month', 'live_to') }} as date) as ended_month
    from {{ ref('int_value__active_spells') }}
),

-- Who comes twice in a month is one customer gained.
told as (
    select
        *,
        case
            when lag(begun_month) over (
                partition by brand_id, relationship, customer_key order by live_from
            ) = begun_month then 0
            else 1
        end as is_gain
    from spells
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

flows as (
    select
        brand_id,
        relationship,
        begun_month as flow_month,
        1 as begun,
        is_gain as gained,
        0 as ended,
        0 as lost
    from told
    union all
    select
        brand_id,
        relationship,
        ended_month as flow_month,
        0 as begun,
        0 as gained,
        1 as ended,
        case when begun_month < ended_month then 1 else 0 end as lost
    from spells
    where ended_month is not null
),

monthly as (
    select
        brand_id,
        relationship,
        flow_month,
        sum(begun) as begun,
        sum(gained) as gained,
        sum(ended) as ended,
        sum(lost) as lost
    from flows
    group by brand_id, relationship, flow_month
),

firsts as (
    select
        brand_id,
        relationship,
        min(flow_month) as first_month
    from monthly
    group by brand_id, relationship
),

numbers as (
    {{ quanyu.whole_numbers(1, var('churn_months')) }}
),

-- The latest months that are over, not the first: of an old brand the present would be missing.
calendar as (
    select
        cast({{ dbt.dateadd('month', '-1 * numbers.n', dbt.date_trunc('month', quanyu.add_days('as_of.as_of_date', 1))) }} as date)
            as churn_month
    from numbers
    cross join as_of
),

months as (
    select
        firsts.brand_id,
        firsts.relationship,
        calendar.churn_month
    from firsts
    inner join calendar on firsts.first_month <= calendar.churn_month
),

-- Spells of one person do not overlap, so spells live at the end of a day are people.
counted as (
    select
        months.brand_id,
        months.relationship,
        months.churn_month,
        coalesce(sum(case when monthly.flow_month = months.churn_month then monthly.gained end), 0) as gained_customers,
        coalesce(sum(case when monthly.flow_month = months.churn_month then monthly.lost end), 0) as lost_customers,
        coalesce(
            sum(case when monthly.flow_month < months.churn_month then monthly.begun - monthly.ended end), 0
        ) as base_customers
    from months
    left join monthly
        on
            months.brand_id = monthly.brand_id
            and months.relationship = monthly.relationship
            and months.churn_month >= monthly.flow_month
    group by months.brand_id, months.relationship, months.churn_month
),

churn_rates as (
    select
        as_of.as_of_date,
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.relationship as {{ dbt.type_string() }}) as relationship,
        counted.churn_month,
        cast(counted.base_customers as bigint) as base_customers,
        cast(counted.gained_customers as bigint) as gained_customers,
        cast(counted.lost_customers as bigint) as lost_customers,
        cast(counted.lost_customers as double) / nullif(counted.base_customers, 0) as churn_rate
    from counted
    cross join as_of
)

select * from churn_rates
order by brand_id, relationship, churn_month
