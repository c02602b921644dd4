-- Grain: one row per referral up to the as-of date.
-- Why: who invited whom, for which brand, whether the invited person came and was activated, and how deep the chain is.
-- Not here: rewards; the level that counts is never deeper than two, the depth says how deep the chain really is.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
{%- set longest = 6 %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identities as (
    select
        identifier_key,
        customer_key
    from {{ ref('int_identity__customer_map') }}
),

invites as (
    select
        referrals.referral_id,
        referrals.invited_on,
        inviters.customer_key as inviter_key,
        invitees.customer_key as invitee_key,
        case when referrals.accepted_on <= as_of.as_of_date then referrals.accepted_on end as accepted_on
    from {{ ref('stg_landing__referrals') }} as referrals
    cross join as_of
    inner join identities as inviters on referrals.inviter_key = inviters.identifier_key
    left join identities as invitees on referrals.invitee_key = invitees.identifier_key
    where referrals.invited_on <= as_of.as_of_date
),

-- A referral names no brand: it is that of the inviter's oldest live membership on the day, else the default one.
branded as (
    select
        invites.*,
        coalesce(memberships.brand_id, '{{ var("default_brand_id") }}') as brand_id
    from invites
    left join {{ ref('fct_membership_spells') }} as memberships
        on
            invites.inviter_key = memberships.customer_key
            and invites.invited_on >= memberships.valid_from
            and invites.invited_on < coalesce(memberships.valid_to, {{ quanyu.far_date() }})
    qualify row_number() over (
        partition by invites.referral_id
        order by memberships.joined_at asc nulls last, memberships.brand_id asc, memberships.membership_key asc
    ) = 1
),

-- A person was brought in once: by the first referral that they accepted. Nobody brings in himself.
parents as (
    select
        referral_id,
        brand_id,
        invitee_key as customer_key,
        inviter_key as parent_key,
        accepted_on
    from branded
    where accepted_on is not null and invitee_key is not null and invitee_key <> inviter_key
    qualify row_number() over (
        partition by brand_id, invitee_key order by accepted_on asc, invited_on asc nulls last, referral_id asc
    ) = 1
),

-- Depth of the chain that ends in a person: 1 = brought in by somebody whom nobody brought in. A chain is walked
-- backwards in time, so a ring ends; beyond {{ longest }} it counts as {{ longest }}.
depth_1 as (
    select
        parents.brand_id,
        parents.customer_key,
        parents.accepted_on,
        parents.parent_key,
        1 as depth
    from parents
),
{% for n in range(2, longest + 1) %}
depth_{{ n }} as (
    select
        walked.brand_id,
        walked.customer_key,
        coalesce(above.accepted_on, walked.accepted_on) as accepted_on,
        case when above.customer_key is not null then above.parent_key end as parent_key,
        case when above.customer_key is not null then {{ n }} else walked.depth end as depth
    from depth_{{ n - 1 }} as walked
    left join parents as above
        on
            walked.brand_id = above.brand_id
            and walked.parent_key = above.customer_key
            and walked.accepted_on >= above.accepted_on
),
{% endfor %}
activations as (
    select
        branded.referral_id,
        min(days.activity_date) as activated_on
    from branded
    inner join {{ ref('int_growth__scopes') }} as scopes on branded.brand_id = scopes.brand_id and scopes.channel = 'all'
    inner join {{ ref('int_growth__channel_days') }} as days
        on
            scopes.scope_key = days.scope_key
            and branded.invitee_key = days.customer_key
            and branded.accepted_on <= days.activity_date
    where days.order_count > 0 or days.is_benefit_use
    group by branded.referral_id
),

int_growth__referrals as (
    select
        branded.referral_id,
        branded.brand_id,
        branded.inviter_key,
        branded.invitee_key,
        branded.invited_on,
        branded.accepted_on,
        activations.activated_on,
        -- The referral that brought the person in; a second acceptance is none.
        parents.customer_key is not null as is_first_acceptance,
        case when parents.customer_key is not null then depths.depth end as depth
    from branded
    left join activations on branded.referral_id = activations.referral_id
    left join parents on branded.referral_id = parents.referral_id
    left join depth_{{ longest }} as depths
        on parents.brand_id = depths.brand_id and parents.customer_key = depths.customer_key
)

select * from int_growth__referrals
