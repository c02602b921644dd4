"""Random histories in one warehouse: refreshed delivery by delivery, and built once from the same lake; what differs."""

from __future__ import annotations

import random
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
from replay_histories import (
    BASE,
    History,
    Row,
    known_to_fail,
    landing,
    make,
    owner,
    seed_rows,
    shrink,
    write_down,
)

from orchestration import erasure
from orchestration.contract import load_contract
from orchestration.intake import Verdict, admit, prepare
from orchestration.warehouse import PROJECT, environment_with, warehouse_closed_after
from tests.parsed import dbt_runner, manifest_of

# Everything that keeps rows from one refresh to the next, with what it is made of. Public marts keep none.
KEEPING = (
    "path:models/staging/landing", "path:models/identity", "+int_stages__spells", "+int_stages__origins",
    "+customer_day", "+fct_relationship_spells", "batches", "quarantine", "row_conservation",
    "suppressed_identifiers", "+int_growth__channel_days", "+int_star__customer_periods", "+int_campaigns__shares",
    "+int_campaigns__reached",
)  # fmt: skip
# Not compared: memories of what was published or carried out at the time, and notes of the refreshes themselves.
# docs/decisions.md: every other table is a function of the lake, the seeds and the vars.
MEMORIES = {
    "audit.published_figures": "the figures of each publication, kept through a full refresh",
    "audit.published_changes": "differences between two publications (a view of the ledger)",
    "audit.restatements": "what was published otherwise before (a view of the ledger)",
    "audit.refreshes": "number of each refresh",
    "audit.built": "what every node was made from, and in which refresh",
    "audit.customer_changes": "customers looked at, by refresh",
    "audit.identity_inputs": "rows that a refresh read, to find out what somebody deleted by hand",
    "lifecycle.int_lifecycle__touched_customers": "customers touched, by refresh",
    "lifecycle.int_stages__spells_replaced": "spells that the last refresh replaced",
}
# In which refresh a row was written, and for which day and under which guards.
TECHNICAL = {
    "": {"_refresh"},
    "identity.int_identity__resolution": {"_refresh", "_settings", "as_of_date"},
}
# Rows that stay as a note of what was once there, so that whoever it concerned is computed again.
NOTES = {
    "staging": "_fate = 'withdrawn'",
    "identity.int_identity__identifiers": "not is_in_force",
    "identity.int_identity__links": "not is_in_force",
}
LAYERS = ("staging", "audit", "reference", "identity", "lifecycle", "marts")

# Changes of seeds: those of one kind make everything anew, which heals what went wrong before; the others must not be missed.
RULES = (
    "update reference.stage_rules set window_days = 9 where model = 'aipl' and window_days = 15",
    "update reference.stage_rules set min_value = 2 where model = 'five_r' and behaviour = 'purchase'",
    "delete from reference.stage_rules where model = 'aipl' and behaviour = 'product_view'",
    "update reference.identifier_types set max_degree = 1 where identifier_type = 'phone'",
    "update reference.identifier_types set values_per_person = 'many' where identifier_type = 'member_id'",
)
LIGHT_RULES = (
    "insert into reference.survivorship values ('city', 'pos', 0)",
    "update reference.channels set domain = 'private', is_free_reach = true where channel = 'jd'",
    "update reference.member_tiers set tier_rank = 3 - tier_rank where tier_rank in (1, 2)",
    "update reference.growth_event_roles set is_visit = not is_visit where event_type in ('search_brand', 'interact')",
    "insert into reference.promotion_calendar values ('*', 'spring', 'spring', 'Spring', '春', '2026-02-10', '2026-02-25')",
)


@dataclass(frozen=True)
class Step:
    """What is done when a delivery lies in the landing folder.

    kind: `build`; `again` (built, and once more with nothing new); `skipped` (nothing runs: the day is missed); `killed`
    (the rows are taken in, nothing is built); `half` (the build stops after the identities).
    """

    kind: str = "build"
    as_of: str = ""
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    steps: tuple[Step, ...]
    histories: tuple[History, ...]

    @property
    def last(self) -> int:
        return len(self.steps) - 1


