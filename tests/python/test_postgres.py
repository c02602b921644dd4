"""PostgreSQL for BI tools: what is read there is the whole of one published version."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest
import sqlalchemy
from test_serving import small_warehouse

from orchestration import serving as published
from orchestration.postgres import PostgresError, Server, binaries, publish, type_of

needs_postgres = pytest.mark.skipif(
    binaries() is None,
    reason="PostgreSQL's server programs are not installed (apt-get install postgresql)",
)


@pytest.fixture(scope="module")
def server():
    # Not below pytest's folder, which only its owner may enter: as root the server is another account's.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        found = Server(Path(folder) / "postgres", port)
        found.start()
        found.start()  # a second start is no error
        yield found
        found.stop()
        found.stop()


def version(folder: Path, day: str, **options) -> Path:
    database = small_warehouse(folder / "w.duckdb", day, **options)
    published.publish(database, folder / "serving")
    return folder / "serving"


@needs_postgres
def test_what_readers_see_is_what_was_published_and_the_reader_may_not_write(server, tmp_path):
    database = small_warehouse(tmp_path / "w.duckdb", "2026-06-30")
    with duckdb.connect(str(database)) as warehouse:
        # Texts that a careless CSV mixes up, digits that a float would lose, and no value at all.
        warehouse.execute("drop table marts.customers")
        warehouse.execute(
            "create table marts.customers as select * from (values"
            " ('', 0.1::decimal(18, 4), true, date '2026-06-30', 1e300),"
            " (null, 12345678901234.5678::decimal(18, 4), null, null, 'nan'::double),"
            " ('a,\"b\"\n\\N', null, false, date '0001-01-01', 'inf'::double)"
            ") as t(brand_id, net_amount, is_member, joined_on, score)"
        )
    published.publish(database, tmp_path / "serving")
    manifest = publish(tmp_path / "serving", server.conninfo())
    address = sqlalchemy.URL.create(
        "postgresql+psycopg",
        "reader",
        server.password("reader"),
        "127.0.0.1",
        server.port,
        "quanyu",
    )
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as reader:
        rows = reader.execute(
            sqlalchemy.text("select * from marts.customers order by joined_on desc nulls last")
        ).fetchall()
        assert rows[0] == ("", Decimal("0.1000"), True, date(2026, 6, 30), 1e300)
        assert rows[1][:4] == ('a,"b"\n\\N', None, False, date(1, 1, 1))
        assert rows[2][:4] == (None, Decimal("12345678901234.5678"), None, None)
        assert rows[2][4] != rows[2][4]
        (day,) = reader.execute(sqlalchemy.text("select as_of_date from reference.as_of")).one()
        assert day == date(2026, 6, 30)
    names = sqlalchemy.inspect(engine)
    for schema in ("marts", "reference"):
        assert set(names.get_table_names(schema)) == {
            table["table"] for table in manifest["tables"] if table["schema"] == schema
        }
    assert "客户宽表" in names.get_table_comment("customers", "marts")["text"]
    with engine.connect() as reader, pytest.raises(sqlalchemy.exc.ProgrammingError, match="denied"):
        reader.execute(sqlalchemy.text("delete from marts.customers"))
    engine.dispose()


@needs_postgres
def test_readers_in_a_loop_see_whole_versions_and_a_long_query_is_not_waited_for(server, tmp_path):
    publish(version(tmp_path, "2026-06-01"), server.conninfo())
    stop, seen, errors = threading.Event(), set(), []

    def read():
        with psycopg.connect(server.conninfo("reader"), autocommit=True) as reader:
            while not stop.is_set():
                try:
                    rows = reader.execute(
                        "select distinct c.last_activity_on = a.as_of_date, a.as_of_date"
                        " from marts.customers as c cross join reference.as_of as a"
                    ).fetchall()
                except psycopg.Error as error:
                    errors.append(error)
                    continue
                assert len(rows) == 1 and rows[0][0] is True, rows
                seen.add(str(rows[0][1]))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    with psycopg.connect(server.conninfo("reader")) as patient:
        # An open transaction that has read a table holds it.
        patient.execute("select count(*) from marts.customers")
        for day in ("2026-06-02", "2026-06-03"):
            publish(version(tmp_path, day), server.conninfo())
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and "2026-06-03" in seen
    publish(version(tmp_path, "2026-06-04"), server.conninfo())
    with psycopg.connect(server.conninfo()) as owner:
        left = owner.execute("select nspname from pg_namespace where nspname ~ '_(old|next)'")
        assert left.fetchall() == []


@needs_postgres
def test_a_publication_that_fails_leaves_what_was_there(server, tmp_path, monkeypatch):
    folder = version(tmp_path, "2026-06-10")
    publish(folder, server.conninfo())
    version(tmp_path, "2026-06-11")
    with psycopg.connect(server.conninfo(), autocommit=True) as owner:
        owner.execute("create view public.mine as select * from marts.customers")
        with pytest.raises(PostgresError, match=r"public\.mine"):
            publish(folder, server.conninfo())
        owner.execute("drop view public.mine")
        monkeypatch.setattr("orchestration.postgres.type_of", lambda kind: "no_such_type")
        with pytest.raises(PostgresError, match="keeps what it had"):
            publish(folder, server.conninfo())
        found = owner.execute("select distinct last_activity_on from marts.customers").fetchall()
        assert found == [(date(2026, 6, 10),)]


def test_a_type_of_duckdb_has_its_counterpart_or_is_refused():
    assert type_of("VARCHAR") == "text" and type_of("DOUBLE") == "double precision"
    assert type_of("DECIMAL(18,4)") == "numeric(18, 4)"
    with pytest.raises(PostgresError, match="INTEGER\\[\\]"):
        type_of("INTEGER[]")


def test_without_a_published_version_or_a_server_it_is_said(tmp_path):
    with pytest.raises(PostgresError, match="nothing is published"):
        publish(tmp_path, "host=127.0.0.1")
    folder = version(tmp_path, "2026-06-01")
    with pytest.raises(PostgresError, match="PostgreSQL keeps what it had"):
        publish(folder, "host=127.0.0.1 port=9 connect_timeout=2")
