-- Grain: one row per period, customer, channel and touch-point (period_key, customer_key,
--        channel_key, touch_point_key).
-- Why: the one pass over the touch-points that all STAR tables share.
-- Not here: anonymous visitors (var count_anonymous_visitors); purchases that are refunded in full by the period's end.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with periods as (
    select * from {{ ref('int_star__periods') }}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

counted as (
    {{ quanyu.counted_customers() }}
),

-- A part is a run of days that lie in the same periods: touch-points are grouped by it before periods multiply them.
bounds as (
    select
        brand_id,
        starts_on as bound_on
    from periods
    union
    select
        brand_id,
        {{ quanyu.add_days('ends_on', 1) }} as bound_on
    from periods
),

dated as (
    select
        calendar.brand_id,
        calendar.as_of_date,
        max(bounds.bound_on) as part_on
    from {{ ref('int_stages__calendar') }} as calendar
    inner join bounds on calendar.brand_id = bounds.brand_id and calendar.as_of_date >= bounds.bound_on
    group by calendar.brand_id, calendar.as_of_date
),

part_days as (
    select
        *,
        cast(dense_rank() over (order by brand_id, part_on) as integer) as part_key
    from dated
),

part_periods as (
    select
        parts.part_key,
        periods.period_key
    from (
        select distinct
            brand_id,
            part_on,
            part_key
        from part_days
    ) as parts
    inner join periods
        on parts.brand_id = periods.brand_id and parts.part_on between periods.starts_on and periods.ends_on
),

channel_keys as (
    select distinct
        channel,
        channel_key
    from {{ ref('int_star__touch_keys') }}
),

touch_point_keys as (
    select distinct
        touch_point,
        touch_point_key
    from {{ ref('int_star__touch_keys') }}
),

told as (
    select
        coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        map.customer_key,
        cast(messages.delivered_at as date) as touched_on,
        messages.channel,
        'message' as touch_point
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('int_identity__customer_map') }} as map on messages.identifier_key = map.identifier_key
    left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    where cast(messages.delivered_at as date) <= (select as_of.as_of_date from as_of)
    union all
    select
        memberships.brand_id,
        map.customer_key,
        memberships.occurred_on as touched_on,
        memberships.channel,
        'member_join' as touch_point
    from {{ ref('stg_landing__memberships') }} as memberships
    inner join {{ ref('int_identity__customer_map') }} as map on memberships.member_key = map.identifier_key
    where
        memberships.membership_event = 'join'
        and memberships.occurred_on <= (select as_of.as_of_date from as_of)
    union all
    select
        brand_id,
        customer_key,
        occurred_on as touched_on,
        channel,
        event_type as touch_point
    from {{ ref('fct_touchpoints') }}
),

by_part as (
    select
        part_days.part_key,
        told.customer_key,
        coalesce(channel_keys.channel_key, 0) as channel_key,
        touch_point_keys.touch_point_key,
        count(*) as event_count
    from told
    inner join part_days on told.brand_id = part_days.brand_id and told.touched_on = part_days.as_of_date
    inner join counted on told.customer_key = counted.customer_key
    left join channel_keys on told.channel = channel_keys.channel
    inner join touch_point_keys on told.touch_point = touch_point_keys.touch_point
    group by
        part_days.part_key, told.customer_key, coalesce(channel_keys.channel_key, 0), touch_point_keys.touch_point_key
),

by_period as (
    select
        part_periods.period_key,
        by_part.customer_key,
        by_part.channel_key,
        by_part.touch_point_key,
        by_part.event_count
    from by_part
    inner join part_periods on by_part.part_key = part_periods.part_key
    union all
    select
        part_periods.period_key,
        orders.customer_key,
        coalesce(channel_keys.channel_key, 0) as channel_key,
        touch_point_keys.touch_point_key,
        1 as event_count
    from {{ ref('fct_orders') }} as orders
    inner join counted on orders.customer_key = counted.customer_key
    inner join part_days on orders.brand_id = part_days.brand_id and orders.valid_from = part_days.as_of_date
    inner join part_periods on part_days.part_key = part_periods.part_key
    inner join periods on part_periods.period_key = periods.period_key
    inner join touch_point_keys on touch_point_keys.touch_point = 'purchase'
    left join channel_keys on orders.channel = channel_keys.channel
    where orders.valid_to is null or orders.valid_to > periods.last_on
),

int_star__touches as (
    select
        period_key,
        customer_key,
        channel_key,
        touch_point_key,
        cast(sum(event_count) as integer) as event_count
    from by_period
    group by period_key, customer_key, channel_key, touch_point_key
)

select * from int_star__touches
