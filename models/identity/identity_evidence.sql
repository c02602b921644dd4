-- Grain: one row per identifier that joins people and shares its customer with another one.
-- Why: answers "why are these one person": `link_*` is the landed record that ties the identifier to
--      `parent_identifier_key`, one step nearer to the customer's first identifier (depth 0). The records on the ways of
--      two identifiers up to the first common one are the path between them.
-- Not here: records that say the same again (int_identity__links), devices (bridge_customer_identifiers).
{{ config(
    materialized='incremental', incremental_strategy='replace_traced', pre_hook='{{ quanyu.trace_evidence() }}',
) }}
-- depends_on: {{ ref('as_of') }}, {{ ref('identifier_types') }}
with tree as (
    select * from {{ quanyu.work_table('evidence_tree') }}
),

owners as (
    select * from {{ ref('int_identity__resolution') }}
    where is_current
),

links as (
    select * from {{ ref('int_identity__links') }}
),

identity_evidence as (
    select
        owners.customer_key,
        owners.customer_id,
        tree.identifier_key,
        owners.identifier_type,
        tree.parent_key as parent_identifier_key,
        parents.identifier_type as parent_identifier_type,
        cast(tree.depth as integer) as depth,
        tree.link_key,
        links.link_kind,
        links.entity as link_entity,
        links.source_system as link_source_system,
        links.batch as link_batch,
        links.file as link_file,
        links.row_number as link_row,
        links.linked_at,
        links.reason as link_reason,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from tree
    inner join owners on tree.identifier_key = owners.identifier_key
    left join owners as parents on tree.parent_key = parents.identifier_key
    left join links on tree.link_key = links.link_key
)

select * from identity_evidence
