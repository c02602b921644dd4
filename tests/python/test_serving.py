"""Serving: what readers see is whole, old or new, and nothing that is personal ever gets there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import duckdb
import pandas
import pytest
import sqlalchemy
from support import PROJECT, ask, land, settings

from orchestration.intake import Admission
from orchestration.intake.registry import RegistryRow
from orchestration.job import Outcome, publication_lines, report_lines
from orchestration.serving import (
    Description,
    ServingError,
    blocking_holds,
    current,
    current_manifest,
    descriptions,
    hold_name,
    project_version,
    publish,
    publishable,
    read_manifest,
    rollback,
)
from orchestration.warehouse import BuildError, Dbt


def small_warehouse(path: Path, day: str, *, source: str = "newest batch", mark: int = 0) -> Path:
    """A warehouse of two published tables, which say the same day, and of some that must stay inside."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as warehouse:
        for schema in ("marts", "reference", "audit", "identity"):
            warehouse.execute(f"create schema {schema}")
        warehouse.execute(
            f"create table reference.as_of as select date '{day}' as as_of_date, '{source}' as as_of_source"
        )
        warehouse.execute(
            "create table marts.customers (customer_id varchar, brand_id varchar, last_activity_on date,"
            " touchpoint_count bigint, primary key (customer_id, brand_id))"
        )
        warehouse.execute(
            f"insert into marts.customers select 'c' || range, 'b', date '{day}', {mark} from range(2000, 0, -1)"
        )
        warehouse.execute("create table reference.identity_overrides (left_value varchar)")
        warehouse.execute("create table marts.from_nowhere (phone varchar)")
        warehouse.execute("create table audit.quarantine (raw_row varchar)")
        warehouse.execute("create table identity.dim_customers (phone varchar)")
    return path


def days(serving: Path) -> set[str]:
    with duckdb.connect(str(serving / "current" / "quanyu.duckdb"), read_only=True) as reader:
        found = reader.execute(
            "select distinct cast(last_activity_on as varchar) from marts.customers"
        )
        return {day for (day,) in found.fetchall()}


def test_what_is_published_are_marts_and_reference_without_personal_columns(warehouse):
    serving = warehouse / "serving"
    with duckdb.connect(str(serving / "current" / "quanyu.duckdb"), read_only=True) as reader:
        listed = set(
            reader.execute(
                "select table_schema, table_name from information_schema.tables"
            ).fetchall()
        )
    built = set(
        ask(
            warehouse,
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('marts', 'reference')",
        )
    )
    assert built - listed == {
        ("reference", "export_suppressions"),
        ("reference", "identity_blocklist"),
        ("reference", "identity_overrides"),
        ("reference", "manual_tags"),
    }
    assert not listed - built
    assert not [name for _, name in listed if descriptions()[name].is_personal]


def test_the_manifest_tells_rows_and_hashes_as_they_are(warehouse):
    version = current(warehouse / "serving")
    manifest = current_manifest(warehouse / "serving")
    assert manifest["version"] == version.name
    assert ask(warehouse, "select cast(as_of_date as varchar) from reference.as_of") == [
        (manifest["as_of_date"],)
    ]
    for table in manifest["tables"]:
        name = f"{table['schema']}.{table['table']}"
        parquet = version / table["schema"] / f"{table['table']}.parquet"
        assert hashlib.sha256(parquet.read_bytes()).hexdigest() == table["sha256"], name
        assert ask(warehouse, f"select count(*) from {name}") == [(table["rows"],)]
        assert duckdb.execute(f"select count(*) from '{parquet}'").fetchone() == (table["rows"],)


def test_published_tables_keep_a_format_that_old_clients_read_though_the_warehouse_has_a_newer_one(
    warehouse,
):
    formats = {}
    for file in (warehouse / "warehouse.duckdb", warehouse / "serving/current/quanyu.duckdb"):
        with duckdb.connect(str(file), read_only=True) as connection:
            (formats[file.name],) = connection.execute(
                "select tags['storage_version'] from duckdb_databases() where not internal"
            ).fetchone()
    assert formats == {"warehouse.duckdb": "v1.3.0+", "quanyu.duckdb": "v1.0.0+"}


def test_a_parquet_file_is_sorted_by_the_primary_key(warehouse):
    version = current(warehouse / "serving")
    for table in current_manifest(warehouse / "serving")["tables"]:
        if table["primary_key"]:
            columns = ", ".join(f'"{name}"' for name in table["primary_key"])
            file = version / table["schema"] / f"{table['table']}.parquet"
            keys = duckdb.execute(f"select {columns} from '{file}'").fetchall()
            assert keys == duckdb.execute(f"select {columns} from '{file}' order by all").fetchall()


