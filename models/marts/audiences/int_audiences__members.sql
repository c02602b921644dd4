-- Grain: one row per audience, brand and customer who is in it on the as-of date.
-- Why: what sizes, overlaps and profiles count, with a key that joins.
-- Not here: earlier days (int_audiences__spells).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

int_audiences__members as (
    select
        spells.audience,
        spells.brand_id,
        spells.customer_key,
        {{ quanyu.is_hold_out('spells.audience', 'customers.customer_id', 'definitions.hold_out_share') }} as is_hold_out
    from {{ ref('int_audiences__spells') }} as spells
    inner join as_of on spells.from_day <= as_of.as_of_day and spells.to_day > as_of.as_of_day
    inner join customers on spells.customer_key = customers.customer_key
    inner join {{ ref('audience_definitions') }} as definitions on spells.audience = definitions.audience
)

select * from int_audiences__members
