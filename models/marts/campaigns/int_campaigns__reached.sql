-- Grain: one row per campaign and customer whom a touch-point or a delivered message of the campaign reached.
-- Why: the people of a campaign, with what they did in the days after it first met them, and their layers around it.
-- Not here: anonymous visitors; hold-out customers, who were not met.
{{ config(
    schema='lifecycle', access='protected', contract={'enforced': false},
    materialized='incremental', incremental_strategy='replace_traced_and_reopened',
    pre_hook='{{ quanyu.trace_touched(quanyu.reached_settings(), quanyu.met_by_changed_campaigns()) }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }} {{ ref('base_landing__campaigns') }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}
{%- set plan = quanyu.stage_plan() %}
{%- set view_bits = quanyu.behaviour_mask(plan, 'page_view') if execute else 0 %}
{%- set cart_bit = quanyu.event_mask(['cart_add']) %}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

counted as (
    {{ quanyu.counted_customers() }}
),

campaigns as (
    select
        *,
        {{ quanyu.add_days('starts_on', -1) }} as day_before
    from {{ ref('stg_landing__campaigns') }}
),

met as (
    select
        touchpoints.campaign_id,
        touchpoints.customer_key,
        touchpoints.occurred_on as met_on,
        case when touchpoints.event_type in ('ad_impression') then 0 else 1 end as is_response
    from {{ ref('fct_touchpoints') }} as touchpoints
    inner join campaigns
        on touchpoints.campaign_id = campaigns.campaign_id and touchpoints.brand_id = campaigns.brand_id
    union all
    select
        campaign_id,
        customer_key,
        delivered_on as met_on,
        case when clicked_on is not null then 1 else 0 end as is_response
    from {{ ref('int_campaigns__messages') }}
    where campaign_id is not null and delivered_on is not null
),

reached as (
    select
        campaigns.brand_id,
        met.campaign_id,
        met.customer_key,
        min(met.met_on) as met_on,
        max(met.is_response) as is_responding
    from met
    inner join campaigns on met.campaign_id = campaigns.campaign_id
    inner join counted on met.customer_key = counted.customer_key
    {%- if is_incremental() %}
    where {{ quanyu.is_computed('met.customer_key', 'campaigns.ends_on', quanyu.reopened_from()) }}
    {%- endif %}
    group by campaigns.brand_id, met.campaign_id, met.customer_key
),

did as (
    select
        reached.campaign_id,
        reached.customer_key,
        max(case when (days.behaviours & {{ view_bits }}) <> 0 then 1 else 0 end) as has_viewed,
        max(case when (days.behaviours & {{ cart_bit }}) <> 0 then 1 else 0 end) as has_carted,
        max(case when days.placed_order_count > 0 then 1 else 0 end) as has_ordered,
        max(case when days.purchase_count > 0 then 1 else 0 end) as has_bought
    from reached
    inner join {{ ref('customer_day') }} as days
        on
            reached.brand_id = days.brand_id
            and reached.customer_key = days.customer_key
            and reached.met_on <= days.activity_date
            and {{ quanyu.add_days('reached.met_on', var('campaign_response_days')) }} > days.activity_date
    group by reached.campaign_id, reached.customer_key
),

spells as (
    select
        brand_id,
        customer_key,
        stage,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = '{{ var("star_stage_model") }}'
),

dated as (
    select
        reached.*,
        campaigns.day_before,
        least(campaigns.ends_on, as_of.as_of_date) as last_on
    from reached
    inner join campaigns on reached.campaign_id = campaigns.campaign_id
    cross join as_of
),

int_campaigns__reached as (
    select
        dated.brand_id,
        dated.campaign_id,
        dated.customer_key,
        dated.met_on,
        dated.is_responding,
        coalesce(did.has_viewed, 0) as has_viewed,
        coalesce(did.has_carted, 0) as has_carted,
        coalesce(did.has_ordered, 0) as has_ordered,
        coalesce(did.has_bought, 0) as has_bought,
        coalesce(before.stage, 'none') as layer_before,
        coalesce(at_end.stage, 'none') as layer_after,
        dated.last_on,
        '{{ quanyu.reached_settings() }}' as _settings,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from dated
    left join did on dated.campaign_id = did.campaign_id and dated.customer_key = did.customer_key
    left join spells as before
        on
            dated.brand_id = before.brand_id
            and dated.customer_key = before.customer_key
            and dated.day_before >= before.valid_from
            and dated.day_before < before.valid_to
    left join spells as at_end
        on
            dated.brand_id = at_end.brand_id
            and dated.customer_key = at_end.customer_key
            and dated.last_on >= at_end.valid_from
            and dated.last_on < at_end.valid_to
)

select * from int_campaigns__reached
