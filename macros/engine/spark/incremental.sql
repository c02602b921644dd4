{#- Incremental models on plain Spark tables, which know neither delete nor merge. The rows that go are left out and the
    rows that come are added in a new table, which then takes the place of the old one: the model computes no more than on
    any engine, and what it costs more is writing the table. Nobody ever reads half of it. -#}
{% materialization incremental, adapter='spark', supported_languages=['sql'] %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set known = load_relation(this) -%}
    {{ run_hooks(pre_hooks) }}

    {%- set is_anew = known is none or known.is_view or should_full_refresh() -%}
    {%- if not is_anew -%}
        {%- do quanyu.create_work_table('new_rows', quanyu.spark_with_held_ctes(compiled_code)) -%}
        {%- set new_rows = api.Relation.create(schema='quanyu_work', identifier=this.identifier ~ '__new_rows', type='table') -%}
        {%- set columns = adapter.get_columns_in_relation(new_rows) -%}
        {%- set known_names = adapter.get_columns_in_relation(known) | map(attribute='name') | list -%}
        {%- set kept = [] -%}
        {%- for column in columns -%}
            {%- if column.name in known_names -%}
                {%- do kept.append('known.' ~ column.quoted) -%}
            {%- elif config.get('on_schema_change') == 'append_new_columns' -%}
                {%- do kept.append('cast(null as ' ~ column.dtype ~ ') as ' ~ column.quoted) -%}
            {%- else -%}
                {%- do exceptions.raise_compiler_error(this ~ ' has no column ' ~ column.name ~ ': build it with --full-refresh') -%}
            {%- endif -%}
        {%- endfor -%}
        {%- set going = quanyu.spark_rows_that_go(new_rows) -%}
    {%- endif -%}
    {%- set written = quanyu.spark_successor() if known else target_relation -%}
    {%- do run_query('drop table if exists ' ~ written) -%}
    {%- call statement('main') -%}
        {%- if is_anew %}
            {{ create_table_as(False, written, compiled_code) }}
        {%- else %}
            create table {{ written }} as
            select {{ kept | join(', ') }}
            from {{ known }} as known
            {%- if going %}
            left anti join ({{ going.gone }}) as going on known.{{ going.key }} = going.{{ going.key }}
            {%- if going.kept %}
            where {{ going.kept }}
            {%- endif %}
            {%- endif %}
            union all
            select {{ columns | map(attribute='quoted') | join(', ') }}
            from {{ new_rows }}
        {%- endif %}
    {%- endcall -%}
    {%- if known -%}{%- do quanyu.spark_succeed(known) -%}{%- endif -%}
    {%- if not is_anew -%}{%- do quanyu.drop_work_tables(['new_rows']) -%}{%- endif -%}

    {%- do persist_constraints(target_relation, model) -%}
    {%- if quanyu.work_table('arrived') in compiled_code -%}{%- do quanyu.drop_work_tables(['arrived']) -%}{%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- {key, gone, kept}: rows whose `key` is among the rows of the query `gone` go, and those for which the condition `kept`, if
    there is one, does not hold; none when rows only come. One answer per incremental strategy of the project, the same as its
    get_incremental_<strategy>_sql. -#}
{% macro spark_rows_that_go(new_rows) %}
    {%- set strategy = config.get('incremental_strategy') -%}
    {%- if strategy == 'append' -%}
        {{ return(none) }}
    {%- elif strategy == 'delete+insert' -%}
        {%- set key = config.get('unique_key') -%}
        {{ return({'key': key, 'gone': 'select distinct ' ~ key ~ ' from ' ~ new_rows}) }}
    {%- elif strategy == 'replace_touched' -%}
        {{ return({'key': 'customer_key', 'gone': quanyu.touched_since_last_refresh()}) }}
    {%- elif strategy == 'replace_touched_by_rules' -%}
        {{ return({'key': 'customer_key', 'gone': quanyu.touched_by_rules()}) }}
    {%- elif strategy == 'replace_traced' -%}
        {{ return({'key': 'customer_key', 'gone': 'select customer_key from ' ~ quanyu.work_table(this.identifier ~ '_traced')}) }}
    {%- elif strategy == 'replace_traced_and_reopened' -%}
        {%- set reopened = quanyu.reopened_from() -%}
        {{ return({
            'key': 'customer_key', 'gone': quanyu.traced(), 'kept': "last_on < date '" ~ reopened ~ "'" if reopened else none,
        }) }}
    {%- elif strategy == 'replace_resolved' -%}
        {%- do run_query('insert into ' ~ quanyu.customer_changes() ~ ' select customer_key, has_changed, cast('
            ~ quanyu.refresh_number() ~ ' as bigint) from ' ~ quanyu.work_table('changed_customers')) -%}
        {{ return({'key': 'identifier_key', 'gone': 'select identifier_key from ' ~ quanyu.work_table('changed_identifiers')}) }}
    {%- endif -%}
    {{ exceptions.raise_compiler_error('no such incremental strategy on Spark: ' ~ strategy) }}
{% endmacro %}
