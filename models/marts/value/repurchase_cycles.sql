-- Grain: one row per brand, kind (any, same, cross) and category.
-- Why: after how many days people buy again, in all, in the category and across categories.
-- Not here: a person's own cycle; past as-of dates.
with cycles as (
    select * from {{ ref('int_value__cycles') }}
    where observation = 'as_of'
),

as_of as (
    select as_of_date from {{ ref('as_of') }}
),

repurchase_cycles as (
    select
        as_of.as_of_date,
        cast(cycles.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(cycles.kind as {{ dbt.type_string() }}) as kind,
        cast(cycles.category as {{ dbt.type_string() }}) as category,
        cast(cycles.completed_gaps as bigint) as completed_gaps,
        cast(cycles.open_gaps as bigint) as open_gaps,
        cast(cycles.open_gaps as double) / (cycles.completed_gaps + cycles.open_gaps) as open_rate,
        cast(cycles.p25_days as double) as p25_days,
        cast(cycles.p50_days as double) as p50_days,
        cast(cycles.p75_days as double) as p75_days,
        cast(cycles.censored_median_days as integer) as censored_median_days,
        cast(cycles.cycle_days as double) as cycle_days,
        cast(cycles.cycle_source as {{ dbt.type_string() }}) as cycle_source
    from cycles
    cross join as_of
)

select * from repurchase_cycles
order by brand_id, kind, category
