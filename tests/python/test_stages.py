"""Stages, flows and FAST of real builds against the slow reading of METRICS (tests/oracle)."""

from __future__ import annotations

import csv
import os
import zlib
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from demo.world import build as build_world
from tests.oracle import demo_landing, facts, histories, stages
from tests.oracle.compare import differences, spells_of
from tests.oracle.warehouse import PROJECT, Warehouse

LANDINGS = Path(
    os.environ.get("QUANYU_REAL_LANDINGS", Path(__file__).parents[3] / "shared" / "landing")
)
HISTORIES = int(os.environ.get("QUANYU_STAGE_HISTORIES", "30"))
SEED = int(os.environ.get("QUANYU_STAGE_SEED", "1"))
ENGINE = ["customer_day", "int_stages__stays", "int_stages__spells", "fct_stage_spells"]
LEDGER = [
    "int_stages__calendar",
    "int_stages__daily",
    "stage_flows",
    "fast_daily",
    "published_figures",
]
SPELLS = """
    select model, brand_id, customer_key, stage, valid_from, valid_to, previous_stage, next_stage
    from lifecycle.int_stages__spells order by all
"""


def _answers(landing: Path, as_of: date, **options):
    with (PROJECT / "seeds" / "promotion_calendar.csv").open(
        encoding="utf-8", newline=""
    ) as handle:
        return stages.answer(
            stages.read_landing(landing, as_of), as_of, list(csv.DictReader(handle)), **options
        )


