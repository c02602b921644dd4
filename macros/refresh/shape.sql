{#- A refresh adds rows to incremental tables that an earlier Quanyu may have built with other columns. Said before
    anything is built, with what to do: else the first model that reads a missing column fails with a riddle. A full
    refresh builds them anew; a table that one spares (full_refresh: false) takes new columns up by itself. Landed
    columns are described with the contract, not with these tables: there dbt compares (on_schema_change: fail). -#}
{% macro refuse_other_shape() %}
    {%- if execute and flags.WHICH in ('build', 'run') and not flags.FULL_REFRESH -%}
        {%- set odd = [] -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.config.materialized == 'incremental'
            and node.config.full_refresh is not false -%}
            {%- set built = adapter.get_relation(node.database, node.schema, node.alias) -%}
            {%- if built and node.columns -%}
                {%- set found = adapter.get_columns_in_relation(built) | map(attribute='name') | map('lower') | list -%}
                {%- set described = node.columns.keys() | map('lower') | list -%}
                {%- for column in described if column not in found -%}
                    {%- do odd.append(node.schema ~ '.' ~ node.alias ~ ' lacks ' ~ column) -%}
                {%- endfor -%}
                {%- for column in found
                    if column not in described and node.config.on_schema_change != 'fail' -%}
                    {%- do odd.append(node.schema ~ '.' ~ node.alias ~ ' has ' ~ column ~ ', which is no longer known') -%}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if odd -%}
            {%- do exceptions.raise_compiler_error(
                'the warehouse was built by another version of Quanyu: ' ~ odd[:5] | join(', ')
                ~ (' and ' ~ (odd | length - 5) ~ ' more' if odd | length > 5 else '')
                ~ '. Run once with FULL_REFRESH=1 (dbt: --full-refresh).'
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
