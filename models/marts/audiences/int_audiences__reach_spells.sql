-- Grain: one row per brand, customer, channel and unbroken time of reachability (brand_id, customer_key, channel, from_day).
-- Why: who can be reached by which channel on which day; on the as-of date the same as int_value__reach.
-- Not here: channels without any sign of consent: a phone number alone is none.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

relationships as (
    select
        brand_id,
        customer_key,
        case relationship
            when 'follower' then relationship_key
            when 'wecom_contact' then 'wecom'
            else 'community_group'
        end as channel,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('fct_relationship_spells') }}
    where relationship in ('follower', 'wecom_contact', 'group_member')
),

-- From the first delivered message until the first time that the customer unsubscribes.
messages as (
    select
        campaigns.brand_id,
        identities.customer_key,
        messages.channel,
        {{ quanyu.day_number('min(cast(messages.delivered_at as date))') }} as from_day,
        coalesce(
            {{ quanyu.day_number('min(cast(messages.unsubscribed_at as date))') }}, {{ quanyu.far_day() }}
        ) as to_day
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    inner join {{ ref('int_identity__customer_map') }} as identities
        on messages.identifier_key = identities.identifier_key
    inner join as_of on messages.sent_on <= as_of.as_of_date
    where messages.channel in ('sms', 'email', 'app')
    group by campaigns.brand_id, identities.customer_key, messages.channel
),

reached as (
    select * from relationships
    where channel <> ''
    union all
    select messages.*
    from messages
    inner join as_of on messages.from_day <= {{ quanyu.day_number('as_of.as_of_date') }}
    where messages.from_day < messages.to_day
),

int_audiences__reach_spells as (
    {{ quanyu.union_of_spells('reached', ['brand_id', 'customer_key', 'channel']) | indent(4) }}
)

select * from int_audiences__reach_spells