def _rows(warehouse: Warehouse, sql: str) -> list[tuple]:
    with duckdb.connect(str(warehouse.database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> tuple[Warehouse, Path]:
    """Random histories landed in two batches and built twice; one row in ten of the first batch comes with the second."""
    root = tmp_path_factory.mktemp("histories")
    landing = histories.make(HISTORIES, SEED)
    warehouse = Warehouse(root / "workspace")
    landing.write(root / "landing", {histories.FIRST_BATCH})
    landing.write(root / "first", {histories.FIRST_BATCH})
    warehouse.admit(root / "landing")
    warehouse.build()
    first_day = date.fromisoformat(histories.FIRST_BATCH)
    assert differences(warehouse.database, _answers(root / "landing", first_day), first_day) == []
    landing.write(root / "landing")
    warehouse.admit(root / "landing")
    warehouse.build()
    return warehouse, root / "landing"


def test_random_histories_agree_with_the_slow_reading_after_late_data(grown):
    warehouse, landing = grown
    as_of = histories.AS_OF.date()
    assert differences(warehouse.database, _answers(landing, as_of), as_of) == []


def test_the_facts_below_the_stages_agree_with_a_plain_reading_of_the_landing(grown):
    """Orders less what came back, touch-points, memberships and relationships, each with all its columns."""
    warehouse, landing = grown
    read = facts.Landing(landing, histories.AS_OF.date())
    assert read.orders and read.touchpoints and read.memberships and read.relationships
    with duckdb.connect(str(warehouse.database), read_only=True) as connection:
        assert [x for wrong in facts.comparisons(read).values() for x in wrong(connection)] == []


METRICS = [
    "fertility",
    "fertility_active",
    "advancing_base",
    "advancing_deepened",
    "superiority",
    "superiority_super",
    "thriving_active_30d",
    "thriving_active_180d",
]


def _changed_people(before: Path, after: Path, as_of: date) -> set[tuple[str, str]]:
    """Identifiers of customers known before whose identifiers came or went: merged and split ones."""
    old, new = (stages.people(landing, as_of) for landing in (before, after))
    known = {who for _, who in stages.read_landing(before, as_of)} | set(old)
    identifiers = known | set(new)

    def together(names, one):
        name = names.get(one, one)
        return {other for other in identifiers if names.get(other, other) == name}

    changed = [one for one in known if together(old, one) != together(new, one)]
    return {other for one in changed for names in (old, new) for other in together(names, one)}


def test_every_published_figure_that_changed_is_in_the_ledger_with_its_causes(grown):
    warehouse, landing = grown
    early, late = date.fromisoformat(histories.FIRST_BATCH), histories.AS_OF.date()
    first = landing.parent / "first"

    def figures(root: Path, as_of: date, keep=lambda identifier: True) -> dict:
        return stages.answer(stages.read_landing(root, as_of, keep), as_of, is_whole=False).fast

    published, now = figures(first, early), figures(landing, late)
    moved = _changed_people(first, landing, early)
    old_share, new_share = (
        figures(root, as_of, lambda one: one in moved)
        for root, as_of in ((first, early), (landing, late))
    )
    expected = set()
    for (brand, day), row in published.items():
        for metric in METRICS:
            old, new = row[metric], now[brand, day][metric]
            if old == new:
                continue
            key = (brand, day)
            by_identity = new_share.get(key, {}).get(metric, 0) - old_share.get(key, {}).get(
                metric, 0
            )
            for cause, change in (
                ("identity changed", by_identity),
                ("rows changed", new - old - by_identity),
            ):
                if change:
                    expected.add((*key, metric, old, new, cause, change))
    found = set(
        _rows(
            warehouse,
            """
        select brand_id, as_of_date, metric, old_figure, new_figure, cause, change from audit.restatements
        where cause <> 'rules changed'
    """,
        )
    )
    assert found == expected
    assert {row[5] for row in found} == {"identity changed", "rows changed"}
    assert _rows(warehouse, "select * from audit.restatements where cause = 'rules changed'") == []


def test_the_same_day_built_again_changes_nothing_and_equals_a_full_build(grown):
    warehouse, _ = grown
    stamped = SPELLS.replace("select", "select _refresh,")
    before = _rows(warehouse, stamped)
    warehouse.build(select=ENGINE)
    assert _rows(warehouse, stamped) == before
    tables = [SPELLS] + [
        f"select * exclude (_refresh) from lifecycle.{table} order by all"
        for table in ("customer_day", "fct_relationship_spells", "int_stages__origins")
    ]
    incremental = [_rows(warehouse, table) for table in tables]
    warehouse.build(
        "--full-refresh", select=["fct_relationship_spells", "int_stages__origins", *ENGINE]
    )
    assert [_rows(warehouse, table) for table in tables] == incremental


def test_customers_in_parts_have_the_stays_of_customers_together(grown):
    """A large warehouse is built so (macros/engine/parts.sql)."""
    warehouse, _ = grown
    warehouse.build("--full-refresh", select=["int_stages__stays"])
    (compiled,) = (warehouse.workspace / "target").glob("compiled/**/int_stages__stays.sql")
    everybody = "1 = 0 /* all customers */"
    assert everybody in compiled.read_text()
    parts = [
        set(_rows(warehouse, compiled.read_text().replace(everybody, f"3 = {part}")))
        for part in range(3)
    ]
    together = set(_rows(warehouse, "select * from lifecycle.int_stages__stays"))
    assert all(parts) and sum(map(len, parts)) == len(together)
    assert set.union(*parts) == together


def test_a_seventh_model_is_seed_rows_and_changed_rules_keep_or_restate_history_on_purpose(grown):
    warehouse, landing = grown
    with duckdb.connect(str(warehouse.database)) as connection:
        connection.execute("""
            insert into reference.stage_models (model, version, in_force_from, is_published)
            values ('seventh', 1, null, true), ('seventh', 2, date '2024-03-15', true);
            insert into reference.stages (model, stage, rank)
            values ('seventh', 'busy', 1), ('seventh', 'spender', 2), ('seventh', 'fan', 3), ('seventh', 'regular', 4);
            insert into reference.stage_behaviours (behaviour, source, name, value_from, value_below, value_unknown)
            values ('look_or_buy', 'touchpoint', 'product_view', null, null, null),
                   ('look_or_buy', 'purchase', 'valid', null, null, null);
            insert into reference.stage_rules
            select 'seventh', v, rules.* from (values (1), (2)) as versions (v), (values
                ('busy', 1, 1, 'any_touchpoint', 'events', 3, 20),
                ('spender', 1, 1, 'purchase', 'amount', 20, 100),
                ('fan', 1, 1, 'look_or_buy', 'days', 3, 60),
                ('fan', 2, 1, 'follower', 'relationship', null, null),
                ('fan', 2, 2, 'any_touchpoint', 'events', 2, 30)
            ) as rules;
            insert into reference.stage_rules values
                ('seventh', 1, 'regular', 1, 1, 'purchase', 'events', 3, null),
                ('seventh', 2, 'regular', 1, 1, 'purchase', 'events', 2, null);
            delete from reference.stage_rules where model = 'aipl' and behaviour in ('ad_impression', 'login');
        """)
    warehouse.run(select=["int_stages__spells_replaced", *ENGINE, *LEDGER])
    as_of = histories.AS_OF.date()
    changed = date(2024, 3, 15).toordinal()

    def seventh(c: stages.Customer, day: int) -> str | None:
        orders = [
            (on, amount)
            for on, amount, refunds in c.orders
            if on <= day and sum(a for back, a in refunds if back <= day) < amount
        ]
        touches = [x for x in c.touch_days if x <= day]
        looks = {x for x in c.days.get("product_view", ()) if day - 60 < x <= day}
        if len(orders) >= (2 if day >= changed else 3):
            return "regular"
        if len(looks | {on for on, _ in orders if day - 60 < on}) >= 3:
            return "fan"
        if "follower" in c.live(day) and len([x for x in touches if day - 30 < x]) >= 2:
            return "fan"
        if sum((amount for on, amount in orders if day - 100 < on), Decimal(0)) >= 20:
            return "spender"
        return "busy" if len([x for x in touches if day - 20 < x]) >= 3 else None

    expected = stages.spells(stages.read_landing(landing, as_of), as_of, {"seventh": seventh})
    found = {k: v for k, v in spells_of(warehouse.database, as_of).items() if k[0] == "seventh"}
    assert {s[0] for spells in found.values() for s in spells} == {
        "busy",
        "spender",
        "fan",
        "regular",
    }
    assert found == expected

    restated = _rows(
        warehouse,
        """
        select metric, cause, sum(change), sum(new_figure - old_figure) from audit.restatements
        where restated_at = (select max(restated_at) from audit.restatements)
        group by all order by all
        """,
    )
    assert {metric for metric, *_ in restated} >= {"fertility", "fertility_active"}
    assert {cause for _, cause, *_ in restated} == {"rules changed"}
    assert all(change == whole for *_, change, whole in restated)
    assert next(change for metric, _, change, _ in restated if metric == "fertility") < 0


@pytest.mark.skipif(not LANDINGS.is_dir(), reason=f"no real landings at {LANDINGS}")
def test_taobao_agrees_with_the_slow_reading(tmp_path):
    warehouse = Warehouse(tmp_path)
    warehouse.admit(LANDINGS / "taobao")
    warehouse.build()
    as_of = date(2017, 12, 3)
    assert (
        differences(warehouse.database, _answers(LANDINGS / "taobao", as_of, is_whole=False), as_of)
        == []
    )


@pytest.mark.skipif(not LANDINGS.is_dir(), reason=f"no real landings at {LANDINGS}")
def test_a_slice_of_online_retail_agrees_with_the_slow_reading(tmp_path):
    as_of = date(2011, 12, 9)
    orders = [
        r
        for r in stages.rows(LANDINGS / "online_retail", "orders", ("source_system", "order_id"))
        if r["identifier_value"] and zlib.crc32(r["identifier_value"].encode()) % 10 == 0
    ]
    people = {r["identifier_value"] for r in orders}
    refunds = [
        r
        for r in stages.rows(LANDINGS / "online_retail", "refunds", ("source_system", "refund_id"))
        if r["identifier_value"] in people
    ]
    for entity, rows in (("orders", orders), ("refunds", refunds)):
        folder = tmp_path / "landing" / entity / f"dt={as_of}"
        folder.mkdir(parents=True)
        with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    warehouse = Warehouse(tmp_path / "workspace")
    warehouse.admit(tmp_path / "landing")
    # The data tests of the whole landing run in test_real_landings.py.
    warehouse.run_all()
    answers = _answers(tmp_path / "landing", as_of, is_whole=False)
    assert len(people) > 400 and len(refunds) > 200
    assert differences(warehouse.database, answers, as_of) == []


@pytest.mark.soak
@pytest.mark.skipif(not LANDINGS.is_dir(), reason=f"no real landings at {LANDINGS}")
def test_every_customer_of_online_retail_agrees_with_the_slow_reading(tmp_path):
    as_of = date(2011, 12, 9)
    warehouse = Warehouse(tmp_path / "workspace")
    warehouse.admit(LANDINGS / "online_retail")
    warehouse.build()
    answers = _answers(LANDINGS / "online_retail", as_of)
    assert len({customer for _, _, customer in answers.spells}) > 4000
    assert differences(warehouse.database, answers, as_of) == []


@pytest.mark.soak
def test_every_customer_of_a_demo_world_of_two_years_agrees_with_the_slow_reading(tmp_path):
    world = build_world(tmp_path / "world", people=600, days=730, progress=lambda said: None)
    warehouse = Warehouse(tmp_path / "workspace")
    warehouse.admit(tmp_path / "world" / "landing")
    warehouse.build(
        select=[
            f"+{mart}"
            for mart in (
                *(*ENGINE, *LEDGER[:-1], "stage_daily", "stage_journeys", "fast_periods"),
                *("fct_stage_transitions", "int_stages__origins"),
            )
        ]
    )
    surfaces = {
        (kind, landed): normal
        for kind, landed, normal in duckdb.sql(
            "select identifier_type, identifier_value, normalised_value "
            f"from '{tmp_path}/world/truth/identifiers.parquet'"
        ).fetchall()
    }
    people = demo_landing.write(
        tmp_path / "world" / "landing", warehouse.database, surfaces, tmp_path / "read"
    )
    as_of = date.fromisoformat(world.until)
    answers = _answers(tmp_path / "read", as_of, is_person=people.__contains__, is_whole=False)
    days = {day for _, day in answers.fast}
    with_stages = {customer for _, _, customer in answers.spells}
    compared = [len(x) for x in (answers.spells, answers.daily, answers.flows, answers.fast)]
    print(f"{len(with_stages)} customers, {len(days)} days, {compared} spells, stocks, flows, FAST")
    assert len(with_stages) >= 500 and len(days) >= 725
    assert {model for model, *_ in answers.spells} == set(stages.RANKS)
    assert differences(warehouse.database, answers, as_of) == []
