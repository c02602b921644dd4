-- Grain: one row per erasure request that has been carried out (erasure_number).
-- Why: says that and when it was done, and how much it took with it, without saying to whom.
-- Not here: where it was done; erasure_proof lists every table, file and version.
with carried_out as (
    {{ quanyu.lake_ledger('erasures', [
        ('erasure_number', 'integer'), ('request_file', dbt.type_string()), ('request_row', 'bigint'),
        ('requested_at', quanyu.type_local_timestamp()), ('cause', dbt.type_string()), ('identifiers', 'integer'),
        ('customers', 'integer'), ('since_refresh', 'bigint'), ('carried_out_at', 'timestamp'),
    ]) }}
),

erasures as (
    select
        erasure_number,
        request_file,
        request_row,
        requested_at,
        cause,
        identifiers,
        customers,
        since_refresh,
        carried_out_at
    from carried_out
)

select * from erasures
order by erasure_number
