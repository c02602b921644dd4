"""Are the tables of DuckDB and Spark the same? Every public table, row by row.

    python -m scripts.parity WORKSPACE [--write NAME] [--built TEXT]

WORKSPACE has the DuckDB warehouse; Spark's tables are asked for through the Thrift server (QUANYU_SPARK_PORT) and read as the
Parquet files they are. Rows are paired by the primary key of the contract. A table that DuckDB has not been asked for
(MODELS) is left out. Everything must be equal, floats within 1e-9
of their size. `--write` puts the result into docs/engines.md (and docs/parity.jsonl, which that table is made of), `--built`
says there how Spark's tables were made.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import click
import duckdb

from orchestration.spark import connect, keyed_tables, spark_relation
from orchestration.warehouse import MANIFEST, PROJECT

PAGE = PROJECT / "docs" / "engines.md"
RUNS = PROJECT / "docs" / "parity.jsonl"
# What says when a row was written and not what it says.
STAMPS = {"published_at", "restated_at", "_refresh", "_settings", "_rules"}
# Beside the tolerance of 1e-9: a difference of two equal shares may leave dust of a float instead of zero.
RELATIVE, DUST = 1e-9, 1e-12


@dataclass(frozen=True)
class Result:
    """Of one table: rows on either engine, rows that differ or that only one has, and in which columns."""

    table: str
    duckdb_rows: int
    spark_rows: int | None
    differing: int
    columns: Sequence[str] = ()
    largest: float = 0.0

    @property
    def is_same(self) -> bool:
        return self.spark_rows == self.duckdb_rows and self.differing == 0


def compare(
    connection: duckdb.DuckDBPyConnection, table: str, left: str, right: str, key: Sequence[str]
) -> Result:
    """Compare two relations of a DuckDB connection (SQL texts). `key` identifies a row; without one all exact columns do.

    Raises duckdb.Error when the right side lacks a column of the left one.
    """
    types = {
        name: str(kind)
        for name, kind, *_ in connection.execute(f"describe select * from {left}").fetchall()
        if name not in STAMPS
    }
    floats = [name for name, kind in types.items() if kind in ("DOUBLE", "FLOAT")]
    key = [name for name in key if name in types] or [n for n in types if n not in floats]
    counts = [
        connection.execute(f"select count(*) from {side}").fetchone()[0] for side in (left, right)
    ]
    # Rows of equal keys are numbered in the order of everything else, so that no pair is counted twice.
    rest = [f'"{name}"' for name in types if name not in key] or ["1"]
    keys = ", ".join(f'"{name}"' for name in key)
    for name, side in (("a", left), ("b", right)):
        selected = ", ".join(f'cast("{c}" as {kind}) as "{c}"' for c, kind in types.items())
        connection.execute(
            f"create or replace temp table {name} as select *, row_number() over (partition by {keys}"
            f" order by {', '.join(rest)}) as n__ from (select {selected} from {side})"
        )
    joined = " and ".join(
        [f'a."{c}" is not distinct from b."{c}"' for c in key] + ["a.n__ = b.n__"]
    )
    unequal = {}
    for name in types:
        if name in key:
            continue
        x, y = f'a."{name}"', f'b."{name}"'
        unequal[name] = f"({x} is distinct from {y})"
        if name in floats:
            unequal[name] = (
                f"({x} is distinct from {y} and not coalesce(isfinite({x}) and isfinite({y}) and abs({x} - {y}) <="
                f" greatest({RELATIVE} * greatest(abs({x}), abs({y})), {DUST}), false))"
            )
    lonely = "(a.n__ is null or b.n__ is null)"
    sums = [f"count(*) filter (where {' or '.join([lonely, *unequal.values()])})"]
    sums += [f"count(*) filter (where not {lonely} and {test})" for test in unequal.values()]
    sums += [
        f'max(abs(a."{c}" - b."{c}") / nullif(greatest(abs(a."{c}"), abs(b."{c}")), 0))'
        f' filter (where isfinite(a."{c}") and isfinite(b."{c}") and abs(a."{c}" - b."{c}") > {DUST})'
        for c in floats
        if c not in key
    ]
    found = connection.execute(
        f"select {', '.join(sums)} from a full join b on {joined}"
    ).fetchone()
    by_column = dict(zip(unequal, found[1 : 1 + len(unequal)], strict=True))
    largest = max((value or 0.0 for value in found[1 + len(unequal) :]), default=0.0)
    return Result(table, *counts, found[0], [c for c, n in by_column.items() if n], largest)


def summary(results: Sequence[Result], built: str = "") -> str:
    """One sentence on all of them."""
    same, filled, rows, largest = figures(results)
    text = (
        f"{same} of {len(results)} tables are the same ({filled} of them hold rows, {rows:,} in all);"
        f" largest relative difference of a float {largest}."
    )
    return f"{text} Spark: {built}." if built else text


def page_of(runs: Mapping[str, tuple[str, Sequence[Result]]]) -> str:
    """Every run, how Spark's tables were built and what came out, as Markdown: a row per run, and the rows of every public
    table folded away under it.
    """
    lines = [
        "| landing | tables the same | with rows | rows | largest difference of a float | on Spark |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, (built, results) in runs.items():
        same, filled, rows, largest = figures(results)
        lines.append(
            f"| {name} | {same} of {len(results)} | {filled} | {rows:,} | {largest} | {built} |"
        )
    lines += [
        "\n<details><summary>Rows of every table</summary>\n",
        f"| table | {' | '.join(runs)} |",
        f"| --- |{' ---: |' * len(runs)}",
    ]
    by_run = [{result.table: result for result in results} for _, results in runs.values()]
    for table in sorted({table for run in by_run for table in run}):
        cells = [told(run[table]) if table in run else "" for run in by_run]
        lines.append(f"| {table} | {' | '.join(cells)} |")
    return "\n".join([*lines, "\n</details>"]) + "\n"


def figures(results: Sequence[Result]) -> tuple[int, int, int, str]:
    """Tables that are the same, those with rows, rows on DuckDB, and the largest relative difference of a float."""
    largest = max((result.largest for result in results), default=0.0)
    return (
        sum(result.is_same for result in results),
        sum(result.duckdb_rows > 0 for result in results),
        sum(result.duckdb_rows for result in results),
        f"{largest:.1e}" if largest else "0",
    )


def told(result: Result) -> str:
    """Rows of a table that is the same; what is wrong with one that is not."""
    if result.is_same:
        return f"{result.duckdb_rows:,}"
    if result.spark_rows is None:
        return f"**{result.duckdb_rows:,}; not built**"
    columns = f" in {', '.join(result.columns)}" if result.columns else ""
    return f"**{result.duckdb_rows:,} against {result.spark_rows:,}, {result.differing:,} differ{columns}**"


def written(page: str, table: str) -> str:
    """The page with the table between its markers. Raises ValueError when they are missing."""
    begin, end = "<!-- parity -->", "<!-- /parity -->"
    before, has_begin, rest = page.partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ValueError(f"{PAGE.name} has no `{begin}` with `{end}` after it")
    return f"{before}{begin}\n{table}{end}{after}"


def keep(name: str, built: str, results: Sequence[Result]) -> None:
    """Put a run in place of the one of its name, and all of them into the page."""
    runs = {}
    for line in RUNS.read_text().splitlines() if RUNS.exists() else []:
        run = json.loads(line)
        runs[run["landing"]] = (run["built"], [Result(*table) for table in run["tables"]])
    runs[name] = (built, results)
    runs = dict(sorted(runs.items()))
    page = written(PAGE.read_text(), page_of(runs))
    lines = [
        json.dumps({"landing": name, "built": built, "tables": [astuple(r) for r in results]})
        for name, (built, results) in runs.items()
    ]
    RUNS.write_text("".join(f"{line}\n" for line in lines))
    PAGE.write_text(page)


@click.command()
@click.argument("workspace", type=click.Path(path_type=Path))
@click.option("--write", "name", help="Put the table into docs/engines.md under this name.")
@click.option("--built", default="", help="How Spark's tables were made, for that page.")
def main(workspace: Path, name: str | None, built: str) -> None:
    """Compare the public tables of WORKSPACE with those of Spark."""
    tables = keyed_tables(json.loads(MANIFEST.read_text()))
    results = []
    with connect() as spark:
        cursor = spark.cursor()
        with duckdb.connect() as connection:
            connection.execute(f"attach '{workspace}/warehouse.duckdb' as warehouse (read_only)")
            there = connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_catalog = 'warehouse'"
            ).fetchall()
            for table, key in tables.items():
                if (table,) not in there:
                    continue
                left = f"warehouse.{table}"
                right = spark_relation(cursor, table)
                if right is None:
                    rows = connection.execute(f"select count(*) from {left}").fetchone()[0]
                    results.append(Result(table, rows, None, 0))
                else:
                    results.append(compare(connection, table, left, right, key))
                if not results[-1].is_same:
                    click.echo(f"differs: {results[-1]}", err=True)
    click.echo(summary(results, built))
    if name:
        keep(name, built, results)
    sys.exit(0 if all(result.is_same for result in results) else 1)


if __name__ == "__main__":
    main()
