"""One intake run: `prepare` writes candidates for the gate, `admit` moves what it lets through into
the lake.
"""

from __future__ import annotations

import copy
import glob
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.contract import Entity
from orchestration.intake.landing import BatchRecord, FileRecord, LandingError, Unreadable, scan
from orchestration.intake.lock import only
from orchestration.intake.parquet import Layout, find_broken, literal, read_layout, select_text
from orchestration.intake.registry import (
    ADMITTED,
    HELD,
    RegistryRow,
    files_json,
    read_registry,
    registry_path,
    sync,
    write_registry,
)
from orchestration.intake.text import read_text, text_schema

Key = tuple[str, str]

# Small files are gathered into row groups of about this size before they are written.
GATHER_ROWS = 100_000
GATHER_BYTES = 32 << 20


@dataclass
class Candidate:
    """What one entity brings in this load; `path` is None when no batch of it could be read."""

    entity: str
    path: Path | None
    batches: list[BatchRecord]


@dataclass(frozen=True)
class Verdict:
    """What the gate says about one batch; sentences name the file and what to do."""

    held: bool = False
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()


@dataclass
class Prepared:
    """An intake in progress. It holds the workspace's lock until `admit` or `close`."""

    workspace: Path
    load_number: int
    candidates: list[Candidate]
    notes: list[str]
    """What was ignored in the landing folder, as sentences."""
    registry: dict[Key, RegistryRow]
    """The registry that `admit` will write."""
    known: dict[Key, RegistryRow]
    """The registry as it was read, to see whether anything is new."""
    lock: IO[str]
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def batches(self) -> list[BatchRecord]:
        return [batch for candidate in self.candidates for batch in candidate.batches]

    def close(self) -> None:
        self.lock.close()

    def __enter__(self) -> Prepared:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Admission:
    """What a load changed; `load_number` is None when no rows went into the lake."""

    load_number: int | None
    admitted: list[RegistryRow]
    held: list[RegistryRow]
    registry: Path


def prepare(
    landing: Path,
    workspace: Path,
    contract: Mapping[str, Entity],
    *,
    say: Callable[[str], None] = print,
    memory_limit: str = "4GB",
    threads: int | None = None,
    retry_held: bool = False,
) -> Prepared:
    """Convert every new or changed batch of the landing folder into candidates.

    A batch whose content was seen before, admitted or held, is left alone; `retry_held` takes up
    the held ones again. Raises LandingError when the landing folder cannot be used or another
    intake is at work.
    """
    landing, workspace = Path(os.path.abspath(landing)), Path(os.path.abspath(workspace))
    scanned, notes = scan(landing, contract)
    lock = only("intake", workspace)
    try:
        known = read_registry(workspace)
        registry = copy.deepcopy(known)
        load_number = 1 + max((row.load_number or 0 for row in known.values()), default=0)
        _clean(workspace, load_number)
        changed: dict[str, list[BatchRecord]] = defaultdict(list)
        for batch in scanned:
            if _is_changed(batch, registry.get(batch.key), retry_held):
                changed[batch.entity].append(batch)
        for note in notes:
            say(note)
        settings = {
            "memory_limit": memory_limit,
            "temp_directory": str(workspace / "intake" / "tmp"),
        }
        if threads:
            settings["threads"] = threads
        candidates = []
        for name, batches in changed.items():
            folder = workspace / "intake" / name / f"load_number={load_number}"
            candidates.append(_convert(contract[name], batches, landing, folder, settings))
            rows = sum(batch.rows for batch in batches)
            unreadable = sum(bool(batch.unreadable) for batch in batches)
            doubt = f", {unreadable} of them unreadable" if unreadable else ""
            say(f"{name}: {len(batches):,} new or changed batches{doubt}, {rows:,} rows")
    except BaseException:
        lock.close()
        raise
    return Prepared(workspace, load_number, candidates, notes, registry, known, lock, settings)


