{#- The lake: what the intake has admitted, as text. -#}

{% macro lake_path() -%}
    {{- env_var('QUANYU_LAKE', env_var('QUANYU_WORKSPACE', 'var/demo') ~ '/lake') -}}
{%- endmacro %}


{#- Rows of one entity, of the loads after `after_load` (a number) only. Files are chosen by name, so that a
    refresh never opens an old one; an entity that never landed reads as an empty, typed table. -#}
{% macro lake_rows(entity, columns, after_load) %}
    {{- return(adapter.dispatch('lake_rows', 'quanyu')(entity, columns, after_load)) -}}
{% endmacro %}

{% macro duckdb__lake_rows(entity, columns, after_load) %}
    {%- set files = [] -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select file, cast(regexp_extract(file, 'load_number=([0-9]+)', 1) as bigint) as load_number"
            ~ " from glob('" ~ quanyu.lake_path() ~ "/" ~ entity ~ "/load_number=*/data.parquet')"
            ~ " where load_number > " ~ after_load ~ " order by load_number"
        ) -%}
        {%- for row in found.rows %}{% do files.append(row[0]) %}{% endfor -%}
    {%- endif -%}
    {%- if files -%}
        select
            cast(load_number as bigint) as load_number,
            {{ quanyu.lake_columns(columns) | join(', ') }}
        from read_parquet({{ files }}, hive_partitioning = true)
    {%- else -%}
        {{ quanyu.no_rows(columns) }}
    {%- endif -%}
{% endmacro %}

{#- Folders are chosen by the registry; their numbers come out of their names, so that no other folder is listed. -#}
{% macro spark__lake_rows(entity, columns, after_load) %}
    {%- set loads = [] -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select distinct load_number from " ~ ref('batches') ~ " where entity = '" ~ entity ~ "' and landed_rows > 0"
            ~ " and load_number > " ~ after_load ~ " order by load_number"
        ) -%}
        {%- for row in found.rows %}{% do loads.append(row[0]) %}{% endfor -%}
    {%- endif -%}
    {%- if loads -%}
        select
            cast(load_number as bigint) as load_number,
            {{ quanyu.lake_columns(columns) | join(', ') }}
        from parquet.`{{ quanyu.lake_path() }}/{{ entity }}`
        where load_number between {{ loads | first }} and {{ loads | last }}
    {%- else -%}
        {{ quanyu.no_rows(columns) }}
    {%- endif -%}
{% endmacro %}

{% macro lake_columns(columns) %}
    {{- return(['_batch', '_batch_date', '_file', '_row', '_raw', '_problem'] + columns) -}}
{% endmacro %}

{% macro no_rows(columns) -%}
    select
        cast(null as bigint) as load_number,
        cast(null as {{ dbt.type_string() }}) as _batch,
        cast(null as date) as _batch_date,
        cast(null as {{ dbt.type_string() }}) as _file,
        cast(null as bigint) as _row,
        cast(null as {{ dbt.type_string() }}) as _raw,
        cast(null as {{ dbt.type_string() }}) as _problem
        {%- for c in columns %},
        cast(null as {{ dbt.type_string() }}) as {{ c }}{% endfor %}
    where 1 = 0
{%- endmacro %}


{#- The registry of batches, one row per (entity, batch). -#}
{% macro lake_batches() %}
    {%- set file = quanyu.lake_path() ~ '/batches.parquet' -%}
    {%- if execute and quanyu.parquet_exists(file) -%}
        select * from {{ quanyu.parquet_rows(file) }}
    {%- else -%}
        select
            {%- for c in ['entity', 'batch', 'status', 'files', 'content_hash', 'reasons', 'warnings',
                          'held_reasons', 'held_content_hash', 'extra_columns', 'missing_columns'] %}
            cast(null as {{ dbt.type_string() }}) as {{ c }},
            {%- endfor %}
            cast(null as date) as batch_date,
            cast(null as bigint) as load_number,
            cast(null as bigint) as first_load_number,
            cast(null as bigint) as landed_rows,
            cast(null as timestamp) as first_seen_at,
            cast(null as timestamp) as loaded_at
        where 1 = 0
    {%- endif -%}
{% endmacro %}


{#- The ledgers of erasure, written by orchestration/erasure.py beside the registry; `columns` are [name, type] for
    the time before the first erasure. -#}
{% macro lake_ledger(name, columns) %}
    {%- set file = quanyu.lake_path() ~ '/' ~ name ~ '.parquet' -%}
    {%- if execute and quanyu.parquet_exists(file) -%}
        select * from {{ quanyu.parquet_rows(file) }}
    {%- else -%}
        select
            {%- for column, type in columns %}
            cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        where 1 = 0
    {%- endif -%}
{% endmacro %}


{#- A Parquet file as a relation. -#}
{% macro parquet_rows(file) %}{{ return(adapter.dispatch('parquet_rows', 'quanyu')(file)) }}{% endmacro %}

{% macro default__parquet_rows(file) -%}
    parquet.`{{ file }}`
{%- endmacro %}

{% macro duckdb__parquet_rows(file) -%}
    read_parquet('{{ file }}')
{%- endmacro %}


{#- True when a Parquet file of the lake is there. -#}
{% macro parquet_exists(file) %}{{ return(adapter.dispatch('parquet_exists', 'quanyu')(file)) }}{% endmacro %}

{#- Spark fails on a file that is not there, so the folder is listed; the registry of batches is always in it. -#}
{% macro default__parquet_exists(file) %}
    {%- set folder = file.rsplit('/', 1)[0] -%}
    {%- set found = run_query("select path from binaryFile.`" ~ folder ~ "/*.parquet`") -%}
    {%- set files = [] -%}
    {%- for row in found.rows %}{% do files.append(row[0].rsplit('/', 1)[1]) %}{% endfor -%}
    {{ return(file.rsplit('/', 1)[1] in files) }}
{% endmacro %}

{% macro duckdb__parquet_exists(file) %}
    {{ return(run_query("select count(*) from glob('" ~ file ~ "')").rows[0][0] > 0) }}
{% endmacro %}
