"""What has not changed is left alone, and nothing else is (macros/engine/unchanged.sql): on a project of a few models that
has the materializations of the real one."""

from __future__ import annotations

import shutil

import pytest
from little_project import LittleProject

from orchestration.warehouse import UNCHANGED

FILES = {
    "dbt_project.yml": "name: quanyu\nversion: '1.0'\nprofile: quanyu\nflags: {send_anonymous_usage_stats: false}\n"
    'vars: {least: 1, customers_per_part: 300}\non-run-start: ["{{ quanyu.start_refresh() }}"]\n',
    "seeds/fruit.csv": "name,price\napple,1\npear,2\n",
    "macros/names.sql": "{% macro shown(x) %}upper({{ x }}){% endmacro %}",
    "models/landed.sql": "{{ config(materialized='incremental', incremental_strategy='append') }}\n"
    "select n, cast({{ quanyu.refresh_number() }} as bigint) as _refresh\n"
    "from (select unnest(range(top)) as n from {{ ref('tops') }}) as numbers\n"
    "{% if is_incremental() %}where n > (select max(known.n) from {{ this }} as known){% endif %}",
    "models/tops.sql": "{{ config(materialized='table', meta={'always_build': true}) }}\n"
    "select cast('{{ env_var('TOP', '2') }}' as int) as top",
    "models/days.sql": "{{ config(materialized='table', meta={'always_build': true}) }}\n"
    "select cast('{{ env_var('DAY', '1') }}' as int) as day",
    "models/priced.sql": "{{ config(materialized='table') }}\n"
    "select {{ quanyu.shown('name') }} as name, price from {{ ref('fruit') }} where price >= {{ var('least') }}",
    "models/dear.sql": "{{ config(materialized='table') }}\nselect name from {{ ref('priced') }} where price > 1",
    "models/shown.sql": "{{ config(materialized='view') }}\nselect name from {{ ref('dear') }}",
    "models/counted.sql": "{{ config(materialized='table') }}\nselect count(*) as n, max(days.day) as day\n"
    "from {{ ref('landed') }} cross join {{ ref('days') }} as days",
    "models/apart.sql": "{{ config(materialized='table') }}\nselect 1 as x",
    "tests/no_name_is_missing.sql": "select * from {{ ref('shown') }} where name is null",
    "tests/no_fruit_costs_nine.sql": "select * from {{ ref('priced') }} where price = 9",
}
ALWAYS = {"days", "tops"}
NODES = {*ALWAYS, "fruit", "landed", "priced", "dear", "shown", "counted", "apart"}
TESTS = {"no_name_is_missing", "no_fruit_costs_nine"}


class World(LittleProject):
    def build(self, *arguments: str, succeeds: bool = True, **environment: str) -> set[str]:
        """Build; the nodes that were not left alone."""
        result = self.dbt(*(arguments or ("build",)), "--quiet", **environment)
        assert result.success == succeeds, result.exception or result.result
        return {
            node.node.name
            for node in result.result
            if node.node.resource_type != "operation"
            and node.adapter_response.get("_message") != UNCHANGED
            and str(node.status) != "skipped"
        }


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> World:
    world = World(tmp_path_factory.mktemp("unchanged"), FILES)
    assert world.build() == NODES | TESTS
    return world


@pytest.fixture
def world(built, tmp_path) -> World:
    """A copy of the built one."""
    shutil.copytree(built.root, tmp_path / "world")
    copy = World.__new__(World)
    copy.root = tmp_path / "world"
    return copy


def test_a_second_build_builds_what_must_always_be_built(world):
    assert world.build() == ALWAYS
    assert world.sql("select * from main.shown") == [("PEAR",)]


def test_everything_else_follows_what_it_reads(world):
    # A seed changes, and what it changes; what comes out as it was stops the change.
    world.write("seeds/fruit.csv", "name,price\napple,1\npear,3\n")
    assert world.build() == {*ALWAYS, "fruit", "priced", "dear", "no_fruit_costs_nine"}
    # Somebody edits the table of a seed: the file holds.
    world.sql("update main.fruit set price = 0")
    assert world.build() == {*ALWAYS, "fruit"}
    assert world.sql("select sum(price) from main.fruit") == [(4,)]
    # A macro.
    world.write("macros/names.sql", "{% macro shown(x) %}lower({{ x }}){% endmacro %}")
    assert world.build() == {*ALWAYS, "priced", "dear", "shown", *TESTS}
    # A var, for one run; then again the one of the project.
    few = {*ALWAYS, "priced", "dear", "landed", "no_fruit_costs_nine"}
    assert world.build("build", "--vars", "{least: 2}") == few
    assert world.build() == few
    # A row comes to an incremental table.
    assert world.build(TOP="3") == {*ALWAYS, "landed", "counted"}
    # It is asked when what it reads has changed; when it then writes nothing, nothing more happens.
    assert world.build(TOP="1") == {*ALWAYS, "landed"}
    assert world.build("build", "--full-refresh") == NODES | TESTS


