-- Grain: one row per audience, brand, customer and unbroken membership (audience, brand_id, customer_key, from_day).
-- Why: who is in which audience on any day: from_day <= day < to_day. Spells that begin after the as-of date are here
--      too: what the running windows will bring if nothing happens.
-- Not here: public ids (audience_members).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with uses as (
    select * from {{ ref('int_audiences__conditions') }}
    where rule_kind = 'audience'
),

tag_facts as (
    select
        uses.condition_id,
        tags.brand_id,
        tags.customer_key,
        '' as fact_value,
        tags.from_day + coalesce(uses.days_ago, 0) as from_day,
        least(tags.to_day, coalesce(tags.from_day + uses.window_days, {{ quanyu.far_day() }})) as to_day
    from {{ ref('int_audiences__tag_spells') }} as tags
    inner join (
        select distinct
            condition_id,
            name,
            window_days,
            days_ago,
            {{ quanyu.split_items('value') }} as value
        from uses
        where subject = 'tag'
    ) as uses
        on tags.tag = uses.name and (uses.value = '*' or tags.tag_value = uses.value)
),

tag_facts_in_time as (
    select * from tag_facts
    where from_day < to_day
),

answered as (
    select * from {{ ref('int_audiences__condition_spells') }}
    union all
    {{ quanyu.union_of_spells(
        'tag_facts_in_time', ['condition_id', 'brand_id', 'customer_key', 'fact_value'],
    ) | indent(4) }}
),

-- First the audiences made of facts and tags, then those made of audiences.
{% set depths = [('plain', 'not in'), ('composed', 'in')] -%}
composed_audiences as (
    select distinct owner from uses
    where subject = 'audience'
),

{% for depth, member in depths -%}
{{ depth }}_uses as (
    select * from uses
    where owner {{ member }} (select composed_audiences.owner from composed_audiences)
),
{% endfor %}
plain_spells as (
    with {{ quanyu.owner_spells('plain_uses', 'answered') | indent(4) }}

    select * from owner_spells
),

answered_by_audiences as (
    select * from answered
    union all
    select
        uses.condition_id,
        plain_spells.brand_id,
        plain_spells.customer_key,
        '' as fact_value,
        plain_spells.from_day + coalesce(uses.days_ago, 0) as from_day,
        least(
            plain_spells.to_day, coalesce(plain_spells.from_day + uses.window_days, {{ quanyu.far_day() }})
        ) as to_day
    from plain_spells
    inner join (
        select distinct
            condition_id,
            name,
            window_days,
            days_ago
        from uses
        where subject = 'audience'
    ) as uses on plain_spells.owner = uses.name
    where
        plain_spells.from_day + coalesce(uses.days_ago, 0) < least(
            plain_spells.to_day, coalesce(plain_spells.from_day + uses.window_days, {{ quanyu.far_day() }})
        )
),

composed_spells as (
    with {{ quanyu.owner_spells('composed_uses', 'answered_by_audiences') | indent(4) }}

    select * from owner_spells
),

every_spell as (
    select * from plain_spells
    union all
    select * from composed_spells
),

int_audiences__spells as (
    select
        every_spell.owner as audience,
        every_spell.brand_id,
        every_spell.customer_key,
        every_spell.from_day,
        every_spell.to_day
    from every_spell
    inner join {{ ref('audience_definitions') }} as definitions
        on
            every_spell.owner = definitions.audience
            and (definitions.brand_id = '*' or every_spell.brand_id = definitions.brand_id)
)

select * from int_audiences__spells
