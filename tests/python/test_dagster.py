"""The Dagster code location: it loads, it is what the snapshot says, and a run of it is the daily job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml
from support import PROJECT, ask, mart_rows

from orchestration import ui
from orchestration.contract import load_contract
from orchestration.hold import Hold, clear_hold, held_day, read_hold
from orchestration.intake import BatchRecord
from orchestration.intake.landing import FileRecord
from orchestration.intake.registry import RegistryRow, write_registry
from orchestration.job import Settings, locate
from orchestration.serving import current, current_manifest
from orchestration.warehouse import Dbt

SNAPSHOT = PROJECT / "tests" / "python" / "snapshots" / "dagster.json"
NEWEST = "2026-06-30"


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    """The definitions, on a manifest of the project as it is now."""
    folder = tmp_path_factory.mktemp("parse")
    Dbt(folder, folder / "warehouse.duckdb", folder / "lake").parse()
    from orchestration.definitions import defs

    return defs


def execute(defs, landing: Path, workspace: Path, *, tags=None, **options):
    """The daily job in this process, on a workspace."""
    from orchestration.resources import warehouse_from

    warehouse = warehouse_from({"QUANYU_LANDING": str(landing), "QUANYU_WORKSPACE": str(workspace)})
    return defs.resolve_job_def("daily_health_report").execute_in_process(
        resources={"warehouse": warehouse}, tags=tags or {}, raise_on_error=False, **options
    )


def by_hand(landing: Path, workspace: Path, key: str):
    """An asset materialised as somebody does who clicks on it: in no job of ours. Held batches are accepted."""
    from dagster import AssetKey, materialize

    from orchestration.assets.serving import serving
    from orchestration.assets.warehouse import dbt_build
    from orchestration.resources import dbt_resource, warehouse_from

    warehouse = warehouse_from({"QUANYU_LANDING": str(landing), "QUANYU_WORKSPACE": str(workspace)})
    return materialize(
        [dbt_build, serving],
        selection=[AssetKey(key.split("/"))],
        resources={"warehouse": warehouse, "dbt": dbt_resource()},
        partition_key="2026-07-15",
        tags={"quanyu/accept_held": "true"},
        raise_on_error=False,
    )


# --- the whole graph -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_run(defs, world, tmp_path_factory):
    """A landing and a workspace of its own, and the first run on it."""
    root = tmp_path_factory.mktemp("dagster")
    shutil.copytree(world / "landing", root / "landing")
    return root, execute(defs, root / "landing", root / "ws", partition_key="2026-07-15")


def test_one_run_materialises_every_asset_and_evaluates_every_check(defs, first_run):
    root, result = first_run
    assert result.success
    graph = defs.resolve_asset_graph()
    materialised = {event.asset_key for event in result.get_asset_materialization_events()}
    assert materialised == set(graph.get_all_asset_keys())
    evaluated = {
        (check.asset_key, check.check_name) for check in result.get_asset_check_evaluations()
    }
    assert evaluated == {(key.asset_key, key.name) for key in graph.asset_check_keys}
    assert current_manifest(root / "ws" / "serving")["as_of_date"] == NEWEST
    # The demo world's request to be erased was carried out to its end.
    assert ask(root / "ws", "select count(*) from audit.erasures") > [(0,)]
    assert ask(root / "ws", "select count(*) from audit.erasure_proof") > [(0,)]


def test_the_run_ends_in_the_marts_that_make_run_builds(first_run, warehouse):
    root, _ = first_run
    assert mart_rows(root / "ws") == mart_rows(warehouse)


def test_a_range_of_past_days_is_one_run_as_of_its_last_day_kept_beside_the_newest(defs, first_run):
    root, _ = first_run
    result = execute(
        defs,
        root / "landing",
        root / "ws",
        tags={
            "dagster/asset_partition_range_start": "2026-06-10",
            "dagster/asset_partition_range_end": "2026-06-16",
        },
    )
    assert result.success
    assert ask(root / "ws", "select cast(as_of_date as varchar) from reference.as_of") == [
        ("2026-06-16",)
    ]
    serving = root / "ws" / "serving"
    assert [p.name[:10] for p in (serving / "versions").iterdir() if p != current(serving)] == [
        "2026-06-16"
    ]
    assert current_manifest(serving)["as_of_date"] == NEWEST


def reports(workspace: Path, day: str) -> list[dict]:
    """What the reports of a day say; at least one brand has one."""
    found = [json.loads(path.read_text()) for path in (workspace / "reports" / day).glob("*.json")]
    assert found
    return found


def test_a_held_batch_or_a_failing_test_blocks_what_is_downstream_and_marks_the_report(
    defs, world, first_run, monkeypatch
):
    root, _ = first_run
    landing, workspace = root / "landing", root / "ws"
    before = current(workspace / "serving")
    broken = landing / "orders" / "dt=2026-07-01" / "orders.parquet"
    broken.parent.mkdir()
    sample = sorted(landing.glob("orders/dt=*/*.parquet"))[-1]
    # Every order without its id: readable, and worthless.
    duckdb.execute(
        f"copy (select * replace (cast(null as varchar) as order_id)"
        f" from read_parquet('{landing}/orders/dt=*/*.parquet', union_by_name = true) limit 200)"
        f" to '{broken}' (format parquet)"
    )
    assert sample.exists()
    for _attempt in ("when it lands", "and when nothing is new"):
        result = execute(defs, landing, workspace, partition_key="2026-07-15")
        assert not result.success
        failed = {
            (check.asset_key.to_user_string(), check.check_name): check.severity.value
            for check in result.get_asset_check_evaluations()
            if not check.passed
        }
        assert failed["lake/orders", "no_batch_is_held"] == "ERROR"
        assert failed["lake/orders", "order_id__missing"] == "ERROR"
        materialised = {
            event.asset_key.path[0] for event in result.get_asset_materialization_events()
        }
        assert materialised == {"landing", "lake"}
        assert current(workspace / "serving") == before
        # The report of the day says so, with the figures that readers still see.
        for content in reports(workspace, "2026-07-01"):
            assert (content["status"], content["as_of"]) == ("held", NEWEST)
            assert content["hold"]["kind"] == "batches"
            assert [held["batch"] for held in content["held"]] == ["dt=2026-07-01"]
    assert {content["status"] for content in reports(workspace, NEWEST)} == {"ok"}
    # Batches are accepted, and now a test fails: a truth in which everybody is one person.
    (root / "wrong").mkdir()
    duckdb.execute(
        "copy (select * replace (1 as person_id) from read_parquet"
        f"('{world}/truth/identifiers.parquet')) to '{root}/wrong/identifiers.parquet'"
    )
    monkeypatch.setenv("QUANYU_IDENTITY_TRUTH", str(root / "wrong"))
    # Somebody materialises that one table by hand, in no job of ours: the report says so all the same, and nobody can
    # publish past it by hand.
    assert not by_hand(landing, workspace, "marts/identity_quality").success
    for content in reports(workspace, "2026-07-01"):
        assert (content["status"], content["as_of"]) == ("held", NEWEST)
        assert content["hold"]["kind"] == "build" and not content["held"]
        (reason,) = content["hold"]["reasons"]
        assert "assert_recognition_meets_the_made_up_truth" in reason and "没有通过" in reason
    published = by_hand(landing, workspace, "serving/quanyu")
    assert not published.success
    (failure,) = published.get_step_failure_events()
    assert "the last build did not pass" in failure.step_failure_data.user_failure_data.description
    assert current(workspace / "serving") == before and not read_hold(workspace).is_built
    # What failed is repaired: the next run catches up.
    monkeypatch.delenv("QUANYU_IDENTITY_TRUTH")
    result = execute(
        defs,
        landing,
        workspace,
        partition_key="2026-07-15",
        tags={"quanyu/accept_held": "true"},
    )
    assert result.success
    assert len(current_manifest(workspace / "serving")["held"]) == 1
    assert read_hold(workspace) is None
    as_of = current_manifest(workspace / "serving")["as_of_date"]
    for content in reports(workspace, as_of):
        assert content["hold"] is None and content["held_count"] == 1


# --- what is defined -------------------------------------------------------------------------------------------------


def test_assets_jobs_schedules_and_sensors_are_those_of_the_snapshot(defs):
    """QUANYU_SNAPSHOT=1 writes it anew; the difference is then reviewed in git."""
    graph = defs.resolve_asset_graph()
    groups: dict[str, list[str]] = {}
    for key in graph.get_all_asset_keys():
        groups.setdefault(graph.get(key).group_name, []).append(key.to_user_string())
    found = {
        "assets": {group: sorted(keys) for group, keys in sorted(groups.items())},
        "jobs": sorted(job.name for job in defs.resolve_all_job_defs() if "__" not in job.name),
        "schedules": [
            [s.name, s.job_name, s.cron_schedule, s.execution_timezone]
            for s in [defs.resolve_schedule_def("daily_health_report_schedule")]
        ],
        "sensors": [[s.name, s.job_name, s.minimum_interval_seconds] for s in defs.sensors],
    }
    if os.environ.get("QUANYU_SNAPSHOT"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        text = json.dumps(found, indent=2, ensure_ascii=False)
        SNAPSHOT.write_text(f"{text}\n", encoding="utf-8")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_asset_has_daily_partitions_and_a_range_is_one_run(defs):
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.partitions_def is not None, key
        assert node.backfill_policy.max_partitions_per_run is None, key


def test_every_expectation_of_the_gate_is_an_asset_check_and_critical_ones_block(defs):
    from orchestration.gate.suites import rules_for

    graph = defs.resolve_asset_graph()
    specs = {
        (key.asset_key.to_user_string(), key.name): graph.get_check_spec(key)
        for key in graph.asset_check_keys
    }
    for entity in load_contract().values():
        for rule in rules_for(entity):
            spec = specs[f"lake/{entity.name}", rule.subject]
            assert spec.blocking or rule.severity != "critical"


def test_every_dbt_test_with_a_model_is_an_asset_check(defs):
    from orchestration.assets.warehouse import NODES

    names = {key.name for key in defs.resolve_asset_graph().asset_check_keys}
    absent = {n["name"] for n in NODES.values() if n["resource_type"] == "test"} - names
    assert all(
        not [d for d in node["depends_on"]["nodes"] if d.startswith(("model.", "seed."))]
        for node in NODES.values()
        if node["name"] in absent
    ), absent


def test_descriptions_keep_their_chinese_names_and_no_sql(defs):
    graph = defs.resolve_asset_graph()
    (key,) = (k for k in graph.get_all_asset_keys() if k.path == ["marts", "customers"])
    assert "客户宽表" in graph.get(key).description and "select" not in graph.get(key).description


def test_make_run_does_not_load_dagster():
    subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, orchestration.__main__, orchestration.job;"
            "assert not [name for name in sys.modules if name.startswith('dagster')]",
        ],
        cwd=PROJECT,
        check=True,
    )


# --- pure functions --------------------------------------------------------------------------------------------------


def test_a_past_day_is_looked_at_as_of_that_day_and_the_newest_as_it_is():
    from orchestration.partitions import as_of_date

    newest = date(2026, 6, 30)
    assert as_of_date(["2026-06-10", "2026-06-12", "2026-06-11"], newest) == "2026-06-12"
    assert as_of_date(["2026-06-30"], newest) is None
    assert as_of_date(["2026-07-05"], newest) is None
    assert as_of_date(["2026-06-10"], None) is None


def test_a_batch_runs_in_the_partition_of_its_day_within_the_days_that_exist():
    from orchestration.partitions import partition_for

    first, today = date(2024, 1, 1), date(2026, 7, 1)
    assert partition_for(date(2026, 6, 30), first, today) == "2026-06-30"
    assert partition_for(date(2026, 7, 9), first, today) == "2026-06-30"
    assert partition_for(date(2020, 1, 1), first, today) == "2024-01-01"


def test_the_newest_batch_is_the_newest_that_was_admitted():
    from orchestration.partitions import newest_batch

    rows = [row("orders", 1), row("orders", 3, status="held"), row("refunds", 2)]
    assert newest_batch(rows) == date(2026, 6, 2)
    assert newest_batch([]) is None


def row(entity: str, day: int, status: str = "admitted", files: str = "[]") -> RegistryRow:
    return RegistryRow(
        entity,
        f"dt=2026-06-{day:02}",
        date(2026, 6, day),
        status,
        load_number=1 if status == "admitted" else None,
        landed_rows=10,
        files=files,
        content_hash="a",
    )


def test_the_time_zone_is_that_of_the_dbt_project_unless_the_environment_names_another():
    from orchestration.partitions import business_timezone, first_day

    assert business_timezone({}) == "Asia/Shanghai"
    assert business_timezone({"QUANYU_TIMEZONE": "Asia/Tokyo"}) == "Asia/Tokyo"
    assert first_day({}) == "2024-01-01"
    assert first_day({"QUANYU_FIRST_DAY": "2020-05-01"}) == "2020-05-01"


def test_the_job_starts_at_six_unless_the_environment_says_otherwise():
    from orchestration.schedules import hour_and_minute

    assert hour_and_minute({}) == (6, 0)
    assert hour_and_minute({"QUANYU_SCHEDULE": "23:30"}) == (23, 30)
    for nonsense in ("25:00", "6", "6:5", "noon"):
        with pytest.raises(ValueError, match="QUANYU_SCHEDULE"):
            hour_and_minute({"QUANYU_SCHEDULE": nonsense})


def batch(size: int, mtime: int = 1) -> BatchRecord:
    path = "orders/dt=2026-06-01/a.csv"
    return BatchRecord(
        "orders", "dt=2026-06-01", date(2026, 6, 1), [FileRecord(path, Path(path), size, mtime)]
    )


def test_a_run_starts_when_two_looks_in_a_row_saw_the_same_files_and_only_once():
    from orchestration.sensors import Cursor, fingerprint, look

    growing = [fingerprint([batch(size)]) for size in (10, 20, 20, 20)]
    cursor, starts = Cursor(), []
    for waiting in [*growing, "", fingerprint([batch(20, mtime=2)]), fingerprint([batch(20, 2)])]:
        cursor, start, reason = look(Cursor.read(cursor.write()), waiting)
        starts.append(start)
        assert start or reason
    assert starts == [False, False, True, False, False, False, True]


def test_a_batch_that_the_intake_has_seen_is_not_new():
    from orchestration.sensors import fingerprint, unseen

    files = json.dumps([{"path": "orders/dt=2026-06-01/a.csv", "bytes": 10, "mtime_ns": 1}])
    registry = {("orders", "dt=2026-06-01"): row("orders", 1, files=files)}
    assert unseen([batch(10)], registry) == []
    assert len(unseen([batch(11)], registry)) == len(unseen([batch(10)], {})) == 1
    assert fingerprint([]) == ""


def test_the_sensor_waits_and_then_asks_for_the_day_of_the_newest_batch(defs, tmp_path):
    from dagster import build_sensor_context

    from orchestration.resources import warehouse_from

    (tmp_path / "landing" / "orders" / "dt=2026-06-01").mkdir(parents=True)
    file = tmp_path / "landing" / "orders" / "dt=2026-06-01" / "a.csv"
    file.write_text("order_id\n1\n")
    resources = {
        "warehouse": warehouse_from(
            {
                "QUANYU_LANDING": str(tmp_path / "landing"),
                "QUANYU_WORKSPACE": str(tmp_path / "ws"),
            }
        )
    }
    (sensor,) = defs.sensors

    def tick(cursor):
        return sensor(build_sensor_context(cursor=cursor, resources=resources))

    first = tick(None)
    assert not first.run_requests
    file.write_text("order_id\n1\n2\n")
    second = tick(first.cursor)
    assert not second.run_requests
    third = tick(second.cursor)
    assert [request.partition_key for request in third.run_requests] == ["2026-06-01"]
    assert not tick(third.cursor).run_requests


def test_an_asset_lies_in_the_group_of_its_folder_and_under_the_name_of_its_schema(defs):
    from orchestration.assets.warehouse import group_of, key_of

    model = {"resource_type": "model", "fqn": ["quanyu", "marts", "fast", "fast_daily"]}
    model |= {"name": "fast_daily", "config": {"schema": "marts"}}
    seed = {"resource_type": "seed", "fqn": ["quanyu", "stages"], "name": "stages"}
    seed |= {"config": {"schema": "reference"}}
    source = {"resource_type": "source", "name": "orders", "fqn": ["quanyu", "staging", "x"]}
    assert (group_of(model), key_of(model).path) == ("marts", ["marts", "fast_daily"])
    assert (group_of(seed), key_of(seed).path) == ("reference", ["reference", "stages"])
    assert key_of(source).path == ["lake", "orders"]


def test_a_build_is_tried_again_when_the_file_was_in_use_or_dbt_never_ended(defs):
    from orchestration.assets.warehouse import is_worth_retrying

    assert is_worth_retrying([])
    assert is_worth_retrying(["x: IO Error: Could not set lock on file"])
    assert not is_worth_retrying(["x: Got 3 results, configured to fail if != 0"])


def test_failures_of_a_build_are_read_from_its_results(defs, tmp_path):
    from orchestration.assets.warehouse import failure_messages

    results = [("model.a", "success", "OK"), ("test.b", "fail", "Got 3"), ("m.c", "error", "no")]
    file = tmp_path / "run_results.json"
    assert failure_messages(file) == []
    file.write_text(
        json.dumps(
            {"results": [{"unique_id": u, "status": s, "message": m} for u, s, m in results]}
        )
    )
    assert failure_messages(file) == ["test.b: Got 3", "m.c: no"]


def test_a_failed_node_is_the_parts_of_a_sentence_and_a_unit_test_is_known_by_its_name(
    defs, tmp_path
):
    from orchestration.assets.warehouse import failed_nodes

    node = {"resource_type": "test", "name": "relationships_of_orders", "column_name": "order_id"}
    node |= {"test_metadata": {"name": "relationships"}, "attached_node": "model.quanyu.orders"}
    rules = {"resource_type": "test", "name": "column_rules_of_orders"}
    rules |= {"test_metadata": {"name": "column_rules"}, "attached_node": "model.quanyu.orders"}
    broken = [
        {"column": "status", "test": "accepted_values", "rows": 2, "message": "status is sent"},
        {"column": "order_id", "test": "not_null", "rows": 1, "message": "order_id is empty"},
    ]
    results = [
        {"unique_id": "test.quanyu.x", "status": "fail", "message": "Got 3\n\nx", "failures": 3},
        {"unique_id": "unit_test.quanyu.y.z", "status": "error", "message": None},
        {"unique_id": "test.quanyu.r", "status": "fail", "message": "Got 3", "failures": 3}
        | {"adapter_response": {"_message": json.dumps(broken)}},
    ]
    (tmp_path / "run_results.json").write_text(json.dumps({"results": results}))
    first, second, *others = failed_nodes(
        tmp_path / "run_results.json", {"test.quanyu.x": node, "test.quanyu.r": rules}
    )
    assert (first["test"], first["table"], first["column"], first["rows"]) == (
        *("relationships", "orders", "order_id"),
        3,
    )
    assert first["message"] == "Got 3 x"
    assert (second["kind"], second["name"], second["rows"]) == ("test", "z", None)
    # A test of several rules fails once for each that is broken.
    assert [{key: each[key] for key in broken[0]} for each in others] == broken
    assert {(each["kind"], each["table"], each["name"]) for each in others} == {
        ("test", "orders", "column_rules_of_orders")
    }


def test_a_failed_step_keeps_the_day_back_unless_it_is_no_fault_of_the_day(defs, tmp_path):
    from dagster import Failure

    from orchestration.assets.held import cause_of, hold_of_step, is_last_attempt, partition_keys
    from orchestration.intake import LandingError
    from orchestration.serving import ServingError

    chosen = Settings(tmp_path, tmp_path, tmp_path / "w.duckdb", as_of_date="2026-06-30")
    assert hold_of_step("serving", ServingError("disk"), chosen) == Hold(
        "serving", "2026-06-30", message="disk"
    )
    build = hold_of_step("dbt_build", RuntimeError("no manifest"), chosen)
    assert build.kind == "build" and not build.is_built
    assert hold_of_step("intake_and_gate", LandingError("no folder"), chosen) is None
    assert hold_of_step("landing_files", None, chosen) is None
    error = ServingError("disk")
    assert is_last_attempt(Failure("no", allow_retries=False), 0) and is_last_attempt(error, 3)
    assert not is_last_attempt(error, 0)
    assert cause_of(error) is error and cause_of(None) is None
    tags = {"dagster/partition": "2026-06-01", "dagster/asset_partition_range_end": "2026-06-09"}
    assert partition_keys(tags) == ["2026-06-01", "2026-06-09"] and partition_keys({}) == []


def test_a_build_of_a_part_repairs_what_it_contains_and_a_whole_one_everything(tmp_path):
    from orchestration.assets.held import following, note_green_build

    chosen = Settings(tmp_path, tmp_path, tmp_path / "w.duckdb")
    note_green_build(chosen, None)
    assert read_hold(tmp_path) is None
    hold = Hold("build", "2026-06-30", failures=[{"name": "a"}, {"name": "b"}], is_built=False)
    hold.write(tmp_path)
    note_green_build(chosen, ["a", "c"])
    assert read_hold(tmp_path) == hold.with_(failures=[{"name": "b"}])
    note_green_build(chosen, ["b"])
    assert read_hold(tmp_path).is_built
    died = hold.with_(failures=[])
    died.write(tmp_path)
    note_green_build(chosen, ["a"])
    assert read_hold(tmp_path) == died  # what did not run may still be half done
    note_green_build(chosen, None)
    assert read_hold(tmp_path).is_built
    batches = Hold("batches", "2026-07-01")
    assert following(None, batches) == following(batches, batches) == batches
    assert not following(died, batches).is_built


def test_why_a_day_is_kept_back_is_told_by_its_batches_or_by_the_step_that_failed(tmp_path):
    from orchestration.intake import LandingError
    from orchestration.job import hold_of_batches, hold_of_error, hold_reasons
    from orchestration.serving import ServingError
    from orchestration.warehouse import BuildError

    chosen = Settings(tmp_path, tmp_path, tmp_path / "w.duckdb", as_of_date="2026-06-30")
    held = row("orders", 2, status="held")
    held.reasons = "a\nb"
    assert hold_reasons(held) == ["a", "b"]
    held.held_reasons = "c"  # a newer delivery is held, the older one is in use
    hold = hold_of_batches(chosen, [held])
    assert (hold.kind, hold.day) == ("batches", "2026-06-30")
    assert hold.batches == [
        {"entity": "orders", "batch": "dt=2026-06-02", "status": "held", "reasons": "c"}
    ]
    build = hold_of_error(chosen, BuildError("why", [{"name": "x"}]))
    assert (build.kind, build.failures, build.message) == ("build", [{"name": "x"}], "why")
    assert hold_of_error(chosen, ServingError("why")).kind == "serving"
    assert hold_of_error(chosen, LandingError("no folder")) is None
    assert hold_of_error(chosen, OSError("disk")).kind == "build"


def test_a_failed_model_names_its_table_and_a_failed_test_the_table_that_it_looks_at():
    from orchestration.hold import node_failures

    (model,) = node_failures({"name": "customers", "resource_type": "model"}, "IO Error", 7)
    assert (model["kind"], model["table"], model["rows"]) == ("model", "customers", None)
    test = {"name": "t", "resource_type": "unit_test", "attached_node": "model.quanyu.customers"}
    (failed,) = node_failures(test, None, None)
    assert (failed["kind"], failed["table"], failed["message"]) == (
        *("test", "customers"),
        "no message",
    )


def test_what_did_not_pass_is_named_to_whom_publishes_by_hand(defs):
    from orchestration.assets.serving import not_passed

    failed = Hold("build", "2026-06-30", failures=[{"name": "a"}, {"name": "b"}], is_built=False)
    assert "keep what they have: a, b. Repair it" in not_passed(failed)
    died = Hold("machine", "2026-06-30", message="disk full", is_built=False)
    assert "keep what they have: disk full. Repair it" in not_passed(died)


def test_what_ran_and_did_not_fail_is_read_from_the_results_of_a_build(defs, tmp_path):
    from orchestration.assets.warehouse import NODES, failed_results, passed_names, run_results_of

    file = run_results_of(Settings(tmp_path, tmp_path, tmp_path / "w.duckdb"))
    assert file.is_relative_to(tmp_path) and passed_names(file) == failed_results(file) == []
    model = next(key for key, node in NODES.items() if node["name"] == "fast_daily")
    results = [(model, "success"), ("unit_test.quanyu.x.y", "pass"), ("test.quanyu.z", "fail")]
    results += [("test.quanyu.w", "warn"), ("model.quanyu.s", "skipped")]
    file.parent.mkdir(parents=True)
    file.write_text(
        json.dumps({"results": [{"unique_id": key, "status": status} for key, status in results]})
    )
    assert passed_names(file) == ["fast_daily", "y", "w"]
    assert [each["unique_id"] for each in failed_results(file)] == ["test.quanyu.z"]


def test_a_run_looks_at_its_last_partition_and_without_any_at_the_newest_batch(tmp_path):
    from orchestration.assets.held import settings_of
    from orchestration.resources import warehouse_from

    warehouse = warehouse_from({"QUANYU_WORKSPACE": str(tmp_path), "QUANYU_LANDING": "in"})
    write_registry(tmp_path, [row("orders", 20)])
    assert settings_of(warehouse, {}).as_of_date is None
    assert settings_of(warehouse, {"dagster/partition": "2026-06-07"}).as_of_date == "2026-06-07"
    tags = {"dagster/partition": "2026-06-07", "dagster/asset_partition_range_end": "2026-06-09"}
    assert settings_of(warehouse, tags).as_of_date == "2026-06-09"
    assert settings_of(warehouse, {"dagster/partition": "2026-06-20"}).as_of_date is None


def test_keys_keep_landing_lake_and_what_is_published_apart(defs):
    from orchestration.assets.landing import lake_key, landing_key
    from orchestration.assets.serving import published_keys

    assert landing_key("orders").path == ["landing", "orders"]
    assert lake_key("orders").path == ["lake", "orders"]
    keys = {key.to_user_string() for key in published_keys()}
    assert {"marts/customers", "reference/stages"} <= keys
    assert {key.split("/")[0] for key in keys} == {"marts", "reference"}


def test_rules_of_one_subject_are_one_check():
    from orchestration.checks.gate import rules_by_subject
    from orchestration.gate.suites import rules_for

    orders = load_contract()["orders"]
    grouped = rules_by_subject(orders)
    assert sum(map(len, grouped.values())) == len(rules_for(orders)) > len(grouped)
    assert all(rule.subject == subject for subject, rules in grouped.items() for rule in rules)


def test_a_report_is_summed_up_by_where_its_pages_lie(defs, tmp_path):
    from orchestration.assets.report import report_summary

    page = tmp_path / "north.html"
    page.write_text("123")
    summary = report_summary(tmp_path / "index.html", [page])
    assert (summary["brands"], summary["bytes"], summary["pages"]) == (1, 3, str(page))


def test_the_day_of_a_run_is_the_chosen_one_else_the_newest_landed_else_the_published_one():
    landed = [date(2026, 6, 3), date(2026, 6, 7)]
    assert held_day("2026-06-01", landed, "2026-06-06") == "2026-06-01"
    assert held_day(None, landed, "2026-06-06") == "2026-06-07"
    assert held_day(None, [], "2026-06-06") == "2026-06-06"
    assert held_day(None, [], None) is None


def test_what_keeps_a_day_back_is_remembered_until_a_run_publishes(tmp_path):
    hold = Hold("build", "2026-06-30", failures=[{"name": "x"}], message="why")
    hold.write(tmp_path)
    assert read_hold(tmp_path) == hold
    clear_hold(tmp_path)
    clear_hold(tmp_path)
    assert read_hold(tmp_path) is None


def test_a_finding_blocks_only_for_a_critical_rule_of_a_batch_on_hold():
    from orchestration.checks.gate import findings, severity_of

    orders = load_contract()["orders"]
    failed = {
        "dt=2026-06-01": [("order_id__missing", "warning"), ("order_id__missing_share", "critical")]
    }
    on_hold = findings(orders, failed, ["dt=2026-06-01"])["order_id__missing"]
    decided = findings(orders, failed, [])["order_id__missing"]
    assert on_hold.is_blocking and severity_of(on_hold).value == "ERROR"
    assert decided.batches == ["dt=2026-06-01"] and severity_of(decided).value == "WARN"
    assert not findings(orders, failed, [])["amount__missing"].batches


def test_the_latest_result_of_an_entity_is_that_of_its_newest_load(tmp_path):
    from orchestration.checks.gate import latest_result

    assert latest_result(tmp_path, "orders") is None
    for load in (2, 10):
        (tmp_path / str(load)).mkdir()
        (tmp_path / str(load) / "orders.json").write_text(json.dumps({"load": load}))
    assert latest_result(tmp_path, "orders") == {"load": 10}


def test_a_hold_without_a_written_reason_says_so():
    from orchestration.checks.gate import reasons_text

    assert reasons_text(row("orders", 1)) == "no reason was written down"


def test_an_entity_is_behind_by_the_days_since_its_newest_batch(defs):
    from orchestration.checks.freshness import is_behind, lag_days

    rows = [row("orders", 20), row("refunds", 5), row("refunds", 7)]
    assert (lag_days(rows, "refunds"), lag_days(rows, "orders")) == (13, 0)
    assert lag_days(rows, "messages") is None
    assert is_behind("2026-06-19", date(2026, 6, 20)) and is_behind(None, None)
    assert not is_behind("2026-06-20", date(2026, 6, 20))


def test_summaries_count_what_lies_there_and_what_was_admitted():
    from orchestration.assets.landing import lake_summary, landing_summary

    assert landing_summary([batch(10)]) == {
        "batches": 1,
        "files": 1,
        "bytes": 10,
        "newest batch": "2026-06-01",
    }
    assert landing_summary([])["newest batch"] == "-"
    summary = lake_summary([row("orders", 1), row("orders", 2, status="held")], 1)
    assert summary["batches admitted"] == summary["batches held"] == 1
    assert (summary["batches of this load"], summary["newest batch"]) == (1, "2026-06-01")


def test_run_tags_say_what_to_do_with_held_batches():
    from orchestration.resources import warehouse_from

    warehouse = warehouse_from({"QUANYU_WORKSPACE": "ws", "QUANYU_LANDING": "in"})
    settings = warehouse.settings({"quanyu/accept_held": "Yes", "quanyu/retry_held": "no"})
    assert settings.accept_held and not settings.retry_held
    assert settings.database.name == "warehouse.duckdb" and settings.database.is_absolute()


def test_the_server_listens_on_loopback_only_and_calls_nobody(tmp_path):
    settings = locate(tmp_path / "in", tmp_path / "ws")
    variables = ui.environment(settings)
    assert variables["QUANYU_SERVING"] == str(tmp_path / "ws" / "serving")
    written = yaml.safe_load((Path(variables["DAGSTER_HOME"]) / "dagster.yaml").read_text())
    assert written["telemetry"] == {"enabled": False}
    assert written["concurrency"]["pools"] == {"default_limit": 1, "granularity": "run"}
    arguments = ui.command("/venv/bin/python", 3111)
    assert arguments[0] == "/venv/bin/dagster" and "127.0.0.1" in arguments and "3111" in arguments
