{#- Says that a CTE which is read more than once is to be computed each time: the rows of a 50-million-row batch
    must stream, not be held. Spark always inlines. -#}
{% macro inline_cte() %}{{ return(adapter.dispatch('inline_cte', 'quanyu')()) }}{% endmacro %}

{% macro default__inline_cte() %}{% endmacro %}

{% macro duckdb__inline_cte() %}not materialized{% endmacro %}
