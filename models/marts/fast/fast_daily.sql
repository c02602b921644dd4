-- Grain: one row per brand and day, from the brand's first activity to the as-of date.
-- Why: FAST on every day: fertility, advancing, superiority, thriving, raw and as an index.
-- Not here: unions over a period (fast_periods); new customers in advancing (they are fertility's).
{%- set model = var('fast_stage_model') %}
{%- set indexed = [
    ('fertility', 'fertility'), ('advancing', 'advancing_rate'),
    ('superiority', 'superiority'), ('thriving', 'thriving_rate_30d'),
] %}
with calendar as (
    select * from {{ ref('int_stages__calendar') }}
),

daily as (
    select * from {{ ref('int_stages__daily') }}
),

stocks as (
    select
        brand_id,
        day,
        {%- for stage in ['A', 'I', 'P', 'L'] %}
        sum(case when model = '{{ model }}' and stage = '{{ stage }}' then customers else 0 end)
            as {{ stage | lower }}_customers,
        {%- endfor %}
        sum(case when model = 'fast_members_30d' then customers else 0 end) as superiority,
        sum(case when model = 'fast_super' then customers else 0 end) as superiority_super,
        sum(case when model = 'fast_members_30d' and stage = 'active' then customers else 0 end) as thriving_active_30d,
        sum(case when model = 'fast_members_180d' and stage = 'active' then customers else 0 end)
            as thriving_active_180d
    from daily
    group by brand_id, day
),

-- Customers in a stage and active: the days on which a stay of either set overlaps.
spells as (
    select
        'overlap' as model,
        model as stage_model,
        brand_id,
        customer_key,
        1 as stage_rank,
        {{ quanyu.day_number('valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('int_stages__spells') }}
),

stage_spells as (
    select * from spells
    where stage_model = '{{ model }}'
),

activity_spells as (
    select * from spells
    where stage_model = 'fast_activity'
),

overlapping as (
    {{ quanyu.stay_pairs('stage_spells', 'activity_spells', [0]) | indent(4) }}
),

overlap_changes as (
    select
        brand_id,
        day,
        sum(change) as change
    from (
        select
            brand_id,
            from_day as day,
            1 as change
        from overlapping
        union all
        select
            brand_id,
            to_day as day,
            -1 as change
        from overlapping
    ) as ends
    group by brand_id, day
),

active as (
    select
        calendar.brand_id,
        calendar.day,
        sum(coalesce(overlap_changes.change, 0)) over (
            partition by calendar.brand_id order by calendar.day
            rows between unbounded preceding and current row
        ) as fertility_active
    from calendar
    left join overlap_changes
        on calendar.brand_id = overlap_changes.brand_id and calendar.day = overlap_changes.day
),

deepened as (
    select
        brand_id,
        to_date,
        {%- for stage in ['A', 'I', 'P'] %}
        sum(case when from_stage = '{{ stage }}' then customers else 0 end) as from_{{ stage | lower }},
        {%- endfor %}
        sum(customers) as customers
    from {{ ref('stage_flows') }}
    where model = '{{ model }}' and horizon_days = 7 and direction = 'forward'
    group by brand_id, to_date
),

counted as (
    select
        calendar.brand_id,
        calendar.as_of_date,
        calendar.day,
        calendar.first_day,
        stocks.a_customers + stocks.i_customers + stocks.p_customers + stocks.l_customers as fertility,
        active.fertility_active,
        {%- for stage in ['a', 'i', 'p', 'l'] %}
        coalesce(week_ago.{{ stage }}_customers, 0) as base_{{ stage }},
        {%- endfor %}
        {%- for stage in ['a', 'i', 'p'] %}
        coalesce(deepened.from_{{ stage }}, 0) as deepened_{{ stage }},
        {%- endfor %}
        coalesce(deepened.customers, 0) as advancing_deepened,
        stocks.superiority,
        stocks.superiority_super,
        stocks.thriving_active_30d,
        stocks.thriving_active_180d
    from calendar
    inner join stocks on calendar.brand_id = stocks.brand_id and calendar.day = stocks.day
    inner join active on calendar.brand_id = active.brand_id and calendar.day = active.day
    left join stocks as week_ago on calendar.brand_id = week_ago.brand_id and calendar.day - 7 = week_ago.day
    left join deepened on calendar.brand_id = deepened.brand_id and calendar.as_of_date = deepened.to_date
),

rated as (
    select
        *,
        base_a + base_i + base_p + base_l as advancing_base,
        cast(advancing_deepened as double) / nullif(base_a + base_i + base_p + base_l, 0) as advancing_rate,
        cast(thriving_active_30d as double) / nullif(superiority, 0) as thriving_rate_30d
    from counted
),

-- No peers here, so a brand is its own measure: the same day a year before, else its best of the last 52 weeks.
compared as (
    select
        rated.*
        {%- for name, measure in indexed %},
        100.0 * rated.{{ measure }} / nullif(
            case
                when year_ago.day is not null then year_ago.{{ measure }}
                else max(rated.{{ measure }}) over (
                    partition by rated.brand_id order by rated.day
                    rows between 363 preceding and current row
                )
            end, 0
        ) as {{ name }}_index
        {%- endfor %},
        case when year_ago.day is not null then 'year_ago' else 'best_52_weeks' end as index_method
    from rated
    left join rated as year_ago on rated.brand_id = year_ago.brand_id and rated.day - 365 = year_ago.day
),

fast_daily as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        as_of_date,
        cast(fertility as bigint) as fertility,
        cast(fertility_active as bigint) as fertility_active,
        cast(advancing_base as bigint) as advancing_base,
        cast(advancing_deepened as bigint) as advancing_deepened,
        cast(advancing_rate as double) as advancing_rate,
        {%- for stage in ['a', 'i', 'p'] %}
        cast(base_{{ stage }} as bigint) as advancing_base_{{ stage }},
        cast(deepened_{{ stage }} as bigint) as advancing_deepened_{{ stage }},
        cast(deepened_{{ stage }} * 1.0 / nullif(base_{{ stage }}, 0) as double) as advancing_rate_{{ stage }},
        {%- endfor %}
        cast(base_a + base_i + base_p as bigint) as advancing_base_without_l,
        cast(advancing_deepened * 1.0 / nullif(base_a + base_i + base_p, 0) as double) as advancing_rate_without_l,
        cast(superiority as bigint) as superiority,
        cast(superiority_super as bigint) as superiority_super,
        cast(thriving_active_30d as bigint) as thriving_active_30d,
        cast(thriving_rate_30d as double) as thriving_rate_30d,
        cast(thriving_active_180d as bigint) as thriving_active_180d,
        cast(thriving_active_180d * 1.0 / nullif(superiority, 0) as double) as thriving_rate_180d,
        {%- for name, measure in indexed %}
        cast({{ name }}_index as double) as {{ name }}_index,
        {%- endfor %}
        cast(index_method as {{ dbt.type_string() }}) as index_method
    from compared
)

select * from fast_daily
order by brand_id, as_of_date
