-- Grain: one row per brand, period kind, period, layer, channel and touch-point, `all` included.
-- Why: S of STAR: how many people stand in each layer at the period's end, new and old, and what touched them in it.
-- Not here: sums. One person meets many channels and touch-points, so every total is counted anew.
with periods as (
    select * from {{ ref('int_star__periods') }}
),

by_both as (
    select
        period_key,
        rank_at_end,
        channel_key,
        touch_point_key,
        count(*) as customers,
        sum(case when is_new then 1 else 0 end) as new_customers
    from {{ ref('int_star__touches') }}
    group by period_key, rank_at_end, channel_key, touch_point_key
),

-- A bit for each channel and touch-point that somebody met: one pass makes both totals. Few different sets of them exist, so
-- that counting sets first leaves next to nothing to take apart.
met_sets as (
    select
        period_key,
        rank_at_end,
        channels,
        touch_points,
        count(*) as customers,
        sum(case when is_new then 1 else 0 end) as new_customers
    from {{ ref('int_star__customer_periods') }}
    group by period_key, rank_at_end, channels, touch_points
),

touched as (
    select
        period_key,
        rank_at_end,
        sum(customers) as customers,
        sum(new_customers) as new_customers
    from met_sets
    group by period_key, rank_at_end
),

stocks as (
    select
        periods.period_key,
        daily.stage_rank as rank_at_end,
        daily.customers
    from periods
    inner join {{ ref('int_stages__daily') }} as daily
        on periods.brand_id = daily.brand_id and periods.last_on = daily.as_of_date
    where daily.model = '{{ var("star_stage_model") }}'
),

-- People of a layer whom nothing touched in the period are old by definition.
totals as (
    select
        stocks.period_key,
        stocks.rank_at_end,
        'all' as channel,
        'all' as touch_point,
        stocks.customers,
        coalesce(touched.new_customers, 0) as new_customers
    from stocks
    left join touched on stocks.period_key = touched.period_key and stocks.rank_at_end = touched.rank_at_end
    union all
    select
        stocks.period_key,
        stocks.rank_at_end,
        'none' as channel,
        'none' as touch_point,
        stocks.customers - coalesce(touched.customers, 0) as customers,
        0 as new_customers
    from stocks
    left join touched on stocks.period_key = touched.period_key and stocks.rank_at_end = touched.rank_at_end
    union all
    select
        period_key,
        rank_at_end,
        'all' as channel,
        'all' as touch_point,
        customers,
        new_customers
    from touched
    where rank_at_end = 0
),

parts as (
    select * from totals
    union all
    select
        by_both.period_key,
        by_both.rank_at_end,
        keys.channel,
        keys.touch_point,
        by_both.customers,
        by_both.new_customers
    from by_both
    inner join {{ ref('int_star__touch_keys') }} as keys
        on by_both.channel_key = keys.channel_key and by_both.touch_point_key = keys.touch_point_key
    {%- for column, set in {'channel': 'channels', 'touch_point': 'touch_points'}.items() %}
    union all
    select
        sets.period_key,
        sets.rank_at_end,
        {{ "keys.channel, 'all' as touch_point," if column == 'channel' else "'all' as channel, keys.touch_point," }}
        sum(sets.customers) as customers,
        sum(sets.new_customers) as new_customers
    from (
        select
            period_key,
            rank_at_end,
            {{ set }},
            sum(customers) as customers,
            sum(new_customers) as new_customers
        from met_sets
        group by period_key, rank_at_end, {{ set }}
    ) as sets
    inner join (
        select distinct
            {{ column }},
            {{ quanyu.bit_of(column ~ '_key') }} as bit
        from {{ ref('int_star__touch_keys') }}
    ) as keys on (sets.{{ set }} & keys.bit) <> 0
    group by sets.period_key, sets.rank_at_end, keys.{{ column }}
    {%- endfor %}
),

-- Layers exclude each other, so their sum is the distinct count.
with_all_layers as (
    select
        parts.period_key,
        coalesce(stages.stage, 'none') as layer,
        parts.channel,
        parts.touch_point,
        parts.customers,
        parts.new_customers
    from parts
    left join {{ ref('stages') }} as stages
        on
            stages.model = '{{ var("star_stage_model") }}'
            and parts.rank_at_end = stages.{{ adapter.quote('rank') }}
    union all
    select
        period_key,
        'all' as layer,
        channel,
        touch_point,
        sum(customers) as customers,
        sum(new_customers) as new_customers
    from parts
    where rank_at_end > 0
    group by period_key, channel, touch_point
),

star_scaling as (
    select
        cast(periods.brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(periods.period_kind as {{ dbt.type_string() }}) as period_kind,
        cast(periods.period_id as {{ dbt.type_string() }}) as period_id,
        cast(counted.layer as {{ dbt.type_string() }}) as layer,
        cast(counted.channel as {{ dbt.type_string() }}) as channel,
        cast(counted.touch_point as {{ dbt.type_string() }}) as touch_point,
        periods.starts_on,
        periods.last_on,
        periods.is_complete,
        cast(counted.customers as bigint) as customers,
        cast(counted.new_customers as bigint) as new_customers,
        cast(counted.customers - counted.new_customers as bigint) as old_customers
    from with_all_layers as counted
    inner join periods on counted.period_key = periods.period_key
    where counted.customers > 0
)

select * from star_scaling
order by brand_id, period_kind, period_id, layer, channel, touch_point
