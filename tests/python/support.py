"""What the end-to-end tests share: the real landings, a run of the daily job, and the marts as bytes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration.job import Outcome, Settings, run
from orchestration.job import land as land_only

PROJECT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("QUANYU_SHARED", PROJECT.parent / "shared"))


def real_landing(name: str) -> Path:
    """Folder of a real landing; skips the test where the files are not."""
    folder = SHARED / "landing" / name
    if not folder.is_dir():
        pytest.skip(
            f"{folder} is absent: set QUANYU_SHARED to the folder that holds landing/{name}"
        )
    return folder


def settings(landing: Path, workspace: Path, **options) -> Settings:
    return Settings(landing, workspace, workspace / "warehouse.duckdb", **options)


def land(landing: Path, workspace: Path, **options) -> Outcome:
    """One run of the daily job, silent."""
    return run(settings(landing, workspace, **options), lambda line: None)


def build_models(landing: Path, workspace: Path, *models: str, **options) -> None:
    """Land what is new and build these models with what they are made of, without tests: for questions to a few tables,
    which a whole build would answer at ten times the cost.
    """
    chosen = settings(landing, workspace, **options)
    land_only(chosen, lambda line: None)
    chosen.dbt.build(lambda line: None, select=[f"+{model}" for model in models])


def refresh_below_marts(landing: Path, workspace: Path) -> None:
    """A refresh that stops below the marts: these keep no state and are built again from what lies below them."""
    chosen = settings(landing, workspace)
    land_only(chosen, lambda line: None)
    chosen.dbt._invoke(
        [
            *("build", "--quiet", "--exclude", "path:models/marts+"),
            *("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
        ]
    )


def built_once(tmp_path_factory, name: str, build: Callable[[Path], None]) -> Path:
    """A folder that `build` fills, as the caller's own. The first worker that needs it builds, the others copy it."""
    own = tmp_path_factory.mktemp(name)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        build(own)
        return own
    shared = tmp_path_factory.getbasetemp().parent / f"built_once_{name}"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            draft = shared.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            build(own)
            # Times stay as they are: the intake and the job go by them.
            shutil.copytree(own, draft, symlinks=True)
            draft.rename(shared)
            return own
    shutil.copytree(shared, own, symlinks=True, dirs_exist_ok=True)
    return own


def ask(workspace: Path, sql: str) -> list[tuple]:
    """Rows of a query on the warehouse of a workspace."""
    with duckdb.connect(str(workspace / "warehouse.duckdb"), read_only=True) as warehouse:
        return warehouse.execute(sql).fetchall()


def tables(workspace: Path, schema: str) -> list[str]:
    return [
        name
        for (name,) in ask(
            workspace,
            "select table_name from information_schema.tables"
            f" where table_schema = '{schema}' order by table_name",
        )
    ]


def mart_hashes(workspace: Path, folder: Path) -> dict[str, str]:
    """SHA-256 of every mart as a Parquet file in `folder`, rows in the order in which the table holds them.

    Not the bytes: pytest takes ten minutes to show how two such dictionaries differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(workspace / "warehouse.duckdb"), read_only=True) as warehouse:
        for name in tables(workspace, "marts"):
            warehouse.execute(f"copy marts.{name} to '{folder / name}.parquet' (format parquet)")
    return {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.parquet"))
    }


def mart_rows(workspace: Path) -> dict[str, list[tuple]]:
    """Every mart as sorted rows: for comparisons whose failure a person must read."""
    return {
        name: sorted(ask(workspace, f"select * from marts.{name}"), key=repr)
        for name in tables(workspace, "marts")
    }


def copy_batches(source: Path, target: Path, first_day: str | None, last_day: str) -> None:
    """Deliver the batches of (first_day, last_day]; undated files come with the first delivery."""
    for entity in sorted(path for path in source.iterdir() if path.is_dir()):
        for item in sorted(entity.iterdir()):
            day = item.name.removeprefix("dt=") if item.name.startswith("dt=") else None
            if day is None and first_day is None:
                (target / entity.name).mkdir(parents=True, exist_ok=True)
                shutil.copy2(item, target / entity.name / item.name)
            elif day and (first_day is None or day > first_day) and day <= last_day:
                shutil.copytree(item, target / entity.name / item.name)
