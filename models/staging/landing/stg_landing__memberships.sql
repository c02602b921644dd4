-- Grain: one row per brand_id, member_id, event, occurred_at.
-- Why: the accepted memberships, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__memberships and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__memberships') }}
    where _fate = 'accepted'
),

stg_landing__memberships as (
    select
        brand_id,
        member_id,
        event as membership_event,
        occurred_at,
        cast(occurred_at as date) as occurred_on,
        tier,
        channel,
        store_id,
        staff_id,
        identifier_type,
        identifier_value,
        identifier_key,
        {{ quanyu.member_key() }} as member_key
    from accepted
)

select * from stg_landing__memberships
