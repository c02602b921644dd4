"""The gate: what each fault does to a batch, what is written, and what never appears in it."""

import json
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from orchestration.contract import load_contract
from orchestration.gate import GateError
from orchestration.gate.checks import DEFAULT, Thresholds, checks_of, count_columns, profile_columns
from orchestration.gate.judge import enrich, judge
from orchestration.gate.pages import chinese_name
from orchestration.gate.profile import profile
from orchestration.gate.suites import CRITICAL, WARNING, rules_for, suite_for
from orchestration.intake import BatchRecord
from orchestration.intake.landing import FileRecord

CONTRACT = load_contract()
ORDERS = CONTRACT["orders"]
FIRST = date(2026, 1, 1)
JUDGED_AT = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)
# A history that makes 1,000 rows the usual volume of a batch.
HISTORY = [(FIRST - timedelta(days=n), 1000) for n in range(1, 29)]


def record(entity="orders", day=0, rows=1000, batch=None, extra=(), missing=(), unreadable=()):
    batch_date = None if batch == "initial" else FIRST + timedelta(days=day)
    file = FileRecord(
        path=f"{entity}/part.csv",
        source=Path("part.csv"),
        bytes=1,
        mtime_ns=0,
        rows=rows,
        extra_columns=tuple(extra),
        missing_columns=tuple(missing),
    )
    name = batch or str(batch_date)
    return BatchRecord(entity, name, batch_date, files=[file], unreadable=list(unreadable))


def profile_row(entity, record, **changes):
    """The profile of a batch without a fault, but for the changes."""
    row = dict.fromkeys(count_columns(entity), 0)
    day = record.batch_date or FIRST
    row |= {"batch": record.batch, "batch_date": record.batch_date, "rows": record.rows}
    row |= {"quarantined_rows": 0, "distinct_keys": record.rows, "first_day": day, "last_day": day}
    return row | changes


def judge_orders(workspace, records, rows, recent=HISTORY, **options):
    frame = pd.DataFrame(rows, columns=profile_columns(ORDERS))
    options = {"load_number": 1, "judged_at": JUDGED_AT} | options
    return judge({"orders": frame}, records, {"orders": recent}, CONTRACT, workspace, **options)


