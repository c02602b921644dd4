-- Fails when two linked identifiers are two customers and identity_refusals does not say why.
-- Why: a guard that keeps people apart silently cannot be told from a fault.
{{ config(meta={'dagster': {'ref': {'name': 'identity_refusals'}}}) }}

select links.link_key
from {{ ref('int_identity__links') }} as links
inner join {{ ref('int_identity__resolution') }} as left_rows
    on links.left_key = left_rows.identifier_key and left_rows.is_current
inner join {{ ref('int_identity__resolution') }} as right_rows
    on links.right_key = right_rows.identifier_key and right_rows.is_current
inner join {{ ref('identifier_types') }} as left_types
    on links.left_type = left_types.identifier_type and left_types.joins_people
inner join {{ ref('identifier_types') }} as right_types
    on links.right_type = right_types.identifier_type and right_types.joins_people
left join {{ ref('identity_refusals') }} as refusals on links.link_key = refusals.link_key
where
    links.is_in_force
    and links.link_kind <> 'split'
    and (
        links.linked_at is null
        or cast(links.linked_at as date) <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
    )
    and left_rows.customer_key <> right_rows.customer_key
    and refusals.link_key is null