def admit(prepared: Prepared, verdicts: Mapping[Key, Verdict], workspace: Path) -> Admission:
    """Move the candidates into the lake without what is held, then commit: replace the registry.

    Every readable batch needs a verdict; one that is unreadable is held whatever the verdict.
    Releases the lock.
    """
    workspace = Path(os.path.abspath(workspace))
    if prepared.lock.closed or prepared.workspace != workspace:
        raise ValueError(
            "this intake is closed, or was prepared for another workspace: call prepare again"
        )
    now = datetime.now(UTC).replace(tzinfo=None)
    admitted, held = [], []
    with prepared:
        for candidate in prepared.candidates:
            passed, stopped = [], []
            for batch in candidate.batches:
                if not batch.unreadable and batch.key not in verdicts:
                    raise ValueError(
                        f"no verdict on {' '.join(batch.key)}: the gate must judge every batch"
                    )
                verdict = verdicts.get(batch.key, Verdict())
                (stopped if batch.unreadable or verdict.held else passed).append((batch, verdict))
            if passed:
                folder = workspace / "lake" / candidate.entity
                target = folder / f"load_number={prepared.load_number}" / "data.parquet"
                _move(candidate, [batch.batch for batch, _ in stopped], target, prepared.settings)
            admitted += [_admitted(*judged, prepared, now) for judged in passed]
            held += [_held(*judged, prepared, now) for judged in stopped]
        prepared.registry |= {row.key: row for row in [*admitted, *held]}
        path = registry_path(workspace)
        if prepared.registry != prepared.known or not path.exists():
            write_registry(workspace, prepared.registry.values())
        shutil.rmtree(workspace / "intake", ignore_errors=True)
    return Admission(prepared.load_number if admitted else None, admitted, held, path)


def _clean(workspace: Path, load_number: int) -> None:
    """Remove what a crash left: candidates, and loads that the registry does not know."""
    shutil.rmtree(workspace / "intake", ignore_errors=True)
    for folder in (workspace / "lake").glob("*/load_number=*"):
        number = re.fullmatch(r"load_number=(\d+)", folder.name)
        if number and int(number[1]) >= load_number:
            shutil.rmtree(folder)


def _is_changed(batch: BatchRecord, row: RegistryRow | None, retry_held: bool) -> bool:
    """Whether the batch must be read; when only its times are new, they are noted in `row`."""
    retry = retry_held and row is not None and row.is_held
    if row is not None and not retry and row.looks_like(batch.files):
        return False
    batch.fingerprint()
    content = batch.content_hash
    if row is None or content is None:
        return True
    if row.held_files is not None and content == row.content_hash:
        # The held delivery was taken back: what lies there is the admitted version again.
        row.clear_held()
    elif retry or content != row.last_hash:
        return True
    row.touch(batch.files)
    return False


def _connect(settings: dict[str, object]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=settings)
    connection.execute("set TimeZone = 'UTC'")
    # Rows say where they come from. Kept in order, 600 files cost three times the processor time of a copy.
    connection.execute("set preserve_insertion_order = false")
    return connection