@dataclass
class Difference:
    """A table that is not the same: rows of the refreshed and of the rebuilt warehouse alone, and whose they are."""

    table: str
    delivery: int
    columns: list[str]
    refreshed: list[tuple]
    rebuilt: list[tuple]
    owners: set[str]

    def __str__(self) -> str:
        lines = [f"{self.table} after delivery {self.delivery}: {', '.join(self.columns)}"]
        for name, rows in (("refreshed", self.refreshed), ("rebuilt", self.rebuilt)):
            lines += [f"  only {name}: {row}" for row in rows[:5]]
            lines += [f"  ... {len(rows) - 5} more"] if len(rows) > 5 else []
        return "\n".join(lines)


@dataclass
class Result:
    differences: list[Difference] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    rows: int = 0
    comparisons: int = 0

    def owners(self) -> dict[str, list[Difference]]:
        """Differences by history, the lowest layer first."""
        found: dict[str, list[Difference]] = defaultdict(list)
        for one in self.differences:
            for name in one.owners:
                found[name].append(one)
        return found


def make_world(seed: int, histories: int, deliveries: int = 8) -> World:
    """A world with every kind of step, in random order; nothing random is left once the seed is chosen."""
    rng = random.Random(f"replay {seed}")
    kinds = [Step("again"), Step("skipped"), Step("killed"), Step("half")]
    past = f"{BASE.replace(day=1 + rng.randrange(20)):%Y-%m-%d}"
    kinds += [Step(as_of=past), Step(rules=(*LIGHT_RULES, rng.choice(RULES)))]
    rng.shuffle(kinds)
    steps = [Step(), *kinds[: deliveries - 2], Step()]
    built = [
        at
        for at, step in enumerate(steps[1:-1], 1)
        if step.kind in ("build", "again") and not step.as_of
    ]
    erasing = [rng.choice(built), deliveries - 1]
    drawn = [
        make(n, random.Random(f"{seed} {n}"), deliveries, erasing) for n in range(1, histories + 1)
    ]
    return World(tuple(steps), (*drawn, *known_to_fail(deliveries)))


def _invoke(logs: Path, variables: dict[str, str], *arguments: str):
    with environment_with(variables), warehouse_closed_after():
        result = dbt_runner().invoke(
            [
                *(*arguments, "--quiet", "--log-path", str(logs)),
                *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT / "profiles")),
            ]
        )
    failed = [
        f"{r.node.name}: {r.message}"
        for r in getattr(result.result, "results", [])
        if r.status in ("error", "fail")
    ]
    assert result.success, "\n".join(failed) or result.exception
    return result.result


