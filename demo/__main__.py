"""Command line of the demo world: `python -m demo --out DIR`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from demo.world import (
    DEFAULT_DAYS,
    DEFAULT_PEOPLE,
    DEFAULT_SEED,
    DEFAULT_UNTIL,
    build,
    describe,
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--people", default=DEFAULT_PEOPLE, show_default=True, help="Size of the world.")
@click.option("--seed", default=DEFAULT_SEED, show_default=True, help="Seed of every draw.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    default=DEFAULT_UNTIL.isoformat(),
    show_default=True,
    help="Last day of the world.",
)
@click.option("--days", default=DEFAULT_DAYS, show_default=True, help="Length of the world.")
def main(out: Path, people: int, seed: int, until: dt.datetime, days: int) -> None:
    """Make a landing of an invented consumer group, and the truth behind it."""
    try:
        summary = build(out, people, seed, until.date(), days, progress=click.echo)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(describe(summary))
    click.echo(f"landing: {out / 'landing'}\ntruth:   {out / 'truth'}")


if __name__ == "__main__":
    main()
