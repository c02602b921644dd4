{#- Rows: the parts of a text between `|`, for the select list. -#}
{% macro split_items(text) %}{{ return(adapter.dispatch('split_items', 'quanyu')(text)) }}{% endmacro %}

{% macro default__split_items(text) -%}
    explode(split({{ text }}, '[|]'))
{%- endmacro %}

{% macro duckdb__split_items(text) -%}
    unnest(string_split({{ text }}, '|'))
{%- endmacro %}


{#- The text of a list that stands at a place, the first at 0. -#}
{% macro element_of(texts, place) %}{{ return(adapter.dispatch('element_of', 'quanyu')(texts, place)) }}{% endmacro %}

{% macro default__element_of(texts, place) -%}
    element_at(array({{ quanyu.text_literals(texts) }}), cast({{ place }} + 1 as int))
{%- endmacro %}

{% macro duckdb__element_of(texts, place) -%}
    ([{{ quanyu.text_literals(texts) }}])[{{ place }} + 1]
{%- endmacro %}


{#- Rows: the values of some expressions of one type, for the select list. -#}
{% macro rows_of(expressions) %}{{ return(adapter.dispatch('rows_of', 'quanyu')(expressions)) }}{% endmacro %}

{% macro default__rows_of(expressions) -%}
    explode(array(
        {{ expressions | join(',\n        ') }}
    ))
{%- endmacro %}

{% macro duckdb__rows_of(expressions) -%}
    unnest([
        {{ expressions | join(',\n        ') }}
    ])
{%- endmacro %}
