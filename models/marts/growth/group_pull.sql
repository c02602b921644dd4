-- Grain: one row per brand and week (Monday) with a live group member, up to the week of the as-of date.
-- Why: do the groups pull (场域引力): who is active in them, who goes from a group's content to a purchase, who stays.
-- Not here: single groups; people who write in a group without being a member of it.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

weeks as (
    select distinct
        brand_id,
        cast({{ dbt.date_trunc('week', 'as_of_date') }} as date) as week_start,
        least(
            {{ quanyu.add_days('cast(' ~ dbt.date_trunc('week', 'as_of_date') ~ ' as date)', 6) }},
            (select as_of.as_of_date from as_of)
        ) as week_end
    from {{ ref('int_stages__calendar') }}
),

-- Members of a week: live in a group at the end of any day of it.
members as (
    select distinct
        weeks.brand_id,
        weeks.week_start,
        weeks.week_end,
        spells.customer_key
    from weeks
    inner join {{ ref('int_private__reach_spells') }} as spells
        on
            weeks.brand_id = spells.brand_id
            and spells.reach_channel = 'community_group'
            and weeks.week_end >= spells.valid_from
            and (spells.valid_to is null or weeks.week_start < spells.valid_to)
),

acts as (
    select
        scopes.brand_id,
        cast({{ dbt.date_trunc('week', 'days.activity_date') }} as date) as week_start,
        days.customer_key,
        max(case when scopes.channel = 'community_group' then 1 else 0 end) as is_active,
        min(case when scopes.channel = 'community_group' and days.page_view_count > 0 then days.activity_date end)
            as first_click_on,
        max(case when scopes.channel = 'all' and days.order_count > 0 then days.activity_date end) as last_order_on
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key
    where scopes.channel = 'community_group' or (scopes.channel = 'all' and days.order_count > 0)
    group by scopes.brand_id, days.customer_key, cast({{ dbt.date_trunc('week', 'days.activity_date') }} as date)
),

people as (
    select
        members.brand_id,
        members.week_start,
        members.week_end,
        members.customer_key,
        coalesce(acts.is_active, 0) as is_active,
        case when acts.first_click_on is not null then 1 else 0 end as has_clicked,
        case when acts.last_order_on >= acts.first_click_on then 1 else 0 end as has_paid,
        coalesce(next_week.is_active, 0) as is_active_next_week
    from members
    left join acts
        on
            members.brand_id = acts.brand_id
            and members.week_start = acts.week_start
            and members.customer_key = acts.customer_key
    left join acts as next_week
        on
            members.brand_id = next_week.brand_id
            and {{ quanyu.add_days('members.week_start', 7) }} = next_week.week_start
            and members.customer_key = next_week.customer_key
),

counted as (
    select
        brand_id,
        week_start,
        week_end,
        count(*) as group_members,
        sum(is_active) as active_members,
        sum(has_clicked) as click_members,
        sum(has_paid) as paying_members,
        sum(is_active * is_active_next_week) as retained_members
    from people
    group by brand_id, week_start, week_end
),

group_pull as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        counted.week_start,
        {{ quanyu.add_days('counted.week_start', 6) }} <= as_of.as_of_date as is_complete,
        cast(counted.group_members as bigint) as group_members,
        cast(counted.active_members as bigint) as active_members,
        cast(counted.active_members as double) / counted.group_members as group_active_rate,
        cast(counted.click_members as bigint) as click_members,
        cast(counted.paying_members as bigint) as paying_members,
        cast(counted.paying_members as double) / nullif(counted.click_members, 0) as click_to_pay_rate,
        cast(case
            when {{ quanyu.add_days('counted.week_start', 13) }} <= as_of.as_of_date then counted.retained_members
        end as bigint) as retained_members,
        case
            when {{ quanyu.add_days('counted.week_start', 13) }} <= as_of.as_of_date
                then cast(counted.retained_members as double) / nullif(counted.active_members, 0)
        end as group_retention_rate
    from counted
    cross join as_of
)

select * from group_pull
order by brand_id, week_start
