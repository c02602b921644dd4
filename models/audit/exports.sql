-- Grain: one row per list that was exported (export_number).
-- Why: says what left the house: which audience by which rules, how many people, and the hash of the file.
-- Not here: the list; it lies in the workspace's folder `exports`.
with logged as (
    {{ quanyu.lake_ledger('exports', [
        ('export_number', 'bigint'), ('folder', dbt.type_string()), ('audience', dbt.type_string()),
        ('brand_id', dbt.type_string()), ('export_channel', dbt.type_string()),
        ('identifier_form', dbt.type_string()), ('as_of_date', 'date'), ('rules_hash', 'bigint'),
        ('members', 'bigint'), ('held_out', 'bigint'), ('without_consent', 'bigint'), ('suppressed', 'bigint'),
        ('capped', 'bigint'), ('without_identifier', 'bigint'), ('customers', 'bigint'),
        ('identifiers', 'bigint'), ('escaped_cells', 'bigint'), ('csv_sha256', dbt.type_string()),
        ('parquet_sha256', dbt.type_string()), ('exported_at', 'timestamp'),
    ]) }}
),

exports as (
    select
        export_number,
        folder,
        audience,
        brand_id,
        export_channel,
        identifier_form,
        as_of_date,
        rules_hash,
        members,
        held_out,
        without_consent,
        suppressed,
        capped,
        without_identifier,
        customers,
        identifiers,
        escaped_cells,
        csv_sha256,
        parquet_sha256,
        exported_at
    from logged
)

select * from exports
order by export_number
