"""Random histories: what the refreshes add up to is what a rebuild from the same lake gives.

QUANYU_IDENTITY_HISTORIES (10) histories run side by side, each in its own identifiers, in each of
QUANYU_IDENTITY_SEQUENCES (1) orders of delivery.
"""

from __future__ import annotations

import os
import random

import pytest
from identity_world import COLUMNS, DAYS, History, Warehouse

HISTORIES = int(os.environ.get("QUANYU_IDENTITY_HISTORIES", "10"))
SEQUENCES = int(os.environ.get("QUANYU_IDENTITY_SEQUENCES", "1"))
STEPS = int(os.environ.get("QUANYU_IDENTITY_STEPS", "3"))

MODELS = (
    "+customer_day", "+customers", "+int_identity__customer_map", "+dim_customers",
    "+bridge_customer_identifiers", "+identity_evidence", "+identity_refusals", "+fct_identity_merges",
    "+identity_quality", "+fct_membership_spells",
)  # fmt: skip
TABLES = {
    "identity.int_identity__resolution": "_refresh, as_of_date, _settings",
    "identity.dim_customers": "_refresh",
    "identity.bridge_customer_identifiers": "",
    "identity.identity_evidence": "_refresh",
    "identity.identity_refusals": "",
    "identity.fct_identity_merges": "_refresh",
    "lifecycle.fct_touchpoints": "_refresh",
    "lifecycle.fct_orders": "",
    "lifecycle.fct_membership_spells": "",
    "lifecycle.customer_day": "_refresh",
    "marts.customers": "",
    "marts.identity_quality": "",
}


@pytest.mark.parametrize("sequence", range(SEQUENCES))
def test_refreshes_add_up_to_a_rebuild(tmp_path, sequence):
    rng = random.Random(1_000 + sequence)
    warehouse = Warehouse(tmp_path)
    histories = [History(number, random.Random(rng.random())) for number in range(HISTORIES)]
    overrides: list[dict] = []
    warehouse.dbt("seed")
    for step in range(STEPS):
        batches = {(rng.choice(list(COLUMNS)), rng.choice(DAYS)) for _ in range(12)}
        warehouse.land(
            {key: [row for h in histories for row in h.deliver(*key)] for key in sorted(batches)}
        )
        overrides = [row for row in overrides if rng.random() < 0.6]
        overrides += [h.override() for h in histories if rng.random() < 0.5]
        warehouse.override(overrides)
        before = _customers(warehouse) if step else {}
        as_of = rng.choice(DAYS[2:]) if rng.random() < 0.4 else ""
        warehouse.dbt("run", "--select", *MODELS, as_of=as_of)
        _survivors_keep_their_ids(warehouse, before)
        if step == STEPS - 1 or (step % 3 == 1 and STEPS > 3):
            _equals_a_rebuild(warehouse, overrides, as_of)


def _equals_a_rebuild(warehouse: Warehouse, overrides: list[dict], as_of: str) -> None:
    rebuilt = warehouse.root / "rebuilt" / "warehouse.duckdb"
    rebuilt.parent.mkdir(exist_ok=True)
    rebuilt.unlink(missing_ok=True)
    warehouse.dbt("seed", database=rebuilt)
    warehouse.override(overrides, database=rebuilt)
    warehouse.dbt("run", "--select", *MODELS, database=rebuilt, as_of=as_of)
    differences = {}
    for table, technical in TABLES.items():
        excluded = f"exclude ({technical})" if technical else ""
        sql = f"select * {excluded} from {table} order by all"
        kept, fresh = warehouse.rows(sql), warehouse.rows(sql, database=rebuilt)
        if kept != fresh:
            differences[table] = (sorted(set(kept) - set(fresh), key=str)[:3],
                                  sorted(set(fresh) - set(kept), key=str)[:3])  # fmt: skip
    assert not differences, differences


def _customers(warehouse: Warehouse) -> dict[int, int]:
    """People (no devices), each with the order in which the first identifier was seen."""
    return dict(
        warehouse.rows(
            """
            select distinct resolution.customer_key, identifiers.first_seen_order
            from identity.int_identity__resolution as resolution
            inner join identity.int_identity__identifiers as identifiers
                on resolution.customer_key = identifiers.identifier_key
            inner join reference.identifier_types as types
                on identifiers.identifier_type = types.identifier_type and types.joins_people
            """
        )
    )


def _survivors_keep_their_ids(warehouse: Warehouse, before: dict[int, int]) -> None:
    """The id of a person goes only when its first identifier goes or is found to be an older customer's."""
    after = _customers(warehouse)
    seen = dict(
        warehouse.rows(
            "select identifier_key, first_seen_order from identity.int_identity__identifiers"
        )
    )
    owners = dict(
        warehouse.rows(
            "select identifier_key, customer_key from identity.int_identity__customer_map"
        )
    )
    for customer in before.keys() - after.keys():
        owner = owners.get(customer)
        assert owner is None or (after[owner], owner) < (seen[customer], customer)
