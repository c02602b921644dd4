"""docs/questions.md and docs/metrics.md say what is there: every query runs, every column exists."""

from __future__ import annotations

import json
import re
from functools import cache

import duckdb
import pytest
from compiled import PROJECT, dbt
from support import ask

from scripts.answer_questions import PAGE, answered, queries

QUESTIONS = queries(PAGE.read_text())
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


def test_every_metric_is_a_column_or_says_why_not(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("parse")
    dbt(workspace, "compile", "--select", "as_of")
    nodes = json.loads((workspace / "target" / "manifest.json").read_text())["nodes"].values()
    documented = {
        node["name"]: set(node["columns"]) for node in nodes if node["resource_type"] == "model"
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


@pytest.mark.parametrize(
    ("section", "metrics"), [("4.3", 10), ("section 5", 14), ("section 7", 30), ("8.5", 6), ("section 10", 28)]
)  # fmt: skip
def test_no_section_of_the_list_is_cut_short(section, metrics):
    part = next(p for p in METRICS.split("\n## ")[1:] if section in p.split("\n")[0])
    assert len(re.findall(r"^\| (?!metric|---)", part, re.MULTILINE)) >= metrics
