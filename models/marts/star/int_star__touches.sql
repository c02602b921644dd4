-- Grain: one row per period, customer, channel and touch-point (period_key, customer_key,
--        channel_key, touch_point_key).
-- Why: the one pass over the touch-points that all STAR tables share, with the customer's layers before the period and at its
--      end, so that nobody needs to join them again.
-- Not here: anonymous visitors (var count_anonymous_visitors); purchases that are refunded in full by the period's end.
{{ config(
    schema='lifecycle', access='protected', contract={'enforced': false},
    materialized='incremental', incremental_strategy='replace_traced_and_reopened',
    pre_hook='{{ quanyu.trace_touched(quanyu.star_settings()) }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }} {{ ref('as_of') }} {{ ref('promotion_calendar') }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}
{%- set reopened = quanyu.reopened_from() %}
{%- if reopened %}
{%- set reopened_start = quanyu.scalar('select cast(min(starts_on) as ' ~ dbt.type_string() ~ ') from ' ~ ref('int_star__periods')
    ~ " where ends_on >= date '" ~ reopened ~ "'") %}
{%- endif %}

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
        brand_id,
        customer_key,
        delivered_on as touched_on,
        channel,
        'message' as touch_point
    from {{ ref('int_campaigns__messages') }}
    where delivered_on is not null
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
    {%- if is_incremental() %}
    where {{ quanyu.is_rewritten(quanyu.star_settings()) | indent(4) }}
    {%- if reopened %}
    union all
    select
        brand_id,
        customer_key,
        occurred_on as touched_on,
        channel,
        event_type as touch_point
    from {{ ref('fct_touchpoints') }}
    where occurred_on >= date '{{ reopened_start }}' and customer_key not in ({{ quanyu.traced() }})
    {%- endif %}
    {%- endif %}
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

counts as (
    select
        by_period.period_key,
        by_period.customer_key,
        by_period.channel_key,
        by_period.touch_point_key,
        cast(sum(by_period.event_count) as integer) as event_count
    from by_period
    {%- if is_incremental() %}
    inner join periods on by_period.period_key = periods.period_key
    where {{ quanyu.is_computed('by_period.customer_key', 'periods.ends_on', reopened) }}
    {%- endif %}
    group by by_period.period_key, by_period.customer_key, by_period.channel_key, by_period.touch_point_key
),

people as (
    select
        counts.period_key,
        counts.customer_key,
        periods.brand_id,
        periods.starts_on,
        periods.day_before,
        periods.last_on
    from (
        select distinct
            period_key,
            customer_key
        from counts
    ) as counts
    inner join periods on counts.period_key = periods.period_key
),

first_met as (
    select
        brand_id,
        customer_key,
        min(met_on) as first_met_on
    from (
        select
            brand_id,
            customer_key,
            activity_date as met_on
        from {{ ref('customer_day') }}
        union all
        select
            brand_id,
            customer_key,
            delivered_on as met_on
        from {{ ref('int_campaigns__messages') }}
        where delivered_on is not null
    ) as meetings
    {%- if is_incremental() %}
    where customer_key in (select people.customer_key from people)
    {%- endif %}
    group by brand_id, customer_key
),

spells as (
    select
        brand_id,
        customer_key,
        stage_rank,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where
        model = '{{ var("star_stage_model") }}'
        {%- if is_incremental() %}
        and customer_key in (select people.customer_key from people)
        {%- endif %}
),

placed as (
    select
        people.period_key,
        people.customer_key,
        cast(coalesce(before.stage_rank, 0) as smallint) as rank_before,
        cast(coalesce(at_end.stage_rank, 0) as smallint) as rank_at_end,
        first_met.first_met_on,
        first_met.first_met_on >= people.starts_on as is_new,
        people.last_on
    from people
    inner join first_met
        on people.brand_id = first_met.brand_id and people.customer_key = first_met.customer_key
    left join spells as before
        on
            people.brand_id = before.brand_id
            and people.customer_key = before.customer_key
            and people.day_before >= before.valid_from
            and people.day_before < before.valid_to
    left join spells as at_end
        on
            people.brand_id = at_end.brand_id
            and people.customer_key = at_end.customer_key
            and people.last_on >= at_end.valid_from
            and people.last_on < at_end.valid_to
),

int_star__touches as (
    select
        counts.period_key,
        counts.customer_key,
        counts.channel_key,
        counts.touch_point_key,
        counts.event_count,
        placed.rank_before,
        placed.rank_at_end,
        placed.first_met_on,
        placed.is_new,
        placed.last_on,
        '{{ quanyu.star_settings() }}' as _settings,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from counts
    inner join placed on counts.period_key = placed.period_key and counts.customer_key = placed.customer_key
)

select * from int_star__touches
