-- Grain: one row per brand, day and channel (`all` included) from the brand's first activity to the as-of date.
-- Why: AARRR of every day; what a channel and the whole brand have in common is counted anew for `all`.
-- Not here: figures of weeks and months (aarrr_periods), cohorts (retention_daily), people seen in advertisements only.
-- Purchases and registrations are as known on the as-of date.
{%- set activation = var('activation_days') %}
with calendar as (
    select
        brand_id,
        as_of_date,
        {{ quanyu.days_between('min(as_of_date) over (partition by brand_id)', 'as_of_date') }} as day_number
    from {{ ref('int_stages__calendar') }}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

days as (
    select * from {{ ref('int_growth__channel_days') }}
),

registrations as (
    select * from {{ ref('int_growth__registrations') }}
),

-- What can be counted straight from the days of people.
acts as (
    select
        scope_key,
        activity_date as on_date,
        sum(page_view_count) as page_views,
        sum(case when is_visit then 1 else 0 end) as visitors,
        sum(case when is_ad_click then 1 else 0 end) as clickers,
        sum(login_count) as logins,
        sum(case when login_count > 0 and is_counted then 1 else 0 end) as login_users,
        sum(case when is_counted then 1 else 0 end) as active_users,
        sum(case when is_counted then active_count else 0 end) as actions,
        sum(case when order_count > 0 and is_counted then 1 else 0 end) as buyers,
        sum(case when is_counted then order_count else 0 end) as buyer_orders
    from days
    group by scope_key, activity_date
),

purchase_days as (
    select
        scope_key,
        activity_date as purchased_on,
        lead(activity_date) over purchases as next_on,
        lead(activity_date, 2) over purchases as third_on
    from days
    where order_count > 0 and is_counted
    window purchases as (partition by scope_key, customer_key order by activity_date)
),

-- Two purchase days lie within the window from the second of them until the first leaves it.
purchase_changes as (
    select
        scope_key,
        purchased_on as on_date,
        1 as buyers_change,
        0 as repeat_change
    from purchase_days
    union all
    select
        scope_key,
        least({{ quanyu.add_days('purchased_on', 365) }}, coalesce(next_on, {{ quanyu.far_date() }})) as on_date,
        -1 as buyers_change,
        0 as repeat_change
    from purchase_days
    union all
    select
        scope_key,
        next_on as on_date,
        0 as buyers_change,
        1 as repeat_change
    from purchase_days
    where next_on < {{ quanyu.add_days('purchased_on', 365) }}
    union all
    select
        scope_key,
        least({{ quanyu.add_days('purchased_on', 365) }}, coalesce(third_on, {{ quanyu.far_date() }})) as on_date,
        0 as buyers_change,
        -1 as repeat_change
    from purchase_days
    where next_on < {{ quanyu.add_days('purchased_on', 365) }}
),

-- Rolling people: a day of activity counts until the window or the next one ends it.
rolling_changes as (
    select
        scope_key,
        on_date,
        active_users as wau_change,
        active_users as mau_change,
        0 as buyers_change,
        0 as repeat_change
    from acts
    {%- for window, days in {'wau': 7, 'mau': 30}.items() %}
    union all
    select
        scope_key,
        least({{ quanyu.add_days('activity_date', days) }}, coalesce(next_activity_date, {{ quanyu.far_date() }})) as on_date,
        {{ '-count(*)' if window == 'wau' else '0' }} as wau_change,
        {{ '-count(*)' if window == 'mau' else '0' }} as mau_change,
        0 as buyers_change,
        0 as repeat_change
    from days
    where is_counted
    group by
        scope_key,
        least({{ quanyu.add_days('activity_date', days) }}, coalesce(next_activity_date, {{ quanyu.far_date() }}))
    {%- endfor %}
    union all
    select
        scope_key,
        on_date,
        0 as wau_change,
        0 as mau_change,
        sum(buyers_change) as buyers_change,
        sum(repeat_change) as repeat_change
    from purchase_changes
    group by scope_key, on_date
),

changes as (
    select
        scope_key,
        on_date,
        sum(wau_change) as wau_change,
        sum(mau_change) as mau_change,
        sum(buyers_change) as buyers_change,
        sum(repeat_change) as repeat_change
    from rolling_changes
    group by scope_key, on_date
),

-- Registration cohorts; `all` is the sum, for a person registers once.
registered as (
    select
        scopes.scope_key,
        registrations.registered_on as on_date,
        count(*) as registrations,
        sum(case
            when registrations.activated_on <= {{ quanyu.add_days('registrations.registered_on', activation) }} then 1
            else 0
        end) as activated
    from registrations
    inner join scopes
        on registrations.scope_key = scopes.scope_key or registrations.brand_scope_key = scopes.scope_key
    group by scopes.scope_key, registrations.registered_on
),

-- Visitors who could not register any more, having done so before, and those who did on the day. Clickers likewise, with days
-- to do it in.
registrants as (
    select
        days.scope_key,
        days.activity_date as on_date,
        sum(case when days.is_visit and registrations.registered_on < days.activity_date then 1 else 0 end)
            as earlier_visitors,
        sum(case
            when
                days.is_visit
                and registrations.registered_on = days.activity_date
                and days.scope_key in (registrations.scope_key, registrations.brand_scope_key)
                then 1
            else 0
        end) as registered_visitors,
        sum(case when days.is_ad_click and registrations.registered_on < days.activity_date then 1 else 0 end)
            as earlier_clickers,
        sum(case
            when
                days.is_ad_click
                and registrations.registered_on >= days.activity_date
                and registrations.registered_on <= {{ quanyu.add_days('days.activity_date', activation) }}
                then 1
            else 0
        end) as click_registrants
    from days
    inner join scopes on days.scope_key = scopes.scope_key
    inner join registrations
        on scopes.brand_scope_key = registrations.brand_scope_key and days.customer_key = registrations.customer_key
    where days.is_visit or days.is_ad_click
    group by days.scope_key, days.activity_date
),

-- Money, people who bought for the first time, and referrals: one row per thing, in the scopes that it counts in.
order_rows as (
    select
        orders.brand_id,
        coalesce(orders.channel, 'unknown') as channel,
        orders.purchased_on as on_date,
        count(*) as orders,
        sum(orders.net_amount) as net_amount
    from {{ ref('fct_orders') }} as orders
    where orders.is_valid_purchase
    group by orders.brand_id, coalesce(orders.channel, 'unknown'), orders.purchased_on
),

cost_rows as (
    select
        campaigns.brand_id,
        coalesce(costs.channel, campaigns.channel, 'unknown') as channel,
        costs.spent_on as on_date,
        sum(costs.impressions) as impressions,
        sum(costs.clicks) as clicks,
        sum(costs.cost_amount) as cost_amount,
        sum(case
            when campaigns.scenario in ({{ quanyu.text_literals(var('acquisition_scenarios')) }}) then costs.cost_amount
        end) as acquisition_cost_amount
    from {{ ref('stg_landing__campaign_costs') }} as costs
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on costs.campaign_id = campaigns.campaign_id
    inner join as_of on costs.spent_on <= as_of.as_of_date
    group by campaigns.brand_id, coalesce(costs.channel, campaigns.channel, 'unknown'), costs.spent_on
),

-- Sales of a campaign that has a cost are booked on the channel of the campaign: the sales side of ROAS.
campaign_sale_rows as (
    select
        orders.brand_id,
        coalesce(campaigns.channel, 'unknown') as channel,
        orders.purchased_on as on_date,
        sum(orders.net_amount) as campaign_sales_amount
    from {{ ref('fct_orders') }} as orders
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on orders.campaign_id = campaigns.campaign_id
    where
        orders.is_valid_purchase
        and orders.campaign_id in (
            select costs.campaign_id
            from {{ ref('stg_landing__campaign_costs') }} as costs
            inner join as_of on costs.spent_on <= as_of.as_of_date
        )
    group by orders.brand_id, coalesce(campaigns.channel, 'unknown'), orders.purchased_on
),

new_customer_rows as (
    select
        brand_id,
        acquisition_channel as channel,
        first_purchase_on as on_date,
        count(*) as new_customers
    from {{ ref('int_value__acquisitions') }}
    group by brand_id, acquisition_channel, first_purchase_on
),

{% set parts = {
    'order_rows': ['orders', 'net_amount'],
    'cost_rows': ['impressions', 'clicks', 'cost_amount', 'acquisition_cost_amount'],
    'campaign_sale_rows': ['campaign_sales_amount'],
    'new_customer_rows': ['new_customers'],
} %}
additive_rows as (
    {%- for part, columns in parts.items() %}
    select
        brand_id,
        channel,
        on_date
        {%- for other, other_columns in parts.items() %}
        {%- for column in other_columns %},
        {{ column if other == part else 'null' }} as {{ column }}
        {%- endfor %}
        {%- endfor %}
    from {{ part }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

additive as (
    select
        scopes.scope_key,
        additive_rows.on_date
        {%- for columns in parts.values() %}
        {%- for column in columns %},
        sum(additive_rows.{{ column }}) as {{ column }}
        {%- endfor %}
        {%- endfor %}
    from additive_rows
    inner join scopes
        on
            additive_rows.brand_id = scopes.brand_id
            and (additive_rows.channel = scopes.channel or scopes.channel = 'all')
    group by scopes.scope_key, additive_rows.on_date
),

-- A referral names no channel, so it counts for `all` only.
referred as (
    select
        scopes.scope_key,
        referrals.invited_on as on_date,
        count(*) as invites,
        count(distinct referrals.inviter_key) as inviters,
        sum(case when referrals.accepted_on is not null then 1 else 0 end) as accepted_invites,
        sum(case
            when referrals.activated_on <= {{ quanyu.add_days('referrals.invited_on', var('referral_days')) }} then 1
            else 0
        end) as activated_invites
    from {{ ref('int_growth__referrals') }} as referrals
    inner join scopes on referrals.brand_id = scopes.brand_id and scopes.channel = 'all'
    group by scopes.scope_key, referrals.invited_on
),

counted as (
    select
        scopes.brand_id,
        calendar.as_of_date,
        scopes.channel,
        scopes.scope_key,
        calendar.day_number,
        {{ quanyu.add_days('calendar.as_of_date', activation) }} <= as_of.as_of_date as is_activation_seen,
        {{ quanyu.add_days('calendar.as_of_date', var('referral_days')) }} <= as_of.as_of_date as is_referral_seen,
        {%- for column in ['page_views', 'visitors', 'logins', 'login_users', 'active_users', 'actions',
                           'buyers', 'buyer_orders'] %}
        coalesce(acts.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        {%- for column in ['wau', 'mau', 'buyers', 'repeat'] %}
        sum(coalesce(changes.{{ column }}_change, 0)) over days_so_far as {{ column }}_rolling,
        {%- endfor %}
        sum(coalesce(acts.active_users, 0)) over last_30_days as active_user_days_30d,
        sum(coalesce(acts.buyer_orders, 0)) over last_365_days as orders_365d,
        coalesce(registered.registrations, 0) as registrations,
        coalesce(registered.activated, 0) as activated,
        coalesce(acts.visitors, 0) - coalesce(registrants.earlier_visitors, 0) as registration_base,
        coalesce(registrants.registered_visitors, 0) as registered_visitors,
        coalesce(acts.clickers, 0) - coalesce(registrants.earlier_clickers, 0) as click_base,
        coalesce(registrants.click_registrants, 0) as click_registrants,
        coalesce(additive.orders, 0) as orders,
        coalesce(additive.net_amount, 0) as net_amount,
        {%- for column in ['impressions', 'clicks', 'cost_amount', 'acquisition_cost_amount', 'campaign_sales_amount'] %}
        additive.{{ column }},
        {%- endfor %}
        coalesce(additive.new_customers, 0) as new_customers,
        {%- for column in ['invites', 'inviters', 'accepted_invites', 'activated_invites'] %}
        case when scopes.channel = 'all' then coalesce(referred.{{ column }}, 0) end as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from scopes
    inner join calendar on scopes.brand_id = calendar.brand_id
    cross join as_of
    {%- for part in ['acts', 'changes', 'registered', 'registrants', 'additive', 'referred'] %}
    left join {{ part }}
        on scopes.scope_key = {{ part }}.scope_key and calendar.as_of_date = {{ part }}.on_date
    {%- endfor %}
    window
        days_so_far as (
            partition by scopes.scope_key order by calendar.as_of_date
            rows between unbounded preceding and current row
        ),
        last_30_days as (
            partition by scopes.scope_key order by calendar.as_of_date rows between 29 preceding and current row
        ),
        last_365_days as (
            partition by scopes.scope_key order by calendar.as_of_date rows between 364 preceding and current row
        )
),

aarrr_daily as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        as_of_date,
        cast(channel as {{ dbt.type_string() }}) as channel,
        cast(page_views as bigint) as page_views,
        cast(visitors as bigint) as visitors,
        cast(impressions as bigint) as impressions,
        cast(clicks as bigint) as clicks,
        cast(clicks as double) / nullif(impressions, 0) as click_through_rate,
        cast(cost_amount as decimal(18, 4)) as cost_amount,
        {{ quanyu.money('cast(cost_amount as double) / nullif(clicks, 0)') }} as cost_per_click,
        cast(case when is_activation_seen then click_base end as bigint) as click_base,
        cast(case when is_activation_seen then click_registrants end as bigint) as click_registrants,
        case when is_activation_seen then cast(click_registrants as double) / nullif(click_base, 0) end as click_registration_rate,
        cast(registrations as bigint) as registrations,
        cast(registration_base as bigint) as registration_base,
        cast(registered_visitors as bigint) as registered_visitors,
        cast(registered_visitors as double) / nullif(registration_base, 0) as registration_rate,
        cast(new_customers as bigint) as new_customers,
        cast(acquisition_cost_amount as decimal(18, 4)) as acquisition_cost_amount,
        {{ quanyu.money('cast(acquisition_cost_amount as double) / nullif(new_customers, 0)') }} as cac_amount,
        cast(logins as bigint) as logins,
        cast(login_users as bigint) as login_users,
        cast(case when is_activation_seen then registrations end as bigint) as activation_base,
        cast(case when is_activation_seen then activated end as bigint) as activated,
        case when is_activation_seen then cast(activated as double) / nullif(registrations, 0) end as activation_rate,
        cast(active_users as bigint) as dau,
        cast(wau_rolling as bigint) as wau,
        cast(mau_rolling as bigint) as mau,
        cast(case when day_number >= 29 then active_user_days_30d end as bigint) as active_user_days_30d,
        case when day_number >= 29 then cast(active_user_days_30d as double) / 30 / nullif(mau_rolling, 0) end as stickiness_rate,
        cast(actions as bigint) as actions,
        cast(actions as double) / nullif(active_users, 0) as actions_per_active_user,
        cast(orders as bigint) as orders,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(buyers as bigint) as buyers,
        cast(buyers_rolling as bigint) as buyers_365d,
        cast(repeat_rolling as bigint) as repeat_buyers_365d,
        cast(repeat_rolling as double) / nullif(buyers_rolling, 0) as repurchase_rate_365d,
        cast(orders_365d as bigint) as orders_365d,
        cast(orders_365d as double) / nullif(buyers_rolling, 0) as orders_per_buyer_365d,
        cast(coalesce(campaign_sales_amount, case when cost_amount is not null then 0 end) as decimal(18, 4))
            as campaign_sales_amount,
        cast(coalesce(campaign_sales_amount, 0) as double) / nullif(cast(cost_amount as double), 0) as roas,
        cast(invites as bigint) as invites,
        cast(inviters as bigint) as inviters,
        cast(accepted_invites as bigint) as accepted_invites,
        cast(case when is_referral_seen then activated_invites end as bigint) as activated_invites,
        case when is_referral_seen then cast(activated_invites as double) / nullif(invites, 0) end as invite_activation_rate
    from counted
)

select * from aarrr_daily
order by brand_id, as_of_date, channel
