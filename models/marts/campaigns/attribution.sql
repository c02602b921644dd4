-- Grain: one row per brand, month, conversion, attribution model, channel, touch-point and campaign with credit.
-- Why: which touch-point brought the orders, and which one moved people from A to I, from I to P.
-- Not here: anonymous orders. Conversions that no touch-point preceded are the channel `none`, so that the credits of a
--           model add up to the conversions.
with credits as (
    {%- for model in quanyu.attribution_models() %}
    select
        brand_id,
        month,
        conversion,
        '{{ model }}' as attribution_model,
        channel,
        touch_point,
        campaign_id,
        {{ model }}_credit as credit,
        {{ model }}_net_amount as net_amount
    from {{ ref('int_campaigns__credits') }}
    where {{ model }}_credit > 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

attribution as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        month,
        cast(conversion as {{ dbt.type_string() }}) as conversion,
        cast(attribution_model as {{ dbt.type_string() }}) as attribution_model,
        cast(channel as {{ dbt.type_string() }}) as channel,
        cast(touch_point as {{ dbt.type_string() }}) as touch_point,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id,
        cast(credit as decimal(24, 12)) as credit,
        cast(round(sum(credit) over (
            partition by brand_id, month, conversion, attribution_model
        )) as bigint) as conversions,
        cast(
            cast(credit as double) / cast(sum(credit) over (
                partition by brand_id, month, conversion, attribution_model
            ) as double) as double
        ) as credit_share,
        cast(net_amount as decimal(24, 8)) as credit_net_amount
    from credits
)

select * from attribution
order by brand_id, month, conversion, attribution_model, channel, touch_point, campaign_id
