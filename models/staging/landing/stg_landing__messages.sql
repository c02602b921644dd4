-- Grain: one row per message_id.
-- Why: the accepted messages, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__messages and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__messages') }}
    where _fate = 'accepted'
),

stg_landing__messages as (
    select
        message_id,
        channel,
        campaign_id,
        identifier_type,
        identifier_value,
        identifier_key,
        sent_at,
        cast(sent_at as date) as sent_on,
        delivered_at,
        opened_at,
        clicked_at,
        failed_reason,
        unsubscribed_at,
        is_control
    from accepted
)

select * from stg_landing__messages
