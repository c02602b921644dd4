{#- Rows that are gone from the base models without a trace. A delivery that is replaced leaves its rows behind as
    withdrawn, and they are followed at once; rows that somebody deletes outright stamp no refresh. A ledger of the rows
    that were there, per entity and up to which load, tells that some are missing by counting, which is cheap; only
    then is everything known compared with what is still there. -#}
{% macro identity_inputs() %}
    {{- return(api.Relation.create(database=target.database or none, schema='audit', identifier='identity_inputs')) -}}
{% endmacro %}

{% macro identity_entities() %}
    {%- set entities = [] -%}
    {%- for source in quanyu.identifier_sources() if source.entity not in entities -%}
        {%- do entities.append(source.entity) -%}
    {%- endfor -%}
    {{ return(entities) }}
{% endmacro %}


{#- Post-hook of int_identity__links, which is the last to follow the base models. -#}
{% macro note_identity_inputs() %}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set ledger = quanyu.identity_inputs() -%}
        {%- do run_query('create table if not exists ' ~ ledger ~ ' (entity ' ~ dbt.type_string()
            ~ ', last_load bigint, landed_rows bigint)') -%}
        {%- do quanyu.empty_table(ledger) -%}
        {%- for entity in quanyu.identity_entities() -%}
            {%- do run_query("insert into " ~ ledger ~ " select '" ~ entity ~ "', coalesce(max(_landed_load), 0), count(*)"
                ~ " from " ~ ref('base_landing__' ~ entity)) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}


{#- True when rows that the last refresh saw are missing. -#}
{% macro some_rows_vanished() %}
    {%- if not (execute and is_incremental()) -%}{{ return(false) }}{%- endif -%}
    {%- set found = quanyu.identity_inputs() -%}
    {%- if not adapter.get_relation(database=found.database, schema=found.schema, identifier=found.identifier) -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set missing = [] -%}
    {%- for entity in quanyu.identity_entities() -%}
        {%- do missing.append("select count(*) from " ~ found ~ " as ledger where ledger.entity = '" ~ entity ~ "'"
            ~ " and ledger.landed_rows <> (select count(*) from " ~ ref('base_landing__' ~ entity) ~ " as landed"
            ~ " where landed._landed_load <= (select last_load from " ~ found ~ " where entity = '" ~ entity ~ "'))") -%}
    {%- endfor -%}
    {{ return(quanyu.scalar('select sum(n) from (' ~ missing | join(' union all ') ~ ') as counted(n)') | int > 0) }}
{% endmacro %}


{#- True when rows that named identifiers at `own_refresh` have been withdrawn since. -#}
{% macro some_rows_withdrawn(own_refresh) %}
    {%- if not (execute and is_incremental()) -%}{{ return(false) }}{%- endif -%}
    {%- set withdrawn = [] -%}
    {%- for entity in quanyu.identity_entities() -%}
        {%- do withdrawn.append("select count(*) from " ~ ref('base_landing__' ~ entity) ~ " where _refresh > " ~ own_refresh
            ~ " and _reasons is null and _fate not in " ~ quanyu.naming_fates()) -%}
    {%- endfor -%}
    {{ return(quanyu.scalar('select sum(n) from (' ~ withdrawn | join(' union all ') ~ ') as counted(n)') | int > 0) }}
{% endmacro %}
