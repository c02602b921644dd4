-- Grain: one row per customer, brand, tag, value and unbroken time in which the customer carries it (customer_id, brand_id,
--        tag, tag_value, valid_from).
-- Why: what is known of a customer, on any day: valid_from <= day and (valid_to is null or day < valid_to).
-- Not here: tags that begin after the as-of date; what a tag means (seed tag_definitions).
with as_of as (
    select {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

customer_tags as (
    select
        cast(customers.customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(spells.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(spells.tag as {{ dbt.type_string() }}) as tag,
        cast(spells.tag_value as {{ dbt.type_string() }}) as tag_value,
        cast(definitions.kind as {{ dbt.type_string() }}) as kind,
        {{ quanyu.day_date('spells.from_day') }} as valid_from,
        {{ quanyu.day_date('spells.to_day') }} as valid_to,
        spells.to_day > as_of.as_of_day as is_current
    from {{ ref('int_audiences__tag_spells') }} as spells
    inner join as_of on spells.from_day <= as_of.as_of_day
    inner join customers on spells.customer_key = customers.customer_key
    inner join {{ ref('tag_definitions') }} as definitions on spells.tag = definitions.tag
)

select * from customer_tags
order by customer_id, brand_id, tag, tag_value, valid_from
