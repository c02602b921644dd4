-- Grain: one row per brand, audience and channel by which a member can be reached on the as-of date, and one for any channel
--        (`any`) (brand_id, audience, channel).
-- Why: exact counts before anything is exported: reachable, of these neither held out nor at the frequency cap.
-- Not here: the people (audience_members).
with as_of as (
    select
        as_of_date,
        {{ quanyu.day_number('as_of_date') }} as as_of_day
    from {{ ref('as_of') }}
),

customers as (
    {{ quanyu.counted_customers() }}
),

pressure as (
    select
        pressure.brand_id,
        customers.customer_key,
        pressure.channel,
        pressure.is_capped
    from {{ ref('contact_pressure') }} as pressure
    inner join customers on pressure.customer_id = customers.customer_id
    where pressure.is_capped
),

-- The caps over all channels bind on a channel that has sent nothing yet too.
reach as (
    select
        reach.brand_id,
        reach.customer_key,
        reach.channel,
        pressure.is_capped is null and overall.is_capped is null as is_free
    from {{ ref('int_audiences__reach_spells') }} as reach
    inner join as_of on reach.from_day <= as_of.as_of_day and reach.to_day > as_of.as_of_day
    left join pressure
        on
            reach.brand_id = pressure.brand_id
            and reach.customer_key = pressure.customer_key
            and reach.channel = pressure.channel
    left join pressure as overall
        on
            reach.brand_id = overall.brand_id
            and reach.customer_key = overall.customer_key
            and overall.channel = '*'
),

every_reach as (
    select * from reach
    union all
    select
        brand_id,
        customer_key,
        'any' as channel,
        max(case when is_free then 1 else 0 end) = 1 as is_free
    from reach
    group by brand_id, customer_key
),

counted as (
    select
        members.brand_id,
        members.audience,
        every_reach.channel,
        count(*) as reachable_customers,
        sum(case when members.is_hold_out then 1 else 0 end) as hold_out_customers,
        sum(case when not members.is_hold_out and not every_reach.is_free then 1 else 0 end) as capped_customers,
        sum(case when not members.is_hold_out and every_reach.is_free then 1 else 0 end) as contactable_customers
    from {{ ref('int_audiences__members') }} as members
    inner join every_reach
        on members.brand_id = every_reach.brand_id and members.customer_key = every_reach.customer_key
    group by members.brand_id, members.audience, every_reach.channel
),

audience_channels as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(counted.audience as {{ dbt.type_string() }}) as audience,
        cast(counted.channel as {{ dbt.type_string() }}) as channel,
        as_of.as_of_date,
        cast(counted.reachable_customers as bigint) as reachable_customers,
        cast(counted.hold_out_customers as bigint) as hold_out_customers,
        cast(counted.capped_customers as bigint) as capped_customers,
        cast(counted.contactable_customers as bigint) as contactable_customers
    from counted
    cross join as_of
)

select * from audience_channels
order by brand_id, audience, channel
