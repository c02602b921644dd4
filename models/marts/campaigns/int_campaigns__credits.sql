-- Grain: one row per brand, month, conversion, channel, touch-point and campaign with credit.
-- Why: what the shares of all customers add up to, under five models side by side.
-- Not here: single customers (int_campaigns__shares). Shares are rounded before they are added: sums are exact in any order.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with int_campaigns__credits as (
    select
        brand_id,
        month,
        conversion,
        channel,
        touch_point,
        campaign_id
        {%- for model in quanyu.attribution_models() %},
        sum({{ quanyu.rounded_decimal(model ~ '_credit', 20, 12) }}) as {{ model }}_credit,
        sum({{ quanyu.rounded_decimal('cast(net_amount as double) * ' ~ model ~ '_credit', 22, 8) }}) as {{ model }}_net_amount
        {%- endfor %}
    from {{ ref('int_campaigns__shares') }}
    group by brand_id, month, conversion, channel, touch_point, campaign_id
)

select * from int_campaigns__credits
