{#- The refresh: one invocation of dbt, numbered. Incremental tables stamp their rows with the refresh that wrote
    them, so that a table knows what has changed upstream since its own last refresh, whatever was selected, skipped
    or interrupted in between. The numbers never leave the internal layers. -#}

{#- Hook: takes the next number. -#}
{% macro start_refresh() %}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set ledger = api.Relation.create(database=target.database or none, schema='audit', identifier='refreshes') -%}
        {%- do adapter.create_schema(ledger) -%}
        {%- do run_query('create table if not exists ' ~ ledger ~ ' (refresh_number bigint)') -%}
        {%- do adapter.cache_added(ledger.incorporate(type='table')) -%}
        {%- set built = quanyu.built_ledger() -%}
        {%- set text = dbt.type_string() -%}
        {%- do run_query('create table if not exists ' ~ built ~ ' (node ' ~ text ~ ', inputs ' ~ text ~ ', contents ' ~ text
            ~ ', ' ~ adapter.quote('rows') ~ ' bigint)') -%}
        {%- do adapter.cache_added(built) -%}
        {%- do run_query('insert into ' ~ ledger ~ ' select coalesce(max(refresh_number), 0) + 1 from ' ~ ledger) -%}
        {%- do quanyu.remembered().pop('refresh_number', none) -%}
    {%- endif -%}
{% endmacro %}


{#- Number of this refresh. -#}
{% macro refresh_number() %}
    {%- if not execute -%}{{ return(0) }}{%- endif -%}
    {%- set remembered = quanyu.remembered() -%}
    {%- if 'refresh_number' not in remembered -%}
        {%- set ledger = adapter.get_relation(database=target.database or none, schema='audit', identifier='refreshes') -%}
        {%- do remembered.update({
            'refresh_number': quanyu.scalar('select max(refresh_number) from ' ~ ledger) if ledger else 0}) -%}
    {%- endif -%}
    {{ return(remembered.refresh_number) }}
{% endmacro %}


{#- What this invocation of dbt has found out and every node would ask for again: a dict. The graph is the one thing that
    the nodes of an invocation share. -#}
{% macro remembered() %}
    {{- return(graph.setdefault('remembered by ' ~ invocation_id, {})) -}}
{% endmacro %}


{#- First value of the first row of a query. -#}
{% macro scalar(sql) %}
    {%- if execute -%}{{ return(run_query(sql).rows[0][0]) }}{%- endif -%}
{% endmacro %}
