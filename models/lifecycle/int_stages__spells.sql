-- Grain: one row per model, brand, customer and unbroken stay in a stage (model, brand_id, customer_key, valid_from).
-- Why: the stays of the stage engine with the names of their stages.
-- Not here: anonymous visitors (var count_anonymous_visitors); public ids (fct_stage_spells).
-- depends_on: {{ ref('stages') }} {{ ref('stage_rules') }} {{ ref('stage_models') }}
{{ config(materialized='view') }}

with stays as (
    select * from {{ ref('int_stages__stays') }}
),

int_stages__spells as (
    select
        model,
        brand_id,
        customer_key,
        {{ quanyu.stage_name('stage_rank') | indent(8) }} as stage,
        stage_rank,
        valid_from,
        valid_to,
        {{ quanyu.stage_name('previous_rank') | indent(8) }} as previous_stage,
        previous_rank,
        {{ quanyu.stage_name('next_rank') | indent(8) }} as next_stage,
        next_rank,
        rules_version,
        _rules,
        _refresh
    from stays
)

select * from int_stages__spells
