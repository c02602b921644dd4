"""The registry of batches, `<workspace>/lake/batches.parquet`: the only state that the intake
keeps.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.intake.landing import FileRecord, LandingError

ADMITTED, HELD = "admitted", "held"

SCHEMA = pa.schema(
    [
        ("entity", pa.string()),
        ("batch", pa.string()),
        ("batch_date", pa.date32()),
        ("status", pa.string()),
        ("load_number", pa.int64()),
        ("first_load_number", pa.int64()),
        ("landed_rows", pa.int64()),
        ("files", pa.string()),
        ("content_hash", pa.string()),
        ("reasons", pa.string()),
        ("warnings", pa.string()),
        ("extra_columns", pa.string()),
        ("missing_columns", pa.string()),
        ("first_seen_at", pa.timestamp("us")),
        ("loaded_at", pa.timestamp("us")),
        ("held_files", pa.string()),
        ("held_content_hash", pa.string()),
        ("held_reasons", pa.string()),
    ]
)


@dataclass
class RegistryRow:
    """One batch.

    `admitted`: everything up to `loaded_at` describes the version whose rows are current; when a
    newer delivery of it is held, the `held_` columns say which and why. `held`: no version was ever
    admitted; `files`, `content_hash` and `reasons` describe the delivery that is held.
    """

    entity: str
    batch: str
    batch_date: date | None
    status: str
    load_number: int | None = None
    first_load_number: int | None = None
    landed_rows: int | None = None
    files: str = "[]"
    content_hash: str | None = None
    reasons: str | None = None
    warnings: str | None = None
    extra_columns: str | None = None
    missing_columns: str | None = None
    first_seen_at: datetime | None = None
    loaded_at: datetime | None = None
    held_files: str | None = None
    held_content_hash: str | None = None
    held_reasons: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.entity, self.batch

    @property
    def is_held(self) -> bool:
        """The delivery seen last is held."""
        return self.status == HELD or self.held_files is not None

    @property
    def last_files(self) -> str:
        return self.files if self.held_files is None else self.held_files

    @property
    def last_hash(self) -> str | None:
        return self.content_hash if self.held_files is None else self.held_content_hash

    def looks_like(self, files: Iterable[FileRecord]) -> bool:
        """A cheap look: names, sizes and modification times are those of the delivery seen last."""
        last = {
            (file["path"], file["bytes"], file["mtime_ns"]) for file in json.loads(self.last_files)
        }
        return self.last_hash is not None and last == {(f.path, f.bytes, f.mtime_ns) for f in files}

    def touch(self, files: Iterable[FileRecord]) -> None:
        """Take over new modification times of the delivery seen last, whose content is the same."""
        times = {file.path: file.mtime_ns for file in files}
        renewed = [
            {**file, "mtime_ns": times[file["path"]]} for file in json.loads(self.last_files)
        ]
        if self.held_files is None:
            self.files = json.dumps(renewed, ensure_ascii=False)
        else:
            self.held_files = json.dumps(renewed, ensure_ascii=False)

    def clear_held(self) -> None:
        self.held_files = self.held_content_hash = self.held_reasons = None


def files_json(files: Iterable[FileRecord]) -> str:
    keep = ("path", "bytes", "mtime_ns", "rows", "sha256")
    return json.dumps(
        [{name: getattr(file, name) for name in keep} for file in files], ensure_ascii=False
    )


def registry_path(workspace: Path) -> Path:
    return workspace / "lake" / "batches.parquet"


def read_registry(workspace: Path) -> dict[tuple[str, str], RegistryRow]:
    """All batches by (entity, batch); empty before the first load. Raises LandingError when the file is damaged."""
    path = registry_path(workspace)
    try:
        rows = pq.read_table(path, schema=SCHEMA).to_pylist() if path.exists() else []
    except pa.ArrowInvalid as error:
        raise LandingError(f'"{path}" is damaged: {error}') from error
    return {(row["entity"], row["batch"]): RegistryRow(**row) for row in rows}


def write_registry(workspace: Path, rows: Iterable[RegistryRow]) -> Path:
    """Replace the registry in one step; a crash leaves the old one or the new one, never half of
    one.
    """
    path = registry_path(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(
        [asdict(row) for row in sorted(rows, key=lambda row: row.key)], SCHEMA
    )
    temporary = path.with_name(".batches.parquet.tmp")
    pq.write_table(table, temporary)
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)
    return path


def sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
