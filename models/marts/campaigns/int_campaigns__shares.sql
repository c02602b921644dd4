-- Grain: one row per conversion of a customer and moment, channel, touch-point and campaign that share it.
-- Why: one pass over the touch-points shares every order and every move up a stage among what came before it, under five
--      models side by side.
-- Not here: anonymous orders; touch-points after the order or older than the window. Touch-points of one second (for a
--           stage move: of one day, stages are known by day) share alike, so no order among equals is made up.
{{ config(
    schema='lifecycle', access='protected', contract={'enforced': false},
    materialized='incremental', incremental_strategy='replace_traced',
    pre_hook='{{ quanyu.trace_touched(quanyu.credit_settings()) }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

counted as (
    select customer_key
    from ({{ quanyu.counted_customers() }}) as customers
    {%- if is_incremental() %}
    where customer_key in ({{ quanyu.traced() }})
    {%- endif %}
),

names as (
    select
        stage,
        {{ adapter.quote('rank') }} as stage_rank
    from {{ ref('stages') }}
    where model = '{{ var("attribution_stage_model") }}'
),

conversions as (
    select
        cast(row_number() over (
            order by
                occurred.conversion, occurred.brand_id, occurred.customer_key, occurred.converted_at,
                occurred.source_system, occurred.order_id
        ) as integer) as conversion_key,
        occurred.*
    from (
        select
            'order' as conversion,
            orders.brand_id,
            orders.customer_key,
            orders.ordered_on as converted_on,
            orders.ordered_at as converted_at,
            orders.purchased_on as counted_on,
            orders.net_amount,
            orders.source_system,
            orders.order_id
        from {{ ref('fct_orders') }} as orders
        inner join counted on orders.customer_key = counted.customer_key
        where orders.is_valid_purchase
        union all
        select
            coalesce(before.stage, 'none') || '>' || spells.stage as conversion,
            spells.brand_id,
            spells.customer_key,
            spells.valid_from as converted_on,
            cast(spells.valid_from as {{ quanyu.type_local_timestamp() }}) as converted_at,
            spells.valid_from as counted_on,
            cast(null as decimal(18, 4)) as net_amount,
            cast(null as {{ dbt.type_string() }}) as source_system,
            cast(null as {{ dbt.type_string() }}) as order_id
        from {{ ref('int_stages__spells') }} as spells
        inner join as_of on spells.valid_from <= as_of.as_of_date
        left join names as before on spells.previous_rank = before.stage_rank
        where
            spells.model = '{{ var("attribution_stage_model") }}'
            and spells.stage_rank > spells.previous_rank
            {%- if is_incremental() %}
            and spells.customer_key in ({{ quanyu.traced() }})
            {%- endif %}
    ) as occurred
),

touches as (
    select
        brand_id,
        customer_key,
        occurred_at,
        occurred_on,
        channel,
        event_type as touch_point,
        campaign_id
    from {{ ref('fct_touchpoints') }}
    where
        event_type not in ({{ quanyu.text_literals(var('attribution_ignored_events')) }})
        {%- if is_incremental() %}
        and {{ quanyu.is_rewritten(quanyu.credit_settings()) | indent(8) }}
        {%- endif %}
    union all
    select
        brand_id,
        customer_key,
        delivered_at as occurred_at,
        delivered_on as occurred_on,
        channel,
        'message' as touch_point,
        campaign_id
    from {{ ref('int_campaigns__messages') }}
    where
        delivered_on is not null
        {%- if is_incremental() %}
        and customer_key in ({{ quanyu.traced() }})
        {%- endif %}
),

pairs as (
    select
        conversions.conversion_key,
        case
            when conversions.conversion = 'order' then touches.occurred_at
            else cast(touches.occurred_on as {{ quanyu.type_local_timestamp() }})
        end as touched_at,
        {{ quanyu.days_between('touches.occurred_on', 'conversions.converted_on') }} as days_before,
        coalesce(touches.channel, 'unknown') as channel,
        touches.touch_point,
        coalesce(touches.campaign_id, 'none') as campaign_id,
        count(*) as touches
    from touches
    inner join conversions
        on
            touches.brand_id = conversions.brand_id
            and touches.customer_key = conversions.customer_key
            and touches.occurred_on <= conversions.converted_on
            and touches.occurred_on
            > {{ quanyu.add_days('conversions.converted_on', -var('attribution_window_days')) }}
    where conversions.conversion <> 'order' or touches.occurred_at <= conversions.converted_at
    group by
        conversions.conversion_key,
        case
            when conversions.conversion = 'order' then touches.occurred_at
            else cast(touches.occurred_on as {{ quanyu.type_local_timestamp() }})
        end,
        {{ quanyu.days_between('touches.occurred_on', 'conversions.converted_on') }},
        coalesce(touches.channel, 'unknown'), touches.touch_point, coalesce(touches.campaign_id, 'none')
),

bounds as (
    select
        conversion_key,
        min(touched_at) as first_at,
        max(touched_at) as last_at,
        sum(touches) as touches,
        sum(touches * {{ quanyu.decay_weight('days_before') }}) as decay_weight
    from pairs
    group by conversion_key
),

ends as (
    select
        pairs.conversion_key,
        sum(case when pairs.touched_at = bounds.first_at then pairs.touches else 0 end) as first_touches,
        sum(case when pairs.touched_at = bounds.last_at then pairs.touches else 0 end) as last_touches
    from pairs
    inner join bounds on pairs.conversion_key = bounds.conversion_key
    where pairs.touched_at = bounds.first_at or pairs.touched_at = bounds.last_at
    group by pairs.conversion_key
),

{% set end_weight = var('attribution_position_weight') -%}
shared as (
    select
        pairs.conversion_key,
        pairs.channel,
        pairs.touch_point,
        pairs.campaign_id,
        case when pairs.touched_at = bounds.first_at then cast(pairs.touches as double) / ends.first_touches else 0 end
            as first_credit,
        case when pairs.touched_at = bounds.last_at then cast(pairs.touches as double) / ends.last_touches else 0 end
            as last_credit,
        cast(pairs.touches as double) / bounds.touches as linear_credit,
        -- Without a middle the two ends share all of it.
        case
            when bounds.first_at = bounds.last_at then cast(pairs.touches as double) / bounds.touches
            when pairs.touched_at = bounds.first_at
                then cast(pairs.touches as double) / ends.first_touches * case
                    when bounds.touches = ends.first_touches + ends.last_touches then 0.5 else {{ end_weight }}
                end
            when pairs.touched_at = bounds.last_at
                then cast(pairs.touches as double) / ends.last_touches * case
                    when bounds.touches = ends.first_touches + ends.last_touches then 0.5 else {{ end_weight }}
                end
            else cast(pairs.touches * (1.0 - 2 * {{ end_weight }}) as double)
                / (bounds.touches - ends.first_touches - ends.last_touches)
        end as position_credit,
        cast(pairs.touches * {{ quanyu.decay_weight('pairs.days_before') }} as double) / bounds.decay_weight
            as time_decay_credit
    from pairs
    inner join bounds on pairs.conversion_key = bounds.conversion_key
    inner join ends on pairs.conversion_key = ends.conversion_key
    union all
    select
        conversions.conversion_key,
        'none' as channel,
        'none' as touch_point,
        'none' as campaign_id
        {%- for model in quanyu.attribution_models() %},
        1.0 as {{ model }}_credit
        {%- endfor %}
    from conversions
    left join bounds on conversions.conversion_key = bounds.conversion_key
    where bounds.conversion_key is null
),

int_campaigns__shares as (
    select
        conversions.brand_id,
        conversions.customer_key,
        cast({{ dbt.date_trunc('month', 'conversions.counted_on') }} as date) as month,
        conversions.conversion,
        shared.channel,
        shared.touch_point,
        shared.campaign_id,
        conversions.net_amount,
        {%- for model in quanyu.attribution_models() %}
        cast(shared.{{ model }}_credit as double) as {{ model }}_credit,
        {%- endfor %}
        '{{ quanyu.credit_settings() }}' as _settings,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from shared
    inner join conversions on shared.conversion_key = conversions.conversion_key
)

select * from int_campaigns__shares
