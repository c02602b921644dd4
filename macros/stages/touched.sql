{#- Incremental strategy of the models that hold everything about a customer under the stage rules: replace_touched,
    and every customer counts as touched when the rules are not those under which the table was written. The model
    says the number of the rules in `_rules`. -#}
{% macro get_incremental_replace_touched_by_rules_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where customer_key in ({{ quanyu.touched_by_rules() }});

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}


{#- Keys of the customers touched since this model last ran, all of them after a change of rules. -#}
{% macro touched_by_rules() -%}
    {%- set own_rules = quanyu.scalar('select max(_rules) from ' ~ this) -%}
    {%- set plan = quanyu.stage_plan() -%}
    {%- if own_rules == plan.hash -%}
        {{ quanyu.touched_since_last_refresh() }}
    {%- else -%}
        select customer_key from {{ ref('int_lifecycle__touched_customers') }}
    {%- endif -%}
{%- endmacro %}


{#- What written_since_last_refresh says; after a change of rules every row counts. -#}
{% macro written_since_rules() -%}
    {%- if quanyu.scalar('select max(_rules) from ' ~ this) == quanyu.stage_plan().hash -%}
        {{ quanyu.written_since_last_refresh() }}
    {%- else -%}
        _refresh >= 0
    {%- endif -%}
{%- endmacro %}
