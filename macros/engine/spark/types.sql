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


{#- Plain Spark tables hold no constraints, so those of a contract are looked into once the table is written: a model with a
    NULL where none may be, or with a primary key twice, fails as it does on DuckDB. -#}
{% macro spark__persist_constraints(relation, model) %}
    {%- set filled, keys = [], [] -%}
    {%- for column in model.columns.values() -%}
        {%- for constraint in column.constraints or [] if constraint.type == 'not_null' -%}
            {%- do filled.append(column.name) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for constraint in model.constraints or [] if constraint.type == 'primary_key' -%}
        {%- do keys.append(constraint.columns) -%}
    {%- endfor -%}
    {%- if model.config.contract.enforced and (filled or keys) -%}
        {%- set tests = [] -%}
        {%- for name in filled + (keys | sum(start=[])) -%}{%- do tests.append(name ~ ' is null') -%}{%- endfor -%}
        {%- set found = run_query(
            'select count(*)'
            ~ (', (select count(*) from (select 1 from ' ~ relation ~ ' group by ' ~ keys[0] | join(', ') ~ ' having count(*) > 1))'
               if keys else ', 0')
            ~ ' from ' ~ relation ~ ' where ' ~ tests | unique | join(' or ')
        ).rows[0] -%}
        {%- if found[0] > 0 or found[1] > 0 -%}
            {%- do exceptions.raise_compiler_error(relation ~ ': ' ~ found[0] ~ ' rows without a value that the contract asks for, '
                ~ found[1] ~ ' primary keys that stand twice') -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
