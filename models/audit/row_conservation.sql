-- Grain: one row per admitted batch of an entity.
-- Why: the law that nothing is lost: landed = accepted + duplicate + superseded + quarantined + erased. `landed`
--      is counted by the intake when it reads the files, the rest by staging.
-- Not here: held batches, which are not in the warehouse.
with batches as (
    select
        entity,
        batch,
        batch_date,
        load_number,
        landed_rows
    from {{ ref('batches') }}
    where load_number is not null
),

fates as (
    {%- for entity in quanyu.base_entities() %}
    select
        '{{ entity }}' as entity,
        _batch as batch,
        _landed_load as load_number,
        _fate as fate,
        count(*) as row_count
    from {{ ref('base_landing__' ~ entity) }}
    where _fate <> 'withdrawn'
    group by _batch, _landed_load, _fate
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        entity,
        batch,
        load_number,
        sum(case when fate = 'accepted' then row_count else 0 end) as accepted_rows,
        sum(case when fate = 'duplicate' then row_count else 0 end) as duplicate_rows,
        sum(case when fate = 'superseded' then row_count else 0 end) as superseded_rows,
        sum(case when fate = 'quarantined' then row_count else 0 end) as quarantined_rows,
        sum(case when fate = 'erased' then row_count else 0 end) as erased_rows
    from fates
    group by entity, batch, load_number
),

-- A full join: rows of a batch that the registry does not know would be as wrong as rows that are missing.
row_conservation as (
    select
        coalesce(batches.entity, counted.entity) as entity,
        coalesce(batches.batch, counted.batch) as batch,
        batches.batch_date,
        coalesce(batches.load_number, counted.load_number) as load_number,
        cast(coalesce(batches.landed_rows, 0) as bigint) as landed_rows,
        cast(coalesce(counted.accepted_rows, 0) as bigint) as accepted_rows,
        cast(coalesce(counted.duplicate_rows, 0) as bigint) as duplicate_rows,
        cast(coalesce(counted.superseded_rows, 0) as bigint) as superseded_rows,
        cast(coalesce(counted.quarantined_rows, 0) as bigint) as quarantined_rows,
        cast(coalesce(counted.erased_rows, 0) as bigint) as erased_rows
    from batches
    full outer join counted
        on
            batches.entity = counted.entity
            and batches.batch = counted.batch
            and batches.load_number = counted.load_number
)

select * from row_conservation
order by entity, batch
