"""Writes the answers into docs/questions.md: runs every SQL block of the page on a database and puts the rows below it.

python -m scripts.answer_questions [var/demo/serving/current/quanyu.duckdb]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import duckdb

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
BLOCK = re.compile(r"```sql\n(.*?)```\n(?:\n\|.*?\n(?=\n|\Z))?", re.DOTALL)


def queries(text: str) -> list[tuple[str, str]]:
    """Heading and SQL of every block of the page, in order."""
    found, heading = [], ""
    for part in re.finditer(r"^## ([^\n]*)$|```sql\n(.*?)```", text, re.DOTALL | re.MULTILINE):
        if part[1]:
            heading = part[1]
        else:
            found.append((heading, part[2]))
    return found


def cell(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def table(names: list[str], rows: list[tuple]) -> str:
    """Rows as a Markdown table; numbers to the right."""
    numeric = [
        any(isinstance(row[i], int | float) or hasattr(row[i], "quantize") for row in rows)
        for i in range(len(names))
    ]
    lines = [names, ["---:" if right else "---" for right in numeric]]
    lines += [[cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def answered(text: str, connection: duckdb.DuckDBPyConnection) -> str:
    """The page with the answers of this database."""

    def answer(match: re.Match) -> str:
        result = connection.execute(match[1])
        names = [column[0] for column in result.description]
        return f"```sql\n{match[1]}```\n\n{table(names, result.fetchall())}"

    return BLOCK.sub(answer, text)


if __name__ == "__main__":
    database = sys.argv[1] if len(sys.argv) > 1 else "var/demo/serving/current/quanyu.duckdb"
    with duckdb.connect(database, read_only=True) as warehouse:
        PAGE.write_text(answered(PAGE.read_text(), warehouse))
