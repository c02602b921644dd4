-- Grain: one row per referral_id.
-- Why: the accepted referrals, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__referrals and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__referrals') }}
    where _fate = 'accepted'
),

stg_landing__referrals as (
    select
        referral_id,
        inviter_type,
        inviter_value,
        inviter_key,
        invitee_type,
        invitee_value,
        invitee_key,
        invited_at,
        cast(invited_at as date) as invited_on,
        accepted_at,
        cast(accepted_at as date) as accepted_on
    from accepted
)

select * from stg_landing__referrals
