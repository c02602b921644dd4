-- Grain: one row per period and customer whom a touch-point, message, membership or purchase touched in it
--        (period_key, customer_key).
-- Why: the layer before and at the end of the period beside what the customer did in it; new or old.
-- Not here: customers who stay in a layer untouched; stocks and flows come from the spells.
{{ config(
    schema='lifecycle', access='protected', contract={'enforced': false},
    materialized='incremental', incremental_strategy='replace_traced_and_reopened',
    pre_hook='{{ quanyu.trace_touched(quanyu.star_settings()) }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }} {{ ref('as_of') }} {{ ref('promotion_calendar') }}
-- depends_on: {{ ref('int_stages__calendar') }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}

with periods as (
    select * from {{ ref('int_star__periods') }}
),

-- An equality finds the periods of a day: a range would compare every day with every period.
period_days as (
    select
        periods.period_key,
        periods.brand_id,
        periods.ends_on,
        periods.last_on,
        calendar.as_of_date
    from periods
    inner join {{ ref('int_stages__calendar') }} as calendar
        on
            periods.brand_id = calendar.brand_id
            and calendar.as_of_date between periods.starts_on and periods.last_on
),

active_days as (
    select
        period_days.period_key,
        days.customer_key,
        count(*) as active_days
    from {{ ref('customer_day') }} as days
    inner join period_days on days.brand_id = period_days.brand_id and days.activity_date = period_days.as_of_date
    where
        (days.touchpoint_count > 0 or days.purchase_valid_to > period_days.last_on)
        {%- if is_incremental() %}
        and {{ quanyu.is_computed('days.customer_key', 'period_days.ends_on', quanyu.reopened_from()) }}
        {%- endif %}
    group by period_days.period_key, days.customer_key
),

touches as (
    select
        touches.period_key,
        touches.customer_key,
        sum(touches.event_count) as event_count,
        sum(touches.event_count * keys.is_interaction) as interaction_count,
        sum(case when (keys.deeds & 1) <> 0 then touches.event_count else 0 end) as message_count,
        bit_or(keys.deeds) as deeds,
        bit_or({{ quanyu.bit_of('keys.channel_key') }}) as channels,
        bit_or({{ quanyu.bit_of('keys.touch_point_key') }}) as touch_points,
        min(touches.rank_before) as rank_before,
        min(touches.rank_at_end) as rank_at_end,
        min(touches.first_met_on) as first_met_on,
        min(case when touches.is_new then 1 else 0 end) as is_new,
        min(touches.last_on) as last_on
    from {{ ref('int_star__touches') }} as touches
    inner join {{ ref('int_star__touch_keys') }} as keys
        on touches.channel_key = keys.channel_key and touches.touch_point_key = keys.touch_point_key
    {%- if is_incremental() %}
    where {{ quanyu.is_computed('touches.customer_key', 'touches.last_on', quanyu.reopened_from()) }}
    {%- endif %}
    group by touches.period_key, touches.customer_key
),

int_star__customer_periods as (
    select
        touches.period_key,
        touches.customer_key,
        cast(touches.event_count as integer) as event_count,
        cast(touches.interaction_count as integer) as interaction_count,
        cast(touches.message_count as integer) as message_count,
        cast(coalesce(active_days.active_days, 0) as integer) as active_days,
        {%- for deed, bit in {
            'has_message': 1, 'has_message_in': 2, 'has_share': 4, 'has_cart_add': 8, 'has_coupon_claim': 16,
            'has_coupon_use': 32, 'has_points_redeem': 64, 'is_active': 256, 'is_active_in_group': 512,
        }.items() %}
        cast(case when (touches.deeds & {{ bit }}) <> 0 then 1 else 0 end as tinyint) as {{ deed }},
        {%- endfor %}
        -- Which channels and touch-points the customer met, a bit each.
        touches.channels,
        touches.touch_points,
        touches.rank_before,
        touches.rank_at_end,
        touches.first_met_on,
        touches.is_new = 1 as is_new,
        touches.last_on,
        '{{ quanyu.star_settings() }}' as _settings,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from touches
    left join active_days
        on touches.period_key = active_days.period_key and touches.customer_key = active_days.customer_key
)

select * from int_star__customer_periods
