-- Grain: one row per brand and month (the cycle) from the brand's first activity to the as-of date.
-- Why: do customers bring customers: invitations, activation, the K-factor and what the invited are worth.
-- Not here: single chains (referral_chains); channels, which a referral does not name.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

cycles as (
    select distinct
        brand_id,
        cast({{ dbt.date_trunc('month', 'as_of_date') }} as date) as cycle_month
    from {{ ref('int_stages__calendar') }}
),

referrals as (
    select
        *,
        cast({{ dbt.date_trunc('month', 'invited_on') }} as date) as cycle_month
    from {{ ref('int_growth__referrals') }}
),

counted as (
    select
        brand_id,
        cycle_month,
        count(*) as invites,
        count(distinct inviter_key) as inviters,
        count(distinct invitee_key) as invitees,
        sum(case when accepted_on is not null then 1 else 0 end) as accepted,
        sum(case
            when activated_on <= {{ quanyu.add_days('invited_on', var('referral_days')) }} then 1 else 0
        end) as activated,
        sum(case when depth = 1 then 1 else 0 end) as accepted_level_1,
        sum(case when depth >= 2 then 1 else 0 end) as accepted_level_2,
        sum(case when depth > 2 then 1 else 0 end) as deeper_chains,
        max(depth) as longest_chain
    from referrals
    group by brand_id, cycle_month
),

-- Users at the start of the cycle: the month's active people of the day before, NULL where the brand had no day before.
users as (
    select
        brand_id,
        {{ quanyu.add_days('as_of_date', 1) }} as starts_on,
        mau
    from {{ ref('aarrr_daily') }}
    where channel = 'all'
),

brought_in as (
    select
        brand_id,
        invitee_key as customer_key,
        min(accepted_on) as accepted_on
    from {{ ref('int_growth__referrals') }}
    where is_first_acceptance
    group by brand_id, invitee_key
),

money as (
    select
        orders.brand_id,
        cast({{ dbt.date_trunc('month', 'orders.purchased_on') }} as date) as cycle_month,
        sum(orders.net_amount) as net_amount,
        sum(case when orders.purchased_on >= brought_in.accepted_on then orders.net_amount else 0 end)
            as referred_net_amount
    from {{ ref('fct_orders') }} as orders
    left join brought_in
        on orders.brand_id = brought_in.brand_id and orders.customer_key = brought_in.customer_key
    where orders.is_valid_purchase
    group by orders.brand_id, cast({{ dbt.date_trunc('month', 'orders.purchased_on') }} as date)
),

joined as (
    select
        cycles.brand_id,
        cycles.cycle_month,
        cast({{ dbt.last_day('cycles.cycle_month', 'month') }} as date) as cycle_end,
        users.mau as users,
        {%- for column in ['invites', 'inviters', 'invitees', 'accepted', 'activated', 'accepted_level_1',
                           'accepted_level_2', 'deeper_chains'] %}
        coalesce(counted.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        counted.longest_chain,
        coalesce(money.net_amount, 0) as net_amount,
        coalesce(money.referred_net_amount, 0) as referred_net_amount
    from cycles
    left join counted on cycles.brand_id = counted.brand_id and cycles.cycle_month = counted.cycle_month
    left join users on cycles.brand_id = users.brand_id and cycles.cycle_month = users.starts_on
    left join money on cycles.brand_id = money.brand_id and cycles.cycle_month = money.cycle_month
),

referral_cycles as (
    select
        cast(joined.brand_id as {{ dbt.type_string() }}) as brand_id,
        joined.cycle_month,
        joined.cycle_end <= as_of.as_of_date as is_complete,
        cast(joined.users as bigint) as users,
        cast(joined.invites as bigint) as invites,
        cast(joined.inviters as bigint) as inviters,
        cast(joined.invitees as bigint) as invitees,
        cast(joined.accepted as bigint) as accepted,
        cast(joined.accepted as double) / nullif(joined.invites, 0) as acceptance_rate,
        cast(case
            when {{ quanyu.add_days('joined.cycle_end', var('referral_days')) }} <= as_of.as_of_date then joined.activated
        end as bigint) as activated,
        case
            when {{ quanyu.add_days('joined.cycle_end', var('referral_days')) }} <= as_of.as_of_date
                then cast(joined.activated as double) / nullif(joined.invites, 0)
        end as invite_activation_rate,
        cast(joined.accepted as double) / nullif(joined.users, 0) as k_factor,
        cast(joined.accepted as double) / nullif(joined.inviters, 0) as participant_k_factor,
        cast(joined.accepted_level_1 as bigint) as accepted_level_1,
        cast(joined.accepted_level_2 as bigint) as accepted_level_2,
        cast(joined.deeper_chains as bigint) as deeper_chains,
        cast(joined.longest_chain as integer) as longest_chain,
        cast(joined.net_amount as decimal(18, 4)) as net_amount,
        cast(joined.referred_net_amount as decimal(18, 4)) as referred_net_amount,
        cast(joined.referred_net_amount as double) / nullif(cast(joined.net_amount as double), 0) as referred_amount_share
    from joined
    cross join as_of
)

select * from referral_cycles
order by brand_id, cycle_month
