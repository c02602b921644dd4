-- Grain: one row per brand, customer, channel and unbroken time of consent (brand_id, customer_key, channel, valid_from).
-- Why: who may be written to by which channel on which day: valid_from <= d and (valid_to is null or d < valid_to). Every
--      export is gated by it.
-- Not here: channels without any sign of consent: a phone number alone is none. Caps and hold-outs are the audience's.
{%- set never = "date '0001-01-01'" %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

-- A follow, a contact or a group is consent to its channel until it ends.
contacts as (
    select
        brand_id,
        customer_key,
        case relationship
            when 'follower' then relationship_key
            when 'wecom_contact' then 'wecom'
            else 'community_group'
        end as channel,
        valid_from,
        valid_to,
        case relationship
            when 'follower' then 'unfollow'
            when 'wecom_contact' then 'delete'
            else 'leave'
        end as ended_by
    from {{ ref('fct_relationship_spells') }}
    where relationship in ('follower', 'wecom_contact', 'group_member')
),

-- A message to a device that went on to somebody else is of the person who had it then.
messages as (
    select
        coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        identities.customer_key,
        messages.channel,
        cast(messages.delivered_at as date) as delivered_on,
        cast(messages.unsubscribed_at as date) as unsubscribed_on
    from {{ ref('stg_landing__messages') }} as messages
    inner join {{ ref('int_identity__resolution') }} as identities
        on messages.identifier_key = identities.identifier_key
    inner join as_of on messages.sent_on <= as_of.as_of_date
    left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
    where {{ quanyu.owned_at('messages.sent_at', 'identities') }}
),

opt_outs as (
    select distinct
        messages.brand_id,
        messages.customer_key,
        messages.channel,
        messages.unsubscribed_on
    from messages
    inner join as_of on messages.unsubscribed_on <= as_of.as_of_date
),

-- Who unsubscribes while a relationship lives is out until the relationship begins anew.
contacts_until_opt_out as (
    select
        contacts.brand_id,
        contacts.customer_key,
        contacts.channel,
        contacts.valid_from,
        coalesce(min(opt_outs.unsubscribed_on), contacts.valid_to) as valid_to,
        case when min(opt_outs.unsubscribed_on) is null then contacts.ended_by else 'unsubscribe' end as ended_by
    from contacts
    left join opt_outs
        on
            contacts.brand_id = opt_outs.brand_id
            and contacts.customer_key = opt_outs.customer_key
            and contacts.channel = opt_outs.channel
            and contacts.valid_from <= opt_outs.unsubscribed_on
            and (contacts.valid_to is null or contacts.valid_to > opt_outs.unsubscribed_on)
    group by
        contacts.brand_id, contacts.customer_key, contacts.channel, contacts.valid_from, contacts.valid_to,
        contacts.ended_by
),

-- Nobody follows an SMS: the first message that arrives says that the brand had consent, the first unsubscription ends it.
subscriptions as (
    select
        messages.brand_id,
        messages.customer_key,
        messages.channel,
        min(case when messages.delivered_on <= as_of.as_of_date then messages.delivered_on end) as valid_from,
        min(case when messages.unsubscribed_on <= as_of.as_of_date then messages.unsubscribed_on end) as valid_to
    from messages
    cross join as_of
    where messages.channel in ('sms', 'email', 'app')
    group by messages.brand_id, messages.customer_key, messages.channel
),

-- Consent given as a member ends with the membership and comes back with the next one.
memberships as (
    select
        brand_id,
        customer_key,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to,
        max(coalesce(valid_to, {{ quanyu.far_date() }})) over (
            partition by brand_id, customer_key
            order by valid_from, valid_to, membership_key
            rows between unbounded preceding and 1 preceding
        ) as valid_before
    from {{ ref('fct_membership_spells') }}
),

numbered_memberships as (
    select
        *,
        sum(case when valid_before is null or valid_from > valid_before then 1 else 0 end) over (
            partition by brand_id, customer_key
            order by valid_from, valid_to
            rows between unbounded preceding and current row
        ) as stay
    from memberships
),

stays as (
    select
        brand_id,
        customer_key,
        case when stay = 1 then {{ never }} else min(valid_from) end as valid_from,
        max(valid_to) as valid_to
    from numbered_memberships
    group by brand_id, customer_key, stay
),

granted as (
    select
        brand_id,
        customer_key,
        channel,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to,
        ended_by
    from contacts_until_opt_out
    where channel <> ''
    union all
    select
        subscriptions.brand_id,
        subscriptions.customer_key,
        subscriptions.channel,
        greatest(subscriptions.valid_from, coalesce(stays.valid_from, {{ never }})) as valid_from,
        least(
            coalesce(subscriptions.valid_to, {{ quanyu.far_date() }}), coalesce(stays.valid_to, {{ quanyu.far_date() }})
        ) as valid_to,
        case when stays.valid_to < subscriptions.valid_to or subscriptions.valid_to is null then 'quit' else 'unsubscribe' end
            as ended_by
    from subscriptions
    left join stays
        on subscriptions.brand_id = stays.brand_id and subscriptions.customer_key = stays.customer_key
    where subscriptions.valid_from is not null
),

-- Two contacts of one channel are one consent.
with_earlier as (
    select
        *,
        max(valid_to) over (
            partition by brand_id, customer_key, channel
            order by valid_from, valid_to, ended_by
            rows between unbounded preceding and 1 preceding
        ) as valid_before
    from granted
    where valid_from < valid_to
),

islands as (
    select
        *,
        sum(case when valid_before is null or valid_from > valid_before then 1 else 0 end) over (
            partition by brand_id, customer_key, channel
            order by valid_from, valid_to, ended_by
            rows between unbounded preceding and current row
        ) as island
    from with_earlier
),

last_ends as (
    select
        *,
        max(valid_to) over (partition by brand_id, customer_key, channel, island) as last_valid_to
    from islands
),

fct_consent_spells as (
    select
        brand_id,
        customer_key,
        channel,
        min(valid_from) as valid_from,
        nullif(max(valid_to), {{ quanyu.far_date() }}) as valid_to,
        case
            when max(valid_to) < {{ quanyu.far_date() }}
                then min(case when valid_to = last_valid_to then ended_by end)
        end as ended_by
    from last_ends
    group by brand_id, customer_key, channel, island
)

select * from fct_consent_spells
