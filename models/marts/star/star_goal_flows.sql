-- Grain: one row per brand, period kind, period and goal of the seed star_goals.
-- Why: 拉新, 蓄水, 种草 and 转化: how many people went the way that the goal asks for, of those who could have.
-- Not here: people outside 5R whom nothing touched in the period; nobody knows how many they are.
with flows as (
    select * from {{ ref('star_flows') }}
),

goals as (
    select * from {{ ref('star_goals') }}
),

periods as (
    select * from {{ ref('int_star__periods') }}
),

stocks as (
    select
        brand_id,
        period_kind,
        period_id,
        from_layer,
        max(from_customers) as customers
    from flows
    where from_layer <> 'none'
    group by brand_id, period_kind, period_id, from_layer
),

-- Every way into 5R begins with a touch, a message, a join or a purchase, so whoever came in was reached.
reached as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        'none' as from_layer,
        count(*) as customers
    from {{ ref('int_star__customer_periods') }} as people
    inner join periods on people.period_key = periods.period_key
    where people.rank_before = 0
    group by periods.brand_id, periods.period_kind, periods.period_id
),

bases as (
    select * from stocks
    union all
    select * from reached
),

asked as (
    select distinct
        goal,
        from_layer
    from goals
),

based as (
    select
        bases.brand_id,
        bases.period_kind,
        bases.period_id,
        asked.goal,
        sum(bases.customers) as base_customers
    from bases
    inner join asked on bases.from_layer = asked.from_layer
    group by bases.brand_id, bases.period_kind, bases.period_id, asked.goal
),

moved as (
    select
        flows.brand_id,
        flows.period_kind,
        flows.period_id,
        goals.goal,
        sum(flows.customers) as customers
    from flows
    inner join goals on flows.from_layer = goals.from_layer and flows.to_layer = goals.to_layer
    group by flows.brand_id, flows.period_kind, flows.period_id, goals.goal
),

star_goal_flows as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(goal_names.goal as {{ dbt.type_string() }}) as goal,
        cast(goal_names.name_zh as {{ dbt.type_string() }}) as name_zh,
        periods.day_before as from_date,
        periods.last_on as to_date,
        periods.is_complete,
        cast(coalesce(moved.customers, 0) as bigint) as customers,
        cast(coalesce(based.base_customers, 0) as bigint) as base_customers,
        cast(coalesce(moved.customers, 0) * 1.0 / nullif(based.base_customers, 0) as double) as flow_rate
    from periods
    cross join (
        select
            goal,
            min(name_zh) as name_zh
        from goals
        group by goal
    ) as goal_names
    left join based
        on
            periods.brand_id = based.brand_id
            and periods.period_kind = based.period_kind
            and periods.period_id = based.period_id
            and goal_names.goal = based.goal
    left join moved
        on
            periods.brand_id = moved.brand_id
            and periods.period_kind = moved.period_kind
            and periods.period_id = moved.period_id
            and goal_names.goal = moved.goal
)

select * from star_goal_flows
order by brand_id, period_kind, period_id, goal