# Each case is a batch of 1,000 orders with one thing changed: its profile, or what the intake says
# of its files.
HELD, WARNED, PASSED = "held", "warned", "passed"
CASES = {
    "a clean batch": ({}, {}, PASSED, ""),
    "a missing required column": ({}, {"missing": ["amount"]}, HELD, "`amount`"),
    "an extra column": ({}, {"extra": ["memo"]}, WARNED, "`memo`"),
    "one empty order id": (
        {"order_id__missing": 1},
        {},
        WARNED,
        "`order_id` is empty in 1 of 1,000",
    ),
    "a fifth of the order ids empty": ({"order_id__missing": 200}, {}, WARNED, "(20.0%)"),
    "more than a fifth of the order ids empty": ({"order_id__missing": 201}, {}, HELD, "(20.1%)"),
    "one unreadable time": ({"ordered_at__unreadable": 1}, {}, WARNED, "cannot be read"),
    "a third of the amounts unreadable": ({"amount__unreadable": 333}, {}, HELD, "cannot be read"),
    "one unknown status": ({"status__unknown": 1}, {}, WARNED, "not in the list"),
    "a quarter of the statuses unknown": ({"status__unknown": 250}, {}, HELD, "not in the list"),
    "a negative amount": ({"amount__negative": 1}, {}, WARNED, "is negative"),
    "a time after the batch date": ({"ordered_at__after_batch": 1}, {}, WARNED, "after the batch"),
    "half of the times after the batch date": ({"ordered_at__after_batch": 500}, {}, WARNED, ""),
    "most times after the batch date": (
        {"ordered_at__after_batch": 501},
        {},
        HELD,
        "after the batch",
    ),
    "an id in scientific notation": ({"order_id__scientific": 1}, {}, WARNED, "`order_id` in 1 "),
    "a text of a megabyte": (
        {"store_id__too_long": 1},
        {},
        WARNED,
        "is too long (`store_id` in 1 ",
    ),
    "a NUL byte": ({"channel__damaged": 2}, {}, WARNED, "`channel` in 2 "),
    "an unsplittable row": ({"row__unsplittable": 1}, {}, WARNED, "cannot be split"),
    "a third of the rows unsplittable": ({"row__unsplittable": 333}, {}, HELD, "cannot be split"),
    "one row in twenty quarantined": ({"quarantined_rows": 50}, {}, PASSED, ""),
    "more than one row in twenty quarantined": ({"quarantined_rows": 51}, {}, WARNED, "(5.1%)"),
    "one row in five quarantined": ({"quarantined_rows": 200}, {}, WARNED, "(20.0%)"),
    "more than one row in five quarantined": ({"quarantined_rows": 201}, {}, HELD, "(20.1%)"),
    "every order in its five states": ({"distinct_keys": 200}, {}, PASSED, ""),
    "six rows an order": ({"distinct_keys": 166}, {}, WARNED, "166 different keys"),
    "one key for eleven rows": ({"distinct_keys": 91}, {}, HELD, "91 different keys"),
    "rows of the week before": ({"last_day": -7}, {}, PASSED, ""),
    "rows older than a week": ({"last_day": -8}, {}, WARNED, "8 days before the batch"),
    "no rows": ({}, {"rows": 0}, WARNED, "0 rows"),
    "a fifth of the usual volume": ({}, {"rows": 200}, PASSED, ""),
    "less than a fifth of the usual volume": (
        {},
        {"rows": 199},
        WARNED,
        "0.20 times the median 1,000",
    ),
    "five times the usual volume": ({}, {"rows": 5000}, PASSED, ""),
    "more than five times the usual volume": ({}, {"rows": 5001}, WARNED, "5.00 times the median"),
    "a small batch that is half broken": (
        {"order_id__missing": 9, "quarantined_rows": 9, "distinct_keys": 1},
        {"rows": 19, "batch": "initial"},
        WARNED,
        "9 of 19 rows",
    ),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """All cases as the batches of one load, so that each has broken neighbours: (workspace, verdicts by case)."""
    workspace = tmp_path_factory.mktemp("workspace")
    records, rows = {}, []
    for day, (case, (changes, facts, _, _)) in enumerate(CASES.items()):
        records[case] = record(day=day, **facts)
        if isinstance(changes.get("last_day"), int):
            last_day = records[case].batch_date + timedelta(days=changes["last_day"])
            changes = changes | {"last_day": last_day}
        if records[case].rows:
            rows.append(profile_row(ORDERS, records[case], **changes))
    verdicts = judge_orders(workspace, list(records.values()), rows)
    return workspace, {case: verdicts["orders", record.batch] for case, record in records.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_judged_by_its_own_fault_only(judged, case):
    _, _, outcome, sentence = CASES[case]
    verdict = judged[1][case]
    assert verdict.held == (outcome == HELD)
    assert bool(verdict.reasons) == (outcome == HELD)
    assert bool(verdict.warnings) == (outcome == WARNED)
    assert sentence in " ".join(verdict.reasons + verdict.warnings)


def test_a_reason_names_batch_observation_limit_and_what_to_do(judged):
    (reason,) = judged[1]["more than a fifth of the order ids empty"].reasons
    assert reason.startswith(
        "orders batch 2026-01-06: `order_id` is empty in 201 of 1,000 rows (20.1%)"
    )
    assert "; allowed: at most 20%. " in reason
    assert reason.endswith(
        "Ask the source to fill the field, or correct the mapping of the export."
    )


def test_the_results_hold_every_verdict_and_the_expectations_own_json(judged):
    results = judged[0] / "gate/results/1"
    summary = json.loads((results / "verdicts.json").read_text("utf-8"))
    outcomes = {batch["batch"]: batch["held"] for batch in summary["batches"]}
    assert (summary["load"], summary["judged_at"]) == (1, "2026-03-01T05:30:00+00:00")
    assert len(outcomes) == len(CASES)
    assert sum(outcomes.values()) == sum(outcome == HELD for _, _, outcome, _ in CASES.values())
    native = json.loads((results / "orders.json").read_text("utf-8"))
    assert native["meta"]["great_expectations_version"]
    assert len(native["results"]) == len(rules_for(ORDERS))


def test_the_pages_need_no_network_and_no_script(judged):
    pages = list((judged[0] / "gate/docs").rglob("*.html"))
    assert {page.name for page in pages} == {"index.html", "orders.html"}
    for page in pages:
        html = page.read_text("utf-8")
        assert not re.search(r"https?://|<script|@import|url\(|<link[^>]+stylesheet", html)
        assert "订单" in html


def test_the_page_of_an_entity_names_failing_batches_values_and_reasons(judged):
    html = (judged[0] / "gate/docs/1/orders.html").read_text("utf-8")
    assert "2026-01-06: <b>20.1%</b>" in html
    assert "Ask the source to fill the field" in html
    assert f"{len(CASES)}</b>batches" in html


def broken(entity, rule):
    """(profile changes, record facts) of a batch of 1,000 rows that breaks this rule."""
    known = {
        "missing_required_columns": ({}, {"missing": entity.required_columns[:1]}),
        "extra_columns": ({}, {"extra": ["memo"]}),
        "rows": ({}, {"rows": 0}),
        "rows_vs_recent": ({}, {"rows": 10}),
        "days_behind": ({"last_day": FIRST - timedelta(days=365)}, {}),
        "unique_key_share": ({"distinct_keys": int(1000 * (rule.low or 0)) - 1}, {}),
        "quarantined_share": ({"quarantined_rows": int(1000 * (rule.high or 0)) + 1}, {}),
    }
    if rule.measure in known:
        return known[rule.measure]
    subject = rule.subject
    if subject.startswith("any__"):
        check = subject.removeprefix("any__")
        subject = next(f"{c}__{other}" for c, other in checks_of(entity) if other == check)
    return {subject: int(1000 * rule.high) + 1}, {}


def test_every_rule_of_every_suite_can_fail_and_acts_by_its_severity(tmp_path):
    profiles, records, expected = {}, [], {}
    for name, entity in CONTRACT.items():
        rows = []
        for day, rule in enumerate(rules_for(entity)):
            changes, facts = broken(entity, rule)
            records.append(record(name, day=day, **facts))
            rows.append(profile_row(entity, records[-1], **changes))
            expected[name, records[-1].batch] = rule
        profiles[name] = pd.DataFrame(rows)
    recent = dict.fromkeys(CONTRACT, HISTORY)
    verdicts = judge(profiles, records, recent, CONTRACT, tmp_path, load_number=1)
    for key, rule in expected.items():
        verdict = verdicts[key]
        assert verdict.held == (rule.severity == CRITICAL), (key, rule.measure)
        assert any(rule.why in said for said in verdict.reasons + verdict.warnings), (
            key,
            rule.measure,
        )


@pytest.mark.parametrize("name", CONTRACT)
def test_every_expectation_has_a_severity_and_a_reason(name):
    expectations = suite_for(CONTRACT[name]).expectations
    assert len(expectations) == len(rules_for(CONTRACT[name]))
    for expectation in expectations:
        assert expectation.severity in (CRITICAL, WARNING)
        assert len(expectation.meta["why"]) > 30
        assert expectation.meta["do"].endswith(".")
        assert expectation.meta["why"] in expectation.notes


@pytest.mark.parametrize("name", CONTRACT)
def test_every_entity_has_a_chinese_name_and_guards_schema_keys_volume_and_quarantine(name):
    assert re.search("[\u4e00-\u9fff]", chinese_name(CONTRACT[name]))
    guarded = {(rule.subject, rule.severity) for rule in rules_for(CONTRACT[name])}
    assert guarded >= {
        ("missing_required_columns", CRITICAL),
        ("extra_columns", WARNING),
        ("unique_key_share", WARNING),
        ("rows", WARNING),
        ("rows_vs_recent", WARNING),
        ("quarantined_share", CRITICAL),
        ("row__unsplittable", CRITICAL),
    }


def test_an_undated_batch_without_rows_needs_no_profile(tmp_path):
    batch = record(batch="initial", rows=0)
    verdicts = judge({}, [batch], {}, CONTRACT, tmp_path, load_number=1)
    assert not verdicts[batch.key].held
    (warning,) = verdicts[batch.key].warnings
    assert warning.startswith("orders batch initial: 0 rows; allowed: at least 1.")


def test_thresholds_are_overridden_per_entity(tmp_path):
    batch = record()
    rows = [profile_row(ORDERS, batch, quarantined_rows=900, distinct_keys=1)]
    lenient = Thresholds(
        max_quarantined_share=0.95, min_unique_key_share=None, unique_key_share_warning=None
    )
    verdicts = judge_orders(tmp_path, [batch], rows, thresholds={"orders": lenient})
    assert not verdicts[batch.key].held
    assert len(verdicts[batch.key].warnings) == 1


def test_an_unreadable_batch_is_held_without_importing_great_expectations(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    batch = record(unreadable=["orders/part.parquet: not a Parquet file: `13800138000` in line 1"])
    verdicts = judge({}, [batch], {}, CONTRACT, tmp_path, load_number=7)
    assert verdicts[batch.key].held
    (reason,) = verdicts[batch.key].reasons
    assert (
        reason == "orders batch 2026-01-01: orders/part.parquet: not a Parquet file: `…` in line 1"
    )
    assert "not a Parquet file" in (tmp_path / "gate/docs/7/orders.html").read_text("utf-8")


def test_without_new_batches_nothing_is_written(tmp_path):
    assert judge({}, [], {}, CONTRACT, tmp_path, load_number=1) == {}
    assert list(tmp_path.iterdir()) == []


def test_only_the_newest_loads_are_kept(tmp_path):
    batch = record(unreadable=["orders/part.csv: cannot be opened"])
    for load in (8, 9, 10, 11):
        judge({}, [batch], {}, CONTRACT, tmp_path, load_number=load, keep=2)
    for folder in ("results", "docs"):
        kept = {path.name for path in (tmp_path / "gate" / folder).iterdir() if path.is_dir()}
        assert kept == {"10", "11"}
    assert "Load 9" not in (tmp_path / "gate/docs/index.html").read_text("utf-8")


def test_markup_in_names_is_escaped_in_the_pages(tmp_path):
    batch = record(unreadable=["orders/<script>alert(1)</script>.csv: cannot be opened"])
    judge({}, [batch], {}, CONTRACT, tmp_path, load_number=1)
    html = (tmp_path / "gate/docs/1/orders.html").read_text("utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("extra", "missing", "hidden"),
    [
        (["13800138000"], [], "13800138000"),
        (["li.lei@example.com"], [], "li.lei"),
        (["李雷"], ["amount"], "李雷"),
    ],
)
def test_extra_columns_that_may_be_values_are_not_named(tmp_path, extra, missing, hidden):
    batch = record(extra=extra, missing=missing)
    verdicts = judge_orders(tmp_path, [batch], [profile_row(ORDERS, batch)])
    assert "columns outside the contract" in verdicts[batch.key].warnings[0]
    written = [path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(hidden in text for text in [*verdicts[batch.key].warnings, *written])


@pytest.mark.parametrize(("usual", "ratio"), [(20, 5.5), (19, None)])
def test_the_volume_of_a_tiny_source_is_not_judged(usual, ratio):
    batch = record(rows=110)
    history = [(day, usual) for day, _ in HISTORY]
    frame = enrich(pd.DataFrame([profile_row(ORDERS, batch)]), [batch], ORDERS, history, DEFAULT)
    assert frame["rows_vs_recent"].notna().tolist() == [ratio is not None]
    assert frame["rows_vs_recent"].dropna().tolist() == ([ratio] if ratio else [])


def test_a_first_load_compares_volumes_like_daily_loads():
    records = [record(day=day, rows=1000 + 37 * day) for day in range(40)]
    whole = pd.DataFrame([profile_row(ORDERS, r) for r in records])
    at_once = enrich(whole, records, ORDERS, [], DEFAULT)
    admitted = []
    for day, batch in enumerate(records):
        daily = enrich(whole[day : day + 1], [batch], ORDERS, admitted, DEFAULT)
        pd.testing.assert_series_equal(
            daily["rows_vs_recent"], at_once["rows_vs_recent"][day : day + 1].reset_index(drop=True)
        )
        admitted.append((batch.batch_date, batch.rows))
    assert at_once["rows_vs_recent"].isna().sum() == 7


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"batch": ["2026-01-01"]}), "lacks the columns batch_date, rows"),
        (None, "no row for the batches 2026-01-01"),
        (pd.DataFrame([profile_row(ORDERS, record())] * 2), "a batch twice"),
    ],
)
def test_an_incomplete_profile_stops_the_gate(frame, message):
    with pytest.raises(GateError, match=message):
        enrich(frame, [record()], ORDERS, [], DEFAULT)


