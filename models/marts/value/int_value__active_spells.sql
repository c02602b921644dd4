-- Grain: one row per brand, relationship, customer and day on which it began (live_from), until it ended (live_to).
-- Why: a buyer is active from a purchase until overdue by the churned ratio; a follower, contact, group member or
--      member as long as any of the kind is live. One shape for both, so that leaving is counted in one way.
-- Not here: which account, group or member of staff it was (fct_relationship_spells).
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

cycles as (
    select
        brand_id,
        cycle_days
    from {{ ref('int_value__cycles') }}
    where observation = 'as_of' and kind = 'any'
),

-- How many purchase days there had been by then, and since when: what was known on the day itself.
purchases as (
    select
        brand_id,
        customer_key,
        purchased_on,
        row_number() over so_far as purchase_days,
        min(purchased_on) over so_far as first_purchase_on,
        lead(purchased_on) over (partition by brand_id, customer_key order by purchased_on) as next_purchased_on
    from {{ ref('int_value__purchase_days') }}
    where observation = 'as_of'
    window so_far as (
        partition by brand_id, customer_key order by purchased_on
        rows between unbounded preceding and current row
    )
),

pieces as (
    select
        purchases.brand_id,
        'purchase' as relationship,
        purchases.customer_key,
        purchases.purchased_on as live_from,
        -- The next purchase ends what this one let expect: it changes the expectation.
        least(
            cast({{ quanyu.churned_on(
                'purchases.purchased_on',
                quanyu.expected_cycle(
                    quanyu.days_between('purchases.first_purchase_on', 'purchases.purchased_on'),
                    'purchases.purchase_days', 'cycles.cycle_days'
                )
            ) }} as date),
            coalesce(purchases.next_purchased_on, cast('9999-12-31' as date))
        ) as live_to
    from purchases
    inner join cycles on purchases.brand_id = cycles.brand_id
    union all
    select
        spells.brand_id,
        spells.relationship,
        spells.customer_key,
        spells.valid_from as live_from,
        coalesce(spells.valid_to, cast('9999-12-31' as date)) as live_to
    from {{ ref('fct_relationship_spells') }} as spells
    inner join customers on spells.customer_key = customers.customer_key
),

-- A piece that begins when all before it have ended begins a spell.
begun as (
    select
        *,
        case
            when live_from <= max(live_to) over (
                partition by brand_id, relationship, customer_key order by live_from, live_to
                rows between unbounded preceding and 1 preceding
            ) then 0
            else 1
        end as is_begun
    from pieces
),

numbered as (
    select
        *,
        sum(is_begun) over (
            partition by brand_id, relationship, customer_key order by live_from, live_to
            rows between unbounded preceding and current row
        ) as spell_number
    from begun
),

spells as (
    select
        brand_id,
        relationship,
        customer_key,
        min(live_from) as live_from,
        max(live_to) as live_to
    from numbered
    group by brand_id, relationship, customer_key, spell_number
),

int_value__active_spells as (
    select
        spells.brand_id,
        spells.relationship,
        spells.customer_key,
        spells.live_from,
        case when spells.live_to <= as_of.as_of_date then spells.live_to end as live_to
    from spells
    cross join as_of
)

select * from int_value__active_spells
