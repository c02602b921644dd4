-- Grain: one row per brand, day, metric, driver, stage, acquisition channel, cause and behaviour with a contribution.
-- Why: how a figure came from what a reader saw the day before, as first published, to what holds for the day: the steps
--      of fast_drivers, and what late rows, merges, splits and new rules have since made of the day before. All
--      contributions of a day and metric add up to the figure less the one first published for the day before.
-- Not here: rates, which follow from their two parts; days whose day before was never published.
{{ config(materialized='view') }}

with restatements as (
    select * from {{ ref('restatements') }}
),

drivers as (
    select drivers.*
    from {{ ref('fast_drivers') }} as drivers
    inner join {{ ref('published_figures') }} as first_published
        on
            drivers.brand_id = first_published.brand_id
            and drivers.metric = first_published.metric
            and drivers.as_of_date = {{ quanyu.add_days('first_published.as_of_date', 1) }}
            and first_published.version = 1
),

published_changes as (
    select
        brand_id,
        as_of_date,
        metric,
        driver,
        stage,
        acquisition_channel,
        cause,
        behaviour,
        contribution
    from drivers
    union all
    select
        restatements.brand_id,
        fast_daily.as_of_date,
        restatements.metric,
        'restated' as driver,
        'all' as stage,
        'all' as acquisition_channel,
        case restatements.cause
            when 'rows changed' then 'late_data'
            when 'identity changed' then 'identity'
            when 'people erased' then 'erasure'
            else 'rules'
        end as cause,
        'none' as behaviour,
        cast(sum(restatements.change) as double) as contribution
    from restatements
    inner join {{ ref('fast_daily') }} as fast_daily
        on
            restatements.brand_id = fast_daily.brand_id
            and fast_daily.as_of_date = {{ quanyu.add_days('restatements.as_of_date', 1) }}
    group by restatements.brand_id, fast_daily.as_of_date, restatements.metric, restatements.cause
)

select * from published_changes
