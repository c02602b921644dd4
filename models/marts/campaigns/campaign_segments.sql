-- Grain: one row per campaign, dimension (layer before, layer after, RFM class before) and value.
-- Why: whom the campaign reached and whom it made buy: by layer before and at its end, and by RFM class before.
-- Not here: people whom the campaign did not reach. The values of a dimension add up to the people reached.
with campaigns as (
    select * from {{ ref('stg_landing__campaigns') }}
),

counted as (
    {{ quanyu.counted_customers() }}
),

reached as (
    select
        reached.*,
        counted.customer_id,
        campaigns.starts_on
    from {{ ref('int_campaigns__reached') }} as reached
    inner join counted on reached.customer_key = counted.customer_key
    inner join campaigns on reached.campaign_id = campaigns.campaign_id
),

-- The class of the last day with RFM before the campaign began.
class_days as (
    select
        campaigns.campaign_id,
        max(days.as_of_date) as as_of_date
    from campaigns
    inner join (
        select distinct
            brand_id,
            as_of_date
        from {{ ref('rfm_customers') }}
    ) as days on campaigns.brand_id = days.brand_id and campaigns.starts_on > days.as_of_date
    group by campaigns.campaign_id
),

classed as (
    select
        reached.*,
        case
            when class_days.as_of_date is not null then coalesce(rfm.rfm_class, 'none')
        end as rfm_class_before
    from reached
    left join class_days on reached.campaign_id = class_days.campaign_id
    left join {{ ref('rfm_customers') }} as rfm
        on
            class_days.as_of_date = rfm.as_of_date
            and reached.brand_id = rfm.brand_id
            and reached.customer_id = rfm.customer_id
            and rfm.scope = 'all'
),

segments as (
    {%- for dimension in ['layer_before', 'layer_after', 'rfm_class_before'] %}
    select
        brand_id,
        campaign_id,
        '{{ dimension }}' as dimension,
        {{ dimension }} as segment,
        count(*) as customers,
        sum(has_bought) as buyers
    from classed
    where {{ dimension }} is not null
    group by brand_id, campaign_id, {{ dimension }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

campaign_segments as (
    select
        cast(brand_id as {{ dbt.type_string() }}) as brand_id,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id,
        cast(dimension as {{ dbt.type_string() }}) as dimension,
        cast(segment as {{ dbt.type_string() }}) as value,
        cast(customers as bigint) as customers,
        cast(sum(customers) over (partition by campaign_id, dimension) as bigint) as reached_customers,
        cast(customers * 1.0 / sum(customers) over (partition by campaign_id, dimension) as double) as share,
        cast(buyers as bigint) as buyers,
        cast(buyers * 1.0 / customers as double) as buying_rate
    from segments
)

select * from campaign_segments
order by campaign_id, dimension, value
