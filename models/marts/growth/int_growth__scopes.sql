-- Grain: one row per brand and channel, and one with the channel `all` per brand.
-- Why: a small number for what growth is counted by, so that ten million rows are grouped by numbers.
-- Not here: channels that nothing has happened in by the as-of date.
{{ config(schema='lifecycle', access='protected', contract={'enforced': false}) }}

with as_of as (
    select as_of_date from {{ ref('as_of') }}
),

found as (
    select
        brand_id,
        coalesce(channel, 'unknown') as channel
    from {{ ref('stg_landing__touchpoints') }}
    where occurred_on <= (select as_of.as_of_date from as_of)
    group by brand_id, coalesce(channel, 'unknown')
    union
    select
        brand_id,
        coalesce(channel, 'unknown') as channel
    from {{ ref('fct_orders') }}
    union
    select
        campaigns.brand_id,
        coalesce(costs.channel, campaigns.channel, 'unknown') as channel
    from {{ ref('stg_landing__campaign_costs') }} as costs
    inner join {{ ref('stg_landing__campaigns') }} as campaigns on costs.campaign_id = campaigns.campaign_id
    where costs.spent_on <= (select as_of.as_of_date from as_of)
    union
    select
        brand_id,
        coalesce(join_channel, 'unknown') as channel
    from {{ ref('fct_membership_spells') }}
),

with_all as (
    select
        brand_id,
        channel
    from found
    union
    select
        brand_id,
        'all' as channel
    from found
),

numbered as (
    select
        brand_id,
        channel,
        cast(row_number() over (order by brand_id, channel) as integer) as scope_key
    from with_all
),

int_growth__scopes as (
    select
        numbered.scope_key,
        brands.scope_key as brand_scope_key,
        numbered.brand_id,
        numbered.channel,
        case when numbered.channel = 'all' then 'all' else coalesce(channels.domain, 'unknown') end as channel_domain
    from numbered
    inner join numbered as brands on numbered.brand_id = brands.brand_id and brands.channel = 'all'
    left join {{ ref('channels') }} as channels on numbered.channel = channels.channel
)

select * from int_growth__scopes