def test_the_descriptions_travel_with_the_tables(warehouse):
    with duckdb.connect(
        str(warehouse / "serving" / "current" / "quanyu.duckdb"), read_only=True
    ) as reader:
        (table,) = reader.execute(
            "select comment from duckdb_tables() where table_name = 'customers'"
        ).fetchone()
        bare = reader.execute(
            "select table_name, column_name from duckdb_columns() where comment is null"
            " and schema_name = 'marts' and not internal"
        ).fetchall()
    assert "客户宽表" in table
    assert not bare


def test_an_unchanged_warehouse_gives_no_new_version(world, warehouse):
    serving = warehouse / "serving"
    before = current(serving)
    outcome = land(world / "landing", warehouse)
    assert not outcome.publication.is_new
    assert current(serving) == before
    lines = report_lines(settings(world / "landing", warehouse), outcome)
    (line,) = [line for line in lines if line.startswith("published")]
    assert str(serving / "current" / "quanyu.duckdb") in line and "nothing has changed" in line


def test_the_same_rows_give_the_same_bytes_in_another_folder(tmp_path):
    database = small_warehouse(tmp_path / "w.duckdb", "2026-06-30")
    one, two = publish(database, tmp_path / "one"), publish(database, tmp_path / "two")
    assert one.manifest["content_hash"] == two.manifest["content_hash"]
    for path in one.version.rglob("*.parquet"):
        assert path.read_bytes() == (two.version / path.relative_to(one.version)).read_bytes()


def test_a_table_that_nobody_describes_stays_inside(tmp_path):
    publication = publish(
        small_warehouse(tmp_path / "w.duckdb", "2026-06-30"), tmp_path / "serving"
    )
    assert [(t["schema"], t["table"]) for t in publication.manifest["tables"]] == [
        ("marts", "customers"),
        ("reference", "as_of"),
    ]


def test_only_described_tables_of_published_schemas_without_personal_columns_may_leave():
    described = {
        "customers": Description("", {}, False),
        "identity_overrides": Description("", {}, True),
        "batches": Description("", {}, False),
    }
    listed = [
        ("marts", "customers"),
        ("marts", "unknown"),
        ("reference", "identity_overrides"),
        ("audit", "batches"),
    ]
    assert publishable(listed, described) == [("marts", "customers")]


READER = """
import os, sys, time, duckdb
serving, stop, ready = sys.argv[1:]
seen, reads = set(), 0
while not os.path.exists(stop):
    with duckdb.connect(serving + '/current/quanyu.duckdb', read_only=True) as reader:
        one = reader.execute('select distinct cast(last_activity_on as varchar) from marts.customers').fetchall()
        two = reader.execute('select cast(as_of_date as varchar) from reference.as_of').fetchall()
    assert one == two, (one, two)
    seen.add(one[0][0])
    reads += 1
    open(ready, 'w').close()
print(reads, *sorted(seen))
"""


def test_readers_in_a_loop_see_whole_versions_while_two_are_published(tmp_path):
    serving, stop = tmp_path / "serving", tmp_path / "stop"
    publish(small_warehouse(tmp_path / "w.duckdb", "2026-06-01"), serving)
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, serving, stop, tmp_path / f"ready{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    while not all((tmp_path / f"ready{number}").exists() for number in range(2)):
        assert all(reader.poll() is None for reader in readers)
        time.sleep(0.05)
    for day in ("2026-06-02", "2026-06-03"):
        publish(small_warehouse(tmp_path / "w.duckdb", day), serving)
        time.sleep(0.3)
    stop.touch()
    for reader in readers:
        said, complaints = reader.communicate(timeout=60)
        assert reader.returncode == 0, complaints
        assert "2026-06-03" in said


def test_python_and_sqlalchemy_read_the_published_file_and_may_not_write_it(tmp_path):
    database = small_warehouse(tmp_path / "w.duckdb", "2026-06-30")
    file = publish(database, tmp_path / "serving").version / "quanyu.duckdb"
    with duckdb.connect(str(file), read_only=True) as reader:
        assert reader.sql("from marts.customers").df().shape == (2000, 4)
        with pytest.raises(duckdb.Error, match="read-only"):
            reader.execute("delete from marts.customers")
    engine = sqlalchemy.create_engine(f"duckdb:///{file}", connect_args={"read_only": True})
    with engine.connect() as reader:
        count = sqlalchemy.text("select count(*), max(last_activity_on) from marts.customers")
        assert reader.execute(count).one() == (2000, date(2026, 6, 30))
        with pytest.raises(sqlalchemy.exc.DBAPIError, match="read-only"):
            reader.execute(sqlalchemy.text("delete from marts.customers"))
    names = sqlalchemy.inspect(engine).get_table_names("marts")
    assert any("customers" in name for name in names)
    engine.dispose()
    # Without DuckDB: Parquet by pandas, as a spreadsheet's CSV with the mark that Excel needs.
    rows = pandas.read_parquet(file.parent / "marts" / "customers.parquet")
    rows.to_csv(tmp_path / "customers.csv", index=False, encoding="utf-8-sig")
    assert (tmp_path / "customers.csv").read_bytes().startswith(b"\xef\xbb\xbfcustomer_id")
    assert len(pandas.read_csv(tmp_path / "customers.csv", dtype=str)) == len(rows) == 2000