@pytest.fixture
def candidates(tmp_path):
    """Two candidate files and a seed."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds/event_types.csv").write_text("event_type,rank\nlogin,1\nshare,2\n", "utf-8")
    paths = []
    for batch, kinds in {"2026-01-01": ["login", "nap"], "2026-01-02": ["share"]}.items():
        paths.append(tmp_path / f"it's {batch}.parquet")
        values = ", ".join(f"('{batch}', '{kind}')" for kind in kinds)
        with duckdb.connect() as connection:
            rows = f"(values {values}) t(_batch, event_type)"
            target = str(paths[-1]).replace("'", "''")
            connection.execute(f"copy (select * from {rows}) to '{target}' (format parquet)")
    return tmp_path, paths


@pytest.mark.parametrize("seed", ["reference.event_types", '"my lake"."reference"."event_types"'])
def test_the_profile_counts_per_batch_against_the_seeds(candidates, seed):
    folder, paths = candidates
    sql = f"""
        select _batch as batch, count(*) as "rows", count(*) - count(known.rank) as event_type__unknown
        from "__candidate__" as landed left join {seed} as known using (event_type)
        group by _batch order by _batch
    """
    frame = profile(
        paths,
        sql,
        folder / "seeds",
        database="my lake",
        threads=1,
        memory_limit="64MB",
        temp_dir=folder,
    )
    assert frame.to_dict("list") == {
        "batch": ["2026-01-01", "2026-01-02"],
        "rows": [2, 1],
        "event_type__unknown": [1, 0],
    }


def test_a_candidate_that_cannot_be_profiled_is_named(candidates):
    folder, _ = candidates
    with pytest.raises(GateError, match=r"in .*absent\.parquet"):
        profile(folder / "absent.parquet", 'select 1 from "__candidate__"', folder / "seeds")
