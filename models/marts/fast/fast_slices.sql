-- Grain: one row per brand, day, slice kind (acquisition_channel, acquisition_domain) and slice.
-- Why: FAST by where customers came from; every customer is in one slice of a kind, so slices add up to fast_daily.
-- Not here: channels in which customers are active, which overlap.
{%- set model = var('fast_stage_model') %}
{%- set sets = {
    'fertility': [model, ''], 'superiority': ['fast_members_30d', ''], 'superiority_super': ['fast_super', ''],
    'thriving_active_30d': ['fast_members_30d', 'active'], 'thriving_active_180d': ['fast_members_180d', 'active'],
} %}
with calendar as (
    select * from {{ ref('int_stages__calendar') }}
),

origins as (
    select * from {{ ref('int_stages__origins') }}
),

spells as (
    select
        spells.model as stage_model,
        spells.brand_id,
        spells.customer_key,
        spells.stage,
        spells.stage_rank,
        {{ quanyu.day_number('spells.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('spells.valid_to') }}, {{ quanyu.far_day() }}) as to_day,
        coalesce(origins.acquisition_channel, 'unknown') as acquisition_channel,
        coalesce(origins.acquisition_domain, 'unknown') as acquisition_domain
    from {{ ref('int_stages__spells') }} as spells
    left join origins
        on spells.brand_id = origins.brand_id and spells.customer_key = origins.customer_key
    where spells.model in ('{{ model }}', 'fast_members_30d', 'fast_members_180d', 'fast_super')
),

-- `model` is what stay_pairs keeps apart: here the slice.
sliced as (
    {%- for kind in ['acquisition_channel', 'acquisition_domain'] %}
    select
        stage_model,
        brand_id,
        customer_key,
        stage,
        stage_rank,
        from_day,
        to_day,
        concat('{{ kind }}|', {{ kind }}) as model
    from spells
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

stage_spells as (
    select * from sliced
    where stage_model = '{{ model }}'
),

pairs as (
    {{ quanyu.stay_pairs('stage_spells', 'stage_spells', [7]) | indent(4) }}
),

changes as (
    {%- for metric, (set_model, set_stage) in sets.items() %}
    {%- for day, sign in [('from_day', 1), ('to_day', -1)] %}
    select
        '{{ metric }}' as metric,
        brand_id,
        model,
        {{ day }} as day,
        {{ sign }} as change
    from sliced
    where stage_model = '{{ set_model }}'{% if set_stage %} and stage = '{{ set_stage }}'{% endif %}
    union all
    {%- endfor %}
    {%- endfor %}
    {%- for day, sign in [('from_day', 1), ('to_day', -1)] %}
    select
        'advancing_deepened' as metric,
        brand_id,
        model,
        {{ day }} as day,
        {{ sign }} as change
    from pairs
    where to_rank > from_rank
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

changes_by_day as (
    select
        brand_id,
        model,
        day
        {%- for metric in sets.keys() | list + ['advancing_deepened'] %},
        sum(case when metric = '{{ metric }}' then change else 0 end) as {{ metric }}
        {%- endfor %}
    from changes
    group by brand_id, model, day
),

grid as (
    select
        slices.model,
        calendar.brand_id,
        calendar.day,
        calendar.as_of_date
    from (
        select distinct
            brand_id,
            model
        from sliced
    ) as slices
    inner join calendar on slices.brand_id = calendar.brand_id
),

counted as (
    select
        grid.model,
        grid.brand_id,
        grid.day,
        grid.as_of_date
        {%- for metric in sets.keys() | list + ['advancing_deepened'] %},
        sum(coalesce(changes_by_day.{{ metric }}, 0)) over days_so_far as {{ metric }}
        {%- endfor %}
    from grid
    left join changes_by_day
        on
            grid.brand_id = changes_by_day.brand_id
            and grid.model = changes_by_day.model
            and grid.day = changes_by_day.day
    window days_so_far as (
        partition by grid.brand_id, grid.model order by grid.day
        rows between unbounded preceding and current row
    )
),

fast_slices as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        counted.as_of_date,
        cast({{ dbt.split_part('counted.model', "'|'", 1) }} as {{ dbt.type_string() }}) as slice_kind,
        cast({{ dbt.split_part('counted.model', "'|'", 2) }} as {{ dbt.type_string() }}) as slice,
        cast(counted.fertility as bigint) as fertility,
        cast(coalesce(week_ago.fertility, 0) as bigint) as advancing_base,
        cast(counted.advancing_deepened as bigint) as advancing_deepened,
        cast(counted.advancing_deepened * 1.0 / nullif(week_ago.fertility, 0) as double) as advancing_rate,
        cast(counted.superiority as bigint) as superiority,
        cast(counted.superiority_super as bigint) as superiority_super,
        cast(counted.thriving_active_30d as bigint) as thriving_active_30d,
        cast(counted.thriving_active_30d * 1.0 / nullif(counted.superiority, 0) as double) as thriving_rate_30d,
        cast(counted.thriving_active_180d as bigint) as thriving_active_180d,
        cast(counted.thriving_active_180d * 1.0 / nullif(counted.superiority, 0) as double) as thriving_rate_180d
    from counted
    left join counted as week_ago
        on
            counted.brand_id = week_ago.brand_id
            and counted.model = week_ago.model
            and counted.day - 7 = week_ago.day
)

select * from fast_slices
order by brand_id, as_of_date, slice_kind, slice
