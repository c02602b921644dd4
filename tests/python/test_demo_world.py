"""The demo world keeps its promises: same bytes, whole contract, and a truth that can be recounted.

Everything here reads the landing files with the plain readers below, which share no code with the
generator's writers: what they accept must be what the planted truth says.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import json
from collections import Counter, defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from demo import stages
from demo import vocabulary as v
from demo.__main__ import main
from demo.campaigns import PLANTED_UPLIFT
from demo.seasons import World
from demo.world import build

PEOPLE, DAYS, SEED = 250, 150, 7
UNTIL = dt.date(2026, 6, 30)
SHANGHAI = dt.timezone(dt.timedelta(hours=8))
MAX_TEXT = 1_000  # anything longer than this is no identifier


def quiet(_: str) -> None:
    """Swallow progress lines."""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A small world of 150 days."""
    out = tmp_path_factory.mktemp("world") / "demo"
    build(out, people=PEOPLE, seed=SEED, until=UNTIL, days=DAYS, progress=quiet)
    return out


@pytest.fixture(scope="module")
def landed(world) -> dict[str, list[Row]]:
    """Every landed row by entity, in batch, file and row order."""
    return {entity: list(read_entity(world / "landing" / entity)) for entity in v.CONTRACT}


@pytest.fixture(scope="module")
def judged(landed) -> dict[str, Judged]:
    """Accepted rows and counts by entity, by the rules of the contract."""
    return {entity: judge(entity, rows) for entity, rows in landed.items()}


class Row:
    """A landed row: its batch date (None when undated), cells as text, and whether it is ragged."""

    def __init__(self, batch: dt.date | None, cells: dict, ragged: bool = False) -> None:
        self.batch, self.cells, self.ragged = batch, cells, ragged


class Judged:
    """Accepted rows of an entity as parsed cells, and Counters by batch."""

    def __init__(self) -> None:
        self.accepted: list[dict] = []
        self.counts: dict[str, Counter] = defaultdict(Counter)


def read_entity(folder: Path):
    """Rows of an entity in landing order."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        dated = path.parent.name.startswith("dt=")
        batch = dt.date.fromisoformat(path.parent.name[3:]) if dated else None
        yield from read_file(path, batch)


def read_file(path: Path, batch: dt.date | None):
    """Rows of one file, whatever its format."""
    if path.suffix == ".parquet":
        for cells in pq.read_table(path).to_pylist():
            yield Row(batch, {name: as_text(value) for name, value in cells.items()})
        return
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    if path.suffix == ".jsonl":
        for line in text.splitlines():
            cells = json.loads(line, parse_float=str, parse_int=str)
            yield Row(batch, {name: as_text(value) for name, value in cells.items()})
        return
    lines = csv.reader(text.splitlines())
    header = next(lines)
    for fields in lines:
        cells = dict(zip(header, [field or None for field in fields], strict=False))
        yield Row(batch, cells, ragged=len(fields) != len(header))


def as_text(value) -> str | None:
    """A cell as text."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return None if value is None else str(value)


def parse_time(text: str) -> dt.datetime:
    """A landed time as naive local time."""
    moment = dt.datetime.fromisoformat(text)
    return moment.astimezone(SHANGHAI).replace(tzinfo=None) if moment.tzinfo else moment


def parse_row(entity: str, row: Row) -> dict | None:
    """Cells in their types, or None for a row that cannot be used."""
    if row.ragged:
        return None
    cells = {name: row.cells.get(name) for name in v.CONTRACT[entity]}
    if any(cells[name] is None for name in v.REQUIRED[entity]):
        return None
    if any(len(text) > MAX_TEXT for text in cells.values() if text):
        return None
    try:
        for name in v.TIME_COLUMNS.get(entity, ()):
            cells[name] = cells[name] and parse_time(cells[name])
        for name in v.DATE_COLUMNS.get(entity, ()):
            cells[name] = cells[name] and dt.date.fromisoformat(cells[name])
        for name in v.MONEY_COLUMNS.get(entity, ()):
            cells[name] = cells[name] and Decimal(cells[name])
        for name in v.INTEGER_COLUMNS.get(entity, ()):
            cells[name] = cells[name] and int(cells[name])
    except (ValueError, InvalidOperation):
        return None
    return cells if is_usable(entity, cells, row.batch) else None


