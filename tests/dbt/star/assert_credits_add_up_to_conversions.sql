-- Fails with: a brand, month, conversion and attribution model whose credits do not add up to the conversions counted
--             where they happened, or an order model whose money is not the money of those orders.
-- Why: attribution hands out what there is; a model that makes or loses orders decides budgets on nothing.
-- Not claimed: that the credit went to the right touch-point (tests/oracle/star.py).
{{ config(meta={'dagster': {'ref': {'name': 'attribution'}}}) }}

with happened as (
    select
        orders.brand_id,
        cast({{ dbt.date_trunc('month', 'orders.purchased_on') }} as date) as month,
        'order' as conversion,
        count(*) as conversions,
        sum(orders.net_amount) as net_amount
    from {{ ref('fct_orders') }} as orders
    inner join ({{ quanyu.counted_customers() }}) as customers on orders.customer_key = customers.customer_key
    where orders.is_valid_purchase
    group by orders.brand_id, cast({{ dbt.date_trunc('month', 'orders.purchased_on') }} as date)
    union all
    select
        brand_id,
        cast({{ dbt.date_trunc('month', 'changed_on') }} as date) as month,
        from_stage || '>' || to_stage as conversion,
        count(*) as conversions,
        null as net_amount
    from {{ ref('fct_stage_transitions') }}
    where model = '{{ var("attribution_stage_model") }}' and direction in ('forward', 'new')
    group by brand_id, cast({{ dbt.date_trunc('month', 'changed_on') }} as date), from_stage || '>' || to_stage
),

models as (
    {%- for model in quanyu.attribution_models() %}
    select '{{ model }}' as attribution_model
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

credited as (
    select
        brand_id,
        month,
        conversion,
        attribution_model,
        sum(credit) as credit,
        sum(credit_net_amount) as net_amount
    from {{ ref('attribution') }}
    group by brand_id, month, conversion, attribution_model
),

expected as (
    select
        happened.*,
        models.attribution_model
    from happened
    cross join models
)

select
    expected.*,
    credited.credit,
    credited.net_amount as credited_net_amount
from expected
full join credited
    on
        expected.brand_id = credited.brand_id
        and expected.month = credited.month
        and expected.conversion = credited.conversion
        and expected.attribution_model = credited.attribution_model
where
    expected.conversions is null
    or credited.credit is null
    or abs(credited.credit - expected.conversions) > 0.000001
    or abs(coalesce(credited.net_amount, 0) - coalesce(expected.net_amount, 0)) > 0.01
