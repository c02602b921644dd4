-- Grain: one row per brand, tag and value that a customer carries on the as-of date (brand_id, tag, tag_value).
-- Why: how many customers a tag says something about, and how fresh it is.
-- Not here: values that nobody carries.
with as_of as (
    select
        as_of_date,
        {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

counted as (
    select
        spells.brand_id,
        spells.tag,
        spells.tag_value,
        count(*) as customers,
        sum(case when spells.from_day > as_of.as_of_day - 30 then 1 else 0 end) as customers_since_30d,
        max(spells.from_day) as last_day
    from {{ ref('int_audiences__tag_spells') }} as spells
    inner join as_of on spells.from_day <= as_of.as_of_day and spells.to_day > as_of.as_of_day
    group by spells.brand_id, spells.tag, spells.tag_value
),

tag_coverage as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.tag as {{ dbt.type_string() }}) as tag,
        cast(counted.tag_value as {{ dbt.type_string() }}) as tag_value,
        as_of.as_of_date,
        cast(definitions.kind as {{ dbt.type_string() }}) as kind,
        cast(counted.customers as bigint) as customers,
        cast(base.base_customers as bigint) as base_customers,
        cast(counted.customers as double) / base.base_customers as coverage,
        cast(counted.customers_since_30d as bigint) as customers_since_30d,
        {{ quanyu.day_date('counted.last_day') }} as last_assigned_on
    from counted
    cross join as_of
    inner join {{ ref('tag_definitions') }} as definitions on counted.tag = definitions.tag
    inner join {{ ref('int_audiences__base') }} as base on counted.brand_id = base.brand_id
)

select * from tag_coverage
order by brand_id, tag, tag_value
