-- Grain: one row per campaign_id, date, channel.
-- Why: the accepted campaign costs, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__campaign_costs and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__campaign_costs') }}
    where _fate = 'accepted'
),

stg_landing__campaign_costs as (
    select
        campaign_id,
        date as spent_on,
        channel,
        impressions,
        clicks,
        cost as cost_amount
    from accepted
)

select * from stg_landing__campaign_costs
