"""A run that finds everything as the last one left it does nothing (orchestration/built.py); dbt is played by a double that
counts how often it is asked."""

from __future__ import annotations

import duckdb
import pytest
from support import land
from test_serving import small_warehouse

from orchestration import built, job
from orchestration.serving import current, rollback
from orchestration.warehouse import Build, BuildError, Dbt


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty landing folder, a workspace, and a project of one model; `asked` are the builds."""

    class World:
        landing, workspace, project = tmp_path / "landing", tmp_path / "work", tmp_path / "project"
        asked = mark = 0

        def run(self, **options) -> job.Outcome:
            return land(self.landing, self.workspace, **options)

        def builds(self, **options) -> int:
            before = self.asked
            self.run(**options)
            return self.asked - before

    here = World()
    (here.project / "models").mkdir(parents=True)
    (here.project / "dbt_project.yml").write_text("name: quanyu\n")
    (here.project / "models" / "one.sql").write_text("select 1")
    (here.landing / "orders").mkdir(parents=True)

    def build(dbt, say, **_) -> Build:
        here.asked += 1
        dbt.database.unlink(missing_ok=True)
        small_warehouse(dbt.database, "2026-06-30", mark=here.mark)
        return Build(models=1)

    monkeypatch.setattr(Dbt, "build", build)
    monkeypatch.setattr(built, "PROJECT", here.project)
    return here


def test_a_run_with_nothing_new_builds_and_publishes_nothing(world):
    first = world.run()
    assert (world.asked, first.publication.is_new) == (1, True)
    second = world.run()
    assert (world.asked, second.build) == (1, None)
    assert second.publication.version == first.publication.version
    assert (second.publication.is_new, second.publication.is_current) == (False, True)


def test_everything_that_the_tables_are_made_from_makes_a_run_build(world, monkeypatch):
    assert (world.builds(), world.builds()) == (1, 0)
    (world.project / "models" / "one.sql").write_text("select 2")
    assert (world.builds(), world.builds()) == (1, 0)
    (world.project / "models" / "two.sql").write_text("select 1")
    assert (world.builds(), world.builds()) == (1, 0)
    (world.project / "dbt_project.yml").write_text("name: quanyu\nvars: {clv_months: 6}\n")
    assert (world.builds(), world.builds()) == (1, 0)
    monkeypatch.setenv("QUANYU_SALT", "salted")
    assert (world.builds(), world.builds()) == (1, 0)
    assert (world.builds(as_of_date="2026-06-29"), world.builds(as_of_date="2026-06-29")) == (1, 0)
    assert (world.builds(), world.builds()) == (1, 0)
    duckdb.execute(f"copy (select 1 as n) to '{world.workspace / 'lake' / 'exports.parquet'}'")
    assert (world.builds(), world.builds()) == (1, 0)
    with duckdb.connect(str(world.workspace / "warehouse.duckdb")) as warehouse:
        warehouse.execute("create table reference.by_hand as select 1 as n")
    assert (world.builds(), world.builds()) == (1, 0)
    (world.workspace / "warehouse.duckdb").unlink()
    assert (world.builds(), world.builds()) == (1, 0)
    assert world.builds(full_refresh=True) == 1


def test_a_run_that_failed_and_one_that_was_overtaken_are_not_remembered(world, monkeypatch):
    world.run()
    build = Dbt.build

    def fail(*_, **__):
        raise BuildError("the build failed")

    (world.project / "models" / "one.sql").write_text("select 2")
    monkeypatch.setattr(Dbt, "build", fail)
    with pytest.raises(BuildError):
        world.run()
    (world.project / "models" / "one.sql").write_text("select 1")
    with pytest.raises(BuildError):
        world.run()

    def edited_meanwhile(*arguments, **options) -> Build:
        (world.project / "models" / "one.sql").write_text("select 3")
        return build(*arguments, **options)

    monkeypatch.setattr(Dbt, "build", edited_meanwhile)
    assert (world.builds(), world.builds(), world.builds()) == (1, 1, 0)


def test_after_a_rollback_a_run_without_work_makes_the_newest_current_again(world):
    first = world.run().publication.version
    world.mark = 1
    (world.project / "models" / "one.sql").write_text("select 2")
    second = world.run().publication.version
    rollback(world.workspace / "serving")
    assert current(world.workspace / "serving") == first != second
    assert world.builds() == 0
    assert current(world.workspace / "serving") == second


def test_reports_are_those_of_the_last_run_while_they_are_there(world, tmp_path):
    page = tmp_path / "index.html"
    page.write_text("report")
    built.note_reports(world.workspace, "zh", [page])
    assert built.reports(world.workspace, "zh") == []
    world.run()
    built.note_reports(world.workspace, "zh", [page])
    assert built.reports(world.workspace, "zh") == [page]
    assert built.reports(world.workspace, "en") == []
    page.unlink()
    assert built.reports(world.workspace, "zh") == []
