{#- Rows n = first .. last, both whole numbers known when the project is parsed. -#}
{% macro whole_numbers(first, last) %}{{ return(adapter.dispatch('whole_numbers', 'quanyu')(first, last)) }}{% endmacro %}

{% macro default__whole_numbers(first, last) -%}
    {{- quanyu.default__numbers(first, last) -}}
{%- endmacro %}

{% macro duckdb__whole_numbers(first, last) -%}
    select numbers.range as n from range({{ first }}, {{ last }} + 1) as numbers
{%- endmacro %}


{#- Aggregate: the values in the order of another column, as one list. -#}
{% macro ordered_list(value, position) %}
    {{- return(adapter.dispatch('ordered_list', 'quanyu')(value, position)) -}}
{% endmacro %}

{% macro default__ordered_list(value, position) -%}
    transform(array_sort(collect_list(struct({{ position }} as p, {{ value }} as v))), item -> item.v)
{%- endmacro %}

{% macro duckdb__ordered_list(value, position) -%}
    list({{ value }} order by {{ position }})
{%- endmacro %}


{#- Sum over k = 1 .. terms of coefficients[k] * z^k, added in that order: the same bytes on every run. -#}
{% macro power_series(coefficients, z, terms) %}
    {{- return(adapter.dispatch('power_series', 'quanyu')(coefficients, z, terms)) -}}
{% endmacro %}

{% macro default__power_series(coefficients, z, terms) -%}
    aggregate(
        sequence(1, {{ terms }}), cast(0 as double),
        (total, k) -> total + element_at({{ coefficients }}, cast(k as int)) * pow({{ z }}, k)
    )
{%- endmacro %}

{% macro duckdb__power_series(coefficients, z, terms) -%}
    list_sum(list_transform(range(1, {{ terms }} + 1), lambda k: {{ coefficients }}[k] * pow({{ z }}, k)))
{%- endmacro %}


{#- Aggregate: the distinct texts, in order, joined by commas; NULL when there are none. -#}
{% macro joined_distinct(value) %}{{ return(adapter.dispatch('joined_distinct', 'quanyu')(value)) }}{% endmacro %}

{% macro default__joined_distinct(value) -%}
    nullif(array_join(array_sort(collect_set({{ value }})), ','), '')
{%- endmacro %}

{% macro duckdb__joined_distinct(value) -%}
    string_agg(distinct {{ value }}, ',' order by {{ value }})
{%- endmacro %}
