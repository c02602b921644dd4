-- Grain: one row per campaign.
-- Why: what a campaign cost, whom it reached, what they did, what it sold, what it added against a hold-out, and what was
--      left of it 30 and 60 days later.
-- Not here: layers and RFM classes of its people (campaign_segments), credit by touch-point (attribution).
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

counted as (
    {{ quanyu.counted_customers() }}
),

campaigns as (
    select
        *,
        ends_on <= (select as_of.as_of_date from as_of) as is_complete,
        {{ quanyu.add_days('ends_on', 30) }} <= (select as_of.as_of_date from as_of) as is_observed_30d,
        {{ quanyu.add_days('ends_on', 60) }} <= (select as_of.as_of_date from as_of) as is_observed_60d
    from {{ ref('stg_landing__campaigns') }}
),

costs as (
    select
        costs.campaign_id,
        sum(costs.impressions) as impressions,
        sum(costs.clicks) as clicks,
        sum(costs.cost_amount) as cost_amount
    from {{ ref('stg_landing__campaign_costs') }} as costs
    inner join as_of on costs.spent_on <= as_of.as_of_date
    group by costs.campaign_id
),

funnels as (
    select
        campaign_id,
        count(*) as reached_customers,
        sum(is_responding) as responding_customers,
        sum(has_viewed) as viewing_customers,
        sum(has_viewed * has_carted) as carting_customers,
        sum(has_viewed * has_carted * has_ordered) as ordering_customers,
        sum(has_viewed * has_carted * has_ordered * has_bought) as buying_customers,
        sum(has_bought) as buyers_among_reached
    from {{ ref('int_campaigns__reached') }}
    group by campaign_id
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

-- Orders that name the campaign themselves, valid on their day: those that came back since are what a refund rate counts.
orders as (
    select
        campaigns.brand_id,
        campaigns.campaign_id,
        campaigns.ends_on,
        orders.source_system,
        orders.order_id,
        counted.customer_key,
        orders.purchased_on,
        orders.paid_amount,
        orders.net_amount,
        orders.gross_amount,
        orders.discount_amount
    from {{ ref('fct_orders') }} as orders
    inner join campaigns on orders.campaign_id = campaigns.campaign_id and orders.brand_id = campaigns.brand_id
    left join counted on orders.customer_key = counted.customer_key
    where
        orders.valid_from <= (select as_of.as_of_date from as_of)
        and (orders.valid_to is null or orders.valid_to > orders.valid_from)
),

money as (
    select
        orders.campaign_id,
        count(*) as order_count,
        count(distinct orders.customer_key) as buyers,
        count(distinct case
            when first_purchases.first_purchase_on >= campaigns.starts_on then orders.customer_key
        end) as new_buyers,
        sum(orders.paid_amount) as gmv_amount,
        sum(orders.net_amount) as net_amount,
        sum(orders.gross_amount) as gross_amount,
        sum(orders.discount_amount) as discount_amount
    from orders
    inner join campaigns on orders.campaign_id = campaigns.campaign_id
    left join first_purchases
        on orders.brand_id = first_purchases.brand_id and orders.customer_key = first_purchases.customer_key
    group by orders.campaign_id
),

refunded as (
    select
        orders.campaign_id,
        sum(case when refunds.refunded_on <= {{ quanyu.add_days('orders.ends_on', 30) }} then refunds.refund_amount end)
            as refund_amount_30d,
        sum(case when refunds.refunded_on <= {{ quanyu.add_days('orders.ends_on', 60) }} then refunds.refund_amount end)
            as refund_amount_60d
    from orders
    inner join {{ ref('fct_refunds') }} as refunds
        on orders.source_system = refunds.source_system and orders.order_id = refunds.order_id
    where refunds.is_linked
    group by orders.campaign_id
),

buyers as (
    select distinct
        brand_id,
        campaign_id,
        customer_key,
        ends_on
    from orders
    where customer_key is not null
),

afterwards as (
    select
        campaign_id,
        {%- for days in [30, 60] %}
        sum(is_active_{{ days }}d) as retained_buyers_{{ days }}d,
        sum(is_again_{{ days }}d) as repurchasing_buyers_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            buyers.campaign_id,
            buyers.customer_key,
            {%- for days in [30, 60] %}
            max(case
                when
                    days.activity_date <= {{ quanyu.add_days('buyers.ends_on', days) }}
                    and (days.touchpoint_count > 0 or days.purchase_count > 0) then 1
                else 0
            end) as is_active_{{ days }}d,
            max(case
                when
                    days.activity_date <= {{ quanyu.add_days('buyers.ends_on', days) }} and days.purchase_count > 0 then 1
                else 0
            end) as is_again_{{ days }}d{{ ',' if not loop.last }}
            {%- endfor %}
        from buyers
        inner join {{ ref('customer_day') }} as days
            on
                buyers.brand_id = days.brand_id
                and buyers.customer_key = days.customer_key
                and buyers.ends_on < days.activity_date
                and {{ quanyu.add_days('buyers.ends_on', 60) }} >= days.activity_date
        group by buyers.campaign_id, buyers.customer_key
    ) as each_buyer
    group by campaign_id
),

