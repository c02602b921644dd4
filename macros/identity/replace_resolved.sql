{#- The ledger of customers that were resolved again, written in one transaction with the rows of
    int_identity__resolution: an incremental model learns from it which customers it has to compute again even when
    refreshes were skipped or interrupted in between. `has_changed`: an identifier came, went, or moved in time. -#}
{% macro customer_changes() %}
    {{- return(api.Relation.create(database=target.database or none, schema='audit', identifier='customer_changes')) -}}
{% endmacro %}

{% macro create_customer_changes() %}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- do run_query('create table if not exists ' ~ quanyu.customer_changes()
            ~ ' (customer_key bigint, has_changed boolean, _refresh bigint)') -%}
    {%- endif -%}
{% endmacro %}


{#- Incremental strategy of int_identity__resolution: the rows of changed identifiers go, the new ones come. -#}
{% macro get_incremental_replace_resolved_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    insert into {{ quanyu.customer_changes() }}
    select
        customer_key,
        has_changed,
        {{ quanyu.refresh_number() }} as _refresh
    from {{ quanyu.work_table('changed_customers') }};

    delete from {{ arg_dict['target_relation'] }}
    where identifier_key in (select identifier_key from {{ quanyu.work_table('changed_identifiers') }});

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}


{#- Customers resolved again since a model last ran, as rows of customer_key. -#}
{% macro resolved_since(own_refresh, has_changed=false) -%}
    select customer_key
    from {{ quanyu.customer_changes() }}
    where _refresh > {{ own_refresh }} {{ 'and has_changed' if has_changed }}
    union
    select customer_key
    from {{ ref('int_identity__resolution') }}
    where _refresh > {{ own_refresh }}
{%- endmacro %}
