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
from tests.mutation.seeds import SeedMutant
from tests.mutation.worlds import Check, World, relations
from tests.oracle import facts, histories, stages
from tests.oracle.compare import comparisons
from tests.oracle.warehouse import PROJECT, Warehouse
from tests.parsed import manifest_of

HISTORIES = 16
BELOW_STAGES = [
    "fct_orders", "fct_order_lines", "fct_refunds", "fct_touchpoints", "fct_membership_spells",
    "fct_relationship_spells", "int_stages__origins", "customer_day", "int_stages__stays", "int_stages__spells",
    "fct_stage_spells",
    "fct_stage_transitions", "path:models/marts/fast", "int_stages__calendar", "int_stages__daily",
]  # fmt: skip
# Seeds whose rows the slow reading has by heart.
SEEDS = {"stage_rules", "stages", "stage_behaviours", "channels"}


def stage_world(workspace: Path) -> World:
    """Random histories against the slow reading of their landing files."""
    landing = workspace / "landing"
    warehouse = Warehouse(workspace)
    if not warehouse.database.exists():
        histories.make(HISTORIES, seed=1).write(landing)
        warehouse.admit(landing)
        warehouse.run_all([f"+{model}" for model in BELOW_STAGES])
    with duckdb.connect(str(warehouse.database)) as kept:
        kept.execute("delete from reference.stage_models where version = 99")
    world = world_of(warehouse.workspace, "random histories", BELOW_STAGES)
    # A further version of a rule set: the models are those of both together.
    world.connection.execute(
        "insert into reference.stage_models by name select 99 as version, m.* exclude (version)"
        " from reference.stage_models as m where not exists (from reference.stage_models where version = 99)"
    )
    world.seeds = SEEDS
    world.recompiled = Rules(workspace / "rules", world)
    as_of = histories.AS_OF.date()
    answers = slow_reading(landing, as_of)
    map_ = {"identity.int_identity__customer_map"}
    read = {"lifecycle.fct_stage_spells": map_, "marts.customer_stages": map_}
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


class Rules:
    """The models into which dbt writes rows of seeds, compiled from a changed seed: a mutant's statements to their SQL."""

    def __init__(self, workspace: Path, world: World) -> None:
        self.workspace, self.world = workspace, world
        self.database = workspace / "warehouse.duckdb"
        dbt_compiled.dbt(workspace, "seed")
        refreshes = world.connection.execute("from audit.refreshes").to_arrow_table()
        with duckdb.connect(str(self.database)) as seeds:
            # Every row says in which refresh it was written.
            seeds.register("of_world", refreshes)
            seeds.execute("create schema if not exists audit; create schema if not exists kept")
            seeds.execute("create or replace table audit.refreshes as from of_world")
            for seed in SEEDS:
                seeds.execute(f"create or replace table kept.{seed} as from reference.{seed}")
        self.readers = {
            seed: [
                node.name
                for node in manifest_of([]).nodes.values()
                if node.name in world.models and f"seed.quanyu.{seed}" in node.depends_on.nodes
            ]
            for seed in SEEDS
        }
        for seed in SEEDS:
            for model, sql in self._compiled(seed).items():
                assert sql == world.models[model][1], f"{model} is compiled otherwise"

    def __call__(self, mutant: SeedMutant) -> dict[str, str]:
        with duckdb.connect(str(self.database)) as seeds:
            for statement in mutant.statements:
                seeds.execute(statement)
        try:
            found = self._compiled(mutant.seed)
        finally:
            with duckdb.connect(str(self.database)) as seeds:
                table = f"reference.{mutant.seed}"
                seeds.execute(f"delete from {table}; insert into {table} from kept.{mutant.seed}")
        return {model: sql for model, sql in found.items() if sql != self.world.models[model][1]}

    def _compiled(self, seed: str) -> dict[str, str]:
        with contextlib.redirect_stdout(io.StringIO()):
            chosen = ("compile", "--full-refresh", "--select", *self.readers[seed])
            result = dbt_compiled.dbt(self.workspace, *chosen, "--indirect-selection", "empty")
        return {r.node.name: r.node.compiled_code for r in result.result}


def world_of(workspace: Path, name: str, select: list[str]) -> World:
    """The models of a warehouse as from scratch, with their data tests and contracts; every view is a table in it."""
    with contextlib.redirect_stdout(io.StringIO()):
        chosen = ("compile", "--write-json", "--full-refresh", "--select", *select, *sorted(SEEDS))
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
