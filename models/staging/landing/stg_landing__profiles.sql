-- Grain: one row per source_system, identifier_type, identifier_value.
-- Why: the accepted profiles, typed and normalised, one row per key.
-- Not here: duplicates, superseded and quarantined rows; base_landing__profiles and the audit models hold them.
with accepted as (
    select * from {{ ref('base_landing__profiles') }}
    where _fate = 'accepted'
),

stg_landing__profiles as (
    select
        source_system,
        identifier_type,
        identifier_value,
        identifier_key,
        name,
        gender,
        birth_date,
        phone,
        email,
        province,
        city,
        address,
        updated_at
    from accepted
)

select * from stg_landing__profiles
