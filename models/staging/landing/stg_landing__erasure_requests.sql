-- Grain: one row per identifier_type, identifier_value, requested_at.
-- Why: the accepted erasure requests, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__erasure_requests and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__erasure_requests') }}
    where _fate = 'accepted'
),

stg_landing__erasure_requests as (
    select
        identifier_type,
        identifier_value,
        identifier_key,
        requested_at,
        cast(requested_at as date) as requested_on
    from accepted
)

select * from stg_landing__erasure_requests
