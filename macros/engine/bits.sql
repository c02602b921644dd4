{#- A whole number with one bit set; 0 <= number <= 62. -#}
{% macro bit_of(number) %}{{ return(adapter.dispatch('bit_of', 'quanyu')(number)) }}{% endmacro %}

{% macro default__bit_of(number) -%}
    shiftleft(cast(1 as bigint), cast({{ number }} as int))
{%- endmacro %}

{% macro duckdb__bit_of(number) -%}
    (cast(1 as bigint) << {{ number }})
{%- endmacro %}
