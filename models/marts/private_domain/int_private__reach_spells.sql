-- Grain: one row per brand, customer, reach channel and unbroken time in which the customer can be reached by it.
-- Why: who can be reached by what on day d: valid_from <= d and (valid_to is null or d < valid_to). The channels `any`
--      and `two_or_more` are those of the private domain together.
-- Not here: channels without any sign of consent (a phone number alone is none); members, who are no channel.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

relationships as (
    select
        brand_id,
        customer_key,
        case relationship
            when 'wecom_contact' then 'wecom'
            when 'group_member' then 'community_group'
            else relationship_key
        end as reach_channel,
        valid_from,
        valid_to
    from {{ ref('fct_relationship_spells') }}
    where relationship <> 'member'
),

-- An OA or a WeCom contact is reachable by its live relationship, not by an old message.
messages as (
    select
        campaigns.brand_id,
        identities.customer_key,
        messages.channel as reach_channel,
        min(cast(messages.delivered_at as date)) as valid_from,
        max(case
            when cast(messages.unsubscribed_at as date) <= as_of.as_of_date then cast(messages.unsubscribed_at as date)
        end) as valid_to
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    inner join {{ ref('int_identity__customer_map') }} as identities
        on messages.identifier_key = identities.identifier_key
    inner join as_of on messages.sent_on <= as_of.as_of_date
    where messages.channel in ('sms', 'email', 'app')
    group by campaigns.brand_id, identities.customer_key, messages.channel
),

spells as (
    select * from relationships
    where reach_channel <> ''
    union all
    select messages.*
    from messages
    inner join as_of on messages.valid_from <= as_of.as_of_date
    where messages.valid_to is null or messages.valid_to > messages.valid_from
),

turns as (
    select
        brand_id,
        customer_key,
        reach_channel,
        valid_from as turned_on,
        1 as change
    from spells
    union all
    select
        brand_id,
        customer_key,
        reach_channel,
        valid_to as turned_on,
        -1 as change
    from spells
    where valid_to is not null
),

levels as (
    select
        turns.brand_id,
        turns.customer_key,
        turns.reach_channel,
        turns.turned_on,
        sum(sum(turns.change)) over (
            partition by turns.brand_id, turns.customer_key, turns.reach_channel order by turns.turned_on
            rows between unbounded preceding and current row
        ) as level
    from turns
    inner join customers on turns.customer_key = customers.customer_key
    group by turns.brand_id, turns.customer_key, turns.reach_channel, turns.turned_on
),

-- A channel begins and ends with its first and its last contact; those of the private domain are then put together.
channel_turns as (
    select
        *,
        lag(level, 1, 0) over (
            partition by brand_id, customer_key, reach_channel order by turned_on
        ) as level_before
    from levels
),

private_levels as (
    select
        channel_turns.brand_id,
        channel_turns.customer_key,
        channel_turns.turned_on,
        sum(sum(case when channel_turns.level > 0 then 1 else -1 end)) over (
            partition by channel_turns.brand_id, channel_turns.customer_key order by channel_turns.turned_on
            rows between unbounded preceding and current row
        ) as level
    from channel_turns
    inner join {{ ref('channels') }} as channels
        on channel_turns.reach_channel = channels.channel and channels.domain = 'private'
    where (channel_turns.level > 0) <> (channel_turns.level_before > 0)
    group by channel_turns.brand_id, channel_turns.customer_key, channel_turns.turned_on
),

all_levels as (
    select
        brand_id,
        customer_key,
        reach_channel,
        turned_on,
        level > 0 as is_live
    from levels
    {%- for channel, least in [('any', 1), ('two_or_more', 2)] %}
    union all
    select
        brand_id,
        customer_key,
        '{{ channel }}' as reach_channel,
        turned_on,
        level >= {{ least }} as is_live
    from private_levels
    {%- endfor %}
),

compared as (
    select
        *,
        lag(is_live, 1, false) over (
            partition by brand_id, customer_key, reach_channel order by turned_on
        ) as was_live
    from all_levels
),

changes as (
    select
        brand_id,
        customer_key,
        reach_channel,
        is_live,
        turned_on as valid_from,
        lead(turned_on) over (
            partition by brand_id, customer_key, reach_channel order by turned_on
        ) as valid_to
    from compared
    where is_live <> was_live
),

int_private__reach_spells as (
    select
        brand_id,
        customer_key,
        reach_channel,
        valid_from,
        valid_to
    from changes
    where is_live
)

select * from int_private__reach_spells
