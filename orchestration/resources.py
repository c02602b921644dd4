"""Where the warehouse lies, for every asset; and dbt's command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from dagster import ConfigurableResource
from dagster_dbt import DbtCliResource, DbtProject
from packaging.version import parse

from orchestration.intake import read_registry
from orchestration.job import Settings, locate
from orchestration.partitions import as_of_date, newest_batch
from orchestration.warehouse import MANIFEST, PROJECT

# `dbt --version` asks the package index for the newest release, 4 s and a network call at every
# invocation. The installed version is what is wanted. Checked with dagster-dbt 0.29.27.
DbtCliResource._cli_version = property(lambda self: parse(version("dbt-core")))

ACCEPT_HELD, RETRY_HELD = "quanyu/accept_held", "quanyu/retry_held"


class Warehouse(ConfigurableResource):
    """The paths of one brand's warehouse."""

    landing: str
    workspace: str
    database: str
    serving: str
    memory_limit: str = "4GB"
    report_language: str = "zh"

    def settings(self, tags: Mapping[str, str], **options) -> Settings:
        """Settings of a run; its tags say whether held batches are judged again or done without."""
        return Settings(
            landing=Path(self.landing),
            workspace=Path(self.workspace),
            database=Path(self.database),
            serving=Path(self.serving),
            memory_limit=self.memory_limit,
            report_language=self.report_language,
            accept_held=is_set(tags, ACCEPT_HELD),
            retry_held=is_set(tags, RETRY_HELD),
            **options,
        )

    def settings_for(self, tags: Mapping[str, str], partition_keys: list[str]) -> Settings:
        """Settings of a run over these days."""
        newest = newest_batch(read_registry(Path(self.workspace)).values())
        return self.settings(tags, as_of_date=as_of_date(partition_keys, newest))


def is_set(tags: Mapping[str, str], name: str) -> bool:
    """Whether a run's tag says yes."""
    return tags.get(name, "").strip().lower() in {"1", "true", "yes"}


def warehouse_from(environ: Mapping[str, str]) -> Warehouse:
    """The warehouse that the environment names, else that of the demo world."""
    paths = [
        Path(value) if (value := environ.get(f"QUANYU_{name}")) else None
        for name in ("LANDING", "WORKSPACE", "DATABASE", "SERVING")
    ]
    located = locate(*paths)
    return Warehouse(
        landing=str(located.landing),
        workspace=str(located.workspace),
        database=str(located.database),
        serving=str(located.published),
        memory_limit=environ.get("QUANYU_MEMORY", located.memory_limit),
        report_language=environ.get("QUANYU_REPORT_LANGUAGE", located.report_language),
    )


def dbt_project() -> DbtProject:
    """The dbt project, parsed unless its manifest is there; `make ui` parses it anew at every start."""
    if not MANIFEST.exists():
        warehouse_from(os.environ).settings({}).dbt.parse()
    return DbtProject(
        project_dir=PROJECT, profiles_dir=PROJECT / "profiles", target_path=MANIFEST.parent
    )


def dbt_resource() -> DbtCliResource:
    """dbt of this virtual environment."""
    return DbtCliResource(
        project_dir=os.fspath(PROJECT),
        profiles_dir=os.fspath(PROJECT / "profiles"),
        dbt_executable=os.fspath(Path(sys.executable).with_name("dbt")),
    )
