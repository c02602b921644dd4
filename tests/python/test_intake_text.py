"""CSV and JSON lines: what becomes a row, what becomes a problem row, and that the fast readers
agree.
"""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest

from orchestration.intake import text
from orchestration.intake.columns import match_columns, without_numbers
from orchestration.intake.landing import FileRecord, Unreadable
from orchestration.intake.text import read_text, text_schema


def read(path: Path, entity, content: bytes, *, fast: bool = True) -> tuple[list[dict], FileRecord]:
    path.write_bytes(content)
    file = FileRecord(path.name, path, len(content), 0)
    tables = list(read_text(file, entity, dated=False, fast=fast))
    return [row for table in tables for row in table.to_pylist()], file


HEADER = "identifier_type,identifier_value,requested_at\n"
GOOD = {"identifier_type": "phone", "identifier_value": "138", "requested_at": "2024-01-01"}
LINE = "phone,138,2024-01-01\n"

# (what is wrong, the file, values of the rows, words of the problems)
SPLITTING = [
    ("nothing", HEADER + LINE, [GOOD], []),
    ("a byte-order mark", "\ufeff" + HEADER + LINE, [GOOD], []),
    ("Windows line ends", (HEADER + LINE).replace("\n", "\r\n"), [GOOD], []),
    ("old Mac line ends", (HEADER + LINE).replace("\n", "\r"), [GOOD], []),
    ("no line end at the end", HEADER + LINE.strip(), [GOOD], []),
    ("blank lines", HEADER + "\n" + LINE + "\n\n", [GOOD], []),
    ("the header only", HEADER, [], []),
    ("capitals and blanks in the header", HEADER.upper().replace(",", " , ") + LINE, [GOOD], []),
    ("another order of columns", "requested_at,identifier_value,identifier_type\n2024-01-01,138,phone\n", [GOOD], []),
    ("quotes", HEADER + '"phone","138","2024-01-01"\n', [GOOD], []),
    ("a row too short", HEADER + "phone,138\n" + LINE, [GOOD], ["2 fields where the header has 3"]),
    ("a row too long", HEADER + "phone,1,3,8\n" + LINE, [GOOD], ["4 fields where the header has 3"]),
    ("an unclosed quote", HEADER + 'phone,"138,2024\n' + LINE, [GOOD], ["quotes do not match"]),
    ("a quote inside a quoted field", HEADER + 'phone,"1"3"8",x\n' + LINE, [GOOD], ["quotes do not match"]),
    ("NUL characters", HEADER + "phone,1\x0038,x\n" + LINE, [GOOD], ["NUL character"]),
]  # fmt: skip


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "careful"])
@pytest.mark.parametrize("case", SPLITTING, ids=[case[0] for case in SPLITTING])
def test_a_csv_row_is_split_or_kept_as_raw_text_with_the_reason(tmp_path, contract, case, fast):
    _, content, values, words = case
    rows, file = read(tmp_path / "f.csv", contract["erasure_requests"], content.encode(), fast=fast)
    good = [row for row in rows if row["_problem"] is None]
    bad = [row for row in rows if row["_problem"] is not None]
    assert [{name: row[name] for name in GOOD} for row in good] == values
    assert all(row["_raw"] is None for row in good)
    assert len(bad) == len(words)
    for row, word in zip(bad, words, strict=True):
        assert word in row["_problem"]
        assert row["_raw"].startswith("phone")
    assert [row["_row"] for row in rows] == list(range(1, len(rows) + 1))
    assert (file.rows, file.problem_rows) == (len(rows), len(bad))


def test_rows_of_a_gbk_file_with_a_plain_header_are_kept_and_say_so(tmp_path, contract):
    content = "product_id,name\np1,tea\np2,绿茶\np3,milk\n".encode("gbk")
    rows, _ = read(tmp_path / "f.csv", contract["products"], content)
    assert [row["product_id"] for row in rows] == ["p1", None, "p3"]
    assert "save the file as UTF-8" in rows[1]["_problem"]
    assert rows[1]["_raw"].startswith("p2,\ufffd")


def test_quoted_fields_may_hold_commas_quotes_and_line_breaks(tmp_path, contract):
    content = b'product_id,name\np1,"a, ""b""\nc"\np2,"5"" pipe"\n'
    rows, _ = read(tmp_path / "f.csv", contract["products"], content)
    assert [row["name"] for row in rows] == ['a, "b"\nc', '5" pipe']


def test_an_empty_field_is_missing_whether_quoted_or_not(tmp_path, contract):
    rows, _ = read(tmp_path / "f.csv", contract["products"], b'product_id,name,category\np1,,""\n')
    assert (rows[0]["name"], rows[0]["category"]) == (None, None)


