{#- A decimal from a float. DuckDB rounds the float times a power of ten; Spark's own cast would round its shortest decimal
    form, which is another number where the digit after the last one is a 5. -#}
{% macro rounded_decimal(x, precision, scale) %}
    {{- return(adapter.dispatch('rounded_decimal', 'quanyu')(x, precision, scale)) -}}
{% endmacro %}

{% macro default__rounded_decimal(x, precision, scale) -%}
    cast(round(({{ x }}) * {{ 10 ** scale }}) / {{ 10 ** scale }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}

{% macro duckdb__rounded_decimal(x, precision, scale) -%}
    cast({{ x }} as decimal({{ precision }}, {{ scale }}))
{%- endmacro %}


{#- An amount of money from a float. -#}
{% macro money(x) %}{{ return(quanyu.rounded_decimal(x, 18, 4)) }}{% endmacro %}
