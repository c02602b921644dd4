-- Grain: one row per customer that any landed row names.
-- Why: `_refresh` is the refresh in which something about the customer last changed (a row came, was corrected or
--      withdrawn, became visible because the as-of date moved, or its identifiers changed: merged, split, handed
--      over); incremental models recompute those customers. One that lost its last identifier stays listed.
-- Not here: what changed.
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='customer_key'
) }}
{% set own_refresh, own_as_of = quanyu.last_touched() %}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

changes as (
    {%- for entity, keys, days in [
        ('touchpoints', ['identifier_key'], ['occurred_at']),
        ('orders', ['identifier_key'], ['ordered_at', 'paid_at']),
        ('refunds', ['identifier_key'], ['refunded_at']),
        ('memberships', ['identifier_key', quanyu.member_key()], ['occurred_at']),
        ('messages', ['identifier_key'], ['delivered_at']),
        ('referrals', ['inviter_key'], ['invited_at', 'accepted_at']),
    ] %}
    {%- for key in keys %}
    select {{ key }} as identifier_key
    from {{ ref('base_landing__' ~ entity) }}
    {%- if is_incremental() %}
    where
        _refresh > {{ own_refresh }}
        {%- for day in days %}
        or {{ quanyu.became_visible(day, own_as_of) }}
        {%- endfor %}
    {%- endif %}
    union all
    {%- endfor %}
    {%- endfor %}
    -- The campaign of a message says its brand.
    select messages.identifier_key
    from {{ ref('base_landing__campaigns') }} as campaigns
    inner join {{ ref('base_landing__messages') }} as messages on campaigns.campaign_id = messages.campaign_id
    {%- if is_incremental() %}
    where campaigns._refresh > {{ own_refresh }}
    {%- endif %}
    union all
    -- A refund concerns the buyer of its order.
    select orders.identifier_key
    from {{ ref('base_landing__refunds') }} as refunds
    inner join {{ ref('base_landing__orders') }} as orders
        on refunds.source_system = orders.source_system and refunds.order_id = orders.order_id
    {%- if is_incremental() %}
    where
        refunds._refresh > {{ own_refresh }}
        or {{ quanyu.became_visible('refunds.refunded_at', own_as_of) }}
    union all
    -- And whom the refund names, until its order comes and says who the buyer is.
    select refunds.identifier_key
    from {{ ref('base_landing__orders') }} as orders
    inner join {{ ref('base_landing__refunds') }} as refunds
        on orders.source_system = refunds.source_system and orders.order_id = refunds.order_id
    where
        orders._refresh > {{ own_refresh }}
        or {{ quanyu.became_visible('orders.ordered_at', own_as_of) }}
    {%- endif %}
),

-- Everyone who ever had a device in a share of its time is concerned by a change of its rows.
customers as (
    select
        identifier_key,
        customer_key
    from {{ ref('int_identity__resolution') }}
),

touched as (
    select customers.customer_key
    from changes
    inner join customers on changes.identifier_key = customers.identifier_key
    {%- if is_incremental() %}
    union
    {{ quanyu.resolved_since(own_refresh, has_changed=true) }}
    {%- endif %}
),

int_lifecycle__touched_customers as (
    select distinct
        touched.customer_key,
        as_of.as_of_date,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from touched
    cross join as_of
)

select * from int_lifecycle__touched_customers
