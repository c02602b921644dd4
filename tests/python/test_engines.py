"""What keeps the project off one engine, as far as it can be said without starting another one; `make parity` does the rest."""

from __future__ import annotations

import re
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from support import PROJECT

from orchestration.spark import duckdb_type, fetch, keyed_tables, spark_relation
from scripts import parity
from scripts.parity import Result, compare, page_of, summary

MACROS = {file: file.read_text() for file in (PROJECT / "macros").rglob("*.sql")}


def test_every_macro_of_duckdb_has_one_for_spark():
    code = "\n".join(MACROS.values())
    of_dbt = {"get_table_columns_and_constraints"}  # dbt has a default__ of its own
    for name in set(re.findall(r"macro duckdb__(\w+)", code)) - of_dbt:
        assert re.search(rf"macro (default|spark)__{name}\b", code), name


def test_what_only_one_engine_has_stays_where_engines_are_told_apart():
    """Functions that only DuckDB has stand in its own macros and in its own materializations (unchanged.sql)."""
    only_duckdb = r"\b(strftime|list_\w+|unnest|date_diff|generate_series|arg_max|read_parquet|struct_pack|glob)\s*\("
    for file, text in MACROS.items():
        text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
        for name, body in re.findall(r"macro (\w+)\(.*?%\}(.*?)\{%-? endmacro", text, re.DOTALL):
            if not name.startswith("duckdb__") and file.name != "unchanged.sql":
                assert not re.search(only_duckdb, body), (file.name, name)


def test_spark_knows_every_way_in_which_a_model_replaces_its_rows():
    sources = [file.read_text() for file in (PROJECT / "models").rglob("*.sql")]
    sources.append((PROJECT / "dbt_project.yml").read_text())
    used = set(re.findall(r"incremental_strategy\s*[:=]\s*'?([\w+]+)", "\n".join(sources)))
    code = (PROJECT / "macros/engine/spark/incremental.sql").read_text()
    known = set(re.findall(r"strategy == '([\w+]+)'", code))
    assert used and used <= known


