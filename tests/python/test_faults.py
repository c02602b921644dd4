"""Faults of the machine: each ends in words that say what happened, where and what to do, readers keep what they have,
and the next run gives the marts of an undisturbed one.

`CASES` is also the table of docs/reliability.md: QUANYU_DOCS=1 writes the page, a test compares it. Its second half, on bad
input, is written from the cases of test_bad_input_entities.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
import test_bad_input_entities as bad
from click.testing import CliRunner
from support import PROJECT, ask, copy_batches, land, mart_hashes, settings

from demo.world import build
from orchestration.__main__ import main
from orchestration.faults import Place, diagnose, is_out_of_memory
from orchestration.hold import read_hold
from orchestration.intake import LandingError, prepare
from orchestration.job import build_in_turn
from orchestration.serving import current
from orchestration.warehouse import Build, BuildError, Dbt

PAGE = PROJECT / "docs" / "reliability.md"


@dataclass(frozen=True)
class Site:
    """A landing folder and its workspace."""

    landing: Path
    workspace: Path

    @property
    def database(self) -> Path:
        return self.workspace / "warehouse.duckdb"

    def run(self, **environ: str):
        """The job from the command line, in this process."""
        return CliRunner().invoke(
            main,
            ["run", "--landing", str(self.landing), "--workspace", str(self.workspace)],
            env=environ,
        )


# --- the faults ------------------------------------------------------------------------------------------------------


def restamped(raw: bytes, version: int) -> bytes:
    """A DuckDB file as a DuckDB with another storage version would have written its header.

    Bytes 0-7 of the header block (4096 bytes) are a checksum of the rest, 12-19 the version: duckdb/src/storage.
    """
    header = bytearray(raw[:4096])
    struct.pack_into("<Q", header, 12, version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", bytes(header[8:])):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    struct.pack_into("<Q", header, 0, checksum)
    return bytes(header) + raw[4096:]


def rewritten(change: Callable[[bytes], bytes]) -> Callable:
    """The warehouse file with its bytes changed; afterwards it is moved away, as the message says."""

    @contextmanager
    def fault(site: Site) -> Iterator[dict[str, str]]:
        site.database.write_bytes(change(site.database.read_bytes()))
        yield {}
        site.database.rename(site.database.with_name("warehouse.duckdb.damaged"))

    return fault


@contextmanager
def process_that(statement: str) -> Iterator[None]:
    """Another process, once it has done something and until it is ended."""
    script = f"import sys, time; {statement}; print('ready', flush=True); time.sleep(3600)"
    other = subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "ready\n"
        yield
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


@contextmanager
def opened_by_a_program(site: Site) -> Iterator[dict[str, str]]:
    with process_that(f"import duckdb; held = duckdb.connect({str(site.database)!r})"):
        yield {}


@contextmanager
def another_run(site: Site) -> Iterator[dict[str, str]]:
    held = f"held = only('run', Path({str(site.workspace)!r}))"
    imports = "from pathlib import Path; from orchestration.intake.lock import only"
    with process_that(f"{imports}; {held}"):
        yield {}


@contextmanager
def mounted(*arguments: str) -> Iterator[None]:
    """A mount for the time of a `with` block; skips the test where mounting is not permitted."""
    target = arguments[-1]
    made = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"mounting is not permitted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", target], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Also for root, whom permissions do not stop."""
    if not shutil.which("mount"):
        pytest.skip("there is no mount here")
    with mounted("--bind", str(folder), str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield


@contextmanager
def workspace_is_read_only(site: Site) -> Iterator[dict[str, str]]:
    with read_only(site.workspace):
        yield {}


@contextmanager
def landing_is_read_only(site: Site) -> Iterator[dict[str, str]]:
    with read_only(site.landing):
        yield {}


@contextmanager
def files_stay_small(site: Site) -> Iterator[dict[str, str]]:
    """No file may grow beyond 2 kB: what a quota does, and what needs no mount."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        yield {}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def disk_with(spare: int, folder: str = ".") -> Callable:
    """A folder of the workspace on a disk of its own, with so many bytes to spare; a larger one afterwards."""

    @contextmanager
    def fault(site: Site) -> Iterator[dict[str, str]]:
        where = (site.workspace / folder).resolve()
        aside = where.with_name(f"{where.name}.aside")
        where.rename(aside)
        where.mkdir()
        used = sum(p.stat().st_size for p in aside.rglob("*") if p.is_file() and not p.is_symlink())
        try:
            # A page of 4 kB at least per file; the disk counts in pages.
            size = used + 4096 * sum(1 for _ in aside.rglob("*")) + spare
            with mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)):
                shutil.copytree(aside, where, symlinks=True, dirs_exist_ok=True)
                yield {}
                shutil.rmtree(aside)
                shutil.copytree(where, aside, symlinks=True)
        finally:
            where.rmdir()
            aside.rename(where)

    return fault


def with_memory(amount: str) -> Callable:
    return lambda site: nullcontext({"QUANYU_MEMORY": amount, "QUANYU_THREADS": "1"})


@contextmanager
def built_by_an_older_version(site: Site) -> Iterator[dict[str, str]]:
    with duckdb.connect(str(site.database)) as warehouse:
        warehouse.execute("alter table lifecycle.customer_day drop column refund_amount")
        warehouse.execute("alter table identity.dim_customers add column old_thing integer")
    yield {}


@contextmanager
def registry_is_damaged(site: Site) -> Iterator[dict[str, str]]:
    registry = site.workspace / "lake" / "batches.parquet"
    sound = registry.read_bytes()
    registry.write_bytes(sound[: len(sound) // 2])
    yield {}
    registry.write_bytes(sound)


@dataclass(frozen=True)
class Case:
    """A fault: what is done, what the run says (its first words, and what else must stand there), how it exits, what
    cures it, and whether a run without new batches meets it before dbt builds anything (`early`).
    """

    name: str
    done: str
    impose: Callable[[Site], AbstractContextManager[dict[str, str]]]
    says: str
    words: str
    cure: str
    exit_code: int = 1
    early: bool = True
    needs_batch: bool = False
    full_refresh: bool = False


CASES = [
    Case(
        "database of a newer DuckDB",
        "the header of `warehouse.duckdb` is stamped with storage version 199",
        rewritten(lambda raw: restamped(raw, 199)),
        "another version of DuckDB",
        "its format is 199",
        "move the file away",
    ),
    Case(
        "database overwritten",
        "`warehouse.duckdb` is replaced by text",
        rewritten(lambda raw: b"not a database\n" * 9_999),
        "damaged database",
        "not a valid DuckDB database file",
        "move the file away",
    ),
    Case(
        "database cut off",
        "the second half of `warehouse.duckdb` is gone",
        rewritten(lambda raw: raw[: len(raw) // 2]),
        "damaged database",
        "cannot be read",
        "move the file away",
    ),
    Case(
        "database in use",
        "another program has `warehouse.duckdb` open for writing",
        opened_by_a_program,
        "in use",
        "process",
        "close the program",
    ),
    Case(
        "two runs at once",
        "a second `make run` on the same workspace",
        another_run,
        "landing: another run",
        "is at work in",
        "wait",
        exit_code=2,
    ),
    Case(
        "older Quanyu",
        "incremental tables have a column too few and one too many",
        built_by_an_older_version,
        "another version of Quanyu",
        "lifecycle.customer_day lacks refund_amount",
        "`FULL_REFRESH=1`",
        full_refresh=True,
    ),
    Case(
        "registry damaged",
        "`lake/batches.parquet` is cut in half",
        registry_is_damaged,
        "damaged lake",
        "batches.parquet",
        "restore the file from a backup",
    ),
    Case(
        "no such amount of memory",
        "`QUANYU_MEMORY=lots`",
        with_memory("lots"),
        "not a setting",
        "QUANYU_MEMORY=4GB",
        "set it",
        needs_batch=True,
    ),
    Case(
        "quota",
        "no file may grow beyond 2 kB while a batch lands",
        files_stay_small,
        "disk full",
        "could not be written",
        "free space",
        needs_batch=True,
    ),
    Case(
        "read-only workspace",
        "the workspace is mounted read-only",
        workspace_is_read_only,
        "not writable",
        "read-only file system",
        "make it writable",
    ),
    Case(
        "disk full in the build",
        "the workspace lies on a disk with 3 MB to spare",
        disk_with(3_000_000),
        "disk full",
        "MB are left on the disk of",
        "free space",
        early=False,
    ),
    Case(
        "disk full at the publication",
        "the published folder lies on a disk with 1 MB to spare",
        disk_with(1_000_000, "serving"),
        "disk full",
        "MB are left on the disk of",
        "free space",
        early=False,
    ),
    Case(
        "too little memory",
        "`QUANYU_MEMORY=8MB`",
        with_memory("8MB"),
        "out of memory",
        "QUANYU_MEMORY=8GB",
        "allow more",
        early=False,
    ),
    Case(
        "read-only landing",
        "the landing folder is mounted read-only",
        landing_is_read_only,
        "",
        "published ",
        "none needed",
        exit_code=0,
        early=False,
    ),
]


# --- the page --------------------------------------------------------------------------------------------------------

TOP = """\
# Reliability

What happens when the machine fails, and when what lands is bad. This page is written by the suites that prove it, from
their own cases: `tests/python/test_faults.py` (`QUANYU_DOCS=1` writes it anew) and `tests/python/test_bad_input_entities.py`.

## The machine

- A run that cannot go on says in three lines **what** happened and **where**, what readers **keep**, and what **to do**. No stack
  trace; one that nobody foresaw lies in `<workspace>/logs/error.log`.
- It exits with 1, or with 2 when nothing was begun: the landing folder cannot be used, or another run is at work.
- The day's report is marked as held with the same words, where it can still be written.
- Nothing is lost: batches are admitted by replacing one file, versions are published by one rename, the lake holds
  everything the warehouse is made of, and a copy of the ledger of published figures.

| case | what is done | the run says | exit | readers | cure | the next run | proved by |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
BOTTOM = """\
| killed | SIGKILL to the whole job at random moments | nothing | -9 | keep their version | none needed | the marts of an undisturbed run | `make test` (3 kills in a row), `make soak` (20): `test_disturbed.py` |
| clock moved | every landed file is dated 1980, then 2099, and the run is in another time zone | nothing new | 0 | keep their version | none needed | the same bytes | `make test` (intake), `make soak` |

`make test` shows that such a run changes neither the lake nor what readers see. `make soak` imposes every case on a refresh
with a new day, cures it, runs again, and compares every mart byte by byte with an undisturbed refresh. Cases that need
a mount are skipped where mounting is not permitted.
"""


BAD_INPUT = """
## What lands

Bad input ends in a held batch or a quarantined row ([operations](operations.md)), never in a lost row or a failed job:
landed = accepted + duplicate + superseded + quarantined + erased, batch by batch, in `audit.row_conservation`.
Each case below is imposed on each of the {entities} entities of the contract: {names}.
{count} files of {rows} good rows each are landed damaged, and {values} rows with one value that its column must not hold. What a
bad file does to the whole job, and bad folders, are in `tests/python/test_bad_input.py`.

| file | its batch | accepted | quarantined | duplicate |
| --- | --- | ---: | ---: | ---: |
"""
BAD_VALUES = """
| a column of kind | in entities | must not hold (the row is quarantined, its reason names the column) |
| --- | ---: | --- |
"""


def bad_input() -> str:
    entities = bad.CONTRACT.values()
    cases = bad.files(next(iter(entities)), 0, bad.DAY)
    page = BAD_INPUT.format(
        entities=len(entities),
        names=", ".join(f"`{entity.name}`" for entity in entities),
        count=len(cases) * len(entities),
        rows=bad.GOOD_ROWS,
        values=f"{sum(len(bad.rows_with_bad_values(entity)) for entity in entities):,}",
    )
    column = next(iter(entities)).required_columns[0]
    for name, file in cases.items():
        fates = (file.accepted, file.quarantined, file.duplicate)
        words = "the column" if file.held == column else f"`{file.held}`"
        said = f"held, naming {words}" if file.held else "admitted"
        cells = [name, said, *(["", "", ""] if file.held else map(str, fates))]
        page += f"| {' | '.join(cells)} |\n"
    after = bad.DAY + timedelta(days=1)
    kinds: dict[str, tuple[set[str], dict[str, None]]] = {}
    for entity in entities:
        for column in entity.columns:
            for value, _ in bad.bad_values(column):
                kind = "required" if not value else column.kind
                held_in, values = kinds.setdefault(kind, (set(), {}))
                held_in.add(entity.name)
                long = f"{len(value):,} characters" if len(value) > 200 else f"`{value}`"
                words = {"": "nothing", f"{after}": "the day after its batch"}
                values[words.get(value, long)] = None
    page += BAD_VALUES
    for kind, (held_in, values) in sorted(kinds.items()):
        page += f"| {kind} | {len(held_in)} | {', '.join(values)} |\n"
    return page


def row_of(case: Case) -> str:
    said = f"`{case.says}: …`" if case.exit_code == 1 else f"`{case.says} …`"
    cells = [
        case.name,
        case.done,
        said if case.says else "what it always says",
        str(case.exit_code),
        "keep their version" if case.exit_code else "see the new day",
        case.cure,
        "the marts of an undisturbed run",
        "`make test`, `make soak`" if case.early else "`make soak`",
    ]
    return f"| {' | '.join(cells)} |\n"


def test_the_page_says_what_the_cases_say():
    """QUANYU_DOCS=1 writes it anew; the difference is then reviewed in git."""
    page = TOP + "".join(map(row_of, CASES)) + BOTTOM + bad_input()
    if os.environ.get("QUANYU_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page


# --- a run that meets a fault ----------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder by its hash; a link by where it leads."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def assert_it_was_said(case: Case, site: Site, result, kept: Path) -> None:
    """The run exited as it should, in words, and readers have what they had."""
    assert result.exit_code == case.exit_code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output and "unexpected:" not in result.output, result.output
    assert case.words in result.output, result.output
    if case.exit_code == 1:
        (said,) = [x for x in result.output.splitlines() if x.startswith(f"{case.says}: ")]
        after = result.output.split(said, 1)[1].splitlines()
        assert after[1].startswith("nothing is lost: readers keep ") and kept.name in after[1]
        assert after[2].startswith("to do: ")
    elif case.exit_code == 2:
        assert case.says in result.output
    if case.exit_code:
        assert current(site.workspace / "serving").name == kept.name


@pytest.fixture(scope="module")
def started(world, warehouse, tmp_path_factory) -> Site:
    """The small demo world with one more batch to land, and a copy of its workspace. Tests leave it as they find it."""
    root = tmp_path_factory.mktemp("faults")
    shutil.copytree(world / "landing", root / "landing", copy_function=os.link)
    shutil.copytree(warehouse, root / "workspace", symlinks=True)
    site = Site(root / "landing", root / "workspace")
    (site.workspace / "landing.txt").write_text(f"{site.landing.resolve()}\n")
    return site


@pytest.mark.parametrize("case", [case for case in CASES if case.early], ids=lambda case: case.name)
def test_a_fault_ends_in_words_and_changes_neither_the_lake_nor_what_readers_see(
    case, started, tmp_path
):
    batch = started.landing / "products" / "dt=2026-06-30" / "late.csv"
    database = tmp_path / "warehouse.duckdb"
    shutil.copyfile(started.database, database)
    lake, serving = (contents(started.workspace / name) for name in ("lake", "serving"))
    kept = current(started.workspace / "serving")
    if case.needs_batch:
        batch.parent.mkdir()
        batch.write_text("product_id,category,name\n" + "p1,tea,x\n" * 400)
    try:
        with case.impose(started) as environ:
            result = started.run(**environ)
        assert_it_was_said(case, started, result, kept)
        assert contents(started.workspace / "lake") == lake
        assert contents(started.workspace / "serving") == serving
        if case.exit_code == 1 and case.name not in ("read-only workspace", "quota"):
            assert read_hold(started.workspace).kind == "machine"
            pages = [*started.workspace.glob("reports/2026-06-30/*.json")]
            assert pages and all(json.loads(p.read_text())["status"] == "held" for p in pages)
    finally:
        if case.needs_batch:
            shutil.rmtree(batch.parent)
        shutil.copyfile(database, started.database)


def test_files_whose_times_jump_are_not_read_again(started, contract):
    landed = [path for path in started.landing.rglob("*") if path.is_file()]
    for path in landed:  # they are links to those of the shared world
        copy = path.with_name(f".{path.name}")
        shutil.copyfile(path, copy)
        copy.replace(path)
    lake = contents(started.workspace / "lake")
    for year in (1980, 2099):
        moment = (date(year, 1, 1) - date(1970, 1, 1)).days * 86_400
        for path in landed:
            os.utime(path, (moment, moment))
        with prepare(started.landing, started.workspace, contract, say=lambda line: None) as found:
            assert found.batches == []
    assert contents(started.workspace / "lake") == lake


def test_the_ledger_of_what_was_published_outlives_the_warehouse_file(started, tmp_path):
    from orchestration import ledger

    saved, anew = started.workspace / "lake" / ledger.FILE, tmp_path / "anew.duckdb"
    (tmp_path / "lake").mkdir()
    shutil.copyfile(saved, tmp_path / "lake" / ledger.FILE)
    rows = ask(started.workspace, f"select * from {ledger.LEDGER} order by all")
    refresh = ask(started.workspace, f"select max(refresh_number) from {ledger.REFRESHES}")
    assert rows
    assert ledger.restore(anew, tmp_path) == len(rows)
    assert ledger.restore(anew, tmp_path) == 0  # it has one now
    with duckdb.connect(str(anew), read_only=True) as warehouse:
        assert warehouse.execute(f"select * from {ledger.LEDGER} order by all").fetchall() == rows
        assert warehouse.execute(f"from {ledger.REFRESHES}").fetchall() == refresh
    assert ledger.restore(tmp_path / "none.duckdb", tmp_path / "nothing") == 0


def test_an_error_that_is_not_of_the_machine_stays_what_it_is(tmp_path):
    place = Place(tmp_path, tmp_path / "w.duckdb", tmp_path / "serving")
    assert diagnose(ValueError("no such rule"), place) is None
    assert (
        diagnose(LandingError("landing folder /x cannot be read: Permission denied"), place) is None
    )
    test = {"kind": "test", "name": "t", "message": "Permission denied is a value of this column"}
    assert diagnose(BuildError("t failed", [test]), place) is None
    model = {"kind": "model", "name": "m", "message": "Out of Memory Error: failed to allocate"}
    fault = diagnose(BuildError("m failed", [test, model]), place)
    assert fault.kind == "out of memory" and ", in model m\n" in fault.happened
    spilling = model | {"message": "Out of Memory Error: failed to offload data block of size 1"}
    assert diagnose(BuildError("m failed", [spilling]), place).kind == "disk full"


def test_a_build_that_ran_out_of_memory_is_told_from_one_that_found_the_disk_full(tmp_path):
    place = Place(tmp_path, tmp_path / "w.duckdb", tmp_path / "serving")
    short = "model.x: Out of Memory Error: could not allocate block of size 256.0 KiB"
    assert is_out_of_memory(BuildError(f"test.t: Got 1 result\n{short}"), place)
    assert not is_out_of_memory(BuildError(short + " failed to offload data block"), place)
    assert not is_out_of_memory(BuildError("test.t: Got 1 result"), place)


def test_what_two_models_at_once_leave_no_memory_for_is_built_one_at_a_time(tmp_path, monkeypatch):
    asked, said = [], []
    model = {"kind": "model", "name": "m", "message": "Out of Memory Error: failed to allocate"}

    def build(self: Dbt, say: object, **options: object) -> Build:
        asked.append(options)
        if "threads" not in options or len(asked) > 2:
            raise BuildError("m failed", [model])
        return Build(models=1)

    monkeypatch.setattr(Dbt, "build", build)
    chosen = settings(tmp_path / "landing", tmp_path / "workspace")
    assert build_in_turn(chosen, said.append, full_refresh=True).models == 1
    assert asked == [{"full_refresh": True}, {"full_refresh": True, "threads": 1}]
    assert "one at a time" in said[0]
    with pytest.raises(BuildError):  # too little for one alone: once is enough
        build_in_turn(chosen, said.append)
    assert len(asked) == 4
    model["message"] = "Binder Error: no such column"
    with pytest.raises(BuildError):  # and for nothing else
        build_in_turn(chosen, said.append)
    assert len(asked) == 5


def test_an_error_that_nobody_foresaw_leaves_its_trace_in_a_file(tmp_path, monkeypatch):
    from orchestration import __main__

    def fails(*_: object) -> None:
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(__main__, "run", fails)
    result = Site(tmp_path / "landing", tmp_path / "ws").run()
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert "unexpected: ValueError: nobody foresaw this" in result.output
    assert "Traceback" in (tmp_path / "ws" / "logs" / "error.log").read_text()


# --- and the run after it --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refresh(tmp_path_factory) -> tuple[Site, dict[str, bytes]]:
    """A workspace that lacks the newest day, which has landed, and the marts of an undisturbed refresh."""
    root = tmp_path_factory.mktemp("refresh")
    build(root / "world", people=60, days=30, until=date(2026, 6, 30), progress=lambda line: None)
    site = Site(root / "landing", root / "workspace")
    copy_batches(root / "world" / "landing", site.landing, None, "2026-06-29")
    land(site.landing, site.workspace)
    copy_batches(root / "world" / "landing", site.landing, "2026-06-29", "2026-06-30")
    shutil.copytree(site.workspace, root / "undisturbed", symlinks=True)
    land(site.landing, root / "undisturbed")
    return site, mart_hashes(root / "undisturbed", root / "expected")


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_after_a_fault_the_next_run_gives_the_marts_of_an_undisturbed_one(case, refresh, tmp_path):
    before, expected = refresh
    site = Site(before.landing, tmp_path / "workspace")
    shutil.copytree(before.workspace, site.workspace, symlinks=True)
    kept = current(site.workspace / "serving")
    published = ask(site.workspace, "select count(*) from audit.published_figures")
    with case.impose(site) as environ:
        assert_it_was_said(case, site, site.run(**environ), kept)
    outcome = land(site.landing, site.workspace, full_refresh=case.full_refresh)
    assert outcome.publication.is_current and outcome.publication.is_new == bool(case.exit_code)
    assert mart_hashes(site.workspace, tmp_path / "found") == expected
    assert ask(site.workspace, "select count(*) from audit.published_figures") > published


@pytest.mark.soak
def test_a_run_in_another_time_zone_on_files_of_another_time_changes_no_byte(refresh, tmp_path):
    before, expected = refresh
    landing, workspace = tmp_path / "landing", tmp_path / "workspace"
    shutil.copytree(before.landing, landing)
    shutil.copytree(before.workspace, workspace, symlinks=True)
    (workspace / "landing.txt").write_text(f"{landing.resolve()}\n")
    for number, path in enumerate(path for path in landing.rglob("*") if path.is_file()):
        os.utime(path, (number, number))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "orchestration", "run"),
            *("--landing", landing, "--workspace", workspace),
        ],
        cwd=PROJECT,
        env=os.environ | {"TZ": "Pacific/Kiritimati"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert mart_hashes(workspace, tmp_path / "found") == expected
