-- Grain: one row per model, brand, customer and unbroken stay in a stage (model, brand_id, customer_id, valid_from).
-- Why: who is in which stage of which model on any day: valid_from <= d and (valid_to is null or d < valid_to).
-- Not here: days in no stage. Rows that begin after the as-of date are stays which will begin if nothing happens.
{{ config(materialized='view') }}

with customers as (
    select distinct
        customer_key,
        customer_id
    from {{ ref('int_identity__customer_map') }}
),

spells as (
    select * from {{ ref('int_stages__spells') }}
),

fct_stage_spells as (
    select
        spells.model,
        spells.brand_id,
        customers.customer_id,
        spells.customer_key,
        spells.stage,
        spells.stage_rank,
        spells.valid_from,
        spells.valid_to,
        spells.previous_stage,
        spells.next_stage,
        spells.rules_version
    from spells
    inner join customers on spells.customer_key = customers.customer_key
)

select * from fct_stage_spells
