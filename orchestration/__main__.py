"""`python -m orchestration run`: the daily job from the command line."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, datetime
from pathlib import Path

import click

from orchestration.gate import GateError
from orchestration.intake import LandingError
from orchestration.job import Settings, report_lines, run
from orchestration.warehouse import PROJECT, BuildError

DEMO = PROJECT / "var" / "demo"


@click.group()
def main() -> None:
    """Quanyu (全域): from landing files to consumer-operations marts."""


@main.command("run")
@click.option(
    "--landing",
    type=click.Path(path_type=Path),
    envvar="QUANYU_LANDING",
    help="Landing folder (DESIGN: landing contract). Default: the demo world, made when it is missing.",
)
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    envvar="QUANYU_WORKSPACE",
    help="Folder for lake, warehouse, gate results and logs. Default: var/<name of the landing folder>.",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    envvar="QUANYU_DATABASE",
    help="Warehouse file. Default: warehouse.duckdb in the workspace.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    envvar="QUANYU_AS_OF_DATE",
    help="Look at this day instead of the newest one; later rows are invisible.",
)
@click.option("--memory", default="4GB", show_default=True, envvar="QUANYU_MEMORY")
@click.option("--retry-held", is_flag=True, help="Judge held batches again.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
def run_command(
    landing: Path | None,
    workspace: Path | None,
    database: Path | None,
    as_of: datetime | None,
    memory: str,
    retry_held: bool,
    full_refresh: bool,
) -> None:
    """Land, judge and build: everything new in the landing folder, once."""
    started = time.monotonic()
    if landing is None:
        landing = demo_landing()
        workspace = workspace or DEMO
    workspace = Path(os.path.abspath(workspace or PROJECT / "var" / landing.resolve().name))
    settings = Settings(
        landing=landing,
        workspace=workspace,
        database=Path(os.path.abspath(database or workspace / "warehouse.duckdb")),
        as_of_date=date.isoformat(as_of) if as_of else None,
        memory_limit=memory,
        retry_held=retry_held,
        full_refresh=full_refresh,
    )
    try:
        outcome = run(settings, click.echo)
    except LandingError as error:
        click.echo(f"landing: {error}", err=True)
        sys.exit(2)
    except (GateError, BuildError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo("\n".join(report_lines(settings, outcome)))
    click.echo(f"done in {time.monotonic() - started:.0f} s")


def demo_landing() -> Path:
    """Landing folder of the demo world, made on the first run."""
    from demo.world import build

    build(DEMO / "world", progress=lambda line: click.echo(f"demo       {line}"))
    return DEMO / "world" / "landing"


if __name__ == "__main__":
    main()