class Replay:
    """One world played in a folder. `compare_after` says after which deliveries what keeps state is compared with a
    rebuild; at the end everything that `last` selects is."""

    def __init__(
        self, root: Path, world: World, compare_after: Sequence[int] = (), last: Sequence[str] = ()
    ) -> None:
        self.root, self.world, self.compare_after, self.last = root, world, compare_after, last
        self.landing, self.workspace, self.rebuilt = (
            root / "landing",
            root / "workspace",
            root / "rebuilt",
        )
        self.result = Result()

    @property
    def database(self) -> Path:
        return self.workspace / "warehouse.duckdb"

    def play(self) -> Result:
        self.workspace.mkdir(parents=True)
        self._dbt("seed")
        waiting: list[str] = []
        for delivery, step in enumerate(self.world.steps):
            self._deliver(delivery)
            waiting += step.rules
            if step.kind == "skipped":
                continue
            self._take_in()
            if step.kind == "killed":
                continue
            self._edit_seeds(delivery, waiting)
            waiting = []
            is_last = delivery == self.world.last
            select = self.last if is_last else KEEPING
            if step.kind == "half":
                self._run(("+path:models/identity",), step.as_of)
                continue
            self._refresh(select, step.as_of)
            if step.kind == "again":
                self._take_in()
                self._refresh(select, step.as_of)
            if is_last or delivery in self.compare_after:
                self._rebuild(select, step.as_of)
                self._compare(delivery)
                if self.result.differences:
                    break
        return self.result

    def _deliver(self, delivery: int) -> None:
        """Put the files of a delivery into the landing folder; what has not changed is not touched."""
        for path, text in landing(self.world.histories, delivery).items():
            target = self.landing / path
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")

    def _take_in(self) -> None:
        self.landing.mkdir(parents=True, exist_ok=True)
        with prepare(self.landing, self.workspace, load_contract(), say=lambda line: None) as new:
            admit(new, {batch.key: Verdict() for batch in new.batches}, self.workspace)

    def _edit_seeds(self, delivery: int, rules: Sequence[str]) -> None:
        with duckdb.connect(str(self.database)) as warehouse:
            for statement in rules:
                warehouse.execute(statement)
            for seed in ("identity_overrides", "identity_blocklist"):
                warehouse.execute(f"delete from reference.{seed} where reason = 'because'")
                rows = seed_rows(self.world.histories, delivery, seed)
                if rows:
                    places = ", ".join("?" for _ in rows[0])
                    warehouse.executemany(f"insert into reference.{seed} values ({places})", rows)

    def _refresh(self, select: Sequence[str], as_of: str) -> None:
        """The daily job without gate, tests and publication: as job.run goes about erasure."""
        if erasure.requested(self.workspace, self.database):
            self._dbt("run", "--select", *erasure.PEOPLE, as_of=as_of)
            erasure.suppress(self.workspace, self.database, lambda line: None)
        self._run(select, as_of)
        while erasure.extend(self.workspace, self.database, lambda line: None):
            self._run(select, as_of)
        erasure.finish(self.workspace, self.database, self.landing, lambda line: None)

    def _run(self, select: Sequence[str], as_of: str, database: Path | None = None) -> None:
        chosen = ("--select", *select) if select else ()
        self._dbt("run", *chosen, database=database, as_of=as_of)

    def _rebuild(self, select: Sequence[str], as_of: str) -> None:
        """The same lake and seeds in a new warehouse."""
        shutil.rmtree(self.rebuilt, ignore_errors=True)
        self.rebuilt.mkdir()
        fresh = self.rebuilt / "warehouse.duckdb"
        with duckdb.connect(str(fresh)) as warehouse:
            warehouse.execute(
                f"attach '{self.database}' as kept (read_only); create schema reference"
            )
            seeds = [path.stem for path in (PROJECT / "seeds").glob("*.csv")]
            for seed in seeds:
                warehouse.execute(f"create table reference.{seed} as from kept.reference.{seed}")
        self._run(select, as_of, database=fresh)

    def _dbt(self, *arguments: str, database: Path | None = None, as_of: str = "") -> None:
        variables = {
            "QUANYU_WORKSPACE": str(self.workspace),
            "QUANYU_LAKE": str(self.workspace / "lake"),
            "QUANYU_DATABASE": str(database or self.database),
            "QUANYU_AS_OF_DATE": as_of,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        _invoke(self.root / "logs", variables, *arguments)

    def _compare(self, delivery: int) -> None:
        with duckdb.connect() as both:
            both.execute(f"attach '{self.database}' as refreshed (read_only)")
            both.execute(f"attach '{self.rebuilt / 'warehouse.duckdb'}' as rebuilt (read_only)")
            names = sorted(
                [*_tables(both), *self._views(both)],
                key=lambda name: LAYERS.index(name.split(".")[0]),
            )
            owners = _owners(both)
            self.result.comparisons += 1
            self.result.tables |= set(names)
            for table in names:
                if difference := self._difference(both, table, delivery, owners):
                    self.result.differences.append(difference)

    def _views(self, both) -> list[str]:
        """Views of what is compared. Each warehouse reads its own, for they name its catalog; the rows lie in memory, where
        `_relation` finds them."""
        files = {"refreshed": self.database, "rebuilt": self.rebuilt / "warehouse.duckdb"}
        found = {}
        for side, file in files.items():
            with duckdb.connect(str(file), read_only=True) as warehouse:
                names = warehouse.execute(
                    "select schema_name, view_name from duckdb_views() where not internal order by all"
                ).fetchall()
                found[side] = {
                    f"{schema}.{name}": warehouse.execute(f"from {schema}.{name}").to_arrow_table()
                    for schema, name in names
                    if schema in LAYERS and f"{schema}.{name}" not in MEMORIES
                }
        # What is rebuilt between deliveries is a part of what is refreshed.
        for side, views in found.items():
            for view in found["rebuilt"]:
                rows = views[view]
                both.register("rows_of_view", rows)
                both.execute(f"create schema if not exists memory.{side}_{view.split('.')[0]}")
                both.execute(f"create table memory.{side}_{view} as from rows_of_view")
        return list(found["rebuilt"])

    @staticmethod
    def _relation(both, side: str, table: str) -> str:
        is_view = both.execute(
            "select count(*) from duckdb_tables() where database_name = 'memory'"
            " and schema_name || '.' || table_name = ?",
            [f"{side}_{table}"],
        ).fetchone()[0]
        return f"memory.{side}_{table}" if is_view else f"{side}.{table}"

    def _difference(self, both, table: str, delivery: int, owners: dict) -> Difference | None:
        schema, _ = table.split(".")
        relations = {side: self._relation(both, side, table) for side in ("refreshed", "rebuilt")}
        every = [row[0] for row in both.execute(f"describe {relations['rebuilt']}").fetchall()]
        columns = [c for c in every if c not in TECHNICAL.get(table, TECHNICAL[""])]
        listed = ", ".join(f'"{column}"' for column in columns)
        note = NOTES.get(table) or ("_fate" in every and NOTES.get(schema))
        where = f"where not ({note})" if note else ""
        sides = {
            side: f"select {listed} from {relation} {where}" for side, relation in relations.items()
        }
        self.result.rows += both.execute(f"select count(*) from ({sides['rebuilt']})").fetchone()[0]
        if schema == "marts" and _same_order(both, sides):
            return None
        kept = both.execute(f"{sides['refreshed']} except all {sides['rebuilt']}").fetchall()
        built = both.execute(f"{sides['rebuilt']} except all {sides['refreshed']}").fetchall()
        if not kept and not built:
            if schema != "marts":
                return None
            kept = [("the same rows in another order",)]
        named = {
            whose
            for row in kept + built
            for value in row
            if (whose := owners.get(value) or (owner(value) if isinstance(value, str) else None))
        }
        return Difference(
            table, delivery, columns, sorted(kept, key=repr), sorted(built, key=repr), named
        )


def public_tables() -> set[str]:
    """Every public table of the project, with its schema."""
    return {
        f"{node.schema}.{node.alias}"
        for node in manifest_of([]).nodes.values()
        if node.resource_type == "model" and node.access == "public"
    }


def _tables(both) -> list[str]:
    """Tables of the rebuilt warehouse that are compared, the lowest layer first. One that the other lacks is an error."""
    names = both.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'rebuilt' order by all"
    ).fetchall()
    compared = [name for (name,) in names if name.split(".")[0] in LAYERS and name not in MEMORIES]
    return sorted(compared, key=lambda name: LAYERS.index(name.split(".")[0]))


