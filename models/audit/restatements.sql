-- Grain: one row per brand, day, metric and time its published figure changed (brand_id, as_of_date, metric, version).
-- Why: a figure of a past day is never changed silently: what it was, what it is, when and why.
-- Not here: first publications; rates, which follow from their two parts.
{{ config(materialized='view') }}

with published_figures as (
    select * from {{ ref('published_figures') }}
),

restatements as (
    select
        brand_id,
        as_of_date,
        metric,
        version,
        old_figure,
        figure as new_figure,
        figure - old_figure as change,
        cause,
        published_at as restated_at
    from published_figures
    where version > 1
)

select * from restatements
