"""Builds a world: people slice by slice into a spill, then batch by batch into landing files.

Memory holds one slice of people or one chunk of rows, never the whole world; what the slices
leave behind waits on disk, sorted by batch.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demo import landing, truth
from demo.behaviour import behave
from demo.campaigns import campaign_costs
from demo.imperfections import QUARANTINED_KINDS, Faults, late_batches
from demo.people import population
from demo.pieces import resolve
from demo.rows import ROWS, Behaviour
from demo.seasons import World
from demo.text import DAY_SECONDS

GENERATOR_VERSION = 1
DEFAULT_PEOPLE = 2_000
DEFAULT_SEED = 20260630
DEFAULT_UNTIL = dt.date(2026, 6, 30)
DEFAULT_DAYS = 730
_MARKER = ".quanyu-demo-world"
_COST_ROWS = [
    ("day", "i2"),
    ("campaign", "i2"),
    ("channel", "i1"),
    ("impressions", "i8"),
    ("clicks", "i8"),
    ("cost", "i8"),
]


@dataclass(frozen=True)
class Summary:
    """What a build made: its parameters, rows landed by entity, files and seconds."""

    people: int
    seed: int
    until: str
    days: int
    generator_version: int
    rows: dict[str, int]
    files: int
    reused: bool
    seconds: float


def build(
    out: Path,
    people: int = DEFAULT_PEOPLE,
    seed: int = DEFAULT_SEED,
    until: dt.date = DEFAULT_UNTIL,
    days: int = DEFAULT_DAYS,
    progress: Callable[[str], None] = print,
) -> Summary:
    """Make OUT/landing and OUT/truth, or reuse them if OUT/world.json names the same world.

    Raises ValueError when a parameter is out of range or OUT holds a landing that this generator
    did not make.
    """
    if people < 50 or days < 30:
        raise ValueError("a world needs at least 50 people and 30 days")
    if seed < 0:
        raise ValueError("the seed must not be negative")
    out = Path(out)
    wanted = {
        "people": people,
        "seed": seed,
        "until": until.isoformat(),
        "days": days,
        "generator_version": GENERATOR_VERSION,
    }
    record = out / "world.json"
    if record.exists():
        known = json.loads(record.read_text())
        if all(known.get(name) == value for name, value in wanted.items()):
            progress(f"reusing the world in {out} ({people:,} people, {days} days)")
            return Summary(
                **wanted, rows=known["rows"], files=known["files"], reused=True, seconds=0
            )
    started = time.perf_counter()
    _clear(out)
    world = World(people, seed, until, days)
    with tempfile.TemporaryDirectory(prefix=".spill-", dir=out) as spill:
        _Builder(world, out, Path(spill), progress).run()
        builder_rows, files = _count(out)
    record.write_text(json.dumps(wanted | {"rows": builder_rows, "files": files}, indent=2) + "\n")
    seconds = time.perf_counter() - started
    progress(f"made {sum(builder_rows.values()):,} rows in {files:,} files in {seconds:.1f} s")
    return Summary(**wanted, rows=builder_rows, files=files, reused=False, seconds=seconds)


def _clear(out: Path) -> None:
    """Remove an earlier world from OUT, and nothing that somebody else put there."""
    marker = out / _MARKER
    for name in ("landing", "truth"):
        if (out / name).exists() and not marker.exists():
            raise ValueError(f"{out / name} exists and was not made by this generator")
    out.mkdir(parents=True, exist_ok=True)
    marker.write_text("landing/ and truth/ beside this file are generated and may be replaced\n")
    (out / "world.json").unlink(missing_ok=True)
    for name in ("landing", "truth"):
        shutil.rmtree(out / name, ignore_errors=True)
    for left_over in out.glob(".spill-*"):
        shutil.rmtree(left_over, ignore_errors=True)


def _count(out: Path) -> tuple[dict[str, int], int]:
    """Landed rows by entity and number of landing files."""
    table = pq.read_table(out / "truth" / "conservation.parquet")
    rows: dict[str, int] = {}
    for entity, landed in zip(
        table["entity"].to_pylist(), table["landed"].to_pylist(), strict=True
    ):
        rows[entity] = rows.get(entity, 0) + landed
    return rows, sum(1 for path in (out / "landing").rglob("*") if path.is_file())


class _Spill:
    """Rows of one entity on disk, one file per slice, each sorted by batch."""

    def __init__(self, folder: Path, entity: str, dtype: np.dtype, deliveries: np.ndarray) -> None:
        self.folder, self.entity, self.dtype = folder, entity, dtype
        self.deliveries = deliveries
        self.batches = np.unique(deliveries)
        self.bounds: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Sort a slice's rows by batch, day and time, and write them down."""
        if len(rows) and not (0 <= rows["day"].min() <= rows["day"].max() < len(self.deliveries)):
            raise AssertionError(f"{self.entity}: a row lies outside of the world")
        batch = self.deliveries[rows["day"]]
        moment = rows["t"] if "t" in self.dtype.names else np.zeros(len(rows), int)
        order = np.lexsort((moment, rows["day"], batch))
        bounds = np.searchsorted(batch[order], np.append(self.batches, len(self.deliveries)))
        rows[order].tofile(self.folder / f"{self.entity}-{len(self.bounds)}")
        self.bounds.append(bounds)

    def chunks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Runs of whole batches of about `size` rows.

        Yields (batch days, first row of each batch plus the end, rows sorted by batch and time).
        """
        totals = sum((np.diff(bound) for bound in self.bounds), np.zeros(len(self.batches), int))
        first = 0
        while first < len(self.batches):
            past = first + 1
            while past < len(self.batches) and totals[first : past + 1].sum() <= size:
                past += 1
            parts = [self._read(number, first, past) for number in range(len(self.bounds))]
            rows = np.concatenate(parts)
            batch = self.deliveries[rows["day"]]
            moment = rows["t"] if "t" in self.dtype.names else np.zeros(len(rows), int)
            rows = rows[np.lexsort((moment, rows["day"], batch))]
            starts = np.concatenate([[0], np.cumsum(totals[first:past])])
            yield self.batches[first:past], starts, rows
            first = past

    def _read(self, number: int, first: int, past: int) -> np.ndarray:
        start, end = self.bounds[number][first], self.bounds[number][past]
        with (self.folder / f"{self.entity}-{number}").open("rb") as file:
            file.seek(int(start) * self.dtype.itemsize)
            return np.fromfile(file, self.dtype, int(end - start))


class _Tables:
    """Truth tables that grow slice by slice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}

    def append(self, name: str, table: pa.Table) -> None:
        """Write one more slice of a table."""
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(
                self.folder / f"{name}.parquet", table.schema, compression="zstd"
            )
        self._writers[name].write_table(table)

    def close(self) -> None:
        """Finish every file."""
        for writer in self._writers.values():
            writer.close()


