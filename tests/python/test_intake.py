"""The intake from landing folder to lake: formats, redelivery, holding, crashes, locks; nothing is
lost.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.intake import LandingError, Verdict, admit, load, prepare
from orchestration.intake.landing import BatchRecord

HEADER = "order_id,source_system,ordered_at,status,amount\n"
ORDER = HEADER + "o{0},pos,2024-01-01 10:00:00,paid,9.90\n"
DAY = "orders/dt=2024-01-0{0}/orders.csv"


def parquet(rows: dict | pa.Table, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.table(rows), sink, **options)
    return sink.getvalue()


def orders(*numbers: object) -> dict:
    count = len(numbers)
    return {
        "order_id": [f"o{number}" for number in numbers],
        "source_system": ["pos"] * count,
        "ordered_at": ["2024-01-01 10:00:00"] * count,
        "status": ["paid"] * count,
        "amount": ["9.90"] * count,
    }


def test_formats_mix_in_one_entity_and_one_batch(intake):
    line = json.dumps({key: values[0] for key, values in orders(5).items()})
    intake.land("orders/dt=2024-01-01/a.parquet", parquet(orders(1, 2)))
    intake.land("orders/dt=2024-01-01/b.csv", ORDER.format(3))
    intake.land("orders/dt=2024-01-01/c.csv.gz", gzip.compress(ORDER.format(4).encode()))
    intake.land("orders/dt=2024-01-01/d.jsonl", line)
    intake.land("orders/dt=2024-01-02/e.ndjson", line.replace("o5", "o6"))
    intake.land("orders/f.json", line.replace("o5", "o7"))
    intake.land("orders/g.jsonl.gz", gzip.compress(line.replace("o5", "o8").encode()))
    admission = intake.run()
    assert admission.load_number == 1
    assert intake.rows("orders", "_batch, _batch_date, _file, _row, order_id, amount") == [
        ("initial", None, "orders/f.json", 1, "o7", "9.90"),
        ("initial", None, "orders/g.jsonl.gz", 1, "o8", "9.90"),
        ("dt=2024-01-01", date(2024, 1, 1), "orders/dt=2024-01-01/a.parquet", 1, "o1", "9.90"),
        ("dt=2024-01-01", date(2024, 1, 1), "orders/dt=2024-01-01/a.parquet", 2, "o2", "9.90"),
        ("dt=2024-01-01", date(2024, 1, 1), "orders/dt=2024-01-01/b.csv", 1, "o3", "9.90"),
        ("dt=2024-01-01", date(2024, 1, 1), "orders/dt=2024-01-01/c.csv.gz", 1, "o4", "9.90"),
        ("dt=2024-01-01", date(2024, 1, 1), "orders/dt=2024-01-01/d.jsonl", 1, "o5", "9.90"),
        ("dt=2024-01-02", date(2024, 1, 2), "orders/dt=2024-01-02/e.ndjson", 1, "o6", "9.90"),
    ]


@pytest.mark.parametrize("name", ["orders/a.csv", "orders/a.parquet"], ids=["text", "parquet"])
def test_a_lake_file_has_the_technical_columns_then_the_contract_as_text(intake, name):
    intake.land(name, ORDER.format(1) if name.endswith("csv") else parquet(orders(1)))
    intake.run()
    schema = pq.read_schema(intake.workspace / "lake/orders/load_number=1/data.parquet")
    technical = ["_batch", "_batch_date", "_file", "_row", "_raw", "_problem"]
    assert schema.names == [*technical, *intake.contract["orders"].column_names]
    assert schema.field("_batch_date").type == pa.date32()
    assert schema.field("_row").type == pa.int64()
    assert {str(schema.field(n).type) for n in set(schema.names) - {"_batch_date", "_row"}} == {
        "string"
    }


# Bad input that the intake itself meets, and what each comes to: "rows" (how many,
# and how many of them are problem rows kept as raw text) or "held" (no rows; words of the reason).
BAD_INPUT = [
    ("empty file", "a.csv", b"", "held", "the file is empty"),
    ("empty parquet", "a.parquet", b"", "held", "the file is empty"),
    ("header only", "a.csv", HEADER.encode(), "rows", (0, 0)),
    ("zero rows of parquet", "a.parquet", parquet(orders()), "rows", (0, 0)),
    ("truncated parquet", "a.parquet", parquet(orders(1, 2))[:200], "held", "damaged or cut off"),
    ("parquet that is none", "a.parquet", HEADER.encode() * 9, "held", "damaged or cut off"),
    ("truncated gzip", "a.csv.gz", gzip.compress(os.urandom(999).hex().encode())[:-99], "held", "damaged or cut off"),
    ("wrong delimiter", "a.csv", HEADER.replace(",", ";").encode(), "held", "use a comma"),
    ("GBK header", "a.csv", "订单号,金额\n".encode("gbk"), "held", "looks like GBK"),
    ("GBK rows", "a.csv", (ORDER.format(1) + "绿茶,pos,x,paid,1\n").encode("gbk"), "rows", (2, 1)),
    ("byte-order mark", "a.csv", ORDER.format(1).encode("utf-8-sig"), "rows", (1, 0)),
    ("ragged rows", "a.csv", (ORDER.format(1) + "o2,pos\n").encode(), "rows", (2, 1)),
    ("duplicated header", "a.csv", b"order_id,amount,order_id\n", "held", "`order_id` appears more than once"),
    ("duplicated parquet column", "a.parquet", parquet(pa.table([[1], [2]], names=["order_id", "Order_ID"])), "held", "`order_id` appears"),
    ("no column known", "a.parquet", parquet({"sku": [1]}), "held", "none of its columns `sku`"),
    ("NUL bytes", "a.csv", (ORDER.format(1) + "o\0,pos,x,paid,1\n").encode(), "rows", (2, 1)),
    ("unclosed quote", "a.csv", (ORDER.format(1) + '"o2,pos\no3,pos,x,paid,1\n').encode(), "rows", (3, 1)),
    ("identical row twice", "a.csv", (ORDER.format(1) + "o1,pos,2024-01-01 10:00:00,paid,9.90\n").encode(), "rows", (2, 0)),
    ("spreadsheet", "a.xlsx", b"PK", "held", "not CSV, CSV.GZ, JSON lines or Parquet"),
    ("text that is not UTF-8 in parquet", "a.parquet", parquet({"order_id": pa.array([b"\xb2\xe8"]).view(pa.string())}), "held", "not valid UTF8"),
    ("a reserved column", "a.parquet", parquet({"order_id": ["1"], "File_Row_Number": [1]}), "held", "rename it"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT, ids=[case[0] for case in BAD_INPUT])
def test_bad_input_ends_in_problem_rows_or_a_held_batch_and_other_batches_load(intake, case):
    _, name, content, outcome, expected = case
    intake.land(f"orders/dt=2024-01-01/{name}", content)
    intake.land(DAY.format(2), ORDER.format(9))
    intake.land("orders/dt=2024-01-03/orders.parquet", parquet(orders(10)))
    intake.run()
    row = intake.registry("orders", "dt=2024-01-01")
    good = [("o10",), ("o9",)]
    assert sorted(intake.rows("orders", "order_id", "_batch <> 'dt=2024-01-01'")) == good
    if outcome == "held":
        assert (row.status, row.load_number, row.landed_rows) == ("held", None, None)
        assert row.reasons.startswith(f"orders/dt=2024-01-01/{name}: ")
        assert expected in row.reasons
        assert intake.rows("orders", "order_id", "_batch = 'dt=2024-01-01'") == []
    else:
        rows = intake.rows("orders", "_problem, _raw", "_batch = 'dt=2024-01-01'")
        problems = [row for row in rows if row[0] is not None]
        assert (row.status, row.landed_rows) == ("admitted", expected[0])
        assert (len(rows), len(problems)) == expected
        assert all(raw for _, raw in problems)


def test_values_are_passed_on_as_they_are(intake):
    strange = ["'; drop table orders; --", "{{ var('x') }}", " o1 ", "1.23457E+18", "NaN", "-5"]
    strange += ["ａ１", "o\u200b", "\\N", "null", "=1+1", "5\" pipe"]  # fmt: skip
    text = "".join('"{}",pos,soon,lost,Infinity\n'.format(v.replace('"', '""')) for v in strange)
    intake.land("orders/dt=2024-01-01/a.csv", HEADER + text)
    intake.land("orders/dt=2024-01-01/b.parquet", parquet({"order_id": strange}))
    intake.land("orders/dt=2024-01-01/c.jsonl", "\n".join(json.dumps({"order_id": v}) for v in strange))  # fmt: skip
    intake.run()
    assert [value for (value,) in intake.rows("orders", "order_id")] == strange * 3


def test_long_ids_stay_exact_in_every_format_and_a_float_is_never_guessed(intake):
    number = 1234567890123456789
    intake.land("orders/a.csv", f"order_id\n{number}\n")
    intake.land("orders/b.jsonl", f'{{"order_id": {number}}}')
    intake.land("orders/c.parquet", parquet({"order_id": pa.array([number], pa.int64())}))
    intake.land("orders/d.parquet", parquet({"order_id": pa.array([Decimal(number)])}))
    intake.land("orders/e.parquet", parquet({"order_id": [float(number)]}))
    intake.land("orders/f.parquet", parquet({"order_id": [2.0**53]}))
    intake.land("orders/g.parquet", parquet({"order_id": [13800000000.0]}))
    intake.run()
    assert [value for (value,) in intake.rows("orders", "order_id")] == [
        *[str(number)] * 4,
        "1.2345678901234568e+18",
        "9.0071992547409920e+15",
        "13800000000",
    ]


SHANGHAI = timezone(timedelta(hours=8))
# (column of orders, Arrow value, text)
TYPED = [
    ("ordered_at", pa.array([datetime(2024, 1, 1)]), "2024-01-01 00:00:00"),
    ("ordered_at", pa.array([datetime(2024, 1, 1, 1, 2, 3, 4)]), "2024-01-01 01:02:03.000004"),
    ("ordered_at", pa.array([datetime(2024, 1, 1, tzinfo=SHANGHAI)]), "2023-12-31 16:00:00+00"),
    ("ordered_at", pa.array([date(2024, 1, 1)]), "2024-01-01"),
    ("ordered_at", pa.array([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
    ("amount", pa.array([Decimal("12345678901234567890.10")]), "12345678901234567890.10"),
    ("amount", pa.array([0.1]), "0.1"),
    ("amount", pa.array([0.1], pa.float32()), "0.1"),
    ("amount", pa.array([100.0]), "100"),
    ("amount", pa.array([float("nan")]), "nan"),
    ("amount", pa.array([float("-inf")]), "-inf"),
    ("amount", pa.array([1e20]), "1e+20"),
    ("coupon_id", pa.array([1.5]), "1.5"),
    ("coupon_id", pa.array([True]), "true"),
    ("coupon_id", pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
    ("coupon_id", pa.array(["c1"]).dictionary_encode(), "c1"),
    ("coupon_id", pa.array([b"c1"]), "c1"),
    ("coupon_id", pa.array([b"\xff"]), "\\xFF"),
    ("coupon_id", pa.array(["a\0b"]), "a\0b"),
    ("coupon_id", pa.array([["a", "b"]]), "[a, b]"),
    ("coupon_id", pa.nulls(1), None),
]


@pytest.mark.parametrize("case", TYPED, ids=[f"{c[0]}-{c[1].type}-{c[2]!r}" for c in TYPED])
def test_a_parquet_value_becomes_text_without_losing_a_digit(intake, case):
    column, values, text = case
    intake.land("orders/a.parquet", parquet({column: values}))
    intake.run()
    assert intake.rows("orders", column) == [(text,)]


def test_int96_times_of_old_spark_are_read(intake):
    table = pa.table({"ordered_at": pa.array([datetime(2024, 1, 1, 8)])})
    intake.land("orders/a.parquet", parquet(table, use_deprecated_int96_timestamps=True))
    intake.run()
    assert intake.rows("orders", "ordered_at") == [("2024-01-01 08:00:00",)]


def test_files_of_one_batch_may_order_and_spell_their_columns_differently(intake):
    intake.land("products/a.csv", "product_id,name\np1,tea\n")
    intake.land("products/b.csv", "NAME, Product_ID \nmilk,p2\n")
    intake.land("products/c.parquet", parquet({"name": ["salt"], "product_id": ["p3"]}))
    intake.land("products/d.parquet", parquet({" Product_ID ": ["p4"], "name": ["oil"]}))
    intake.run()
    assert intake.rows("products", "product_id, name") == [
        ("p1", "tea"),
        ("p2", "milk"),
        ("p3", "salt"),
        ("p4", "oil"),
    ]


def test_extra_and_missing_columns_are_reported(intake):
    for name, content in [
        ("a.csv", "product_id,name,dt,Colour,\np1,tea,2024-01-01,red,\n"),
        ("b.jsonl", '{"product_id": "p2", "size": 4}\n'),
        ("c.parquet", parquet({"name": ["x"], "weight": [1]})),
    ]:
        intake.land(f"products/dt=2024-01-01/{name}", content)
    prepared = intake.prepare()
    (batch,) = prepared.batches
    assert batch.extra_columns == ["(unnamed)", "colour", "size", "weight"]
    assert batch.missing_columns == ["product_id"]
    admit(prepared, {batch.key: Verdict(warnings=["careful"])}, intake.workspace)
    row = intake.registry("products", "dt=2024-01-01")
    assert row.extra_columns == "(unnamed), colour, size, weight"
    assert (row.missing_columns, row.warnings) == ("product_id", "careful")
    assert intake.rows("products", "product_id") == [("p1",), ("p2",), (None,)]


def test_files_of_one_schema_are_read_in_one_query_and_keep_their_batches(intake, monkeypatch):
    asked = []
    select_text = load.select_text
    monkeypatch.setattr(load, "select_text", lambda *a: asked.append(len(a[3])) or select_text(*a))
    for day in range(1, 8):
        intake.land(f"orders/dt=2024-01-0{day}/part [1]*'?.parquet", parquet(orders(day)))
    numeric = orders(8) | {"amount": [1.5]}
    intake.land("orders/dt=2024-01-08/hour=01/a.parquet", parquet(numeric))
    intake.run()
    assert sorted(asked) == [1, 7]
    rows = intake.rows("orders", "_batch, right(_file, 9), order_id")
    assert rows[0] == ("dt=2024-01-01", "?.parquet", "o1")
    assert [row[0] for row in rows] == [f"dt=2024-01-0{day}" for day in range(1, 9)]


def test_rows_keep_their_order_and_number_in_a_large_file(intake):
    numbers = list(range(300_000))
    content = parquet({"order_id": pa.array(numbers)}, row_group_size=50_000)
    intake.land("orders/a.parquet", content)
    with intake.prepare() as prepared:
        table = pq.read_table(prepared.candidates[0].path, columns=["_row", "order_id"])
    assert table["order_id"].to_pylist() == [str(number) for number in numbers]
    assert table["_row"].to_pylist() == [number + 1 for number in numbers]


def test_the_same_content_again_is_nothing_to_do(intake):
    path = intake.land(DAY.format(1), ORDER.format(1))
    intake.run()
    before = (intake.workspace / "lake/batches.parquet").read_bytes()
    admission = intake.run()
    assert (admission.load_number, admission.admitted, admission.held) == (None, [], [])
    assert (intake.workspace / "lake/batches.parquet").read_bytes() == before
    os.utime(path, ns=(1, 1))
    assert intake.run().admitted == []
    assert json.loads(intake.registry("orders", "dt=2024-01-01").files)[0]["mtime_ns"] == 1
    assert len(intake.rows("orders")) == 1


def test_a_file_appended_to_is_a_new_version_of_its_batch(intake):
    intake.land(DAY.format(1), ORDER.format(1))
    intake.land(DAY.format(2), ORDER.format(2))
    intake.run()
    intake.land(DAY.format(1), ORDER.format(1) + "o3,pos,2024-01-01,paid,1\n")
    admission = intake.run()
    assert [row.batch for row in admission.admitted] == ["dt=2024-01-01"]
    row = intake.registry("orders", "dt=2024-01-01")
    assert (row.load_number, row.first_load_number, row.landed_rows) == (2, 1, 2)
    assert intake.rows("orders", "order_id") == [("o1",), ("o3",), ("o2",)]


def test_an_undated_file_more_or_less_lands_the_initial_batch_again(intake):
    intake.land("products/a.csv", "product_id\np1\n")
    intake.run()
    extra = intake.land("products/b.csv", "product_id\np2\n")
    intake.run()
    assert intake.rows("products", "product_id") == [("p1",), ("p2",)]
    extra.unlink()
    intake.run()
    assert intake.rows("products", "product_id, load_number") == [("p1", 3)]


def test_a_batch_that_disappears_from_the_landing_stays_loaded(intake):
    intake.land(DAY.format(1), ORDER.format(1))
    old = intake.land(DAY.format(2), ORDER.format(2))
    intake.run()
    old.unlink()
    old.parent.rmdir()
    intake.run()
    assert intake.rows("orders", "order_id") == [("o1",), ("o2",)]


def test_a_held_batch_is_left_out_and_tried_again_when_it_changes_or_on_demand(intake):
    key = ("orders", "dt=2024-01-01")
    intake.land(DAY.format(1), ORDER.format(1))
    intake.land(DAY.format(2), ORDER.format(2))
    admission = intake.run(held={key: "orders.csv: too few rows"})
    assert [row.batch for row in admission.held] == ["dt=2024-01-01"]
    assert intake.registry(*key).reasons == "orders.csv: too few rows"
    lake = intake.workspace / "lake/orders/load_number=1/data.parquet"
    assert pq.read_table(lake, columns=["order_id"])["order_id"].to_pylist() == ["o2"]

    assert intake.run().admitted == []
    first_seen = intake.registry(*key).first_seen_at
    assert [row.batch for row in intake.run(retry_held=True).admitted] == ["dt=2024-01-01"]
    row = intake.registry(*key)
    assert (row.status, row.first_load_number, row.reasons) == ("admitted", 2, None)
    assert row.first_seen_at == first_seen < row.loaded_at

    intake.run(held={key: "again"}, retry_held=True)
    assert intake.registry(*key).status == "admitted", "an admitted batch is not judged again"


def test_when_everything_is_held_no_load_comes_about(intake):
    intake.land(DAY.format(1), ORDER.format(1))
    assert intake.run(held={("orders", "dt=2024-01-01"): "no"}).load_number is None
    assert not (intake.workspace / "lake/orders").exists()


def test_a_held_redelivery_leaves_the_admitted_version_current_and_is_named(intake):
    key = ("orders", "dt=2024-01-01")
    path = intake.land(DAY.format(1), ORDER.format(1))
    intake.run()
    intake.land(DAY.format(1), ORDER.format("x"))
    intake.run(held={key: "looks wrong"})
    row = intake.registry(*key)
    assert (row.status, row.load_number, row.held_reasons) == ("admitted", 1, "looks wrong")
    assert intake.rows("orders", "order_id") == [("o1",)]
    assert intake.run().held == [], "the held delivery is known"

    path.write_text(ORDER.format(1))
    assert intake.run(retry_held=True).admitted == []
    assert intake.registry(*key).held_reasons is None, "the admitted delivery lies there again"

    intake.land(DAY.format(1), ORDER.format("y"))
    intake.run(held={key: "looks wrong"})
    intake.land(DAY.format(1), ORDER.format("z"))
    intake.run()
    row = intake.registry(*key)
    assert (row.load_number, row.held_reasons, row.held_content_hash) == (2, None, None)
    assert intake.rows("orders", "order_id") == [("oz",)]


def test_a_damaged_page_costs_its_batch_and_not_the_load(intake):
    numbers = {"order_id": [f"o{number * 7919}" for number in range(20_000)]}
    content = bytearray(parquet(numbers, compression="zstd", use_dictionary=False))
    content[5_000:5_200] = b"\xff" * 200
    intake.land("orders/dt=2024-01-01/a.parquet", bytes(content))
    intake.land("orders/dt=2024-01-02/a.parquet", parquet(numbers, compression="zstd"))
    intake.land("orders/dt=2024-01-03/a.csv", ORDER.format(1))
    intake.run()
    row = intake.registry("orders", "dt=2024-01-01")
    assert row.reasons.startswith("orders/dt=2024-01-01/a.parquet: cannot be read as Parquet")
    batches = [batch for (batch,) in intake.rows("orders", "_batch")]
    assert (len(batches), sorted(set(batches))) == (20_001, ["dt=2024-01-02", "dt=2024-01-03"])


def test_a_file_that_changes_while_it_is_read_is_held_and_tried_at_the_next_run(
    intake, monkeypatch
):
    path = intake.land(DAY.format(1), ORDER.format(1))
    intake.land(DAY.format(2), ORDER.format(2))
    check = BatchRecord.check_unchanged

    def append_first(batch):
        if batch.batch == "dt=2024-01-01":
            path.write_text(ORDER.format(1) + "o3,pos,2024-01-01,paid,1\n")
        check(batch)

    with monkeypatch.context() as patch:
        patch.setattr(BatchRecord, "check_unchanged", append_first)
        intake.run()
    row = intake.registry("orders", "dt=2024-01-01")
    assert (row.status, row.content_hash) == ("held", None)
    assert "still being written" in row.reasons
    assert intake.rows("orders", "order_id") == [("o2",)]
    intake.run()
    assert intake.rows("orders", "order_id") == [("o1",), ("o3",), ("o2",)]


def test_a_crash_before_the_registry_is_written_leaves_no_trace_after_the_next_run(
    intake, monkeypatch
):
    intake.land(DAY.format(1), ORDER.format(1))
    intake.run()
    intake.land(DAY.format(2), ORDER.format(2))

    def crash(*_):
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(load, "write_registry", crash)
        with pytest.raises(OSError, match="power"):
            intake.run()
    orphan = intake.workspace / "lake/orders/load_number=2"
    assert orphan.exists()
    assert intake.rows("orders", "order_id") == [("o1",)], "staging does not see it"
    with intake.prepare() as prepared:
        assert not orphan.exists()
        assert prepared.load_number == 2
    intake.run()
    assert intake.rows("orders", "order_id") == [("o1",), ("o2",)]
    assert not (intake.workspace / "intake").exists()


def test_a_second_intake_on_the_workspace_fails_at_once(intake):
    intake.land(DAY.format(1), ORDER.format(1))
    with intake.prepare() as prepared:
        with pytest.raises(LandingError, match=rf"process {os.getpid()}\) is at work"):
            intake.prepare()
        assert prepared.candidates[0].path.exists()
    intake.run()


def test_a_closed_intake_or_a_batch_without_a_verdict_is_refused(intake):
    intake.land(DAY.format(1), ORDER.format(1))
    with intake.prepare() as prepared:
        pass
    with pytest.raises(ValueError, match="call prepare again"):
        admit(prepared, {}, intake.workspace)
    with pytest.raises(ValueError, match="no verdict on orders dt=2024-01-01"):
        admit(intake.prepare(), {}, intake.workspace)


def test_every_row_landed_is_in_the_lake_and_counted(intake):
    for day in range(1, 10):
        intake.land(DAY.format(day), ORDER.format(day) + "broken\n" * day)
        intake.land(f"orders/dt=2024-01-0{day}/b.parquet", parquet(orders(*range(day))))
    intake.run(held={("orders", "dt=2024-01-05"): "no"})
    intake.land(DAY.format(3), ORDER.format(3))
    intake.run()
    registry = pq.read_table(intake.workspace / "lake/batches.parquet").to_pylist()
    counted = [
        (row["batch"], row["landed_rows"], sum(file["rows"] for file in json.loads(row["files"])))
        for row in registry
        if row["status"] == "admitted"
    ]
    counts = dict(intake.rows("orders", "_batch, count(*) over (partition by _batch)"))
    assert counted == [(batch, count, count) for batch, count in sorted(counts.items())]
    assert counts["dt=2024-01-09"] == 1 + 9 + 9
    assert "dt=2024-01-05" not in counts


def test_the_registry_is_sorted_and_says_what_was_loaded(intake):
    intake.land("products/a.csv", "product_id\np1\n")
    intake.land(DAY.format(2), ORDER.format(2))
    intake.land(DAY.format(1), ORDER.format(1))
    before = datetime.now(UTC).replace(tzinfo=None)
    intake.run()
    table = pq.read_table(intake.workspace / "lake/batches.parquet").to_pylist()
    assert [(row["entity"], row["batch"], row["batch_date"]) for row in table] == [
        ("orders", "dt=2024-01-01", date(2024, 1, 1)),
        ("orders", "dt=2024-01-02", date(2024, 1, 2)),
        ("products", "initial", None),
    ]
    (file,) = json.loads(table[0]["files"])
    assert (file["path"], file["rows"]) == (DAY.format(1), 1)
    assert len(file["sha256"]) == 64
    assert before <= table[0]["loaded_at"] <= datetime.now(UTC).replace(tzinfo=None)


def test_an_intake_that_finds_nothing_readable_still_leaves_an_empty_registry(intake):
    (intake.landing / "orders").mkdir(parents=True)
    admission = intake.run()
    assert admission.load_number is None
    assert pq.read_table(admission.registry).num_rows == 0


def test_a_landing_folder_that_cannot_be_used_is_a_clear_error(intake, tmp_path):
    with pytest.raises(LandingError, match=r"landing does not exist .*: create it, or set QUANYU"):
        intake.prepare()
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LandingError, match="is a file: give the folder"):
        prepare(file, intake.workspace, intake.contract, say=print)
    intake.land("order/a.csv", "x")
    with pytest.raises(LandingError, match=r"seen order; known entities are .*orders"):
        intake.prepare()
    assert not intake.workspace.exists(), "nothing is made before the landing is known to be good"


def test_a_folder_or_file_without_permission_is_named(intake):
    locked = intake.land(DAY.format(1), ORDER.format(1))
    intake.land(DAY.format(2), ORDER.format(2))
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything (root)")
    intake.run()
    assert "make it readable" in intake.registry("orders", "dt=2024-01-01").reasons
    locked.chmod(0o600)
    assert [row.batch for row in intake.run().admitted] == ["dt=2024-01-01"]
    intake.landing.chmod(0)
    try:
        with pytest.raises(LandingError, match="cannot be listed"):
            intake.prepare()
    finally:
        intake.landing.chmod(0o700)


@pytest.mark.parametrize("name", ["dt=2024-02-30", "dt=20240101", "dt=", "2024-01-01", "dt=2024-W01-1"])  # fmt: skip
def test_a_folder_that_is_no_date_is_held(intake, name):
    intake.land(f"orders/{name}/a.csv", ORDER.format(1))
    intake.land(DAY.format(2), ORDER.format(2))
    intake.run()
    row = intake.registry("orders", name)
    assert row.status == "held"
    assert "rename it" in row.reasons
    assert intake.rows("orders", "order_id") == [("o2",)]
    assert intake.run().held == []


def test_a_file_name_that_is_not_utf8_is_held_and_shown_readably(intake):
    folder = intake.land(DAY.format(1), ORDER.format(1)).parent
    (folder / os.fsdecode("订单.csv".encode("gbk"))).write_text(ORDER.format(2))
    intake.land(f"orders/{os.fsdecode(b'dt=' + '今'.encode('gbk'))}/a.csv", ORDER.format(3))
    held = intake.run().held
    assert [row.batch for row in held] == ["dt=\ufffd\ufffd", "dt=2024-01-01"]
    assert all("not valid UTF-8: rename it" in row.reasons for row in held)


def test_a_folder_called_initial_does_not_hide_the_undated_files(intake):
    intake.land("orders/initial/a.csv", ORDER.format(1))
    intake.land("orders/a.csv", ORDER.format(2))
    assert [row.batch for row in intake.run().held] == ["initial/"]
    assert intake.rows("orders", "order_id") == [("o2",)]


def test_marker_files_are_passed_over_and_strange_folders_are_noted(intake):
    intake.land(DAY.format(1), ORDER.format(1))
    for name in (".DS_Store", "_SUCCESS", "b.csv.tmp", "c.csv.crdownload", "d.csv~", "_tmp/e.csv"):
        intake.land(f"orders/dt=2024-01-01/{name}", "half a fi")
    intake.land("Order/a.csv", "x")
    intake.land("README.md", "x")
    intake.land("refunds.csv", "x")
    (intake.landing / "orders/dt=2024-01-09").mkdir()
    with intake.prepare() as prepared:
        assert [len(batch.files) for batch in prepared.batches] == [1]
        assert prepared.notes == [
            "Order/: ignored, no entity of the contract; did you mean orders?",
            "refunds.csv: ignored, it lies beside the entity folders; move it into its entity's folder",
        ]
    assert intake.said == [*prepared.notes, "orders: 1 new or changed batches, 1 rows"]
