{#- DuckDB remembers deleted rows in memory for as long as the file is open: 16 KB, which nothing can drive out, for each 2,048
    rows of which one is gone. A refresh takes the rows of customers from all over a table, so that at 50 million touch-points
    a day in which nothing happened left 1.6 GB of the 4 GB that DuckDB may take to remember what is gone. A table with
    more than 128 MB of that is written again without the deleted rows; nine seconds of 70 million rows. -#}
{% macro shed_deleted_rows() %}
    {%- set remembered_at_most = 8192 -%}
    {%- set told = run_query(
        'select estimated_size, (select count(*) from ' ~ this ~ ") from duckdb_tables() where database_name = current_database()"
        ~ " and schema_name = '" ~ this.schema ~ "' and table_name = '" ~ this.identifier ~ "'").rows -%}
    {%- if told and [told[0][0] - told[0][1], told[0][0] // 2048] | min > remembered_at_most -%}
        {%- set kept = make_intermediate_relation(this.incorporate(type='table')) -%}
        {%- call statement('shed', auto_begin=true) -%}
            create table {{ kept }} as select * from {{ this }};
            drop table {{ this }};
            alter table {{ kept }} rename to {{ adapter.quote(this.identifier) }};
        {%- endcall -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}
