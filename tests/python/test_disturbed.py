"""Disturbances: readers that never stop while the job publishes, and a job that is killed in the middle of anything."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from support import PROJECT, copy_batches, land, mart_hashes

from demo.world import build

# One reader: opens what is current, and finds the same day in every table that has one, and in the manifest beside it.
READER = """
import json, os, sys, time, duckdb
serving, stop, ready = sys.argv[1:]
seen, reads = set(), 0
while not os.path.exists(stop):
    version = os.path.realpath(serving + '/current')
    with duckdb.connect(version + '/quanyu.duckdb', read_only=True) as reader:
        days = {
            str(reader.execute(query).fetchone()[0])
            for query in (
                'select as_of_date from reference.as_of',
                'select max(as_of_date) from marts.fast_daily',
                'select max(as_of_date) from marts.stage_daily',
                'select max(to_date) from marts.stage_flows',
            )
        }
    assert len(days) == 1 and version.split('/')[-1].startswith(*days), (version, days)
    seen |= days
    reads += 1
    open(ready, 'w').close()
    time.sleep(0.2)  # eight loops without a pause would starve the job that they are to watch
print(reads, *sorted(seen))
"""


@pytest.mark.soak
def test_eight_readers_see_no_error_and_no_mixed_day_while_five_refreshes_run(tmp_path):
    build(
        tmp_path / "world", people=150, days=60, until=date(2026, 6, 30), progress=lambda line: None
    )
    source, landing, workspace = tmp_path / "world/landing", tmp_path / "landing", tmp_path / "ws"
    copy_batches(source, landing, None, "2026-06-25")
    land(landing, workspace)
    stop = tmp_path / "stop"
    ready = [tmp_path / f"ready{number}" for number in range(8)]
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, workspace / "serving", stop, mark],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mark in ready
    ]
    try:
        while not all(mark.exists() for mark in ready):
            assert all(reader.poll() is None for reader in readers)
            time.sleep(0.1)
        for day in range(26, 31):
            copy_batches(source, landing, f"2026-06-{day - 1}", f"2026-06-{day}")
            assert land(landing, workspace).publication.is_new
    finally:
        stop.touch()
        said = [reader.communicate(timeout=120) for reader in readers]
    days: set[str] = set()
    for reader, (out, complaints) in zip(readers, said, strict=True):
        assert reader.returncode == 0, complaints
        days |= set(out.split()[1:])
        print(f"reads {out.split()[0]}")
    assert {f"2026-06-{day}" for day in range(26, 30)} <= days


def kill_after(landing: Path, workspace: Path, lines: int, seconds: float) -> str:
    """Start the daily job and kill it so many lines and seconds later; the last line it said, '' when it had ended.

    Lines stand for progress, whatever the speed of the machine: one per landed entity and per built model.
    """
    job = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "orchestration", "run"),
            *("--landing", landing, "--workspace", workspace),
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    last = ""
    for _ in range(lines):
        line = job.stdout.readline()
        if not line:
            break
        last = line.strip()
    time.sleep(seconds)
    is_running = job.poll() is None
    os.killpg(job.pid, signal.SIGKILL) if is_running else None
    job.stdout.close()
    job.wait()
    return last if is_running else ""


def a_started_week(world: Path, folder: Path) -> tuple[Path, Path, Path]:
    """A workspace that has the world but its last days, those days landed, and the marts of an undisturbed run."""
    landing, workspace = folder / "landing", folder / "workspace"
    copy_batches(world, landing, None, "2026-06-22")
    land(landing, workspace)
    copy_batches(world, landing, "2026-06-22", "2026-06-30")
    undisturbed = folder / "undisturbed"
    shutil.copytree(workspace, undisturbed, symlinks=True)
    land(landing, undisturbed)
    return landing, workspace, undisturbed


def test_a_job_that_is_killed_three_times_in_a_row_ends_in_the_marts_of_an_undisturbed_one(
    world, warehouse, tmp_path
):
    chance = random.Random(20260630)
    landing, workspace = world / "landing", tmp_path / "workspace"
    moments = [(chance.randint(1, 90), chance.uniform(0, 2)) for _ in range(3)]
    for lines, seconds in moments:
        assert kill_after(landing, workspace, lines, seconds), (lines, seconds)
    land(landing, workspace)
    assert mart_hashes(workspace, tmp_path / "killed") == mart_hashes(warehouse, tmp_path / "whole")


@pytest.mark.soak
def test_after_a_kill_at_any_of_twenty_moments_the_next_run_ends_in_the_marts_of_an_undisturbed_one(
    tmp_path,
):
    build(
        tmp_path / "world", people=150, days=60, until=date(2026, 6, 30), progress=lambda line: None
    )
    landing, started, undisturbed = a_started_week(tmp_path / "world" / "landing", tmp_path)
    expected = mart_hashes(undisturbed, tmp_path / "expected")
    chance = random.Random(int(os.environ.get("QUANYU_KILL_SEED", "1")))
    for number in range(20):
        workspace = tmp_path / "disturbed"
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.copytree(started, workspace, symlinks=True)
        lines, seconds = chance.randint(1, 125), chance.uniform(0, 3)
        last = kill_after(landing, workspace, lines, seconds)
        print(
            f"kill {number + 1}: after {lines} lines and {seconds:.1f} s, at `{last or 'its end'}`"
        )
        serving = workspace / "serving" / "current" / "manifest.json"
        assert serving.exists()  # readers always have a version
        land(landing, workspace)
        assert mart_hashes(workspace, tmp_path / f"found{number}") == expected, (lines, seconds)
        shutil.rmtree(tmp_path / f"found{number}")
