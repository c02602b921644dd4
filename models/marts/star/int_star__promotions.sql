-- Grain: one row per brand and promotion of the calendar that has begun (period_key).
-- Why: before, in and after a promotion: the pool it draws on, who bought, what it lifted, who stayed, what came back.
-- Not here: targets and verdicts (star_scenarios). What cannot be seen yet is judged by is_observed_30d and _60d.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}
{%- set interactions = quanyu.event_mask(var('star_interactions')) %}
{%- set cart = quanyu.event_mask(['cart_add']) %}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

counted as (
    {{ quanyu.counted_customers() }}
),

periods as (
    select * from {{ ref('int_star__periods') }}
),

promotions as (
    select
        *,
        {%- for days in [30, 60] %}
        {{ quanyu.add_days('ends_on', days) }} <= (select as_of.as_of_date from as_of) as is_observed_{{ days }}d
        {{- ',' if not loop.last }}
        {%- endfor %}
    from periods
    where period_kind = 'promotion'
),

-- Promotions: R3 on the day before, and whoever put something in a cart in the warm-up.
warm_up as (
    select
        promotions.period_key,
        days.customer_key,
        max(case when (days.behaviours & {{ cart }}) <> 0 then 1 else 0 end) as is_cart,
        max(case when (days.behaviours & {{ interactions }}) <> 0 then 1 else 0 end) as is_interacting
    from {{ ref('customer_day') }} as days
    inner join counted on days.customer_key = counted.customer_key
    inner join promotions
        on
            days.brand_id = promotions.brand_id
            and days.activity_date < promotions.starts_on
            and days.activity_date >= {{ quanyu.add_days('promotions.starts_on', -var('promotion_warm_up_days')) }}
    where days.touchpoint_count > 0
    group by promotions.period_key, days.customer_key
),

wishing as (
    select
        promotions.period_key,
        spells.customer_key
    from {{ ref('int_stages__spells') }} as spells
    inner join promotions
        on
            spells.brand_id = promotions.brand_id
            and spells.valid_from <= promotions.day_before
            and (spells.valid_to is null or spells.valid_to > promotions.day_before)
    where spells.model = '{{ var("star_stage_model") }}' and spells.stage_rank = 3
),

pools as (
    select
        period_key,
        count(*) as customers
    from (
        select
            period_key,
            customer_key
        from wishing
        union
        select
            period_key,
            customer_key
        from warm_up
        where is_cart = 1
    ) as pool
    group by period_key
),

warmed as (
    select
        period_key,
        count(*) as customers,
        sum(is_interacting) as interacting
    from warm_up
    group by period_key
),

promotion_orders as (
    select
        promotions.period_key,
        promotions.brand_id,
        promotions.ends_on,
        promotions.day_before,
        orders.source_system,
        orders.order_id,
        counted.customer_key,
        counted.customer_id,
        orders.paid_amount,
        orders.gross_amount,
        orders.discount_amount
    from {{ ref('fct_orders') }} as orders
    inner join promotions
        on
            orders.brand_id = promotions.brand_id
            and orders.valid_from between promotions.starts_on and promotions.last_on
            and (orders.valid_to is null or orders.valid_to > promotions.last_on)
    left join counted on orders.customer_key = counted.customer_key
),

promotion_money as (
    select
        period_key,
        sum(paid_amount) as gmv_amount,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount
    from promotion_orders
    group by period_key
),

promotion_refunds as (
    select
        orders.period_key,
        {%- for days in [30, 60] %}
        sum(case
            when refunds.refunded_on <= {{ quanyu.add_days('orders.ends_on', days) }} then refunds.refund_amount else 0
        end) as refund_amount_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from promotion_orders as orders
    inner join {{ ref('fct_refunds') }} as refunds
        on orders.source_system = refunds.source_system and orders.order_id = refunds.order_id and refunds.is_linked
    group by orders.period_key
),

baselines as (
    select
        promotions.period_key,
        sum(orders.paid_amount) as gmv_amount
    from {{ ref('fct_orders') }} as orders
    inner join promotions
        on
            orders.brand_id = promotions.brand_id
            and orders.valid_from < promotions.starts_on
            and orders.valid_from >= {{ quanyu.add_days('promotions.starts_on', -var('promotion_baseline_days')) }}
            and (orders.valid_to is null or orders.valid_to > promotions.last_on)
    group by promotions.period_key
),

buyers as (
    select distinct
        period_key,
        brand_id,
        customer_key,
        customer_id,
        ends_on,
        day_before
    from promotion_orders
    where customer_key is not null
),

