"""The primary key of a mart's contract is checked by a query before the table is committed (macros/engine/primary_key.sql)."""

from __future__ import annotations

import shutil

import duckdb
import pytest
from compiled import dbt


def test_a_mart_with_two_rows_of_one_key_stops_the_build_and_the_old_table_stays(
    warehouse, tmp_path
):
    shutil.copy(warehouse / "warehouse.duckdb", tmp_path)
    database = str(tmp_path / "warehouse.duckdb")
    with duckdb.connect(database) as connection:
        before = connection.execute("from marts.clv_parameters order by all").fetchall()
        connection.execute("insert into lifecycle.int_clv__fits from lifecycle.int_clv__fits")
    assert before
    with pytest.raises(AssertionError, match="clv_parameters has 2 rows with the primary key"):
        dbt(tmp_path, "run", "-s", "clv_parameters")
    with duckdb.connect(database) as connection:
        assert connection.execute("from marts.clv_parameters order by all").fetchall() == before


def test_the_columns_of_a_key_are_never_null(warehouse):
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        nullable = connection.execute(
            "select column_name from information_schema.columns where table_name = 'clv_parameters'"
            " and column_name in ('brand_id', 'model_name', 'parameter') and is_nullable = 'YES'"
        ).fetchall()
    assert nullable == []
