"""Every kind of bad input × every entity of the contract, through intake, gate and the base models: files that are
damaged end in a held batch that names them, rows that cannot be used in quarantine with a reason that names the column.

The cases come from the contract, so an entity or a column that is added is covered without a line here. What a bad
file does to the whole job is in test_bad_input.py.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import ask, settings

from orchestration.contract import Column, Entity, load_contract
from orchestration.intake import admit, prepare
from orchestration.job import judged

CONTRACT = load_contract()
DAY = date(2023, 1, 2)
GOOD_ROWS, ROWS_AROUND_BAD_VALUES = 40, 1_000


def good_value(column: Column, entity: Entity, number: int, day: date) -> str:
    """A value that this column takes; ids and identifiers are unique to the row number."""
    if column.values:
        return column.values[0]
    return {
        "id": f"{entity.name[:3]}{number}",
        "text": "绿茶",
        "code": "product_view" if column.vocabulary == "event_types" else "sms",
        "identifier_type": "phone",
        "identifier_value": f"13{'8' if column.name.startswith(('right', 'invitee')) else '9'}{number:08}",
        "phone": f"139{number:08}",
        "email": f"p{number}@example.cn",
        "timestamp": f"{day} 10:00:00",
        "date": f"{day}",
        "amount": "9.90",
        "number": "3",
        "integer": "2",
        "flag": "true",
    }[column.kind]


def good_rows(entity: Entity, count: int, first: int, day: date) -> list[list[str]]:
    return [
        [good_value(column, entity, number, day) for column in entity.columns]
        for number in range(first, first + count)
    ]


def csv(header: list[str], rows: list[list[str]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(line) + "\n" for line in [header, *rows])


# --- files that are damaged ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """What a file of good rows becomes, and how its batch ends: held (with these words), or with so many rows by fate."""

    content: str | bytes
    held: str = ""
    accepted: int = GOOD_ROWS
    quarantined: int = 0
    duplicate: int = 0
    suffix: str = "csv"


def files(entity: Entity, first: int, day: date) -> dict[str, File]:
    """The damaged files of an entity by name; each call's row numbers start at `first`."""
    header = list(entity.column_names)
    rows = good_rows(entity, GOOD_ROWS, first, day)
    whole = csv(header, rows)
    required = entity.required_columns[0]
    place = header.index(required)
    without = [[*row[:place], *row[place + 1 :]] for row in rows]
    table = pa.table(dict(zip(header, map(list, zip(*rows, strict=True)), strict=True)))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    lines = "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
    last = rows[-1]
    return {
        "empty file": File("", held="is empty"),
        "header only": File(csv(header, []), accepted=0),
        "whole Parquet": File(sink.getvalue(), suffix="parquet"),
        "truncated Parquet": File(sink.getvalue()[:-99], held="damaged", suffix="parquet"),
        "wrong delimiter": File(csv(header, rows, ";"), held="comma"),
        "GBK header": File(
            csv([f"列{i}" for i in range(len(header))], rows).encode("gbk"), held="GBK"
        ),
        "byte-order mark": File("\ufeff" + whole),
        "too few fields": File(whole + ",".join(last[:-1]) + "\n", quarantined=1),
        "too many fields": File(whole + ",".join([*last, "x", "y"]) + "\n", quarantined=1),
        "quote never closed": File(whole + '"' + ",".join(last) + "\n", quarantined=1),
        "header twice": File(csv([*header, required], [[*r, "x"] for r in rows]), held=required),
        "required column missing": File(
            csv([*header[:place], *header[place + 1 :]], without), held=required
        ),
        "unknown column": File(csv([*header, "mood"], [[*row, "x"] for row in rows])),
        "NUL byte": File(whole + ",".join(["a\0b", *last[1:]]) + "\n", quarantined=1),
        "row twice": File(whole + ",".join(last) + "\n", duplicate=1),
        "JSON with a broken line": File(lines + '{"a": "\n', quarantined=1, suffix="jsonl"),
        "spreadsheet": File(b"PK\x03\x04", held="not CSV", suffix="xlsx"),
    }


FILES = list(files(next(iter(CONTRACT.values())), 0, DAY))


def day_of(number: int) -> date:
    """The batch date of a damaged file; that of the bad values is DAY."""
    return DAY + timedelta(days=2 * (number + 1))


# --- rows that cannot be used ----------------------------------------------------------------------------------------


