-- Grain: one row per landed batch of an entity.
-- Why: says what was loaded, from which files, when first seen, and what is held and why.
-- Not here: rows; row_conservation counts them.
with registry as (
    {{ quanyu.lake_batches() }}
),

batches as (
    select
        entity,
        batch,
        batch_date,
        status,
        load_number,
        first_load_number,
        landed_rows,
        files,
        content_hash,
        reasons,
        warnings,
        held_content_hash,
        held_reasons,
        extra_columns,
        missing_columns,
        first_seen_at,
        loaded_at
    from registry
)

select * from batches
order by entity, batch
