{#- Name of the stage of the column `model` that has the rank of a column, `none` for 0. Looked up in lists and not joined, so
    that a reader who does not ask for it does not pay for it. -#}
{% macro stage_name(rank) -%}
    {%- set names = {} -%}
    {%- if execute -%}
        {%- for stage in quanyu.seed_rows('stages', ['model', 'stage', 'rank'], ['model', 'cast(rank as integer)']) -%}
            {%- set known = names.setdefault(stage.model, ['none']) -%}
            {%- for missing in range(known | length, stage.rank | int) -%}{%- do known.append('none') -%}{%- endfor -%}
            {%- do known.append(stage.stage) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if names %}
    case model
        {%- for model, known in names.items() %}
        when '{{ model }}' then {{ quanyu.element_of(known, rank) }}
        {%- endfor %}
    end
    {%- else %}
    cast(null as {{ dbt.type_string() }})
    {%- endif %}
{%- endmacro %}
