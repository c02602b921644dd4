-- Grain: one row per brand, customer and day with any activity, up to the as-of date.
-- Why: the one table that stages, RFM, FAST and the customer marts share instead of scanning touch-points.
-- Not here: anonymous orders; days on which only time passed.
{{ config(materialized='incremental', incremental_strategy='replace_touched_by_rules') }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}
{%- set plan = quanyu.stage_plan() %}
{%- set amounts = ['purchase_amount', 'purchase_net_amount', 'refund_amount', 'unlinked_refund_amount'] %}

{% if is_incremental() %}
with touched as (
    {{ quanyu.touched_by_rules() }}
),
{% else %}
with touched as (
    select customer_key from {{ ref('int_lifecycle__touched_customers') }}
),
{% endif %}

touchpoints as (
    select
        brand_id,
        customer_key,
        occurred_on as activity_date,
        count(*) as touchpoint_count,
        bit_or(
            cast({{ quanyu.touchpoint_bits(plan, 'event_type', 'event_value') | indent(12) }} as bigint)
        ) as behaviours
    from {{ ref('fct_touchpoints') }}
    {% if is_incremental() %}
    where
        {{ quanyu.written_since_rules() }}
        and customer_key in (select touched.customer_key from touched)
    {% endif %}
    group by brand_id, customer_key, occurred_on
),

orders as (
    select orders.*
    from {{ ref('fct_orders') }} as orders
    inner join touched on orders.customer_key = touched.customer_key
),

refunds as (
    select refunds.*
    from {{ ref('fct_refunds') }} as refunds
    inner join touched on refunds.customer_key = touched.customer_key
),

memberships as (
    select
        memberships.brand_id,
        customers.customer_key,
        memberships.occurred_on,
        case
            when memberships.membership_event = 'join'
                then cast({{ quanyu.source_bit(plan, 'membership', 'join') }} as bigint)
        end as behaviours
    from {{ ref('stg_landing__memberships') }} as memberships
    inner join {{ ref('int_identity__customer_map') }} as customers
        on memberships.member_key = customers.identifier_key
    inner join touched on customers.customer_key = touched.customer_key
    where memberships.occurred_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

-- What is live at the end of each day on which something began or ended.
relationship_turns as (
    select
        brand_id,
        customer_key,
        relationship,
        valid_from as activity_date,
        1 as change
    from {{ ref('fct_relationship_spells') }}
    where customer_key in (select touched.customer_key from touched)
    union all
    select
        brand_id,
        customer_key,
        relationship,
        valid_to as activity_date,
        -1 as change
    from {{ ref('fct_relationship_spells') }}
    where valid_to is not null and customer_key in (select touched.customer_key from touched)
),

relationship_changes as (
    select
        brand_id,
        customer_key,
        activity_date
        {%- for relationship in quanyu.relationship_bits() %},
        sum(case when relationship = '{{ relationship }}' then change else 0 end) as {{ relationship }}_change
        {%- endfor %}
    from relationship_turns
    group by brand_id, customer_key, activity_date
),

relationships as (
    select
        brand_id,
        customer_key,
        activity_date,
        {%- for relationship, bit in quanyu.relationship_bits().items() %}
        {{ '+ ' if not loop.first }}case
            when sum({{ relationship }}_change) over (
                partition by brand_id, customer_key order by activity_date
            ) > 0 then {{ bit }}
            else 0
        end
        {%- endfor %} as relationships
    from relationship_changes
),

-- A purchase day is nearly always the day of the order, and then one row says both.
purchases as (
    select
        *,
        coalesce(
            valid_from <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
            and (valid_to is null or valid_to > valid_from), false
        ) as is_purchase_day
    from orders
),

other_rows as (
    {%- for day, is_purchase in [
        ('ordered_on', 'is_purchase_day and purchased_on = ordered_on'), ('purchased_on', 'true')
    ] %}
    {%- set is_valid = is_purchase ~ ' and is_valid_purchase' %}
    select
        brand_id,
        customer_key,
        {{ day }} as activity_date,
        {{ 1 if day == 'ordered_on' else 0 }} as placed_order_count,
        case when {{ is_valid }} then 1 else 0 end as purchase_count,
        case when {{ is_valid }} then paid_amount else 0 end as purchase_amount,
        case when {{ is_valid }} then net_amount else 0 end as purchase_net_amount,
        0 as refund_amount,
        0 as unlinked_refund_amount,
        0 as membership_event_count,
        cast(null as bigint) as behaviours,
        cast(null as integer) as relationships,
        case when {{ is_purchase }} then coalesce(valid_to, {{ quanyu.far_date() }}) end as purchase_valid_to
    from purchases
    {%- if day == 'purchased_on' %}
    where is_purchase_day and (ordered_on is null or purchased_on <> ordered_on)
    {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    union all
    select
        brand_id,
        customer_key,
        refunded_on as activity_date,
        0, 0, 0, 0, refund_amount, case when is_linked then 0 else refund_amount end, 0,
        null, null, null
    from refunds
    union all
    select
        brand_id,
        customer_key,
        occurred_on as activity_date,
        0, 0, 0, 0, 0, 0, 1, behaviours, null, null
    from memberships
    union all
    select
        brand_id,
        customer_key,
        activity_date,
        0, 0, 0, 0, 0, 0, 0, null, relationships, null
    from relationships
),

-- Touch-points are nearly all of the days, so the rest is added to them instead of both being grouped again.
others as (
    select
        brand_id,
        customer_key,
        activity_date,
        {%- for count in ['placed_order_count', 'purchase_count', 'membership_event_count'] %}
        cast(sum({{ count }}) as bigint) as {{ count }},
        {%- endfor %}
        {%- for amount in amounts %}
        cast(sum({{ amount }}) as decimal(18, 4)) as {{ amount }},
        {%- endfor %}
        bit_or(behaviours) as behaviours,
        cast(max(relationships) as smallint) as relationships,
        max(purchase_valid_to) as purchase_valid_to
    from other_rows
    group by brand_id, customer_key, activity_date
),

customer_day as (
    select
        coalesce(touchpoints.brand_id, others.brand_id) as brand_id,
        coalesce(touchpoints.customer_key, others.customer_key) as customer_key,
        coalesce(touchpoints.activity_date, others.activity_date) as activity_date,
        coalesce(touchpoints.touchpoint_count, cast(0 as bigint)) as touchpoint_count,
        {%- for count in ['placed_order_count', 'purchase_count'] %}
        coalesce(others.{{ count }}, cast(0 as bigint)) as {{ count }},
        {%- endfor %}
        {%- for amount in amounts %}
        coalesce(others.{{ amount }}, cast(0 as decimal(18, 4))) as {{ amount }},
        {%- endfor %}
        coalesce(others.membership_event_count, cast(0 as bigint)) as membership_event_count,
        -- What the stage rules ask about a day, a bit each; the bits are the plan's own (macros/stages/engine.sql).
        coalesce(touchpoints.behaviours, 0) | coalesce(others.behaviours, 0) as behaviours,
        -- Relationships live at the end of the day, on the days on which one began or ended; else NULL.
        others.relationships,
        -- The day is a purchase day until this day comes (9999-12-31 = for good); NULL = it never was one.
        others.purchase_valid_to,
        cast({{ plan.hash }} as bigint) as _rules,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from touchpoints
    full join others
        on
            touchpoints.brand_id = others.brand_id
            and touchpoints.customer_key = others.customer_key
            and touchpoints.activity_date = others.activity_date
)

select * from customer_day