def test_a_field_of_one_megabyte_passes_through(tmp_path, contract):
    long = "长" * 350_000
    for name, content in [
        ("f.csv", f'product_id,name\np1,{long}\np2,"{long}"\n'),
        ("f.jsonl", f'{{"product_id": "p1", "name": "{long}"}}\n'),
    ]:
        rows, _ = read(tmp_path / name, contract["products"], content.encode())
        assert all(row["name"] == long for row in rows)


def test_the_raw_text_of_a_problem_row_is_cut(tmp_path, contract):
    rows, _ = read(
        tmp_path / "f.csv", contract["products"], b"product_id,name\np1," + b"x," * 9_000
    )
    assert len(rows[0]["_raw"]) < 4_100
    assert "cut after 4000" in rows[0]["_raw"]


UNREADABLE = [
    ("semicolons", "f.csv", b"product_id;name\np1;tea\n", "delimiter looks like `;`, use a comma"),
    ("tabs", "f.csv", b"product_id\tname\np1\ttea\n", "delimiter looks like a tab"),
    ("a GBK header", "f.csv", "商品,名称\np1,tea\n".encode("gbk"), "looks like GBK"),
    ("UTF-16", "f.csv", "product_id,name\n".encode("utf-16"), "UTF-16"),
    ("UTF-16 without a mark", "f.csv", "product_id,name\n".encode("utf-16-le"), "UTF-16"),
    ("no header", "f.csv", b"p1,tea\np2,milk\n", "is the header line missing"),
    ("blank lines only", "f.csv", b"\n\n", "no header"),
    (
        "a duplicated header",
        "f.csv",
        b"product_id,name, Name\np1,a,b\n",
        "`name` appears more than",
    ),
    ("a duplicated extra", "f.csv", b"product_id,x,x\np1,a,b\n", "`x` appears more than once"),
    ("an unclosed quote in the header", "f.csv", b'product_id,"name\n', "header cannot be split"),
    ("no gzip", "f.csv.gz", b"product_id,name\np1,tea\n", "gzip file is damaged"),
    ("a JSON array", "f.json", b'[{"product_id": "p1"}]', "one object per line"),
    ("pretty JSON", "f.json", b'{\n  "product_id": "p1"\n}', "one object per line"),
    ("other keys", "f.jsonl", b'{"sku": "p1"}\n', "none of its columns `sku`"),
]


@pytest.mark.parametrize("case", UNREADABLE, ids=[case[0] for case in UNREADABLE])
def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path, contract, case):
    _, name, content, words = case
    with pytest.raises(Unreadable) as caught:
        read(tmp_path / name, contract["products"], content)
    assert words in str(caught.value)


JSON_LINES = [
    ("numbers stay exact", '{"product_id": 1234567890123456789, "list_price": 0.10}', "1234567890123456789", "0.10"),
    ("exponents stay as written", '{"product_id": 1.23457E+18, "list_price": NaN}', "1.23457E+18", "NaN"),
    ("flags become words", '{"product_id": true, "list_price": null}', "true", None),
    ("nested values become JSON", '{"product_id": ["茶", 1], "list_price": {"a": 1}}', '["茶", 1]', '{"a": 1}'),
    ("keys in capitals", '{" Product_ID": "p1", "LIST_PRICE": "1"}', "p1", "1"),
    ("an empty text stays", '{"product_id": "", "list_price": " 1 "}', "", " 1 "),
    ("an escaped NUL stays", '{"product_id": "a\\u0000b", "list_price": "1"}', "a\0b", "1"),
]  # fmt: skip


@pytest.mark.parametrize("case", JSON_LINES, ids=[case[0] for case in JSON_LINES])
def test_a_json_value_becomes_the_text_that_was_written(tmp_path, contract, case):
    _, line, product, price = case
    rows, _ = read(tmp_path / "f.ndjson", contract["products"], line.encode())
    assert (rows[0]["product_id"], rows[0]["list_price"]) == (product, price)
    assert rows[0]["_problem"] is None


BAD_JSON = [
    ("not JSON", b"product_id: p1", "not a JSON object"),
    ("an array", b'["p1"]', "it is a list"),
    ("cut off", b'{"product_id": "p1', "not a JSON object"),
    ("a key twice", b'{"product_id": "p1", "product_id": "p2"}', "duplicate key `product_id`"),
    *[
        (
            f"a key twice, the first followed by {sign!r}",
            b'{"name"%b:1,"name":2}' % sign,
            "duplicate key `name`",
        )
        for sign in (b" ", b"\t", b"\r", b" \t")
    ],
    ("a key twice inside a value", b'{"name": {"a": 1, "a": 2}}', "duplicate key `a`"),
    ("a key twice in other letters", b'{"name": "a", "NAME": "b"}', "duplicate key `name`"),
    ("half a character", b'{"product_id": "\\ud800"}', "half a character"),
    ("not UTF-8", '{"name": "茶"}'.encode("gbk"), "not valid UTF-8"),
    ("NUL bytes", b'{"name": "a\0b"}', "not a JSON object"),
    ("too deep", b'{"name": ' + b"[" * 100_000, "nested too deeply"),
]


