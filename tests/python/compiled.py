"""Runs the compiled SQL of chosen models on tables that a test makes up, in an in-memory DuckDB: the real models on
any input, without landing files. One dbt compile (a second) serves any number of populations."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import duckdb
from support import PROJECT, built_once, real_landing

from orchestration.warehouse import environment_with, warehouse_closed_after
from tests.oracle.warehouse import Warehouse as LandedWarehouse
from tests.parsed import dbt_runner


def dbt(workspace: Path, *arguments: str, as_of_date: str = ""):
    """dbt in this process on the warehouse of a workspace; fails the test with dbt's own words."""
    workspace.mkdir(parents=True, exist_ok=True)
    with (
        environment_with(
            {
                "QUANYU_WORKSPACE": str(workspace),
                "QUANYU_DATABASE": str(workspace / "warehouse.duckdb"),
                "QUANYU_LAKE": str(workspace / "lake"),
                "QUANYU_AS_OF_DATE": as_of_date,
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            }
        ),
        warehouse_closed_after(),
    ):
        result = dbt_runner().invoke(
            [
                *(arguments[0], "--quiet", *arguments[1:]),
                *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT / "profiles")),
                *(
                    "--log-path",
                    str(workspace / "logs"),
                    "--target-path",
                    str(workspace / "target"),
                ),
            ]
        )
    failed = [
        f"{r.node.name}: {r.message}"
        for r in getattr(result.result, "results", [])
        if str(r.status) in ("error", "fail")
    ]
    assert result.success, failed or result.exception
    return result


def compiled(workspace: Path, models: list[str], variables: str = "{}") -> dict[str, str]:
    """Compiled SQL of the models, in the order given."""
    result = dbt(workspace, "compile", "--select", *models, "--vars", variables)
    code = {r.node.name: r.node.compiled_code for r in result.result}
    return {name: code[name] for name in models}


@functools.cache
def clv_fits():
    """The Python model int_clv__fits as a module: its functions need no dbt."""
    path = PROJECT / "models" / "marts" / "value" / "int_clv__fits.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Warehouse:
    """An in-memory stand-in for the warehouse file, with the schemas of the project."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("attach ':memory:' as warehouse; use warehouse")
        for schema in ("staging", "identity", "lifecycle", "reference", "audit", "marts"):
            self.connection.execute(f"create schema {schema}")

    def table(self, name: str, query: str) -> None:
        self.connection.execute(f"create or replace table warehouse.{name} as {query}")

    def seed(self, name: str, types: str = "") -> None:
        file = PROJECT / "seeds" / f"{name}.csv"
        self.table(f"reference.{name}", f"select * from read_csv('{file}'{types})")

    def rows(self, query: str) -> list[tuple]:
        return self.connection.execute(query).fetchall()


_REAL: dict[tuple[str, str], Warehouse] = {}


def real(tmp_path_factory, landing: str, as_of_date: str = "") -> Warehouse:
    """The warehouse of a real landing with RFM and value built, once per test run; skips where it is not at hand."""
    source = real_landing(landing)

    def build(workspace: Path) -> None:
        landed = LandedWarehouse(workspace)
        landed.admit(source)
        with environment_with({"QUANYU_AS_OF_DATE": as_of_date}):
            landed.run_all(["+marts.rfm", "+marts.value"])

    if (landing, as_of_date) not in _REAL:
        workspace = built_once(tmp_path_factory, f"{landing}{as_of_date}", build)
        warehouse = Warehouse.__new__(Warehouse)
        warehouse.connection = duckdb.connect(str(workspace / "warehouse.duckdb"))
        _REAL[landing, as_of_date] = warehouse
    return _REAL[landing, as_of_date]
