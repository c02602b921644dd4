-- Grain: one row per brand, day, metric, time its published figure changed and cause of it (brand_id, as_of_date,
--        metric, version, cause).
-- Why: a figure of a past day is never changed silently: what it was, what it is, when and why. The changes of the
--      causes add up to new_figure less old_figure.
-- Not here: first publications; rates, which follow from their two parts.
{{ config(materialized='view') }}

with published_figures as (
    select * from {{ ref('published_figures') }}
    where version > 1
),

restatements as (
    {%- for cause, words in [
        ('rows', 'rows changed'), ('identity', 'identity changed'), ('rules', 'rules changed'), ('erasure', 'people erased'),
    ] %}
    select
        brand_id,
        as_of_date,
        metric,
        version,
        old_figure,
        figure as new_figure,
        {{ cause }}_change as change,
        '{{ words }}' as cause,
        published_at as restated_at
    from published_figures
    where {{ cause }}_change <> 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from restatements
