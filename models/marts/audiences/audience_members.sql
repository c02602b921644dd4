-- Grain: one row per audience, brand, customer and unbroken membership (audience, brand_id, customer_id, valid_from).
-- Why: who was in which audience on any day: valid_from <= day and (valid_to is null or day < valid_to).
-- Not here: memberships that begin after the as-of date; identifiers to send to.
with as_of as (
    select
        as_of_date,
        {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

audience_members as (
    select
        cast(spells.audience as {{ dbt.type_string() }}) as audience,
        cast(spells.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(customers.customer_id as {{ dbt.type_string() }}) as customer_id,
        {{ quanyu.day_date('spells.from_day') }} as valid_from,
        {{ quanyu.day_date('spells.to_day') }} as valid_to,
        spells.to_day > as_of.as_of_day as is_current,
        {{ quanyu.is_hold_out('spells.audience', 'customers.customer_id', 'definitions.hold_out_share') }} as is_hold_out
    from {{ ref('int_audiences__spells') }} as spells
    inner join as_of on spells.from_day <= as_of.as_of_day
    inner join customers on spells.customer_key = customers.customer_key
    inner join {{ ref('audience_definitions') }} as definitions on spells.audience = definitions.audience
)

select * from audience_members
order by audience, brand_id, customer_id, valid_from
