-- Fails with: a model, brand, stage and pair of days for which stock(from) <> stayed + moved on + lost, or
--             stock(to) <> stayed + moved in + new.
-- Why: the identity of every flow matrix (METRICS 3.5); a report that shows both must never contradict itself.
-- Not claimed: that the cells are right one by one (assert_flows_recount, tests/oracle).
{{ config(meta={'dagster': {'ref': {'name': 'stage_flows'}}}) }}

with outgoing as (
    select
        model,
        brand_id,
        from_date as as_of_date,
        horizon_days,
        from_stage as stage,
        sum(customers) as customers
    from {{ ref('stage_flows') }}
    where from_stage <> 'none'
    group by model, brand_id, from_date, horizon_days, from_stage
),

incoming as (
    select
        model,
        brand_id,
        to_date as as_of_date,
        horizon_days,
        to_stage as stage,
        sum(customers) as customers
    from {{ ref('stage_flows') }}
    where to_stage <> 'none'
    group by model, brand_id, to_date, horizon_days, to_stage
),

sides as (
    select
        'from' as side,
        *
    from outgoing
    union all
    select
        'to' as side,
        *
    from incoming
)

select
    sides.*,
    stage_daily.customers as stock
from sides
left join {{ ref('stage_daily') }} as stage_daily
    on
        sides.model = stage_daily.model
        and sides.brand_id = stage_daily.brand_id
        and sides.as_of_date = stage_daily.as_of_date
        and sides.stage = stage_daily.stage
where sides.customers <> coalesce(stage_daily.customers, 0)
