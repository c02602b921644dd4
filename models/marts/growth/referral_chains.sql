-- Grain: one row per brand and customer who was brought in by another customer.
-- Why: who brought whom; rewards count two levels, and chains that are deeper are named (three levels are a legal risk).
-- Not here: invitations that nobody accepted; a second acceptance by the same person.
with identities as (
    {{ quanyu.counted_customers() }}
),

spent as (
    select
        brand_id,
        customer_key,
        sum(net_amount) as net_amount
    from {{ ref('fct_orders') }}
    where is_valid_purchase and customer_key is not null
    group by brand_id, customer_key
),

referral_chains as (
    select
        cast(referrals.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(invitees.customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(inviters.customer_id as {{ dbt.type_string() }}) as inviter_customer_id,
        referrals.invited_on,
        referrals.accepted_on,
        referrals.activated_on,
        cast(least(referrals.depth, 2) as integer) as referral_level,
        cast(referrals.depth as integer) as chain_depth,
        referrals.depth > 2 as is_deeper_than_two,
        cast(coalesce(spent.net_amount, 0) as decimal(18, 4)) as net_amount
    from {{ ref('int_growth__referrals') }} as referrals
    inner join identities as invitees on referrals.invitee_key = invitees.customer_key
    inner join identities as inviters on referrals.inviter_key = inviters.customer_key
    left join spent
        on referrals.brand_id = spent.brand_id and referrals.invitee_key = spent.customer_key
    where referrals.is_first_acceptance
)

select * from referral_chains
order by brand_id, customer_id
