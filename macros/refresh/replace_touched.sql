{#- Incremental strategy for models that hold everything about a customer: the rows of the touched customers go, the
    rows that the model gives for them come. A touched customer without rows left leaves none behind, which
    delete+insert by key would. The model selects touched customers with `touched_since_last_refresh`. -#}
{% macro get_incremental_replace_touched_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where customer_key in ({{ quanyu.touched_since_last_refresh() }});

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}


{#- Keys of the customers touched since this model last ran. -#}
{% macro touched_since_last_refresh() -%}
    {%- set own_refresh = quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ this) -%}
    select customer_key
    from {{ ref('int_lifecycle__touched_customers') }}
    where _refresh > {{ own_refresh }}
{%- endmacro %}


{#- Condition on the rows of a model of the strategy replace_touched, beside that on its touched customers: theirs have been
    written since this model last ran, all of them, to the end of the table. The engine passes over what was written before
    by its own statistics, so that a refresh does not read the whole history to find a few customers in it. -#}
{% macro written_since_last_refresh() -%}
    _refresh > {{ quanyu.scalar('select coalesce(max(_refresh), 0) from ' ~ this) }}
{%- endmacro %}
