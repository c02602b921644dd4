-- Grain: one row per brand, customer and channel, and one for all channels together (channel `*`), for customers who were
--        sent a message or may be answered (brand_id, customer_id, channel).
-- Why: never two messages: how much a customer was sent, and from which day on the caps allow the next.
-- Not here: messages that failed or that were held back as control.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

identities as (
    select
        map.identifier_key,
        customers.customer_key,
        customers.customer_id
    from {{ ref('int_identity__customer_map') }} as map
    inner join customers on map.customer_key = customers.customer_key
),

messages as (
    select
        coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        identities.customer_key,
        messages.channel,
        messages.sent_on,
        messages.message_id,
        messages.opened_at is not null or messages.clicked_at is not null as is_opened
    from {{ ref('stg_landing__messages') }} as messages
    inner join identities on messages.identifier_key = identities.identifier_key
    inner join as_of on messages.sent_on <= as_of.as_of_date
    left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    where messages.failed_reason is null and not coalesce(messages.is_control, false)
),

both_readings as (
    select * from messages
    union all
    select
        brand_id,
        customer_key,
        '*' as channel,
        sent_on,
        message_id,
        is_opened
    from messages
),

numbered as (
    select
        *,
        row_number() over (
            partition by brand_id, customer_key, channel order by sent_on desc, message_id desc
        ) as messages_since
    from both_readings
),

pressure as (
    select
        numbered.brand_id,
        numbered.customer_key,
        numbered.channel,
        max(numbered.sent_on) as last_sent_on,
        {%- for days in [7, 30] %}
        sum(case
            when numbered.sent_on > {{ quanyu.add_days('as_of.as_of_date', -days) }} then 1
            else 0
        end) as messages_{{ days }}d,
        {%- endfor %}
        sum(case
            when numbered.is_opened and numbered.sent_on > {{ quanyu.add_days('as_of.as_of_date', -30) }} then 1
            else 0
        end) as opened_30d
    from numbered
    cross join as_of
    group by numbered.brand_id, numbered.customer_key, numbered.channel
),

-- The cap is full until the oldest of its last messages leaves the window.
capped as (
    select
        numbered.brand_id,
        numbered.customer_key,
        numbered.channel,
        max({{ quanyu.add_days('numbered.sent_on', 'caps.window_days') }}) as next_allowed_on
    from numbered
    inner join {{ ref('frequency_caps') }} as caps
        on numbered.channel = caps.channel and numbered.messages_since = caps.max_messages
    group by numbered.brand_id, numbered.customer_key, numbered.channel
),

-- A customer who wrote may be answered for 48 hours.
written as (
    select
        touchpoints.brand_id,
        touchpoints.customer_key,
        touchpoints.channel,
        max(touchpoints.occurred_at) as last_message_in_at
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join as_of
        on touchpoints.occurred_on > {{ quanyu.add_days('as_of.as_of_date', -2) }}
    where touchpoints.event_type = 'message_in' and touchpoints.channel in ('official_account', 'miniprogram')
    group by touchpoints.brand_id, touchpoints.customer_key, touchpoints.channel
),

people as (
    select
        brand_id,
        customer_key,
        channel
    from pressure
    union
    select
        written.brand_id,
        written.customer_key,
        written.channel
    from written
    inner join customers on written.customer_key = customers.customer_key
),

measured as (
    select
        people.brand_id,
        people.customer_key,
        people.channel,
        pressure.last_sent_on,
        pressure.messages_7d,
        pressure.messages_30d,
        pressure.opened_30d,
        greatest(
            coalesce(own_caps.next_allowed_on, all_caps.next_allowed_on),
            coalesce(all_caps.next_allowed_on, own_caps.next_allowed_on)
        ) as next_allowed_on,
        written.last_message_in_at
    from people
    left join pressure
        on
            people.brand_id = pressure.brand_id
            and people.customer_key = pressure.customer_key
            and people.channel = pressure.channel
    left join capped as own_caps
        on
            people.brand_id = own_caps.brand_id
            and people.customer_key = own_caps.customer_key
            and people.channel = own_caps.channel
    left join capped as all_caps
        on
            people.brand_id = all_caps.brand_id
            and people.customer_key = all_caps.customer_key
            and all_caps.channel = '*'
    left join written
        on
            people.brand_id = written.brand_id
            and people.customer_key = written.customer_key
            and people.channel = written.channel
),

contact_pressure as (
    select
        cast(measured.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(customers.customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(measured.channel as {{ dbt.type_string() }}) as channel,
        as_of.as_of_date,
        measured.last_sent_on,
        cast(coalesce(measured.messages_7d, 0) as integer) as messages_7d,
        cast(coalesce(measured.messages_30d, 0) as integer) as messages_30d,
        cast(coalesce(measured.opened_30d, 0) as integer) as opened_30d,
        cast(measured.next_allowed_on as date) as next_allowed_on,
        coalesce(
            measured.next_allowed_on > {{ quanyu.add_days('as_of.as_of_date', 1) }}, false
        ) as is_capped,
        measured.last_message_in_at,
        cast({{ dbt.dateadd('hour', 48, 'measured.last_message_in_at') }} as {{ quanyu.type_local_timestamp() }})
            as messageable_until
    from measured
    inner join customers on measured.customer_key = customers.customer_key
    cross join as_of
)

select * from contact_pressure
order by brand_id, customer_id, channel
