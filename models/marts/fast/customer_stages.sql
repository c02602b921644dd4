-- Grain: one row per model, brand and customer who is in a stage on the as-of date.
-- Why: where every customer stands, since when, and what becomes of him if he does nothing.
-- Not here: customers in no stage; other days (fct_stage_spells).
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

published as (
    select distinct model from {{ ref('stage_models') }}
    where is_published
),

spells as (
    select * from {{ ref('fct_stage_spells') }}
),

customer_stages as (
    select
        cast(spells.model as {{ dbt.type_string() }}) as model,
        cast(spells.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(spells.customer_id as {{ dbt.type_string() }}) as customer_id,
        as_of.as_of_date,
        cast(spells.stage as {{ dbt.type_string() }}) as stage,
        cast(spells.stage_rank as integer) as stage_rank,
        spells.valid_from as in_stage_since,
        cast({{ quanyu.days_between('spells.valid_from', 'as_of.as_of_date') }} + 1 as integer) as days_in_stage,
        cast(spells.previous_stage as {{ dbt.type_string() }}) as previous_stage,
        spells.valid_to as leaves_on,
        cast(case when spells.valid_to is not null then spells.next_stage end as {{ dbt.type_string() }})
            as falls_to_stage,
        cast(spells.rules_version as integer) as rules_version
    from spells
    inner join published on spells.model = published.model
    inner join as_of
        on
            spells.valid_from <= as_of.as_of_date
            and (spells.valid_to is null or spells.valid_to > as_of.as_of_date)
)

select * from customer_stages
order by model, brand_id, customer_id
