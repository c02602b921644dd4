"""`python -m orchestration run`: the daily job from the command line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import NoReturn

import click
import duckdb

from orchestration import built
from orchestration.audiences import RuleError, check_rules
from orchestration.erasure import ErasureError
from orchestration.exports import ExportError
from orchestration.faults import diagnose, told, write_trace
from orchestration.gate import GateError
from orchestration.intake import LandingError
from orchestration.job import (
    Settings,
    conclude,
    export_audience,
    hold_of_batches,
    hold_of_error,
    locate,
    make_demo,
    report_lines,
    run,
    tell,
    write_report,
)
from orchestration.report.words import LANGUAGES
from orchestration.serving import ServingError, rollback
from orchestration.warehouse import BuildError


@click.group()
def main() -> None:
    """Quanyu (全域): from landing files to consumer-operations marts."""


def locations(command: Callable) -> Callable:
    """The options that say where things lie; every command has the same."""
    for option in (
        click.option(
            "--serving",
            type=click.Path(path_type=Path),
            envvar="QUANYU_SERVING",
            help="Folder of the published versions. Default: serving in the workspace.",
        ),
        click.option(
            "--database",
            type=click.Path(path_type=Path),
            envvar="QUANYU_DATABASE",
            help="Warehouse file. Default: warehouse.duckdb in the workspace.",
        ),
        click.option(
            "--workspace",
            type=click.Path(path_type=Path),
            envvar="QUANYU_WORKSPACE",
            help="Folder for lake, warehouse, gate results and logs. Default: var/<name of the landing folder>.",
        ),
        click.option(
            "--landing",
            type=click.Path(path_type=Path),
            envvar="QUANYU_LANDING",
            help="Landing folder (DESIGN: landing contract). Default: the demo world, made when it is missing.",
        ),
    ):
        command = option(command)
    return command


language_option = click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="zh",
    show_default=True,
    envvar="QUANYU_REPORT_LANGUAGE",
    help="Language of the health report.",
)


@main.command("run")
@locations
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    envvar="QUANYU_AS_OF_DATE",
    help="Look at this day instead of the newest one; later rows are invisible.",
)
@click.option("--memory", default="4GB", show_default=True, envvar="QUANYU_MEMORY")
@click.option("--retry-held", is_flag=True, help="Judge held batches again.")
@click.option("--accept-held", is_flag=True, help="Publish although batches are held.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
@language_option
def run_command(
    landing: Path | None,
    workspace: Path | None,
    database: Path | None,
    serving: Path | None,
    as_of: datetime | None,
    memory: str,
    retry_held: bool,
    accept_held: bool,
    full_refresh: bool,
    language: str,
) -> None:
    """Land, judge, build and publish: everything new in the landing folder, once."""
    started = time.monotonic()
    if landing is None:
        make_demo(click.echo)
    settings = locate(
        landing,
        workspace,
        database,
        serving,
        as_of_date=date.isoformat(as_of) if as_of else None,
        memory_limit=memory,
        retry_held=retry_held,
        full_refresh=full_refresh,
        accept_held=accept_held,
        report_language=language,
    )
    try:
        outcome = run(settings, click.echo)
        hold = hold_of_batches(settings, outcome.blocking) if outcome.blocking else None
        conclude(settings, hold)
        click.echo("\n".join(report_lines(settings, outcome)))
        _report(settings, alerting=True, is_known=outcome.build is None and not outcome.blocking)
    except Exception as error:
        _give_up(settings, error)
    click.echo(f"done in {time.monotonic() - started:.0f} s")


def _give_up(settings: Settings, error: Exception) -> NoReturn:
    """Say what stopped the run and what to do, mark the day's report as held where that can be written, and exit:
    2 when nothing was done (the landing folder cannot be used, another run is at work), else 1.
    """
    fault = diagnose(error, settings.place)
    if isinstance(error, LandingError) and not fault:
        click.echo(f"landing: {error}", err=True)
        sys.exit(2)
    if fault or isinstance(error, (GateError, RuleError, BuildError, ErasureError, ServingError)):
        click.echo(told(error, settings.place), err=True)
    else:
        click.echo(f"unexpected: {type(error).__name__}: {error}", err=True)
        if trace := write_trace(error, settings.workspace):
            click.echo(f"the trace is in {trace}: please report it", err=True)
    try:
        conclude(settings, hold_of_error(settings, error))
        _report(settings, err=True, alerting=True)
    except Exception as again:
        # The same fault, most likely: the first message is the one that counts.
        click.echo(f"the report could not be marked as held: {type(again).__name__}", err=True)
    sys.exit(1)


def _report(
    settings: Settings, *, err: bool = False, alerting: bool = False, is_known: bool = False
) -> None:
    """Write the health report, unless it `is_known` from the last run, say where it lies, and alert whom the environment
    names.
    """
    workspace, language = settings.workspace, settings.report_language
    known = built.reports(workspace, language) if is_known else []
    index, *pages = known or write_report(settings)
    if not known:
        built.note_reports(workspace, language, [index, *pages])
    lines = [f"report     {page}" for page in pages or [index]]
    for line in lines + (tell(settings, pages) if alerting else []):
        click.echo(line, err=err)


@main.command("report")
@locations
@language_option
def report_command(language: str, **paths: Path | None) -> None:
    """Write the health report of the warehouse's day again, without building data."""
    settings = locate(**paths, report_language=language)
    if not settings.database.is_file():
        click.echo(
            f"there is no warehouse at {settings.database}: build it first (make run)", err=True
        )
        sys.exit(2)
    try:
        _report(settings)
    except (duckdb.Error, ValueError) as error:
        click.echo(f"report: {error}", err=True)
        sys.exit(1)


