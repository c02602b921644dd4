"""dbt's unit tests as worlds: the rows they give in tables, the model, and the rows they expect."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import duckdb

from tests.mutation.worlds import Check, World

PROJECT = Path(__file__).parents[2]


def unit_worlds(manifest: Path, models: dict[str, str], say=print) -> Iterator[World]:
    """A world for each unit test of the models (compiled SQL by name) that overrides no variable or macro. That the model
    is built in full is no override: so it was compiled."""
    known = json.loads(manifest.read_text(encoding="utf-8"))
    by_name = {
        node["name"]: node
        for node in (*known["nodes"].values(), *known["sources"].values())
        if node["resource_type"] in ("model", "seed", "source")
    }
    for test in known["unit_tests"].values():
        if test["model"] not in models or _overrides(test):
            continue
        try:
            yield _world(test, models[test["model"]], by_name).ready()
        except (duckdb.Error, AssertionError) as error:
            say(f"unit test {test['name']} is left out: {str(error).splitlines()[0]}")


def _overrides(test: dict) -> bool:
    """Whether the model says something else in the test. `_settings` are no business of a full build."""
    told = test.get("overrides") or {}
    macros = {
        name: value
        for name, value in (told.get("macros") or {}).items()
        if not (name == "is_incremental" and value is False) and not name.endswith("_settings")
    }
    return bool(macros or told.get("vars") or told.get("env_vars"))


def _world(test: dict, sql: str, by_name: dict) -> World:
    connection = duckdb.connect()
    connection.execute("attach ':memory:' as warehouse; use warehouse")
    for given in test["given"]:
        node = by_name[re.findall(r"'(\w+)'", given["input"])[-1]]
        connection.execute(f"create schema if not exists {node['schema']}")
        _fill(connection, node, _rows(connection, given["rows"]))
    node = by_name[test["model"]]
    connection.execute(f"create schema if not exists {node['schema']}")
    relation = f"{node['schema']}.{node['name']}"
    world = World(f"unit test {test['name']}", connection, {test["model"]: (relation, sql)})
    expected = _rows(connection, test["expect"]["rows"])
    wrong = partial(_wrong, world, relation, expected)
    world.checks.append(Check(f"dbt unit test {test['name']}", {relation}, wrong))
    return world


def _rows(connection, rows: list[dict] | str | None) -> list[dict]:
    """Rows of a fixture, which may be a query."""
    if not isinstance(rows, str):
        return rows or []
    query = connection.execute(rows)
    names = [column[0] for column in query.description]
    return [dict(zip(names, row, strict=True)) for row in query.fetchall()]


def _fill(connection, node: dict, rows: list[dict]) -> None:
    """Every documented column, typed as documented, else as the values are."""
    types = {name: column.get("data_type") for name, column in node["columns"].items()}
    if node["resource_type"] == "seed":
        with (PROJECT / node["original_file_path"]).open(encoding="utf-8", newline="") as file:
            types = dict.fromkeys(next(csv.reader(file))) | {k: v for k, v in types.items() if v}
        types |= node["config"].get("column_types") or {}
    for row in rows:
        for name in row:
            types.setdefault(name, None)
    columns = ", ".join(
        f'"{name}" {kind or _type(name, [row.get(name) for row in rows])}'
        for name, kind in types.items()
    )
    table = f"{node['schema']}.{node['name']}"
    connection.execute(f"create table {table} ({columns})")
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        connection.execute(f"insert into {table} ({names}) values ({marks})", list(row.values()))


def _type(name: str, values: list) -> str:
    for ending, kind in {
        "amount": "decimal(18, 4)",
        "_date": "date",
        "_on": "date",
        "_at": "timestamp",
    }.items():
        if name.endswith(ending):
            return kind
    found = [v for v in values if v is not None]
    if not found and name in ("valid_from", "valid_to"):
        return "timestamp"
    if found and all(isinstance(v, bool) for v in found):
        return "boolean"
    if found and all(isinstance(v, int) for v in found):
        return "bigint"
    if found and all(isinstance(v, (int, float, Decimal)) for v in found):
        return "double"
    if found and all(re.fullmatch(r"\d{4}-\d\d-\d\d", str(v)) for v in found):
        return "date"
    if found and all(re.fullmatch(r"\d{4}-\d\d-\d\d[ T][\d:.]+", str(v)) for v in found):
        return "timestamp"
    return "varchar"


def _wrong(world: World, relation: str, expected: list[dict]) -> str:
    columns = list({name: None for row in expected for name in row})
    if not expected:
        return str(world.ask(f"select * from warehouse.{relation} limit 1") or "")
    ours = world.ask(f"select {', '.join(columns)} from warehouse.{relation}")
    found = sorted((tuple(map(_plain, row)) for row in ours), key=str)
    wanted = sorted((tuple(_plain(row.get(c)) for c in columns) for row in expected), key=str)
    return "" if found == wanted else f"{found[:3]} where {wanted[:3]} are expected"


def _plain(value):
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):  # as a fixture in CSV has them
        return value == "true"
    try:
        return round(float(value), 6)
    except (TypeError, ValueError):
        return str(value)
