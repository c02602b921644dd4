{#- The landing contract as the macros see it: models/staging/landing/_landing__sources.yml through dbt's graph. -#}

{#- {name, key, columns: [{name, kind, required, vocabulary, values, type_column, not_after_batch}]} of an entity.
    Empty while dbt parses, when there is no graph yet. -#}
{% macro landing_entity(entity) %}
    {%- if not execute -%}{{ return({'name': entity, 'key': [], 'columns': []}) }}{%- endif -%}
    {%- set node = graph.sources.values()
        | selectattr('source_name', 'equalto', 'landing')
        | selectattr('name', 'equalto', entity) | first -%}
    {%- if not node -%}
        {{ exceptions.raise_compiler_error("landing has no entity `" ~ entity ~ "`: see _landing__sources.yml") }}
    {%- endif -%}
    {%- set columns = [] -%}
    {%- for column in node.columns.values() -%}
        {%- set column = dict({'name': column.name}, **column.config.meta) -%}
        {%- do columns.append(column) -%}
    {%- endfor -%}
    {{ return({'name': entity, 'key': node.config.meta.key, 'columns': columns}) }}
{% endmacro %}


{#- Kinds whose value is a text. -#}
{% macro text_kinds() %}
    {{ return(['id', 'text', 'code', 'identifier_type', 'identifier_value', 'phone', 'email']) }}
{% endmacro %}


{#- The entities that have a base model, known while dbt parses too (their refs make the graph). -#}
{% macro base_entities() %}
    {{ return([
        'touchpoints', 'orders', 'refunds', 'order_lines', 'products', 'identity_links', 'profiles',
        'memberships', 'campaigns', 'campaign_costs', 'messages', 'referrals', 'erasure_requests',
    ]) }}
{% endmacro %}
