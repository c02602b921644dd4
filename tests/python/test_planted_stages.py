"""The stages that were planted in the demo world, against the spells of the warehouse that was built from its files."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

# Piece 0 of a person holds the identifiers under which the truth counts its events; one that only ever landed as a hash
# is known by the hash.
SPELLS = """
    with people as (
        select distinct identifiers.person_id, map.customer_id
        from read_parquet('{truth}/identifiers.parquet') as identifiers
        join identity.int_identity__customer_map as map
            on identifiers.identifier_type = map.identifier_type
            and map.identifier_value in (identifiers.normalised_value, identifiers.identifier_value)
        where identifiers.piece = 0 and identifiers.is_linkable
    ),
    as_of as (select as_of_date from reference.as_of),
    truth as (
        select person_id, brand_id, stage, valid_from, case when not is_open then valid_to end as valid_to
        from read_parquet('{truth}/{model}_daily.parquet') where is_exact
    ),
    found as (
        select people.person_id, spells.brand_id, spells.stage, spells.valid_from,
            case when spells.valid_to <= as_of_date then spells.valid_to end as valid_to
        from lifecycle.fct_stage_spells as spells
        join people using (customer_id), as_of
        where spells.model = '{model}' and spells.valid_from <= as_of_date
            and person_id in (select person_id from truth)
    )
"""


@pytest.mark.parametrize(("model", "stages"), [("aipl", 4), ("lifecycle", 5)])
def test_spells_are_those_that_were_planted(world: Path, warehouse: Path, model: str, stages: int):
    sql = SPELLS.format(truth=world / "truth", model=model)
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        planted, people, kinds = connection.execute(
            f"{sql} select count(*), count(distinct person_id), count(distinct stage) from truth"
        ).fetchone()
        differences = connection.execute(f"""
            {sql}
            (select 'planted, not found' as what, * from (from truth except from found))
            union all (select 'found, not planted', * from (from found except from truth))
            order by all
        """).fetchall()
    assert people > 100 and planted > 2 * people and kinds == stages
    assert differences == []