def test_the_end_of_a_run_says_what_readers_see_and_why(tmp_path):
    chosen = settings(tmp_path, tmp_path)
    database = small_warehouse(tmp_path / "warehouse.duckdb", "2026-06-30")
    first = publish(database, tmp_path / "serving")

    def said(publication, *blocking) -> str:
        nothing = Admission(None, [], [], tmp_path)
        outcome = Outcome(nothing, [], None, list(blocking), publication)
        return "\n".join(publication_lines(chosen, outcome))

    assert said(first).endswith("current/quanyu.duckdb")
    assert said(publish(database, tmp_path / "serving")).endswith("(nothing has changed)")
    past = small_warehouse(tmp_path / "past.duckdb", "2026-05-31", source="chosen")
    assert "readers keep the newer day" in said(publish(past, tmp_path / "serving"))
    held = RegistryRow("orders", "dt=2026-07-01", date(2026, 7, 1), "held")
    kept = said(None, held)
    assert f"readers keep {first.version.name}" in kept and "orders dt=2026-07-01" in kept
    assert "ACCEPT_HELD=1" in kept


def test_a_reader_keeps_the_file_that_it_has_open_even_when_its_version_is_removed(tmp_path):
    serving = tmp_path / "serving"
    first = publish(small_warehouse(tmp_path / "w.duckdb", "2026-06-01"), serving).version
    with duckdb.connect(str(serving / "current" / "quanyu.duckdb"), read_only=True) as patient:
        for day in ("2026-06-02", "2026-06-03"):
            publish(small_warehouse(tmp_path / "w.duckdb", day), serving, keep=1)
        assert not first.exists()
        seen = patient.execute("select distinct last_activity_on from marts.customers").fetchall()
    assert [str(day) for (day,) in seen] == ["2026-06-01"]
    assert len(list((serving / "versions").iterdir())) == 2


def test_a_publisher_that_dies_before_the_swap_leaves_current_as_it_was(tmp_path):
    serving = tmp_path / "serving"
    publish(small_warehouse(tmp_path / "w.duckdb", "2026-06-01"), serving)
    before = current(serving)
    small_warehouse(tmp_path / "w.duckdb", "2026-06-02")
    for moment in (
        "import orchestration.serving as s; s._finish = lambda *a: os._exit(9); s.publish(database, serving)",
        "publish(database, serving, before_swap=lambda: os._exit(9))",
    ):
        died = subprocess.run(
            [
                *(sys.executable, "-c"),
                "import os, sys; from pathlib import Path; from orchestration.serving import publish;"
                f"database, serving = map(Path, sys.argv[1:]); {moment}",
                *(tmp_path / "w.duckdb", serving),
            ],
            cwd=PROJECT,
            check=False,
        )
        assert died.returncode == 9
        assert current(serving) == before and days(serving) == {"2026-06-01"}
    publish(tmp_path / "w.duckdb", serving)
    assert days(serving) == {"2026-06-02"}
    assert not list((serving / "versions").glob(".*"))


def test_a_warehouse_that_cannot_be_read_leaves_current_as_it_was(tmp_path):
    serving, database = tmp_path / "serving", tmp_path / "w.duckdb"
    publish(small_warehouse(database, "2026-06-01"), serving)
    before = current(serving)
    with duckdb.connect(str(database)) as writer:
        writer.execute("drop table reference.as_of")
    with pytest.raises(ServingError, match=f"readers keep {before.name}"):
        publish(database, serving)
    assert current(serving) == before and days(serving) == {"2026-06-01"}


def test_seven_versions_are_kept_and_the_current_one_among_them(tmp_path):
    serving = tmp_path / "serving"
    for day in range(1, 11):
        publish(small_warehouse(tmp_path / "w.duckdb", f"2026-06-{day:02}"), serving)
    kept = sorted(path.name for path in (serving / "versions").iterdir())
    assert len(kept) == 7 and kept[-1] == "2026-06-10-10" == current(serving).name


