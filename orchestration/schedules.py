"""The daily job and its hour."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from dagster import AssetSelection, build_schedule_from_partitioned_job, define_asset_job

from orchestration.partitions import DAILY


def hour_and_minute(environ: Mapping[str, str]) -> tuple[int, int]:
    """When the job starts, in the business time zone: QUANYU_SCHEDULE (HH:MM), else 06:00.

    Raises ValueError for anything else.
    """
    text = environ.get("QUANYU_SCHEDULE") or "06:00"
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f"QUANYU_SCHEDULE is {text!r}: give a time of day such as 06:00")
    hour, minute = text.split(":")
    return int(hour), int(minute)


HOUR, MINUTE = hour_and_minute(os.environ)

daily_health_report = define_asset_job(
    "daily_health_report",
    AssetSelection.all(),
    partitions_def=DAILY,
    description="Landing files to published marts and the health report, as of a day; the newest batch on today's run.",
)

daily_schedule = build_schedule_from_partitioned_job(
    daily_health_report,
    name="daily_health_report_schedule",
    description="Yesterday's partition, in the morning.",
    hour_of_day=HOUR,
    minute_of_hour=MINUTE,
)
