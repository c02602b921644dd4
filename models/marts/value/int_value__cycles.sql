-- Grain: one row per observation, brand, kind (any, same, cross) and category.
-- Why: how long people take to buy again, from the gaps that have closed, and with those that have not.
-- Not here: a person's own cycle (int_value__person_cycles).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with gaps as (
    select * from {{ ref('int_value__gaps') }}
),

quartiles as (
    select
        observation,
        brand_id,
        kind,
        category,
        percentile_cont(0.25) within group (order by gap_days) as p25_days,
        percentile_cont(0.5) within group (order by gap_days) as p50_days,
        percentile_cont(0.75) within group (order by gap_days) as p75_days
    from gaps
    where is_completed
    group by observation, brand_id, kind, category
),

-- Kaplan and Meier: at each length, the share of those still waiting who buy on that day.
lengths as (
    select
        observation,
        brand_id,
        kind,
        category,
        gap_days,
        sum(case when is_completed then 1 else 0 end) as bought,
        count(*) as ended
    from gaps
    group by observation, brand_id, kind, category, gap_days
),

waiting as (
    select
        *,
        sum(ended) over (
            partition by observation, brand_id, kind, category order by gap_days desc
            rows between unbounded preceding and current row
        ) as waiting
    from lengths
),

survival as (
    select
        *,
        sum(ln(greatest(1 - cast(bought as double) / waiting, 1e-300))) over (
            partition by observation, brand_id, kind, category order by gap_days
            rows between unbounded preceding and current row
        ) as log_survival
    from waiting
),

totals as (
    select
        observation,
        brand_id,
        kind,
        category,
        sum(bought) as completed_gaps,
        sum(ended - bought) as open_gaps,
        min(case when log_survival <= ln(0.5) + 1e-12 then gap_days end) as censored_median_days
    from survival
    group by observation, brand_id, kind, category
),

fallbacks as (
    select * from {{ ref('category_cycles') }}
),

brand_cycles as (
    select
        totals.observation,
        totals.brand_id,
        case when totals.completed_gaps >= {{ var('repurchase_min_gaps') }} then quartiles.p50_days end as cycle_days
    from totals
    inner join quartiles
        on
            totals.observation = quartiles.observation
            and totals.brand_id = quartiles.brand_id
            and totals.kind = quartiles.kind
    where totals.kind = 'any'
),

int_value__cycles as (
    select
        totals.observation,
        totals.brand_id,
        totals.kind,
        totals.category,
        totals.completed_gaps,
        totals.open_gaps,
        quartiles.p25_days,
        quartiles.p50_days,
        quartiles.p75_days,
        totals.censored_median_days,
        coalesce(
            case when totals.completed_gaps >= {{ var('repurchase_min_gaps') }} then quartiles.p50_days end,
            fallbacks.cycle_days, brand_cycles.cycle_days, defaults.cycle_days
        ) as cycle_days,
        case
            when totals.completed_gaps >= {{ var('repurchase_min_gaps') }} then 'measured'
            when fallbacks.cycle_days is not null then 'seed'
            when brand_cycles.cycle_days is not null then 'brand'
            else 'default'
        end as cycle_source
    from totals
    left join quartiles
        on
            totals.observation = quartiles.observation
            and totals.brand_id = quartiles.brand_id
            and totals.kind = quartiles.kind
            and totals.category = quartiles.category
    left join fallbacks on totals.category = fallbacks.category and totals.category <> '*'
    left join brand_cycles on totals.observation = brand_cycles.observation and totals.brand_id = brand_cycles.brand_id
    left join fallbacks as defaults on defaults.category = '*'
)

select * from int_value__cycles