class _Builder:
    """One run of the generator."""

    def __init__(self, world: World, out: Path, spill: Path, progress) -> None:
        self.world, self.progress = world, progress
        self.landing, self.truth = out / "landing", out / "truth"
        self.landing.mkdir()
        self.truth.mkdir()
        layouts = {**ROWS, "campaign_costs": _COST_ROWS}
        self.spills = {
            entity: _Spill(spill, entity, np.dtype(layout), world.deliveries(entity))
            for entity, layout in layouts.items()
        }
        self.faults = Faults(world)
        self.conservation: list[dict] = []
        self.late: list[dict] = []
        self.uplift: dict[int, np.ndarray] = {}

    def run(self) -> None:
        """Generate, land, and write the truth."""
        self._generate()
        self._land_undated()
        for entity in self.spills:
            self._land(entity)
        self._write_truth()

    def _generate(self) -> None:
        tables = _Tables(self.truth)
        for index in range(self.world.slices):
            done = behave(population(self.world, index))
            pieces = resolve(done)
            tables.append("people", truth.people_table(done, pieces))
            tables.append("identifiers", truth.identifiers_table(done, pieces))
            tables.append("orders", truth.orders_table(done, pieces))
            tables.append("referrals", _referral_truth(done))
            if index == 0:
                for name, table in truth.stage_tables(done, pieces).items():
                    tables.append(name, table)
            for code, *counts in done.uplift:
                self.uplift[code] = self.uplift.get(code, 0) + np.array(counts, dtype=float)
            for entity in ROWS:
                self.spills[entity].add(done.table(entity))
            made = done.people.first + done.people.n
            self.progress(f"generated slice {index + 1} of {self.world.slices} ({made:,} people)")
        tables.close()
        costs = campaign_costs(self.world)
        rows = np.zeros(len(costs["day"]), dtype=_COST_ROWS)
        for name, values in costs.items():
            rows[name] = values
        self.spills["campaign_costs"].add(rows)

    def _land_undated(self) -> None:
        """Goods and campaigns lie directly under their entity and make one initial batch each."""
        goods = landing.products(self.world)
        # A second file corrects three prices: the later file of a batch wins.
        corrected = goods.slice(0, 3).to_pylist()
        for row in corrected:
            row["list_price"] = f"{float(row['list_price']) - 3:.2f}"
        again = pa.Table.from_pylist(corrected, goods.schema)
        folder = self.landing / "products"
        landing.write_batch(goods, "products", "csv_bom", folder, [], "products_1")
        landing.write_batch(again, "products", "jsonl", folder, [], "products_2")
        plan = landing.campaigns(self.world)
        landing.write_batch(plan, "campaigns", "parquet", self.landing / "campaigns", [], "all")
        for entity, landed, superseded in (
            ("products", goods.num_rows + 3, 3),
            ("campaigns", plan.num_rows, 0),
        ):
            self.conservation.append(
                {
                    "entity": entity,
                    "batch": None,
                    "landed": landed,
                    "quarantined": 0,
                    "duplicate": 0,
                    "superseded": superseded,
                }
            )

    def _land(self, entity: str) -> None:
        spill = self.spills[entity]
        written = 0
        for batches, starts, rows in spill.chunks(landing.CHUNK_ROWS):
            rendered = landing.render(self.world, entity, rows)
            final = rows["final"] if "final" in rows.dtype.names else np.ones(len(rows), bool)
            for batch, first, past in zip(batches, starts, starts[1:], strict=False):
                if past > first:
                    self._land_batch(entity, int(batch), rendered, final, int(first), int(past))
            written += len(rows)
        self.late += late_batches(self.world, entity, spill.batches)
        self.progress(f"landed {entity}: {written:,} rows in {len(spill.batches):,} batches")

    def _land_batch(self, entity, batch, rendered, final, first, past) -> None:
        form = landing.form_of(entity, batch)
        table = rendered.table(self.world, entity, form, first, past)
        table, ragged, counts = self.faults.plant(entity, batch, form, table, final[first:past])
        date = self.world.date(batch)
        folder = self.landing / entity / f"dt={date.isoformat()}"
        landing.write_batch(table, entity, form, folder, ragged)
        self.conservation.append({"entity": entity, "batch": date, **counts})

    def _write_truth(self) -> None:
        planted = [
            {
                "entity": entity,
                "batch": self.world.date(batch),
                "kind": kind,
                "rows": rows,
                "is_quarantined": kind in QUARANTINED_KINDS,
            }
            for (entity, batch, kind), rows in sorted(self.faults.planted.items())
        ]
        landed = {(row["entity"], row["batch"]) for row in self.conservation}
        late = [row for row in self.late if (row["entity"], row["batch"]) in landed]
        uplift = [
            {
                "campaign_id": self.world.campaigns[code].campaign_id,
                "treated": int(counts[0]),
                "control": int(counts[1]),
                "failed": int(counts[2]),
                "planted_rate": counts[3] / max(counts[:3].sum(), 1),
                "extra_orders": int(counts[4]),
            }
            for code, counts in sorted(self.uplift.items())
        ]
        for name, rows in (
            ("conservation", self.conservation),
            ("imperfections", planted),
            ("late_batches", late),
            ("promotions", [row._asdict() for row in self.world.promotions]),
            ("message_uplift", uplift),
        ):
            columns = _TRUTH_COLUMNS[name]
            landing.write_parquet(
                pa.Table.from_pylist(rows, pa.schema(columns)), self.truth / f"{name}.parquet"
            )


