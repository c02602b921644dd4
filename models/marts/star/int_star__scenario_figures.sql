-- Grain: one row per brand, scenario, period and measure (brand_id, scenario, period_kind, period_id, measure).
-- Why: the figures of the five scenarios, as numerator and denominator, before they are held against targets.
-- Not here: targets and verdicts (star_scenarios). What cannot be seen yet is NULL.
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

months as (
    select
        *,
        {%- for days in [7, 30, 90] %}
        {{ quanyu.add_days('ends_on', days) }} <= (select as_of.as_of_date from as_of) as is_observed_{{ days }}d
        {{- ',' if not loop.last }}
        {%- endfor %}
    from periods
    where period_kind = 'month'
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

-- People whom the brand met for the first time in the month.
newcomers as (
    select
        people.period_key,
        months.brand_id,
        people.customer_key,
        people.first_met_on,
        people.rank_at_end
    from {{ ref('int_star__customer_periods') }} as people
    inner join months on people.period_key = months.period_key
    where people.is_new
),

reach as (
    select
        brand_id,
        customer_key,
        min(from_day) as from_day
    from {{ ref('int_star__asset_stays') }}
    where asset = 'reachable'
    group by brand_id, customer_key
),

newcomer_days as (
    select
        newcomers.period_key,
        newcomers.customer_key,
        max(case
            when
                days.activity_date <= {{ quanyu.add_days('newcomers.first_met_on', 7) }}
                and (days.behaviours & {{ interactions }}) <> 0 then 1
            else 0
        end) as is_interacting_7d,
        max(case
            when
                days.activity_date <= {{ quanyu.add_days('newcomers.first_met_on', 30) }}
                and (days.behaviours & {{ interactions }}) <> 0 then 1
            else 0
        end) as is_interacting_30d,
        min(case
            when
                days.purchase_count > 0
                and days.activity_date <= {{ quanyu.add_days('newcomers.first_met_on', 30) }} then days.activity_date
        end) as first_order_on,
        sum(days.purchase_net_amount) as value_90d
    from newcomers
    inner join {{ ref('customer_day') }} as days
        on
            newcomers.brand_id = days.brand_id
            and newcomers.customer_key = days.customer_key
            and days.activity_date >= newcomers.first_met_on
            and days.activity_date <= {{ quanyu.add_days('newcomers.first_met_on', 90) }}
    group by newcomers.period_key, newcomers.customer_key
),

first_orders as (
    select
        newcomer_days.period_key,
        sum(days.purchase_net_amount) as net_amount
    from newcomer_days
    inner join months on newcomer_days.period_key = months.period_key
    inner join {{ ref('customer_day') }} as days
        on
            months.brand_id = days.brand_id
            and newcomer_days.customer_key = days.customer_key
            and newcomer_days.first_order_on = days.activity_date
    group by newcomer_days.period_key
),

cohorts as (
    select
        newcomers.period_key,
        count(*) as people,
        sum(case when newcomers.rank_at_end >= 3 then 1 else 0 end) as deep_people,
        sum(case when newcomers.rank_at_end > 0 then 1 else 0 end) as layered_people,
        sum(
            case when reach.from_day <= {{ quanyu.day_number('newcomers.first_met_on') }} + 7 then 1 else 0 end
        ) as sunk_people,
        sum(coalesce(newcomer_days.is_interacting_7d, 0)) as interacting_7d,
        sum(coalesce(newcomer_days.is_interacting_30d, 0)) as interacting_30d,
        count(newcomer_days.first_order_on) as first_orders,
        sum(coalesce(newcomer_days.value_90d, 0)) as value_90d
    from newcomers
    left join newcomer_days
        on newcomers.period_key = newcomer_days.period_key and newcomers.customer_key = newcomer_days.customer_key
    left join reach on newcomers.brand_id = reach.brand_id and newcomers.customer_key = reach.customer_key
    group by newcomers.period_key
),

outside_to_r3 as (
    select
        goals.brand_id,
        goals.period_kind,
        goals.period_id,
        coalesce(flows.customers, 0) as customers,
        goals.base_customers
    from {{ ref('star_goal_flows') }} as goals
    left join (
        select
            flows.brand_id,
            flows.period_kind,
            flows.period_id,
            flows.customers
        from {{ ref('star_flows') }} as flows
        inner join {{ ref('stages') }} as stages
            on flows.to_layer = stages.stage and stages.model = '{{ var("star_stage_model") }}'
        where flows.from_layer = 'none' and stages.{{ adapter.quote('rank') }} = 3
    ) as flows
        on
            goals.brand_id = flows.brand_id
            and goals.period_kind = flows.period_kind
            and goals.period_id = flows.period_id
    where goals.goal = 'acquisition' and goals.period_kind = 'month'
),

economics as (
    select
        brand_id,
        cohort_month,
        cost_amount,
        new_customers
    from {{ ref('unit_economics') }}
    where acquisition_channel = 'all'
),

acquisition as (
    select
        months.brand_id,
        months.period_kind,
        months.period_id,
        scaling.new_customers,
        scaling.customers,
        cohorts.*,
        months.is_observed_7d,
        months.is_observed_30d,
        months.is_observed_90d,
        first_orders.net_amount as first_order_amount,
        economics.cost_amount,
        economics.new_customers as new_buyers
    from months
    inner join {{ ref('star_scaling') }} as scaling
        on
            months.brand_id = scaling.brand_id
            and months.period_kind = scaling.period_kind
            and months.period_id = scaling.period_id
            and scaling.layer = 'all'
            and scaling.channel = 'all'
            and scaling.touch_point = 'all'
    left join cohorts on months.period_key = cohorts.period_key
    left join first_orders on months.period_key = first_orders.period_key
    left join economics on months.brand_id = economics.brand_id and months.starts_on = economics.cohort_month
),

tiers as (
    select
        brand_id,
        'month' as period_kind,
        period_id,
        sum(case when direction <> 'quit' then members else 0 end) as members,
        sum(case when to_tier_rank = (select max(ranks.tier_rank) from {{ ref('member_tiers') }} as ranks) then members else 0 end)
            as top_members,
        sum(case when direction <> 'joined' then members else 0 end) as members_before,
        sum(case when direction = 'upgrade' then members else 0 end) as upgraded,
        sum(case when direction = 'downgrade' then members else 0 end) as downgraded
    from {{ ref('star_member_tiers') }}
    group by brand_id, period_id
),

joining as (
    select
        brand_id,
        period_kind,
        period_id,
        lag(customers - member_customers) over (partition by brand_id order by last_on) as outside_members
    from {{ ref('star_triangulating') }}
    where period_kind = 'month' and layer = 'all'
),

members as (
    select
        assets.brand_id,
        assets.period_kind,
        assets.period_id,
        assets.customers,
        assets.entered,
        joining.outside_members
    from {{ ref('star_assets') }} as assets
    left join joining on assets.brand_id = joining.brand_id and assets.period_id = joining.period_id
    where assets.asset = 'member' and assets.period_kind = 'month'
),

member_orders as (
    select
        months.period_key,
        orders.customer_key,
        sum(orders.paid_amount) as gmv_amount,
        sum(case when stays.customer_key is not null then orders.paid_amount else 0 end) as member_amount,
        count(distinct case when stays.customer_key is not null then orders.valid_from end) as member_days
    from {{ ref('fct_orders') }} as orders
    inner join months
        on
            orders.brand_id = months.brand_id
            and orders.valid_from between months.starts_on and months.last_on
            and (orders.valid_to is null or orders.valid_to > months.last_on)
    left join {{ ref('int_star__asset_stays') }} as stays
        on
            stays.asset = 'member'
            and orders.brand_id = stays.brand_id
            and orders.customer_key = stays.customer_key
            and stays.from_day <= {{ quanyu.day_number('orders.valid_from') }}
            and stays.to_day > {{ quanyu.day_number('orders.valid_from') }}
    group by months.period_key, orders.customer_key
),

member_money as (
    select
        months.brand_id,
        months.period_kind,
        months.period_id,
        sum(member_orders.gmv_amount) as gmv_amount,
        sum(member_orders.member_amount) as member_amount,
        sum(case when member_orders.member_days >= 1 then 1 else 0 end) as member_buyers,
        sum(case when member_orders.member_days >= 2 then 1 else 0 end) as member_repeaters
    from member_orders
    inner join months on member_orders.period_key = months.period_key
    group by months.brand_id, months.period_kind, months.period_id
),

-- What a member will be worth is known for today alone.
member_clv as (
    select
        months.brand_id,
        months.period_kind,
        months.period_id,
        sum(worth.clv) as clv,
        count(*) as customers
    from months
    inner join as_of on months.last_on = as_of.as_of_date
    inner join {{ ref('int_star__asset_stays') }} as stays
        on
            stays.asset = 'member'
            and months.brand_id = stays.brand_id
            and stays.from_day <= {{ quanyu.day_number('months.last_on') }}
            and stays.to_day > {{ quanyu.day_number('months.last_on') }}
    inner join counted on stays.customer_key = counted.customer_key
    inner join {{ ref('clv_customers') }} as worth
        on months.brand_id = worth.brand_id and counted.customer_id = worth.customer_id
    group by months.brand_id, months.period_kind, months.period_id
),

points as (
    select
        brand_id,
        period_kind,
        period_id,
        sum(case when touch_point = 'points_redeem' then customers else 0 end) as redeemers,
        sum(case when touch_point = 'points_earn' then customers else 0 end) as earners
    from {{ ref('star_scaling') }}
    where
        period_kind = 'month' and layer in ('all', 'none') and channel = 'all'
        and touch_point in ('points_redeem', 'points_earn')
    group by brand_id, period_kind, period_id
),

campaign_months as (
    select
        campaigns.brand_id,
        'month' as period_kind,
        substring(cast(campaigns.starts_on as {{ dbt.type_string() }}), 1, 7) as period_id,
        campaigns.scenario,
        sum(campaigns.clicking_customers) as clicking_customers,
        sum(campaigns.delivered_customers) as delivered_customers,
        sum(campaigns.clicks) as clicks,
        sum(campaigns.impressions) as impressions
    from {{ ref('campaign_performance') }} as campaigns
    inner join as_of on campaigns.starts_on <= as_of.as_of_date
    group by
        campaigns.brand_id, substring(cast(campaigns.starts_on as {{ dbt.type_string() }}), 1, 7), campaigns.scenario
),

products as (
    select
        *,
        'month' as period_kind,
        substring(cast(month as {{ dbt.type_string() }}), 1, 7) as period_id
    from {{ ref('product_performance') }}
    where product_id = 'all'
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
    ) as days on promotions.brand_id = days.brand_id and days.as_of_date <= promotions.day_before
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
            and days.activity_date > buyers.ends_on
            and days.activity_date <= {{ quanyu.add_days('buyers.ends_on', 60) }}
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

promotion as (
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
),

lively as (
    select * from {{ ref('star_activating') }}
    where period_kind = 'month' and layer = 'all'
),

valued as (
    select * from {{ ref('star_returning') }}
    where period_kind = 'month' and layer = 'all'
),

structured as (
    select
        structure.*,
        lively.layer_customers as customers_before
    from {{ ref('star_triangulating') }} as structure
    inner join lively on structure.brand_id = lively.brand_id and structure.period_id = lively.period_id
    where structure.period_kind = 'month' and structure.layer = 'all'
),

thriving as (
    select * from {{ ref('fast_periods') }}
    where period_kind = 'month'
),

reachable as (
    select * from {{ ref('star_assets') }}
    where period_kind = 'month' and asset = 'reachable'
),

{% set of_membership = "scenario = 'membership'" -%}
{% set of_product = "scenario = 'product'" -%}
{% set baseline_known = 'days_known_before >= ' ~ var('promotion_baseline_days') -%}
{% set warm_up_known = 'days_known_before >= ' ~ var('promotion_warm_up_days') -%}
{% set figures = [
    ['acquisition', 'new_people', 'acquisition', 'new_customers'],
    ['acquisition', 'acquisition_cost_per_customer', 'acquisition', 'cost_amount', 'new_buyers'],
    ['acquisition', 'sink_rate_7d', 'acquisition', 'case when is_observed_7d then sunk_people end', 'people'],
    ['acquisition', 'new_share', 'acquisition', 'new_customers', 'customers'],
    ['acquisition', 'new_deep_share', 'acquisition', 'deep_people', 'layered_people'],
    ['acquisition', 'interaction_rate_7d', 'acquisition', 'case when is_observed_7d then interacting_7d end', 'people'],
    ['acquisition', 'interaction_rate_30d', 'acquisition', 'case when is_observed_30d then interacting_30d end', 'people'],
    ['acquisition', 'outside_to_r3_rate', 'outside_to_r3', 'customers', 'base_customers'],
    ['acquisition', 'first_order_rate_30d', 'acquisition', 'case when is_observed_30d then first_orders end', 'people'],
    ['acquisition', 'first_order_amount', 'acquisition', 'case when is_observed_30d then first_order_amount end',
     'first_orders'],
    ['acquisition', 'value_90d_to_cost', 'acquisition', 'case when is_observed_90d then value_90d end', 'cost_amount'],
    ['membership', 'members', 'members', 'customers'],
    ['membership', 'new_members', 'members', 'entered'],
    ['membership', 'join_rate', 'members', 'entered', 'outside_members'],
    ['membership', 'top_tier_share', 'tiers', 'top_members', 'members'],
    ['membership', 'upgrade_rate', 'tiers', 'upgraded', 'members_before'],
    ['membership', 'downgrade_rate', 'tiers', 'downgraded', 'members_before'],
    ['membership', 'member_active_rate', 'thriving', 'thriving_active', 'thriving_base'],
    ['membership', 'points_use_rate', 'points', 'redeemers', 'earners'],
    ['membership', 'benefit_use_rate', 'lively', 'benefit_using_customers', 'benefit_customers'],
    ['membership', 'group_active_rate', 'lively', 'group_active_members', 'group_members'],
    ['membership', 'member_gmv_share', 'member_money', 'member_amount', 'gmv_amount'],
    ['membership', 'member_repurchase_rate', 'member_money', 'member_repeaters', 'member_buyers'],
    ['membership', 'member_clv', 'member_clv', 'clv', 'customers'],
    ['membership', 'campaign_response_rate', 'campaign_months', 'clicking_customers', 'delivered_customers', of_membership],
    ['product', 'product_viewers', 'products', 'viewers'],
    ['product', 'new_buyer_share', 'products', 'new_buyers', 'buyers'],
    ['product', 'view_to_cart_rate', 'products', 'viewers_who_carted', 'viewers'],
    ['product', 'cart_to_pay_rate', 'products', 'viewers_who_carted_and_bought', 'viewers_who_carted'],
    ['product', 'coupon_use_rate', 'lively', 'benefit_using_customers', 'benefit_customers'],
    ['product', 'content_click_rate', 'campaign_months', 'clicks', 'impressions', of_product],
    ['product', 'product_amount', 'products', 'line_amount'],
    ['product', 'view_to_pay_rate', 'products', 'viewers_who_carted_and_bought', 'viewers'],
    ['product', 'attach_rate', 'products', 'attached_orders', 'order_count'],
    ['product', 'product_repurchase_rate', 'products', 'repurchasing_buyers', 'buyers'],
    ['product', 'mean_rating', 'products', 'mean_rating * rated_reviews', 'rated_reviews'],
    ['promotion', 'preheat_pool', 'promotion', 'coalesce(pool_customers, 0)', 'null', warm_up_known],
    ['promotion', 'new_people', 'promotion', 'coalesce(new_customers, 0)'],
    ['promotion', 'new_to_buying_share', 'promotion', 'shallow_buyers', 'buyers'],
    ['promotion', 'important_buyer_share', 'promotion', 'case when has_classes = 1 then important_buyers end', 'buyers'],
    ['promotion', 'warm_up_interaction_rate', 'promotion', 'warmed_interacting', 'warmed_customers', warm_up_known],
    ['promotion', 'cart_customers', 'promotion', 'coalesce(cart_customers, 0)'],
    ['promotion', 'gmv', 'promotion', 'coalesce(gmv_amount, 0)'],
    ['promotion', 'daily_gmv_uplift', 'promotion', 'cast(gmv_amount as double) / days',
     'cast(baseline_amount as double) / ' ~ var('promotion_baseline_days'), baseline_known],
    ['promotion', 'coupon_cost_rate', 'promotion', 'discount_amount', 'gross_amount'],
    ['promotion', 'retained_rate_30d', 'promotion', 'case when is_observed_30d then retained_30d end', 'buyers'],
    ['promotion', 'retained_rate_60d', 'promotion', 'case when is_observed_60d then retained_60d end', 'buyers'],
    ['promotion', 'refund_rate_30d', 'promotion', 'case when is_observed_30d then refund_amount_30d end', 'gmv_amount'],
    ['promotion', 'refund_rate_60d', 'promotion', 'case when is_observed_60d then refund_amount_60d end', 'gmv_amount'],
    ['growth', 'people_growth', 'structured', 'customers', 'customers_before'],
    ['growth', 'reachable_growth', 'reachable', 'customers', 'customers_before'],
    ['growth', 'channel_hhi', 'structured', 'channel_hhi', '1'],
    ['growth', 'reachable_share', 'structured', 'reachable_customers', 'customers'],
    ['growth', 'forward_backward_ratio', 'lively', 'forward_customers', 'backward_customers'],
    ['growth', 'gmv', 'valued', 'gmv_amount'],
    ['growth', 'people', 'valued', 'layer_customers'],
    ['growth', 'buyers_per_person', 'valued', 'buyers', 'layer_customers'],
    ['growth', 'orders_per_buyer', 'valued', 'order_count', 'buyers'],
    ['growth', 'amount_per_order', 'valued', 'gmv_amount', 'order_count'],
    ['growth', 'referred_buyer_share', 'valued', 'referred_buyers', 'buyers'],
] -%}
int_star__scenario_figures as (
    {%- for figure in figures %}
    {{ quanyu.scenario_figure(*figure) | indent(4) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from int_star__scenario_figures
