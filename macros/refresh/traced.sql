{#- Models of the marts that hold everything about a customer: only the customers that something happened to are computed
    again. Everything else that their rows hang on (seeds, vars, the numbers that stand for names) is their settings, a
    text in the column `_settings`: rows written under others go, all of them. -#}

{#- Pre-hook: the work table `<model>_traced`, the customers to compute again: those touched, and those of the query `also`. -#}
{% macro trace_touched(settings, also=none) %}
    {%- if execute and flags.WHICH in ('build', 'run') and is_incremental() -%}
        {%- if quanyu.scalar('select max(_settings) from ' ~ this) == settings -%}
            {%- set concerned = quanyu.touched_since_last_refresh() ~ (' union ' ~ also if also else '') -%}
        {%- else -%}
            {%- set concerned = 'select customer_key from ' ~ this ~ ' union select customer_key from '
                ~ ref('int_lifecycle__touched_customers') -%}
        {%- endif -%}
        {%- do quanyu.create_work_table(this.identifier ~ '_traced', 'select distinct customer_key from (' ~ concerned ~ ') as c') -%}
    {%- endif -%}
{% endmacro %}


{#- The customers to compute again, for `customer_key in (...)`. -#}
{% macro traced() -%}
    select traced.customer_key from {{ quanyu.work_table(this.identifier ~ '_traced') }} as traced
{%- endmacro %}


{#- Condition on a table that replaces the rows of touched customers: those of the traced ones. -#}
{% macro is_rewritten(settings) -%}
    customer_key in ({{ quanyu.traced() }})
    {%- if quanyu.scalar('select max(_settings) from ' ~ this) == settings %}
    and {{ quanyu.written_since_last_refresh() }}
    {%- endif %}
{%- endmacro %}


{#- Settings as a short text: the contents of relations, {relation: its columns}, and any values. The order of rows says nothing. -#}
{% macro settings_of(relations, values) %}
    {%- if not execute or flags.WHICH not in ('build', 'run') -%}{{ return('') }}{%- endif -%}
    {%- set said = [tojson(values)] -%}
    {%- for relation, columns in relations.items() -%}
        {%- do said.append(quanyu.scalar('select sum(' ~ quanyu.hash63_of(columns) ~ ' % 1000000007) from ' ~ relation)) -%}
    {%- endfor -%}
    {{ return(local_md5(said | join(' '))) }}
{% endmacro %}


{#- Incremental strategy of tables by customer and period: the rows of the traced customers go, and those of periods that
    another as-of date ends otherwise; the model says the last day of the period in `last_on`. -#}
{% macro get_incremental_replace_traced_and_reopened_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set reopened = quanyu.reopened_from() -%}
    delete from {{ arg_dict['target_relation'] }}
    where
        customer_key in ({{ quanyu.traced() }})
        {%- if reopened %}
        or last_on >= date '{{ reopened }}'
        {%- endif %};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{% endmacro %}


{#- Condition on a row's customer and the day on which its period ends: whether such a model computes the row again. -#}
{% macro is_computed(customer_key, ends_on, reopened) -%}
    ({{ customer_key }} in ({{ quanyu.traced() }}){% if reopened %} or {{ ends_on }} >= date '{{ reopened }}'{% endif %})
{%- endmacro %}


{#- First day such that only periods that end on it or later end otherwise than when this model was written; none when all
    end as they did. A period ends with its last day, one that still runs with the as-of date. -#}
{% macro reopened_from() %}
    {%- if not is_incremental() -%}{{ return(none) }}{%- endif -%}
    {%- set own = quanyu.scalar('select cast(max(last_on) as ' ~ dbt.type_string() ~ ') from ' ~ this) -%}
    {%- set now = quanyu.scalar('select cast(max(as_of_date) as ' ~ dbt.type_string() ~ ') from ' ~ ref('as_of')) -%}
    {{ return(none if own == now or not own or not now else [own, now] | min) }}
{% endmacro %}
