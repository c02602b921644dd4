{#- The whole number that belongs to a text in {text: number}, 0 for any other. On DuckDB a map is asked once per distinct
    text of a column chunk: over 10 million touch-points it costs a tenth of a CASE. -#}
{% macro lookup(x, numbers) %}{{ return(adapter.dispatch('lookup', 'quanyu')(x, numbers)) }}{% endmacro %}

{% macro default__lookup(x, numbers) -%}
    case {{ x }}
        {%- for text, number in numbers.items() %}
        when '{{ text }}' then {{ number }}
        {%- endfor %}
        else 0
    end
{%- endmacro %}

{% macro duckdb__lookup(x, numbers) -%}
    coalesce(map {
        {%- for text, number in numbers.items() %}'{{ text }}': cast({{ number }} as bigint){{ ', ' if not loop.last }}{% endfor -%}
    }[{{ x }}], 0)
{%- endmacro %}
