"""`python -m orchestration run` and `report`: the daily job from the command line."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, datetime
from pathlib import Path

import click
import duckdb

from orchestration.gate import GateError
from orchestration.intake import LandingError
from orchestration.job import Settings, report_lines, run, write_report
from orchestration.report.words import LANGUAGES
from orchestration.warehouse import PROJECT, BuildError

DEMO = PROJECT / "var" / "demo"


@click.group()
def main() -> None:
    """Quanyu (全域): from landing files to consumer-operations marts."""


landing_option = click.option(
    "--landing",
    type=click.Path(path_type=Path),
    envvar="QUANYU_LANDING",
    help="Landing folder (DESIGN: landing contract). Default: the demo world, made when it is missing.",
)
workspace_option = click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    envvar="QUANYU_WORKSPACE",
    help="Folder for lake, warehouse, gate results and logs. Default: var/<name of the landing folder>.",
)
database_option = click.option(
    "--database",
    type=click.Path(path_type=Path),
    envvar="QUANYU_DATABASE",
    help="Warehouse file. Default: warehouse.duckdb in the workspace.",
)
language_option = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="zh",
    show_default=True,
    envvar="QUANYU_REPORT_LANGUAGE",
    help="Language of the health report.",
)


@main.command("run")
@landing_option
@workspace_option
@database_option
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    envvar="QUANYU_AS_OF_DATE",
    help="Look at this day instead of the newest one; later rows are invisible.",
)
@click.option("--memory", default="4GB", show_default=True, envvar="QUANYU_MEMORY")
@click.option("--retry-held", is_flag=True, help="Judge held batches again.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
@language_option
def run_command(
    landing: Path | None,
    workspace: Path | None,
    database: Path | None,
    as_of: datetime | None,
    memory: str,
    retry_held: bool,
    full_refresh: bool,
    language: str,
) -> None:
    """Land, judge and build: everything new in the landing folder, once."""
    started = time.monotonic()
    if landing is None:
        landing = demo_landing()
        workspace = workspace or DEMO
    workspace, database = places(landing, workspace, database)
    settings = Settings(
        landing=landing,
        workspace=workspace,
        database=database,
        as_of_date=date.isoformat(as_of) if as_of else None,
        memory_limit=memory,
        retry_held=retry_held,
        full_refresh=full_refresh,
        report_language=language,
    )
    try:
        outcome = run(settings, click.echo)
    except LandingError as error:
        click.echo(f"landing: {error}", err=True)
        sys.exit(2)
    except (GateError, BuildError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo("\n".join(report_lines(settings, outcome) + write_report(settings)))
    click.echo(f"done in {time.monotonic() - started:.0f} s")


@main.command("report")
@landing_option
@workspace_option
@database_option
@language_option
def report_command(
    landing: Path | None, workspace: Path | None, database: Path | None, language: str
) -> None:
    """Write the health report of the warehouse's day again, without building data."""
    if landing is None:
        landing, workspace = DEMO / "world" / "landing", workspace or DEMO
    workspace, database = places(landing, workspace, database)
    if not database.is_file():
        click.echo(f"there is no warehouse at {database}: build it first (make run)", err=True)
        sys.exit(2)
    settings = Settings(landing, workspace, database, report_language=language)
    try:
        click.echo("\n".join(write_report(settings)))
    except (duckdb.Error, ValueError) as error:
        click.echo(f"report: {error}", err=True)
        sys.exit(1)


def places(landing: Path, workspace: Path | None, database: Path | None) -> tuple[Path, Path]:
    """Workspace and warehouse file, absolute: as given, else named after the landing folder."""
    workspace = Path(os.path.abspath(workspace or PROJECT / "var" / landing.resolve().name))
    return workspace, Path(os.path.abspath(database or workspace / "warehouse.duckdb"))


def demo_landing() -> Path:
    """Landing folder of the demo world, made on the first run."""
    from demo.world import build

    build(DEMO / "world", progress=lambda line: click.echo(f"demo       {line}"))
    return DEMO / "world" / "landing"


if __name__ == "__main__":
    main()
