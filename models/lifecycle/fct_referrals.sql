-- Grain: one row per referral up to the as-of date (referral_id).
-- Why: who invited whom, and for which brand: stages, growth and STAR must mean the same one.
-- Not here: chains and activation (int_growth__referrals); referrals whose inviter nobody knows; people who invite
--           themselves by another of their identifiers, which brings in nobody.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

customers as (
    select
        identifier_key,
        customer_key,
        valid_from,
        valid_to
    from {{ ref('int_identity__resolution') }}
),

invited as (
    select
        referrals.referral_id,
        referrals.inviter_key as inviter_identifier,
        referrals.invited_at,
        referrals.invited_on,
        case when referrals.accepted_on <= as_of.as_of_date then referrals.accepted_on end as accepted_on,
        invitees.customer_key as invitee_key
    from {{ ref('stg_landing__referrals') }} as referrals
    inner join as_of on referrals.invited_on <= as_of.as_of_date
    left join customers as invitees on referrals.invitee_key = invitees.identifier_key
    where {{ quanyu.owned_at('referrals.invited_at', 'invitees') }}
),

named as (
    select
        invited.*,
        inviters.customer_key as inviter_key
    from invited
    inner join customers as inviters on invited.inviter_identifier = inviters.identifier_key
    where
        {{ quanyu.owned_at('invited.invited_at', 'inviters') }}
        and (invited.invitee_key is null or invited.invitee_key <> inviters.customer_key)
),

-- A referral names no brand: it is that of the inviter's oldest live membership on the day, else the default one.
fct_referrals as (
    select
        named.referral_id,
        coalesce(memberships.brand_id, '{{ var("default_brand_id") }}') as brand_id,
        named.inviter_key,
        named.invitee_key,
        named.invited_on,
        named.accepted_on
    from named
    left join {{ ref('fct_membership_spells') }} as memberships
        on
            named.inviter_key = memberships.customer_key
            and named.invited_on >= memberships.valid_from
            and named.invited_on < coalesce(memberships.valid_to, {{ quanyu.far_date() }})
    qualify row_number() over (
        partition by named.referral_id
        order by memberships.joined_at asc nulls last, memberships.brand_id asc, memberships.membership_key asc
    ) = 1
)

select * from fct_referrals
