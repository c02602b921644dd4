-- Grain: one row per model, brand and stage, over all of history up to the as-of date.
-- Why: how long customers stay, how many go on and after how long, and where a model loses its people.
-- Not here: stays that still run, except in the columns that say so.
with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

published as (
    select distinct model from {{ ref('stage_models') }}
    where is_published
),

ranks as (
    select
        model,
        stage,
        {{ adapter.quote('rank') }} as stage_rank
    from {{ ref('stages') }}
),

stays as (
    select
        spells.model,
        spells.brand_id,
        spells.stage,
        spells.stage_rank,
        spells.valid_to is not null and spells.valid_to <= as_of.as_of_date as has_ended,
        {{ quanyu.days_between('spells.valid_from', 'spells.valid_to') }} as days_stayed,
        {{ quanyu.days_between('spells.valid_from', 'as_of.as_of_date') }} + 1 as days_so_far,
        case
            when spells.next_stage = 'none' then 'lost'
            when next_ranks.stage_rank > spells.stage_rank then 'forward'
            else 'backward'
        end as way_out
    from {{ ref('int_stages__spells') }} as spells
    inner join published on spells.model = published.model
    inner join as_of on spells.valid_from <= as_of.as_of_date
    left join ranks as next_ranks on spells.model = next_ranks.model and spells.next_stage = next_ranks.stage
),

counted as (
    select
        model,
        brand_id,
        stage,
        stage_rank,
        count(*) as entries,
        sum(case when has_ended then 0 else 1 end) as current_customers,
        sum(case when has_ended then 1 else 0 end) as ended_stays,
        sum(case when has_ended and way_out = 'forward' then 1 else 0 end) as forward_exits,
        sum(case when has_ended and way_out = 'backward' then 1 else 0 end) as backward_exits,
        sum(case when has_ended and way_out = 'lost' then 1 else 0 end) as lost_exits,
        median(case when has_ended then days_stayed end) as median_days_in_stage,
        median(case when has_ended and way_out = 'forward' then days_stayed end) as median_days_to_next,
        median(case when has_ended then null else days_so_far end) as median_days_so_far
    from stays
    group by model, brand_id, stage, stage_rank
),

stage_journeys as (
    select
        cast(counted.model as {{ dbt.type_string() }}) as model,
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.stage as {{ dbt.type_string() }}) as stage,
        cast(counted.stage_rank as integer) as stage_rank,
        as_of.as_of_date,
        cast(counted.entries as bigint) as entries,
        cast(counted.current_customers as bigint) as current_customers,
        cast(counted.ended_stays as bigint) as ended_stays,
        cast(counted.forward_exits as bigint) as forward_exits,
        cast(counted.backward_exits as bigint) as backward_exits,
        cast(counted.lost_exits as bigint) as lost_exits,
        cast(counted.forward_exits * 1.0 / nullif(counted.ended_stays, 0) as double) as forward_rate,
        cast(counted.lost_exits * 1.0 / nullif(counted.ended_stays, 0) as double) as lost_rate,
        cast(counted.median_days_in_stage as double) as median_days_in_stage,
        cast(counted.median_days_to_next as double) as median_days_to_next,
        cast(counted.median_days_so_far as double) as median_days_so_far,
        -- The stage from which the model loses most people; of equals the deeper one, which cost more to win.
        counted.lost_exits > 0 and row_number() over (
            partition by counted.model, counted.brand_id order by counted.lost_exits desc, counted.stage_rank desc
        ) = 1 as is_leak_point
    from counted
    cross join as_of
)

select * from stage_journeys
order by model, brand_id, stage