@pytest.mark.parametrize("case", BAD_JSON, ids=[case[0] for case in BAD_JSON])
def test_a_bad_json_line_is_kept_as_raw_text_with_its_line_number(tmp_path, contract, case):
    _, line, words = case
    good = b'{"product_id": "p1"}\n'
    rows, file = read(
        tmp_path / "f.jsonl", contract["products"], good + b"\n" + line + b"\n" + good
    )
    assert [row["_row"] for row in rows] == [1, 3, 4]
    assert [row["product_id"] for row in rows] == ["p1", None, "p1"]
    assert words in rows[1]["_problem"]
    assert (file.rows, file.problem_rows) == (3, 1)


def test_the_fast_csv_readers_give_the_rows_of_the_careful_one(tmp_path, contract, monkeypatch):
    """Random files over the signs that matter, in blocks so small that records lie across them."""
    entity, path = contract["products"], tmp_path / "f.csv"
    signs = [b"a", b"b1", b",", b",", b"\n", b"\n", b"\r\n", b" ", "茶".encode()]
    rare = [b'"', b'""', b',"', b'",', b"\r", b"\0", b"\xb2\xe8", b"\xef\xbb\xbf", b'"x\ny"']
    different = 0
    for seed in range(600):
        dice = random.Random(seed)
        alphabet = signs + dice.sample(rare, dice.choice([0, 0, 1, 2, 4]))
        monkeypatch.setattr(text, "BLOCK_BYTES", dice.choice([7, 30, 200]))
        monkeypatch.setattr(text, "PIECE_BYTES", dice.choice([5, 20, 1000]))
        monkeypatch.setattr(text, "RECORD_BYTES", 120)
        header = dice.choice([b"product_id,name\n", b"name\n", b"x,name,product_id\r\n"])
        content = header + b"".join(dice.choices(alphabet, k=dice.randrange(120)))
        if dice.random() < 0.5:
            content = header + b"".join(b"p%d,name,x\n" % i for i in range(9)) + content
        fast = read(path, entity, content)
        assert fast == read(path, entity, content, fast=False), content
        different += bool(fast[0])
    assert different > 400


def test_blocks_do_not_change_what_is_read(tmp_path, contract, monkeypatch):
    content = b"product_id,name\n" + b'p1,"a\nb"\np2,c\n\np3\n' * 40
    whole, _ = read(tmp_path / "f.csv", contract["products"], content)
    for size in (5, 16, 64):
        monkeypatch.setattr(text, "BLOCK_BYTES", size)
        assert read(tmp_path / "f.csv", contract["products"], content)[0] == whole
    lines = b'{"product_id": "p1"}\n\n{"product_id": 2}\nx\n' * 20
    monkeypatch.setattr(text, "BLOCK_BYTES", 16)
    rows, _ = read(tmp_path / "f.jsonl", contract["products"], lines)
    assert [row["_row"] for row in rows] == [n for n in range(1, 81) if n % 4 != 2]


def test_columns_are_matched_by_name_without_case_or_blanks_and_one_that_is_there_twice_is_refused(
    contract,
):
    products = contract["products"]
    found = match_columns([" Product_ID", "NAME ", "dt", "mood", "138000"], products, dated=True)
    assert (found.positions["product_id"], found.positions["name"]) == (0, 1)
    assert found.extra == ("mood", "…")  # a number may be somebody's
    assert match_columns(["product_id", "dt"], products, dated=False).extra == ("dt",)
    assert "product_id" in match_columns(["name"], products, dated=False).missing
    with pytest.raises(Unreadable, match="`name` appears more than once"):
        match_columns(["name", "Name"], products, dated=False)
    assert without_numbers("amount_2026") == "amount_2026" and without_numbers("a@b") == "…"
    technical = ["_row", "_raw", "_problem"]
    assert text_schema(products).names == [*technical, *products.column_names]


def test_an_endless_record_costs_one_row_and_not_the_rest_of_the_file(
    tmp_path, contract, monkeypatch
):
    monkeypatch.setattr(text, "BLOCK_BYTES", 100)
    monkeypatch.setattr(text, "RECORD_BYTES", 300)
    content = b'product_id,name\np1,"open\n' + b"p2,tea\n" * 500
    rows, file = read(tmp_path / "f.csv", contract["products"], content)
    assert (file.rows, file.problem_rows) == (501, 1)
    assert pa.array([row["product_id"] for row in rows[1:]]).unique().to_pylist() == ["p2"]
