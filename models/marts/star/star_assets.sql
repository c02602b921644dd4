-- Grain: one row per brand, period kind, period and asset.
-- Why: supplementary S of STAR: followers, contacts, group members, members, mini-program users and reachable people.
-- Not here: layers (star_scaling). Assets overlap, so they do not add up.
with periods as (
    select
        *,
        {{ quanyu.day_number('day_before') }} as day_before_number,
        {{ quanyu.day_number('last_on') }} as last_day_number
    from {{ ref('int_star__periods') }}
),

turns as (
    select
        brand_id,
        asset,
        from_day as day,
        count(*) as entered,
        0 as exited
    from {{ ref('int_star__asset_stays') }}
    group by brand_id, asset, from_day
    union all
    select
        brand_id,
        asset,
        to_day as day,
        0 as entered,
        count(*) as exited
    from {{ ref('int_star__asset_stays') }}
    where to_day < {{ quanyu.far_day() }}
    group by brand_id, asset, to_day
),

assets as (
    {%- for asset in [
        'member', 'follower', 'wecom_contact', 'group_member', 'reachable', 'miniprogram_30d', 'miniprogram_365d'
    ] %}
    select '{{ asset }}' as asset
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        periods.period_key,
        assets.asset,
        coalesce(sum(
            case when turns.day <= periods.day_before_number then turns.entered - turns.exited else 0 end
        ), 0) as customers_before,
        coalesce(sum(case when turns.day > periods.day_before_number then turns.entered else 0 end), 0) as entered,
        coalesce(sum(case when turns.day > periods.day_before_number then turns.exited else 0 end), 0) as exited
    from periods
    cross join assets
    left join turns
        on
            periods.brand_id = turns.brand_id
            and assets.asset = turns.asset
            and periods.last_day_number >= turns.day
    group by periods.period_key, assets.asset
),

star_assets as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(counted.asset as {{ dbt.type_string() }}) as asset,
        periods.last_on,
        periods.is_complete,
        cast(counted.customers_before as bigint) as customers_before,
        cast(counted.entered as bigint) as entered,
        cast(counted.exited as bigint) as exited,
        cast(counted.entered - counted.exited as bigint) as net_added,
        cast(counted.customers_before + counted.entered - counted.exited as bigint) as customers
    from counted
    inner join periods on counted.period_key = periods.period_key
)

select * from star_assets
order by brand_id, period_kind, period_id, asset
