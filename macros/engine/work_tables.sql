{#- Work tables: what a computation in several statements keeps between them. They live as long as the connection
    of the model whose hook or body makes them, so that two threads never meet in one. -#}

{% macro create_work_table(name, sql) %}
    {{- return(adapter.dispatch('create_work_table', 'quanyu')(name, sql)) -}}
{% endmacro %}

{#- An engine without temporary tables keeps them in a schema of their own, under the name of their model. -#}
{% macro default__create_work_table(name, sql) %}
    {%- do run_query('create schema if not exists quanyu_work') -%}
    {%- do run_query('drop table if exists ' ~ quanyu.work_table(name)) -%}
    {%- do run_query('create table ' ~ quanyu.work_table(name) ~ ' as ' ~ sql) -%}
{% endmacro %}

{% macro duckdb__create_work_table(name, sql) %}
    {%- do run_query('create or replace temp table ' ~ quanyu.work_table(name) ~ ' as ' ~ sql) -%}
{% endmacro %}


{% macro work_table(name) %}{{ return(adapter.dispatch('work_table', 'quanyu')(name)) }}{% endmacro %}

{% macro default__work_table(name) %}{{ return('quanyu_work.' ~ this.identifier ~ '__' ~ name) }}{% endmacro %}

{% macro duckdb__work_table(name) %}{{ return('temp.main.work_' ~ name) }}{% endmacro %}


{#- The same, and how many rows it has. -#}
{% macro create_counted_work_table(name, sql) %}
    {{- return(adapter.dispatch('create_counted_work_table', 'quanyu')(name, sql)) -}}
{% endmacro %}

{% macro default__create_counted_work_table(name, sql) %}
    {%- do quanyu.create_work_table(name, sql) -%}
    {{ return(quanyu.scalar('select count(*) from ' ~ quanyu.work_table(name)) | int) }}
{% endmacro %}

{#- The statement answers with the number itself. -#}
{% macro duckdb__create_counted_work_table(name, sql) %}
    {{ return(quanyu.scalar('create or replace temp table ' ~ quanyu.work_table(name) ~ ' as ' ~ sql) | int) }}
{% endmacro %}


{% macro drop_work_tables(names) %}
    {{- return(adapter.dispatch('drop_work_tables', 'quanyu')(names)) -}}
{% endmacro %}

{% macro default__drop_work_tables(names) %}
    {%- for name in names -%}
        {%- do run_query('drop table if exists ' ~ quanyu.work_table(name)) -%}
    {%- endfor -%}
{% endmacro %}

{#- One question instead of many: dbt takes 8 milliseconds of processor time over each. -#}
{% macro duckdb__drop_work_tables(names) %}
    {%- set tables = [] -%}
    {%- for name in names -%}{%- do tables.append('drop table if exists ' ~ quanyu.work_table(name)) -%}{%- endfor -%}
    {%- do run_query(tables | join('; ')) -%}
{% endmacro %}


{#- Takes all rows out of a table. -#}
{% macro empty_table(relation) %}{{ return(adapter.dispatch('empty_table', 'quanyu')(relation)) }}{% endmacro %}

{% macro default__empty_table(relation) %}
    {%- do run_query('truncate table ' ~ relation) -%}
{% endmacro %}

{% macro duckdb__empty_table(relation) %}
    {%- do run_query('delete from ' ~ relation) -%}
{% endmacro %}


{#- Gives a column another value, an SQL expression, in the rows of a table where it has another one. -#}
{% macro set_column(relation, column, value) %}
    {{- return(adapter.dispatch('set_column', 'quanyu')(relation, column, value)) -}}
{% endmacro %}

{#- Plain Spark tables know no update: when there is something to change, the table is written again. -#}
{% macro default__set_column(relation, column, value) %}
    {%- if quanyu.scalar('select count(*) from ' ~ relation ~ ' where ' ~ column ~ ' <> ' ~ value) | int -%}
        {%- set columns = [] -%}
        {%- for known in adapter.get_columns_in_relation(relation) -%}
            {%- do columns.append(value ~ ' as ' ~ column if known.name == column else known.quoted) -%}
        {%- endfor -%}
        {%- do quanyu.create_work_table('changed', 'select ' ~ columns | join(', ') ~ ' from ' ~ relation) -%}
        {%- do run_query('insert overwrite table ' ~ relation ~ ' select * from ' ~ quanyu.work_table('changed')) -%}
        {%- do quanyu.drop_work_tables(['changed']) -%}
    {%- endif -%}
{% endmacro %}

{% macro duckdb__set_column(relation, column, value) %}
    {%- do run_query('update ' ~ relation ~ ' set ' ~ column ~ ' = ' ~ value ~ ' where ' ~ column ~ ' <> ' ~ value) -%}
{% endmacro %}
