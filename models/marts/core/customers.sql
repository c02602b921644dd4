-- Grain: one row per customer and brand.
-- Why: the wide row an analyst starts from.
-- Not here: anonymous visitors (var count_anonymous_visitors) and anonymous orders; identifiers and profiles.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

identities as (
    select distinct
        customer_key,
        customer_id,
        is_anonymous_visitor
    from {{ ref('int_identity__customer_map') }}
    {% if not var('count_anonymous_visitors') %}
    where not is_anonymous_visitor
    {% endif %}
),

activity as (
    select
        brand_id,
        customer_key,
        min(activity_date) as first_activity_on,
        max(activity_date) as last_activity_on,
        min(case when touchpoint_count > 0 then activity_date end) as first_touchpoint_on,
        max(case when touchpoint_count > 0 then activity_date end) as last_touchpoint_on,
        min(case when purchase_count > 0 then activity_date end) as first_purchase_on,
        max(case when purchase_count > 0 then activity_date end) as last_purchase_on,
        count(*) as active_days,
        sum(case when purchase_count > 0 then 1 else 0 end) as purchase_days,
        sum(touchpoint_count) as touchpoint_count,
        sum(placed_order_count) as placed_order_count,
        sum(purchase_count) as purchase_count,
        sum(purchase_amount) as purchase_amount,
        sum(purchase_net_amount) as purchase_net_amount,
        sum(refund_amount) as refund_amount,
        sum(unlinked_refund_amount) as unlinked_refund_amount
    from {{ ref('customer_day') }}
    group by brand_id, customer_key
),

live_memberships as (
    select
        brand_id,
        customer_key,
        min(valid_from) over (partition by brand_id, customer_key) as member_since,
        last_tier as member_tier
    from {{ ref('fct_membership_spells') }}
    where valid_to is null
    qualify row_number() over (
        partition by brand_id, customer_key
        order by joined_at desc, membership_key asc
    ) = 1
),

rfm as (
    select
        brand_id,
        customer_id,
        rfm_code,
        rfm_class
    from {{ ref('rfm_customers') }}
    where
        scope = 'all'
        and as_of_date = (select as_of.as_of_date from as_of)
),

{% set stage_models = ['aipl', 'aipl_quick_audience', 'aipl_boyang', 'five_r', 'o_5a', 'lifecycle'] -%}
stages as (
    select
        brand_id,
        customer_id
        {%- for model in stage_models %},
        max(case when model = '{{ model }}' then stage end) as {{ model }}_stage
        {%- endfor %},
        max(case when model = 'aipl' then in_stage_since end) as aipl_stage_since
    from {{ ref('customer_stages') }}
    group by brand_id, customer_id
),

cycles as (
    select
        brand_id,
        customer_key,
        expected_cycle_days,
        due_on,
        band
    from {{ ref('int_value__person_cycles') }}
    where observation = 'as_of' and category = '*'
),

clv as (
    select
        brand_id,
        customer_id,
        p_alive,
        clv,
        is_model_used,
        is_high_value
    from {{ ref('clv_customers') }}
),

reach as (
    select
        brand_id,
        customer_key,
        owner_id,
        reachable_channels
    from {{ ref('int_value__reach') }}
),

acquisitions as (
    select
        brand_id,
        customer_key,
        acquisition_channel
    from {{ ref('int_value__acquisitions') }}
),

customers as (
    select
        cast(identities.customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(activity.brand_id as {{ dbt.type_string() }}) as brand_id,
        as_of.as_of_date,
        identities.is_anonymous_visitor,
        activity.first_activity_on,
        activity.last_activity_on,
        activity.first_touchpoint_on,
        activity.last_touchpoint_on,
        activity.first_purchase_on,
        activity.last_purchase_on,
        cast(
            {{ quanyu.days_between('activity.last_purchase_on', 'as_of.as_of_date') }} as integer
        ) as days_since_last_purchase,
        cast(activity.active_days as integer) as active_days,
        cast(activity.touchpoint_count as bigint) as touchpoint_count,
        cast(activity.placed_order_count as integer) as placed_order_count,
        cast(activity.purchase_count as integer) as purchase_count,
        cast(activity.purchase_days as integer) as purchase_days,
        cast(activity.purchase_amount as decimal(18, 4)) as purchase_amount,
        cast(activity.purchase_net_amount as decimal(18, 4)) as purchase_net_amount,
        cast(activity.refund_amount as decimal(18, 4)) as refund_amount,
        cast(
            activity.purchase_net_amount - activity.unlinked_refund_amount as decimal(18, 4)
        ) as net_amount,
        live_memberships.customer_key is not null as is_member,
        live_memberships.member_since,
        cast(live_memberships.member_tier as {{ dbt.type_string() }}) as member_tier,
        cast(rfm.rfm_code as {{ dbt.type_string() }}) as rfm_code,
        cast(rfm.rfm_class as {{ dbt.type_string() }}) as rfm_class
        {%- for model in stage_models %},
        cast(coalesce(stages.{{ model }}_stage, 'none') as {{ dbt.type_string() }}) as {{ model }}_stage
        {%- endfor %},
        stages.aipl_stage_since,
        cast(cycles.band as {{ dbt.type_string() }}) as purchase_activity,
        cast(cycles.expected_cycle_days as double) as expected_cycle_days,
        cycles.due_on,
        cast(clv.clv as decimal(18, 4)) as clv,
        clv.is_model_used as is_clv_model_used,
        cast(clv.p_alive as double) as p_alive,
        coalesce(clv.is_high_value, false) as is_high_value,
        cast(acquisitions.acquisition_channel as {{ dbt.type_string() }}) as acquisition_channel,
        cast(reach.owner_id as {{ dbt.type_string() }}) as owner_id,
        cast(reach.reachable_channels as {{ dbt.type_string() }}) as reachable_channels
    from activity
    inner join identities on activity.customer_key = identities.customer_key
    cross join as_of
    left join live_memberships
        on
            activity.brand_id = live_memberships.brand_id
            and activity.customer_key = live_memberships.customer_key
    left join rfm
        on activity.brand_id = rfm.brand_id and identities.customer_id = rfm.customer_id
    left join stages
        on activity.brand_id = stages.brand_id and identities.customer_id = stages.customer_id
    left join cycles
        on activity.brand_id = cycles.brand_id and activity.customer_key = cycles.customer_key
    left join clv
        on activity.brand_id = clv.brand_id and identities.customer_id = clv.customer_id
    left join acquisitions
        on activity.brand_id = acquisitions.brand_id and activity.customer_key = acquisitions.customer_key
    left join reach
        on activity.brand_id = reach.brand_id and activity.customer_key = reach.customer_key
)

select * from customers
order by customer_id, brand_id
