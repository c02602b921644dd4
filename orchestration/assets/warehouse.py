"""The dbt project as assets: one run of `dbt build`, its tests as asset checks."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
from dagster import AssetExecutionContext, AssetKey, Failure
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from orchestration.assets import RETRY, WRITER
from orchestration.assets.held import marking_report, note_green_build
from orchestration.assets.landing import lake_key
from orchestration.audiences import RuleError, check_rules
from orchestration.erasure import ErasureError
from orchestration.faults import is_out_of_memory, told
from orchestration.hold import node_failures
from orchestration.intake import LandingError
from orchestration.intake.lock import only
from orchestration.job import (
    Settings,
    finish_erasures,
    keep_ledger,
    list_erased,
    open_warehouse,
    restore_ledger,
)
from orchestration.partitions import DAILY, ONE_RUN
from orchestration.resources import Warehouse, dbt_project
from orchestration.warehouse import DAILY_BUILD, BuildError


def group_of(node: Mapping[str, Any]) -> str:
    """The layer: the first folder below models; seeds are reference data."""
    return "reference" if node["resource_type"] == "seed" else node["fqn"][1]


def key_of(node: Mapping[str, Any]) -> AssetKey:
    """Schema and name, so that a model and a landing entity never share a key; a source is the lake."""
    if node["resource_type"] == "source":
        return lake_key(node["name"])
    return AssetKey([node["config"]["schema"], node["name"]])


def is_worth_retrying(messages: Iterable[str]) -> bool:
    """Whether a failed build may pass untouched: it never got to its end, or the file was in use."""
    messages = list(messages)
    return not messages or any("Could not set lock" in message for message in messages)


class Translator(DagsterDbtTranslator):
    """Names, groups and descriptions of the assets come from the dbt project."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        return key_of(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return group_of(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props.get("description", "").strip()


def run_results_of(settings: Settings) -> Path:
    """Where dbt says how the nodes of a Dagster run ended."""
    return settings.workspace / "logs" / "dagster" / "run_results.json"


PROJECT = dbt_project()
NODES: Mapping[str, Mapping[str, Any]] = json.loads(PROJECT.manifest_path.read_text("utf-8"))[
    "nodes"
]


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=Translator(settings=DagsterDbtTranslatorSettings()),
    name="dbt_build",
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    retry_policy=RETRY,
    pool=WRITER,
)
def dbt_build(
    context: AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse
) -> Iterator[Any]:
    """Build what was selected as of the last day of the run's partitions."""
    settings = warehouse.settings_for(context.run.tags, list(context.partition_keys))

    def failures() -> list[Mapping[str, Any]]:
        return failed_nodes(run_results_of(settings), NODES)

    run_results_of(settings).unlink(missing_ok=True)
    with marking_report("dbt_build", context, warehouse, failures):
        try:
            check_rules()
        except RuleError as error:
            raise Failure(str(error), allow_retries=False) from error
        context.log.info(f"as of {settings.as_of_date or 'the newest batch'}")
        try:
            with only("run", settings.workspace):
                yield from _build(context, dbt, settings)
        except (ErasureError, BuildError, LandingError, duckdb.Error, OSError) as error:
            is_retried = is_worth_retrying([str(error)]) or "is at work" in str(error)
            raise Failure(told(error, settings.place), allow_retries=is_retried) from error
    note_green_build(
        settings, passed_names(run_results_of(settings)) if context.is_subset else None
    )


def _build(
    context: AssetExecutionContext, dbt: DbtCliResource, settings: Settings
) -> Iterator[Any]:
    """The build itself, with the steps before and after it."""
    open_warehouse(settings)
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    restore_ledger(settings, context.log.info)
    list_erased(settings, context.log.info)
    with settings.dbt.environment():
        # A first attempt may have failed because two models at once need more memory than there is.
        one_at_a_time = ["--threads", "1"] if context.retry_number else []
        invocation = dbt.cli(
            [*DAILY_BUILD, *one_at_a_time],
            context=context,
            target_path=run_results_of(settings).parent,
        )
        try:
            yield from invocation.stream()
        except DagsterDbtCliRuntimeError as error:
            messages = failure_messages(run_results_of(settings))
            is_short = is_out_of_memory(BuildError("\n".join(messages)), settings.place)
            if is_worth_retrying(messages) or (is_short and not context.retry_number):
                raise
            failed = failed_nodes(run_results_of(settings), NODES)
            listed = "\n".join(f"{part['name']}: {part['message']}" for part in failed)
            raise BuildError(listed, failed) from error
    if not context.is_subset:  # models that did not run still have to learn who is gone
        finish_erasures(settings, context.log.info)
        keep_ledger(settings)


def passed_names(run_results: Path) -> list[str]:
    """Names of the nodes that ran and did not fail."""
    if not run_results.exists():
        return []
    results = json.loads(run_results.read_text(encoding="utf-8"))["results"]
    return [
        (NODES.get(result["unique_id"]) or _unknown(result["unique_id"]))["name"]
        for result in results
        if result["status"] in ("success", "pass", "warn")
    ]


def failed_results(run_results: Path) -> list[Mapping[str, Any]]:
    """What dbt's run_results.json says of the nodes that failed; empty when there is none."""
    if not run_results.exists():
        return []
    results = json.loads(run_results.read_text(encoding="utf-8"))["results"]
    return [result for result in results if result["status"] in ("error", "fail")]


def failure_messages(run_results: Path) -> list[str]:
    """Why nodes failed, a line each."""
    return [f"{result['unique_id']}: {result['message']}" for result in failed_results(run_results)]


def failed_nodes(
    run_results: Path, nodes: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """What failed, as the parts of sentences (hold.node_failures)."""
    return [
        part
        for result in failed_results(run_results)
        for part in node_failures(
            nodes.get(result["unique_id"]) or _unknown(result["unique_id"]),
            result["message"],
            result.get("failures"),
            result.get("adapter_response"),
        )
    ]


def _unknown(unique_id: str) -> Mapping[str, Any]:
    """A node of which only the id is known: unit tests are no nodes of the manifest."""
    kind, *names = unique_id.split(".")
    return {"resource_type": kind, "name": names[-1]}