def _same_order(both, sides: dict[str, str]) -> bool:
    """A mart is ordered by its key: the same rows lie in the same places."""
    one, other = (
        both.execute(f"select hash(rows) as hash from ({sql}) as rows").fetchnumpy()["hash"]
        for sql in sides.values()
    )
    return len(one) == len(other) and bool((one == other).all())


def _owners(both) -> dict[object, str]:
    """History of each identifier key and customer id that either warehouse knows."""
    found: dict[object, str] = {}
    for side in ("refreshed", "rebuilt"):
        for key, value in both.execute(
            f"select identifier_key, identifier_value from {side}.identity.int_identity__identifiers"
        ).fetchall():
            if whose := owner(value):
                found[key] = whose
        for customer, key in both.execute(
            f"select distinct customer_id, customer_key from {side}.identity.int_identity__resolution"
        ).fetchall():
            if key in found:
                found[customer] = found[key]
    return found


def explain(
    root: Path, world: World, result: Result, replay: type[Replay] = Replay, seconds: float = 1_800
) -> str:
    """Shrink the smallest of the histories that differ, write it down as a landing folder, and say all about it."""
    by_owner = result.owners()
    histories = {history.tag: history for history in world.histories}
    listed = ", ".join(sorted(by_owner)[:20])
    unowned = [one for one in result.differences if not one.owners]
    text = [f"{len(by_owner)} of {len(histories)} histories differ: {listed}"]
    text += [str(one) for one in (unowned or result.differences)[:3]]
    if not by_owner:
        return "\n".join([*text, "no history is named by the rows that differ"])
    smallest = sorted((histories[tag] for tag in by_owner), key=lambda one: len(one.rows))[:10]
    found = [one for history in smallest for one in by_owner[history.tag]]
    delivery = result.differences[0].delivery
    # What differs lowest is enough to tell whether a candidate still does.
    lowest = min((one.table.split(".")[0] for one in found), key=LAYERS.index)
    tables = {one.table.split(".")[1] for one in found if one.table.startswith(lowest)}
    last = (*KEEPING, *(f"+{name}" for name in sorted(tables)[:5]))
    until = time.monotonic() + seconds
    rounds = 0

    def play(candidates: list[tuple[Row, ...]], steps: Sequence[Step]) -> Result:
        nonlocal rounds
        rounds += 1
        copies = tuple(History(at + 1, rows) for at, rows in enumerate(candidates))
        folder = root / f"shrink-{rounds}"
        try:
            return replay(folder, World(tuple(steps), copies), last=last).play()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def verdicts(candidates: list[tuple[Row, ...]], steps: Sequence[Step]) -> list[bool]:
        if time.monotonic() > until:
            return [False] * len(candidates)
        bad = play(candidates, steps).owners()
        return [f"h{at + 1:05d}" in bad for at in range(len(candidates))]

    # Mostly one refresh is to blame. Two plain deliveries are the cheapest to look at, so they are tried first.
    steps, two = world.steps[: delivery + 1], (Step(), Step())
    halves = [
        (one, _in_two(one.rows, cut, delivery))
        for one in smallest
        for cut in range(1, delivery + 1)
    ]
    fails = verdicts([rows for _, rows in halves], two) if halves else []
    differing = [half for half, is_bad in zip(halves, fails, strict=True) if is_bad]
    chosen, rows = min(
        differing
        or [(smallest[0], tuple(row for row in smallest[0].rows if row.first <= delivery))],
        key=lambda half: len(half[1]),
    )
    plan = two if differing else steps
    if not differing and not verdicts([rows], plan)[0]:
        text.append(f"{chosen.tag} alone does not differ: its rows are written down as they were")
        small = chosen
    else:
        rows = shrink(rows, lambda candidates: verdicts(candidates, plan))
        if not differing:
            plan = next((plan for plan in _simpler(steps) if verdicts([rows], plan)[0]), steps)
            rows, plan = _without_idle_deliveries(rows, plan, verdicts)
        small = History(1, rows)
    folder = root / "failing"
    written = write_down(small, len(plan), folder)
    (folder / "steps.txt").write_text("\n".join(map(str, plan)) + "\n", encoding="utf-8")
    differs = play([small.rows], plan).differences if small is not chosen else []
    text += [
        f"smallest history that differs: {len(small.rows)} of {len(chosen.rows)} rows of {chosen.tag},"
        f" after {rounds} worlds; landing folder {folder}",
        *(f"delivery {at}: {step}" for at, step in enumerate(plan)),
        written,
        *(str(one) for one in differs[:3]),
    ]
    return "\n".join(text)


