-- Grain: one row per brand, period kind, period, from_layer and to_layer with at least one customer.
-- Why: who moved where between the day before the period and its last day (A of STAR), forward and backward.
-- Not here: none to none; paths inside the period (R1, R2, R1 is stayed).
with periods as (
    select * from {{ ref('int_star__periods') }}
),

period_days as (
    select
        periods.period_key,
        periods.brand_id,
        periods.starts_on,
        periods.last_on,
        periods.day_before,
        calendar.as_of_date
    from periods
    inner join {{ ref('int_stages__calendar') }} as calendar
        on
            periods.brand_id = calendar.brand_id
            and calendar.as_of_date between periods.starts_on and periods.last_on
),

spells as (
    select
        brand_id,
        customer_key,
        stage_rank,
        valid_from,
        coalesce(valid_to, {{ quanyu.far_date() }}) as valid_to
    from {{ ref('int_stages__spells') }}
    where model = '{{ var("star_stage_model") }}'
),

-- Whoever is not in the spell of the day before at the end left it on a day of the period.
left_spell as (
    select
        period_days.period_key,
        before.stage_rank as from_rank,
        coalesce(at_end.stage_rank, 0) as to_rank,
        count(*) as customers
    from spells as before
    inner join period_days
        on before.brand_id = period_days.brand_id and before.valid_to = period_days.as_of_date
    left join spells as at_end
        on
            before.brand_id = at_end.brand_id
            and before.customer_key = at_end.customer_key
            and period_days.last_on >= at_end.valid_from
            and period_days.last_on < at_end.valid_to
    where before.valid_from <= period_days.day_before
    group by period_days.period_key, before.stage_rank, coalesce(at_end.stage_rank, 0)
),

arrived as (
    select
        period_days.period_key,
        at_end.stage_rank as to_rank,
        count(*) as customers
    from spells as at_end
    inner join period_days
        on at_end.brand_id = period_days.brand_id and at_end.valid_from = period_days.as_of_date
    left join spells as before
        on
            at_end.brand_id = before.brand_id
            and at_end.customer_key = before.customer_key
            and period_days.day_before >= before.valid_from
            and period_days.day_before < before.valid_to
    where at_end.valid_to > period_days.last_on and before.customer_key is null
    group by period_days.period_key, at_end.stage_rank
),

stocks as (
    select
        periods.period_key,
        daily.stage_rank,
        daily.customers
    from periods
    inner join {{ ref('int_stages__daily') }} as daily
        on periods.brand_id = daily.brand_id and periods.day_before = daily.as_of_date
    where daily.model = '{{ var("star_stage_model") }}' and daily.customers > 0
),

gone as (
    select
        period_key,
        from_rank,
        sum(customers) as customers
    from left_spell
    where from_rank <> to_rank
    group by period_key, from_rank
),

cells as (
    select
        stocks.period_key,
        stocks.stage_rank as from_rank,
        stocks.stage_rank as to_rank,
        stocks.customers - coalesce(gone.customers, 0) as customers
    from stocks
    left join gone on stocks.period_key = gone.period_key and stocks.stage_rank = gone.from_rank
    union all
    select
        period_key,
        from_rank,
        to_rank,
        customers
    from left_spell
    where from_rank <> to_rank
    union all
    select
        period_key,
        0 as from_rank,
        to_rank,
        customers
    from arrived
),

star_flows as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(coalesce(from_stages.stage, 'none') as {{ dbt.type_string() }}) as from_layer,
        cast(coalesce(to_stages.stage, 'none') as {{ dbt.type_string() }}) as to_layer,
        periods.day_before as from_date,
        periods.last_on as to_date,
        periods.is_complete,
        cast(
            case
                when cells.from_rank = 0 then 'new'
                when cells.to_rank = 0 then 'lost'
                when cells.to_rank = cells.from_rank then 'stayed'
                when cells.to_rank > cells.from_rank then 'forward'
                else 'backward'
            end as {{ dbt.type_string() }}
        ) as direction,
        cast(cells.customers as bigint) as customers,
        cast(stocks.customers as bigint) as from_customers,
        cast(cells.customers * 1.0 / nullif(stocks.customers, 0) as double) as flow_rate
    from cells
    inner join periods on cells.period_key = periods.period_key
    left join stocks on cells.period_key = stocks.period_key and cells.from_rank = stocks.stage_rank
    left join {{ ref('stages') }} as from_stages
        on
            from_stages.model = '{{ var("star_stage_model") }}'
            and cells.from_rank = from_stages.{{ adapter.quote('rank') }}
    left join {{ ref('stages') }} as to_stages
        on
            to_stages.model = '{{ var("star_stage_model") }}'
            and cells.to_rank = to_stages.{{ adapter.quote('rank') }}
    where cells.customers > 0
)

select * from star_flows
order by brand_id, period_kind, period_id, from_layer, to_layer
