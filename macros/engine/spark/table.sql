{#- Tables on plain Spark: a table that exists stays until its successor is written, as on DuckDB, where dbt-spark would drop it
    first. Readers do not miss it, a build that fails leaves it, and a model may read what it was before
    (int_stages__spells_replaced). A Python model writes its table itself (orchestration/spark.py). -#}
{% materialization table, adapter='spark', supported_languages=['sql', 'python'] %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set known = load_relation(this) if model.language == 'sql' else none -%}
    {{ run_hooks(pre_hooks) }}
    {%- set written = quanyu.spark_successor() if known else target_relation -%}
    {%- do run_query('drop table if exists ' ~ written) -%}
    {%- call statement('main', language=model.language) -%}
        {{ create_table_as(False, written, compiled_code, model.language) }}
    {%- endcall -%}
    {%- if known -%}{%- do quanyu.spark_succeed(known) -%}{%- endif -%}
    {%- do persist_constraints(target_relation, model) -%}
    {{ run_hooks(post_hooks) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- Where the rows of the model are written while the table that it has is still read. -#}
{% macro spark_successor() %}
    {{ return(api.Relation.create(schema=this.schema, identifier=this.identifier ~ '__successor', type='table')) }}
{% endmacro %}


{#- The successor takes the place of the table, or view, that is known. -#}
{% macro spark_succeed(known) %}
    {%- do adapter.drop_relation(known) -%}
    {%- do run_query('alter table ' ~ quanyu.spark_successor() ~ ' rename to ' ~ this) -%}
{% endmacro %}
