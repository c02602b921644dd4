-- Grain: one row per model, brand, day and stage (model, brand_id, day, stage).
-- Why: stocks by adding up what came and went, of the published models and of the parts of FAST.
-- Not here: customers in no stage.
with spells as (
    select
        model,
        brand_id,
        stage,
        stage_rank,
        previous_rank,
        next_stage,
        {{ quanyu.day_number('valid_from') }} as from_day,
        {{ quanyu.day_number('valid_to') }} as to_day
    from {{ ref('int_stages__spells') }}
),

entries as (
    select
        model,
        brand_id,
        stage_rank,
        from_day as day,
        count(*) as entered,
        sum(case when previous_rank = 0 then 1 else 0 end) as entered_new
    from spells
    group by model, brand_id, stage_rank, from_day
),

exits as (
    select
        model,
        brand_id,
        stage_rank,
        to_day as day,
        count(*) as exited,
        sum(case when next_stage = 'none' then 1 else 0 end) as exited_lost
    from spells
    where to_day is not null
    group by model, brand_id, stage_rank, to_day
),

grid as (
    select
        stages.model,
        stages.stage,
        stages.{{ adapter.quote('rank') }} as stage_rank,
        calendar.brand_id,
        calendar.day,
        calendar.as_of_date
    from {{ ref('stages') }} as stages
    cross join {{ ref('int_stages__calendar') }} as calendar
),

moved as (
    select
        grid.*,
        coalesce(entries.entered, 0) as entered,
        coalesce(entries.entered_new, 0) as entered_new,
        coalesce(exits.exited, 0) as exited,
        coalesce(exits.exited_lost, 0) as exited_lost
    from grid
    left join entries
        on
            grid.model = entries.model and grid.brand_id = entries.brand_id
            and grid.stage_rank = entries.stage_rank and grid.day = entries.day
    left join exits
        on
            grid.model = exits.model and grid.brand_id = exits.brand_id
            and grid.stage_rank = exits.stage_rank and grid.day = exits.day
),

int_stages__daily as (
    select
        model,
        brand_id,
        day,
        as_of_date,
        stage,
        stage_rank,
        sum(entered - exited) over (
            partition by model, brand_id, stage_rank order by day
            rows between unbounded preceding and current row
        ) as customers,
        entered,
        entered_new,
        exited,
        exited_lost
    from moved
)

select * from int_stages__daily
