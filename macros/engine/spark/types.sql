{#- Types as Spark names them: its `varchar` wants a length. -#}
{% macro spark_type(type) %}{{ return('string' if type | lower in ('varchar', 'text') else type) }}{% endmacro %}


{#- dbt's own macros, with the types of contracts and seeds in Spark's names. -#}
{% macro spark__get_empty_schema_sql(columns) %}
    select
    {%- for column in columns.values() %}
    cast(null as {{ quanyu.spark_type(column['data_type']) }}) as {{ column['name'] }}{{ ',' if not loop.last }}
    {%- endfor %}
    where 1 = 0
{% endmacro %}

{% macro spark__create_csv_table(model, agate_table) %}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set columns = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do columns.append(adapter.quote(name) ~ ' '
            ~ quanyu.spark_type(types.get(name, adapter.convert_type(agate_table, loop.index0)))) -%}
    {%- endfor -%}
    {%- set sql = 'create table ' ~ this.render() ~ ' (' ~ columns | join(', ') ~ ')' -%}
    {%- call statement('_') -%}{{ sql }}{%- endcall -%}
    {{ return(sql) }}
{% endmacro %}

{% macro spark__load_csv_rows(model, agate_table) %}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set columns, rows, bindings = [], [], [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do columns.append('cast(%s as '
            ~ quanyu.spark_type(types.get(name, adapter.convert_type(agate_table, loop.index0))) ~ ')') -%}
    {%- endfor -%}
    {%- for row in agate_table.rows -%}
        {%- do bindings.extend(row) -%}
        {%- do rows.append('(' ~ columns | join(', ') ~ ')') -%}
    {%- endfor -%}
    {%- if rows -%}
        {%- set sql = 'insert into ' ~ this.render() ~ ' values ' ~ rows | join(', ') -%}
        {%- do adapter.add_query(sql, bindings=bindings, abridge_sql_log=True) -%}
    {%- endif -%}
    {{ return('insert into ' ~ this.render()) }}
{% endmacro %}


{#- Plain Spark tables hold no constraints, so what a contract wants filled is looked into once the table is written: a NULL
    where none may be fails the model as it does on DuckDB. Keys that stand twice: check_primary_key, on either engine.
    It is also what dbt-spark calls right after it has written a table, so the CTEs held for it go here. -#}
{% macro spark__persist_constraints(relation, model) %}
    {%- if model.language == 'sql' -%}{%- do quanyu.spark_drop_held_ctes(model.compiled_code) -%}{%- endif -%}
    {%- set tests = [] -%}
    {%- for name in quanyu.primary_key(model) -%}{%- do tests.append(name ~ ' is null') -%}{%- endfor -%}
    {%- for column in model.columns.values() -%}
        {%- for constraint in column.constraints or [] if constraint.type == 'not_null' -%}
            {%- do tests.append(column.name ~ ' is null') -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if model.config.contract.enforced and tests -%}
        {%- set found = quanyu.scalar('select count(*) from ' ~ relation ~ ' where ' ~ tests | unique | join(' or ')) -%}
        {%- if found -%}
            {%- do exceptions.raise_compiler_error(
                relation ~ ': ' ~ found ~ ' rows without a value that the contract asks for') -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
