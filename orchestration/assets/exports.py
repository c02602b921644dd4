"""The standing exports as an asset."""

from dagster import AssetExecutionContext, AssetKey, Failure, MaterializeResult, asset

from orchestration.assets import RETRY, WRITER
from orchestration.assets.serving import SERVING_KEY
from orchestration.exports import ExportError
from orchestration.job import export_standing
from orchestration.partitions import DAILY, ONE_RUN
from orchestration.resources import Warehouse

EXPORTS_KEY = AssetKey(["exports", "lists"])


@asset(
    key=EXPORTS_KEY,
    deps=[SERVING_KEY],
    group_name="exports",
    description="Lists of the seed standing_exports (例行导出) of what was just published: CSV and Parquet, once per day.",
    kinds={"csv", "parquet"},
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    retry_policy=RETRY,
    pool=WRITER,
)
def exports(context: AssetExecutionContext, warehouse: Warehouse) -> MaterializeResult:
    """Write the lists that are asked for every day and are not written yet."""
    settings = warehouse.settings_for(context.run.tags, list(context.partition_keys))
    try:
        done = export_standing(settings)
    except ExportError as error:
        raise Failure(str(error), allow_retries=False) from error
    return MaterializeResult(
        metadata={
            "lists": len(done),
            "customers": sum(each.customers for each in done),
            "folders": "\n".join(each.folder for each in done),
        }
    )