_TRUTH_COLUMNS = {
    "conservation": [
        ("entity", pa.string()),
        ("batch", pa.date32()),
        ("landed", pa.int64()),
        ("quarantined", pa.int64()),
        ("duplicate", pa.int64()),
        ("superseded", pa.int64()),
    ],
    "imperfections": [
        ("entity", pa.string()),
        ("batch", pa.date32()),
        ("kind", pa.string()),
        ("rows", pa.int64()),
        ("is_quarantined", pa.bool_()),
    ],
    "late_batches": [("entity", pa.string()), ("batch", pa.date32()), ("arrives_on", pa.date32())],
    "promotions": [
        ("name", pa.string()),
        ("name_zh", pa.string()),
        ("starts_on", pa.date32()),
        ("ends_on", pa.date32()),
        ("order_factor", pa.float64()),
        ("touchpoint_factor", pa.float64()),
    ],
    "message_uplift": [
        ("campaign_id", pa.string()),
        ("treated", pa.int64()),
        ("control", pa.int64()),
        ("failed", pa.int64()),
        ("planted_rate", pa.float64()),
        ("extra_orders", pa.int64()),
    ],
}


def _referral_truth(done: Behaviour) -> pa.Table:
    rows = done.table("referrals")
    rows = rows[rows["final"]]
    accepted = rows["accepted"]
    dates = done.people.world.clock.dates(np.maximum(accepted, 0) // DAY_SECONDS)
    return pa.table(
        {
            "referral_id": landing.numbered("REF", rows["referral"]),
            "inviter_person_id": pa.array(rows["person"]),
            "invitee_person_id": pa.array(rows["invitee"], mask=rows["invitee"] < 0),
            "depth": pa.array(rows["depth"], mask=rows["depth"] == 0),
            "accepted_on": pc.if_else(pa.array(accepted >= 0), dates, None),
        }
    )


def describe(summary: Summary) -> str:
    """A few lines about a world for the terminal."""
    facts = asdict(summary)
    lines = [f"{facts['people']:,} people, {facts['days']} days until {facts['until']}"]
    lines += [f"  {entity:<18}{rows:>12,} rows" for entity, rows in facts["rows"].items()]
    return "\n".join(lines)
