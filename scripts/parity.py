"""Are the tables of DuckDB and Spark the same? Every public table, row by row.

    python -m scripts.parity WORKSPACE [--write NAME] [--built TEXT]

WORKSPACE has the DuckDB warehouse; Spark's tables are asked for through the Thrift server (QUANYU_SPARK_PORT) and read as the
Parquet files they are. Rows are paired by the primary key of the contract. Everything must be equal, floats within 1e-9
of their size. `--write` puts the result into docs/engines.md, `--built` says there how Spark's tables were made.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import duckdb

from orchestration.spark import connect, keyed_tables, spark_relation
from orchestration.warehouse import MANIFEST, PROJECT

PAGE = PROJECT / "docs" / "engines.md"
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
    same = sum(result.is_same for result in results)
    filled = sum(result.duckdb_rows > 0 for result in results)
    largest = max((result.largest for result in results), default=0.0)
    text = (
        f"{same} of {len(results)} tables are the same ({filled} of them hold rows,"
        f" {sum(result.duckdb_rows for result in results):,} in all); largest relative difference of a float"
        f" {f'{largest:.1e}' if largest else '0'}."
    )
    return f"{text} Spark: {built}." if built else text


def markdown(results: Sequence[Result], built: str = "") -> str:
    """The results as Markdown: the sentence, and the table folded away under it."""
    lines = [
        f"{summary(results, built)}\n\n<details><summary>Table by table</summary>\n",
        "| table | rows on DuckDB | rows on Spark | rows that differ | largest relative difference of a float |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        spark = "not built" if r.spark_rows is None else f"{r.spark_rows:,}"
        differing = "" if r.spark_rows is None else f"{r.differing:,}"
        columns = f" ({', '.join(r.columns)})" if r.columns else ""
        largest = f"{r.largest:.1e}" if r.largest else "0"
        lines.append(
            f"| {r.table} | {r.duckdb_rows:,} | {spark} | {differing}{columns} | {largest} |"
        )
    return "\n".join([*lines, "\n</details>"]) + "\n"


def written(page: str, name: str, table: str) -> str:
    """The page with the table between its markers. Raises ValueError when they are missing."""
    begin, end = f"<!-- parity {name} -->", f"<!-- /parity {name} -->"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"{PAGE.name} has no `{begin}`")
    return found.sub(lambda _: f"{begin}\n{table}{end}", page)


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
            for table, key in tables.items():
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
        try:
            PAGE.write_text(written(PAGE.read_text(), name, markdown(results, built)))
        except ValueError as error:
            click.echo(f"{error}; the table:\n{markdown(results, built)}")
    sys.exit(0 if all(result.is_same for result in results) else 1)


if __name__ == "__main__":
    main()
