{#- Where landed rows name identifiers: {entity, key, type, value}, SQL expressions on the base model. -#}
{% macro identifier_sources() %}
    {%- set sources = [] -%}
    {%- for entity, prefix in [
        ('touchpoints', 'identifier'), ('orders', 'identifier'), ('refunds', 'identifier'),
        ('messages', 'identifier'), ('referrals', 'inviter'), ('referrals', 'invitee'),
        ('identity_links', 'left'), ('identity_links', 'right'),
        ('profiles', 'identifier'), ('memberships', 'identifier'),
    ] -%}
        {%- do sources.append({'entity': entity, 'key': prefix ~ '_key', 'type': prefix ~ '_type',
                               'value': prefix ~ '_value'}) -%}
    {%- endfor -%}
    {%- for column in ['phone', 'email'] -%}
        {%- do sources.append({'entity': 'profiles', 'key': quanyu.contact_key(column), 'type': "'" ~ column ~ "'",
                               'value': column}) -%}
    {%- endfor -%}
    {%- do sources.append({'entity': 'memberships', 'key': quanyu.member_key(), 'type': "'member_id'",
                           'value': 'member_id'}) -%}
    {{ return(sources) }}
{% endmacro %}


{#- Key of the identifier in a profile's column `phone` or `email`; NULL without one. -#}
{% macro contact_key(column, row='') -%}
    case
        when {{ row }}{{ column }} is not null then {{ quanyu.hash63_of(["'" ~ column ~ "'", row ~ column]) }}
    end
{%- endmacro %}


{#- Order of batches as a number: by the load in which a batch was first admitted, then by its date (none first).
    Neither ever changes, so what came first stays first, also when an old day is delivered late or again. -#}
{% macro seen_order(first_load_number='first_load_number', batch_date='batch_date') -%}
    {{ first_load_number }} * 10000000 + coalesce(
        {{ quanyu.days_between("date '0001-01-01'", batch_date) }} + 1, 0
    )
{%- endmacro %}


{#- Fates of rows that still say that an identifier exists: a superseded row named it too. -#}
{% macro naming_fates() -%}
    ('accepted', 'duplicate', 'superseded')
{%- endmacro %}


{#- An MD5 or SHA-256 in hex, as a normalised value. -#}
{% macro digest_pattern() -%}
    '^([0-9a-f]{32}|[0-9a-f]{64})$'
{%- endmacro %}
