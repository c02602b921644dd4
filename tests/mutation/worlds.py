"""Small worlds in which mutants are built and judged.

A world is a DuckDB whose catalog is called `warehouse`, the models on it in the order in which dbt builds them, and
checks: the project's own tests, its data tests as dbt compiles them, and the contracts of the models. A mutant takes the
place of its model inside a transaction; the models below it are built again where what they read has changed; each check
that reads a changed table is asked, until one fails; then the transaction is rolled back.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import duckdb

from tests.mutation.operators import Mutant, parsed, written
from tests.mutation.seeds import SeedMutant

RELATION = re.compile(
    r'"?\bwarehouse"?\."?(\w+)"?\."?(\w+)"?|\b(staging|identity|lifecycle|reference|audit|marts)\.(\w+)'
)
SECONDS = 20.0


def relations(sql: str) -> set[str]:
    """Tables (`schema.name`) that a query names."""
    return {f"{a or c}.{b or d}" for a, b, c, d in RELATION.findall(sql)}


def kinds(column) -> set[str]:
    return {str(getattr(c.type, "value", c.type)) for c in column.constraints}


@dataclass
class Check:
    """`failing` says in words what is wrong, or nothing. `facts` are tables from which a second implementation took its
    answers once: where a mutant changes one of them the answers are of another world, and the check is not asked."""

    name: str
    reads: set[str]
    failing: Callable[[], object]
    facts: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Verdict:
    status: str
    """killed | survived | unchanged (no table differs) | invalid (the SQL does not bind)"""
    by: str = ""


class World:
    """See the module. `models` maps each model to (schema.name, SQL), in build order."""

    def __init__(self, name: str, connection, models: dict[str, tuple[str, str]]) -> None:
        self.name, self.connection, self.models = name, connection, models
        self.checks: list[Check] = []
        self.judged = set(models)
        """Models whose mutants are for this world: the others are there because these read them."""
        self.reads = {model: relations(sql) for model, (_, sql) in models.items()}
        self.seeds: set[str] = set()
        """Seeds whose mutants are for this world."""
        self.recompiled: Callable[[SeedMutant], dict[str, str]] = lambda mutant: {}
        """SQL of the models into which dbt writes the rows of a seed."""
        connection.execute("set threads = 1; set enable_progress_bar = false")
        self.digests = {}
        self.contracts: set[str] = set()
        """Tables whose columns and types dbt enforces."""

    def ask(self, sql: str, *parameters) -> list[tuple]:
        return self.connection.execute(sql, *parameters).fetchall()

    def built(self) -> World:
        """Every model from its own SQL."""
        for relation, sql in self.models.values():
            self._build(relation, sql)
            self.digests[relation] = self._digest(relation)
        return self

    def ready(self) -> World:
        """Build every model from the SQL as sqlglot writes it, which must say what the original says, and ask every
        check, which must pass."""
        if not self.digests:
            self.built()
        for model, (relation, sql) in self.models.items():
            self._build(relation, written(parsed(sql)))
            same = self._digest(relation) == self.digests[relation]
            assert same, f"{model} changes when sqlglot writes it"
        for check in self.checks:
            failing = check.failing()
            assert not failing, f"{self.name}: {check.name} fails without a mutant: {failing}"
        return self

    def _build(self, relation: str, sql: str) -> None:
        self.connection.execute(
            f"create or replace table warehouse.{relation} as {sql.rstrip().rstrip(';')}"
        )

    def _digest(self, relation: str) -> tuple:
        """Equal for the same rows in any order, and the types of the columns."""
        query = self.connection.execute(
            f"select count(*), sum(hash(t)::hugeint), bit_xor(hash(t)) from warehouse.{relation} as t"
        ).fetchall()
        types = self.connection.execute(
            f"select typeof(columns(*)) from warehouse.{relation} limit 1"
        ).fetchall()
        return (*query, *types)

    def verdict(self, mutant: Mutant | SeedMutant) -> Verdict:
        """Whether a check of this world notices the mutant."""
        done = threading.Event()
        watch = threading.Thread(target=self._interrupt_later, args=(done,), daemon=True)
        watch.start()
        self.connection.execute("begin")
        try:
            return self._judged(mutant)
        except duckdb.InterruptException:
            return Verdict("killed", "takes too long")
        finally:
            done.set()
            watch.join()
            self.connection.execute("rollback")

    def _interrupt_later(self, done: threading.Event) -> None:
        """By processor seconds: on a busy machine a clock would kill what is only waiting."""
        end = time.process_time() + SECONDS
        while not done.wait(0.5):
            if time.process_time() > end:
                self.connection.interrupt()

    def _judged(self, mutant: Mutant | SeedMutant) -> Verdict:
        if isinstance(mutant, SeedMutant):
            for statement in mutant.statements:
                self.connection.execute(statement)
            try:
                anew = self.recompiled(mutant)
            except Exception as error:  # of the many ways of dbt to refuse a rule
                return Verdict("killed", f"dbt refuses the rule: {str(error).splitlines()[0]}")
            return self._noticed({f"reference.{mutant.seed}"}, list(self.models), anew)
        relation, _ = self.models[mutant.model]
        try:
            self._build(relation, mutant.sql())
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
            return Verdict("invalid", str(error).splitlines()[0])
        except (duckdb.InterruptException, duckdb.OutOfMemoryException):
            return Verdict("killed", "takes too long")
        except duckdb.Error as error:
            return Verdict("killed", f"the model stops: {str(error).splitlines()[0]}")
        digest = self._digest(relation)
        if digest == self.digests[relation]:
            return Verdict("unchanged")
        if relation in self.contracts and digest[1:] != self.digests[relation][1:] and digest[0][0]:
            return Verdict("killed", "contract: types of columns")
        below = list(self.models)[list(self.models).index(mutant.model) + 1 :]
        return self._noticed({relation}, below, {})

    def _noticed(self, changed: set[str], below: list[str], anew: dict[str, str]) -> Verdict:
        """Build what reads a changed table or has other SQL (`anew`), and ask the checks on the way."""
        asked: set[str] = set()
        passed: set[str] = set()
        is_seed = len(below) == len(self.models)
        for model in [None, *below]:
            if model is not None:
                target, sql = self.models[model]
                passed.add(model)
                if not self.reads[model] & changed and model not in anew:
                    continue
                try:
                    self._build(target, anew.get(model, sql))
                except duckdb.InterruptException:
                    raise
                except duckdb.Error as error:
                    return Verdict("killed", f"{model} stops: {str(error).splitlines()[0]}")
                if self._digest(target) == self.digests[target]:
                    continue
                changed.add(target)
            # Tables that a check reads and that are still to be built make it wait.
            waiting: set[str] = set()
            for later in below:
                is_read = self.reads[later] & (changed | waiting) or later in anew
                if later not in passed and is_read:
                    waiting.add(self.models[later][0])
            for check in self.checks:
                if check.name in asked or not check.reads & changed or check.reads & waiting:
                    continue
                asked.add(check.name)
                if check.facts & changed:
                    continue
                if self._fails(check):
                    # What noticed one mutant of a model likely notices the next.
                    self.checks.remove(check)
                    self.checks.insert(0, check)
                    return Verdict("killed", check.name)
        if is_seed and len(changed) == 1:
            return Verdict("unchanged")
        return Verdict("survived")

    def _fails(self, check: Check) -> bool:
        try:
            return bool(check.failing())
        except duckdb.InterruptException:
            raise
        except Exception:  # a check that stops is a check that fails
            return True

    def add_dbt_checks(self, nodes: Iterable) -> None:
        """The data tests of the models as dbt compiles them and the contracts, as far as they hold without a mutant (in
        a made-up world of single models not every relationship does)."""
        here = {relation for relation, _ in self.models.values()}
        here |= {f"reference.{seed}" for seed in self.seeds}
        for node in nodes:
            if node.resource_type == "test" and str(node.config.severity).lower() == "error":
                reads = relations(node.compiled_code)
                if reads & here:
                    sql = f"select count(*) from ({node.compiled_code.rstrip().rstrip(';')}\n) as failures"
                    self._add_if_passing(
                        Check(f"dbt test {node.name}", reads, lambda sql=sql: self.ask(sql)[0][0])
                    )
            if node.resource_type == "model" and node.name in self.models:
                self._add_contract(node)

    def _add_contract(self, node) -> None:
        relation = self.models[node.name][0]
        if not node.config.contract.enforced:
            return
        self.contracts.add(relation)
        failing = [
            (f"{column.name} not null", f'"{column.name}" is null')
            for column in node.columns.values()
            if "not_null" in kinds(column)
        ] + [
            (constraint.expression, f"not ({constraint.expression})")
            for owner in (node, *node.columns.values())
            for constraint in owner.constraints
            if constraint.expression
        ]
        if failing:
            every = " or ".join(f"({condition})" for _, condition in failing)
            sql = f"select count(*) from warehouse.{relation} where {every}"
            self._add_if_passing(
                Check(f"contract of {node.name}", {relation}, lambda: self.ask(sql)[0][0])
            )
        for constraint in node.constraints:
            if constraint.columns:
                key = ", ".join(constraint.columns)
                twice = f"select count(*) - count(distinct ({key})) from warehouse.{relation}"
                self._add_if_passing(
                    Check(f"key of {node.name}", {relation}, lambda sql=twice: self.ask(sql)[0][0])
                )

    def _add_if_passing(self, check: Check) -> None:
        try:
            if not check.failing():
                self.checks.append(check)
        except duckdb.Error:
            pass


class FunctionWorld:
    """Tests that take the compiled models by name, build what they need and assert."""

    def __init__(self, name: str, models: dict[str, str], tests: dict[str, Callable]) -> None:
        self.name, self.tests = name, tests
        self.sql = models
        self.models = {model: (model, sql) for model, sql in models.items()}
        self.judged = set(models)
        self.seeds: set[str] = set()
        written_anew = {model: written(parsed(sql)) for model, sql in models.items()}
        for test in tests.values():
            test(written_anew)

    def verdict(self, mutant: Mutant) -> Verdict:
        changed = self.sql | {mutant.model: mutant.sql()}
        for name, test in self.tests.items():
            try:
                test(changed)
            except (
                duckdb.BinderException,
                duckdb.ParserException,
                duckdb.CatalogException,
            ) as error:
                return Verdict("invalid", str(error).splitlines()[0])
            except Exception:  # whatever stops a test has been noticed
                return Verdict("killed", name)
        return Verdict("survived")
