-- Grain: one row per identifier (identifier_key).
-- Why: the one place that says which customer an identifier belongs to; every fact joins it.
-- Not here: links between identifiers. A customer is one normalised identifier.
{% set identifiers = [
    ('touchpoints', 'identifier'), ('orders', 'identifier'), ('refunds', 'identifier'),
    ('identity_links', 'left'), ('identity_links', 'right'), ('profiles', 'identifier'),
    ('memberships', 'identifier'), ('messages', 'identifier'),
    ('referrals', 'inviter'), ('referrals', 'invitee'),
] %}
-- Rows no longer in force name identifiers too: whoever they concerned must still be found.
with identifiers as (
    {% for entity, prefix in identifiers %}
    select
        {{ prefix }}_key as identifier_key,
        {{ prefix }}_type as identifier_type,
        {{ prefix }}_value as identifier_value
    from {{ ref('base_landing__' ~ entity) }}
    where _reasons is null and {{ prefix }}_key is not null
    union
    {% endfor %}
    select
        {{ quanyu.member_key() }} as identifier_key,
        'member_id' as identifier_type,
        member_id as identifier_value
    from {{ ref('base_landing__memberships') }}
    where _reasons is null
),

identifier_types as (
    select
        identifier_type,
        joins_people
    from {{ ref('identifier_types') }}
),

int_identity__customer_map as (
    select
        identifiers.identifier_key,
        identifiers.identifier_key as customer_key,
        {{ quanyu.public_customer_id('identifiers.identifier_type', 'identifiers.identifier_value') }}
            as customer_id,
        identifiers.identifier_type,
        identifiers.identifier_value,
        not identifier_types.joins_people as is_anonymous_visitor
    from identifiers
    inner join identifier_types on identifiers.identifier_type = identifier_types.identifier_type
)

select * from int_identity__customer_map
