"""The health report as an asset, and what happens to it when a run does not get that far."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    Failure,
    HookContext,
    MaterializeResult,
    asset,
    failure_hook,
)

from orchestration.assets import RETRY, WRITER
from orchestration.assets.serving import SERVING_KEY
from orchestration.assets.warehouse import NODES, failed_nodes, run_results_of
from orchestration.hold import Hold
from orchestration.job import (
    Settings,
    blocking_batches,
    conclude,
    hold_of_batches,
    hold_of_error,
    tell,
    write_report,
)
from orchestration.partitions import DAILY, ONE_RUN
from orchestration.resources import Warehouse
from orchestration.warehouse import BuildError

REPORT_KEY = AssetKey(["report", "health"])


def report_summary(index: Path, pages: Iterable[Path]) -> dict[str, Any]:
    """Where the pages lie and how large they are together."""
    pages = list(pages)
    return {
        "index": str(index),
        "pages": "\n".join(map(str, pages)),
        "brands": len(pages),
        "bytes": sum(page.stat().st_size for page in pages),
    }


def hold_of_step(
    step: str,
    cause: BaseException | None,
    settings: Settings,
    nodes: Mapping[str, Mapping[str, Any]],
) -> Hold | None:
    """Why a failed step keeps the day back; None when it does not: the landing folder cannot be used, or a report
    that could not be written of a day that is published.

    `step` is the name of the op, `cause` what it raised, `nodes` those of dbt's manifest.
    """
    if step in ("gate_results", "serving") and (blocking := blocking_batches(settings)):
        return hold_of_batches(settings, blocking)
    if step == "dbt_build":
        failures = failed_nodes(run_results_of(settings), nodes)
        return hold_of_error(settings, BuildError(str(cause), failures))
    if step in ("intake_and_gate", "gate_results", "serving") and isinstance(cause, Exception):
        return hold_of_error(settings, cause)
    return None


def cause_of(error: BaseException | None) -> BaseException | None:
    """What a step failed of: the error of ours below Dagster's Failure, when there is one."""
    return error.__cause__ if isinstance(error, Failure) and error.__cause__ else error


@failure_hook(required_resource_keys={"warehouse"})
def mark_report_as_held(context: HookContext) -> None:
    """A step of the daily job failed: readers keep what they have, and the report says so and why."""
    tags = context.instance.get_run_by_id(context.run_id).tags
    keys = partition_keys(tags)
    warehouse: Warehouse = context.resources.warehouse
    settings = warehouse.settings_for(tags, keys) if keys else warehouse.settings(tags)
    hold = hold_of_step(context.op.name, cause_of(context.op_exception), settings, NODES)
    if hold is None:
        return
    conclude(settings, hold)
    pages = write_report(settings)
    for line in [f"held: {page}" for page in pages] + tell(settings, pages):
        context.log.info(line)


def partition_keys(tags: Mapping[str, str]) -> Sequence[str]:
    """First and last partition of a run, from its tags."""
    names = ("dagster/partition", "dagster/asset_partition_range_end")
    return [tags[name] for name in names if name in tags]


@asset(
    key=REPORT_KEY,
    deps=[SERVING_KEY],
    group_name="report",
    description="One page per brand and day (消费者运营日报): FAST, stages, RFM, who to contact, data quality.",
    kinds={"html"},
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    retry_policy=RETRY,
    pool=WRITER,
)
def health_report(context: AssetExecutionContext, warehouse: Warehouse) -> MaterializeResult:
    """Write the report of what was just published."""
    settings = warehouse.settings_for(context.run.tags, list(context.partition_keys))
    conclude(settings, None)
    index, *pages = write_report(settings)
    for line in tell(settings, pages):
        context.log.info(line)
    return MaterializeResult(metadata=report_summary(index, pages))
