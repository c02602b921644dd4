-- Fails with: a cell of the flows that end on the as-of date which differs from comparing the two days customer by
--             customer, or is there on one side only.
-- Why: stage_flows is made of changes, and lost and new of what is left over; this counts each customer on both days.
-- Not claimed: flows that end on other days.
{{ config(meta={'dagster': {'ref': {'name': 'stage_flows'}}}) }}

with horizons as (
    select
        models.model,
        as_of.as_of_date as to_date,
        {{ quanyu.add_days('as_of.as_of_date', '-lags.lag_days') }} as from_date
    from {{ ref('as_of') }} as as_of
    cross join (
        select distinct model from {{ ref('stage_models') }}
        where is_published
    ) as models
    cross join (
        {%- for lag_days in quanyu.flow_horizons() %}
        select {{ lag_days }} as lag_days
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as lags
),

looked_at as (
    select
        horizons.model,
        horizons.from_date,
        horizons.to_date,
        spells.brand_id,
        spells.customer_key,
        max(case
            when
                spells.valid_from <= horizons.from_date
                and (spells.valid_to is null or spells.valid_to > horizons.from_date)
                then spells.stage
        end) as from_stage,
        max(case
            when
                spells.valid_from <= horizons.to_date
                and (spells.valid_to is null or spells.valid_to > horizons.to_date)
                then spells.stage
        end) as to_stage
    from {{ ref('int_stages__spells') }} as spells
    inner join horizons
        on
            spells.model = horizons.model
            and spells.valid_from <= horizons.to_date
            and (spells.valid_to is null or spells.valid_to > horizons.from_date)
    group by horizons.model, horizons.from_date, horizons.to_date, spells.brand_id, spells.customer_key
),

recounted as (
    select
        looked_at.model,
        looked_at.brand_id,
        looked_at.from_date,
        looked_at.to_date,
        coalesce(looked_at.from_stage, 'none') as from_stage,
        coalesce(looked_at.to_stage, 'none') as to_stage,
        count(*) as customers
    from looked_at
    inner join {{ ref('int_stages__calendar') }} as calendar
        on looked_at.brand_id = calendar.brand_id and looked_at.from_date = calendar.as_of_date
    where looked_at.from_stage is not null or looked_at.to_stage is not null
    group by 1, 2, 3, 4, 5, 6
),

published as (
    select stage_flows.*
    from {{ ref('stage_flows') }} as stage_flows
    inner join {{ ref('as_of') }} as as_of on stage_flows.to_date = as_of.as_of_date
)

select
    coalesce(recounted.model, published.model) as model,
    coalesce(recounted.brand_id, published.brand_id) as brand_id,
    coalesce(recounted.from_date, published.from_date) as from_date,
    coalesce(recounted.from_stage, published.from_stage) as from_stage,
    coalesce(recounted.to_stage, published.to_stage) as to_stage,
    published.customers,
    recounted.customers as recounted_customers
from recounted
full join published
    on
        recounted.model = published.model
        and recounted.brand_id = published.brand_id
        and recounted.from_date = published.from_date
        and recounted.to_date = published.to_date
        and recounted.from_stage = published.from_stage
        and recounted.to_stage = published.to_stage
where coalesce(recounted.customers, 0) <> coalesce(published.customers, 0)
