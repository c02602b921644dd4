"""A dbt project of a few models that has the materializations and the generic tests of the real one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import duckdb
from compiled import PROJECT

from orchestration.warehouse import environment_with, warehouse_closed_after

MACROS = (
    "generate_schema_name",
    "refresh/refresh",
    "engine/unchanged",
    "engine/deleted_rows",
    "engine/parts",
    "tests/column_rules",
)


class LittleProject:
    """The project `files` (text by path), with its warehouse beside it."""

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        self.root = root
        for name, text in files.items():
            self.write(name, text)
        for name in MACROS:
            (root / "macros").mkdir(exist_ok=True)
            shutil.copy(PROJECT / "macros" / f"{name}.sql", root / "macros")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def sql(self, query: str) -> list[tuple]:
        with duckdb.connect(str(self.root / "warehouse.duckdb")) as warehouse:
            return warehouse.execute(query).fetchall()

    def dbt(self, *arguments: str, **environment: str):
        """What dbt's runner gives."""
        from dbt.cli.main import dbtRunner

        paths = {"QUANYU_WORKSPACE": str(self.root), "DBT_TARGET_PATH": str(self.root / "target")}
        with environment_with(paths | environment), warehouse_closed_after():
            return dbtRunner().invoke(
                [
                    *arguments,
                    *("--project-dir", str(self.root)),
                    *("--profiles-dir", str(PROJECT / "profiles")),
                    *("--log-path", str(self.root / "logs")),
                ]
            )
