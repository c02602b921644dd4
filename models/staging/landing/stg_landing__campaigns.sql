-- Grain: one row per campaign_id.
-- Why: the accepted campaigns, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__campaigns and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__campaigns') }}
    where _fate = 'accepted'
),

stg_landing__campaigns as (
    select
        campaign_id,
        brand_id,
        name as campaign_name,
        scenario,
        channel,
        starts_on,
        ends_on,
        budget as budget_amount
    from accepted
)

select * from stg_landing__campaigns