def bad_values(column: Column) -> list[tuple[str, str]]:
    """(value, words of the reason) for what a column must not hold. A personal value is not repeated in a reason."""
    found = [("", "is missing")] if column.required else []
    if column.kind in ("timestamp", "date"):
        found += [("soon", "`soon`"), ("2023-02-30", "`2023-02-30`")]
        if column.not_after_batch:
            found.append((f"{DAY + timedelta(days=1)}", "after the date of its batch"))
    if column.kind == "amount":
        found += [(value, f"`{value}`") for value in ("-5.00", "NaN", "Infinity", "¥5")]
    if column.kind == "number":
        found += [(value, f"`{value}`") for value in ("NaN", "many")]
    if column.kind == "integer":
        found += [("many", "`many`"), ("NaN", "`NaN`")]
    if column.kind == "identifier_type" or column.vocabulary or column.values:
        found += [
            (value, f"`{value}`") for value in ("fax", "'; drop table orders; --", "{{ 1/0 }}")
        ]
    if column.kind == "id":
        found += [("1.23457E+18", "scientific notation"), ("x" * 300, "more than")]
    if column.kind == "text":
        found.append(("x" * 5_000, "more than"))
    return [(value, "is not" if column.personal and "`" in said else said) for value, said in found]


def rows_with_bad_values(entity: Entity) -> list[tuple[list[str], str, str]]:
    """(row, column, words): good rows with one value that its column must not hold."""
    found = []
    for place, column in enumerate(entity.columns):
        for value, words in bad_values(column):
            number = 900_000 + len(found)
            row = good_rows(entity, 1, number, DAY)[0]
            found.append(([*row[:place], value, *row[place + 1 :]], column.name, words))
    return found


# --- landed together, once -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad_input")
    for entity in CONTRACT.values():
        for number, name in enumerate(FILES):
            day = day_of(number)
            file = files(entity, 1_000 * (number + 10), day)[name]
            folder = root / "landing" / entity.name / f"dt={day}"
            folder.mkdir(parents=True)
            content = file.content.encode() if isinstance(file.content, str) else file.content
            (folder / f"export.{file.suffix}").write_bytes(content)
        rows = good_rows(entity, ROWS_AROUND_BAD_VALUES, 0, DAY)
        rows += [row for row, _, _ in rows_with_bad_values(entity)]
        folder = root / "landing" / entity.name / f"dt={DAY}"
        folder.mkdir()
        (folder / "export.csv").write_text(csv(list(entity.column_names), rows))
    chosen = settings(root / "landing", root / "workspace")
    with prepare(chosen.landing, chosen.workspace, CONTRACT, say=lambda line: None) as prepared:
        admit(prepared, judged(prepared, chosen), chosen.workspace)
    chosen.dbt.build(lambda line: None, select=["+path:models/staging/landing/base"])
    return chosen.workspace


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("entity", CONTRACT.values(), ids=lambda entity: entity.name)
def test_a_damaged_file_is_held_or_its_bad_row_is_quarantined(entity, name, workspace):
    number = FILES.index(name)
    expected = files(entity, 1_000 * (number + 10), day_of(number))[name]
    batch = f"dt={day_of(number)}"
    ((status, reasons, extra),) = registered(workspace, entity, batch)
    if expected.held:
        assert status == "held"
        assert expected.held in reasons and entity.name in reasons and batch in reasons, reasons
        assert fates(workspace, entity, batch) == {}
        return
    assert status == "admitted", reasons
    planted = {
        "accepted": expected.accepted,
        "quarantined": expected.quarantined,
        "duplicate": expected.duplicate,
    }
    assert fates(workspace, entity, batch) == {k: v for k, v in planted.items() if v}
    assert (extra == "mood") == (name == "unknown column")


@pytest.mark.parametrize("entity", CONTRACT.values(), ids=lambda entity: entity.name)
def test_a_row_with_a_bad_value_is_quarantined_and_its_reason_names_the_column(entity, workspace):
    ((status, reasons, _),) = registered(workspace, entity, f"dt={DAY}")
    assert status == "admitted", reasons
    bad = rows_with_bad_values(entity)
    assert fates(workspace, entity, f"dt={DAY}") == {
        "accepted": ROWS_AROUND_BAD_VALUES,
        "quarantined": len(bad),
    }
    found = dict(
        ask(
            workspace,
            f"select _row, _reasons from staging.base_landing__{entity.name}"
            f" where _batch = 'dt={DAY}' and _fate = 'quarantined'",
        )
    )
    for number, (row, column, words) in enumerate(bad, ROWS_AROUND_BAD_VALUES + 1):
        assert column in found[number] and words in found[number], (row, found[number])


def registered(workspace, entity: Entity, batch: str) -> list[tuple]:
    return duckdb.execute(
        "select status, coalesce(reasons, ''), coalesce(extra_columns, '') from read_parquet(?)"
        " where entity = ? and batch = ?",
        [str(workspace / "lake" / "batches.parquet"), entity.name, batch],
    ).fetchall()


def fates(workspace, entity: Entity, batch: str) -> dict[str, int]:
    return dict(
        ask(
            workspace,
            f"select _fate, count(*) from staging.base_landing__{entity.name}"
            f" where _batch = '{batch}' group by 1",
        )
    )