def _copy(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    connection.execute(
        f"copy ({query}) to {literal(target.as_posix())} (format parquet, compression snappy)"
    )


def _without(source: Path, batches: Iterable[str]) -> str:
    listed = ", ".join(literal(batch) for batch in batches)
    where = f" where _batch not in ({listed})" if listed else ""
    path = literal(glob.escape(source.as_posix()))
    return f"select * from read_parquet({path}, hive_partitioning = false){where}"


def _convert(
    entity: Entity,
    batches: list[BatchRecord],
    landing: Path,
    folder: Path,
    settings: dict[str, object],
) -> Candidate:
    """Write one Parquet file with the rows of all batches that can be read whole."""
    folder.mkdir(parents=True)
    text, target = folder / "text.tmp.parquet", folder / "data.parquet"
    layouts: dict[Layout, list[tuple[BatchRecord, FileRecord]]] = defaultdict(list)
    landed_text: list[tuple[BatchRecord, FileRecord]] = []
    for batch, file in [(b, f) for b in batches if not b.unreadable for f in b.files]:
        if file.format != "parquet":
            landed_text.append((batch, file))
            continue
        try:
            layouts[read_layout(file, entity, dated=batch.batch_date is not None)].append(
                (batch, file)
            )
        except Unreadable as problem:
            batch.refuse(file.path, problem)
    if landed_text:
        _write_text(entity, landed_text, text)
    with _connect(settings) as connection:
        _copy_all(
            connection, entity, landing, text if landed_text else None, layouts, batches, target
        )
        before = [batch.batch for batch in batches if batch.unreadable]
        for batch in batches:
            if not batch.transient:
                batch.check_unchanged()
        bad = [batch.batch for batch in batches if batch.unreadable]
        if target.exists() and bad != before:
            target.rename(text)
            _copy(connection, _without(text, bad), target)
    text.unlink(missing_ok=True)
    if all(batch.unreadable for batch in batches):
        shutil.rmtree(folder)
        return Candidate(entity.name, None, batches)
    written, expected = pq.read_metadata(target).num_rows, sum(batch.rows for batch in batches)
    if written != expected:
        raise LandingError(
            f"{entity.name}: {expected:,} rows were read but {written:,} written to {target}:"
            " the landing folder was changed meanwhile; run the intake again"
        )
    return Candidate(entity.name, target, batches)


def _copy_all(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    landing: Path,
    text: Path | None,
    layouts: Mapping[Layout, list[tuple[BatchRecord, FileRecord]]],
    batches: list[BatchRecord],
    target: Path,
) -> None:
    """Join the converted text and the landed Parquet; a damaged file costs only its batch."""
    while True:
        bad = [batch.batch for batch in batches if batch.unreadable]
        groups = [[(b, f) for b, f in group if not b.unreadable] for group in layouts.values()]
        groups = [group for group in groups if group]
        if len(bad) == len(batches):
            return
        if text and not bad and not groups:
            text.rename(target)
            return
        try:
            queries = [_without(text, bad)] if text else []
            queries += [
                select_text(connection, entity, landing, [file for _, file in group])
                for group in groups
            ]
            _copy(connection, " union all ".join(queries), target)
            return
        except duckdb.Error as error:
            owners = {file.path: (batch, file) for group in groups for batch, file in group}
            damaged = find_broken(
                connection, entity, landing, [file for _, file in owners.values()]
            )
            if not damaged:
                reason = str(error).strip().splitlines()[0]
                raise LandingError(
                    f"{entity.name}: the landed files are sound but could not be converted"
                    f" ({reason}): free memory or disk space, or lower the number of threads"
                ) from error
            for path, problem in damaged.items():
                owners[path][0].refuse(path, problem)


def _write_text(
    entity: Entity, files: Sequence[tuple[BatchRecord, FileRecord]], target: Path
) -> None:
    """Write the rows of CSV and JSON files; a file that turns out unreadable on the way marks its
    batch.
    """
    technical = [("_batch", pa.string()), ("_batch_date", pa.date32()), ("_file", pa.string())]
    schema = pa.schema([*technical, *text_schema(entity)])
    gathered: list[pa.Table] = []
    rows = size = 0
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        for batch, file in files:
            if batch.unreadable:
                continue
            try:
                for table in read_text(file, entity, dated=batch.batch_date is not None):
                    count = table.num_rows
                    origin = [
                        (batch.batch, pa.string()),
                        (batch.batch_date, pa.date32()),
                        (file.path, pa.string()),
                    ]
                    columns = [pa.repeat(pa.scalar(value, kind), count) for value, kind in origin]
                    gathered.append(pa.table([*columns, *table.columns], schema=schema))
                    rows, size = rows + count, size + table.nbytes
                    if rows >= GATHER_ROWS or size >= GATHER_BYTES:
                        writer.write_table(pa.concat_tables(gathered))
                        gathered, rows, size = [], 0, 0
            except Unreadable as problem:
                batch.refuse(file.path, problem)
        if gathered:
            writer.write_table(pa.concat_tables(gathered))


def _move(
    candidate: Candidate, held: Sequence[str], target: Path, settings: dict[str, object]
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    present = [b.batch for b in candidate.batches if b.batch in held and not b.unreadable]
    if present:
        with _connect(settings) as connection:
            _copy(connection, _without(candidate.path, present), target)
    else:
        os.replace(candidate.path, target)
    for path in (target, target.parent, target.parent.parent):
        sync(path)


def _admitted(
    batch: BatchRecord, verdict: Verdict, prepared: Prepared, now: datetime
) -> RegistryRow:
    row = _seen(batch, verdict, prepared, now)
    before = prepared.known.get(batch.key)
    row.status, row.loaded_at, row.landed_rows = ADMITTED, now, batch.rows
    row.load_number = prepared.load_number
    row.first_load_number = (before and before.first_load_number) or prepared.load_number
    return row


def _held(batch: BatchRecord, verdict: Verdict, prepared: Prepared, now: datetime) -> RegistryRow:
    row = _seen(batch, verdict, prepared, now)
    row.reasons = _text(verdict.reasons or batch.unreadable)
    before = prepared.registry.get(batch.key)
    if before is None or before.status == HELD:
        return row
    return replace(
        before, held_files=row.files, held_content_hash=row.content_hash, held_reasons=row.reasons
    )


def _seen(batch: BatchRecord, verdict: Verdict, prepared: Prepared, now: datetime) -> RegistryRow:
    before = prepared.known.get(batch.key)
    return RegistryRow(
        entity=batch.entity,
        batch=batch.batch,
        batch_date=batch.batch_date,
        status=HELD,
        files=files_json(batch.files),
        content_hash=batch.content_hash,
        warnings=_text(verdict.warnings),
        extra_columns=_text(batch.extra_columns, ", "),
        missing_columns=_text(batch.missing_columns, ", "),
        first_seen_at=before.first_seen_at if before else now,
    )


def _text(values: Iterable[str], separator: str = "\n") -> str | None:
    return separator.join(values) or None
