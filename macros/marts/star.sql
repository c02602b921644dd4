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
