-- Grain: one row per scope (brand and channel, or brand and all channels), customer and day with an act of the customer.
-- Why: the one scan of touch-points that AARRR, FAST+ and the private domain share; customer_day knows no channels.
-- Not here: advertisements shown and relationships that ended, which are no acts; anonymous orders.
{{ config(
    schema='lifecycle', access='protected', contract={'enforced': false},
    materialized='incremental', incremental_strategy='replace_traced',
    pre_hook='{{ quanyu.trace_touched(quanyu.growth_settings()) }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }}
{%- set roles = ['visit', 'registration', 'ad_click', 'live', 'benefit_grant', 'benefit_use'] %}
with scopes as (
    select * from {{ ref('int_growth__scopes') }}
),

-- The roles of an event type are bits of one number: a group carries four numbers and not ten.
acting_types as (
    select
        types.event_type,
        case when roles.is_page_view then 1 else 0 end as page_view_count,
        case when roles.is_login then 1 else 0 end as login_count,
        {%- for role in roles %}
        {{ '+ ' if not loop.first }}case when roles.is_{{ role }} then {{ 2 ** loop.index0 }} else 0 end
        {%- endfor %} as role_bits
    from {{ ref('event_types') }} as types
    left join {{ ref('growth_event_roles') }} as roles on types.event_type = roles.event_type
    where coalesce(roles.is_active, true)
),

people as (
    select
        customer_key,
        min(case when is_anonymous_visitor then 1 else 0 end) as is_anonymous
    from {{ ref('int_identity__customer_map') }}
    {%- if is_incremental() %}
    where customer_key in ({{ quanyu.traced() }})
    {%- endif %}
    group by customer_key
),

acts as (
    select
        scopes.scope_key,
        touchpoints.customer_key,
        touchpoints.occurred_on as activity_date,
        acting_types.page_view_count,
        acting_types.login_count,
        acting_types.role_bits,
        0 as order_count
    from (
        select * from {{ ref('fct_touchpoints') }}
        {%- if is_incremental() %}
        where {{ quanyu.is_rewritten(quanyu.growth_settings()) | indent(8) }}
        {%- endif %}
    ) as touchpoints
    inner join acting_types on touchpoints.event_type = acting_types.event_type
    inner join scopes
        on
            touchpoints.brand_id = scopes.brand_id
            and coalesce(touchpoints.channel, 'unknown') = scopes.channel
    union all
    select
        scopes.scope_key,
        orders.customer_key,
        orders.purchased_on as activity_date,
        0 as page_view_count,
        0 as login_count,
        0 as role_bits,
        1 as order_count
    from {{ ref('fct_orders') }} as orders
    inner join scopes
        on
            orders.brand_id = scopes.brand_id
            and coalesce(orders.channel, 'unknown') = scopes.channel
    where
        orders.is_valid_purchase and orders.customer_key is not null
        {%- if is_incremental() %}
        and orders.customer_key in ({{ quanyu.traced() }})
        {%- endif %}
),

by_channel as (
    select
        scope_key,
        customer_key,
        activity_date,
        count(*) as active_count,
        sum(page_view_count) as page_view_count,
        sum(login_count) as login_count,
        bit_or(role_bits) as role_bits,
        sum(order_count) as order_count
    from acts
    group by scope_key, customer_key, activity_date
),

scoped as (
    select * from by_channel
    union all
    select
        scopes.brand_scope_key as scope_key,
        by_channel.customer_key,
        by_channel.activity_date,
        sum(by_channel.active_count) as active_count,
        sum(by_channel.page_view_count) as page_view_count,
        sum(by_channel.login_count) as login_count,
        bit_or(by_channel.role_bits) as role_bits,
        sum(by_channel.order_count) as order_count
    from by_channel
    inner join scopes on by_channel.scope_key = scopes.scope_key
    group by scopes.brand_scope_key, by_channel.customer_key, by_channel.activity_date
),

int_growth__channel_days as (
    select
        scoped.scope_key,
        scoped.customer_key,
        scoped.activity_date,
        {%- for count in ['active_count', 'page_view_count', 'login_count', 'order_count'] %}
        cast(scoped.{{ count }} as integer) as {{ count }},
        {%- endfor %}
        {%- for role in roles %}
        (scoped.role_bits & {{ 2 ** loop.index0 }}) <> 0 as is_{{ role }},
        {%- endfor %}
        people.is_anonymous = 0 {{ 'or true' if var('count_anonymous_visitors') }} as is_counted,
        lead(scoped.activity_date) over days as next_activity_date,
        first_value(scoped.activity_date) over days as first_activity_date,
        max(case when (scoped.role_bits & {{ 2 ** roles.index('visit') }}) <> 0 then scoped.activity_date end) over (
            partition by scoped.scope_key, scoped.customer_key order by scoped.activity_date
            rows between unbounded preceding and 1 preceding
        ) as previous_visit_date,
        '{{ quanyu.growth_settings() }}' as _settings,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from scoped
    inner join people on scoped.customer_key = people.customer_key
    window days as (partition by scoped.scope_key, scoped.customer_key order by scoped.activity_date)
)

select * from int_growth__channel_days
