"""Freshness: an entity that falls behind the others, and marts older than what has landed."""

from collections.abc import Iterable
from datetime import date

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    asset_check,
)

from orchestration.assets.landing import CONTRACT, lake_key
from orchestration.assets.serving import SERVING_KEY
from orchestration.intake import RegistryRow, read_registry
from orchestration.partitions import newest_batch
from orchestration.resources import Warehouse
from orchestration.serving import current_manifest

# A weekly feed is up to seven days behind the daily ones and healthy; after that it has stopped.
MAX_LAG_DAYS = 8


def lag_days(rows: Iterable[RegistryRow], entity: str) -> int | None:
    """Days by which an entity's newest batch lies behind the newest of all; None without dates."""
    rows = list(rows)
    newest = newest_batch(rows)
    own = newest_batch(row for row in rows if row.entity == entity)
    return (newest - own).days if newest and own else None


def is_behind(as_of: str | None, newest: date | None) -> bool:
    """Whether readers see a day before the newest that has been admitted."""
    return as_of is None or (newest is not None and date.fromisoformat(as_of) < newest)


def _check_of(entity: str) -> AssetChecksDefinition:
    @asset_check(
        asset=lake_key(entity),
        name="keeps_up",
        description=f"The newest batch lies at most {MAX_LAG_DAYS} days behind that of other entities (新鲜度).",
    )
    def keeps_up(context: AssetCheckExecutionContext, warehouse: Warehouse) -> AssetCheckResult:
        registry = read_registry(warehouse.settings({}).workspace).values()
        lag = lag_days(registry, entity)
        return AssetCheckResult(
            passed=lag is None or lag <= MAX_LAG_DAYS,
            severity=AssetCheckSeverity.WARN,
            metadata={"days behind": lag if lag is not None else "no dated batch"},
        )

    return keeps_up


LANDING_FRESHNESS = [_check_of(entity) for entity in CONTRACT]


@asset_check(
    asset=SERVING_KEY,
    name="is_fresh",
    description="Readers see the newest day that was admitted (新鲜度).",
)
def serving_is_fresh(context: AssetCheckExecutionContext, warehouse: Warehouse) -> AssetCheckResult:
    settings = warehouse.settings({})
    manifest = current_manifest(settings.published)
    as_of = manifest and manifest["as_of_date"]
    newest = newest_batch(read_registry(settings.workspace).values())
    return AssetCheckResult(
        passed=not is_behind(as_of, newest),
        severity=AssetCheckSeverity.WARN,
        metadata={"as of": str(as_of), "newest batch": str(newest)},
    )
