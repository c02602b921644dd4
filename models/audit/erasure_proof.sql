-- Grain: one row per run that erased and place where people could be mentioned (run_number, place_kind, place).
-- Why: shows for every table, lake file, published version and export how many rows named the erased and how many are left.
-- Not here: who was erased (erasures counts them).
with looked_at as (
    {{ quanyu.lake_ledger('erasure_proof', [
        ('run_number', 'integer'), ('place_kind', dbt.type_string()), ('place', dbt.type_string()),
        ('rows_found', 'bigint'), ('rows_left', 'bigint'), ('action', dbt.type_string()), ('proved_at', 'timestamp'),
    ]) }}
),

erasure_proof as (
    select
        run_number,
        place_kind,
        place,
        rows_found,
        rows_left,
        action,
        proved_at
    from looked_at
)

select * from erasure_proof
order by run_number, place_kind, place
