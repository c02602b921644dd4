"""Candidate rows of one entity in, one row of counts per batch out: one scan, bounded memory."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd

from orchestration.gate import GateError


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def profile(
    candidates: Path | Sequence[Path],
    sql: str,
    seeds_dir: Path,
    *,
    database: str = "quanyu",
    memory_limit: str = "2GB",
    threads: int | None = None,
    temp_dir: Path | None = None,
) -> pd.DataFrame:
    """Run the project's compiled profile SQL over the candidate Parquet files of one entity.

    `sql` reads the relation "__candidate__" and, for vocabularies, the seeds as `reference.<seed>`
    or `"<database>"."reference"."<seed>"`; every CSV under `seeds_dir` is one. `memory_limit` is
    DuckDB's own notation; what does not fit spills to `temp_dir`. Returns the rows of the SQL
    (DuckDB hands decimals and huge integers over as floats). Raises GateError, which names the
    files, when DuckDB cannot read them or run the SQL.
    """
    paths = [candidates] if isinstance(candidates, str | Path) else list(candidates)
    config = {"memory_limit": memory_limit, "preserve_insertion_order": "false"}
    if threads:
        config["threads"] = str(threads)
    if temp_dir:
        config["temp_directory"] = str(temp_dir)
    with duckdb.connect(":memory:", config=config) as connection:
        try:
            if database != "memory":  # the name that DuckDB gives an unnamed in-memory database
                connection.execute(f"attach ':memory:' as {_identifier(database)}")
                connection.execute(f"use {_identifier(database)}")
            connection.execute("create schema reference")
            for seed in sorted(Path(seeds_dir).rglob("*.csv")):
                connection.execute(
                    f"create table reference.{_identifier(seed.stem)} as select * from "
                    f"read_csv({_literal(seed)}, header = true, sample_size = -1)"
                )
            files = ", ".join(_literal(path) for path in paths)
            connection.execute(
                f'create view "__candidate__" as select * from read_parquet([{files}])'
            )
            return connection.execute(sql).df()
        except duckdb.Error as error:
            names = ", ".join(str(path) for path in paths[:3])
            raise GateError(f"cannot profile the candidate rows in {names}: {error}") from error
