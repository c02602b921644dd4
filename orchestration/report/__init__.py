"""The daily health report: one self-contained page per brand and day, and the same content as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from orchestration.hold import Hold
from orchestration.intake.parquet import literal
from orchestration.report.content import Content, as_of, brands, read
from orchestration.report.pages import file_name, render, render_index

__all__ = ["brands", "read", "render", "write_held_reports", "write_reports"]

DAYS_LISTED = 60


def write_reports(database: Path, folder: Path, language: str = "zh") -> list[Path]:
    """Write `folder`/<day>/<brand>.html and .json for every brand of a warehouse, and `folder`/index.html.

    The warehouse is opened read-only and its as-of date is the day; reports of other days stay. Returns the index and
    the pages. Raises duckdb.Error when the warehouse cannot be read, ValueError when it was never built or the
    language is unknown.
    """
    with duckdb.connect(str(database), read_only=True) as connection:
        day = as_of(connection)
        contents = [read(connection, brand, language) for brand in brands(connection)]
    if day is None:
        raise ValueError(f"{database} has no as-of date: build it first (make run)")
    return _write(contents, folder, day.isoformat(), language)


def write_held_reports(
    hold: Hold, published: Path | None, warehouse: Path, folder: Path, language: str = "zh"
) -> list[Path]:
    """Write `folder`/<day that is kept back>/… with the figures that readers still see, and why they are not newer.

    `published` is the database that readers see, None before the first publication: then there is nothing to show but
    the index, as for a past day that somebody chose. `warehouse` gives the data quality, when it can be read. Returns
    the index and the pages.
    """
    contents = []
    if published is not None:
        with _published(published, warehouse) as connection:
            shown = as_of(connection)
            if shown is not None and shown.isoformat() <= hold.day:
                contents = [read(connection, brand, language, hold) for brand in brands(connection)]
    if not contents:
        return [_replace(folder / "index.html", render_index(_days(folder), language))]
    return _write(contents, folder, hold.day, language)


@contextmanager
def _published(published: Path, warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Marts and reference as published, and the audit of a warehouse that may be broken or in use."""
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(published))} as published (read_only)")
        found = {"marts": "published", "reference": "published"}
        try:
            # The audit views name their catalog, which is the warehouse file's.
            name = warehouse.stem
            connection.execute(f'attach {literal(str(warehouse))} as "{name}" (read_only)')
            found["audit"] = name
        except duckdb.Error:
            pass
        tables = connection.execute(
            "select table_catalog, table_schema, table_name from information_schema.tables"
        ).fetchall()
        for schema, catalog in found.items():
            connection.execute(f"create schema {schema}")
            for at, within, table in tables:
                if (at, within) == (catalog, schema):
                    connection.execute(
                        f'create view {schema}."{table}" as from "{catalog}".{schema}."{table}"'
                    )
        yield connection


def _write(contents: list[Content], folder: Path, day: str, language: str) -> list[Path]:
    target = folder / day
    pages, written = [], set()
    for content in contents:
        name = file_name(content["brand"])
        text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
        written.add(_replace(target / f"{name}.json", f"{text}\n"))
        pages.append(_replace(target / f"{name}.html", render(content)))
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():  # brands that an earlier build of this day had
        if path.suffix in {".html", ".json"} and path not in written | set(pages):
            path.unlink()
    index = _replace(folder / "index.html", render_index(_days(folder), language))
    return [index, *pages]


def _days(folder: Path) -> list[tuple[str, list[Content]]]:
    """The newest days in the folder with what their reports say."""
    days = sorted((path for path in folder.glob("????-??-??") if path.is_dir()), reverse=True)
    return [
        (day.name, [json.loads(path.read_text("utf-8")) for path in sorted(day.glob("*.json"))])
        for day in days[:DAYS_LISTED]
    ]


def _replace(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return path
