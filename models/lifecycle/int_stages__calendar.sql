-- Grain: one row per brand and day from the brand's first activity to the as-of date (brand_id, as_of_date).
-- Why: the days for which stocks, flows and FAST are published.
-- Not here: days to come.
with activity as (
    select
        brand_id,
        min(activity_date) as first_on
    from {{ ref('customer_day') }}
    group by brand_id
    union all
    select
        brand_id,
        min(valid_from) as first_on
    from {{ ref('int_stages__spells') }}
    group by brand_id
),

brands as (
    select
        brand_id,
        min({{ quanyu.day_number('first_on') }}) as first_day
    from activity
    group by brand_id
),

bounds as (
    select
        (select min(brands.first_day) from brands) as first_day,
        (select {{ quanyu.day_number('as_of.as_of_date') }} from {{ ref('as_of') }} as as_of) as last_day
),

days as (
    {{ quanyu.numbers(
        '(select coalesce(bounds.first_day, 1) from bounds)', '(select coalesce(bounds.last_day, 0) from bounds)'
    ) }}
),

int_stages__calendar as (
    select
        brands.brand_id,
        {{ quanyu.day_date('days.n') }} as as_of_date,
        days.n as day,
        brands.first_day
    from days
    inner join brands on days.n >= brands.first_day
)

select * from int_stages__calendar
