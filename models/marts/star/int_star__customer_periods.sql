-- Grain: one row per period and customer whom a touch-point, message, membership or purchase touched in it
--        (period_key, customer_key).
-- Why: the layer before and at the end of the period beside what the customer did in it; new or old.
-- Not here: customers who stay in a layer untouched; stocks and flows come from the spells.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with periods as (
    select * from {{ ref('int_star__periods') }}
),

touches as (
    select
        touches.period_key,
        touches.customer_key,
        sum(touches.event_count) as event_count,
        sum(touches.event_count * keys.is_interaction) as interaction_count,
        sum(case when (keys.deeds & 1) <> 0 then touches.event_count else 0 end) as message_count,
        bit_or(keys.deeds) as deeds
    from {{ ref('int_star__touches') }} as touches
    inner join {{ ref('int_star__touch_keys') }} as keys
        on touches.channel_key = keys.channel_key and touches.touch_point_key = keys.touch_point_key
    group by touches.period_key, touches.customer_key
),

first_met as (
    select
        brand_id,
        customer_key,
        min(met_on) as first_met_on
    from (
        select
            brand_id,
            customer_key,
            activity_date as met_on
        from {{ ref('customer_day') }}
        union all
        select
            coalesce(campaigns.brand_id, '{{ var("default_brand_id") }}') as brand_id,
            map.customer_key,
            cast(messages.delivered_at as date) as met_on
        from {{ ref('stg_landing__messages') }} as messages
        inner join {{ ref('int_identity__customer_map') }} as map on messages.identifier_key = map.identifier_key
        left join {{ ref('stg_landing__campaigns') }} as campaigns on messages.campaign_id = campaigns.campaign_id
        where messages.delivered_at is not null
    ) as meetings
    group by brand_id, customer_key
),

spells as (
    select
        brand_id,
        customer_key,
        stage_rank,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = '{{ var("star_stage_model") }}'
),

int_star__customer_periods as (
    select
        touches.period_key,
        touches.customer_key,
        cast(touches.event_count as integer) as event_count,
        cast(touches.interaction_count as integer) as interaction_count,
        cast(touches.message_count as integer) as message_count,
        {%- for deed, bit in {
            'has_message': 1, 'has_message_in': 2, 'has_share': 4, 'has_cart_add': 8, 'has_coupon_claim': 16,
            'has_coupon_use': 32, 'has_points_redeem': 64, 'is_active': 256, 'is_active_in_group': 512,
        }.items() %}
        cast(case when (touches.deeds & {{ bit }}) <> 0 then 1 else 0 end as tinyint) as {{ deed }},
        {%- endfor %}
        coalesce(before.stage_rank, 0) as rank_before,
        coalesce(at_end.stage_rank, 0) as rank_at_end,
        first_met.first_met_on,
        first_met.first_met_on >= periods.starts_on as is_new
    from touches
    inner join periods on touches.period_key = periods.period_key
    inner join first_met
        on periods.brand_id = first_met.brand_id and touches.customer_key = first_met.customer_key
    left join spells as before
        on
            periods.brand_id = before.brand_id
            and touches.customer_key = before.customer_key
            and periods.day_before >= before.valid_from
            and periods.day_before < before.valid_to
    left join spells as at_end
        on
            periods.brand_id = at_end.brand_id
            and touches.customer_key = at_end.customer_key
            and periods.last_on >= at_end.valid_from
            and periods.last_on < at_end.valid_to
)

select * from int_star__customer_periods
