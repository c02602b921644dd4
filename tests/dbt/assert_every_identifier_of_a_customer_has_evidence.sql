-- Fails when an identifier shares its customer with others and no landed record, hash match or decision ties it to
-- them: then something other than evidence has joined people.
-- Does not cover devices and cookies, which join nobody (int_identity__resolution has their links' times).
{{ config(meta={'dagster': {'ref': {'name': 'int_identity__resolution'}}}) }}

with people as (
    select
        resolution.identifier_key,
        resolution.customer_key,
        count(*) over (partition by resolution.customer_key) as together
    from {{ ref('int_identity__resolution') }} as resolution
    inner join {{ ref('identifier_types') }} as types
        on resolution.identifier_type = types.identifier_type and types.joins_people
    where resolution.is_current
)

select
    people.identifier_key,
    people.customer_key
from people
left join {{ ref('identity_evidence') }} as evidence
    on people.identifier_key = evidence.identifier_key and people.customer_key = evidence.customer_key
where
    people.together > 1
    and (evidence.identifier_key is null or evidence.depth > 0 and evidence.link_key is null)