-- Everybody who was drawn, whether the message arrived or not: a dead number is dead in the hold-out, too. Whom a
-- campaign held back once it held back, whatever else reached him.
drawn as (
    select
        campaigns.brand_id,
        messages.campaign_id,
        messages.customer_key,
        min(messages.sent_on) as sent_on,
        max(case when messages.is_control then 1 else 0 end) as is_control,
        max(case when messages.unsubscribed_on is not null then 1 else 0 end) as has_unsubscribed,
        max(case when messages.delivered_on is not null then 1 else 0 end) as is_delivered,
        max(case when messages.clicked_on is not null then 1 else 0 end) as has_clicked
    from {{ ref('int_campaigns__messages') }} as messages
    inner join campaigns on messages.campaign_id = campaigns.campaign_id
    inner join as_of on messages.sent_on <= as_of.as_of_date
    group by campaigns.brand_id, messages.campaign_id, messages.customer_key
),

outcomes as (
    select
        drawn.campaign_id,
        drawn.customer_key,
        drawn.is_control,
        drawn.is_delivered,
        drawn.has_clicked,
        drawn.has_unsubscribed,
        case
            when {{ quanyu.add_days('drawn.sent_on', var('campaign_uplift_days')) }} <= as_of.as_of_date then 1 else 0
        end as is_observed,
        max(case when days.purchase_count > 0 then 1 else 0 end) as has_bought,
        sum(coalesce(days.purchase_net_amount, 0)) as net_amount
    from drawn
    cross join as_of
    left join {{ ref('customer_day') }} as days
        on
            drawn.brand_id = days.brand_id
            and drawn.customer_key = days.customer_key
            and drawn.sent_on < days.activity_date
            and {{ quanyu.add_days('drawn.sent_on', var('campaign_uplift_days')) }} >= days.activity_date
    group by
        drawn.campaign_id, drawn.customer_key, drawn.is_control, drawn.is_delivered, drawn.has_clicked,
        drawn.has_unsubscribed, drawn.sent_on, as_of.as_of_date
),

compared as (
    select
        campaign_id,
        sum(case when is_control = 0 then 1 else 0 end) as messaged_customers,
        sum((1 - is_control) * is_delivered) as delivered_customers,
        sum((1 - is_control) * has_clicked) as clicking_customers,
        sum((1 - is_control) * has_unsubscribed) as unsubscribed_customers,
        {%- for group, flag in {'treated': 0, 'control': 1}.items() %}
        sum(case when is_observed = 1 and is_control = {{ flag }} then 1 else 0 end) as {{ group }}_customers,
        sum(case when is_observed = 1 and is_control = {{ flag }} then has_bought else 0 end) as {{ group }}_buyers,
        sum(case when is_observed = 1 and is_control = {{ flag }} then net_amount else 0 end)
            as {{ group }}_net_amount{{ ',' if not loop.last }}
        {%- endfor %}
    from outcomes
    group by campaign_id
),

