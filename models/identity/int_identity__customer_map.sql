-- Grain: one row per identifier (identifier_key).
-- Why: the one place that says which customer an identifier belongs to; every fact joins it.
-- Not here: the times of a device that several people share; int_identity__resolution has them, here the person
--           linked last counts.
{{ config(materialized='view') }}

with int_identity__customer_map as (
    select
        identifier_key,
        customer_key,
        customer_id,
        identifier_type,
        identifier_value,
        is_anonymous_visitor
    from {{ ref('int_identity__resolution') }}
    where is_current
)

select * from int_identity__customer_map
