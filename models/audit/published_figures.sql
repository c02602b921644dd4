-- Grain: one row per brand, day, metric and value it was published with (brand_id, as_of_date, metric, version).
-- Why: a figure of a past day that changes must be found out and explained; the marts show only what holds now.
-- Not here: figures that never changed have one row. A full refresh keeps this table: it is the memory itself.
{{ config(materialized='incremental', incremental_strategy='append', full_refresh=false) }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }} {{ ref('as_of') }} {{ ref('suppressed_identifiers') }}
{%- set plan = quanyu.stage_plan() %}
{%- set metrics = [
    'fertility', 'fertility_active', 'advancing_base', 'advancing_deepened', 'superiority', 'superiority_super',
    'thriving_active_30d', 'thriving_active_180d',
] %}
with figures as (
    {%- for metric in metrics %}
    select
        brand_id,
        as_of_date,
        '{{ metric }}' as metric,
        {{ metric }} as figure
    from {{ ref('fast_daily') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),
{% if is_incremental() %}
published as (
    select
        brand_id,
        as_of_date,
        metric,
        figure,
        version,
        _rules
    from {{ this }}
    qualify row_number() over (partition by brand_id, as_of_date, metric order by version desc) = 1
),

-- A day that was published and is gone (its rows were withdrawn) now stands at nothing.
looked_at as (
    select
        coalesce(figures.brand_id, published.brand_id) as brand_id,
        coalesce(figures.as_of_date, published.as_of_date) as as_of_date,
        coalesce(figures.metric, published.metric) as metric,
        coalesce(figures.figure, 0) as figure,
        published.figure as old_figure,
        published.version as old_version,
        published._rules as old_rules
    from figures
    full join published
        on
            figures.brand_id = published.brand_id
            and figures.as_of_date = published.as_of_date
            and figures.metric = published.metric
    where
        coalesce(figures.as_of_date, published.as_of_date)
        <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),
{% else %}
looked_at as (
    select
        *,
        cast(null as bigint) as old_figure,
        cast(null as integer) as old_version,
        cast(null as bigint) as old_rules
    from figures
),
{% endif %}
published_figures as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        as_of_date,
        cast(metric as {{ dbt.type_string() }}) as metric,
        cast(coalesce(old_version, 0) + 1 as integer) as version,
        cast(figure as bigint) as figure,
        cast(old_figure as bigint) as old_figure,
        cast(
            case
                when old_version is null then 'first published'
                when old_rules <> {{ plan.hash }} then 'rules changed'
                when {{ quanyu.erased_since_last_refresh() }} then 'erasure'
                else 'rows changed'
            end as {{ dbt.type_string() }}
        ) as cause,
        cast({{ dbt.current_timestamp() }} as timestamp) as published_at,
        cast({{ plan.hash }} as bigint) as _rules,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from looked_at
    where old_version is null or old_figure <> figure
)

select * from published_figures
