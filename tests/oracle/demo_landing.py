"""The files of a demo world read in plain Python, and written again as a landing that tests/oracle/stages.py reads.

Rows, their repairs and the rules that refuse a row are read here anew, from the contract's words. Whose an identifier is
is asked of the warehouse (identity has its own oracle): every identifier is written as the least one of its customer.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tests.oracle.stages import _time

SEEDS = Path(__file__).parents[2] / "seeds"
# Entity: (required columns, columns of times, the time that says whose a shared device was).
READ = {
    "touchpoints": (
        ["event_id", "source_system", "occurred_at", "event_type"],
        ["occurred_at"],
        "occurred_at",
    ),
    "orders": (
        ["order_id", "source_system", "ordered_at", "status", "amount"],
        ["ordered_at", "paid_at"],
        "ordered_at",
    ),
    "refunds": (
        ["refund_id", "source_system", "refunded_at", "amount"],
        ["refunded_at"],
        "refunded_at",
    ),
    "memberships": (["brand_id", "member_id", "event", "occurred_at"], ["occurred_at"], None),
    "messages": (["message_id", "sent_at"], ["sent_at", "delivered_at"], "sent_at"),
    "referrals": (["referral_id", "invited_at"], ["invited_at", "accepted_at"], "invited_at"),
    "campaigns": (["campaign_id"], [], None),
}
NAMED = {"touchpoints": "identifier", "messages": "identifier", "referrals": "inviter"}
STATUSES = {"created", "paid", "shipped", "completed", "cancelled"}
MEMBERSHIP_EVENTS = {"join", "quit", "tier"}


def write(landing: Path, database: Path, surfaces: dict, target: Path) -> set[tuple[str, str]]:
    """Names of the customers who are people (METRICS 0.18), each its least identifier.

    `surfaces`: {(type, value as landed): value in normal form}.
    """
    spells, least, visitors = _owners(database)

    def owner(kind: str, value: str, at: datetime | None) -> tuple[str, str] | None:
        found = spells.get((kind, surfaces.get((kind, value), value))) or spells.get((kind, value))
        for customer, start, end in found or ():
            if at is None or ((not start or at >= start) and (not end or at < end)):
                return least[customer]
        return None

    for entity, (_, _, moment) in READ.items():
        rows = []
        for row in _accepted(landing, entity):
            for side in ("identifier", "inviter"):
                if row.get(f"{side}_type"):
                    at = _time(row[moment]) if moment else None
                    who = owner(row[f"{side}_type"], str(row[f"{side}_value"]), at)
                    row[f"{side}_type"], row[f"{side}_value"] = who or (None, None)
            rows.append(row)
        _put(target, entity, rows)
    links = []
    for kind, value in spells:
        who = owner(kind, value, None)
        if kind == "member_id" and who != (kind, value):
            links.append(
                {
                    "source_system": "oracle",
                    "left_type": kind,
                    "left_value": value,
                    "right_type": who[0],
                    "right_value": who[1],
                }
            )
    _put(target, "identity_links", links)
    return {name for customer, name in least.items() if customer not in visitors}


def _owners(database: Path) -> tuple[dict, dict, set]:
    """{identifier: [(customer, from, to)]}, {customer: its least identifier}, customers who are anonymous visitors."""
    spells: dict = {}
    least: dict = {}
    visitors: set = set()
    with duckdb.connect(str(database), read_only=True) as connection:
        for kind, value, customer, start, end, current, is_visitor in connection.execute(
            "select identifier_type, identifier_value, customer_id, valid_from, valid_to, is_current, "
            "is_anonymous_visitor from identity.int_identity__resolution"
        ).fetchall():
            spells.setdefault((kind, value), []).append((customer, start, end))
            if current:
                least[customer] = min(least.get(customer, (kind, value)), (kind, value))
            if is_visitor:
                visitors.add(customer)
    return spells, least, visitors


def _put(target: Path, entity: str, rows: list[dict]) -> None:
    if rows:
        (target / entity).mkdir(parents=True)
        with (target / entity / "rows.csv").open("w", encoding="utf-8", newline="") as handle:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            writer = csv.DictWriter(handle, columns)
            writer.writeheader()
            writer.writerows(rows)


def _accepted(landing: Path, entity: str) -> Iterator[dict]:
    for path in sorted(p for p in (landing / entity).rglob("*") if p.is_file()):
        named = next((part[3:] for part in path.parts if part.startswith("dt=")), None)
        for row in _file(path):
            if _good(entity, row, date.fromisoformat(named) if named else None):
                yield row


def _file(path: Path) -> Iterator[dict]:
    if path.suffix == ".parquet":
        yield from pq.read_table(path).to_pylist()
        return
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    if ".jsonl" in path.name:
        yield from (json.loads(line) for line in text.splitlines())
        return
    for row in csv.DictReader(io.StringIO(text, newline="")):
        # DictReader keeps the fields that are too many under None.
        if None not in row:
            yield {key: value or None for key, value in row.items()}


def _good(entity: str, row: dict, batch: date | None) -> bool:
    required, times, _ = READ[entity]
    if any(row.get(column) in (None, "") for column in required):
        return False
    side = NAMED.get(entity)
    if side and (not row.get(f"{side}_type") or not row.get(f"{side}_value")):
        return False
    for column in ("identifier", "inviter"):
        kind, value = row.get(f"{column}_type"), row.get(f"{column}_value")
        if (kind and kind not in _names("identifier_types", "identifier_type")) or len(
            value or ""
        ) > 4096:
            return False
    for column in times:
        try:
            at = _time(row[column]) if row.get(column) not in (None, "") else None
        except ValueError:
            return False
        # A file knows nothing of days after its own.
        if at and batch and at.date() > batch + timedelta(1):
            return False
    if "amount" in required:
        try:
            amount = Decimal(str(row["amount"]))
        except InvalidOperation:
            return False
        if not amount.is_finite() or amount < 0:
            return False
    return (
        (entity != "touchpoints" or row["event_type"] in _names("event_types", "event_type"))
        and (entity != "orders" or row["status"] in STATUSES)
        and "E+" not in str(row.get("order_id"))
        and (entity != "memberships" or row["event"] in MEMBERSHIP_EVENTS)
    )


def _names(seed: str, column: str, read: dict = {}) -> set[str]:  # noqa: B006
    if seed not in read:
        with (SEEDS / f"{seed}.csv").open(encoding="utf-8", newline="") as handle:
            read[seed] = {row[column] for row in csv.DictReader(handle)}
    return read[seed]
