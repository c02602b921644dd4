{#- Says that a CTE which is read more than once is to be computed each time: the rows of a 50-million-row batch
    must stream, not be held. Spark always inlines. -#}
{% macro inline_cte() %}{{ return(adapter.dispatch('inline_cte', 'quanyu')()) }}{% endmacro %}

{% macro default__inline_cte() %}{% endmacro %}

{% macro duckdb__inline_cte() %}not materialized{% endmacro %}


{#- A query that the statement around it reads more than once. An engine that inlines every CTE has it computed, and planned,
    as many times as it is named, so it is written to a work table there; its name. None: let it stay a CTE. -#}
{% macro held_cte(name, sql) %}{{ return(adapter.dispatch('held_cte', 'quanyu')(name, sql)) }}{% endmacro %}

{% macro default__held_cte(name, sql) %}
    {%- if not execute or flags.WHICH not in ('build', 'run') -%}{{ return(none) }}{%- endif -%}
    {%- do quanyu.create_work_table(name, sql) -%}
    {{ return(quanyu.work_table(name)) }}
{% endmacro %}

{% macro duckdb__held_cte(name, sql) %}{{ return(none) }}{% endmacro %}