def test_rolling_back_goes_to_the_version_before_and_to_one_by_name(tmp_path):
    serving = tmp_path / "serving"
    for day in (1, 2, 3):
        publish(small_warehouse(tmp_path / "w.duckdb", f"2026-06-0{day}"), serving)
    assert rollback(serving).name == "2026-06-02-2" and days(serving) == {"2026-06-02"}
    assert rollback(serving).name == "2026-06-01-1" and days(serving) == {"2026-06-01"}
    with pytest.raises(ServingError, match="no such version"):
        rollback(serving)
    assert rollback(serving, "2026-06-03-3").name == "2026-06-03-3"


def test_after_a_rollback_the_next_run_makes_the_newest_current_again(tmp_path):
    serving = tmp_path / "serving"
    for day in (1, 2):
        publish(small_warehouse(tmp_path / "w.duckdb", f"2026-06-0{day}"), serving)
    rollback(serving)
    publication = publish(tmp_path / "w.duckdb", serving)
    assert not publication.is_new and days(serving) == {"2026-06-02"}


def test_a_past_day_that_was_chosen_is_kept_beside_the_newest(tmp_path):
    serving = tmp_path / "serving"
    publish(small_warehouse(tmp_path / "w.duckdb", "2026-06-30"), serving)
    past = publish(small_warehouse(tmp_path / "p.duckdb", "2026-05-31", source="chosen"), serving)
    assert past.is_new and not past.is_current and past.version.name == "2026-05-31-2"
    assert days(serving) == {"2026-06-30"}
    again = publish(tmp_path / "p.duckdb", serving)
    assert not again.is_new and again.version == past.version


def test_the_version_of_the_project_is_read_from_it_and_goes_into_the_manifest(tmp_path):
    (tmp_path / "dbt_project.yml").write_text('version: "9.8.7"')
    assert project_version(tmp_path) == "9.8.7"
    published = publish(small_warehouse(tmp_path / "w.duckdb", "2026-06-30"), tmp_path / "serving")
    assert published.manifest["project_version"] == project_version()
    assert read_manifest(published.version) == published.manifest


def held_row(landing: Path, content_hash: str = "a" * 64) -> RegistryRow:
    (landing / "orders").mkdir(parents=True, exist_ok=True)
    (landing / "orders" / "x.csv").write_text("x")
    files = json.dumps([{"path": "orders/x.csv"}])
    return RegistryRow(
        "orders", "initial", None, "held", files=files, content_hash=content_hash, reasons="why"
    )


def test_a_hold_keeps_readers_on_the_last_version_until_it_is_decided_upon(tmp_path):
    row = held_row(tmp_path)
    assert blocking_holds([row], tmp_path, {"held": []}) == [row]
    assert blocking_holds([row], tmp_path, {"held": [hold_name(row)]}) == []
    assert blocking_holds([row], tmp_path, {"held": [hold_name(held_row(tmp_path, "b" * 64))]})
    assert blocking_holds([row], tmp_path, None) == []
    shutil.rmtree(tmp_path / "orders")
    assert blocking_holds([row], tmp_path, {"held": []}) == []


def test_a_held_batch_leaves_serving_in_place_until_it_is_landed_again(world, warehouse, tmp_path):
    landing, workspace = world / "landing", tmp_path / "workspace"
    shutil.copytree(warehouse, workspace, symlinks=True)
    broken = landing / "orders" / "dt=2026-07-01"
    try:
        broken.mkdir()
        (broken / "orders.parquet").write_bytes(b"PAR1 cut off")
        before = current(workspace / "serving")
        outcome = land(landing, workspace)
        assert [row.batch for row in outcome.blocking] == ["dt=2026-07-01"]
        assert outcome.publication is None and current(workspace / "serving") == before
        said = "\n".join(report_lines(settings(landing, workspace), outcome))
        assert "held       1 batches" in said
        assert f"readers keep {before.name}" in said and "orders dt=2026-07-01" in said
        accepted = land(landing, workspace, accept_held=True)
        assert accepted.publication.is_current
        assert len(accepted.publication.manifest["held"]) == 1
        assert land(landing, workspace).blocking == []
    finally:
        shutil.rmtree(broken)


def test_a_failing_build_leaves_serving_in_place(world, warehouse, monkeypatch):
    before = current(warehouse / "serving")

    def fail(*_, **__):
        raise BuildError("the build failed")

    monkeypatch.setattr(Dbt, "build", fail)
    with pytest.raises(BuildError):
        land(world / "landing", warehouse, full_refresh=True)
    assert current(warehouse / "serving") == before


def test_a_file_of_a_version_cannot_be_opened_for_writing(tmp_path):
    version = publish(
        small_warehouse(tmp_path / "w.duckdb", "2026-06-30"), tmp_path / "serving"
    ).version
    assert not [p for p in version.rglob("*") if p.is_file() and os.stat(p).st_mode & 0o222]
