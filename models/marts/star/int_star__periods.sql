-- Grain: one row per brand, period kind (week, month, promotion) and period that has begun by the as-of date.
-- Why: every STAR table looks at the same periods; a whole number stands for one in the joins below, the same one on every
--      day as long as brands and calendar are (macro star_settings).
-- Not here: days before the brand's first activity. A period that still runs is looked at up to the as-of date.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with brands as (
    select
        brand_id,
        min(as_of_date) as first_date,
        max(as_of_date) as last_date,
        row_number() over (order by brand_id) as brand_number
    from {{ ref('int_stages__calendar') }}
    group by brand_id
),

promotions as (
    select
        *,
        row_number() over (order by starts_on, promotion_id, brand_id) as promotion_number
    from {{ ref('promotion_calendar') }}
),

spans as (
    select distinct
        brand_id,
        'week' as period_kind,
        cast(date_trunc('week', as_of_date) as date) as starts_on,
        {{ quanyu.add_days("cast(date_trunc('week', as_of_date) as date)", 6) }} as ends_on,
        cast(cast(date_trunc('week', as_of_date) as date) as {{ dbt.type_string() }}) as period_id,
        300000 + {{ quanyu.day_number("cast(date_trunc('week', as_of_date) as date)") }} / 7 as number_in_brand
    from {{ ref('int_stages__calendar') }}
    union all
    select distinct
        brand_id,
        'month' as period_kind,
        cast(date_trunc('month', as_of_date) as date) as starts_on,
        last_day(as_of_date) as ends_on,
        substring(cast(as_of_date as {{ dbt.type_string() }}), 1, 7) as period_id,
        100000 + 12 * extract(year from as_of_date) + extract(month from as_of_date) as number_in_brand
    from {{ ref('int_stages__calendar') }}
    union all
    select
        brands.brand_id,
        'promotion' as period_kind,
        promotions.starts_on,
        promotions.ends_on,
        promotions.promotion_id as period_id,
        promotions.promotion_number as number_in_brand
    from promotions
    inner join brands on promotions.brand_id = '*' or promotions.brand_id = brands.brand_id
    where promotions.starts_on <= brands.last_date and promotions.ends_on >= brands.first_date
),

int_star__periods as (
    select
        cast(brands.brand_number * 1000000 + floor(spans.number_in_brand) as integer) as period_key,
        spans.brand_id,
        spans.period_kind,
        spans.period_id,
        spans.starts_on,
        spans.ends_on,
        least(spans.ends_on, brands.last_date) as last_on,
        {{ quanyu.add_days('spans.starts_on', -1) }} as day_before,
        spans.ends_on <= brands.last_date as is_complete
    from spans
    inner join brands on spans.brand_id = brands.brand_id
)

select * from int_star__periods
