-- Grain: one row per brand, life stage and value tier (`all` included in both) with a customer now or at the start.
-- Why: where the value of the customer base lies, who moves on, and what it would be worth to move the rest.
-- Not here: people who left no trace but an advertisement shown; stages other than those of the model `lifecycle`.
-- Value tier: share of the brand's buyers by money (valid purchases, net) up to the day; no purchase is tier `none`.
{%- set shares = var('crowd_matrix_shares') %}
with as_of as (
    select
        as_of_date,
        {{ quanyu.add_days('as_of_date', -var('crowd_matrix_days')) }} as base_date
    from {{ ref('as_of') }}
),

dates as (
    select
        'now' as look,
        as_of_date as on_date
    from as_of
    union all
    select
        'base' as look,
        base_date as on_date
    from as_of
),

identities as (
    {{ quanyu.counted_customers() }}
),

stages as (
    select
        dates.look,
        spells.brand_id,
        spells.customer_key,
        spells.stage as life_stage,
        spells.stage_rank
    from {{ ref('int_stages__spells') }} as spells
    inner join dates
        on
            spells.valid_from <= dates.on_date
            and (spells.valid_to is null or spells.valid_to > dates.on_date)
    where spells.model = 'lifecycle'
),

money as (
    select
        dates.look,
        orders.brand_id,
        orders.customer_key,
        sum(orders.net_amount) as net_amount
    from {{ ref('fct_orders') }} as orders
    inner join dates on orders.purchased_on <= dates.on_date
    where orders.is_valid_purchase and orders.customer_key is not null
    group by dates.look, orders.brand_id, orders.customer_key
),

tiers as (
    select
        look,
        brand_id,
        customer_key,
        case
            when percent_rank() over (partition by look, brand_id order by net_amount) >= {{ 1 - shares.high }} then 'high'
            when percent_rank() over (partition by look, brand_id order by net_amount)
                >= {{ 1 - shares.high - shares.middle }} then 'middle'
            else 'low'
        end as value_tier
    from money
),

categories as (
    select
        brand_id,
        customer_key,
        count(distinct category) as category_count
    from {{ ref('fct_order_lines') }}
    where is_valid_purchase and customer_key is not null and category is not null
    group by brand_id, customer_key
),

people as (
    select
        stages.look,
        stages.brand_id,
        stages.customer_key,
        stages.life_stage,
        stages.stage_rank,
        coalesce(tiers.value_tier, 'none') as value_tier,
        case when tiers.customer_key is not null then 1 else 0 end as is_buyer,
        case when categories.category_count > 1 then 1 else 0 end as is_cross_category,
        coalesce(worth.clv, 0) as clv
    from stages
    inner join identities on stages.customer_key = identities.customer_key
    left join tiers
        on
            stages.look = tiers.look
            and stages.brand_id = tiers.brand_id
            and stages.customer_key = tiers.customer_key
    left join categories
        on stages.brand_id = categories.brand_id and stages.customer_key = categories.customer_key
    left join {{ ref('clv_customers') }} as worth
        on stages.brand_id = worth.brand_id and identities.customer_id = worth.customer_id
),

-- Who stood where at the start, and stands higher now.
moves as (
    select
        base.brand_id,
        base.life_stage,
        base.value_tier,
        count(*) as base_customers,
        sum(case when now.stage_rank > base.stage_rank then 1 else 0 end) as advanced_customers
    from people as base
    left join people as now
        on base.brand_id = now.brand_id and base.customer_key = now.customer_key and now.look = 'now'
    where base.look = 'base'
    group by base.brand_id, base.life_stage, base.value_tier
),

cells as (
    select
        brand_id,
        life_stage,
        value_tier,
        count(*) as customers,
        sum(is_buyer) as buyers,
        sum(is_cross_category * is_buyer) as cross_category_buyers,
        sum(clv) as clv_amount,
        0 as base_customers,
        0 as advanced_customers
    from people
    where look = 'now'
    group by brand_id, life_stage, value_tier
    union all
    select
        brand_id,
        life_stage,
        value_tier,
        0 as customers,
        0 as buyers,
        0 as cross_category_buyers,
        0 as clv_amount,
        base_customers,
        advanced_customers
    from moves
),