def _in_two(rows: Sequence[Row], cut: int, delivery: int) -> tuple[Row, ...]:
    """The same rows in two deliveries: what had come before delivery `cut`, and what there is after `delivery`."""
    found = []
    for row in rows:
        was_there, is_there = row.is_there(cut - 1), row.is_there(delivery)
        if was_there or is_there:
            found.append(replace(row, first=0 if was_there else 1, last=None if is_there else 1))
    return tuple(found)


def _simpler(steps: Sequence[Step]) -> list[tuple[Step, ...]]:
    """Plans with less in them, the simplest first."""
    plain = tuple(Step() for _ in steps)
    plans = [plain]
    for at, step in enumerate(steps):
        if step != Step():
            plans.append((*plain[:at], step, *plain[at + 1 :]))
    return plans


def _without_idle_deliveries(rows, steps, verdicts) -> tuple[tuple[Row, ...], tuple[Step, ...]]:
    """The same history without the deliveries in which nothing comes or goes, where it still differs."""
    busy = sorted({row.first for row in rows} | {row.last for row in rows if row.last is not None and row.last < len(steps)}
                  | {at for at, step in enumerate(steps) if step != Step()})  # fmt: skip
    if len(busy) == len(steps):
        return tuple(rows), tuple(steps)
    place = {delivery: at for at, delivery in enumerate(busy)}
    fewer = tuple(
        replace(
            row, first=place[row.first], last=place.get(row.last) if row.last is not None else None
        )
        for row in rows
    )
    plan = tuple(steps[at] for at in busy)
    return (fewer, plan) if verdicts([fewer], plan)[0] else (tuple(rows), tuple(steps))
