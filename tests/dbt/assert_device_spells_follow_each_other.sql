-- Fails when the spells of a device overlap, leave a gap, or do not cover all time: an event would then have two
-- persons or none.
with spells as (
    select
        identifier_key,
        valid_from,
        lag(valid_to) over (partition by identifier_key order by valid_from asc nulls first) as previous_valid_to,
        row_number() over (partition by identifier_key order by valid_from asc nulls first) as spell_number,
        valid_to,
        lead(valid_from) over (partition by identifier_key order by valid_from asc nulls first) as next_valid_from
    from {{ ref('int_identity__resolution') }}
)

select *
from spells
where
    spell_number = 1 and valid_from is not null
    or spell_number > 1 and (valid_from is null or previous_valid_to is null or valid_from <> previous_valid_to)
    or valid_to is null and next_valid_from is not null
    or valid_to <= valid_from
