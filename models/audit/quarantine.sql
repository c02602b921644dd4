-- Grain: one row per landed row that cannot be used (entity, batch, file, row_number).
-- Why: nothing is lost; says where the row is, what is wrong with it and what to do.
-- Not here: held batches (audit.batches). Raw rows may hold personal data: this table is never published.
with quarantined as (
    {%- for entity in quanyu.base_entities() %}
    select
        '{{ entity }}' as entity,
        _batch as batch,
        _file as file,
        _row as row_number,
        _reasons as reasons,
        _raw as raw_row
    from {{ ref('base_landing__' ~ entity) }}
    where _fate = 'quarantined'
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

quarantine as (
    select
        entity,
        batch,
        file,
        row_number,
        reasons,
        raw_row
    from quarantined
)

select * from quarantine
order by entity, batch, file, row_number
