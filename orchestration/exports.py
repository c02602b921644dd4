"""Exports: an audience as a list of identifiers for one channel, CSV for people and Parquet for machines.

    <workspace>/exports/                       0700: lists are personal data
        000007-due_for_repurchase-lanxi-sms/
            list.csv                           UTF-8 with BOM, every cell quoted, no cell a formula
            list.parquet                       the same rows, as they are
            manifest.json                      counts, rule version, SHA-256 of both files

A person is on a list who is in the audience on the as-of date, is not held out, has consented to the
channel (lifecycle.fct_consent_spells), is not on the suppression list, is not at a frequency cap and
has an identifier that the channel takes (seed export_channels). A message goes to one identifier of
a person; advertising, where identifiers are only matched, gets all of them.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.identifiers import key_of, normalised
from orchestration.intake.parquet import literal
from orchestration.intake.registry import sync
from orchestration.warehouse import PROJECT

SEEDS = PROJECT / "seeds"
FORMS = ("plain", "md5", "sha256")
COLUMNS = ("identifier", "identifier_type", "customer_id")
LEDGER = "exports.parquet"
# What a spreadsheet takes for the start of a formula, the full-width forms included.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_DIGEST = {"md5": "^[0-9a-f]{32}$", "sha256": "^[0-9a-f]{64}$"}
_ANY_DIGEST = "^([0-9a-f]{32}|[0-9a-f]{64})$"


class ExportError(RuntimeError):
    """Nothing was exported; the message says why and what to do."""


@dataclass(frozen=True)
class Channel:
    """A row of the seed export_channels."""

    export_channel: str
    consent_channel: str
    identifier_type: str
    identifier_form: str
    scope: str


@dataclass(frozen=True)
class Export:
    """A list that was written, as it is logged; counts are people, except `identifiers`."""

    export_number: int
    folder: str
    audience: str
    brand_id: str
    export_channel: str
    identifier_form: str
    as_of_date: date
    rules_hash: int | None
    members: int
    held_out: int
    without_consent: int
    suppressed: int
    capped: int
    without_identifier: int
    customers: int
    identifiers: int
    escaped_cells: int
    csv_sha256: str
    parquet_sha256: str
    exported_at: datetime


_LOG = pa.schema(
    [
        (
            field.name,
            {
                "int": pa.int64(),
                "int | None": pa.int64(),
                "date": pa.date32(),
                "datetime": pa.timestamp("us"),
            }.get(field.type, pa.string()),
        )
        for field in fields(Export)
    ]
)


def export(
    workspace: Path,
    database: Path,
    audience: str,
    channel: str,
    *,
    brand: str | None = None,
    seeds: Path = SEEDS,
    is_once_a_day: bool = False,
) -> list[Export]:
    """Write the list of an audience for a channel, one per brand, and log it; `is_once_a_day` leaves out those that are
    logged for the as-of date. Raises ExportError.
    """
    wanted = read_channels(seeds).get(channel)
    if wanted is None:
        known = ", ".join(read_channels(seeds))
        raise ExportError(
            f"there is no export channel `{channel}`: use {known}, or add a row to"
            f" {seeds / 'export_channels.csv'}"
        )
    suppressed = read_suppressions(seeds)
    try:
        with duckdb.connect(str(database), read_only=True) as warehouse:
            brands = _brands(warehouse, audience, brand)
            drafts = [
                _select(warehouse, audience, each, wanted, suppressed, seeds) for each in brands
            ]
    except duckdb.CatalogException as error:
        raise ExportError(f"the warehouse {database} is not built: make run ({error})") from error
    except duckdb.IOException as error:
        raise ExportError(f"{database} cannot be read: {str(error).splitlines()[0]}") from error
    with _only_exporter(workspace) as folder:
        logged = {_occasion(row) for row in read_log(workspace)} if is_once_a_day else set()
        return [
            _write(workspace, folder, counts, rows)
            for counts, rows in drafts
            if _occasion(counts) not in logged
        ]


def _occasion(about: Mapping) -> tuple:
    return tuple(about[name] for name in ("audience", "brand_id", "export_channel", "as_of_date"))


def read_channels(seeds: Path = SEEDS) -> dict[str, Channel]:
    """The seed export_channels by channel. Raises ExportError, which names file, line and column."""
    found: dict[str, Channel] = {}
    types = {row["identifier_type"] for _, row in _rows(seeds / "identifier_types.csv")}
    consent = {row["channel"] for _, row in _rows(seeds / "channels.csv")} | {"any"}
    file = seeds / "export_channels.csv"
    for line, row in _rows(file):
        for column, allowed in (
            ("identifier_type", types),
            ("identifier_form", FORMS),
            ("consent_channel", consent),
        ):
            if row.get(column) not in allowed:
                raise _wrong(file, line, column, row.get(column), allowed)
        name = row.get("export_channel") or ""
        if not name or name in found:
            why = "is empty" if not name else f"`{name}` is there twice"
            raise ExportError(f"{file.name} line {line}, column export_channel: {why}")
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ExportError(
                f"{file.name} line {line}, column export_channel: `{name}` names a folder:"
                " letters, digits, _ and - only"
            )
        found[name] = Channel(**{field.name: row[field.name] or "" for field in fields(Channel)})
    return found


def read_suppressions(seeds: Path = SEEDS) -> list[tuple[str, str, str]]:
    """Rows (identifier_type, identifier_value, export_channel) of the seed export_suppressions.

    Raises ExportError, which names file, line and column; the identifier itself is never shown.
    """
    file = seeds / "export_suppressions.csv"
    types = {row["identifier_type"] for _, row in _rows(seeds / "identifier_types.csv")}
    channels = {*read_channels(seeds), "*"}
    found = []
    for line, row in _rows(file):
        if row.get("identifier_type") not in types:
            raise _wrong(file, line, "identifier_type", None, types)
        if row.get("export_channel") not in channels:
            raise _wrong(file, line, "export_channel", row.get("export_channel"), channels)
        if not (row.get("identifier_value") or "").strip():
            raise ExportError(f"{file.name} line {line}, column identifier_value: is empty")
        found.append((row["identifier_type"], row["identifier_value"], row["export_channel"]))
    return found


def read_standing(seeds: Path = SEEDS) -> list[tuple[str, str | None, str]]:
    """Rows (audience, brand or None for each, channel) of the seed standing_exports.

    Raises ExportError, which names file, line and column.
    """
    file = seeds / "standing_exports.csv"
    allowed = {
        "audience": {row["audience"] for _, row in _rows(seeds / "audience_definitions.csv")},
        "export_channel": {*read_channels(seeds)},
    }
    found = []
    for line, row in _rows(file):
        for column, names in allowed.items():
            if row.get(column) not in names:
                raise _wrong(file, line, column, row.get(column), names)
        if not row.get("brand_id"):
            raise ExportError(f"{file.name} line {line}, column brand_id: is empty; `*` is each")
        brand = None if row["brand_id"] == "*" else row["brand_id"]
        found.append((row["audience"], brand, row["export_channel"]))
    return found


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        return [(reader.line_num, row) for row in reader]


def _wrong(file: Path, line: int, column: str, said: str | None, allowed) -> ExportError:
    what = f"`{said}` is unknown" if said else "is empty or unknown"
    return ExportError(
        f"{file.name} line {line}, column {column}: {what}; use {', '.join(sorted(allowed))}"
    )


def _brands(
    warehouse: duckdb.DuckDBPyConnection, audience: str, brand: str | None
) -> list[tuple[str, int | None]]:
    """(brand, version of the rules) of an audience."""
    rows = warehouse.execute(
        "select brand_id, rules_hash from marts.audiences where audience = ? order by brand_id",
        [audience],
    ).fetchall()
    if not rows:
        known = [
            name
            for (name,) in warehouse.execute(
                "select distinct audience from marts.audiences order by 1"
            ).fetchall()
        ]
        raise ExportError(f"there is no audience `{audience}`: use {', '.join(known)}")
    chosen = [row for row in rows if brand in (None, row[0])]
    if not chosen:
        raise ExportError(
            f"audience `{audience}` has no brand `{brand}`: use {', '.join(r[0] for r in rows)}"
        )
    return chosen


def _select(
    warehouse: duckdb.DuckDBPyConnection,
    audience: str,
    brand: tuple[str, int | None],
    channel: Channel,
    suppressed: list[tuple[str, str, str]],
    seeds: Path,
) -> tuple[dict, list[tuple[str, str, str]]]:
    """What is known of an export before it is written, and its rows."""
    (as_of,) = warehouse.execute("select as_of_date from reference.as_of").fetchone()
    warehouse.execute(
        "create or replace temp table listed (identifier_type varchar, identifier_value varchar)"
    )
    listed = [row[:2] for row in suppressed if row[2] in ("*", channel.export_channel)]
    if listed:
        warehouse.executemany("insert into listed values (?, ?)", listed)
    has_caps = warehouse.execute(
        "select count(*) from information_schema.tables"
        " where table_schema = 'marts' and table_name = 'contact_pressure'"
    ).fetchone()[0]
    caps = (
        "select customer_id from marts.contact_pressure where is_capped and brand_id = $brand"
        " and channel in ($consent, '*')"
        if has_caps
        else "select null where false"
    )
    value = normalised("types.normaliser", "trim(listed.identifier_value)")
    scope = f"{channel.scope}:"
    counted = warehouse.execute(
        f"""
        create or replace temp table funnel as
        with members as (
            select members.customer_id, people.customer_key, bool_or(members.is_hold_out) as is_held_out
            from marts.audience_members as members
            left join identity.dim_customers as people using (customer_id)
            where members.audience = $audience and members.brand_id = $brand and members.is_current
            group by all
        ),
        consented as (
            select distinct customer_key
            from lifecycle.fct_consent_spells
            where
                brand_id = $brand and ($consent = 'any' or channel = $consent)
                and valid_from <= $as_of and (valid_to is null or $as_of < valid_to)
        ),
        suppressed as (
            select distinct owners.customer_key
            from listed
            inner join read_csv({literal(str(seeds / "identifier_types.csv"))}) as types using (identifier_type)
            inner join identity.bridge_customer_identifiers as owners
                on owners.identifier_key = {key_of("types.identifier_type", value)}
        ),
        held as (
            select
                owners.customer_key, owners.identifier_type,
                case
                    when $scope = ':' then owners.identifier_value
                    when starts_with(owners.identifier_value, $scope)
                        then substring(owners.identifier_value, length($scope) + 1)
                end as identifier_value,
                row_number() over (
                    partition by owners.customer_key
                    order by
                        coalesce(owners.identifier_value in (people.phone, people.email), false) desc,
                        owners.first_load_number desc, owners.identifier_value
                ) as place
            from identity.bridge_customer_identifiers as owners
            inner join identity.dim_customers as people using (customer_key)
            where
                owners.identifier_type = $type and owners.is_current and owners.guard is null
                and ($scope = ':' or starts_with(owners.identifier_value, $scope))
                and ($form <> 'plain' or not regexp_matches(owners.identifier_value, $any_digest))
        ),
        formed as (
            select
                customer_key, identifier_type,
                case
                    when $form = 'plain' then identifier_value
                    when regexp_matches(identifier_value, $digest) then identifier_value
                    when regexp_matches(identifier_value, $any_digest) then null
                    when $form = 'md5' then md5(identifier_value)
                    else sha256(identifier_value)
                end as identifier
            from held
            where $form <> 'plain' or place = 1
        )
        select
            members.customer_id, formed.identifier, formed.identifier_type,
            case
                when members.is_held_out then 'held_out'
                when consented.customer_key is null then 'without_consent'
                when suppressed.customer_key is not null then 'suppressed'
                when members.customer_id in ({caps}) then 'capped'
                when formed.identifier is null then 'without_identifier'
                else 'customers'
            end as outcome
        from members
        left join consented using (customer_key)
        left join suppressed using (customer_key)
        left join (select distinct * from formed where identifier is not null) as formed using (customer_key)
        """.replace("$audience", literal(audience))
        .replace("$brand", literal(brand[0]))
        .replace("$consent", literal(channel.consent_channel))
        .replace("$as_of", f"date '{as_of}'")
        .replace("$type", literal(channel.identifier_type))
        .replace("$form", literal(channel.identifier_form))
        .replace("$scope", literal(scope))
        .replace("$any_digest", literal(_ANY_DIGEST))
        .replace("$digest", literal(_DIGEST.get(channel.identifier_form, _ANY_DIGEST)))
    )
    counted = dict(
        warehouse.execute(
            "select outcome, count(distinct customer_id) from funnel group by 1"
        ).fetchall()
    )
    rows = warehouse.execute(
        "select identifier, identifier_type, customer_id from funnel where outcome = 'customers'"
        " order by customer_id, identifier"
    ).fetchall()
    outcomes = (
        "held_out",
        "without_consent",
        "suppressed",
        "capped",
        "without_identifier",
        "customers",
    )
    about = {
        "audience": audience,
        "brand_id": brand[0],
        "export_channel": channel.export_channel,
        "identifier_form": channel.identifier_form,
        "as_of_date": as_of,
        "rules_hash": brand[1],
        "members": sum(counted.values()),
        "identifiers": len(rows),
    }
    return about | {outcome: counted.get(outcome, 0) for outcome in outcomes}, rows


def _write(workspace: Path, root: Path, about: Mapping, rows: list[tuple[str, str, str]]) -> Export:
    log = read_log(workspace)
    number = 1 + max((row["export_number"] for row in log), default=0)
    safe_brand = "".join(c if c.isalnum() or c in "_-" else "_" for c in about["brand_id"])
    name = f"{number:06}-{about['audience']}-{safe_brand}-{about['export_channel']}"
    draft = root / f".{name}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    done = Export(
        export_number=number,
        folder=name,
        exported_at=datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        **about,
        **_write_files(draft, rows),
    )
    _write_manifest(draft, asdict(done))
    _append(workspace, log, done)
    os.replace(draft, root / name)
    sync(root)
    return done


def _write_files(folder: Path, rows: list[tuple[str, str, str]]) -> dict[str, int | str]:
    """Write both files; their hashes and how many cells of the CSV had to be made safe."""
    escaped = 0
    target = folder / "list.csv"
    with target.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in rows:
            cells = [safe_cell(cell) for cell in row]
            escaped += sum(cell != was for cell, was in zip(cells, row, strict=True))
            writer.writerow(cells)
    columns = zip(*rows, strict=True) if rows else [[]] * len(COLUMNS)
    table = pa.table([pa.array(values, pa.string()) for values in columns], names=list(COLUMNS))
    pq.write_table(table, folder / "list.parquet", compression="zstd")
    for file in folder.iterdir():
        file.chmod(0o600)
    return {
        "escaped_cells": escaped,
        "csv_sha256": _sha256(target),
        "parquet_sha256": _sha256(folder / "list.parquet"),
    }


def safe_cell(text: str) -> str:
    """The text as a spreadsheet may see it: a start of a formula gets an apostrophe before it (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write_manifest(folder: Path, about: Mapping) -> None:
    file = folder / "manifest.json"
    file.write_text(
        json.dumps(about, ensure_ascii=False, indent=2, default=str) + "\n", encoding="utf-8"
    )
    file.chmod(0o600)


def read_log(workspace: Path) -> list[dict]:
    """Every export so far, as logged."""
    path = workspace / "lake" / LEDGER
    return pq.read_table(path, schema=_LOG).to_pylist() if path.exists() else []


def _append(workspace: Path, log: list[dict], done: Export) -> None:
    path = workspace / "lake" / LEDGER
    draft = path.with_name(f".{LEDGER}")
    pq.write_table(pa.Table.from_pylist([*log, asdict(done)], _LOG), draft)
    sync(draft)
    os.replace(draft, path)
    sync(path.parent)


def erase(workspace: Path, ledger: Path) -> list[tuple[str, int, int, str]]:
    """Take erased customers out of the exported lists; (folder, rows found, rows left, action) of each.

    `ledger` is the suppression list. The log keeps what was exported, in numbers.
    """
    root = workspace / "exports"
    if not root.is_dir():
        return []
    erased = {
        row[0]
        for row in duckdb.execute(
            f"select distinct customer_id from read_parquet({literal(str(ledger))}) where is_forever"
        ).fetchall()
    }
    places = []
    with _only_exporter(workspace):
        for folder in sorted(root.glob("[0-9]*")):
            rows = [
                tuple(row.values()) for row in pq.read_table(folder / "list.parquet").to_pylist()
            ]
            kept = [row for row in rows if row[2] not in erased]
            found = len(rows) - len(kept)
            if found:
                draft = root / f".{folder.name}"
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir(mode=0o700)
                about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
                gone = about.get("erased_rows", 0) + found
                _write_manifest(draft, about | _write_files(draft, kept) | {"erased_rows": gone})
                trash = root / f".{folder.name}.old"
                os.replace(folder, trash)
                os.replace(draft, folder)
                shutil.rmtree(trash)
            places.append(
                (folder.name, found, 0, "rewritten without them" if found else "none there")
            )
    return places


@contextmanager
def _only_exporter(workspace: Path) -> Iterator[Path]:
    """The folder of exports, made for its owner alone and held by this process. Raises ExportError."""
    root = workspace / "exports"
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root.chmod(0o700)
    with (root / ".lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(f"another export is at work in {root}: wait until it ends") from None
        yield root


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