def test_a_view_that_a_run_leaves_out_hides_nothing(world):
    world.write(
        "models/last.sql", "{{ config(materialized='table') }}\nselect * from {{ ref('shown') }}"
    )
    assert world.build() == {*ALWAYS, "last"}
    world.write("models/dear.sql", FILES["models/dear.sql"].replace("> 1", "> 0"))
    assert world.build("run", "--select", "dear", "last") == {"dear", "last"}
    assert world.sql("select count(*) from main.last") == [(2,)]


def test_a_table_of_the_same_rows_stops_a_change_and_one_of_others_does_not(world):
    assert world.build(DAY="1") == ALWAYS
    assert world.build(DAY="2") == {*ALWAYS, "counted"}
    assert world.sql("select * from main.counted") == [(2, 2)]
    # Other types or names are other contents, whatever the values.
    world.write("models/days.sql", FILES["models/days.sql"].replace("int", "bigint"))
    assert world.build(DAY="2") == {*ALWAYS, "counted"}


def test_what_was_taken_away_comes_back(world):
    world.sql("drop table main.apart")
    world.sql("delete from main.dear")
    world.sql("drop view main.shown")
    assert world.build() == {*ALWAYS, "apart", "dear", "shown"}
    assert world.sql("select * from main.shown") == [("PEAR",)]
    # Rows that somebody deletes below, and a run of the table above alone.
    world.sql("delete from main.landed where n = 1")
    assert world.build("run", "--select", "counted") == {"counted"}
    # A crash after a build and before the ledger knew of it.
    world.sql("delete from audit.built where node = 'model.quanyu.priced'")
    assert {"priced"} <= world.build()
    assert world.build() == ALWAYS


def test_a_failed_test_and_what_depends_on_it_are_not_forgotten(world):
    world.write("seeds/fruit.csv", "name,price\napple,9\npear,2\n")
    changed = {*ALWAYS, "fruit", "priced", "dear", "no_fruit_costs_nine"}
    assert changed - {"dear"} <= world.build(succeeds=False)
    # The second time nothing has changed: the test must fail all the same.
    assert "no_fruit_costs_nine" in world.build(succeeds=False)
    world.write("seeds/fruit.csv", "name,price\napple,8\npear,2\n")
    assert world.build() == {*changed, "shown", "no_name_is_missing"}
    assert world.sql("select name from main.shown order by 1") == [("APPLE",), ("PEAR",)]
    # Asked for by itself, every test is run.
    assert world.build("test") == TESTS


def test_a_model_of_many_customers_is_built_in_parts_and_refreshed_as_a_whole(world):
    world.write(
        "models/int_lifecycle__touched_customers.sql",
        "{{ config(materialized='table', meta={'always_build': true}) }}\n"
        "select unnest(range({{ env_var('CUSTOMERS', '1000') }})) as customer_key",
    )
    world.write(
        "models/stays.sql",
        "{{ config(materialized='incremental', incremental_strategy='append', post_hook='insert into {{ this }} values (-1, 0)') }}\n"
        "select customer_key, count(*) over () as together from {{ ref('int_lifecycle__touched_customers') }} as touched\n"
        "where {% if is_incremental() %}customer_key > (select max(known.customer_key) from {{ this }} as known)\n"
        "{% else %}{{ quanyu.in_part('customer_key') }}{% endif %}",
    )
    sizes = "select together, count(*) from main.stays group by together order by together"
    world.build()
    assert world.sql(sizes) == [(0, 1), (250, 1000)]
    world.build(CUSTOMERS="1700")
    assert world.sql(sizes) == [(0, 2), (250, 1000), (700, 700)]
    # Again from the start, beside what is there; then few enough for one part.
    world.build("build", "--full-refresh", CUSTOMERS="600")
    assert world.sql(sizes) == [(0, 1), (300, 600)]
    world.build("build", "--full-refresh", CUSTOMERS="300")
    assert world.sql(sizes) == [(0, 1), (300, 300)]


def test_a_table_from_all_over_which_rows_are_gone_is_written_again(world):
    """DuckDB would remember each of these places in memory (macros/engine/deleted_rows.sql)."""
    rows = 9000 * 2048
    world.write(
        "models/many.sql",
        "{{ config(materialized='incremental', incremental_strategy='append') }}\n"
        f"select n, cast(1 as bigint) as _refresh from range({rows}) as numbers (n)"
        "{% if is_incremental() %} where false{% endif %}",
    )

    def remembered() -> int:
        """Rows that are gone and still take their place, of a file that is opened anew."""
        (gone,) = world.sql(
            "select estimated_size - (select count(*) from main.many) from duckdb_tables() where table_name = 'many'"
        )[0]
        return gone

    assert world.build() == {*ALWAYS, "many"} and remembered() == 0
    # In 8,000 places a little is forgotten: not worth the writing. In 9,000 it is.
    world.sql("delete from main.many where n % 2048 = 7 and n < 8000 * 2048")
    world.build()
    assert remembered() == 8000
    world.sql("delete from main.many where n % 2048 = 9")
    world.build()
    assert remembered() == 0
    left = [
        (
            rows - 17000,
            rows * (rows - 1) // 2
            - sum(2048 * k + 7 for k in range(8000))
            - sum(2048 * k + 9 for k in range(9000)),
        )
    ]
    assert world.sql("select count(*), sum(n) from main.many") == left
    assert world.build() == ALWAYS
