-- Grain: one row per unbroken membership (brand_id, membership_key, joined_at).
-- Why: who is a member on which day; on day d: valid_from <= d and (valid_to is null or d < valid_to).
-- Not here: a membership joined and quit within one day, which is live at the end of no day.
with events as (
    select * from {{ ref('stg_landing__memberships') }}
    where occurred_on <= (select as_of.as_of_date from {{ ref('as_of') }} as as_of)
),

starts_and_ends as (
    select
        *,
        -- At one instant an end counts after a start: nobody is a member on a doubtful record.
        lag(membership_event) over (
            partition by brand_id, member_id
            order by occurred_at, case membership_event when 'join' then 0 else 1 end
        ) as previous_event
    from events
    where membership_event in ('join', 'quit')
),

turns as (
    select
        *,
        lead(occurred_at) over (
            partition by brand_id, member_id
            order by occurred_at, case membership_event when 'join' then 0 else 1 end
        ) as next_turn_at
    from starts_and_ends
    where
        membership_event = 'join' and coalesce(previous_event, 'quit') = 'quit'
        or membership_event = 'quit' and previous_event = 'join'
),

spells as (
    select
        brand_id,
        member_key as membership_key,
        occurred_at as joined_at,
        next_turn_at as quit_at,
        occurred_on as valid_from,
        cast(next_turn_at as date) as valid_to,
        channel as join_channel,
        store_id as join_store_id,
        staff_id as join_staff_id
    from turns
    where
        membership_event = 'join'
        and (next_turn_at is null or cast(next_turn_at as date) > occurred_on)
),

tiers as (
    select
        brand_id,
        member_key as membership_key,
        occurred_at,
        tier
    from events
    where tier is not null
),

tiers_in_spells as (
    select
        spells.brand_id,
        spells.membership_key,
        spells.joined_at,
        tiers.tier
    from spells
    inner join tiers
        on
            spells.brand_id = tiers.brand_id
            and spells.membership_key = tiers.membership_key
            and spells.joined_at <= tiers.occurred_at
            and (spells.quit_at is null or spells.quit_at > tiers.occurred_at)
    qualify row_number() over (
        partition by spells.brand_id, spells.membership_key, spells.joined_at
        order by tiers.occurred_at desc, tiers.tier desc
    ) = 1
),

customers as (
    select
        identifier_key,
        customer_key
    from {{ ref('int_identity__customer_map') }}
),

fct_membership_spells as (
    select
        spells.brand_id,
        customers.customer_key,
        spells.membership_key,
        spells.joined_at,
        spells.quit_at,
        spells.valid_from,
        spells.valid_to,
        tiers_in_spells.tier as last_tier,
        spells.join_channel,
        spells.join_store_id,
        spells.join_staff_id
    from spells
    inner join customers on spells.membership_key = customers.identifier_key
    left join tiers_in_spells
        on
            spells.brand_id = tiers_in_spells.brand_id
            and spells.membership_key = tiers_in_spells.membership_key
            and spells.joined_at = tiers_in_spells.joined_at
)

select * from fct_membership_spells
