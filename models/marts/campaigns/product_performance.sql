-- Grain: one row per brand, month and product (`all` included) that anybody viewed, put in a cart, bought or reviewed.
-- Why: what a product draws, turns into orders, adds to baskets and brings back.
-- Not here: refunds, which name orders and no lines; anonymous orders and visitors count in views, orders and money, and
--           never as people.
with counted as (
    {{ quanyu.counted_customers() }}
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

-- What somebody did with a product is a bit: 1 viewed, 2 put in a cart, 4 took as a favourite, 8 bought, 16 bought as a new
-- customer, 32 bought again in time; 64 viewed and put in a cart, 128 and bought, too.
events as (
    select
        touchpoints.brand_id,
        cast({{ dbt.date_trunc('month', 'touchpoints.occurred_on') }} as date) as month,
        touchpoints.product_id,
        touchpoints.customer_key,
        case touchpoints.event_type when 'product_view' then 1 when 'cart_add' then 2 when 'favorite' then 4 else 0 end as deed,
        touchpoints.event_value
    from {{ ref('fct_touchpoints') }} as touchpoints
    where
        touchpoints.product_id is not null
        and touchpoints.event_type in ('product_view', 'cart_add', 'favorite', 'review')
),

lines as (
    select
        lines.brand_id,
        cast({{ dbt.date_trunc('month', 'lines.purchased_on') }} as date) as month,
        lines.product_id,
        counted.customer_key,
        lines.source_system,
        lines.order_id,
        lines.purchased_on,
        sum(lines.quantity) as quantity,
        sum(lines.line_amount) as line_amount
    from {{ ref('fct_order_lines') }} as lines
    left join counted on lines.customer_key = counted.customer_key
    where lines.is_valid_purchase
    group by
        lines.brand_id, lines.product_id, counted.customer_key, lines.source_system, lines.order_id,
        lines.purchased_on
),

orders as (
    select
        brand_id,
        month,
        source_system,
        order_id,
        count(*) as products
    from lines
    group by brand_id, month, source_system, order_id
),

first_purchases as (
    select
        brand_id,
        customer_key,
        min(activity_date) as first_purchase_on
    from {{ ref('customer_day') }}
    where purchase_count > 0
    group by brand_id, customer_key
),

-- Bought the same product again on a later day.
product_days as (
    select
        brand_id,
        month,
        product_id,
        customer_key,
        purchased_on,
        lead(purchased_on) over (
            partition by brand_id, product_id, customer_key order by purchased_on
        ) as next_on
    from (
        select distinct
            brand_id,
            month,
            product_id,
            customer_key,
            purchased_on
        from lines
        where customer_key is not null
    ) as bought
),

deeds as (
    select
        events.brand_id,
        events.month,
        events.product_id,
        events.customer_key,
        bit_or(events.deed) as deeds
    from events
    inner join counted on events.customer_key = counted.customer_key
    where events.deed > 0
    group by events.brand_id, events.month, events.product_id, events.customer_key
    union all
    select
        product_days.brand_id,
        product_days.month,
        product_days.product_id,
        product_days.customer_key,
        bit_or(
            8 | case when first_purchases.first_purchase_on >= product_days.month then 16 else 0 end
            | case
                when product_days.next_on
                    <= {{ quanyu.add_days('product_days.purchased_on', var('product_repurchase_days')) }} then 32
                else 0
            end
        ) as deeds
    from product_days
    left join first_purchases
        on product_days.brand_id = first_purchases.brand_id and product_days.customer_key = first_purchases.customer_key
    group by product_days.brand_id, product_days.month, product_days.product_id, product_days.customer_key
),

people as (
    select
        brand_id,
        month,
        product_id,
        customer_key,
        deeds | case when (deeds & 3) = 3 then 64 else 0 end | case when (deeds & 11) = 11 then 128 else 0 end as deeds
    from (
        select
            brand_id,
            month,
            product_id,
            customer_key,
            bit_or(deeds) as deeds
        from deeds
        group by brand_id, month, product_id, customer_key
    ) as added
),

sets as (
    select
        brand_id,
        month,
        product_id,
        deeds,
        count(*) as customers
    from people
    group by brand_id, month, product_id, deeds
    union all
    select
        brand_id,
        month,
        'all' as product_id,
        deeds,
        count(*) as customers
    from (
        select
            brand_id,
            month,
            customer_key,
            bit_or(deeds) as deeds
        from people
        group by brand_id, month, customer_key
    ) as recounted
    group by brand_id, month, deeds
),

{% set heads = {
    'is_viewer': 1, 'is_cart': 64, 'is_paid': 128, 'has_cart': 2, 'has_favorite': 4, 'is_buyer': 8, 'is_new_buyer': 16,
    'is_again': 32,
} -%}
head_counts as (
    select
        brand_id,
        month,
        product_id,
        {%- for head, bit in heads.items() %}
        sum(case when (deeds & {{ bit }}) <> 0 then customers else 0 end) as {{ head }}{{ ',' if not loop.last }}
        {%- endfor %}
    from sets
    group by brand_id, month, product_id
),

{% set volumes = [
    'views', 'cart_adds', 'favorites', 'reviews', 'ratings', 'rated_reviews', 'positive_reviews', 'quantity',
    'line_amount',
] -%}
product_volumes as (
    select
        brand_id,
        month,
        product_id,
        sum(case when deed = 1 then 1 else 0 end) as views,
        sum(case when deed = 2 then 1 else 0 end) as cart_adds,
        sum(case when deed = 4 then 1 else 0 end) as favorites,
        sum(case when deed = 0 then 1 else 0 end) as reviews,
        sum(case when deed = 0 then event_value end) as ratings,
        sum(case when deed = 0 and event_value is not null then 1 else 0 end) as rated_reviews,
        sum(case when deed = 0 and event_value >= 4 then 1 else 0 end) as positive_reviews,
        0 as quantity,
        0 as line_amount
    from events
    group by brand_id, month, product_id
    union all
    select
        brand_id,
        month,
        product_id,
        0 as views,
        0 as cart_adds,
        0 as favorites,
        0 as reviews,
        null as ratings,
        0 as rated_reviews,
        0 as positive_reviews,
        sum(quantity) as quantity,
        sum(line_amount) as line_amount
    from lines
    group by brand_id, month, product_id
),

volumes as (
    {%- for product in ['product_id', "'all'"] %}
    select
        brand_id,
        month,
        {{ product }} as product_id,
        {%- for volume in volumes %}
        sum({{ volume }}) as {{ volume }}{{ ',' if not loop.last }}
        {%- endfor %}
    from product_volumes
    group by brand_id, month{{ ', product_id' if loop.first }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

baskets as (
    select
        lines.brand_id,
        lines.month,
        lines.product_id,
        count(*) as order_count,
        sum(case when orders.products > 1 then 1 else 0 end) as attached_orders
    from lines
    inner join orders
        on
            lines.brand_id = orders.brand_id
            and lines.source_system = orders.source_system
            and lines.order_id = orders.order_id
    group by lines.brand_id, lines.month, lines.product_id
    union all
    select
        brand_id,
        month,
        'all' as product_id,
        count(*) as order_count,
        sum(case when products > 1 then 1 else 0 end) as attached_orders
    from orders
    group by brand_id, month
),

joined as (
    select
        volumes.*,
        {%- for head in heads %}
        coalesce(head_counts.{{ head }}, 0) as {{ head }},
        {%- endfor %}
        coalesce(baskets.order_count, 0) as order_count,
        coalesce(baskets.attached_orders, 0) as attached_orders,
        {{ quanyu.add_days('last_day(volumes.month)', var('product_repurchase_days')) }}
        <= (select as_of.as_of_date from as_of) as is_observed
    from volumes
    left join head_counts
        on
            volumes.brand_id = head_counts.brand_id
            and volumes.month = head_counts.month
            and volumes.product_id = head_counts.product_id
    left join baskets
        on
            volumes.brand_id = baskets.brand_id
            and volumes.month = baskets.month
            and volumes.product_id = baskets.product_id
),

product_performance as (
    select
        cast(joined.brand_id as {{ dbt.type_string() }}) as brand_id,
        joined.month,
        cast(joined.product_id as {{ dbt.type_string() }}) as product_id,
        cast(products.product_name as {{ dbt.type_string() }}) as product_name,
        cast(products.category as {{ dbt.type_string() }}) as category,
        cast(joined.views as bigint) as views,
        cast(joined.is_viewer as bigint) as viewers,
        cast(joined.is_cart as bigint) as viewers_who_carted,
        cast(joined.is_paid as bigint) as viewers_who_carted_and_bought,
        cast(joined.is_cart * 1.0 / nullif(joined.is_viewer, 0) as double) as view_to_cart_rate,
        cast(joined.is_paid * 1.0 / nullif(joined.is_cart, 0) as double) as cart_to_pay_rate,
        cast(joined.is_paid * 1.0 / nullif(joined.is_viewer, 0) as double) as view_to_pay_rate,
        cast(joined.has_cart as bigint) as cart_customers,
        cast(joined.has_favorite as bigint) as favorite_customers,
        cast(joined.is_buyer as bigint) as buyers,
        cast(joined.is_new_buyer as bigint) as new_buyers,
        cast(joined.is_new_buyer * 1.0 / nullif(joined.is_buyer, 0) as double) as new_buyer_share,
        cast(joined.order_count as bigint) as order_count,
        cast(joined.attached_orders as bigint) as attached_orders,
        cast(joined.attached_orders * 1.0 / nullif(joined.order_count, 0) as double) as attach_rate,
        cast(joined.quantity as bigint) as quantity,
        cast(joined.line_amount as decimal(18, 4)) as line_amount,
        cast(case when joined.is_observed then joined.is_again end as bigint) as repurchasing_buyers,
        cast(
            case when joined.is_observed then joined.is_again end * 1.0 / nullif(joined.is_buyer, 0) as double
        ) as repurchase_rate,
        cast(joined.reviews as bigint) as reviews,
        cast(joined.rated_reviews as bigint) as rated_reviews,
        cast(cast(joined.ratings as double) / nullif(joined.rated_reviews, 0) as double) as mean_rating,
        cast(joined.positive_reviews as bigint) as positive_reviews,
        cast(joined.positive_reviews * 1.0 / nullif(joined.rated_reviews, 0) as double) as positive_review_rate
    from joined
    left join {{ ref('stg_landing__products') }} as products on joined.product_id = products.product_id
)

select * from product_performance
order by brand_id, month, product_id
