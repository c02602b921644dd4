"""Newly landed batches start a run, once their files have stopped growing."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from dagster import RunRequest, SensorEvaluationContext, SensorResult, SkipReason, sensor

from orchestration.contract import load_contract
from orchestration.intake import BatchRecord, LandingError, RegistryRow, read_registry
from orchestration.intake.landing import scan
from orchestration.partitions import DAILY, first_day, partition_for
from orchestration.resources import Warehouse
from orchestration.schedules import daily_health_report

Key = tuple[str, str]


@dataclass(frozen=True)
class Cursor:
    """What the last look saw: a fingerprint of the files that wait, and that of the last request."""

    waiting: str = ""
    requested: str = ""

    @classmethod
    def read(cls, text: str | None) -> Self:
        return cls(**json.loads(text)) if text else cls()

    def write(self) -> str:
        return json.dumps(asdict(self))


def unseen(
    batches: Iterable[BatchRecord], registry: Mapping[Key, RegistryRow]
) -> list[BatchRecord]:
    """Batches that are new, or whose files are not those that the intake saw last."""
    return [
        batch
        for batch in batches
        if batch.key not in registry or not registry[batch.key].looks_like(batch.files)
    ]


def fingerprint(batches: Iterable[BatchRecord]) -> str:
    """Names, sizes and modification times of all files; empty without files."""
    lines = sorted(f"{f.path} {f.bytes} {f.mtime_ns}" for batch in batches for f in batch.files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else ""


def look(cursor: Cursor, waiting: str) -> tuple[Cursor, bool, str]:
    """The next cursor, whether to start a run, and why not.

    A run starts when two looks in a row saw the same files, and not twice for the same files.
    """
    if not waiting:
        return Cursor("", cursor.requested), False, "nothing new has landed"
    if waiting == cursor.requested:
        return Cursor(waiting, waiting), False, "a run was asked for these files"
    if waiting != cursor.waiting:
        return Cursor(waiting, cursor.requested), False, "files are new or still growing"
    return Cursor(waiting, waiting), True, ""


@sensor(
    name="landed_batches",
    job=daily_health_report,
    minimum_interval_seconds=60,
    description="Starts the daily job for newly landed batches whose files have stopped growing.",
)
def landed_batches(context: SensorEvaluationContext, warehouse: Warehouse) -> SensorResult:
    try:
        batches, _ = scan(Path(warehouse.landing), load_contract())
    except LandingError as error:
        return SensorResult(skip_reason=SkipReason(str(error)), cursor=context.cursor)
    new = unseen(batches, read_registry(Path(warehouse.workspace)))
    waiting = fingerprint(new)
    cursor, starts, reason = look(Cursor.read(context.cursor), waiting)
    if not starts:
        return SensorResult(skip_reason=SkipReason(reason), cursor=cursor.write())
    today = datetime.now(ZoneInfo(DAILY.timezone)).date()
    newest = max((batch.batch_date for batch in batches if batch.batch_date), default=today)
    day = partition_for(newest, date.fromisoformat(first_day()), today)
    return SensorResult(
        run_requests=[RunRequest(run_key=waiting, partition_key=day)], cursor=cursor.write()
    )
