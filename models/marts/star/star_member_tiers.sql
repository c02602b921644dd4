-- Grain: one row per brand, month, tier on the day before it and tier on its last day.
-- Why: who rose, fell, joined and quit: the level mix and the upgrade and downgrade matrix of the members.
-- Not here: people who are members on neither day. Of several memberships the highest tier counts.
with periods as (
    select * from {{ ref('int_star__periods') }}
    where period_kind = 'month'
),

counted as (
    {{ quanyu.counted_customers() }}
),

told as (
    select
        memberships.brand_id,
        memberships.member_key,
        spells.joined_at,
        memberships.occurred_at,
        memberships.occurred_on,
        memberships.tier,
        tiers.tier_rank
    from {{ ref('stg_landing__memberships') }} as memberships
    -- A tier is of one membership: who quits and joins again does not bring it along.
    inner join {{ ref('fct_membership_spells') }} as spells
        on
            memberships.brand_id = spells.brand_id
            and memberships.member_key = spells.membership_key
            and memberships.occurred_at >= spells.joined_at
            and (spells.quit_at is null or memberships.occurred_at < spells.quit_at)
    left join {{ ref('member_tiers') }} as tiers
        on
            memberships.tier = tiers.tier
            and (tiers.brand_id = '*' or memberships.brand_id = tiers.brand_id)
    where memberships.tier is not null
    qualify rank() over (
        partition by memberships.brand_id, memberships.member_key, memberships.occurred_at, memberships.tier
        order by case when tiers.brand_id = '*' then 1 else 0 end
    ) = 1
),

-- The last word of a day says the tier at its end.
tier_days as (
    select
        brand_id,
        member_key,
        joined_at,
        occurred_on,
        tier,
        tier_rank
    from told
    qualify row_number() over (
        partition by brand_id, member_key, joined_at, occurred_on order by occurred_at desc, tier desc
    ) = 1
),

tier_stays as (
    select
        *,
        lead(occurred_on, 1, {{ quanyu.far_date() }}) over (
            partition by brand_id, member_key, joined_at order by occurred_on
        ) as told_until
    from tier_days
),

-- A month ends on the day before the next one, so days are looked at and not ends of months.
days as (
    select
        brand_id,
        last_on as on_date
    from periods
    union
    select
        brand_id,
        day_before as on_date
    from periods
),

on_days as (
    select
        days.brand_id,
        days.on_date,
        counted.customer_key,
        coalesce(tier_stays.tier_rank, 0) as tier_rank,
        coalesce(tier_stays.tier, 'unknown') as tier
    from days
    inner join {{ ref('fct_membership_spells') }} as spells
        on
            days.brand_id = spells.brand_id
            and days.on_date >= spells.valid_from
            and (spells.valid_to is null or days.on_date < spells.valid_to)
    inner join counted on spells.customer_key = counted.customer_key
    left join tier_stays
        on
            spells.brand_id = tier_stays.brand_id
            and spells.membership_key = tier_stays.member_key
            and spells.joined_at = tier_stays.joined_at
            and days.on_date >= tier_stays.occurred_on
            and days.on_date < tier_stays.told_until
    qualify row_number() over (
        partition by days.brand_id, days.on_date, counted.customer_key
        order by
            coalesce(tier_stays.tier_rank, 0) desc,
            case when tier_stays.tier is null then 1 else 0 end,
            tier_stays.tier desc
    ) = 1
),

{% for name, day in [('before', 'day_before'), ('at_end', 'last_on')] -%}
{{ name }} as (
    select
        periods.period_key,
        on_days.customer_key,
        on_days.tier_rank,
        on_days.tier
    from periods
    inner join on_days on periods.brand_id = on_days.brand_id and periods.{{ day }} = on_days.on_date
),

{% endfor -%}
moves as (
    select
        coalesce(before.period_key, at_end.period_key) as period_key,
        coalesce(before.tier, 'none') as from_tier,
        coalesce(at_end.tier, 'none') as to_tier,
        before.tier_rank as from_rank,
        at_end.tier_rank as to_rank,
        count(*) as members
    from before
    full join at_end
        on before.period_key = at_end.period_key and before.customer_key = at_end.customer_key
    group by
        coalesce(before.period_key, at_end.period_key), coalesce(before.tier, 'none'), coalesce(at_end.tier, 'none'),
        before.tier_rank, at_end.tier_rank
),

star_member_tiers as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(moves.from_tier as {{ dbt.type_string() }}) as from_tier,
        cast(moves.to_tier as {{ dbt.type_string() }}) as to_tier,
        periods.day_before as from_date,
        periods.last_on as to_date,
        cast(
            case
                when moves.from_rank is null then 'joined'
                when moves.to_rank is null then 'quit'
                when moves.from_tier = moves.to_tier then 'stayed'
                when moves.from_rank = 0 or moves.to_rank = 0 or moves.from_rank = moves.to_rank then 'unranked'
                when moves.to_rank > moves.from_rank then 'upgrade'
                else 'downgrade'
            end as {{ dbt.type_string() }}
        ) as direction,
        cast(moves.to_rank as integer) as to_tier_rank,
        cast(moves.members as bigint) as members,
        cast(
            case when moves.from_rank is not null then sum(moves.members) over (
                partition by moves.period_key, moves.from_tier
            ) end as bigint
        ) as from_members,
        cast(
            case when moves.from_rank is not null then moves.members * 1.0 / sum(moves.members) over (
                partition by moves.period_key, moves.from_tier
            ) end as double
        ) as move_rate
    from moves
    inner join periods on moves.period_key = periods.period_key
)

select * from star_member_tiers
order by brand_id, period_id, from_tier, to_tier
