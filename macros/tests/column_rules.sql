{#- What must hold of the columns of a table, in one pass and one node of dbt: a node for each rule of each column was a
    quarter of a refresh in which nothing happened.

      not_null         columns that are never empty
      unique           columns of which no value appears twice; empty ones do not count
      accepted_values  column: the values that it may have; empty ones do not count

    A row per rule that is broken: column_name, rule, failing_rows (of `unique` the values that appear twice) and, of
    `accepted_values`, one value that is not allowed. -#}
{% test column_rules(model, not_null=[], unique=[], accepted_values={}) %}
    {{- config(fail_calc='coalesce(sum(failing_rows), 0)') -}}
    {%- set nothing = 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
    {%- set rules = [] -%}
    {%- for column in not_null -%}
        {%- do rules.append((column, 'not_null', column ~ ' is null', none)) -%}
    {%- endfor -%}
    {%- for column, values in accepted_values.items() -%}
        {%- do rules.append((column, 'accepted_values', column ~ " not in ('" ~ values | join("', '") ~ "')", column)) -%}
    {%- endfor -%}
    with checked as (
        select
            {%- for column, rule, broken, example in rules %}
            sum(case when {{ broken }} then 1 else 0 end) as failing_{{ loop.index }},
            {%- if example %}
            min(case when {{ broken }} then {{ example }} end) as example_{{ loop.index }},
            {%- endif %}
            {%- endfor %}
            count(*) as counted
        from {{ model }}
    )

    {% for column, rule, broken, example in rules %}
    select '{{ column }}' as column_name, '{{ rule }}' as rule, failing_{{ loop.index }} as failing_rows,
        {{ 'example_' ~ loop.index if example else nothing }} as example
    from checked where failing_{{ loop.index }} > 0
    {{ 'union all' if unique or not loop.last }}
    {%- endfor %}
    {%- for column in unique %}
    select '{{ column }}' as column_name, 'unique' as rule, count(*) as failing_rows, {{ nothing }} as example
    from (select {{ column }} from {{ model }} where {{ column }} is not null group by {{ column }} having count(*) > 1)
        as twice
    having count(*) > 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endtest %}


{#- Says which rules a failed test found broken: to who reads dbt's output, and as JSON in the response of the adapter, from
    which the job takes it (orchestration/hold.py). -#}
{% macro tell_broken_rules() %}
    {%- if (model.test_metadata or {}).name == 'column_rules' -%}
        {%- set table = model.attached_node.split('.') | last -%}
        {%- set broken = [] -%}
        {%- for column, rule, rows, example in run_query(model.compiled_code).rows -%}
            {%- set message = table ~ '.' ~ column ~ ' breaks ' ~ rule ~ ' in ' ~ rows
                ~ (' value' if rule == 'unique' else ' row') ~ ('s' if rows != 1 else '')
                ~ (", such as '" ~ example ~ "'" if example is not none else '') -%}
            {%- do log(message, info=true) -%}
            {%- do broken.append({'column': column, 'test': rule, 'rows': rows | int, 'message': message}) -%}
        {%- endfor -%}
        {%- do store_raw_result('main', message=tojson(broken), code='BROKEN', rows_affected='0',
            agate_table=load_result('main').table) -%}
    {%- endif -%}
{% endmacro %}