def test_keys_are_the_same_numbers_on_both_engines():
    """The way that Spark takes from the hex digits of an MD5 to the key, walked with DuckDB's functions."""
    code = (PROJECT / "macros/engine/hash.sql").read_text()
    template, digits = re.search(r"translate\('(\w+)', '(\w+)', substring\(md5", code).groups()
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""select
                cast(md5_number_upper(x) >> 1 as bigint),
                translate('{template}', '{digits}', substring(md5(x), 1, 16))
            from (select cast(range as varchar) || '|号' as x from range(200))"""
        ).fetchall()
    for key, ordered in rows:
        assert int(ordered, 16) >> 1 == key


@pytest.fixture
def sides():
    with duckdb.connect() as connection:
        connection.execute(
            "create table l as select range as id, range * 0.1::double as x, 'a' as t, 1 as _refresh from range(10)"
        )
        connection.execute("create table r as select * from l")
        yield connection


def test_equal_tables_are_the_same_whenever_they_were_written(sides):
    sides.execute("update r set _refresh = 7, x = x * (1 + 1e-12)")
    result = compare(sides, "marts.t", "l", "r", ["id"])
    assert result.is_same and result.duckdb_rows == 10


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("update r set x = x * (1 + 1e-8) where id = 3", ["x"]),
        ("update r set x = null where id = 3", ["x"]),
        ("update r set x = 'nan' where id = 3", ["x"]),
        ("update r set t = null where id = 3", ["t"]),
        ("update r set t = 'A' where id = 3", ["t"]),
        ("delete from r where id = 3", []),
        ("insert into r select * from r where id = 3", []),
    ],
)
def test_one_changed_cell_or_row_is_seen(sides, change, columns):
    sides.execute(change)
    result = compare(sides, "marts.t", "l", "r", ["id"])
    assert not result.is_same and result.differing == 1 and list(result.columns) == columns


def test_tables_without_a_key_are_compared_as_bags(sides):
    sides.execute("insert into l select * from l where id = 3")
    assert not compare(sides, "marts.t", "l", "r", []).is_same
    sides.execute("insert into r select * from r where id = 3")
    assert compare(sides, "marts.t", "l", "r", []).is_same


def test_a_table_that_spark_has_not_is_not_the_same_and_says_so():
    result = Result("marts.t", 0, None, 0)
    assert not result.is_same
    assert "| marts.t | **0; not built** |" in page_of({"demo": ("", [result])})


def test_a_run_takes_the_place_of_the_one_before_it_on_the_page(tmp_path, monkeypatch):
    page = tmp_path / "engines.md"
    page.write_text("a\n<!-- parity -->\nold\n<!-- /parity -->\nb\n")
    monkeypatch.setattr(parity, "PAGE", page)
    monkeypatch.setattr(parity, "RUNS", tmp_path / "parity.jsonl")
    parity.keep("demo", "3 nodes", [Result("marts.t", 7, 9, 2, ["x"])])
    parity.keep("taobao", "1 node", [Result("marts.t", 5, 5, 0)])
    assert "| marts.t | **7 against 9, 2 differ in x** | 5 |" in page.read_text()
    parity.keep("demo", "4 nodes", [Result("marts.t", 7, 7, 0), Result("marts.u", 1, 1, 0)])
    text = page.read_text()
    assert text.startswith("a\n<!-- parity -->\n| landing |")
    assert text.endswith("</details>\n<!-- /parity -->\nb\n")
    assert "| demo | 2 of 2 | 2 | 8 | 0 | 4 nodes |" in text
    assert "| marts.t | 7 | 5 |" in text and "| marts.u | 1 |  |" in text
    page.write_text("a\n<!-- parity -->\nno end\n")
    with pytest.raises(ValueError, match="has no `<!-- parity -->`"):
        parity.keep("other", "", [])
    assert page.read_text() == "a\n<!-- parity -->\nno end\n"


def test_public_tables_come_with_their_keys():
    node = {
        "resource_type": "model",
        "schema": "marts",
        "alias": "t",
        "config": {"access": "public"},
        "constraints": [{"type": "primary_key", "columns": ["a", "b"]}],
    }
    hidden = {**node, "alias": "i", "config": {"access": "protected"}}
    assert keyed_tables({"nodes": {"x": node, "y": hidden}}) == {"marts.t": ["a", "b"]}


def test_the_page_says_how_many_are_the_same_and_how_they_were_built():
    same = Result("marts.t", 5, 5, 0, largest=2e-12)
    other = Result("marts.u", 0, 1, 1, ["x"])
    text = summary([same, other], "210 nodes in 9 s")
    assert text.startswith("1 of 2 tables are the same (1 of them hold rows, 5 in all)")
    assert "2.0e-12" in text and text.endswith("Spark: 210 nodes in 9 s.")


class Spark:
    """A cursor that knows the tables of a folder: Parquet files where there are rows, columns alone where there are none."""

    def __init__(self, files, empty):
        self.files, self.empty, self.answer = files, empty, []

    def execute(self, sql):
        name = sql.replace(" like ", ".").replace("'", "").split()[-1].replace(".marts.", ".")
        name = name.split(".")[-1]
        if sql.startswith("show schemas"):
            self.answer = [("marts",)] if name == "marts" else []
        elif sql.startswith("show tables"):
            self.answer = [(name,)] if name in self.files or name in self.empty else []
        elif sql.startswith("describe formatted"):
            self.answer = [("Type", "MANAGED", "")]
        elif sql.startswith("describe"):
            self.answer = self.empty[name]
        else:
            self.answer = [(f"file://{self.files[name]}",)] if name in self.files else []

    def fetchall(self):
        return self.answer


def test_tables_of_spark_are_read_in_the_order_of_their_key_and_keep_their_types(tmp_path):
    with duckdb.connect() as connection:
        file = tmp_path / "part.parquet"
        connection.execute(f"copy (select 9 - range as id, 'x' as t from range(9)) to '{file}'")
    empty = {"u": [("day", "date", None), ("names", "array<string>", None)]}
    tables = {"marts.t": ["id"], "marts.u": []}
    fetch(tmp_path / "s.duckdb", Spark({"t": file}, empty), tables)
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        assert connection.execute("select list(id) from marts.t").fetchone()[0] == [*range(1, 10)]
        described = connection.execute("describe marts.u").fetchall()
    assert [row[:2] for row in described] == [("day", "DATE"), ("names", "VARCHAR[]")]
    with pytest.raises(LookupError, match=r"no table marts\.v"):
        fetch(tmp_path / "s.duckdb", Spark({"t": file}, empty), {"marts.v": []})
    assert spark_relation(Spark({"t": file}, empty), "audit.t") is None


def test_types_of_spark_have_a_name_in_duckdb():
    known = {"decimal(18,4)": "decimal(18,4)", "timestamp_ntz": "timestamp", "bigint": "bigint"}
    for spark, ours in known.items():
        assert duckdb_type(spark) == ours


class _Returned(Exception):
    """What a macro gives back, on its way out of Jinja."""


def _ctes_to_hold(sql: str) -> dict:
    """`spark_ctes_to_hold` of macros/engine/spark/held_ctes.sql, without dbt; work tables are called work_<name>."""
    template = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(
        (PROJECT / "macros/engine/spark/held_ctes.sql").read_text()
    )

    def called(macro):
        def call(*arguments):
            try:
                macro(*arguments)
            except _Returned as found:
                return found.args[0]

        return call

    def give(value):
        raise _Returned(value)

    quanyu = SimpleNamespace(work_table=lambda name: f"work_{name}")
    macros = template.make_module(
        {"return": give, "modules": SimpleNamespace(re=re), "quanyu": quanyu}
    )
    for name in ("spark_query_of", "spark_named", "spark_needs"):
        setattr(quanyu, name, called(getattr(macros, name)))
    return called(macros.spark_ctes_to_hold)(sql)


LONG = " + 0000000000" * 300
NAMED_THRICE = f"""
-- numbers (of one kind
with numbers as (
    select range as n from range(5)
),

squares as (
    with roots as (
        select n from numbers  -- from numbers, (n)
    )

    select n * n{LONG} as n from roots
),

unused as (
    select 1 as n
),

cubes as (
    select squares.n * numbers.n as n
    from squares
    inner join numbers on squares.n = numbers.n * numbers.n
)

select sum(n) as n from (
    select n from squares
    union all
    select n from cubes
) as together
"""


@pytest.mark.parametrize("indent", ["", "    "])
def test_spark_computes_a_long_cte_once_that_is_named_more_than_once(indent):
    plan = _ctes_to_hold(NAMED_THRICE.replace("\n)", f"\n{indent})"))
    assert [held["name"] for held in plan["held"]] == ["squares"]
    assert LONG not in plan["sql"] and "unused" not in plan["sql"]
    with duckdb.connect() as connection:
        for held in plan["held"]:
            connection.execute(f"create table work_cte_{held['name']} as {held['sql']}")
        assert (
            connection.execute(plan["sql"]).fetchall()
            == connection.execute(NAMED_THRICE).fetchall()
            == [(130,)]
        )


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 as n",
        NAMED_THRICE.replace(LONG, ""),
        NAMED_THRICE.replace("\n),\n\nunused", " ),\n\nunused"),
        NAMED_THRICE.replace("\n),\n\nunused", "\n)), ((\n\nunused"),
        NAMED_THRICE.replace("with numbers", "with recursive numbers"),
    ],
)
def test_a_query_of_another_form_is_left_as_it_is(sql):
    assert _ctes_to_hold(sql) == {"sql": sql, "held": []}
