-- Grain: one row per message to a known customer (message_id).
-- Why: whom a message was meant for and for which brand, and what came of it: seven models ask the same. A device that people
--      share is that of the person who had it when the message was sent, as in int_stages__spells.
-- Not here: anonymous visitors (var count_anonymous_visitors). What happened after the as-of date has not happened yet.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

owners as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
    where customer_key in (select counted.customer_key from ({{ quanyu.counted_customers() }}) as counted)
),

int_campaigns__messages as (
    select
        messages.message_id,
        coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        messages.campaign_id,
        owners.customer_key,
        messages.channel,
        messages.sent_on,
        case when cast(messages.delivered_at as date) <= as_of.as_of_date then messages.delivered_at end as delivered_at,
        {%- for event in ['delivered', 'opened', 'clicked', 'unsubscribed'] %}
        case
            when cast(messages.{{ event }}_at as date) <= as_of.as_of_date then cast(messages.{{ event }}_at as date)
        end as {{ event }}_on,
        {%- endfor %}
        messages.failed_reason is not null as has_failed,
        coalesce(messages.is_control, false) as is_control
    from {{ ref('stg_landing__messages') }} as messages
    inner join owners on messages.identifier_key = owners.identifier_key
    left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    cross join as_of
    where {{ quanyu.owned_at('messages.sent_at', 'owners') }}
)

select * from int_campaigns__messages
