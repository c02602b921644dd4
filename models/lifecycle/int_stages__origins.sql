-- Grain: one row per brand and customer with a touch-point or an order (brand_id, customer_key).
-- Why: the channel that brought the customer to the brand: that of the first touch-point or order that names one.
-- Not here: the channel that brought the first purchase, which campaigns are booked on.
{{ config(
    materialized='incremental', incremental_strategy='replace_touched', post_hook='{{ quanyu.follow_channel_domains() }}',
) }}
-- depends_on: {{ ref('int_lifecycle__touched_customers') }}

with met as (
    select
        brand_id,
        customer_key,
        occurred_at as met_at,
        channel
    from {{ ref('fct_touchpoints') }}
    where
        channel is not null
        {% if is_incremental() %}
        and {{ quanyu.written_since_last_refresh() }}
        and customer_key in ({{ quanyu.touched_since_last_refresh() }})
        {% endif %}
    union all
    select
        brand_id,
        customer_key,
        ordered_at as met_at,
        channel
    from {{ ref('fct_orders') }}
    where
        channel is not null
        and customer_key is not null
        {% if is_incremental() %}
        and customer_key in ({{ quanyu.touched_since_last_refresh() }})
        {% endif %}
),

first_times as (
    select
        brand_id,
        customer_key,
        min(met_at) as met_at
    from met
    group by brand_id, customer_key
),

-- Of channels met in the same second the first by name.
first_channels as (
    select
        met.brand_id,
        met.customer_key,
        min(met.channel) as channel
    from met
    inner join first_times
        on
            met.brand_id = first_times.brand_id
            and met.customer_key = first_times.customer_key
            and met.met_at = first_times.met_at
    group by met.brand_id, met.customer_key
),

int_stages__origins as (
    select
        first_channels.brand_id,
        first_channels.customer_key,
        first_channels.channel as acquisition_channel,
        coalesce(channels.domain, 'unknown') as acquisition_domain,
        cast({{ quanyu.refresh_number() }} as bigint) as _refresh
    from first_channels
    left join {{ ref('channels') }} as channels on first_channels.channel = channels.channel
)

select * from int_stages__origins
