-- Grain: one row per model, brand, from_date, to_date, from_stage and to_stage with at least one customer; to_date is
--        1, 7 or 30 days after from_date.
-- Why: who went where between two days: stayed, forward, backward, lost (to `none`) and new (from `none`).
-- Not here: none to none; paths between the two days (A, I, A is stayed). Other pairs of days: quanyu.stage_flow().
with published as (
    select distinct model from {{ ref('stage_models') }}
    where is_published
),

as_of as (
    select {{ quanyu.day_number('as_of_date') }} as last_day
    from {{ ref('as_of') }}
),

spells as (
    select
        spells.model,
        spells.brand_id,
        spells.customer_key,
        spells.stage_rank,
        {{ quanyu.day_number('spells.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('spells.valid_to') }}, {{ quanyu.far_day() }}) as to_day
    from {{ ref('int_stages__spells') }} as spells
    inner join published on spells.model = published.model
    inner join as_of on {{ quanyu.day_number('spells.valid_from') }} <= as_of.last_day
),

pairs as (
    {{ quanyu.stay_pairs('spells', 'spells', quanyu.flow_horizons()) | indent(4) }}
),

changes as (
    select
        model,
        brand_id,
        lag_days,
        from_rank,
        to_rank,
        from_day as day,
        count(*) as change
    from pairs
    group by model, brand_id, lag_days, from_rank, to_rank, from_day
    union all
    select
        model,
        brand_id,
        lag_days,
        from_rank,
        to_rank,
        to_day as day,
        -count(*) as change
    from pairs
    group by model, brand_id, lag_days, from_rank, to_rank, to_day
),

changes_by_day as (
    select
        model,
        brand_id,
        lag_days,
        from_rank,
        to_rank,
        day,
        sum(change) as change
    from changes
    group by model, brand_id, lag_days, from_rank, to_rank, day
),

cell_days as (
    select
        cells.*,
        calendar.day
    from (
        select distinct
            model,
            brand_id,
            lag_days,
            from_rank,
            to_rank
        from changes
    ) as cells
    inner join {{ ref('int_stages__calendar') }} as calendar
        on cells.brand_id = calendar.brand_id and calendar.day - cells.lag_days >= calendar.first_day
),

-- A flow begins `lag_days` after the first day at the earliest, so that no change comes before the first row.
cells as (
    select
        cell_days.model,
        cell_days.brand_id,
        cell_days.lag_days,
        cell_days.from_rank,
        cell_days.to_rank,
        cell_days.day,
        sum(coalesce(changes_by_day.change, 0)) over (
            partition by
                cell_days.model, cell_days.brand_id, cell_days.lag_days, cell_days.from_rank, cell_days.to_rank
            order by cell_days.day
            rows between unbounded preceding and current row
        ) as customers
    from cell_days
    left join changes_by_day
        on
            cell_days.model = changes_by_day.model
            and cell_days.brand_id = changes_by_day.brand_id
            and cell_days.lag_days = changes_by_day.lag_days
            and cell_days.from_rank = changes_by_day.from_rank
            and cell_days.to_rank = changes_by_day.to_rank
            and cell_days.day = changes_by_day.day
),

daily as (
    select * from {{ ref('int_stages__daily') }}
),

stocks as (
    select
        daily.model,
        daily.brand_id,
        daily.day,
        daily.stage_rank,
        daily.customers,
        lags.lag_days,
        calendar.first_day
    from daily
    inner join published on daily.model = published.model
    inner join {{ ref('int_stages__calendar') }} as calendar
        on daily.brand_id = calendar.brand_id and daily.day = calendar.day
    cross join (
        {%- for lag_days in quanyu.flow_horizons() %}
        select {{ lag_days }} as lag_days
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as lags
),

-- What no other stage accounts for went to none, or came from it.
lost as (
    select
        stocks.model,
        stocks.brand_id,
        stocks.lag_days,
        stocks.stage_rank as from_rank,
        0 as to_rank,
        stocks.day + stocks.lag_days as day,
        stocks.customers - coalesce(kept.customers, 0) as customers
    from stocks
    inner join as_of on stocks.day + stocks.lag_days <= as_of.last_day
    left join (
        select
            model,
            brand_id,
            lag_days,
            from_rank,
            day,
            sum(customers) as customers
        from cells
        group by model, brand_id, lag_days, from_rank, day
    ) as kept
        on
            stocks.model = kept.model and stocks.brand_id = kept.brand_id and stocks.lag_days = kept.lag_days
            and stocks.stage_rank = kept.from_rank and stocks.day + stocks.lag_days = kept.day
),

new as (
    select
        stocks.model,
        stocks.brand_id,
        stocks.lag_days,
        0 as from_rank,
        stocks.stage_rank as to_rank,
        stocks.day,
        stocks.customers - coalesce(kept.customers, 0) as customers
    from stocks
    left join (
        select
            model,
            brand_id,
            lag_days,
            to_rank,
            day,
            sum(customers) as customers
        from cells
        group by model, brand_id, lag_days, to_rank, day
    ) as kept
        on
            stocks.model = kept.model and stocks.brand_id = kept.brand_id and stocks.lag_days = kept.lag_days
            and stocks.stage_rank = kept.to_rank and stocks.day = kept.day
    where stocks.day - stocks.lag_days >= stocks.first_day
),

all_cells as (
    select * from cells
    union all
    select
        model,
        brand_id,
        lag_days,
        from_rank,
        to_rank,
        day,
        customers
    from lost
    union all
    select
        model,
        brand_id,
        lag_days,
        from_rank,
        to_rank,
        day,
        customers
    from new
),

stage_flows as (
    select
        cast(all_cells.model as {{ dbt.type_string() }}) as model,
        cast(all_cells.brand_id as {{ dbt.type_string() }}) as brand_id,
        {{ quanyu.day_date('all_cells.day - all_cells.lag_days') }} as from_date,
        {{ quanyu.day_date('all_cells.day') }} as to_date,
        cast(coalesce(from_stages.stage, 'none') as {{ dbt.type_string() }}) as from_stage,
        cast(coalesce(to_stages.stage, 'none') as {{ dbt.type_string() }}) as to_stage,
        cast(all_cells.lag_days as integer) as horizon_days,
        cast(
            case
                when all_cells.from_rank = 0 then 'new'
                when all_cells.to_rank = 0 then 'lost'
                when all_cells.to_rank = all_cells.from_rank then 'stayed'
                when all_cells.to_rank > all_cells.from_rank then 'forward'
                else 'backward'
            end as {{ dbt.type_string() }}
        ) as direction,
        cast(all_cells.customers as bigint) as customers,
        cast(from_stock.customers as bigint) as from_customers,
        cast(all_cells.customers * 1.0 / nullif(from_stock.customers, 0) as double) as flow_rate
    from all_cells
    left join {{ ref('stages') }} as from_stages
        on
            all_cells.model = from_stages.model
            and all_cells.from_rank = from_stages.{{ adapter.quote('rank') }}
    left join {{ ref('stages') }} as to_stages
        on
            all_cells.model = to_stages.model
            and all_cells.to_rank = to_stages.{{ adapter.quote('rank') }}
    left join daily as from_stock
        on
            all_cells.model = from_stock.model
            and all_cells.brand_id = from_stock.brand_id
            and all_cells.from_rank = from_stock.stage_rank
            and all_cells.day - all_cells.lag_days = from_stock.day
    where all_cells.customers <> 0
)

select * from stage_flows
order by model, brand_id, from_date, to_date, from_stage, to_stage
