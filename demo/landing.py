"""Turns rows of codes into landing files: renders columns, plants faults, writes each batch.

Rendering works on many batches at once (CHUNK_ROWS), writing on one batch. A rendered entity is a
`Rendered`: every contract column as text, and the numbers behind times, dates, amounts, integers
and booleans, from which a batch may be written with native Parquet types instead.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from demo import identifiers as ids
from demo import vocabulary as v
from demo.rows import product_table
from demo.seasons import World
from demo.text import decimals, digits, joined, mix, strings, unit, words

CHUNK_ROWS = 150_000

# Form of a batch and its share in a hundred; `text` Parquet is what most exports look like.
FORMS = (
    ("parquet", 66),
    ("parquet_local", 10),
    ("parquet_utc", 5),
    ("csv", 6),
    ("csv_bom", 3),
    ("csv_gz", 4),
    ("csv_gz_bom", 2),
    ("jsonl", 4),
)
SUFFIX = {
    "parquet": ".parquet",
    "parquet_local": ".parquet",
    "parquet_utc": ".parquet",
    "csv": ".csv",
    "csv_bom": ".csv",
    "csv_gz": ".csv.gz",
    "csv_gz_bom": ".csv.gz",
    "jsonl": ".jsonl",
}
_FORM_OF = [name for name, share in FORMS for _ in range(share)]
_BRAND_IDS = [row.brand_id for row in v.BRANDS]
_CHANNELS = [row.channel for row in v.CHANNELS]
_SOURCES = [name for name, _ in v.SOURCES]
_STYLES = np.array([style for _, style in v.SOURCES])
_STORE_IDS = [row.store_id for row in v.STORES]
_STAFF_IDS = [
    f"{row.prefix}-G{number + 1:02d}" for row in v.BRANDS for number in range(v.STAFF_PER_BRAND)
]
_COUPONS = [f"CPN{number:03d}" for number in range(60)]
_FIRST_PRODUCT, _PRODUCT_COUNT, _PRICE = product_table()
PRODUCT_IDS = [
    f"{row.prefix}{number + 1:03d}"
    for code, row in enumerate(v.BRANDS)
    for number in range(_PRODUCT_COUNT[code])
]
_GROUP_EVENTS = np.array([v.EVENT_CODE["group_join"], v.EVENT_CODE["group_leave"]])


def form_of(entity: str, batch: int) -> str:
    """File form of a batch, the same in every world."""
    draw = mix(np.array([batch]), zlib.crc32(entity.encode()))
    return _FORM_OF[int(draw[0] % np.uint64(100))]


@dataclass
class Rendered:
    """Columns of some rows: `text` by column name, `numbers` for the natively typed ones."""

    text: dict[str, pa.Array]
    numbers: dict[str, np.ndarray]

    def table(self, world: World, entity: str, form: str, first: int, past: int) -> pa.Table:
        """Rows [first, past) as they stand in a file of this form, contract columns in order."""
        columns = {name: self.text[name][first:past] for name in v.CONTRACT[entity]}
        if form in ("parquet_local", "parquet_utc"):
            for name, numbers in self.numbers.items():
                part = numbers[first:past]
                columns[name] = _native(world, entity, name, part, form == "parquet_utc")
        return pa.table(columns)


def _native(world: World, entity: str, name: str, numbers: np.ndarray, utc: bool) -> pa.Array:
    if name in v.TIME_COLUMNS.get(entity, ()):
        return world.clock.native(numbers, utc)
    if name in v.DATE_COLUMNS.get(entity, ()):
        return world.clock.dates(numbers)
    if name in v.MONEY_COLUMNS.get(entity, ()):
        return decimals(numbers)
    if name in v.BOOLEAN_COLUMNS.get(entity, ()):
        return pa.array(numbers)
    return pa.array(numbers.astype(np.int64), mask=numbers < 0)


def render(world: World, entity: str, rows: np.ndarray) -> Rendered:
    """Render rows of one entity, in the order given."""
    numbers = {name: rows[code].copy() for name, code in _COLUMNS[entity].items()}
    if entity == "profiles":
        numbers["birth_date"] = _birth_days(world, rows["person"].astype(np.int64))
    text = _TEXTS[entity](world, rows)
    for name, values in numbers.items():
        if name in v.TIME_COLUMNS.get(entity, ()):
            text[name] = world.clock.text(values, _time_style(entity, rows))
        elif name in v.DATE_COLUMNS.get(entity, ()):
            text[name] = world.clock.dates(values).cast(pa.string())
        elif name in v.BOOLEAN_COLUMNS.get(entity, ()):
            text[name] = words(["false", "true"], values.astype(int))
        else:
            text[name] = _native(world, entity, name, values, False).cast(pa.string())
    return Rendered(text, numbers)


def _time_style(entity: str, rows: np.ndarray) -> np.ndarray:
    if "source" in rows.dtype.names:
        return _STYLES[rows["source"]]
    return np.full(len(rows), {"memberships": 0, "referrals": 3}.get(entity, 1))


def _identifier(world: World, rows: np.ndarray, suffix: str = "") -> tuple[pa.Array, pa.Array]:
    kind, owner, surface = (rows[name + suffix] for name in ("kind", "owner", "surface"))
    return ids.types(kind), ids.values(kind, owner, surface, world.seed)


def order_ids(order: np.ndarray, source: np.ndarray) -> pa.Array:
    """Order ids as each source writes them, (n,); a negative order is NULL.

    Tmall ids have 18 or 19 digits, which no float holds.
    """
    out = np.zeros((len(order), 20), dtype=np.uint8)
    lengths = np.zeros(len(order), dtype=int)
    positive = np.maximum(order, 0)
    # The factor shares no divisor with ten, so equal last digits mean the same order.
    spread = positive * 738_241_931 + 314_159_265_358_979_323
    for name, prefix, width in (
        ("tmall", b"2", 18),
        ("jd", b"3", 11),
        ("douyin", b"69", 17),
        ("miniprogram", b"MP", 14),
        ("app", b"AP", 14),
        ("pos", b"POS", 12),
    ):
        rows = np.flatnonzero(source == v.SOURCE_CODE[name])
        if not len(rows):
            continue
        text = digits(spread[rows] % 10**width, width)
        at = len(prefix)
        out[rows, :at] = np.frombuffer(prefix, dtype=np.uint8)
        out[rows, at : at + width] = text
        lengths[rows] = at + width
        if name == "tmall":
            short = np.flatnonzero(positive[rows] % 3 == 0)
            out[rows[short], :18] = out[rows[short], 1:19]
            out[rows[short], 0] = ord("1")
            lengths[rows[short]] = 18
    return strings(out, lengths, order < 0)


def numbered(prefix: str, number: np.ndarray, width: int = 12) -> pa.Array:
    """Ids of a prefix and a zero-padded number, (n,)."""
    return joined(prefix, strings(digits(number, width)))


def _touchpoint_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    n = len(rows)
    day = rows["day"].astype(int)
    starts = np.flatnonzero(np.append(True, day[1:] != day[:-1])) if n else np.zeros(0, int)
    sequence = np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))
    stamps = np.array([int(world.date(d).strftime("%y%m%d")) for d in range(world.days)])
    number = stamps[day] * 10_000_000 + sequence if n else sequence
    content = rows["content"]
    event_id = np.empty((n, 15), dtype=np.uint8)
    prefix = "".join(name[:2] for name in _SOURCES)
    event_id[:, :2] = np.frombuffer(prefix.encode(), dtype=np.uint8).reshape(-1, 2)[rows["source"]]
    event_id[:, 2:] = digits(number, 13)
    content_id = np.empty((n, 6), dtype=np.uint8)
    is_group = np.isin(rows["event"], _GROUP_EVENTS)
    is_live = rows["event"] == v.EVENT_CODE["live_watch"]
    content_id[:, 0] = np.where(is_group, ord("G"), np.where(is_live, ord("L"), ord("C")))
    content_id[:, 1:] = digits(np.maximum(content, 0), 5)
    types, values = _identifier(world, rows)
    return {
        "event_id": strings(event_id),
        "source_system": words(_SOURCES, rows["source"]),
        "brand_id": words(_BRAND_IDS, rows["brand"]),
        "event_type": words(v.EVENT_TYPES, rows["event"]),
        "channel": words(_CHANNELS, rows["channel"]),
        "identifier_type": types,
        "identifier_value": values,
        "product_id": words(PRODUCT_IDS, rows["product"]),
        "campaign_id": words([row.campaign_id for row in world.campaigns], rows["campaign"]),
        "content_id": strings(content_id, None, content < 0),
        "store_id": words(_STORE_IDS, rows["store"]),
        "staff_id": words(_STAFF_IDS, rows["staff"]),
    }


def _order_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    types, values = _identifier(world, rows)
    return {
        "order_id": order_ids(rows["order"], rows["source"]),
        "source_system": words(_SOURCES, rows["source"]),
        "brand_id": words(_BRAND_IDS, rows["brand"]),
        "identifier_type": types,
        "identifier_value": values,
        "status": words(v.ORDER_STATUSES, rows["status"]),
        "channel": words(_CHANNELS, rows["channel"]),
        "store_id": words(_STORE_IDS, rows["store"]),
        "staff_id": words(_STAFF_IDS, rows["staff"]),
        "campaign_id": words([row.campaign_id for row in world.campaigns], rows["campaign"]),
        "coupon_id": words(_COUPONS, rows["coupon"]),
    }


def _line_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    return {
        "order_id": order_ids(rows["order"], rows["source"]),
        "source_system": words(_SOURCES, rows["source"]),
        "product_id": words(PRODUCT_IDS, rows["product"]),
    }


def _refund_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    types, values = _identifier(world, rows)
    return {
        "refund_id": numbered("RF", rows["refund"]),
        "source_system": words(_SOURCES, rows["source"]),
        "brand_id": words(_BRAND_IDS, rows["brand"]),
        "order_id": order_ids(rows["order"], rows["source"]),
        "identifier_type": types,
        "identifier_value": values,
    }


def _link_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    left, right = _identifier(world, rows), _identifier(world, rows, "2")
    return {
        "source_system": words(_SOURCES, rows["source"]),
        "left_type": left[0],
        "left_value": left[1],
        "right_type": right[0],
        "right_value": right[1],
    }


def _birth_days(world: World, person: np.ndarray) -> np.ndarray:
    """Birthday as a day number of the world (before its start): ages of 18 to 68 years."""
    return -(6_570 + (unit(person, world.seed + 31) ** 1.4 * 18_250).astype(int))


def _profile_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    seed = world.seed
    person = rows["person"].astype(np.int64)
    surname = (unit(person, seed + 32) ** 1.5 * len(v.SURNAMES)).astype(int)
    given = (unit(person, seed + 33) * len(v.GIVEN_NAMES)).astype(int)
    # Spelling trouble 1: another given name of the same sound class; 2: no district; 3: no number.
    given = np.where(rows["typo"] == 1, (given + 1) % len(v.GIVEN_NAMES), given)
    home = person + rows["moved"].astype(np.int64) * 1_000_000_007
    city = (unit(home, seed + 34) ** 1.3 * len(v.CITIES)).astype(int)
    road = (unit(home, seed + 35) * len(v.ROADS)).astype(int)
    house = 1 + (unit(home, seed + 36) * 288).astype(int)
    district = words([row[2] for row in v.CITIES], city)
    number = joined(pa.array(house).cast(pa.string()), "号")
    types, values = _identifier(world, rows)
    return {
        "source_system": words(_SOURCES, rows["source"]),
        "identifier_type": types,
        "identifier_value": values,
        "name": joined(words(v.SURNAMES, surname), words(v.GIVEN_NAMES, given)),
        "gender": words(
            ["female", "male"],
            np.where(unit(person, seed + 37) < 0.1, -1, unit(person, seed + 38) < 0.36).astype(int),
        ),
        "phone": ids.values(rows["phone_kind"], rows["phone_owner"], rows["phone_surface"], seed),
        "email": ids.values(rows["email_kind"], person, rows["email_surface"], seed),
        "province": words([row[0] for row in v.CITIES], city),
        "city": words([row[1] for row in v.CITIES], city),
        "address": joined(
            pc.if_else(pa.array(rows["typo"] == 2), "", district),
            words(v.ROADS, road),
            pc.if_else(pa.array(rows["typo"] == 3), "", number),
        ),
    }


def _membership_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    types, values = _identifier(world, rows)
    member = np.full(len(rows), ids.MEMBER)
    return {
        "brand_id": words(_BRAND_IDS, rows["brand"]),
        "member_id": ids.values(member, rows["person"], np.zeros(len(rows), int), world.seed),
        "event": words(v.MEMBERSHIP_EVENTS, rows["event"]),
        "tier": words(v.TIERS, rows["tier"]),
        "channel": words(_CHANNELS, rows["channel"]),
        "store_id": words(_STORE_IDS, rows["store"]),
        "staff_id": words(_STAFF_IDS, rows["staff"]),
        "identifier_type": types,
        "identifier_value": values,
    }


def _message_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    types, values = _identifier(world, rows)
    return {
        "message_id": numbered("MSG", rows["message"]),
        "channel": words(_CHANNELS, rows["channel"]),
        "campaign_id": words([row.campaign_id for row in world.campaigns], rows["campaign"]),
        "identifier_type": types,
        "identifier_value": values,
        "failed_reason": words(v.FAILED_REASONS, rows["reason"]),
    }


def _referral_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    inviter, invitee = _identifier(world, rows), _identifier(world, rows, "2")
    return {
        "referral_id": numbered("REF", rows["referral"]),
        "inviter_type": inviter[0],
        "inviter_value": inviter[1],
        "invitee_type": invitee[0],
        "invitee_value": invitee[1],
    }


def _erasure_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    types, values = _identifier(world, rows)
    return {"identifier_type": types, "identifier_value": values}


def _cost_text(world: World, rows: np.ndarray) -> dict[str, pa.Array]:
    return {
        "campaign_id": words([row.campaign_id for row in world.campaigns], rows["campaign"]),
        "channel": words(_CHANNELS, rows["channel"]),
    }


_TEXTS: dict[str, Callable[[World, np.ndarray], dict[str, pa.Array]]] = {
    "touchpoints": _touchpoint_text,
    "orders": _order_text,
    "order_lines": _line_text,
    "refunds": _refund_text,
    "identity_links": _link_text,
    "profiles": _profile_text,
    "memberships": _membership_text,
    "messages": _message_text,
    "referrals": _referral_text,
    "erasure_requests": _erasure_text,
    "campaign_costs": _cost_text,
}
# Contract column -> column of codes, for everything that is a number underneath.
_COLUMNS = {
    "touchpoints": {"occurred_at": "t", "value": "value"},
    "orders": {
        "ordered_at": "t",
        "paid_at": "paid",
        "amount": "amount",
        "discount_amount": "discount",
    },
    "refunds": {"refunded_at": "t", "amount": "amount"},
    "order_lines": {"line_number": "line", "quantity": "quantity", "line_amount": "amount"},
    "identity_links": {"linked_at": "t"},
    "profiles": {"updated_at": "t"},
    "memberships": {"occurred_at": "t"},
    "messages": {
        "sent_at": "t",
        "delivered_at": "delivered",
        "opened_at": "opened",
        "clicked_at": "clicked",
        "unsubscribed_at": "unsubscribed",
        "is_control": "control",
    },
    "referrals": {"invited_at": "t", "accepted_at": "accepted"},
    "erasure_requests": {"requested_at": "t"},
    "campaign_costs": {
        "date": "day",
        "impressions": "impressions",
        "clicks": "clicks",
        "cost": "cost",
    },
}


def products(world: World) -> pa.Table:
    """All goods, text columns of the contract; the newest ones are launched within the world."""
    rows = []
    code = 0
    for brand in v.BRANDS:
        for category, _ in brand.categories:
            for line in range(v.PRODUCTS_PER_CATEGORY):
                price = int(_PRICE[code])
                age = 900 - code * 37 % 1_200
                rows.append(
                    {
                        "product_id": PRODUCT_IDS[code],
                        "brand_id": brand.brand_id,
                        "category": category,
                        "name": f"{brand.name_zh}{v.PRODUCT_LINES[line]}{category}",
                        "list_price": f"{price / 100:.2f}",
                        "unit_cost": f"{price * (28 + code % 9) // 100 / 100:.2f}",
                        "launched_on": (world.until - dt.timedelta(days=age + 300)).isoformat(),
                    }
                )
                code += 1
    return pa.Table.from_pylist(rows, pa.schema([(c, pa.string()) for c in v.CONTRACT["products"]]))


def campaigns(world: World) -> pa.Table:
    """All campaigns, with native dates and amounts."""
    rows = world.campaigns
    return pa.table(
        {
            "campaign_id": [row.campaign_id for row in rows],
            "brand_id": [_BRAND_IDS[row.brand] for row in rows],
            "name": [row.name for row in rows],
            "scenario": [row.scenario for row in rows],
            "channel": [_CHANNELS[row.channel] for row in rows],
            "starts_on": [world.date(row.first_day) for row in rows],
            "ends_on": [world.date(row.last_day) for row in rows],
            "budget": decimals(np.array([row.budget_yuan * 100 for row in rows])),
        }
    )


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a Parquet file whose bytes depend on the table alone."""
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        store_schema=False,
        version="2.6",
        row_group_size=1_000_000,
    )


