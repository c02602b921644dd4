-- Fails when a customer has two values of a kind of which a person has one (seed identifier_types), unless somebody
-- has linked identifiers of that customer by decision (seed identity_overrides).
{{ config(meta={'dagster': {'ref': {'name': 'int_identity__resolution'}}}) }}

select
    resolution.customer_key,
    resolution.identifier_type,
    count(*) as identifier_count
from {{ ref('int_identity__resolution') }} as resolution
inner join {{ ref('identifier_types') }} as types
    on resolution.identifier_type = types.identifier_type and types.values_per_person = 'one'
where
    resolution.is_current
    and resolution.customer_key not in (
        select evidence.customer_key
        from {{ ref('identity_evidence') }} as evidence
        inner join {{ ref('int_identity__links') }} as links
            on
                links.link_kind = 'override' and links.is_in_force
                and evidence.identifier_key = links.left_key
    )
group by resolution.customer_key, resolution.identifier_type
having count(*) > 1
