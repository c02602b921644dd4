-- Grain: one row per brand, day, metric and value it was published with (brand_id, as_of_date, metric, version).
-- Why: a figure of a past day that changes must be found out and explained; the marts show only what holds now.
-- Not here: figures that never changed have one row. A full refresh keeps this table: it is the memory itself.
{{ config(
    materialized='incremental', incremental_strategy='append', full_refresh=false,
    on_schema_change='append_new_columns', meta={'always_build': true},
) }}
-- depends_on: {{ ref('stage_rules') }} {{ ref('stages') }} {{ ref('stage_models') }} {{ ref('stage_behaviours') }}
-- depends_on: {{ ref('event_types') }} {{ ref('as_of') }} {{ ref('int_stages__spells') }}
-- depends_on: {{ ref('int_stages__spells_replaced') }}
{%- set plan = quanyu.stage_plan() %}
{%- set fast_models = [var('fast_stage_model'), 'fast_members_30d', 'fast_members_180d', 'fast_super', 'fast_activity'] %}
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
        version
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
        {{ quanyu.day_number('coalesce(figures.as_of_date, published.as_of_date)') }} as day
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

-- The same figures of the customers whose spells were replaced, before (-1) and after (+1), by the cause of it; only
-- where identities or rules changed, for what rows did is the rest.
replaced as (
    select *
    from {{ ref('int_stages__spells_replaced') }}
    where cause in ('identity changed', 'rules changed', 'people erased')
),

sides as (
    select
        cause,
        -1 as weight,
        brand_id,
        customer_key,
        model,
        stage,
        stage_rank,
        valid_from,
        valid_to
    from replaced
    where model is not null
    union all
    select
        concerned.cause,
        1 as weight,
        spells.brand_id,
        spells.customer_key,
        spells.model,
        spells.stage,
        spells.stage_rank,
        spells.valid_from,
        spells.valid_to
    from {{ ref('int_stages__spells') }} as spells
    inner join (
        select distinct
            customer_key,
            cause
        from replaced
    ) as concerned on spells.customer_key = concerned.customer_key
    where spells.model in ({{ quanyu.quoted(fast_models) }})
),

-- `model` is what stay_pairs keeps apart: here the side and its cause.
side_spells as (
    select
        concat(cast(weight as {{ dbt.type_string() }}), cause) as model,
        model as stage_model,
        cause,
        weight,
        brand_id,
        customer_key,
        stage,
        stage_rank,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from sides
),

stage_spells as (
    select * from side_spells
    where stage_model = '{{ var("fast_stage_model") }}'
),

activity_spells as (
    select * from side_spells
    where stage_model = 'fast_activity'
),

active_pairs as (
    {{ quanyu.stay_pairs('stage_spells', 'activity_spells', [0]) | indent(4) }}
),

week_pairs as (
    {{ quanyu.stay_pairs('stage_spells', 'stage_spells', [7]) | indent(4) }}
),

changes as (
    {%- for day, sign in [('from_day', 1), ('to_day', -1)] %}
    {%- for metric, set in quanyu.fast_sets().items() if metric in metrics %}
    select
        cause,
        '{{ metric }}' as metric,
        brand_id,
        {{ day }} + {{ set.lag }} as day,
        {{ sign }} * weight as change
    from side_spells
    where stage_model = '{{ set.model }}' and stage in ({{ quanyu.quoted(set.stages) }})
    union all
    {%- endfor %}
    {%- for metric, pairs in [('fertility_active', 'active_pairs'), ('advancing_deepened', 'week_pairs')] %}
    select
        case
            {%- for cause in ['identity changed', 'rules changed', 'people erased'] %}
            when model like '%{{ cause }}' then '{{ cause }}'
            {%- endfor %}
        end as cause,
        '{{ metric }}' as metric,
        brand_id,
        {{ day }} as day,
        {{ sign }} * case when model like '-1%' then -1 else 1 end as change
    from {{ pairs }}
    {%- if pairs == 'week_pairs' %}
    where to_rank > from_rank
    {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

changes_by_day as (
    select
        cause,
        metric,
        brand_id,
        day,
        sum(change) as change
    from changes
    group by cause, metric, brand_id, day
    having sum(change) <> 0
),

changed_figures as (
    select
        looked_at.brand_id,
        looked_at.as_of_date,
        looked_at.metric,
        sum(case when changes_by_day.cause = 'identity changed' then changes_by_day.change else 0 end)
            as identity_change,
        sum(case when changes_by_day.cause = 'rules changed' then changes_by_day.change else 0 end) as rules_change,
        sum(case when changes_by_day.cause = 'people erased' then changes_by_day.change else 0 end) as erasure_change
    from looked_at
    inner join changes_by_day
        on
            looked_at.brand_id = changes_by_day.brand_id
            and looked_at.metric = changes_by_day.metric
            and looked_at.day >= changes_by_day.day
    where looked_at.old_version is not null
    group by looked_at.brand_id, looked_at.as_of_date, looked_at.metric
),

explained as (
    select
        looked_at.*,
        coalesce(changed_figures.identity_change, 0) as identity_change,
        coalesce(changed_figures.rules_change, 0) as rules_change,
        coalesce(changed_figures.erasure_change, 0) as erasure_change
    from looked_at
    left join changed_figures
        on
            looked_at.brand_id = changed_figures.brand_id
            and looked_at.as_of_date = changed_figures.as_of_date
            and looked_at.metric = changed_figures.metric
),
{% else %}
explained as (
    select
        *,
        cast(null as bigint) as old_figure,
        cast(null as integer) as old_version,
        0 as identity_change,
        0 as rules_change,
        0 as erasure_change
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
        cast(figure - old_figure - identity_change - rules_change - erasure_change as bigint) as rows_change,
        cast(case when old_version is not null then identity_change end as bigint) as identity_change,
        cast(case when old_version is not null then rules_change end as bigint) as rules_change,
        cast(case when old_version is not null then erasure_change end as bigint) as erasure_change,
        cast({{ dbt.current_timestamp() }} as timestamp) as published_at,
        cast({{ plan.hash }} as bigint) as _rules,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from explained
    where old_version is null or old_figure <> figure
)

select * from published_figures