def is_usable(entity: str, cells: dict, batch: dt.date | None) -> bool:
    """Whether a parsed row passes the vocabulary and range checks of the contract."""
    for name in v.MONEY_COLUMNS.get(entity, ()):
        if cells[name] is not None and (cells[name].is_nan() or cells[name] < 0):
            return False
    for name in v.TIME_COLUMNS.get(entity, ()):
        if cells[name] is not None and batch and cells[name].date() > batch:
            return False
    for name, known in (
        ("event_type", v.EVENT_TYPES),
        ("identifier_type", v.IDENTIFIER_TYPES),
        ("left_type", v.IDENTIFIER_TYPES),
        ("right_type", v.IDENTIFIER_TYPES),
        ("inviter_type", v.IDENTIFIER_TYPES),
        ("status", v.ORDER_STATUSES),
        ("event", v.MEMBERSHIP_EVENTS),
    ):
        if cells.get(name) is not None and cells[name] not in known:
            return False
    return "E+" not in (cells.get("order_id") or "")


def judge(entity: str, rows: list[Row]) -> Judged:
    """Split rows into accepted, quarantined, duplicate and superseded ones."""
    out = Judged()
    keyed: dict[tuple, list[tuple[dt.date | None, dict]]] = defaultdict(list)
    for row in rows:
        out.counts["landed"][row.batch] += 1
        cells = parse_row(entity, row)
        if cells is None:
            out.counts["quarantined"][row.batch] += 1
        else:
            key = tuple(cells[name] for name in v.NATURAL_KEY[entity])
            keyed[key].append((row.batch, cells))
    for versions in keyed.values():
        newest = versions[-1][1]
        taken = False
        for batch, cells in versions:
            if cells != newest:
                out.counts["superseded"][batch] += 1
            elif taken:
                out.counts["duplicate"][batch] += 1
            else:
                taken = True
                out.accepted.append(cells)
    return out


def truth(world: Path, name: str) -> list[dict]:
    """Rows of a truth table."""
    return pq.read_table(world / "truth" / f"{name}.parquet").to_pylist()


