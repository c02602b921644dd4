"""The daily health report: one self-contained page per brand and day, and the same content as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from orchestration.report.content import Content, as_of, brands, read
from orchestration.report.pages import file_name, render, render_index

__all__ = ["brands", "read", "render", "write_reports"]

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
    target = folder / day.isoformat()
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
