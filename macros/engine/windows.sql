{#- The last value of a window that is not NULL; the caller adds `over`. On DuckDB it costs a third of a running max. -#}
{% macro last_known(x) %}{{ return(adapter.dispatch('last_known', 'quanyu')(x)) }}{% endmacro %}

{% macro default__last_known(x) -%}
    last({{ x }}, true)
{%- endmacro %}

{% macro duckdb__last_known(x) -%}
    last_value({{ x }} ignore nulls)
{%- endmacro %}


{#- The n-th last value before the current row that is not NULL; the caller adds `over`. -#}
{% macro previous_known(x, n) %}{{ return(adapter.dispatch('previous_known', 'quanyu')(x, n)) }}{% endmacro %}

{% macro default__previous_known(x, n) -%}
    lag({{ x }}, {{ n }}) ignore nulls
{%- endmacro %}

{% macro duckdb__previous_known(x, n) -%}
    lag({{ x }}, {{ n }} ignore nulls)
{%- endmacro %}
