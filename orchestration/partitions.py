"""Days: a partition is a batch date, and running it looks at the warehouse as of that day."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import yaml
from dagster import BackfillPolicy, DailyPartitionsDefinition

from orchestration.intake import RegistryRow
from orchestration.warehouse import PROJECT


def business_timezone(environ: Mapping[str, str] = os.environ) -> str:
    """The zone of the day cut: QUANYU_TIMEZONE, else the dbt var `business_timezone`."""
    document = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    return environ.get("QUANYU_TIMEZONE") or document["vars"]["business_timezone"]


def first_day(environ: Mapping[str, str] = os.environ) -> str:
    """The first partition: QUANYU_FIRST_DAY, else the start of 2024."""
    return environ.get("QUANYU_FIRST_DAY") or "2024-01-01"


DAILY = DailyPartitionsDefinition(start_date=first_day(), timezone=business_timezone())
# A range is one run that looks at its last day: batches are found by the intake, not by the range.
ONE_RUN = BackfillPolicy.single_run()


def as_of_date(partition_keys: Iterable[str], newest: date | None) -> str | None:
    """The day to look at: the last of the partitions, or None, the newest batch, from that on."""
    last = max(partition_keys)
    return None if newest is None or date.fromisoformat(last) >= newest else last


def newest_batch(rows: Iterable[RegistryRow]) -> date | None:
    """The newest date of an admitted batch."""
    return max((r.batch_date for r in rows if r.batch_date and r.load_number), default=None)


def partition_for(newest: date, first: date, today: date) -> str:
    """The partition in which a batch of this date is run: its day, within the days that exist."""
    return min(max(newest, first), today - timedelta(days=1)).isoformat()
