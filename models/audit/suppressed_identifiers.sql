-- Grain: one row per erased identifier and time for which it is erased (suppressed_key, valid_from).
-- Why: rows that name it again, whenever they land, lose it before anything is made of them.
-- Not here: the identifier; its salted hash is all that is kept.
with listed as (
    {{ quanyu.lake_ledger('suppressed', [
        ('suppressed_key', 'bigint'), ('customer_id', dbt.type_string()), ('identifier_type', dbt.type_string()),
        ('is_forever', 'boolean'), ('valid_from', quanyu.type_local_timestamp()),
        ('valid_to', quanyu.type_local_timestamp()), ('erasure_number', 'integer'),
        ('requested_at', quanyu.type_local_timestamp()), ('since_refresh', 'bigint'), ('salt_check', dbt.type_string()),
    ]) }}
),

suppressed_identifiers as (
    select
        suppressed_key,
        customer_id,
        identifier_type,
        is_forever,
        valid_from,
        valid_to,
        erasure_number,
        requested_at,
        since_refresh
    from listed
)

select * from suppressed_identifiers
order by suppressed_key, valid_from
