-- Grain: one row per brand and customer.
-- Why: whose customer this is, how to reach them, which of the four tools they use, and three scores: what is known of
--      them (data), how they can be reached (reach), how often they come (stickiness).
-- Not here: identifiers and profiles themselves, which are personal; anonymous visitors.
{%- set fields = ['gender', 'birth_date', 'phone', 'email', 'province', 'city', 'address'] %}
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

identities as (
    select
        customer_key,
        customer_id,
        personal_id_count,
        {%- for field in fields %}
        {{ '+ ' if not loop.first }}case when {{ field }} is not null then 1 else 0 end
        {%- endfor %} as known_fields
    from {{ ref('dim_customers') }}
    {% if not var('count_anonymous_visitors') -%}
    where not is_anonymous_visitor
    {%- endif %}
),

-- All that was done in the window of the tools, and on how many of the last 30 days.
acts as (
    select
        scopes.brand_id,
        days.customer_key,
        max(case when scopes.channel = 'miniprogram' then 1 else 0 end) as uses_miniprogram,
        max(case when scopes.channel = 'all' and days.is_live then 1 else 0 end) as uses_live,
        sum(case
            when
                scopes.channel = 'all'
                and days.activity_date > {{ quanyu.add_days('as_of.as_of_date', -30) }}
                then 1
            else 0
        end) as active_days_30d
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key and scopes.channel in ('all', 'miniprogram')
    inner join as_of on days.activity_date > {{ quanyu.add_days('as_of.as_of_date', -var('private_tool_days')) }}
    where days.is_counted
    group by scopes.brand_id, days.customer_key
),

purchases as (
    select
        purchases.brand_id,
        purchases.customer_key,
        sum(purchases.order_count) as order_count,
        sum(purchases.net_amount) as net_amount
    from {{ ref('int_value__purchase_days') }} as purchases
    inner join as_of on purchases.purchased_on > {{ quanyu.add_days('as_of.as_of_date', -var('private_tool_days')) }}
    where purchases.observation = 'as_of'
    group by purchases.brand_id, purchases.customer_key
),

live_reach as (
    select
        reach.brand_id,
        reach.customer_key,
        {{ quanyu.joined_distinct('reach.reach_channel') }} as reachable_channels,
        count(*) as live_channels,
        sum(case when channels.domain = 'private' then 1 else 0 end) as private_channels,
        max(case when reach.reach_channel = 'wecom' then 1 else 0 end) as uses_wecom,
        max(case when reach.reach_channel = 'community_group' then 1 else 0 end) as uses_group
    from {{ ref('int_private__reach_spells') }} as reach
    left join {{ ref('channels') }} as channels on reach.reach_channel = channels.channel
    where reach.valid_to is null and reach.reach_channel not in ('any', 'two_or_more')
    group by reach.brand_id, reach.customer_key
),

-- Channels by which the brand reaches anybody in its private domain: the best that a customer can have.
brand_channels as (
    select
        reach.brand_id,
        count(distinct reach.reach_channel) as brand_private_channels
    from {{ ref('int_private__reach_spells') }} as reach
    inner join {{ ref('channels') }} as channels
        on reach.reach_channel = channels.channel and channels.domain = 'private'
    group by reach.brand_id
),

owners as (
    select
        brand_id,
        customer_key,
        owner_id,
        owner_source
    from {{ ref('int_value__reach') }}
),

people as (
    select
        scopes.brand_id,
        days.customer_key
    from {{ ref('int_growth__channel_days') }} as days
    inner join scopes on days.scope_key = scopes.scope_key and scopes.channel = 'all'
    where days.activity_date = days.first_activity_date
    union
    select
        brand_id,
        customer_key
    from {{ ref('int_private__reach_spells') }}
),

known as (
    select
        people.brand_id,
        identities.*,
        owners.owner_id,
        owners.owner_source,
        live_reach.reachable_channels,
        coalesce(live_reach.live_channels, 0) as live_channels,
        coalesce(live_reach.private_channels, 0) as private_channels,
        coalesce(brand_channels.brand_private_channels, 0) as brand_private_channels,
        coalesce(live_reach.uses_wecom, 0) as uses_wecom,
        coalesce(live_reach.uses_group, 0) as uses_group,
        coalesce(acts.uses_miniprogram, 0) as uses_miniprogram,
        coalesce(acts.uses_live, 0) as uses_live,
        coalesce(acts.active_days_30d, 0) as active_days_30d,
        coalesce(purchases.order_count, 0) as order_count,
        coalesce(purchases.net_amount, 0) as net_amount
    from people
    inner join identities on people.customer_key = identities.customer_key
    {%- for part in ['acts', 'purchases', 'live_reach', 'owners'] %}
    left join {{ part }}
        on people.brand_id = {{ part }}.brand_id and people.customer_key = {{ part }}.customer_key
    {%- endfor %}
    left join brand_channels on people.brand_id = brand_channels.brand_id
),

private_customers as (
    select
        cast(known.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(known.customer_id as {{ dbt.type_string() }}) as customer_id,
        as_of.as_of_date,
        cast(known.owner_id as {{ dbt.type_string() }}) as owner_id,
        cast(known.owner_source as {{ dbt.type_string() }}) as owner_source,
        cast(known.reachable_channels as {{ dbt.type_string() }}) as reachable_channels,
        cast(known.live_channels as integer) as live_channels,
        cast(known.private_channels as integer) as private_channels,
        known.private_channels > 0 as is_private,
        known.uses_wecom = 1 as uses_wecom,
        known.uses_miniprogram = 1 as uses_miniprogram,
        known.uses_live = 1 as uses_live,
        known.uses_group = 1 as uses_group,
        cast(
            known.uses_wecom + known.uses_miniprogram + known.uses_live + known.uses_group as integer
        ) as tool_count,
        cast(
            known.known_fields + case when known.personal_id_count > 1 then 1 else 0 end as integer
        ) as known_fields,
        cast({{ fields | length + 1 }} as integer) as possible_fields,
        (known.known_fields + case when known.personal_id_count > 1 then 1 else 0 end)
        * cast(1 as double) / {{ fields | length + 1 }} as data_score,
        cast(known.brand_private_channels as integer) as brand_private_channels,
        cast(known.private_channels as double) / nullif(known.brand_private_channels, 0) as reach_score,
        cast(known.active_days_30d as integer) as active_days_30d,
        cast(known.active_days_30d as double) / 30 as stickiness_score,
        cast(known.order_count as bigint) as orders_in_window,
        cast(known.net_amount as decimal(18, 4)) as net_amount_in_window
    from known
    cross join as_of
)

select * from private_customers
order by brand_id, customer_id
