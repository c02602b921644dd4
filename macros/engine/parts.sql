{#- A model whose windows look at all days of a customer holds all customers in memory when it is built for the first time. It
    says where it chooses its customers (`in_part`), and the incremental materialization then builds it from a few hundred
    thousand of them at a time. A refresh, and an engine without this materialization, takes them together. -#}

{#- Condition on a customer_key: those of the part that is being built. -#}
{% macro in_part(customer_key) -%}
    {{ customer_key }} % {{ quanyu.part_of_all() }}
{%- endmacro %}

{#- One part, which is everybody; what the numbers of other parts take the place of. -#}
{% macro part_of_all() %}{{ return('1 = 0 /* all customers */') }}{% endmacro %}


{#- The text of a model for each of its parts; none when one is enough. -#}
{% macro parts_of(code) %}
    {%- set texts = [] -%}
    {%- if quanyu.part_of_all() in code -%}
        {%- set customers = quanyu.scalar('select count(*) from ' ~ ref('int_lifecycle__touched_customers')) -%}
        {%- set parts = (customers / var('customers_per_part')) | round(0, 'ceil') | int -%}
        {%- for part in range(parts) if parts > 1 -%}
            {%- do texts.append(code | replace(quanyu.part_of_all(), parts ~ ' = ' ~ part)) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(texts) }}
{% endmacro %}
