"""The published database as an asset."""

from dagster import AssetExecutionContext, AssetKey, Failure, MaterializeResult, asset

from orchestration.assets import RETRY, WRITER
from orchestration.assets.held import marking_report
from orchestration.assets.warehouse import NODES, key_of
from orchestration.hold import Hold, clear_hold, read_hold
from orchestration.job import blocking_batches, forget_published, publish_build
from orchestration.partitions import DAILY, ONE_RUN
from orchestration.resources import Warehouse
from orchestration.serving import SCHEMAS, hold_name

SERVING_KEY = AssetKey(["serving", "quanyu"])


def published_keys() -> list[AssetKey]:
    """Keys of the models and seeds in the published schemas."""
    return [
        key_of(node)
        for node in NODES.values()
        if node["resource_type"] in ("model", "seed") and node["config"]["schema"] in SCHEMAS
    ]


def not_passed(hold: Hold) -> str:
    """Why tables of a build that did not pass are not published, and what to do."""
    names = ", ".join(failure["name"] for failure in hold.failures) or hold.message
    return (
        f"the last build did not pass, so readers keep what they have: {names}. Repair it and materialise what"
        " failed again, or run the job daily_health_report"
    )


@asset(
    key=SERVING_KEY,
    deps=published_keys(),
    group_name="serving",
    description="Marts and reference tables for readers (发布库): a read-only DuckDB file and Parquet.",
    kinds={"duckdb", "parquet"},
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    retry_policy=RETRY,
    pool=WRITER,
)
def serving(context: AssetExecutionContext, warehouse: Warehouse) -> MaterializeResult:
    """Publish what was built; a batch on hold or a build that did not pass keeps readers on the last version."""
    settings = warehouse.settings(context.run.tags)
    if (hold := read_hold(settings.workspace)) and not hold.is_built:
        raise Failure(not_passed(hold), allow_retries=False)
    with marking_report("serving", context, warehouse):
        if blocking := blocking_batches(settings):
            forget_published(settings, context.log.info)
            names = ", ".join(map(hold_name, blocking))
            raise Failure(f"held, so readers keep what they have: {names}", allow_retries=False)
        publication = publish_build(settings)
        forget_published(settings, context.log.info)
    clear_hold(settings.workspace)
    manifest = publication.manifest
    return MaterializeResult(
        metadata={
            "version": manifest["version"],
            "as of": manifest["as_of_date"],
            "tables": len(manifest["tables"]),
            "rows": sum(table["rows"] for table in manifest["tables"]),
            "new": publication.is_new,
            "current": publication.is_current,
            "path": str(publication.version),
        }
    )
