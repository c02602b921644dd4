{#- Primary keys of the contracts. An index over wide texts costs more than most marts that it would guard (rfm_customers
    at 10 million touch-points: 7.9 processor seconds of 21.8, and again whenever the warehouse is compacted), so the
    columns are `not null` in the table, and a hook counts the keys before the table is published (0.6 seconds). -#}

{#- DDL of a contract without its primary key, whose columns become `not null`. -#}
{% macro duckdb__get_table_columns_and_constraints() %}
    {%- set key = quanyu.primary_key(model) -%}
    {%- set columns = {} -%}
    {%- for name, column in model.columns.items() -%}
        {%- set constraints = column.constraints | default([], true) -%}
        {%- if name in key and 'not_null' not in constraints | map(attribute='type') -%}
            {%- set column = dict(column, constraints=constraints + [{'type': 'not_null'}]) -%}
        {%- endif -%}
        {%- do columns.update({name: column}) -%}
    {%- endfor -%}
    {%- set others = model.constraints | rejectattr('type', 'equalto', 'primary_key') | list -%}
    (
        {{ (adapter.render_raw_columns_constraints(raw_columns=columns)
            + adapter.render_raw_model_constraints(raw_constraints=others)) | join(',\n        ') }}
    )
{% endmacro %}


{#- Columns of the primary key in a model's contract. -#}
{% macro primary_key(node) %}
    {%- for constraint in node.constraints if constraint.type == 'primary_key' -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
    {{ return([]) }}
{% endmacro %}


{#- Hook: stops, before the model is committed, when two rows have the same key. Different hashes are different keys, so
    the keys themselves are grouped only when two hashes are equal. -#}
{% macro check_primary_key() %}
    {%- set key = quanyu.primary_key(model) if execute else [] -%}
    {%- if key and quanyu.scalar('select count(*) - count(distinct ' ~ quanyu.quick_hash(key) ~ ') from ' ~ this) -%}
        {%- set columns = key | join(', ') -%}
        {%- set doubled = run_query('select ' ~ columns ~ ', count(*) from ' ~ this ~ ' group by ' ~ columns
            ~ ' having count(*) > 1 order by ' ~ columns ~ ' limit 1').rows -%}
        {%- if doubled -%}
            {{ exceptions.raise_compiler_error(this.identifier ~ " has " ~ doubled[0][key | length] ~ " rows with the primary key ("
                ~ columns ~ ") = (" ~ doubled[0].values()[:-1] | join(', ') ~ ")") }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
