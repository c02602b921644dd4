-- Grain: one row per tag, value, brand, customer and unbroken time in which the customer carries it
--        (tag, tag_value, brand_id, customer_key, from_day).
-- Why: the declared behaviour of every tag in one place: which value of a single-valued tag counts, and what becomes of a
--      value whose rule no longer holds.
-- Not here: spells that begin after the as-of date are here, not in customer_tags.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}
{%- set far = quanyu.far_day() %}
{%- set one = ['tag', 'brand_id', 'customer_key'] %}

with customers as (
    {{ quanyu.counted_customers() }}
),

uses as (
    select * from {{ ref('int_audiences__conditions') }}
    where rule_kind = 'tag'
),

condition_spells as (
    select * from {{ ref('int_audiences__condition_spells') }}
),

{{ quanyu.owner_spells('uses', 'condition_spells') }},

identifiers as (
    select
        map.identifier_key,
        map.customer_key
    from {{ ref('int_identity__customer_map') }} as map
    inner join customers on map.customer_key = customers.customer_key
),

manual_tags as (
    select
        manual.tag,
        manual.tag_value,
        manual.brand_id,
        identifiers.customer_key,
        {{ quanyu.day_number('manual.valid_from') }} as from_day,
        coalesce({{ quanyu.day_number('manual.valid_to') }}, {{ far }}) as to_day
    from {{ ref('manual_tags') }} as manual
    inner join {{ ref('identifier_types') }} as types on lower(trim(manual.identifier_type)) = types.identifier_type
    inner join identifiers
        on
            {{ quanyu.hash63_of([
                'types.identifier_type',
                quanyu.normalise_identifier('types.normaliser', quanyu.clean_text('manual.identifier_value')),
            ]) }} = identifiers.identifier_key
    where
        manual.valid_from <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
        and (manual.valid_to is null or manual.valid_to > manual.valid_from)
),

given as (
    select
        owner as tag,
        owner_value as tag_value,
        brand_id,
        customer_key,
        from_day,
        to_day
    from owner_spells
    where owner_value is not null
    union all
    select * from manual_tags
),

-- A value that is kept does not end by itself.
declared as (
    select
        given.tag,
        given.tag_value,
        given.brand_id,
        given.customer_key,
        definitions.is_multi_valued,
        given.from_day,
        case when definitions.on_end = 'keep' then {{ far }} else given.to_day end as to_day
    from given
    inner join {{ ref('tag_definitions') }} as definitions on given.tag = definitions.tag
),

compared as (
    select
        *,
        max(to_day) over (
            partition by {{ one | join(', ') }} order by from_day, tag_value
            rows between unbounded preceding and 1 preceding
        ) > from_day as is_disputed
    from declared
    where not is_multi_valued
),

disputed as (
    select distinct {{ one | join(', ') }}
    from compared
    where is_disputed
),

disputed_spells as (
    select
        compared.tag,
        compared.tag_value,
        compared.brand_id,
        compared.customer_key,
        compared.from_day,
        compared.to_day
    from compared
    inner join disputed
        on
            compared.tag = disputed.tag
            and compared.brand_id = disputed.brand_id
            and compared.customer_key = disputed.customer_key
),

turns as (
    select
        tag,
        brand_id,
        customer_key,
        from_day as day
    from disputed_spells
    union
    select
        tag,
        brand_id,
        customer_key,
        to_day as day
    from disputed_spells
),

segments as (
    select
        *,
        lead(day) over (partition by {{ one | join(', ') }} order by day) as next_day
    from turns
),

-- Of values that hold at once the one that began last counts, of those the greatest; when it ends, the one before is back.
settled as (
    select
        segments.tag,
        disputed_spells.tag_value,
        segments.brand_id,
        segments.customer_key,
        segments.day as from_day,
        segments.next_day as to_day
    from segments
    inner join disputed_spells
        on
            segments.tag = disputed_spells.tag
            and segments.brand_id = disputed_spells.brand_id
            and segments.customer_key = disputed_spells.customer_key
            and segments.day >= disputed_spells.from_day
            and segments.day < disputed_spells.to_day
    where segments.next_day is not null
    qualify row_number() over (
        partition by segments.tag, segments.brand_id, segments.customer_key, segments.day
        order by disputed_spells.from_day desc, disputed_spells.tag_value desc
    ) = 1
),

undisputed as (
    select
        compared.tag,
        compared.tag_value,
        compared.brand_id,
        compared.customer_key,
        compared.from_day,
        compared.to_day
    from compared
    left join disputed
        on
            compared.tag = disputed.tag
            and compared.brand_id = disputed.brand_id
            and compared.customer_key = disputed.customer_key
    where disputed.tag is null
),

to_join_up as (
    select * from settled
    union all
    select
        tag,
        tag_value,
        brand_id,
        customer_key,
        from_day,
        to_day
    from declared
    where is_multi_valued
),

joined_up as (
    {{ quanyu.union_of_spells('to_join_up', ['tag', 'tag_value', 'brand_id', 'customer_key']) | indent(4) }}
),

int_audiences__tag_spells as (
    select
        tag,
        tag_value,
        brand_id,
        customer_key,
        from_day,
        to_day
    from undisputed
    union all
    select
        tag,
        tag_value,
        brand_id,
        customer_key,
        from_day,
        to_day
    from joined_up
)

select * from int_audiences__tag_spells
