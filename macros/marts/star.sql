{#- Mask of customer_day.behaviours for touch-point types. Some rule must ask for each of them: else the day does not
    remember it, and the figure would silently be too low. -#}
{% macro event_mask(events) %}
    {%- if not execute -%}{{ return(0) }}{%- endif -%}
    {%- set plan = quanyu.stage_plan() -%}
    {%- set mask = namespace(value=0) -%}
    {%- for event in events -%}
        {%- set found = plan.atoms | selectattr('key', 'equalto', 'touchpoint:' ~ event ~ ':::') | list -%}
        {%- if not found and plan.atoms -%}
            {{ exceptions.raise_compiler_error("no rule of stage_rules asks for `" ~ event ~ "`") }}
        {%- endif -%}
        {%- set mask.value = mask.value + (found[0].bit if found else 0) -%}
    {%- endfor -%}
    {{ return(mask.value) }}
{% endmacro %}


{#- Query: one figure of star_scenarios, one row per brand and period of `source`. -#}
{% macro scenario_figure(scenario, measure, source, numerator, denominator='null', where='true') -%}
    select
        brand_id,
        period_kind,
        period_id,
        '{{ scenario }}' as scenario,
        '{{ measure }}' as measure,
        cast({{ numerator }} as double) as numerator,
        cast({{ denominator }} as double) as denominator
    from {{ source }}
    where {{ where }}
{%- endmacro %}


{#- Settings of the STAR tables by customer and period (macros/refresh/traced.sql): layers, the numbers of periods and touch-points,
    and each brand's first day, before which nothing counts. -#}
{% macro star_settings() %}
    {{- return(quanyu.settings_of({
        ref('int_star__touch_keys'): ['channel_key', 'touch_point_key', 'channel', 'touch_point', 'is_interaction', 'deeds'],
        ref('promotion_calendar'): ['brand_id', 'promotion_id', 'starts_on', 'ends_on'],
        '(select brand_id, min(as_of_date) as first_date from ' ~ ref('int_stages__calendar') ~ ' group by brand_id) as brands':
            ['brand_id', 'first_date'],
    }, [var('star_stage_model'), var('count_anonymous_visitors'), quanyu.stage_plan().hash if execute else none])) -}}
{% endmacro %}
