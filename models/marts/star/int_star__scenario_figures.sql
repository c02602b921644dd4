-- Grain: one row per brand, scenario, period and measure (brand_id, scenario, period_kind, period_id, measure).
-- Why: the figures of the five scenarios, as numerator and denominator, before they are held against targets.
-- Not here: targets and verdicts (star_scenarios). What cannot be seen yet is NULL.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }}
{%- set interactions = quanyu.event_mask(var('star_interactions')) %}

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
            and newcomers.first_met_on <= days.activity_date
            and {{ quanyu.add_days('newcomers.first_met_on', 90) }} >= days.activity_date
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
        coalesce(scaling.new_customers, 0) as new_customers,
        coalesce(scaling.customers, 0) as customers,
        cohorts.*,
        months.is_observed_7d,
        months.is_observed_30d,
        months.is_observed_90d,
        first_orders.net_amount as first_order_amount,
        economics.cost_amount,
        economics.new_customers as new_buyers
    from months
    left join {{ ref('star_scaling') }} as scaling
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

-- A brand may have tiers of its own beside those of all.
top_tiers as (
    select
        brands.brand_id,
        max(ranks.tier_rank) as tier_rank
    from (select distinct periods.brand_id from periods) as brands
    inner join {{ ref('member_tiers') }} as ranks on ranks.brand_id = '*' or brands.brand_id = ranks.brand_id
    group by brands.brand_id
),

tiers as (
    select
        moves.brand_id,
        'month' as period_kind,
        moves.period_id,
        sum(case when moves.direction <> 'quit' then moves.members else 0 end) as members,
        sum(case when moves.to_tier_rank = top_tiers.tier_rank then moves.members else 0 end) as top_members,
        sum(case when moves.direction <> 'joined' then moves.members else 0 end) as members_before,
        sum(case when moves.direction = 'upgrade' then moves.members else 0 end) as upgraded,
        sum(case when moves.direction = 'downgrade' then moves.members else 0 end) as downgraded
    from {{ ref('star_member_tiers') }} as moves
    left join top_tiers on moves.brand_id = top_tiers.brand_id
    group by moves.brand_id, moves.period_id
),

-- People in a layer who were no members on the eve of the month, and those of them who joined in it.
outside as (
    select
        months.period_key,
        structure.customers - structure.member_customers as outside_members
    from months
    inner join {{ ref('star_triangulating') }} as structure
        on months.brand_id = structure.brand_id and months.day_before = structure.last_on
    where structure.period_kind = 'month' and structure.layer = 'all'
),

joining as (
    select
        months.period_key,
        count(distinct stays.customer_key) as joined_members
    from months
    inner join {{ ref('int_star__asset_stays') }} as stays
        on
            stays.asset = 'member'
            and months.brand_id = stays.brand_id
            and stays.from_day
            between {{ quanyu.day_number('months.starts_on') }} and {{ quanyu.day_number('months.last_on') }}
    inner join {{ ref('int_stages__spells') }} as layers
        on
            layers.model = '{{ var("star_stage_model") }}'
            and stays.brand_id = layers.brand_id
            and stays.customer_key = layers.customer_key
            and months.day_before >= layers.valid_from
            and (layers.valid_to is null or months.day_before < layers.valid_to)
    left join {{ ref('int_star__asset_stays') }} as earlier
        on
            earlier.asset = 'member'
            and stays.brand_id = earlier.brand_id
            and stays.customer_key = earlier.customer_key
            and {{ quanyu.day_number('months.day_before') }} >= earlier.from_day
            and {{ quanyu.day_number('months.day_before') }} < earlier.to_day
    where earlier.customer_key is null
    group by months.period_key
),

members as (
    select
        assets.brand_id,
        assets.period_kind,
        assets.period_id,
        assets.customers,
        assets.entered,
        outside.outside_members,
        coalesce(joining.joined_members, 0) as joined_members
    from {{ ref('star_assets') }} as assets
    inner join months on assets.brand_id = months.brand_id and assets.period_id = months.period_id
    left join outside on months.period_key = outside.period_key
    left join joining on months.period_key = joining.period_key
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

-- Who claimed a coupon, and who used one, too; points are no coupon.
coupons as (
    select
        months.brand_id,
        months.period_kind,
        months.period_id,
        sum(people.has_coupon_claim) as claimers,
        sum(people.has_coupon_claim * people.has_coupon_use) as users
    from {{ ref('int_star__customer_periods') }} as people
    inner join months on people.period_key = months.period_key
    group by months.brand_id, months.period_kind, months.period_id
),

-- What a member will be worth is known for today alone.
member_clv as (
    select
        months.brand_id,
        months.period_kind,
        months.period_id,
        sum(coalesce(worth.clv, 0)) as clv,
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
    left join {{ ref('clv_customers') }} as worth
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
        sum(campaigns.delivered_customers) as delivered_customers
    from {{ ref('campaign_performance') }} as campaigns
    inner join as_of on campaigns.starts_on <= as_of.as_of_date
    group by
        campaigns.brand_id, substring(cast(campaigns.starts_on as {{ dbt.type_string() }}), 1, 7), campaigns.scenario
),

-- Content is shown and clicked on days, whenever its campaign began.
content as (
    select
        months.brand_id,
        months.period_kind,
        months.period_id,
        sum(costs.clicks) as clicks,
        sum(costs.impressions) as impressions
    from {{ ref('stg_landing__campaign_costs') }} as costs
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on costs.campaign_id = campaigns.campaign_id
    inner join months
        on campaigns.brand_id = months.brand_id and costs.spent_on between months.starts_on and months.last_on
    where campaigns.scenario = 'product'
    group by months.brand_id, months.period_kind, months.period_id
),

products as (
    select
        *,
        'month' as period_kind,
        substring(cast(month as {{ dbt.type_string() }}), 1, 7) as period_id
    from {{ ref('product_performance') }}
    where product_id = 'all'
),

promotion as (
    select * from {{ ref('int_star__promotions') }}
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
        lively.brand_id,
        lively.period_kind,
        lively.period_id,
        lively.layer_customers as customers_before,
        coalesce(structure.customers, 0) as customers,
        coalesce(structure.reachable_customers, 0) as reachable_customers,
        structure.channel_hhi
    from lively
    left join {{ ref('star_triangulating') }} as structure
        on
            lively.brand_id = structure.brand_id
            and lively.period_kind = structure.period_kind
            and lively.period_id = structure.period_id
            and structure.layer = 'all'
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
    ['membership', 'join_rate', 'members', 'joined_members', 'outside_members'],
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
    ['product', 'coupon_use_rate', 'coupons', 'users', 'claimers'],
    ['product', 'content_click_rate', 'content', 'clicks', 'impressions'],
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
    ['promotion', 'daily_gmv_uplift', 'promotion', 'cast(coalesce(gmv_amount, 0) as double) / days',
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
