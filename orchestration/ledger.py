"""The ledger of published figures outlives the warehouse file: after every green build a copy goes into the lake, and a
warehouse that is built anew, because the file was damaged or lost, starts from it.

Everything else in the warehouse is a function of the lake, the seeds and the vars; what was published when is not.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.intake.parquet import literal
from orchestration.intake.registry import sync

LEDGER, REFRESHES = "audit.published_figures", "audit.refreshes"
FILE = "published_figures.parquet"


def keep(database: Path, workspace: Path) -> None:
    """Copy the ledger into the lake, in one step; nothing when there is none yet. Raises duckdb.Error and OSError."""
    target = workspace / "lake" / FILE
    draft = target.with_name(f".{FILE}")
    with duckdb.connect(str(database), read_only=True) as warehouse:
        if not _exists(warehouse, LEDGER):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # The refresh is that of the whole warehouse, in every row: the next one must come after it.
        warehouse.execute(
            f"copy (select *, (select max(refresh_number) from {REFRESHES}) as _last_refresh from {LEDGER}"
            f" order by brand_id, as_of_date, metric, version) to {literal(str(draft))} (format parquet)"
        )
    sync(draft)
    draft.replace(target)
    sync(target.parent)


def restore(database: Path, workspace: Path) -> int:
    """Give a warehouse that has no ledger the copy of the lake, before it is built; the rows restored.

    Raises duckdb.Error.
    """
    copy = workspace / "lake" / FILE
    if not copy.exists():
        return 0
    database.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(database)) as warehouse:
        if _exists(warehouse, LEDGER):
            return 0
        source = f"read_parquet({literal(str(copy))})"
        warehouse.execute("begin")
        warehouse.execute("create schema if not exists audit")
        warehouse.execute(f"create table if not exists {REFRESHES} (refresh_number bigint)")
        warehouse.execute(
            f"insert into {REFRESHES} select max(_last_refresh) from {source} having count(*) > 0"
        )
        warehouse.execute(
            f"create table {LEDGER} as select * exclude (_last_refresh) from {source}"
        )
        (rows,) = warehouse.execute(f"select count(*) from {LEDGER}").fetchone()
        warehouse.execute("commit")
    return rows


def _exists(warehouse: duckdb.DuckDBPyConnection, table: str) -> bool:
    schema, _, name = table.partition(".")
    return bool(
        warehouse.execute(
            "select 1 from duckdb_tables() where schema_name = ? and table_name = ?", [schema, name]
        ).fetchone()
    )
