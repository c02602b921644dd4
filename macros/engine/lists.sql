{#- Rows: the parts of a text between `|`, for the select list. -#}
{% macro split_items(text) %}{{ return(adapter.dispatch('split_items', 'quanyu')(text)) }}{% endmacro %}

{% macro default__split_items(text) -%}
    explode(split({{ text }}, '[|]'))
{%- endmacro %}

{% macro duckdb__split_items(text) -%}
    unnest(string_split({{ text }}, '|'))
{%- endmacro %}
