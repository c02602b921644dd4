"""The health report as an asset."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext, AssetKey, MaterializeResult, asset

from orchestration.assets import RETRY, WRITER
from orchestration.assets.serving import SERVING_KEY
from orchestration.job import tell, write_report
from orchestration.partitions import DAILY, ONE_RUN
from orchestration.resources import Warehouse

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
    """Write the report of what was just published; while the day is held, that of what readers still have."""
    settings = warehouse.settings_for(context.run.tags, list(context.partition_keys))
    index, *pages = write_report(settings)
    for line in tell(settings, pages):
        context.log.info(line)
    return MaterializeResult(metadata=report_summary(index, pages))
