-- Grain: one row per brand and customer with an owner or a live channel.
-- Why: who of the staff looks after the customer, and by which channels the customer can still be reached (consent holds).
-- Not here: channels without any sign of consent: a phone number alone is none.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

touchpoints as (
    select * from {{ ref('fct_touchpoints') }}
),

live_contacts as (
    select
        brand_id,
        customer_key,
        relationship_key as contact
    from {{ ref('fct_relationship_spells') }}
    where relationship = 'wecom_contact' and relationship_key <> '' and valid_to is null
),

channels as (
    select
        consents.brand_id,
        consents.customer_key,
        consents.channel as reach_channel
    from {{ ref('fct_consent_spells') }} as consents
    inner join as_of
        on
            consents.valid_from <= as_of.as_of_date
            and (consents.valid_to is null or consents.valid_to > as_of.as_of_date)
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
