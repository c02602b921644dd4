-- Grain: one row per referral up to the as-of date.
-- Why: whether the invited person of a referral came and was activated, and how deep the chain is.
-- Not here: rewards; the level that counts is never deeper than two, the depth says how deep the chain really is.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
{%- set longest = 6 %}
with branded as (
    select * from {{ ref('fct_referrals') }}
),

-- A person was brought in once: by the first referral that they accepted.
parents as (
    select
        referral_id,
        brand_id,
        invitee_key as customer_key,
        inviter_key as parent_key,
        accepted_on
    from branded
    where accepted_on is not null and invitee_key is not null
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