def _json_lines(table: pa.Table, entity: str) -> bytes:
    """Rows as JSON objects; a NULL is left out, amounts and counts are bare numbers."""
    bare = {
        *v.MONEY_COLUMNS.get(entity, ()),
        *v.INTEGER_COLUMNS.get(entity, ()),
        *v.BOOLEAN_COLUMNS.get(entity, ()),
    }
    parts = []
    for name in table.column_names:
        value = table[name].combine_chunks()
        looks_bare = pc.match_substring_regex(value, r"^(-?\d+(\.\d+)?|true|false)$")
        escaped = pc.replace_substring(pc.replace_substring(value, "\\", "\\\\"), '"', '\\"')
        quoted = joined('"', escaped, '"')
        written = pc.if_else(looks_bare, value, quoted) if name in bare else quoted
        parts.append(pc.fill_null(joined(f', "{name}": ', written), ""))
    lines = pc.utf8_slice_codeunits(joined(*parts), 2)
    return ("\n".join(f"{{{line}}}" for line in lines.to_pylist()) + "\n").encode()


def file_bytes(table: pa.Table, entity: str, form: str, ragged: list[str]) -> bytes:
    """A batch as the bytes of a CSV or JSON-lines file; `ragged` are raw lines put at the end."""
    if form == "jsonl":
        return _json_lines(table, entity)
    sink = io.BytesIO()
    quoting = "none" if form == "csv_gz" else "needed"
    pacsv.write_csv(table, sink, pacsv.WriteOptions(quoting_style=quoting))
    data = sink.getvalue() + "".join(line + "\n" for line in ragged).encode()
    if form.endswith("bom"):
        data = b"\xef\xbb\xbf" + data
    if "gz" in form:
        data = gzip.compress(data, compresslevel=3, mtime=0)
    return data


def write_batch(
    table: pa.Table, entity: str, form: str, folder: Path, ragged: list[str], stem: str = "part-0"
) -> Path:
    """Write one batch file into its folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{SUFFIX[form]}"
    if SUFFIX[form] == ".parquet":
        write_parquet(table, path)
    else:
        path.write_bytes(file_bytes(table, entity, form, ragged))
    return path
