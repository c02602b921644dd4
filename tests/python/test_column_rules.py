"""Rules of columns in one test of dbt (macros/tests/column_rules.sql): each broken one is told with its column, the number of
its rows and, where only some values are allowed, one of the others."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest
from little_project import LittleProject

from orchestration.hold import node_failures

RULES = """
      - column_rules:
          name: column_rules_of_{model}
          arguments:
            not_null: [id, name]
            unique: [id, name]
            accepted_values: {{light: [red, green], name: [a, b, c]}}
"""
FILES = {
    "dbt_project.yml": "name: quanyu\nversion: '1.0'\nprofile: quanyu\nflags: {send_anonymous_usage_stats: false}\n",
    # Every rule of two columns holds, and what is empty breaks no other rule than not_null.
    "models/sound.sql": "select * from (values (1, 'a', 'red'), (2, 'b', null), (3, 'c', null)) as t (id, name, light)",
    "models/broken.sql": "select * from (values (1, 'a', 'red'), (1, 'b', 'blue'), (1, null, 'amber'), (2, null, 'blue'),"
    " (2, 'a', 'green')) as t (id, name, light)",
    "models/empty.sql": "select * from {{ ref('sound') }} where id > 3",
    "models/models.yml": "models:\n"
    + "".join(
        f"  - name: {model}\n    data_tests:{RULES.format(model=model)}"
        for model in ("sound", "broken", "empty")
    ),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> tuple[dict, str]:
    """Results of the tests by name, and what dbt has said."""
    project, said = LittleProject(tmp_path_factory.mktemp("column_rules"), FILES), io.StringIO()
    with redirect_stdout(said):
        result = project.dbt("build", "--no-use-colors")
    tests = {r.node.name: r for r in result.result if r.node.resource_type == "test"}
    return tests, said.getvalue()


@pytest.mark.parametrize("model", ["sound", "empty"])
def test_where_every_rule_holds_nothing_is_said(outcome, model):
    result = outcome[0][f"column_rules_of_{model}"]
    assert (str(result.status), result.failures) == ("pass", 0)
    assert f"{model}." not in outcome[1]


def test_each_broken_rule_is_told_with_its_column_rows_and_a_value(outcome):
    result = outcome[0]["column_rules_of_broken"]
    parts = node_failures(
        result.node.to_dict(), result.message, result.failures, result.adapter_response
    )
    # Of `unique` the values are counted that appear twice: 1 and 2 of id, a of name.
    assert {(part["column"], part["test"]): part["rows"] for part in parts} == {
        ("name", "not_null"): 2,
        ("light", "accepted_values"): 3,
        ("id", "unique"): 2,
        ("name", "unique"): 1,
    }
    assert str(result.status) == "fail" and result.failures == 8
    assert {(part["kind"], part["table"]) for part in parts} == {("test", "broken")}
    for part in parts:
        assert part["message"] in outcome[1]
    light = next(part["message"] for part in parts if part["column"] == "light")
    assert light == "broken.light breaks accepted_values in 3 rows, such as 'amber'"
