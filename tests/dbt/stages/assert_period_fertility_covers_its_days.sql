-- Fails with: a period whose fertility is below the stock of one of its days, or above the customers with a spell.
-- Why: the union over a period holds everyone of every day of it (METRICS 4.1).
-- Not claimed: the union itself (tests/oracle).
{{ config(meta={'dagster': {'ref': {'name': 'fast_periods'}}}) }}

with stocks as (
    select
        periods.brand_id,
        periods.period_kind,
        periods.period_id,
        max(fast_daily.fertility) as largest_stock
    from {{ ref('fast_periods') }} as periods
    inner join {{ ref('fast_daily') }} as fast_daily
        on
            periods.brand_id = fast_daily.brand_id
            and fast_daily.as_of_date between periods.starts_on and periods.last_on
    group by periods.brand_id, periods.period_kind, periods.period_id
)

select
    periods.*,
    stocks.largest_stock
from {{ ref('fast_periods') }} as periods
inner join stocks
    on
        periods.brand_id = stocks.brand_id
        and periods.period_kind = stocks.period_kind
        and periods.period_id = stocks.period_id
where periods.fertility < stocks.largest_stock
