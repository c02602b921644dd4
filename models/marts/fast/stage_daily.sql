-- Grain: one row per model, brand, day and stage, from the brand's first activity to the as-of date.
-- Why: how many customers are in each stage on each day, what came and what went.
-- Not here: customers in no stage.
with daily as (
    select * from {{ ref('int_stages__daily') }}
),

published as (
    select distinct model from {{ ref('stage_models') }}
    where is_published
),

stage_daily as (
    select
        cast(daily.model as {{ dbt.type_string() }}) as model,
        cast(daily.brand_id as {{ dbt.type_string() }}) as brand_id,
        daily.as_of_date,
        cast(daily.stage as {{ dbt.type_string() }}) as stage,
        cast(daily.stage_rank as integer) as stage_rank,
        cast(daily.customers as bigint) as customers,
        cast(sum(daily.customers) over (
            partition by daily.model, daily.brand_id, daily.as_of_date
        ) as bigint) as all_customers,
        cast(
            daily.customers * 1.0 / nullif(sum(daily.customers) over (
                partition by daily.model, daily.brand_id, daily.as_of_date
            ), 0) as double
        ) as customer_share,
        cast(daily.entered as bigint) as entered,
        cast(daily.entered_new as bigint) as entered_new,
        cast(daily.exited as bigint) as exited,
        cast(daily.exited_lost as bigint) as exited_lost
    from daily
    inner join published on daily.model = published.model
)

select * from stage_daily
order by model, brand_id, as_of_date, stage