def digest(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_parameters_give_the_same_bytes(world, tmp_path):
    build(tmp_path / "again", PEOPLE, SEED, UNTIL, DAYS, progress=quiet)
    assert digest(tmp_path / "again") == digest(world)


def test_another_seed_gives_another_world(world, tmp_path):
    build(tmp_path / "other", 60, SEED, UNTIL, 40, progress=quiet)
    build(tmp_path / "third", 60, SEED + 1, UNTIL, 40, progress=quiet)
    assert digest(tmp_path / "other" / "landing") != digest(tmp_path / "third" / "landing")


def test_more_people_give_more_rows(tmp_path):
    small = build(tmp_path / "small", 100, SEED, UNTIL, 40, progress=quiet)
    large = build(tmp_path / "large", 400, SEED, UNTIL, 40, progress=quiet)
    for entity in ("touchpoints", "orders", "order_lines", "identity_links", "memberships"):
        assert large.rows[entity] > 2 * small.rows[entity], entity


def test_a_finished_world_is_reused_and_a_broken_one_is_made_again(tmp_path):
    out = tmp_path / "world"
    first = build(out, 60, SEED, UNTIL, 40, progress=quiet)
    said: list[str] = []
    again = build(out, 60, SEED, UNTIL, 40, progress=said.append)
    assert again.reused and not first.reused and "reusing" in said[0]
    assert again.rows == first.rows
    before = digest(out)
    (out / "world.json").unlink()
    assert not build(out, 60, SEED, UNTIL, 40, progress=quiet).reused
    assert digest(out) == before


def test_a_landing_that_somebody_else_made_is_left_alone(tmp_path):
    (tmp_path / "landing" / "orders").mkdir(parents=True)
    with pytest.raises(ValueError, match="not made by this generator"):
        build(tmp_path, 60, SEED, UNTIL, 40, progress=quiet)
    assert (tmp_path / "landing" / "orders").exists()


def test_the_command_line_makes_a_world_and_says_where(tmp_path):
    arguments = ["--out", str(tmp_path / "w"), "--people", "60", "--days", "40", "--seed", "3"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "landing:" in result.output and (tmp_path / "w" / "world.json").exists()


def test_every_entity_lands(landed):
    assert {entity for entity, rows in landed.items() if rows} == set(v.CONTRACT)


def test_files_hold_contract_columns_except_for_the_planted_one(world, landed):
    planted = {
        (row["entity"], row["batch"])
        for row in truth(world, "imperfections")
        if row["kind"] == "extra_column"
    }
    assert planted
    for entity, rows in landed.items():
        for row in rows:
            extra = set(row.cells) - set(v.CONTRACT[entity])
            assert not extra or (extra == {"remark"} and (entity, row.batch) in planted)


def test_one_entity_comes_in_several_formats(world):
    suffixes = {"".join(p.suffixes[-2:]) for p in (world / "landing/touchpoints").rglob("part*")}
    assert {".parquet", ".csv", ".csv.gz", ".jsonl"} <= suffixes


def test_some_touchpoints_are_delivered_after_their_day(landed):
    first_lag: dict[str, int] = {}  # repeats come later still
    for row in landed["touchpoints"]:
        cells = parse_row("touchpoints", row)
        if cells:
            days = (row.batch - cells["occurred_at"].date()).days
            first_lag.setdefault(cells["event_id"], days)
    lag = Counter(first_lag.values())
    assert max(lag) <= 4
    assert 0 < sum(n for days, n in lag.items() if days) < 0.05 * lag[0]


def test_a_world_of_several_slices_conserves_its_rows_too(tmp_path, monkeypatch):
    monkeypatch.setattr("demo.seasons.SLICE_PEOPLE", 90)
    monkeypatch.setattr("demo.landing.CHUNK_ROWS", 300)
    build(tmp_path, 250, SEED, UNTIL, 45, progress=quiet)
    rows = {entity: list(read_entity(tmp_path / "landing" / entity)) for entity in v.CONTRACT}
    counts = {entity: judge(entity, found).counts for entity, found in rows.items()}
    for row in truth(tmp_path, "conservation"):
        for name in ("landed", "quarantined", "duplicate", "superseded"):
            assert counts[row["entity"]][name][row["batch"]] == row[name], row
    assert len(truth(tmp_path, "people")) == 250


def test_touchpoints_and_orders_land_one_file_a_day(world):
    for entity in ("touchpoints", "orders", "order_lines"):
        for folder in (world / "landing" / entity).iterdir():
            assert len(list(folder.iterdir())) == 1


def test_every_usable_row_is_dated_within_its_batch_and_the_world(judged):
    start = UNTIL - dt.timedelta(days=DAYS - 1)
    for entity, result in judged.items():
        for cells in result.accepted:
            for name in v.TIME_COLUMNS.get(entity, ()):
                if cells[name] is not None:
                    assert start <= cells[name].date() <= UNTIL, (entity, cells)


def test_the_conservation_truth_equals_a_naive_recount(world, judged):
    expected = truth(world, "conservation")
    assert len(expected) == len({(row["entity"], row["batch"]) for row in expected})
    for row in expected:
        counts = judged[row["entity"]].counts
        found = {
            name: counts[name][row["batch"]] for name in row if name not in ("entity", "batch")
        }
        assert found == {name: row[name] for name in found}, row
    batches = {entity: set(result.counts["landed"]) for entity, result in judged.items()}
    assert sum(map(len, batches.values())) == len(expected)


def test_the_imperfections_add_up_to_the_conservation(world):
    planted = Counter()
    for row in truth(world, "imperfections"):
        if row["is_quarantined"]:
            planted["quarantined"] += row["rows"]
        elif row["kind"].startswith("repeated"):
            planted["duplicate"] += row["rows"]
    conserved = truth(world, "conservation")
    for name in ("quarantined", "duplicate"):
        assert planted[name] == sum(row[name] for row in conserved) > 0


def test_late_batches_name_batches_that_exist(world):
    conserved = {(row["entity"], row["batch"]) for row in truth(world, "conservation")}
    late = truth(world, "late_batches")
    assert late
    for row in late:
        assert (row["entity"], row["batch"]) in conserved and row["arrives_on"] > row["batch"]


def test_lines_sum_to_their_order_to_the_cent(judged):
    lines = defaultdict(Decimal)
    for cells in judged["order_lines"].accepted:
        lines[cells["source_system"], cells["order_id"]] += cells["line_amount"]
    orders = {(c["source_system"], c["order_id"]): c["amount"] for c in judged["orders"].accepted}
    assert lines == orders


def test_order_ids_are_unique_and_the_long_ones_do_not_fit_a_float(judged):
    ids = [c["order_id"] for c in judged["orders"].accepted if c["source_system"] == "tmall"]
    assert len(ids) == len(set(ids))
    assert {len(order_id) for order_id in ids} == {18, 19}
    assert any(int(float(order_id)) != int(order_id) for order_id in ids)


def test_an_order_moves_on_through_its_statuses(landed):
    seen = defaultdict(list)
    for row in landed["orders"]:
        cells = parse_row("orders", row)
        if cells:
            seen[cells["source_system"], cells["order_id"]].append(cells["status"])
    rank = {status: number for number, status in enumerate(v.ORDER_STATUSES)}
    assert all([*map(rank.get, s)] == sorted(map(rank.get, s)) for s in seen.values())
    assert Counter(len(set(statuses)) for statuses in seen.values())[3] > 0
    assert {statuses[-1] for statuses in seen.values()} >= {"completed", "cancelled", "created"}


def test_refunds_never_exceed_their_order_and_some_have_none(judged):
    orders = {(c["source_system"], c["order_id"]): c for c in judged["orders"].accepted}
    back = defaultdict(Decimal)
    for cells in judged["refunds"].accepted:
        if cells["order_id"]:
            key = cells["source_system"], cells["order_id"]
            back[key] += cells["amount"]
            assert cells["refunded_at"] >= orders[key]["paid_at"]
    assert all(amount <= orders[key]["amount"] for key, amount in back.items())
    assert {amount == orders[key]["amount"] for key, amount in back.items()} == {True, False}
    assert any(cells["order_id"] is None for cells in judged["refunds"].accepted)
    assert any(cells["refunded_at"].date() == UNTIL for cells in judged["refunds"].accepted)


def test_references_lead_to_rows_that_exist(judged):
    products = {cells["product_id"] for cells in judged["products"].accepted}
    campaigns = {cells["campaign_id"] for cells in judged["campaigns"].accepted}
    channels = {row.channel for row in v.CHANNELS}
    for entity, result in judged.items():
        for cells in result.accepted:
            assert cells.get("product_id") is None or cells["product_id"] in products
            assert cells.get("campaign_id") is None or cells["campaign_id"] in campaigns
            assert cells.get("channel") is None or cells["channel"] in channels, entity


def test_every_landed_identifier_is_in_the_truth(world, judged):
    known = {(r["identifier_type"], r["identifier_value"]) for r in truth(world, "identifiers")}
    pairs = (("identifier_type", "identifier_value"), ("left_type", "left_value"))
    pairs += (("right_type", "right_value"), ("inviter_type", "inviter_value"))
    pairs += (("invitee_type", "invitee_value"),)
    for result in judged.values():
        for cells in result.accepted:
            for kind, value in pairs:
                if cells.get(value) is not None:
                    assert (cells[kind], cells[value]) in known
    for cells in judged["memberships"].accepted:
        assert ("member_id", cells["member_id"]) in known


def test_linkable_identifiers_belong_to_one_person(world):
    owners = defaultdict(set)
    for row in truth(world, "identifiers"):
        if row["is_linkable"]:
            owners[row["identifier_type"], row["normalised_value"]].add(row["person_id"])
    assert owners and all(len(people) == 1 for people in owners.values())


def test_pieces_are_what_the_landed_records_tie_together(world, judged):
    """Connected components over the landed links, traps and weak identifiers apart."""
    rows = truth(world, "identifiers")
    normal = {(r["identifier_type"], r["identifier_value"]): r["normalised_value"] for r in rows}
    barred = {(r["identifier_type"], r["normalised_value"]) for r in rows if r["piece"] is None}
    parent: dict[tuple, tuple] = {}

    def find(node):
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    def node_of(kind, value):
        node = kind, normal[kind, value]
        return None if node in barred or kind in ("device_id", "cookie_id") else node

    def join(left, right):
        if left and right:
            parent[find(left)] = find(right)

    for c in judged["identity_links"].accepted:
        join(node_of(c["left_type"], c["left_value"]), node_of(c["right_type"], c["right_value"]))
    for c in judged["memberships"].accepted:
        if c["identifier_value"]:
            member = node_of("member_id", c["member_id"])
            join(member, node_of(c["identifier_type"], c["identifier_value"]))
    for c in judged["profiles"].accepted:
        own = node_of(c["identifier_type"], c["identifier_value"])
        for kind in ("phone", "email"):
            if c[kind]:
                join(own, node_of(kind, c[kind]))
    by_piece, by_component = defaultdict(set), defaultdict(set)
    for row in rows:
        node = row["identifier_type"], row["normalised_value"]
        if row["piece"] is not None and row["identifier_type"] not in ("device_id", "cookie_id"):
            by_piece[row["person_id"], row["piece"]].add(node)
            by_component[find(node)].add(node)
    assert sorted(map(sorted, by_piece.values())) == sorted(map(sorted, by_component.values()))


def test_traps_touch_many_people(world, judged):
    traps = {
        (r["identifier_type"], r["normalised_value"]): r["trap"]
        for r in truth(world, "identifiers")
        if r["trap"] in ("hub_phone", "shop_phone", "test_account")
    }
    assert ("phone", "13800000000") in traps
    degree = Counter()
    for c in judged["identity_links"].accepted:
        value = c["right_value"].replace(" ", "").replace("-", "").removeprefix("+86")
        degree[traps.get((c["right_type"], value.removeprefix("0086")))] += 1
    assert min(degree[kind] for kind in traps.values()) >= 30


def test_the_person_truth_marks_recycled_phones_shared_devices_and_erasures(world):
    people = truth(world, "people")
    assert len(people) == PEOPLE
    for flag in ("has_recycled_phone", "has_shared_device", "erased_on", "is_anonymous"):
        assert any(row[flag] for row in people), flag
    inexact = [row for row in people if not row["is_exact"]]
    assert len(inexact) < PEOPLE / 2


def test_stage_truth_follows_from_the_accepted_landing_rows(world, judged):
    """Rebuild each person's facts from the files alone and ask the same plain rules."""
    linkable = {
        (r["identifier_type"], r["identifier_value"]): r["person_id"]
        for r in truth(world, "identifiers")
        if r["is_linkable"]
    }
    facts = facts_from(judged, linkable)
    for name, rule in (("aipl_daily", stages.aipl), ("lifecycle_daily", stages.lifecycle)):
        planted = defaultdict(list)
        for row in truth(world, name):
            span = (day_number(row["valid_from"]), day_number(row["valid_to"]))
            planted[row["person_id"], row["brand_id"]].append((row["stage"], *span, row["is_open"]))
        left_out = {
            row["person_id"]
            for row in truth(world, "people")
            if row["has_recycled_phone"] or row["is_anonymous"] or row["erased_on"]
        }
        found = {}
        for (person, brand), known in facts.items():
            first = known.first_day()
            spells = stages.spells_of(rule(known, range(first, DAYS)), first)
            if person not in left_out and spells:
                found[person, brand] = spells
        assert found == planted
        assert {stage for spells in found.values() for stage, *_ in spells} >= (
            set("AIPL") if name == "aipl_daily" else {"suspect", "prospect", "single", "repeat"}
        )


def day_number(day: dt.date) -> int:
    """Day of the test world."""
    return (day - (UNTIL - dt.timedelta(days=DAYS - 1))).days


def seconds(moment: dt.datetime) -> int:
    """Seconds since the test world's first midnight."""
    return day_number(moment.date()) * 86_400 + (
        moment.hour * 3_600 + moment.minute * 60 + moment.second
    )


def facts_from(judged: dict, linkable: dict) -> dict[tuple, stages.Facts]:
    """Facts by (person, brand) from accepted rows."""
    facts: dict[tuple, stages.Facts] = defaultdict(stages.Facts)
    which = {"follow": "channel", "unfollow": "channel", "wecom_add": "staff_id"}
    which |= {"wecom_delete": "staff_id", "group_join": "content_id", "group_leave": "content_id"}

    def whose(c):
        person = linkable.get((c["identifier_type"], c["identifier_value"]))
        return None if person is None else (person, c["brand_id"])

    for c in sorted(judged["touchpoints"].accepted, key=lambda c: c["occurred_at"]):
        if whose(c):
            t = seconds(c["occurred_at"])
            facts[whose(c)].events.append((t, c["event_type"], c["value"]))
            if c["event_type"] in which:
                one = c[which[c["event_type"]]]
                facts[whose(c)].relations.append((t, c["event_type"], one))
    for c in judged["memberships"].accepted:
        person = linkable["member_id", c["member_id"]]
        if c["event"] != "tier":
            relation = (seconds(c["occurred_at"]), c["event"], "member")
            facts[person, c["brand_id"]].relations.append(relation)
    refunds = defaultdict(list)
    for c in judged["refunds"].accepted:
        day = day_number(c["refunded_at"].date())
        refunds[c["source_system"], c["order_id"]].append((day, int(c["amount"] * 100)))
    for c in judged["orders"].accepted:
        valid = c["status"] in ("paid", "shipped", "completed") and c["amount"] > 0
        if valid and c["identifier_value"] and whose(c):
            day = day_number((c["paid_at"] or c["ordered_at"]).date())
            back = refunds[c["source_system"], c["order_id"]]
            facts[whose(c)].orders.append((day, int(c["amount"] * 100), back))
    return facts


def test_aipl_follows_its_windows_on_a_worked_example():
    facts = stages.Facts(
        events=[(0, "ad_impression", None), (20 * 86_400, "cart_add", None)],
        orders=[(30, 5_000, [(40, 5_000)]), (50, 2_000, []), (60, 2_000, [])],
    )
    spells = stages.spells_of(stages.aipl(facts, range(500)), 0)
    assert spells == [
        ("A", 0, 15, False),
        ("I", 20, 30, False),
        ("P", 30, 40, False),  # the refund on day 40 takes the only purchase away
        ("P", 50, 60, False),
        ("L", 60, 50 + 365, False),
        ("P", 50 + 365, 500, True),
    ]


def test_a_relationship_holds_interest_until_its_last_end():
    facts = stages.Facts(
        relations=[
            (1 * 86_400, "follow", "official_account"),
            (5 * 86_400, "join", "member"),
            (9 * 86_400, "unfollow", "official_account"),
            (12 * 86_400, "quit", "member"),
        ]
    )
    assert stages.spells_of(stages.aipl(facts, range(20)), 0) == [("I", 1, 12, False)]


def test_a_loyal_customer_falls_back_to_repeat_after_one_cycle():
    facts = stages.Facts(orders=[(0, 100, []), (30, 100, [])])
    assert stages.spells_of(stages.lifecycle(facts, range(200)), 0) == [
        ("single", 0, 30, False),
        ("loyal", 30, 121, False),
        ("repeat", 121, 200, True),
    ]


def test_promotions_lift_the_orders_of_their_days(tmp_path):
    build(tmp_path / "w", 3_000, SEED, UNTIL, 120, progress=quiet)
    world = World(3_000, SEED, UNTIL, 120)
    promotion = next(row for row in world.promotions if row.name == "618")
    by_day = Counter()
    for row in read_entity(tmp_path / "w" / "landing" / "orders"):
        cells = parse_row("orders", row)
        if cells and cells["status"] in ("created", "paid"):
            by_day[cells["ordered_at"].date()] += 1
    inside = [n for d, n in by_day.items() if promotion.starts_on <= d <= promotion.ends_on]
    before = [n for d, n in by_day.items() if dt.date(2026, 4, 10) <= d < promotion.starts_on]
    lift = (sum(inside) / len(inside)) / (sum(before) / len(before))
    assert 0.6 * promotion.order_factor < lift < 1.6 * promotion.order_factor


def test_messages_have_a_control_group_and_a_planted_uplift(world, judged):
    messages = judged["messages"].accepted
    control = [cells for cells in messages if cells["is_control"] in ("true", "True")]
    assert 0.05 < len(control) / len(messages) < 0.25
    assert all(cells["delivered_at"] is None for cells in control)
    uplift = truth(world, "message_uplift")
    recipients = sum(row["treated"] + row["control"] + row["failed"] for row in uplift)
    assert recipients == len(messages)
    assert all(0 <= row["planted_rate"] <= max(PLANTED_UPLIFT.values()) for row in uplift)


def test_referrals_form_chains_of_up_to_three(world, judged):
    rows = truth(world, "referrals")
    assert len(rows) == len(judged["referrals"].accepted)
    assert {row["depth"] for row in rows} >= {None, 1, 2}
    invited_by = {row["invitee_person_id"]: row for row in rows if row["invitee_person_id"]}
    for row in rows:
        if row["depth"] and row["depth"] > 1:
            assert invited_by[row["inviter_person_id"]]["depth"] == row["depth"] - 1


def test_campaign_costs_stay_within_their_campaign(judged):
    campaigns = {cells["campaign_id"]: cells for cells in judged["campaigns"].accepted}
    for cells in judged["campaign_costs"].accepted:
        campaign = campaigns[cells["campaign_id"]]
        assert campaign["starts_on"] <= cells["date"] <= campaign["ends_on"]
        assert cells["clicks"] <= cells["impressions"]


def test_every_brand_and_domain_is_alive(judged):
    domain = {row.channel: row.domain for row in v.CHANNELS}
    seen = {(c["brand_id"], domain[c["channel"]]) for c in judged["orders"].accepted}
    assert seen == {(b.brand_id, d) for b in v.BRANDS for d in ("public", "private", "offline")}
