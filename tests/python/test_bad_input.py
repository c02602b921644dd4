"""Every kind of bad input, landed through the whole daily job: each ends in a quarantined row or a held batch with a
message that names the file and says what to do, and never in a lost row.

All cases lie in one landing folder, one batch each, so one run of the job meets them all together.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import ask, build_models, land, mart_rows

HEADER = [
    "order_id",
    "source_system",
    "identifier_type",
    "identifier_value",
    "ordered_at",
    "status",
    "amount",
]
GOOD_ROWS = 30


@dataclass(frozen=True)
class Case:
    """A file made of good rows and one odd thing, and how its batch must end.

    `ends` is `held`, `quarantined` (the good rows are accepted) or `accepted`; `words` must stand in the reason.
    """

    name: str
    content: bytes | str
    ends: str
    words: str = ""
    bad_rows: int = 1
    suffix: str = "csv"
    good_rows: int = GOOD_ROWS


def good(count: int = GOOD_ROWS, first: int = 0) -> list[list[str]]:
    return [
        [f"@{i}", "pos", "phone", f"139{i:08}", "@day 10:00:00", "paid", "9.90"]
        for i in range(first, first + count)
    ]


def bad(**values: str) -> list[str]:
    row = dict(
        zip(
            HEADER,
            ["@bad", "pos", "phone", "13912345678", "@day 11:00:00", "paid", "1.00"],
            strict=True,
        )
    )
    return list((row | values).values())


def csv(rows: list[list[str]], header: list[str] = HEADER, delimiter: str = ",") -> str:
    return "".join(delimiter.join(line) + "\n" for line in [header, *rows])


def quarantined(name: str, words: str, **values: str) -> Case:
    return Case(name, csv([*good(), bad(**values)]), "quarantined", words)


def parquet(rows: list[list[str]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(zip(HEADER, zip(*rows, strict=True), strict=True))), sink)
    return sink.getvalue()


def json_lines(rows: list[list[str]]) -> str:
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows)


CASES = [
    Case("empty file", "", "held", "is empty"),
    Case("header only", csv([]), "accepted", good_rows=0),
    Case("truncated Parquet", b"PAR1" + b"\0" * 40, "held", "Parquet", suffix="parquet"),
    Case("wrong delimiter", csv(good(), delimiter=";"), "held", "delimiter"),
    Case(
        "GBK instead of UTF-8",
        csv([[*row[:1], "门店", *row[2:]] for row in good()]).encode("gbk"),
        "held",
        "UTF-8",
    ),
    Case("byte-order mark", "﻿" + csv(good()), "accepted"),
    Case("a row with too few fields", csv([*good(), ["@bad", "pos"]]), "quarantined", "fields"),
    Case("a row with too many fields", csv([*good(), [*bad(), "x", "y"]]), "quarantined", "fields"),
    Case("a quote that is never closed", csv(good()) + '"@bad,pos\n', "quarantined", "quote"),
    Case(
        "duplicated header",
        csv([[*row, "x"] for row in good()], [*HEADER, "amount"]),
        "held",
        "amount",
    ),
    Case("required column missing", csv([row[:6] for row in good()], HEADER[:6]), "held", "amount"),
    Case("unknown column", csv([[*row, "x"] for row in good()], [*HEADER, "mood"]), "accepted"),
    quarantined("unknown status", "status `teleported`", status="teleported"),
    quarantined("unknown identifier type", "identifier_type `fax`", identifier_type="fax"),
    quarantined("no date", "ordered_at `soon`", ordered_at="soon"),
    quarantined("a day that does not exist", "2023-02-30", ordered_at="2023-02-30 10:00:00"),
    quarantined(
        "after the date of its batch", "after the date of its batch", ordered_at="@next 00:00:00"
    ),
    quarantined("negative amount", "is negative", amount="-5.00"),
    quarantined("amount NaN", "amount `NaN`", amount="NaN"),
    quarantined("amount Infinity", "amount `Infinity`", amount="Infinity"),
    quarantined("amount with a currency sign", "amount `¥5`", amount="¥5"),
    quarantined("an id that a spreadsheet rounded", "scientific notation", order_id="1.23457E+18"),
    Case("NUL byte", csv([*good(), bad(status="pa\0id")]), "quarantined", "NUL"),
    quarantined("1 MB of text in one field", "characters, more than", order_id="x" * 1_000_000),
    quarantined("required value missing", "amount is missing", amount=""),
    Case("identical row twice", csv([*good(), good()[0]]), "accepted", bad_rows=1),
    quarantined(
        "SQL in a value", "status `'; drop table orders; --`", status="'; drop table orders; --"
    ),
    quarantined("Jinja in a value", "status `{{ 1 / 0 }}`", status="{{ 1 / 0 }}"),
    Case(
        "JSON lines with a broken line",
        json_lines(good()) + '{"order_id": "@bad"\n',
        "quarantined",
        "JSON",
        suffix="jsonl",
    ),
    Case("19-digit ids in Parquet", parquet(good()), "accepted", suffix="parquet"),
    Case("a format nobody reads", b"PK\x03\x04", "held", "Parquet", suffix="xlsx"),
]


def day_of(number: int) -> date:
    return date(2023, 1, 2) + timedelta(days=2 * number)


def filled(case: Case, number: int) -> bytes:
    """The content with its placeholders: ids unique to the case, days within its batch."""
    day = day_of(number)
    content = case.content.encode() if isinstance(case.content, str) else case.content
    if case.suffix == "parquet" and case.ends == "accepted":
        rows = [
            [v.replace("@day", f"{day}").replace("@", f"90000000000000{number:02}00") for v in row]
            for row in good()
        ]
        return parquet(rows)
    for mark, value in [
        ("@day", f"{day}"),
        ("@next", f"{day + timedelta(days=1)}"),
        ("@bad", f"c{number}-bad"),
        ("@", f"c{number}-"),
    ]:
        content = content.replace(mark.encode(), value.encode())
    return content


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad_input")
    for number, case in enumerate(CASES):
        folder = root / "landing" / "orders" / f"dt={day_of(number)}"
        folder.mkdir(parents=True)
        (folder / f"export.{case.suffix}").write_bytes(filled(case, number))
    # And a batch of two files that order their columns differently.
    folder = root / "landing" / "orders" / f"dt={day_of(len(CASES))}"
    folder.mkdir()
    rows = [
        [value.replace("@day", f"{day_of(len(CASES))}").replace("@", "two-") for value in row]
        for row in good(40)
    ]
    (folder / "a.csv").write_text(csv(rows[:20]))
    (folder / "b.csv").write_text(csv([row[::-1] for row in rows[20:]], HEADER[::-1]))
    land(root / "landing", root / "workspace")
    return root / "workspace"


@pytest.mark.parametrize(
    ("number", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES]
)
def test_bad_input_ends_in_the_open(number, case, workspace):
    batch = f"dt={day_of(number)}"
    ((status, landed, reasons),) = ask(
        workspace,
        f"select status, coalesce(landed_rows, 0), coalesce(reasons, '') from audit.batches where batch = '{batch}'",
    )
    fates = dict(
        ask(
            workspace,
            f"select _fate, count(*) from staging.base_landing__orders where _batch = '{batch}' group by 1",
        )
    )
    if case.ends == "held":
        assert status == "held" and not fates
        assert case.words in reasons, reasons
        assert batch in reasons or "export." in reasons
        return
    assert status == "admitted", reasons
    assert fates.get("accepted", 0) == case.good_rows
    assert sum(fates.values()) == landed
    if case.ends == "quarantined":
        assert fates["quarantined"] == case.bad_rows
        found = ask(
            workspace,
            f"select file, reasons, raw_row from audit.quarantine where batch = '{batch}'",
        )
        for file, reason, raw_row in found:
            assert file == f"orders/{batch}/export.{case.suffix}"
            assert case.words in reason, reason
            assert raw_row


def test_every_landed_row_is_counted_once(workspace):
    assert ask(
        workspace,
        "select count(*) from audit.row_conservation where landed_rows <>"
        " accepted_rows + duplicate_rows + superseded_rows + quarantined_rows",
    ) == [(0,)]


def test_an_unknown_column_is_named_and_left_out(workspace):
    number = next(i for i, case in enumerate(CASES) if case.name == "unknown column")
    assert ask(
        workspace, f"select extra_columns from audit.batches where batch = 'dt={day_of(number)}'"
    ) == [("mood",)]


def test_ids_of_19_digits_stay_exact(workspace):
    number = next(i for i, case in enumerate(CASES) if case.name.startswith("19-digit"))
    assert ask(
        workspace,
        "select count(*), min(length(order_id)) from staging.stg_landing__orders"
        f" where order_id like '90000000000000{number:02}00%'",
    ) == [(GOOD_ROWS, 19)]


def test_two_files_of_a_batch_may_order_their_columns_differently(workspace):
    assert ask(
        workspace,
        "select count(*), count(distinct order_id), sum(paid_amount) from lifecycle.fct_orders"
        " where order_id like 'two-%'",
    ) == [(40, 40, 396)]


def test_a_later_batch_wins_and_appending_to_a_landed_file_lands_it_again(tmp_path):
    landing, workspace = tmp_path / "landing", tmp_path / "workspace"
    first, second = (landing / "orders" / f"dt=2023-01-0{day}" / "a.csv" for day in (2, 3))
    first.parent.mkdir(parents=True)
    second.parent.mkdir(parents=True)
    rows = [[value.replace("@day", "2023-01-02") for value in row] for row in good()]
    first.write_text(csv([[*row[:5], "created", row[6]] for row in rows]))
    build_models(landing, workspace, "customers")
    assert ask(workspace, "select count(*) from lifecycle.fct_orders where is_valid_purchase") == [
        (0,)
    ]
    second.write_text(csv(rows[:10]))
    build_models(landing, workspace, "customers")
    assert ask(workspace, "select count(*) from lifecycle.fct_orders where is_valid_purchase") == [
        (10,)
    ]
    with second.open("a") as file:
        file.write(csv(rows[10:25]).split("\n", 1)[1])
    build_models(landing, workspace, "customers")
    assert ask(workspace, "select count(*) from lifecycle.fct_orders where is_valid_purchase") == [
        (25,)
    ]
    at_once = tmp_path / "at_once"
    build_models(landing, at_once, "customers")
    assert mart_rows(workspace) == mart_rows(at_once)
