-- Grain: one row per brand, period kind, period and layer (`all` included).
-- Why: T of STAR: is the structure healthy: share of each layer, of members, reachable people, buyers and repeat buyers
--      in it, and how much hangs on a single channel.
-- Not here: age, sex, region, spending and channel value by value (star_structure).
with structure as (
    select * from {{ ref('star_structure') }}
),

layers as (
    select
        brand_id,
        period_kind,
        period_id,
        layer,
        last_on,
        is_complete,
        max(layer_customers) as customers,
        {%- for dimension in ['member', 'reachable', 'buyer', 'repeat_buyer'] %}
        sum(case when dimension = '{{ dimension }}' and value = 'yes' then customers else 0 end) as {{ dimension }}s,
        {%- endfor %}
        -- Shares squared in whole numbers, so that the order of rows cannot move the last digit.
        sum(
            case when dimension = 'channel' then cast(customers as decimal(18, 0)) * customers else 0 end
        ) as channel_squares
    from structure
    group by brand_id, period_kind, period_id, layer, last_on, is_complete
),

totals as (
    select
        brand_id,
        period_kind,
        period_id,
        customers
    from layers
    where layer = 'all'
),

star_triangulating as (
    select
        layers.brand_id,
        layers.period_kind,
        layers.period_id,
        layers.layer,
        layers.last_on,
        layers.is_complete,
        cast(layers.customers as bigint) as customers,
        cast(totals.customers as bigint) as all_customers,
        cast(layers.customers * 1.0 / totals.customers as double) as layer_share,
        {%- for dimension in ['member', 'reachable', 'buyer', 'repeat_buyer'] %}
        cast(layers.{{ dimension }}s as bigint) as {{ dimension }}_customers,
        cast(layers.{{ dimension }}s * 1.0 / layers.customers as double) as {{ dimension }}_share,
        {%- endfor %}
        cast(
            cast(layers.channel_squares as double) / (cast(layers.customers as double) * layers.customers) as double
        ) as channel_hhi
    from layers
    inner join totals
        on
            layers.brand_id = totals.brand_id
            and layers.period_kind = totals.period_kind
            and layers.period_id = totals.period_id
)

select * from star_triangulating
order by brand_id, period_kind, period_id, layer
