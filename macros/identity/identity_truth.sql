{#- (person_id, identifier_type, identifier_value): who is who in a made-up world, from the folder in the var
    identity_truth: what its landed records can tie together, traps left out. Hashes are identifiers of their own. -#}
{% macro identity_truth(folder) -%}
    select distinct
        person_id,
        identifier_type,
        case when surface in ('md5', 'sha256') then identifier_value else normalised_value end as identifier_value
    from {{ quanyu.parquet_rows(folder ~ '/identifiers.parquet') }}
    where is_linkable and person_id is not null
{%- endmacro %}
