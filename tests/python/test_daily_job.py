"""The daily job on the demo world: nothing is lost, nothing happens twice, a bad batch stops nobody else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from support import (
    PROJECT,
    ask,
    build_models,
    copy_batches,
    land,
    mart_hashes,
    mart_rows,
    refresh_below_marts,
    settings,
)

from orchestration import built
from orchestration.intake import LandingError
from orchestration.job import held_batches, run
from orchestration.job import land as land_only


def test_every_landed_row_has_the_fate_that_was_planted(world, warehouse):
    """The world plants no erasures: a row of the person who asked for one had another fate before."""
    planted = duckdb.execute(
        "select entity, coalesce('dt=' || cast(batch as varchar), 'initial'), landed, quarantined, duplicate,"
        f" superseded from read_parquet('{world}/truth/conservation.parquet') order by 1, 2"
    ).fetchall()
    found = ask(
        warehouse,
        "select entity, batch, landed_rows, quarantined_rows, duplicate_rows, superseded_rows, erased_rows"
        " from audit.row_conservation order by 1, 2",
    )
    assert len(found) == len(planted)
    for expected, (*row, erased) in zip(planted, found, strict=True):
        assert tuple(row[:3]) == expected[:3]
        taken = [was - now for was, now in zip(expected[3:], row[3:], strict=True)]
        assert min(taken) >= 0 and sum(taken) <= erased
    assert 0 < sum(row[-1] for row in found) < 0.05 * sum(row[2] for row in found)


def test_every_quarantined_row_names_its_file_and_row_and_what_to_do(warehouse):
    rows = ask(warehouse, "select file, row_number, reasons, raw_row from audit.quarantine")
    assert rows
    for file, row_number, reasons, raw_row in rows:
        assert file and row_number >= 1 and reasons and raw_row


def test_a_second_run_reads_nothing_and_changes_no_byte_of_any_mart(world, warehouse, tmp_path):
    before = mart_hashes(warehouse, tmp_path / "before")
    built.forget(warehouse)  # else dbt is not even asked
    outcome = land(world / "landing", warehouse)
    assert outcome.admission.admitted == []
    assert mart_hashes(warehouse, tmp_path / "after") == before


def test_a_full_refresh_gives_the_bytes_that_the_first_build_gave(world, warehouse, tmp_path):
    before = mart_hashes(warehouse, tmp_path / "before")
    land(world / "landing", warehouse, full_refresh=True)
    assert mart_hashes(warehouse, tmp_path / "after") == before


def test_late_and_redelivered_batches_end_in_what_a_full_refresh_gives(world, tmp_path):
    """First the odd days, then the even ones (all late), then a batch that had been delivered incomplete."""
    source, landing, workspace = world / "landing", tmp_path / "landing", tmp_path / "workspace"
    shutil.copytree(source, landing, ignore=lambda folder, names: [n for n in names if is_even(n)])
    incomplete = sorted((source / "orders").glob("dt=*/*.parquet"))[-1]
    half = landing / incomplete.relative_to(source)
    half.parent.mkdir(parents=True, exist_ok=True)
    duckdb.execute(
        f"copy (select * from read_parquet('{incomplete}') limit 1) to '{half}' (format parquet)"
    )
    refresh_below_marts(landing, workspace)
    shutil.copytree(source, landing, dirs_exist_ok=True)
    land(landing, workspace)
    refreshed = mart_rows(workspace)
    # The models alone: their data tests have just run.
    settings(landing, workspace).dbt.build(
        lambda line: None, full_refresh=True, select=["path:models"]
    )
    assert refreshed == mart_rows(workspace)


def is_even(name: str) -> bool:
    return name.startswith("dt=") and int(name[-2:]) % 2 == 0


def test_the_past_can_be_rebuilt_by_choosing_its_day(world, tmp_path):
    """Batches up to a day, landed alone, give the marts that the whole landing gives as of that day, because
    every row that could tell the difference is dated after it; status changes and other corrections that came
    later are the exception that the contract names, so orders and corrected entities stay out."""
    source = world / "landing"
    whole, part = tmp_path / "whole", tmp_path / "part"
    shutil.copytree(source / "touchpoints", whole / "touchpoints")
    copy_batches(whole, part, None, "2026-05-15")
    build_models(whole, tmp_path / "w1", "customers", as_of_date="2026-05-15")
    build_models(part, tmp_path / "w2", "customers", as_of_date="2026-05-15")
    columns = (
        "customer_id, brand_id, touchpoint_count, active_days, first_activity_on, last_activity_on"
    )
    question = f"select {columns} from marts.customers order by all"
    assert ask(tmp_path / "w1", question) == ask(tmp_path / "w2", question) != []
    build_models(whole, tmp_path / "w1", "customers")
    assert ask(tmp_path / "w1", question) != ask(tmp_path / "w2", question)
    build_models(whole, tmp_path / "w1", "customers", as_of_date="2026-05-15")
    assert ask(tmp_path / "w1", question) == ask(tmp_path / "w2", question)


def test_a_broken_batch_is_held_and_named_while_the_others_go_on(world, tmp_path):
    landing, workspace = tmp_path / "landing", tmp_path / "workspace"
    shutil.copytree(world / "landing" / "orders", landing / "orders")
    victim = sorted((landing / "orders").glob("dt=*/*.parquet"))[-1]
    sound = victim.read_bytes()
    victim.write_bytes(sound[: len(sound) // 2])
    chosen = settings(landing, workspace)
    land_only(chosen, lambda line: None)
    chosen.dbt.build(lambda line: None, select=["+fct_orders", "+batches"])
    (held,) = held_batches(chosen)
    assert (held.entity, held.batch) == ("orders", victim.parent.name)
    assert victim.name in held.reasons
    assert ask(workspace, "select status, count(*) from audit.batches group by 1 order by 1")[
        1
    ] == (
        "held",
        1,
    )
    assert ask(workspace, "select count(*) > 0 from lifecycle.fct_orders") == [(True,)]
    victim.write_bytes(sound)
    assert land_only(chosen, lambda line: None).held == held_batches(chosen) == []


def test_a_failed_build_leaves_what_was_built_and_the_next_run_catches_up(
    world, warehouse, tmp_path
):
    landing, workspace = tmp_path / "landing", tmp_path / "workspace"
    copy_batches(world / "landing", landing, None, "2026-05-31")
    refresh_below_marts(landing, workspace)
    copy_batches(world / "landing", landing, "2026-05-31", "2026-06-30")
    # The process dies after the intake has committed and before dbt has built anything.
    crash = (
        "import os, sys; from pathlib import Path; from orchestration import job; from support import settings;"
        "job.Dbt.build = lambda *a, **k: os._exit(9);"
        "job.run(settings(Path(sys.argv[1]), Path(sys.argv[2])), print)"
    )
    died = subprocess.run(
        [sys.executable, "-c", crash, landing, workspace],
        cwd=PROJECT,
        env={"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests/python'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert died.returncode == 9, died.stderr
    land(landing, workspace)
    assert mart_rows(workspace) == mart_rows(warehouse)  # which has landed everything at once


def test_a_workspace_serves_one_landing_folder(world, warehouse, tmp_path):
    (tmp_path / "other" / "orders").mkdir(parents=True)
    with pytest.raises(LandingError, match="holds the warehouse of"):
        run(settings(tmp_path / "other", warehouse), lambda line: None)


def test_dbt_alone_builds_empty_marts_before_anything_has_landed(tmp_path):
    """`dbt build` with nothing but the profile."""
    (tmp_path / "ws").mkdir()
    built = subprocess.run(
        [
            Path(sys.executable).with_name("dbt"),
            *("build", "--quiet", "--project-dir", PROJECT, "--profiles-dir", PROJECT / "profiles"),
            *("--target-path", tmp_path / "target", "--log-path", tmp_path / "logs"),
        ],
        env={
            "QUANYU_WORKSPACE": str(tmp_path / "ws"),
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert ask(tmp_path / "ws", "select count(*) from marts.customers") == [(0,)]


@pytest.mark.parametrize(
    ("landing", "words"),
    [("nowhere", "does not exist"), ("a_file", "is a file"), ("empty", "touchpoints")],
)
def test_an_unusable_landing_folder_ends_in_one_sentence_and_exit_2(landing, words, tmp_path):
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "empty").mkdir()
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "orchestration", "run"),
            *("--landing", tmp_path / landing, "--workspace", tmp_path / "ws"),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert words in ended.stderr and "Traceback" not in ended.stderr
