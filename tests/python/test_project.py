"""What the project promises about itself: documented models, contracts, a lock without addresses, no leftovers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import PROJECT, ask

from tests.parsed import manifest_of


@pytest.fixture(scope="module")
def models() -> dict[str, dict]:
    """Models of the manifest by name."""
    nodes = manifest_of([]).nodes.values()
    return {
        node.name: node.to_dict(omit_none=False) for node in nodes if node.resource_type == "model"
    }


def is_base(model: dict) -> bool:
    return model["name"].startswith("base_")


def test_every_model_says_its_grain_in_its_first_line_and_in_its_description(models):
    for model in models.values():
        first = model["raw_code"].lstrip().lstrip("-# ")
        assert first.startswith("Grain:"), model["original_file_path"]
        assert re.match(r"One row", model["description"]), model["original_file_path"]


def test_every_column_of_every_table_is_described_with_its_chinese_term(models, warehouse):
    """Base models describe their technical columns; the rest are the contract's."""
    built = ask(
        warehouse,
        "select table_name, column_name from information_schema.columns where table_schema in"
        " ('staging', 'identity', 'lifecycle', 'marts', 'audit', 'reference') order by all",
    )
    missing = []
    for table, column in built:
        model = models.get(table)
        if model is None or (is_base(model) and not column.startswith("_")):
            continue
        description = model["columns"].get(column, {}).get("description", "")
        if not re.search(r"[一-鿿]", description):
            missing.append(f"{table}.{column}")
    assert not missing


def test_no_description_is_left_of_a_column_that_is_gone(models, warehouse):
    built = set(ask(warehouse, "select table_name, column_name from information_schema.columns"))
    tables = {table for table, _ in built}
    stale = [
        f"{name}.{column}"
        for name, model in models.items()
        if name in tables
        for column in model["columns"]
        if (name, column) not in built
    ]
    assert not stale


def test_every_mart_has_an_enforced_contract_and_a_primary_key(models):
    for model in models.values():
        if model["schema"] == "marts":
            assert model["config"]["contract"]["enforced"], model["name"]
            kinds = [constraint["type"] for constraint in model["constraints"]]
            assert "primary_key" in kinds, model["name"]


def test_no_mart_carries_a_personal_column(models):
    for model in models.values():
        if model["schema"] == "marts":
            for column in model["columns"].values():
                assert not column["config"]["meta"].get("personal"), (model["name"], column["name"])


def test_the_models_know_no_engine(models):
    """Functions that only DuckDB has belong in macros/engine/."""
    only_duckdb = r"\b(strftime|list_\w+|unnest|date_diff|generate_series|arg_max|read_parquet|struct_pack)\s*\(|::"
    for model in models.values():
        code = re.sub(r"--.*", "", model["raw_code"])
        assert not re.search(only_duckdb, code), model["original_file_path"]
        assert "target.type" not in code, model["original_file_path"]


def test_the_rules_of_a_tables_columns_are_one_test():
    """A node of dbt for each rule of each column costs more than all that they ask (macros/tests/column_rules.sql)."""
    batched = {"not_null", "unique", "accepted_values"}
    alone = {
        node.name
        for node in manifest_of([]).nodes.values()
        if getattr(getattr(node, "test_metadata", None), "name", "") in batched
    }
    assert not alone


def test_whoever_asks_for_the_stage_plan_is_built_after_the_rules_it_is_made_of():
    """The plan is made once per invocation of dbt: read too early, it would be that of yesterday's rules for all."""
    manifest = manifest_of([])
    rules = {
        f"seed.quanyu.{name}"
        for name in ("stage_behaviours", "event_types", "stage_rules", "stages", "stage_models")
    }

    def reached(start: list[str], steps: Callable[[str], list[str]]) -> set[str]:
        found: set[str] = set()
        while start := [name for name in start if name not in found]:
            found |= {*start}
            start = [after for name in start for after in steps(name)]
        return found

    def macros(name: str) -> list[str]:
        macro = manifest.macros.get(name)
        return macro.depends_on.macros if macro else []

    def above(name: str) -> list[str]:
        return manifest.nodes[name].depends_on_nodes if name in manifest.nodes else []

    asking = [
        node
        for node in manifest.nodes.values()
        if "macro.quanyu.stage_plan" in reached([*node.depends_on_macros], macros)
        and node.resource_type != "operation"
    ]
    assert {"customer_day", "int_stages__stays", "fast_drivers"} <= {node.name for node in asking}
    for node in asking:
        assert rules <= reached([node.unique_id], above), node.original_file_path


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [PROJECT / name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-spark.lock"])
def test_the_lock_has_hashes_and_no_address(name):
    lock = (PROJECT / name).read_text()
    assert "://" not in lock and "index" not in lock
    packages = re.findall(r"^[a-z0-9].*==.*$", lock, flags=re.MULTILINE)
    assert packages and all(line.endswith("\\") for line in packages)


@pytest.mark.parametrize("name", ["requirements.in", "requirements-spark.in"])
def test_every_direct_dependency_has_a_reason(name):
    for line in (PROJECT / name).read_text().splitlines():
        assert not line or line.startswith(("#", "-")) or " # " in line, line


def test_nothing_that_is_tracked_names_a_machine_path():
    paths = re.compile(rb"(?<![\w.])/(root|home|Users|work)/[a-z]")
    guilty = [
        file
        for file in tracked_files()
        if file != Path(__file__) and paths.search(file.read_bytes())
    ]
    assert not guilty


def test_nothing_is_left_to_be_done_later():
    words = re.compile("TO" + "DO|FIX" + "ME|X" + "XX")
    guilty = [
        file
        for file in tracked_files()
        if file.suffix in {".py", ".sql", ".yml", ".md", ""} and words.search(file.read_text())
    ]
    assert not guilty
