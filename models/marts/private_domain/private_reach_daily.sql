-- Grain: one row per brand, day and reach channel from the brand's first activity to the as-of date.
-- Why: who can be reached by what on every day, and who came and went: net adds and deletes of followers, WeCom
--      contacts and groups. `any` and `two_or_more` count people of the private domain once, whatever their channels.
-- Not here: members (fast_daily); people with a phone number and no sign of consent.
with calendar as (
    select
        brand_id,
        as_of_date
    from {{ ref('int_stages__calendar') }}
),

spells as (
    select * from {{ ref('int_private__reach_spells') }}
),

grid as (
    select
        calendar.brand_id,
        calendar.as_of_date,
        channels.reach_channel
    from calendar
    inner join (
        select distinct
            brand_id,
            reach_channel
        from spells
    ) as channels on calendar.brand_id = channels.brand_id
),

changes as (
    select
        brand_id,
        reach_channel,
        on_date,
        sum(started) as started,
        sum(ended) as ended
    from (
        select
            brand_id,
            reach_channel,
            valid_from as on_date,
            1 as started,
            0 as ended
        from spells
        union all
        select
            brand_id,
            reach_channel,
            valid_to as on_date,
            0 as started,
            1 as ended
        from spells
        where valid_to is not null
    ) as turns
    group by brand_id, reach_channel, on_date
),

counted as (
    select
        grid.brand_id,
        grid.as_of_date,
        grid.reach_channel,
        coalesce(changes.started, 0) as started,
        coalesce(changes.ended, 0) as ended,
        sum(coalesce(changes.started, 0) - coalesce(changes.ended, 0)) over (
            partition by grid.brand_id, grid.reach_channel order by grid.as_of_date
            rows between unbounded preceding and current row
        ) as live
    from grid
    left join changes
        on
            grid.brand_id = changes.brand_id
            and grid.reach_channel = changes.reach_channel
            and grid.as_of_date = changes.on_date
),

private_reach_daily as (
    select
        cast(counted.brand_id as {{ dbt.type_string() }}) as brand_id,
        counted.as_of_date,
        cast(counted.reach_channel as {{ dbt.type_string() }}) as reach_channel,
        cast(
            case when counted.reach_channel in ('any', 'two_or_more') then 'private' else coalesce(channels.domain, 'unknown') end
            as {{ dbt.type_string() }}
        ) as channel_domain,
        cast(counted.live as bigint) as reachable_customers,
        cast(counted.started as bigint) as started_customers,
        cast(counted.ended as bigint) as ended_customers,
        cast(counted.started - counted.ended as bigint) as net_change,
        cast(counted.live - counted.started + counted.ended as bigint) as reachable_before,
        cast(counted.ended as double) / nullif(counted.live - counted.started + counted.ended, 0) as ended_rate
    from counted
    left join {{ ref('channels') }} as channels on counted.reach_channel = channels.channel
)

select * from private_reach_daily
order by brand_id, as_of_date, reach_channel
