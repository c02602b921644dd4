-- Grain: one row per brand and customer with an owner or a live channel.
-- Why: who of the staff looks after the customer, and by which channels the customer can still be reached.
-- Not here: channels without any sign of consent: a phone number alone is none.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

touchpoints as (
    select * from {{ ref('fct_touchpoints') }}
),

contact_events as (
    select
        brand_id,
        customer_key,
        case
            when event_type in ('follow', 'unfollow') then channel
            when event_type in ('wecom_add', 'wecom_delete') then 'wecom'
            else 'community_group'
        end as reach_channel,
        case
            when event_type in ('wecom_add', 'wecom_delete') then staff_id
            when event_type in ('group_join', 'group_leave') then content_id
        end as contact,
        event_type in ('follow', 'wecom_add', 'group_join') as is_start,
        occurred_at,
        event_id
    from touchpoints
    where event_type in ('follow', 'unfollow', 'wecom_add', 'wecom_delete', 'group_join', 'group_leave')
),

-- At one instant an end counts after a start.
last_events as (
    select * from contact_events
    qualify row_number() over (
        partition by brand_id, customer_key, reach_channel, contact
        order by occurred_at desc, is_start asc, event_id desc
    ) = 1
),

live_contacts as (
    select * from last_events
    where is_start
),

identities as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
),

messages as (
    select
        campaigns.brand_id,
        identities.customer_key,
        messages.channel as reach_channel,
        max(cast(messages.delivered_at as date)) as delivered_on,
        max(cast(messages.unsubscribed_at as date)) as unsubscribed_on
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    inner join identities on messages.identifier_key = identities.identifier_key
    inner join as_of on messages.sent_on <= as_of.as_of_date
    where {{ quanyu.owned_at('messages.sent_at', 'identities') }}
    group by campaigns.brand_id, identities.customer_key, messages.channel
),

channels as (
    select
        brand_id,
        customer_key,
        reach_channel
    from live_contacts
    where reach_channel is not null
    union
    select
        messages.brand_id,
        messages.customer_key,
        messages.reach_channel
    from messages
    inner join as_of on messages.delivered_on <= as_of.as_of_date
    -- An OA or a WeCom contact is reachable by its live relationship, not by an old message.
    where
        messages.reach_channel in ('sms', 'email', 'app')
        and (messages.unsubscribed_on is null or messages.unsubscribed_on > as_of.as_of_date)
),

reachable as (
    select
        brand_id,
        customer_key,
        {{ quanyu.joined_distinct('reach_channel') }} as reachable_channels
    from channels
    group by brand_id, customer_key
),

-- Of several live contacts the one active last with the customer.
contact_activity as (
    select
        live_contacts.brand_id,
        live_contacts.customer_key,
        live_contacts.contact as owner_id,
        max(touchpoints.occurred_at) as last_active_at
    from live_contacts
    inner join touchpoints
        on
            live_contacts.brand_id = touchpoints.brand_id
            and live_contacts.customer_key = touchpoints.customer_key
            and live_contacts.contact = touchpoints.staff_id
    where live_contacts.reach_channel = 'wecom' and live_contacts.contact is not null
    group by live_contacts.brand_id, live_contacts.customer_key, live_contacts.contact
),

contact_owners as (
    select
        brand_id,
        customer_key,
        owner_id
    from contact_activity
    qualify row_number() over (
        partition by brand_id, customer_key order by last_active_at desc, owner_id asc
    ) = 1
),

order_owners as (
    select
        brand_id,
        customer_key,
        staff_id as owner_id
    from {{ ref('fct_orders') }}
    where customer_key is not null and staff_id is not null and valid_from is not null
    qualify row_number() over (
        partition by brand_id, customer_key order by ordered_at desc, source_system asc, order_id desc
    ) = 1
),

people as (
    select
        brand_id,
        customer_key
    from reachable
    union
    select
        brand_id,
        customer_key
    from contact_owners
    union
    select
        brand_id,
        customer_key
    from order_owners
),

int_value__reach as (
    select
        people.brand_id,
        people.customer_key,
        coalesce(contact_owners.owner_id, order_owners.owner_id) as owner_id,
        case
            when contact_owners.owner_id is not null then 'wecom'
            when order_owners.owner_id is not null then 'order'
        end as owner_source,
        reachable.reachable_channels
    from people
    left join reachable
        on people.brand_id = reachable.brand_id and people.customer_key = reachable.customer_key
    left join contact_owners
        on people.brand_id = contact_owners.brand_id and people.customer_key = contact_owners.customer_key
    left join order_owners
        on people.brand_id = order_owners.brand_id and people.customer_key = order_owners.customer_key
)

select * from int_value__reach
