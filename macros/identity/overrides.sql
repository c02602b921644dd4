{#- The seed identity_overrides with its identifiers normalised, one row per action and pair. What it says of somebody
    who has been erased counts no more: the link would bring back the key that erasure has taken out. -#}
{% macro normalised_overrides() -%}
    select
        action,
        left_type,
        left_key,
        right_type,
        right_key,
        min(reason) as reason
    from (
        select
            lower(trim(overrides.action)) as action,
            overrides.reason,
            {%- for side in ['left', 'right'] %}
            {{ side }}_types.identifier_type as {{ side }}_type,
            {{ quanyu.hash63_of([
                side ~ '_types.identifier_type',
                quanyu.normalise_identifier(side ~ '_types.normaliser', quanyu.clean_text('overrides.' ~ side ~ '_value')),
            ]) }} as {{ side }}_key{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ ref('identity_overrides') }} as overrides
        {%- for side in ['left', 'right'] %}
        inner join {{ ref('identifier_types') }} as {{ side }}_types
            on lower(trim(overrides.{{ side }}_type)) = {{ side }}_types.identifier_type
        {%- endfor %}
    ) as normalised
    where
        left_key <> right_key
        {%- for side in ['left', 'right'] %}
        and {{ quanyu.suppressed_key(side ~ '_key') }} not in (
            select suppressed_key from {{ ref('suppressed_identifiers') }} where is_forever
        )
        {%- endfor %}
    group by action, left_type, left_key, right_type, right_key
{%- endmacro %}


{#- A decision comes after every batch: no landing says when it was taken. -#}
{% macro decided_order() %}{{ return(900000000000000000) }}{% endmacro %}