class_days as (
    select
        promotions.period_key,
        max(days.as_of_date) as as_of_date
    from promotions
    inner join (
        select distinct
            brand_id,
            as_of_date
        from {{ ref('rfm_customers') }}
    ) as days on promotions.brand_id = days.brand_id and promotions.day_before >= days.as_of_date
    group by promotions.period_key
),

buyer_facts as (
    select
        buyers.period_key,
        buyers.customer_key,
        max(case when class_days.as_of_date is not null then 1 else 0 end) as has_classes,
        max(case when rfm.rfm_code like '__1' then 1 else 0 end) as is_important,
        {%- for days in [30, 60] %}
        max(case
            when days.activity_date <= {{ quanyu.add_days('buyers.ends_on', days) }} then 1 else 0
        end) as is_retained_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from buyers
    left join class_days on buyers.period_key = class_days.period_key
    left join {{ ref('rfm_customers') }} as rfm
        on
            class_days.as_of_date = rfm.as_of_date
            and buyers.brand_id = rfm.brand_id
            and buyers.customer_id = rfm.customer_id
            and rfm.scope = 'all'
    left join {{ ref('customer_day') }} as days
        on
            buyers.brand_id = days.brand_id
            and buyers.customer_key = days.customer_key
            and buyers.ends_on < days.activity_date
            and {{ quanyu.add_days('buyers.ends_on', 60) }} >= days.activity_date
            and (days.touchpoint_count > 0 or days.purchase_count > 0)
    group by buyers.period_key, buyers.customer_key
),

buyer_counts as (
    select
        period_key,
        count(*) as buyers,
        min(has_classes) as has_classes,
        sum(is_important) as important_buyers,
        sum(is_retained_30d) as retained_30d,
        sum(is_retained_60d) as retained_60d
    from buyer_facts
    group by period_key
),

deep_buyers as (
    select
        worth.brand_id,
        worth.period_kind,
        worth.period_id,
        sum(case when worth.layer = 'all' then worth.buyers else 0 end) as buyers,
        sum(case
            when stages.{{ adapter.quote('rank') }} >= 4 then worth.buyers else 0
        end) as deep_buyers
    from {{ ref('star_returning') }} as worth
    left join {{ ref('stages') }} as stages
        on worth.layer = stages.stage and stages.model = '{{ var("star_stage_model") }}'
    where worth.period_kind = 'promotion'
    group by worth.brand_id, worth.period_kind, worth.period_id
),

carts as (
    select
        brand_id,
        period_kind,
        period_id,
        sum(customers) as customers
    from {{ ref('star_scaling') }}
    where period_kind = 'promotion' and layer in ('all', 'none') and channel = 'all' and touch_point = 'cart_add'
    group by brand_id, period_kind, period_id
),

int_star__promotions as (
    select
        promotions.*,
        {{ quanyu.days_between('promotions.starts_on', 'promotions.last_on') }} + 1 as days,
        {{ quanyu.day_number('promotions.starts_on') }} - (
            select min({{ quanyu.day_number('calendar.as_of_date') }})
            from {{ ref('int_stages__calendar') }} as calendar
            where calendar.brand_id = promotions.brand_id
        ) as days_known_before,
        pools.customers as pool_customers,
        warmed.customers as warmed_customers,
        warmed.interacting as warmed_interacting,
        promotion_money.gmv_amount,
        promotion_money.gross_amount,
        promotion_money.discount_amount,
        coalesce(promotion_refunds.refund_amount_30d, 0) as refund_amount_30d,
        coalesce(promotion_refunds.refund_amount_60d, 0) as refund_amount_60d,
        baselines.gmv_amount as baseline_amount,
        buyer_counts.buyers,
        buyer_counts.has_classes,
        buyer_counts.important_buyers,
        buyer_counts.retained_30d,
        buyer_counts.retained_60d,
        scaling.new_customers,
        carts.customers as cart_customers,
        deep_buyers.buyers - deep_buyers.deep_buyers as shallow_buyers
    from promotions
    {%- for part in [
        'pools', 'warmed', 'promotion_money', 'promotion_refunds', 'baselines', 'buyer_counts'
    ] %}
    left join {{ part }} on promotions.period_key = {{ part }}.period_key
    {%- endfor %}
    left join {{ ref('star_scaling') }} as scaling
        on
            promotions.brand_id = scaling.brand_id
            and promotions.period_kind = scaling.period_kind
            and promotions.period_id = scaling.period_id
            and scaling.layer = 'all'
            and scaling.channel = 'all'
            and scaling.touch_point = 'all'
    left join carts on promotions.brand_id = carts.brand_id and promotions.period_id = carts.period_id
    left join deep_buyers on promotions.brand_id = deep_buyers.brand_id and promotions.period_id = deep_buyers.period_id
)

select * from int_star__promotions