@main.command("rules")
def rules_command() -> None:
    """Check the rules of tags and audiences (seeds) without building anything."""
    try:
        click.echo(f"rules      {check_rules()} tags and audiences, no error")
    except RuleError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


@main.command("ui")
@locations
@click.option("--port", default=3000, show_default=True)
@click.option("--memory", default="4GB", show_default=True, envvar="QUANYU_MEMORY")
def ui_command(port: int, memory: str, **paths: Path | None) -> None:
    """Dagster's web UI on localhost: asset graph, schedule, sensor. Ctrl-C ends it."""
    from orchestration.ui import start

    if paths["landing"] is None:
        make_demo(click.echo)
    start(locate(**paths, memory_limit=memory), port)


@main.command("publish-postgres")
@locations
@click.option(
    "--postgres",
    envvar="QUANYU_POSTGRES",
    help="Where to, as postgresql://user:password@host:port/database. Default: the server that bi-up started.",
)
@click.option("--port", default=5439, show_default=True, envvar="QUANYU_BI_PORT")
def publish_postgres_command(postgres: str | None, port: int, **paths: Path | None) -> None:
    """Put the version that readers see into PostgreSQL, for BI tools."""
    from orchestration.postgres import PostgresError, publish

    settings = locate(**paths)
    try:
        server = _server(settings, port)
        manifest = publish(settings.published, postgres or server.conninfo())
    except PostgresError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    rows = sum(table["rows"] for table in manifest["tables"])
    click.echo(f"postgres   {manifest['version']}: {len(manifest['tables'])} tables, {rows:,} rows")


@main.command("bi-up")
@locations
@click.option("--port", default=5439, show_default=True, envvar="QUANYU_BI_PORT")
def bi_up_command(port: int, **paths: Path | None) -> None:
    """Start a PostgreSQL server for BI tools on loopback, and publish into it."""
    from orchestration.postgres import NAME, READER, PostgresError, publish

    settings = locate(**paths)
    server = _server(settings, port)
    try:
        server.start()
        manifest = publish(settings.published, server.conninfo())
    except PostgresError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(f"postgres   {manifest['version']} on 127.0.0.1:{port}, database {NAME}")
    click.echo(f"           user {READER}, password in {server.folder / f'{READER}.password'}")


@main.command("bi-down")
@locations
def bi_down_command(**paths: Path | None) -> None:
    """Stop the server that bi-up started; its data stays."""
    from orchestration.postgres import PostgresError

    try:
        _server(locate(**paths), 0).stop()
    except PostgresError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _server(settings: Settings, port: int):
    from orchestration.postgres import Server

    return Server(settings.workspace / "postgres", port)


@main.command("export")
@click.argument("audience")
@click.argument("channel")
@click.option("--brand", help="One brand. Default: a list for each brand of the audience.")
@locations
def export_command(audience: str, channel: str, brand: str | None, **paths: Path | None) -> None:
    """Write the list of AUDIENCE for CHANNEL (seed export_channels) into the workspace's folder exports."""
    settings = locate(**paths)
    try:
        done = export_audience(settings, audience, channel, brand)
    except (ExportError, duckdb.Error) as error:
        click.echo(f"export: {error}", err=True)
        sys.exit(2)
    for each in done:
        click.echo(
            f"exported   {each.customers:,} of {each.members:,} people of {each.audience}"
            f" ({each.brand_id}) for {each.export_channel}: left out {each.held_out:,} held out,"
            f" {each.without_consent:,} without consent, {each.suppressed:,} suppressed,"
            f" {each.capped:,} at a cap, {each.without_identifier:,} without an identifier"
        )
        click.echo(f"           {settings.workspace / 'exports' / each.folder}")


@main.command("rollback")
@click.argument("serving", type=click.Path(path_type=Path, exists=True))
@click.argument("version", required=False)
def rollback_command(serving: Path, version: str | None) -> None:
    """Let readers of the folder SERVING see VERSION, or the version before the current one."""
    try:
        click.echo(f"published  {rollback(serving, version)}")
    except ServingError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
