-- Grain: one row per model, brand, customer and day on which the stage changed (model, brand_id, customer_id,
--        changed_on), up to the as-of date.
-- Why: entries, exits and moves between stages, `none` included, with how long the stage left behind had lasted.
-- Not here: changes that the running windows will bring after the as-of date (fct_stage_spells has them).
{{ config(materialized='view') }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

spells as (
    select * from {{ ref('fct_stage_spells') }}
),

turns as (
    select
        spells.model,
        spells.brand_id,
        spells.customer_id,
        spells.customer_key,
        spells.valid_from as changed_on,
        spells.previous_stage as from_stage,
        spells.stage as to_stage
    from spells
    inner join as_of on spells.valid_from <= as_of.as_of_date
    union all
    select
        spells.model,
        spells.brand_id,
        spells.customer_id,
        spells.customer_key,
        spells.valid_to as changed_on,
        spells.stage as from_stage,
        'none' as to_stage
    from spells
    inner join as_of on spells.valid_to <= as_of.as_of_date
    where spells.next_stage = 'none'
),

fct_stage_transitions as (
    select
        turns.*,
        case
            when turns.from_stage = 'none' then 'new'
            when turns.to_stage = 'none' then 'lost'
            when to_stages.{{ adapter.quote('rank') }} > from_stages.{{ adapter.quote('rank') }} then 'forward'
            else 'backward'
        end as direction
    from turns
    left join {{ ref('stages') }} as from_stages
        on turns.model = from_stages.model and turns.from_stage = from_stages.stage
    left join {{ ref('stages') }} as to_stages
        on turns.model = to_stages.model and turns.to_stage = to_stages.stage
)

select * from fct_stage_transitions
