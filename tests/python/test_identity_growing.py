"""Links that only come: components join on the upper level of the map, past the size limit and around hubs, and after each
refresh every identifier stands where a rebuild puts it."""

from __future__ import annotations

import hashlib
import random
import shutil

from identity_world import DAYS, Warehouse

LIMIT, DEGREE, CIRCLES, STEPS = 7, 4, 80, 3
MODELS = ("int_identity__identifiers", "int_identity__links", "int_identity__resolution")
ROWS = "select * exclude (_refresh, as_of_date, _settings) from identity.int_identity__resolution order by all"
# By a weight each, so that there are large groups with and without a conflict.
KINDS = {"openid": 8, "phone": 5, "email": 2, "member_id": 1, "device_id": 1}


def identifier(rng: random.Random, circle: int) -> tuple[str, str]:
    """One of the identifiers of a circle of people; a phone sometimes as its hash."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    which = rng.randrange(2 if kind == "member_id" else 6)
    if kind != "phone":
        return kind, f"{kind}-{circle}-{which}@x.example"
    value = f"1{30_000 + circle:05d}{which:05d}"
    return kind, hashlib.md5(value.encode()).hexdigest() if rng.random() < 0.3 else value


def links(rng: random.Random, day: str) -> list[dict]:
    rows = []
    for circle in range(CIRCLES):
        # Most circles grow in a step, some of them by several links at once.
        for _ in range(rng.choice((0, 2, 3, 4, 6, 8))):
            left, right = identifier(rng, circle), identifier(rng, circle)
            row = {"source_system": "crm", "linked_at": f"{day} {rng.randrange(24):02d}:00:00"}
            row |= {"left_type": left[0], "left_value": left[1]}
            rows.append(row | {"right_type": right[0], "right_value": right[1]})
    return rows


def test_what_only_grows_equals_a_rebuild(tmp_path):
    rng = random.Random(11)
    warehouse = Warehouse(tmp_path, {"max_identifiers_per_customer": LIMIT})
    warehouse.dbt("seed")
    rebuilt = tmp_path / "rebuilt" / "warehouse.duckdb"
    rebuilt.parent.mkdir()
    # As one would edit the seed.
    warehouse.execute(f"update reference.identifier_types set max_degree = {DEGREE}")
    seen: set[tuple] = set()
    for day in DAYS[:STEPS]:
        warehouse.land({("identity_links", day): links(rng, day)})
        warehouse.dbt("run", "--select", "+int_identity__resolution")
        shutil.copy(warehouse.database, rebuilt)
        warehouse.dbt("run", "--full-refresh", "--select", *MODELS, database=rebuilt)
        kept, fresh = warehouse.rows(ROWS), warehouse.rows(ROWS, database=rebuilt)
        assert kept == fresh, sorted(set(kept) ^ set(fresh), key=str)[:6]
        seen |= set(
            warehouse.rows(
                "select distinct guard, parted_by is null from identity.int_identity__resolution"
            )
        )
    # The world was not too tame: whole groups too large, others parted, hubs, and those who are one customer.
    assert {("too_large", True), ("contested", False), ("hub", True), (None, True)} <= seen
