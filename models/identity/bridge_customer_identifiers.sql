-- Grain: one row per customer, identifier and spell.
-- Why: every identifier that a customer is known by, and when: valid_from <= moment < valid_to, NULL open.
-- Not here: the identifier itself in marts; this table is personal data and stays in the identity layer.
{{ config(materialized='view') }}

with resolution as (
    select * from {{ ref('int_identity__resolution') }}
),

identifiers as (
    select
        identifier_key,
        cast(floor(first_seen_order / 10000000) as bigint) as first_load_number
    from {{ ref('int_identity__identifiers') }}
),

bridge_customer_identifiers as (
    select
        resolution.customer_id,
        resolution.customer_key,
        resolution.identifier_key,
        resolution.identifier_type,
        resolution.identifier_value,
        resolution.is_anonymous_visitor,
        resolution.guard,
        resolution.valid_from,
        resolution.valid_to,
        resolution.is_current,
        identifiers.first_load_number
    from resolution
    inner join identifiers on resolution.identifier_key = identifiers.identifier_key
)

select * from bridge_customer_identifiers
