"""Faults planted into a batch, each at a small known rate and each counted.

A broken row is always an extra copy of a good one with one cell spoilt, so that the clean world
still lands whole. Repeats copy rows which are the last version of their key, hence a repeat is
always a `duplicate` and never changes what is accepted.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pyarrow as pa

from demo.landing import SUFFIX
from demo.seasons import World

REPEATED_WITHIN = 0.002
REPEATED_LATER = 0.001
BROKEN = 0.002
BROKEN_IN_SMALL_BATCH = 0.06  # chance of one broken row where a batch is too small for a rate
SMALL_BATCH = {"touchpoints": 40}  # fewer rows than this (12 elsewhere): no broken rows at all
EXTRA_COLUMN = 0.015
LATE = 0.015
RAGGED_FIELDS = 40

# Spoilt cells by entity: fault -> column. Times and amounts that a native type cannot hold are
# planted in text files only (TEXT_ONLY).
FAULTS = {
    "touchpoints": {
        "missing_required": "identifier_value",
        "unknown_event_type": "event_type",
        "unknown_identifier_type": "identifier_type",
        "bad_time": "occurred_at",
        "future_time": "occurred_at",
        "over_long_text": "identifier_value",
    },
    "orders": {
        "missing_required": "amount",
        "unknown_status": "status",
        "unknown_identifier_type": "identifier_type",
        "bad_time": "ordered_at",
        "future_time": "ordered_at",
        "negative_amount": "amount",
        "nan_amount": "amount",
        "scientific_order_id": "order_id",
    },
    "refunds": {
        "missing_required": "refunded_at",
        "negative_amount": "amount",
        "nan_amount": "amount",
        "future_time": "refunded_at",
    },
    "order_lines": {
        "missing_required": "product_id",
        "scientific_order_id": "order_id",
        "not_a_number": "quantity",
    },
    "identity_links": {
        "missing_required": "right_value",
        "unknown_identifier_type": "left_type",
    },
    "profiles": {
        "missing_required": "identifier_value",
        "unknown_identifier_type": "identifier_type",
    },
    "memberships": {
        "missing_required": "member_id",
        "unknown_membership_event": "event",
        "future_time": "occurred_at",
    },
    "campaign_costs": {"missing_required": "cost", "negative_amount": "cost"},
    "messages": {
        "missing_required": "sent_at",
        "unknown_identifier_type": "identifier_type",
        "bad_time": "sent_at",
    },
    "referrals": {"missing_required": "inviter_value", "bad_time": "invited_at"},
    "erasure_requests": {},
}
TEXT_ONLY = {"bad_time", "nan_amount", "not_a_number"}


@dataclass
class Faults:
    """What was planted so far: counts by (entity, batch day, kind), and rows to repeat later."""

    world: World
    planted: Counter = field(default_factory=Counter)
    waiting: dict[tuple[str, str], pa.Table] = field(default_factory=dict)

    def rng(self, entity: str, batch: int) -> np.random.Generator:
        """The random stream of a batch's faults."""
        return self.world.rng("faults-" + entity, batch)

    def plant(
        self, entity: str, batch: int, form: str, table: pa.Table, final: np.ndarray
    ) -> tuple[pa.Table, list[str], dict[str, int]]:
        """Add faults to a batch.

        `final` (rows,) marks the last version of each key. Returns the table, raw lines for the
        end of a CSV file, and the expected counts: landed, quarantined, duplicate, superseded.
        """
        rng = self.rng(entity, batch)
        n = table.num_rows
        parts = [table]
        # Repeats wait for a batch of the same form: equal rows must be equal to the letter.
        earlier = self.waiting.pop((entity, form), None)
        repeats = 0
        if earlier is not None:
            parts.append(earlier)
            repeats += self._count(entity, batch, "repeated_in_later_batch", earlier.num_rows)
        last = np.flatnonzero(final)
        within = rng.choice(last, min(rng.binomial(n, REPEATED_WITHIN), len(last)), replace=False)
        if len(within):
            parts.append(table.take(np.sort(within)))
            repeats += self._count(entity, batch, "repeated_within_batch", len(within))
        later = rng.choice(last, min(rng.binomial(n, REPEATED_LATER), len(last)), replace=False)
        if len(later):
            self.waiting[entity, form] = table.take(np.sort(later))
        broken, ragged = self._broken(entity, batch, form, table, rng)
        if broken is not None:
            parts.append(broken)
        bad = (0 if broken is None else broken.num_rows) + len(ragged)
        counts = {
            "landed": n + repeats + bad,
            "quarantined": bad,
            "duplicate": repeats,
            "superseded": int((~final).sum()),
        }
        whole = pa.concat_tables(parts) if len(parts) > 1 else table
        if rng.random() < EXTRA_COLUMN:
            whole = whole.append_column("remark", pa.array(["exported by hand"] * len(whole)))
            self._count(entity, batch, "extra_column", whole.num_rows)
        return whole, ragged, counts

    def _count(self, entity: str, batch: int, kind: str, rows: int) -> int:
        self.planted[entity, batch, kind] += rows
        return rows

    def _broken(self, entity, batch, form, table, rng) -> tuple[pa.Table | None, list[str]]:
        n = table.num_rows
        native = form in ("parquet_local", "parquet_utc")
        kinds = [kind for kind in FAULTS[entity] if not (native and kind in TEXT_ONLY)]
        if SUFFIX[form].startswith(".csv") and kinds:
            kinds.append("ragged_line")
        enough = n >= SMALL_BATCH.get(entity, 12)
        expected = n * BROKEN
        if expected >= 1:
            count = 1 + int(rng.poisson(expected - 1))
        else:
            count = int(rng.random() < max(expected, BROKEN_IN_SMALL_BATCH))
        count = min(count, max(1, n // 25)) if enough and kinds else 0
        ragged: list[str] = []
        rows = []
        for source in rng.integers(0, n, count):
            kind = kinds[int(rng.integers(len(kinds)))]
            self._count(entity, batch, kind, 1)
            if kind == "ragged_line":
                ragged.append(",".join(f"x{number}" for number in range(RAGGED_FIELDS)))
                continue
            row = table.slice(int(source), 1).to_pylist()[0]
            row[FAULTS[entity][kind]] = self._spoilt(kind, batch, table, entity)
            if kind == "unknown_identifier_type" and row.get("identifier_value", "") is None:
                row["identifier_value"] = "021-0000"
            rows.append(row)
        return (pa.Table.from_pylist(rows, table.schema) if rows else None), ragged

    def _spoilt(self, kind: str, batch: int, table: pa.Table, entity: str):
        """The cell that makes a row unusable, in the type that its column has."""
        column = table.schema.field(FAULTS[entity][kind])
        if kind == "future_time":
            moment = dt.datetime.combine(self.world.date(batch) + dt.timedelta(2), dt.time(10))
            if pa.types.is_timestamp(column.type):
                return moment.replace(tzinfo=dt.UTC) if column.type.tz else moment
            return moment.isoformat()
        if kind == "negative_amount":
            return "-12.50" if pa.types.is_string(column.type) else Decimal("-12.50")
        return {
            "missing_required": None,
            "unknown_event_type": "page_ping",
            "unknown_identifier_type": "fax_no",
            "unknown_status": "teleported",
            "unknown_membership_event": "frozen",
            "bad_time": "not a date",
            "nan_amount": "NaN",
            "not_a_number": "two",
            "scientific_order_id": "1.23457E+18",
            "over_long_text": "x" * 5_000,
        }[kind]


def late_batches(world: World, entity: str, batches: np.ndarray) -> list[dict]:
    """Batches that a test should land later than their date: dicts of the truth table."""
    rng = world.rng("late-" + entity)
    out = []
    for batch in batches[:-7]:
        if rng.random() < LATE:
            arrives = world.date(batch) + dt.timedelta(days=int(rng.integers(1, 6)))
            out.append({"entity": entity, "batch": world.date(batch), "arrives_on": arrives})
    return out


QUARANTINED_KINDS = {kind for kinds in FAULTS.values() for kind in kinds} | {"ragged_line"}
