"""Start Dagster's web server and daemon on one workspace, on localhost and without telemetry."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestration.job import Settings
from orchestration.warehouse import environment_with

# One run at a time holds a pool, so the DuckDB file has one writer; the next run waits in the queue.
INSTANCE = """\
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  pools: {default_limit: 1, granularity: run}
"""


def dagster_home(settings: Settings) -> Path:
    """Folder of Dagster's own state, with its settings written on first use."""
    home = settings.workspace / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(INSTANCE, encoding="utf-8")
    return home


def environment(settings: Settings) -> dict[str, str]:
    """What the code location reads: where things lie, and that nothing calls home."""
    return {
        "QUANYU_LANDING": str(settings.landing),
        "QUANYU_WORKSPACE": str(settings.workspace),
        "QUANYU_DATABASE": str(settings.database),
        "QUANYU_SERVING": str(settings.published),
        "QUANYU_MEMORY": settings.memory_limit,
        "DAGSTER_HOME": str(dagster_home(settings)),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONWARNINGS": "ignore",
    }


def command(python: str, port: int) -> list[str]:
    """The server's command line: `dagster` beside the interpreter, our definitions, loopback only."""
    dagster = str(Path(python).with_name("dagster"))
    return [dagster, "dev", "-m", "orchestration.definitions", "-h", "127.0.0.1", "-p", str(port)]


def start(settings: Settings, port: int, environ: Mapping[str, str] = os.environ) -> None:
    """Become the server; does not return."""
    arguments = command(sys.executable, port)
    # dbt's helper process outlives it by a moment and would warn of semaphores that it has to clean up.
    with environment_with({"PYTHONWARNINGS": "ignore"}):
        settings.dbt.parse()
    os.execve(arguments[0], arguments, {**environ, **environment(settings)})