uplifts as (
    select
        *,
        case
            when control_customers > 0 and treated_customers > 0
                then
                    cast(treated_buyers as double) / treated_customers
                    - cast(control_buyers as double) / control_customers
        end as uplift,
        case
            when control_customers > 0 and treated_customers > 0
                then
                    cast(treated_net_amount as double) - cast(control_net_amount as double)
                    * treated_customers / control_customers
        end as extra_net_amount,
        cast(treated_buyers + control_buyers as double) / nullif(treated_customers + control_customers, 0) as pooled_rate
    from compared
),

credits as (
    select
        campaign_id,
        sum({{ var('campaign_attribution_model') }}_credit) as attributed_orders,
        sum({{ var('campaign_attribution_model') }}_net_amount) as attributed_net_amount
    from {{ ref('int_campaigns__credits') }}
    where conversion = 'order'
    group by campaign_id
),

moves as (
    select
        campaign_id,
        sum({{ var('campaign_attribution_model') }}_credit) as attributed_moves
    from {{ ref('int_campaigns__credits') }}
    where conversion <> 'order'
    group by campaign_id
),

{% set funnel = [
    'reached_customers', 'responding_customers', 'viewing_customers', 'carting_customers', 'ordering_customers',
    'buying_customers', 'buyers_among_reached',
] -%}
campaign_performance as (
    select
        cast(campaigns.campaign_id as {{ dbt.type_string() }}) as campaign_id,
        cast(campaigns.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(campaigns.campaign_name as {{ dbt.type_string() }}) as campaign_name,
        cast(campaigns.scenario as {{ dbt.type_string() }}) as scenario,
        cast(campaigns.channel as {{ dbt.type_string() }}) as channel,
        campaigns.starts_on,
        campaigns.ends_on,
        campaigns.is_complete,
        cast(campaigns.budget_amount as decimal(18, 4)) as budget_amount,
        cast(costs.cost_amount as decimal(18, 4)) as cost_amount,
        cast(costs.impressions as bigint) as impressions,
        cast(costs.clicks as bigint) as clicks,
        cast(costs.clicks * 1.0 / nullif(costs.impressions, 0) as double) as click_through_rate,
        cast(cast(costs.cost_amount as double) / nullif(costs.clicks, 0) as double) as cost_per_click,
        {%- for step in funnel %}
        cast(coalesce(funnels.{{ step }}, 0) as bigint) as {{ step }},
        {%- endfor %}
        cast(funnels.responding_customers * 1.0 / nullif(funnels.reached_customers, 0) as double) as response_rate,
        cast(funnels.buyers_among_reached * 1.0 / nullif(funnels.reached_customers, 0) as double) as buying_rate,
        cast(coalesce(money.order_count, 0) as bigint) as order_count,
        cast(coalesce(money.buyers, 0) as bigint) as buyers,
        cast(coalesce(money.new_buyers, 0) as bigint) as new_buyers,
        cast(money.new_buyers * 1.0 / nullif(money.buyers, 0) as double) as new_buyer_share,
        cast(coalesce(money.gmv_amount, 0) as decimal(18, 4)) as gmv_amount,
        cast(coalesce(money.net_amount, 0) as decimal(18, 4)) as net_amount,
        cast(coalesce(money.discount_amount, 0) as decimal(18, 4)) as discount_amount,
        cast(cast(money.discount_amount as double) / nullif(cast(money.gross_amount as double), 0) as double)
            as coupon_cost_rate,
        cast(
            cast(coalesce(money.net_amount, 0) as double) / nullif(cast(costs.cost_amount as double), 0) as double
        ) as direct_roas,
        cast(coalesce(credits.attributed_orders, 0) as decimal(24, 12)) as attributed_orders,
        cast(coalesce(credits.attributed_net_amount, 0) as decimal(24, 8)) as attributed_net_amount,
        cast(
            cast(coalesce(credits.attributed_net_amount, 0) as double) / nullif(cast(costs.cost_amount as double), 0)
            as double
        ) as roas,
        cast(coalesce(moves.attributed_moves, 0) as decimal(24, 12)) as attributed_moves,
        cast(cast(costs.cost_amount as double) / nullif(money.new_buyers, 0) as double) as cost_per_new_buyer,
        {%- for head in ['messaged', 'delivered', 'clicking', 'unsubscribed'] %}
        cast(uplifts.{{ head }}_customers as bigint) as {{ head }}_customers,
        {%- endfor %}
        {%- for group in ['treated', 'control'] %}
        cast(uplifts.{{ group }}_customers as bigint) as {{ group }}_customers,
        cast(uplifts.{{ group }}_buyers as bigint) as {{ group }}_buyers,
        cast(uplifts.{{ group }}_buyers * 1.0 / nullif(uplifts.{{ group }}_customers, 0) as double)
            as {{ group }}_buying_rate,
        {%- endfor %}
        cast(uplifts.uplift as double) as uplift,
        cast(uplifts.uplift * uplifts.treated_customers as double) as extra_buyers,
        cast(uplifts.uplift / nullif(sqrt(
            uplifts.pooled_rate * (1 - uplifts.pooled_rate)
            * (
                cast(1 as double) / nullif(uplifts.treated_customers, 0)
                + cast(1 as double) / nullif(uplifts.control_customers, 0)
            )
        ), 0) as double) as uplift_z,
        cast(round(uplifts.extra_net_amount, 4) as decimal(18, 4)) as extra_net_amount,
        cast(
            (uplifts.extra_net_amount * {{ var('clv_margin_rate') }} - cast(costs.cost_amount as double))
            / nullif(cast(costs.cost_amount as double), 0) as double
        ) as marketing_roi,
        {%- for days in [30, 60] %}
        {%- for what in ['retained', 'repurchasing'] %}
        cast(
            case when campaigns.is_observed_{{ days }}d then coalesce(afterwards.{{ what }}_buyers_{{ days }}d, 0) end
            as bigint
        ) as {{ what }}_buyers_{{ days }}d,
        cast(
            case when campaigns.is_observed_{{ days }}d then coalesce(afterwards.{{ what }}_buyers_{{ days }}d, 0) end * 1.0
            / nullif(money.buyers, 0) as double
        ) as {{ what }}_rate_{{ days }}d,
        {%- endfor %}
        cast(
            case when campaigns.is_observed_{{ days }}d then coalesce(refunded.refund_amount_{{ days }}d, 0) end
            as decimal(18, 4)
        ) as refund_amount_{{ days }}d,
        cast(
            cast(case when campaigns.is_observed_{{ days }}d then coalesce(refunded.refund_amount_{{ days }}d, 0) end as double)
            / nullif(cast(money.gmv_amount as double), 0) as double
        ) as refund_rate_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from campaigns
    left join costs on campaigns.campaign_id = costs.campaign_id
    left join funnels on campaigns.campaign_id = funnels.campaign_id
    left join money on campaigns.campaign_id = money.campaign_id
    left join refunded on campaigns.campaign_id = refunded.campaign_id
    left join afterwards on campaigns.campaign_id = afterwards.campaign_id
    left join uplifts on campaigns.campaign_id = uplifts.campaign_id
    left join credits on campaigns.campaign_id = credits.campaign_id
    left join moves on campaigns.campaign_id = moves.campaign_id
)

select * from campaign_performance
order by campaign_id
