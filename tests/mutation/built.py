"""The world that dbt builds from landing files: the random histories of the stage tests."""

from __future__ import annotations

import contextlib
import csv
import io
from datetime import date
from functools import partial
from pathlib import Path

import duckdb

from tests.mutation.made_up import dbt_compiled
from tests.mutation.worlds import Check, World, relations
from tests.oracle import facts, histories, stages
from tests.oracle.compare import comparisons
from tests.oracle.warehouse import PROJECT, Warehouse

HISTORIES = 8
BELOW_STAGES = [
    "fct_orders", "fct_order_lines", "fct_refunds", "fct_touchpoints", "fct_membership_spells",
    "fct_relationship_spells", "int_stages__origins", "customer_day", "int_stages__stays", "int_stages__spells",
    "fct_stage_spells",
    "fct_stage_transitions", "path:models/marts/fast", "int_stages__calendar", "int_stages__daily",
]  # fmt: skip


def stage_world(workspace: Path) -> World:
    """Random histories against the slow reading of their landing files."""
    landing = workspace / "landing"
    warehouse = Warehouse(workspace)
    if not warehouse.database.exists():
        histories.make(HISTORIES, seed=1).write(landing)
        warehouse.admit(landing)
        warehouse.run_all([f"+{model}" for model in BELOW_STAGES])
    world = world_of(warehouse.workspace, "random histories", BELOW_STAGES)
    as_of = histories.AS_OF.date()
    answers = slow_reading(landing, as_of)
    read = {"lifecycle.fct_stage_spells": {"identity.int_identity__customer_map"}}
    for table, wrong in comparisons(answers, as_of).items():
        world.checks.append(
            Check(
                f"{table} by hand (tests/oracle/stages.py)",
                {table} | read.get(table, set()),
                partial(wrong, world.connection),
            )
        )
    for table, wrong in facts.comparisons(facts.Landing(landing, as_of)).items():
        name = f"{table} by hand (tests/oracle/facts.py)"
        world.checks.append(Check(name, {table}, partial(wrong, world.connection)))
    return world.ready()


def slow_reading(landing: Path, as_of: date) -> stages.Answers:
    with (PROJECT / "seeds" / "promotion_calendar.csv").open(
        encoding="utf-8", newline=""
    ) as handle:
        return stages.answer(
            stages.read_landing(landing, as_of), as_of, list(csv.DictReader(handle))
        )


def world_of(workspace: Path, name: str, select: list[str]) -> World:
    """The models of a warehouse as from scratch, with their data tests and contracts; every view is a table in it."""
    with contextlib.redirect_stdout(io.StringIO()):
        chosen = ("compile", "--full-refresh", "--select", *select)
        result = dbt_compiled.dbt(workspace, *chosen, "--indirect-selection", "eager")
    nodes = [r.node for r in result.result]
    models = {
        n.name: (f"{n.schema}.{n.name}", n.compiled_code)
        for n in nodes
        if n.resource_type == "model" and n.language == "sql"
    }
    connection = duckdb.connect(str(workspace / "warehouse.duckdb"))
    kinds = dict(
        connection.execute(
            "select table_schema || '.' || table_name, table_type from information_schema.tables"
        ).fetchall()
    )
    models = {model: found for model, found in models.items() if found[0] in kinds}
    for relation, _ in models.values():
        if kinds[relation] == "VIEW":
            table = relation.split(".")[1]
            connection.execute(f"create table {relation}__kept as select * from {relation}")
            connection.execute(
                f"drop view {relation}; alter table {relation}__kept rename to {table}"
            )
    world = World(name, connection, in_order(models)).built()
    world.add_dbt_checks(nodes)
    return world


def in_order(models: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """What is read before what reads it."""
    names = {relation: model for model, (relation, _) in models.items()}
    done: dict[str, tuple[str, str]] = {}

    def visit(model: str) -> None:
        if model not in done:
            for relation in sorted(relations(models[model][1]) & names.keys()):
                if names[relation] != model:
                    visit(names[relation])
            done[model] = models[model]

    for model in models:
        visit(model)
    return done
