"""Landing files, as they lie there, and the lake: what intake and gate made of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetSpec,
    Failure,
    MaterializeResult,
    multi_asset,
)

from orchestration.assets import RETRY, WRITER
from orchestration.assets.held import marking_report
from orchestration.contract import load_contract
from orchestration.faults import told
from orchestration.gate import GateError
from orchestration.intake import BatchRecord, LandingError, RegistryRow, read_registry
from orchestration.intake.landing import scan
from orchestration.intake.lock import only
from orchestration.job import land
from orchestration.partitions import DAILY, ONE_RUN
from orchestration.resources import Warehouse

CONTRACT = load_contract()


def landing_key(entity: str) -> AssetKey:
    """The files of an entity."""
    return AssetKey(["landing", entity])


def lake_key(entity: str) -> AssetKey:
    """What of them was admitted; dbt's sources are these."""
    return AssetKey(["lake", entity])


def landing_summary(batches: Iterable[BatchRecord]) -> dict[str, int | str]:
    """What lies in an entity's folder: batches, files, bytes, newest batch date."""
    batches = list(batches)
    files = [file for batch in batches for file in batch.files]
    days = [batch.batch_date.isoformat() for batch in batches if batch.batch_date]
    return {
        "batches": len(batches),
        "files": len(files),
        "bytes": sum(file.bytes for file in files),
        "newest batch": max(days, default="-"),
    }


def lake_summary(rows: Iterable[RegistryRow], load_number: int | None) -> dict[str, int | str]:
    """What the registry says of an entity: batches, rows, and what this load brought."""
    rows = list(rows)
    days = [row.batch_date.isoformat() for row in rows if row.batch_date and row.load_number]
    return {
        "batches admitted": sum(row.load_number is not None for row in rows),
        "batches held": sum(row.is_held for row in rows),
        "batches of this load": sum(
            load_number is not None and row.load_number == load_number for row in rows
        ),
        "rows landed": sum(row.landed_rows or 0 for row in rows),
        "newest batch": max(days, default="-"),
    }


@multi_asset(
    name="landing_files",
    specs=[
        AssetSpec(
            landing_key(entity.name),
            group_name="landing",
            description=entity.description,
            kinds={"file"},
            partitions_def=DAILY,
        )
        for entity in CONTRACT.values()
    ],
    can_subset=True,
    backfill_policy=ONE_RUN,
    retry_policy=RETRY,
)
def landing_files(
    context: AssetExecutionContext, warehouse: Warehouse
) -> Iterator[MaterializeResult]:
    """Look at the landing folder, without opening a file."""
    try:
        batches, notes = scan(Path(warehouse.landing), CONTRACT)
    except LandingError as error:
        raise Failure(str(error), allow_retries=False) from error
    for note in notes:
        context.log.warning(note)
    for name in CONTRACT:
        if landing_key(name) in context.selected_asset_keys:
            yield MaterializeResult(
                asset_key=landing_key(name),
                metadata=landing_summary(batch for batch in batches if batch.entity == name),
            )


@multi_asset(
    name="intake_and_gate",
    specs=[
        AssetSpec(
            lake_key(entity.name),
            deps=[landing_key(entity.name)],
            group_name="gate",
            description=f"What the gate admitted. {entity.description}",
            kinds={"parquet", "greatexpectations"},
            partitions_def=DAILY,
        )
        for entity in CONTRACT.values()
    ],
    backfill_policy=ONE_RUN,
    retry_policy=RETRY,
    pool=WRITER,
)
def intake_and_gate(
    context: AssetExecutionContext, warehouse: Warehouse
) -> Iterator[MaterializeResult]:
    """Turn new batches into Parquet, judge them, and take what passes into the lake."""
    settings = warehouse.settings(context.run.tags)
    with marking_report("intake_and_gate", context, warehouse):
        try:
            with only("run", settings.workspace):
                admission = land(settings, context.log.info)
        except (LandingError, GateError, OSError) as error:
            # Another intake at work is over in a moment; a folder that is not there stays away.
            is_busy = "is at work" in str(error)
            raise Failure(told(error, settings.place), allow_retries=is_busy) from error
    registry = read_registry(settings.workspace).values()
    for name in CONTRACT:
        yield MaterializeResult(
            asset_key=lake_key(name),
            metadata=lake_summary(
                (row for row in registry if row.entity == name), admission.load_number
            ),
        )