with_margins as (
    {%- for stage, tier in [('life_stage', 'value_tier'), ("'all'", 'value_tier'), ('life_stage', "'all'"), ("'all'", "'all'")] %}
    select
        brand_id,
        {{ stage }} as life_stage,
        {{ tier }} as value_tier,
        sum(customers) as customers,
        sum(buyers) as buyers,
        sum(cross_category_buyers) as cross_category_buyers,
        sum(clv_amount) as clv_amount,
        sum(base_customers) as base_customers,
        sum(advanced_customers) as advanced_customers
    from cells
    group by brand_id, {{ stage }}, {{ tier }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Of floats: what lies between two decimals can lose the half of their last digit.
medians as (
    {%- for stage, tier in [('life_stage', 'value_tier'), ("'all'", 'value_tier'), ('life_stage', "'all'"), ("'all'", "'all'")] %}
    select
        brand_id,
        {{ stage }} as life_stage,
        {{ tier }} as value_tier,
        percentile_cont(0.5) within group (order by cast(clv as double)) as median_clv
    from people
    where look = 'now'
    group by brand_id, {{ stage }}, {{ tier }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

life_stages as (
    select
        stage as life_stage,
        rank as stage_rank
    from {{ ref('stages') }}
    where model = 'lifecycle'
),

next_stages as (
    select
        life_stage,
        lead(life_stage) over (order by stage_rank) as next_stage
    from life_stages
),

-- The aim of a cell: what customers of the next life stage are worth, in the same tier when there is one.
aimed as (
    select
        with_margins.*,
        life_stages.stage_rank,
        next_stages.next_stage,
        medians.median_clv,
        case
            when same_tier.customers > 0 then cast(same_tier.clv_amount as double) / same_tier.customers
            when whole_stage.customers > 0 then cast(whole_stage.clv_amount as double) / whole_stage.customers
        end as target_clv
    from with_margins
    left join life_stages on with_margins.life_stage = life_stages.life_stage
    left join next_stages on with_margins.life_stage = next_stages.life_stage
    left join medians
        on
            with_margins.brand_id = medians.brand_id
            and with_margins.life_stage = medians.life_stage
            and with_margins.value_tier = medians.value_tier
    left join with_margins as same_tier
        on
            with_margins.brand_id = same_tier.brand_id
            and next_stages.next_stage = same_tier.life_stage
            and with_margins.value_tier = same_tier.value_tier
    left join with_margins as whole_stage
        on
            with_margins.brand_id = whole_stage.brand_id
            and next_stages.next_stage = whole_stage.life_stage
            and whole_stage.value_tier = 'all'
),

crowd_matrix as (
    select
        cast(aimed.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(aimed.life_stage as {{ dbt.type_string() }}) as life_stage,
        cast(aimed.value_tier as {{ dbt.type_string() }}) as value_tier,
        as_of.as_of_date,
        cast(aimed.stage_rank as integer) as stage_rank,
        cast(aimed.next_stage as {{ dbt.type_string() }}) as next_stage,
        cast(aimed.customers as bigint) as customers,
        cast(aimed.buyers as bigint) as buyers,
        cast(aimed.clv_amount as decimal(18, 4)) as clv_amount,
        {{ quanyu.money('cast(aimed.clv_amount as double) / nullif(aimed.customers, 0)') }} as mean_clv,
        {{ quanyu.money('aimed.median_clv') }} as median_clv,
        cast(aimed.cross_category_buyers as bigint) as cross_category_buyers,
        cast(aimed.cross_category_buyers as double) / nullif(aimed.buyers, 0) as cross_category_rate,
        as_of.base_date,
        cast(aimed.base_customers as bigint) as base_customers,
        cast(aimed.advanced_customers as bigint) as advanced_customers,
        cast(aimed.advanced_customers as double) / nullif(aimed.base_customers, 0) as next_stage_rate,
        {{ quanyu.money('aimed.target_clv') }} as target_clv,
        cast(case
            when aimed.target_clv is not null and aimed.customers > 0
                then greatest(0, aimed.customers * aimed.target_clv - cast(aimed.clv_amount as double))
        end as decimal(18, 4)) as value_at_stake
    from aimed
    cross join as_of
)

select * from crowd_matrix
order by brand_id, life_stage, value_tier
