"""The worlds on made-up facts that the tests of tests/python use, with the second implementations that they ask.

What is compared with what stands in those tests; here it is only put into the shape in which one model can be changed:
answers are computed once from the facts, and a table is compared again when a mutant changes it.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "python"))

import compiled as dbt_compiled  # noqa: E402
import test_audience_rules  # noqa: E402
import test_clv  # noqa: E402
import test_fast_marts  # noqa: E402
import test_growth  # noqa: E402
import test_rfm  # noqa: E402
import test_shared_devices  # noqa: E402
import test_star  # noqa: E402
import test_value  # noqa: E402
import value_world  # noqa: E402
from star_world import hundred_brands  # noqa: E402

from tests.mutation import units  # noqa: E402
from tests.mutation.worlds import Check, FunctionWorld, World, relations  # noqa: E402
from tests.oracle import campaigns, growth, scenarios, star, value  # noqa: E402


def nodes(workspace: Path, models: list[str], variables: str = "{}") -> list:
    """The models and the data tests whose tables are all among them, compiled."""
    chosen = ("compile", "--write-json", "--select", *models, "--indirect-selection", "cautious")
    with contextlib.redirect_stdout(io.StringIO()):  # dbt shows what it compiles
        return [r.node for r in dbt_compiled.dbt(workspace, *chosen, "--vars", variables).result]


def code(found: list, models: list[str]) -> dict[str, str]:
    by_name = {node.name: node.compiled_code for node in found}
    return {name: by_name[name] for name in models}


def placed(models: dict[str, str], schema) -> dict[str, tuple[str, str]]:
    return {name: (f"{schema(name)}.{name}", sql) for name, sql in models.items()}


def growth_world(workspace: Path, brands: int = 100) -> World:
    found = nodes(workspace, test_growth.VALUE + test_growth.GROWTH)
    models = code(found, test_growth.VALUE + test_growth.GROWTH)
    connection = test_growth.random_brands(models, brands).connection
    world = World("random brands", connection, placed(models, test_growth.schema))
    world.judged = set(test_growth.GROWTH)
    world.seeds = {"growth_event_roles"}
    with facts_of(world) as facts:
        wanted = growth.answers(
            [
                (growth.read(world.recorder, f"b{n:02}"), test_growth.days_compared(n))
                for n in range(brands)
            ]
        )
    for table, rows in wanted.items():
        world.checks.append(
            Check(
                f"{table} by hand (tests/oracle/growth.py)",
                {f"marts.{table}"},
                partial(growth.table_differences, connection, table, rows),
                facts,
            )
        )
    roles = "reference.growth_event_roles"
    wrong = partial(growth.wrong_roles, connection, roles)
    world.checks.append(Check("roles by hand (tests/oracle/growth.py)", {roles}, wrong))
    for law, sql in test_growth.IDENTITIES.items():
        world.checks.append(Check(f"identity: {law}", relations(sql), partial(world.ask, sql)))
    world.add_dbt_checks(found)
    return world.ready()


def star_worlds(workspace: Path, pairs: int = 40) -> Iterator[World]:
    dbt_compiled.dbt(workspace, "seed", "--select", *test_star.STAGE_SEEDS)
    found = nodes(
        workspace, test_star.MODELS, f"{{product_repurchase_days: {test_star.AGAIN_DAYS}}}"
    )
    models = code(found, test_star.MODELS)
    lower = ("int_", "fct_", "customer_day")
    schema = lambda name: "lifecycle" if name.startswith(lower) else "marts"  # noqa: E731
    world = World("random brands", hundred_brands(pairs).connection, placed(models, schema)).built()
    world.seeds = {"star_goals", "star_age_bands"}
    with facts_of(world) as facts:
        known = star.read_facts(world.recorder.ask)
        counted = star.answers(known)
        others = campaigns.answers(world.recorder.ask) | scenarios.answers(
            known, world.recorder.ask, test_star.AGAIN_DAYS, counted
        )
    answers = (
        counted
        | others
        | {
            "attribution": star.attribution(known),
            "product_performance": star.products(known, test_star.AGAIN_DAYS),
        }
    )
    keys = (
        star.KEYS
        | campaigns.KEYS
        | scenarios.KEYS
        | {
            "attribution": test_star.CREDIT,
            "product_performance": ["brand_id", "month", "product_id"],
        }
    )
    for table, expected in answers.items():
        compare = partial(star.differences, table, keys[table], expected, world.ask)
        name = f"{table} by hand (tests/oracle/star.py)"
        world.checks.append(Check(name, {f"marts.{table}"}, compare, facts))
    part = test_star.PART_OF_A_WHOLE
    name = "a part is no more than its whole (tests/python/test_star.py)"
    world.checks.append(Check(name, relations(part), partial(world.ask, part)))
    world.add_dbt_checks(found)
    yield world.ready()


def rfm_worlds(workspace: Path, populations: int = 12) -> Iterator[World]:
    for scheme in ("fixed", "quintile", "custom"):
        variables = f"{{rfm_scheme: {scheme}, rfm_history_months: 4}}"
        found = nodes(workspace, test_rfm.MODELS, variables)
        models = code(found, test_rfm.MODELS)
        orders, refunds = test_rfm.populations(populations)
        warehouse = test_rfm.landed(orders, refunds)
        test_rfm.run(warehouse, models)
        schema = lambda name: test_rfm.SCHEMA.get(name, "marts")  # noqa: E731
        world = World(f"populations, {scheme}", warehouse.connection, placed(models, schema))
        world.seeds = {"rfm_breakpoints", "rfm_classes"}
        expected = test_rfm.tables_expected(test_rfm.expected(orders, refunds, scheme))
        for table, answer in expected.items():
            compare = partial(test_rfm.differing, warehouse, table, *answer)
            name = f"{table} by hand (tests/oracle/rfm_oracle.py)"
            world.checks.append(Check(name, {f"marts.{table}"}, compare))
        for table, broken in test_rfm.SHARES.items():
            name = f"shares of {table} (tests/python/test_rfm.py)"
            world.checks.append(Check(name, relations(broken), partial(world.ask, broken)))
        world.add_dbt_checks(found)
        yield world.ready()
    by_hand = {"observation days by hand (tests/python/test_rfm.py)": test_rfm.days_by_hand}
    days = {"int_rfm__observation_dates": models["int_rfm__observation_dates"]}
    yield FunctionWorld("observation days", days, by_hand)


def value_worlds(workspace: Path) -> Iterator[World]:
    """The random brands of value_world, and the handful of customers of test_value before any event and after each."""
    found = nodes(workspace, test_value.MODELS, test_value.VARIABLES)
    models = code(found, test_value.MODELS)
    yield random_value_world({name: models[name] for name in test_value.SECOND}, found)
    histories = {"before any event": {}} | test_value.HISTORIES
    for event, changes in histories.items():
        warehouse = test_value.run(models, **({"orders": test_value.BASE} | changes))
        world = World(f"value, {event}", warehouse.connection, placed(models, test_value.schema))
        told = test_value.EXPECTED | test_value.MOVED.get(event, {})
        for table, query in test_value.GAUGES.items():
            world.checks.append(
                Check(
                    f"{table} as checked by hand (tests/python/test_value.py)",
                    relations(query),
                    lambda q=query, rows=told[table], w=world: (
                        sorted(w.ask(f"select {q}"), key=str) != rows
                    ),
                )
            )
        world.add_dbt_checks(found)
        yield world.ready()
    default = workspace / "default"
    models = code(nodes(default, test_value.MODELS), test_value.MODELS)
    yield from units.unit_worlds(default / "target" / "manifest.json", models)


def random_value_world(models: dict[str, str], found: list) -> World:
    connection = value_world.random_brands(models).connection
    world = World("value, random brands", connection, placed(models, value_world.schema))
    answers = value.answers(value.Facts(world.ask, min_gaps=1))
    for relation, rows in answers.items():
        world.checks.append(
            Check(
                f"{relation} by hand (tests/oracle/value.py)",
                {relation},
                partial(value.differences, relation, rows, world.ask),
            )
        )
    world.add_dbt_checks(found)
    return world.ready()


def fast_world(workspace: Path) -> FunctionWorld:
    """What each FAST mart means, one rule per test, on hand-made spells."""
    dbt_compiled.dbt(workspace, "seed", "--select", *test_fast_marts.SEEDS)
    models = code(nodes(workspace, test_fast_marts.MARTS), test_fast_marts.MARTS)
    return FunctionWorld("spells by hand", models, tests_of(test_fast_marts, ["models"]))


def shared_world(workspace: Path) -> FunctionWorld:
    """A tablet that two people had one after the other."""
    models = code(nodes(workspace, test_shared_devices.MODELS), test_shared_devices.MODELS)
    tests = tests_of(test_shared_devices, ["models"])
    return FunctionWorld("a shared device", models, tests)


def clv_world(workspace: Path) -> FunctionWorld:
    """Predictions in SQL against SciPy, at the edges of the formula."""
    models = code(
        nodes(workspace, test_clv.PREDICTIONS, test_clv.HORIZON_273), test_clv.PREDICTIONS
    )
    tests = {
        name: lambda models, test=test: test(test_clv.predicted_by(models))
        for name, test in tests_of(test_clv, ["predicted"]).items()
        if "every_horizon_of_a_year" not in name
    }
    return FunctionWorld("CLV at the edges", models, tests)


def audience_worlds(workspace: Path) -> Iterator[World]:
    """The language of the rules on random rules, day by day."""
    found = nodes(workspace, test_audience_rules.MODELS)
    models = code(found, test_audience_rules.MODELS)
    for seed in (1, 2):
        case = test_audience_rules.Case(seed)
        here = placed(models, lambda name: "lifecycle")
        world = World(f"random rules {seed}", case.warehouse.connection, here)
        for table, wrong in (
            ("lifecycle.int_audiences__cart_spells", case.wrong_carts),
            ("lifecycle.int_audiences__tag_spells", case.wrong_tags),
            ("lifecycle.int_audiences__spells", case.wrong_audiences),
        ):
            name = f"{table} day by day (tests/python/test_audience_rules.py)"
            world.checks.append(Check(name, {table}, wrong))
        yield world.ready()


def tests_of(module, parameters: list[str]) -> dict:
    """The test functions of a module that ask for these fixtures alone."""
    return {
        f"{module.__name__}.{name}": test
        for name, test in vars(module).items()
        if name.startswith("test_")
        and test.__code__.co_varnames[: test.__code__.co_argcount] == tuple(parameters)
    }


class facts_of:
    """Within it the world's `recorder` answers like its connection and notes which tables are read."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __enter__(self) -> set[str]:
        self.world.recorder = Recorder(self.world.connection)
        return self.world.recorder.read

    def __exit__(self, *_) -> None:
        del self.world.recorder


class Recorder:
    def __init__(self, connection) -> None:
        self.connection, self.read = connection, set()

    def execute(self, sql: str, *parameters):
        self.read |= relations(sql)
        return self.connection.execute(sql, *parameters)

    def ask(self, sql: str) -> list[tuple]:
        return self.execute(sql).fetchall()
