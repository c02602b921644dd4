-- Grain: one row per brand, scenario, period kind, period and measure of the seed star_scenario_measures.
-- Why: the five scenarios of STAR, each with its S, T, A and R measures held against the user's own targets.
-- Not here: benchmarks; nobody publishes any. Months of the four scenarios that never end, promotions of the fifth.
with periods as (
    select * from {{ ref('int_star__periods') }}
),

-- A brand with a row of its own for a measure uses that one.
measures as (
    select
        brands.brand_id as own_brand_id,
        measures.*
    from (select distinct periods.brand_id from periods) as brands
    inner join {{ ref('star_scenario_measures') }} as measures
        on measures.brand_id = '*' or brands.brand_id = measures.brand_id
    qualify row_number() over (
        partition by brands.brand_id, measures.scenario, measures.measure
        order by case when measures.brand_id = '*' then 1 else 0 end
    ) = 1
),

asked as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        periods.starts_on,
        periods.last_on,
        periods.is_complete,
        measures.scenario,
        measures.measure,
        measures.letter,
        measures.name_zh,
        measures.unit,
        measures.direction,
        measures.target_kind,
        measures.target,
        measures.weight,
        coalesce(promotions.promotion, periods.period_kind) as series
    from periods
    inner join measures
        on
            periods.brand_id = measures.own_brand_id
            and periods.period_kind = case when measures.scenario = 'promotion' then 'promotion' else 'month' end
    left join {{ ref('promotion_calendar') }} as promotions
        on
            periods.period_kind = 'promotion'
            and periods.period_id = promotions.promotion_id
            and (promotions.brand_id = '*' or periods.brand_id = promotions.brand_id)
),

figures as (
    select
        asked.*,
        figures.numerator,
        figures.denominator,
        case
            when asked.unit in ('count', 'amount') then figures.numerator
            when asked.unit = 'growth' then figures.numerator / nullif(figures.denominator, 0) - 1
            else figures.numerator / nullif(figures.denominator, 0)
        end as measured
    from asked
    left join {{ ref('int_star__scenario_figures') }} as figures
        on
            asked.brand_id = figures.brand_id
            and asked.scenario = figures.scenario
            and asked.period_kind = figures.period_kind
            and asked.period_id = figures.period_id
            and asked.measure = figures.measure
),

-- The period before: last month, or the same promotion the time before.
compared as (
    select
        *,
        lag(measured) over (partition by brand_id, scenario, measure, series order by starts_on) as previous_value
    from figures
),

changed as (
    select
        *,
        case when previous_value <> 0 then measured / previous_value - 1 end as change_rate
    from compared
),

judged as (
    select
        *,
        case
            when measured is null then 'not observable'
            when not is_complete then 'running'
            when target_kind = 'fixed' and target is null then 'no target'
            when target_kind = 'change' and (change_rate is null or target is null) then 'no comparison'
            when
                direction = 'up'
                and case when target_kind = 'fixed' then measured else change_rate end >= target then 'met'
            when
                direction = 'down'
                and case when target_kind = 'fixed' then measured else change_rate end <= target then 'met'
            else 'missed'
        end as verdict
    from changed
),

star_scenarios as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(scenario as {{ dbt.type_string() }}) as scenario,
        cast(period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(period_id as {{ dbt.type_string() }}) as period_id,
        cast(measure as {{ dbt.type_string() }}) as measure,
        cast(letter as {{ dbt.type_string() }}) as letter,
        cast(name_zh as {{ dbt.type_string() }}) as name_zh,
        cast(unit as {{ dbt.type_string() }}) as unit,
        starts_on,
        last_on,
        is_complete,
        cast(numerator as double) as numerator,
        cast(denominator as double) as denominator,
        cast(measured as double) as value,
        cast(previous_value as double) as previous_value,
        cast(change_rate as double) as change_rate,
        cast(direction as {{ dbt.type_string() }}) as direction,
        cast(target_kind as {{ dbt.type_string() }}) as target_kind,
        cast(target as double) as target,
        cast(weight as double) as weight,
        cast(verdict as {{ dbt.type_string() }}) as verdict,
        cast(
            cast(sum(case when verdict = 'met' then weight else 0 end) over (
                partition by brand_id, scenario, period_kind, period_id
            ) as double) / nullif(cast(sum(case when verdict in ('met', 'missed') then weight else 0 end) over (
                partition by brand_id, scenario, period_kind, period_id
            ) as double), 0) as double
        ) as scenario_score
    from judged
)

select * from star_scenarios
order by brand_id, scenario, period_kind, period_id, measure
