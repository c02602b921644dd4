"""docs/questions.md and docs/metrics.md say what is there: every query runs, every column exists."""

from __future__ import annotations

import csv
import re
from functools import cache

import duckdb
import pytest
from support import PROJECT, SHARED, ask

from scripts.answer_questions import PAGE, answered, queries
from tests.parsed import manifest_of

QUESTIONS = queries(PAGE.read_text())
DICTIONARY = SHARED / "METRICS.md"
METRICS = (PROJECT / "docs" / "metrics.md").read_text()


@cache
def columns(workspace) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for table, column in ask(
        workspace,
        "select table_name, column_name from information_schema.columns where table_schema = 'marts'",
    ):
        found.setdefault(table, set()).add(column)
    return found


@pytest.mark.parametrize(("heading", "sql"), QUESTIONS, ids=[f"{n}" for n in range(len(QUESTIONS))])
def test_every_question_runs(warehouse, heading, sql):
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        result = connection.execute(sql)
        assert len(result.description) > 1, heading
        result.fetchall()


def test_the_questions_of_the_dictionary_are_all_asked():
    asked = {int(n) for n in re.findall(r"^## (\d+)\.", PAGE.read_text(), re.MULTILINE)}
    assert asked == set(range(1, 26))


with (PROJECT / "tests" / "python" / "metric_names.csv").open(encoding="utf-8") as handle:
    NAMES = list(csv.DictReader(handle))


def rows(warehouse, start: str) -> list[tuple]:
    """Answer of the first query below a heading."""
    sql = next(sql for heading, sql in QUESTIONS if heading.startswith(start))
    return ask(warehouse, sql)


def test_answers_agree_with_counts_from_the_facts(warehouse):
    """Numbers of the page against the layers below the marts."""
    stocks = {stage: today for stage, today, *_ in rows(warehouse, "1.")}
    assert stocks == dict(
        ask(
            warehouse,
            """select stage, count(*) from lifecycle.fct_stage_spells, reference.as_of
            where model = 'aipl' and brand_id = 'lanxi' and valid_from <= as_of_date
            and (valid_to is null or as_of_date < valid_to) group by stage""",
        )
    )
    flows = dict(rows(warehouse, "2."))
    assert flows.get("new", 0) + flows["stayed"] + flows.get("forward", 0) + flows.get(
        "backward", 0
    ) == sum(stocks.values())
    (any_channel, *_) = [n for channel, n in rows(warehouse, "Extra: who can") if channel == "any"]
    assert any_channel == ask(
        warehouse,
        """select count(*) from marts.customers where brand_id = 'lanxi' and exists (
            select 1 from reference.channels where domain = 'private'
            and list_contains(string_split(reachable_channels, ','), channel))""",
    )[0][0]  # fmt: skip


def test_answers_are_written_below_their_queries(warehouse):
    """Writing the answers twice writes them once."""
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        once = answered(PAGE.read_text(), connection)
        assert answered(once, connection) == once
    assert queries(once) == QUESTIONS


def metric_rows() -> list[tuple[str, str]]:
    lines = re.findall(r"^\| (.+?) \| (.+) \|$", METRICS, re.MULTILINE)
    return [line for line in lines if line[0] not in ("metric", "---")]


def test_every_metric_is_a_column_or_says_why_not():
    documented = {
        node.name: set(node.columns)
        for node in manifest_of([]).nodes.values()
        if node.resource_type == "model"
    }
    wrong = []
    for metric, where in metric_rows():
        named = re.findall(r"`(\w+)\.(\w+)`", where)
        if not named and "not computed:" not in where:
            wrong.append(f"{metric}: neither a column nor a reason")
        for table, column in named:
            known = documented.get(table)
            if known is None or column not in known:
                wrong.append(f"{metric}: {table}.{column}")
    assert not wrong


def seed(name: str) -> list[dict]:
    with (PROJECT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_metric_of_the_dictionary_has_its_row():
    """metric_names.csv: what METRICS.md calls a metric, by section, and the row of docs/metrics.md that holds it."""
    rows = {metric for metric, _ in metric_rows()}
    assert [f"{n['section']} {n['name']}" for n in NAMES if n["page"] not in rows] == []


def test_every_measure_of_the_scenarios_and_every_audience_named_exists():
    names = {"star_scenarios.value": {row["measure"] for row in seed("star_scenario_measures")}}
    names["audiences.customers"] = {row["audience"] for row in seed("audience_definitions")}
    said: dict[str, set[str]] = {column: set() for column in names}
    for _, where in metric_rows():
        for column, inside in re.findall(r"`(\w+\.\w+)`[^(|]*?\(([^)]*)\)", where):
            said.get(column, set()).update(re.findall(r"`(\w+)`", inside))
    assert said["star_scenarios.value"] == names["star_scenarios.value"]
    assert said["audiences.customers"] - names["audiences.customers"] == set()
    assert len(said["audiences.customers"]) > 15


@pytest.mark.skipif(not DICTIONARY.is_file(), reason="METRICS.md is not at hand")
@pytest.mark.parametrize("section", sorted({name["section"] for name in NAMES}))
def test_the_names_are_those_of_the_dictionary(section):
    """Every name stands in its section, and every row of the section's tables has a name."""
    text = re.split(rf"^##+ {re.escape(section)}[. ]", DICTIONARY.read_text(), flags=re.MULTILINE)[
        1
    ]
    text = re.split(r"^##+ ", text, flags=re.MULTILINE)[0]
    names = [name["name"] for name in NAMES if name["section"] == section]
    assert [name for name in names if name not in text] == []
    rows = re.findall(r"^\|(?!-).*(?!\n\|-)$", text, re.MULTILINE)  # without heads
    assert rows and [row for row in rows if not any(name in row for name in names)] == []
