"""dbt, called in this process: what the gate needs compiled, and the build."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.hold import first_lines, node_failures

PROJECT = Path(__file__).parents[1]
# Unit tests are about the code, not about what has landed: `dbt build` and `make test` run them, the daily job does not.
DAILY_BUILD = ["build", "--exclude-resource-type", "unit_test"]
# What dbt says of a node whose inputs are those of its last build (macros/engine/unchanged.sql).
UNCHANGED = "UNCHANGED"
# A part of a run leaves no manifest of its own: a second to write, and that of the whole build follows.
NO_MANIFEST = "--no-write-json"
# dbt reads the same variable.
MANIFEST = Path(os.environ.get("DBT_TARGET_PATH", PROJECT / "target")) / "manifest.json"


class BuildError(RuntimeError):
    """dbt did not finish; the message says which models or tests failed and where the log lies.

    `failures` are the same, each as the parts of a sentence (hold.node_failures).
    """

    def __init__(self, message: str, failures: Iterable[Mapping] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


@dataclass
class Build:
    """What a build did: nodes by status, those of them that were left as they are, and the failures as sentences."""

    models: int = 0
    seeds: int = 0
    tests: int = 0
    unchanged: int = 0
    failures: list[str] = field(default_factory=list)
    skipped: int = 0


@dataclass(frozen=True)
class Dbt:
    """dbt on one workspace. The environment it reads is set here and nowhere else."""

    workspace: Path
    database: Path
    lake: Path
    as_of_date: str | None = None
    memory_limit: str = "4GB"

    @property
    def log(self) -> Path:
        return self.workspace / "logs" / "dbt.log"

    def compile_profiles(self, entities: Iterable[str]) -> dict[str, str]:
        """SQL of the gate's profile for each entity (analyses/gate_profile__<entity>.sql)."""
        names = {f"gate_profile__{entity}": entity for entity in entities}
        arguments = ["compile", "--log-level", "none", NO_MANIFEST, "--select", *names]
        result = self._invoke(arguments)
        return {names[r.node.name]: r.node.compiled_code for r in result.result}

    def build(
        self,
        say: Callable[[str], None],
        *,
        full_refresh: bool = False,
        select: Iterable[str] = (),
        threads: int | None = None,
    ) -> Build:
        """`dbt build`: every seed, model and data test; or the models of `select` alone, with their seeds. `threads`:
        how many at once, else as the profile says.

        Raises BuildError when a model or an error-severity test fails.
        """
        progress = _Progress(say)
        # What fails is told by the error below; on the console dbt would tell it first, in its own words.
        arguments = [*DAILY_BUILD, "--quiet", "--log-level", "none"] + (
            ["--full-refresh"] if full_refresh else []
        )
        if threads:
            arguments += ["--threads", str(threads)]
        if select := [*select]:
            arguments += ["--select", *select, "--exclude-resource-type", "test", NO_MANIFEST]
        result = self._invoke(arguments, callback=progress, check=False)
        build, failed = Build(), []
        for node in result.result or []:
            kind = node.node.resource_type
            status = str(node.status)
            if status in ("error", "fail"):
                parts = node_failures(
                    node.node.to_dict(), node.message, node.failures, node.adapter_response
                )
                failed += parts
                build.failures += [f"{part['name']}: {part['message']}" for part in parts]
            elif status == "skipped":
                build.skipped += 1
            elif kind == "model":
                build.models += 1
            elif kind == "seed":
                build.seeds += 1
            else:
                build.tests += 1
            build.unchanged += (node.adapter_response or {}).get("_message") == UNCHANGED
        if result.exception and not build.failures:
            build.failures.append(first_lines(str(result.exception)))
        if build.failures or not result.success:
            listed = "\n  ".join(build.failures) or "dbt gave no reason"
            raise BuildError(
                f"the build failed; {build.skipped} nodes that depend on these were skipped:\n  {listed}\n"
                f"The whole log is {self.log}. Published tables of earlier builds are untouched.",
                failed,
            )
        return build

    def parse(self) -> Path:
        """Read the project into the manifest; its path."""
        self._invoke(["parse", "--quiet"])
        return MANIFEST

    def environment(self) -> AbstractContextManager[None]:
        """What dbt reads from its environment, for the time of a `with` block."""
        return environment_with(self._variables())

    def _invoke(
        self, arguments: list[str], callback: Callable | None = None, *, check: bool = True
    ):
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with self.environment(), warehouse_closed_after():
            result = dbt_runner(callbacks=[callback] if callback else []).invoke(
                [
                    *arguments,
                    *("--project-dir", str(PROJECT)),
                    *("--profiles-dir", str(PROJECT / "profiles")),
                    *("--log-path", str(self.log.parent)),
                ]
            )
        if check and not result.success:
            raise BuildError(
                f"dbt {arguments[0]} failed: {first_lines(str(result.exception))}; see {self.log}"
            )
        return result

    def _variables(self) -> dict[str, str]:
        variables = {
            "QUANYU_WORKSPACE": str(self.workspace),
            "QUANYU_DATABASE": str(self.database),
            "QUANYU_LAKE": str(self.lake),
            "QUANYU_MEMORY": self.memory_limit,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        if self.as_of_date:
            variables["QUANYU_AS_OF_DATE"] = self.as_of_date
        return variables


def dbt_runner(callbacks: list[Callable]):
    # dbt takes 3 s to import; a run that finds nothing to do but an error should not pay for it.
    from dbt.cli.main import dbtRunner

    return dbtRunner(callbacks=callbacks)


@contextmanager
def warehouse_closed_after() -> Iterator[None]:
    """dbt keeps the DuckDB file open as long as the process lives; nobody else could read it."""
    try:
        yield
    finally:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        DuckDBConnectionManager.close_all_connections()


class _Progress:
    """Says one line per model that was built as it ends, with its place among all nodes; the others are only counted."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def __call__(self, event) -> None:
        if event.info.name == "LogModelResult" and event.data.status != UNCHANGED:
            data = event.data
            self.say(
                f"[{data.index:>3}/{data.total}] {data.node_info.node_relation.schema}."
                f"{data.node_info.node_name}  {data.execution_time:.1f} s"
            )


@contextmanager
def environment_with(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the time of a `with` block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
