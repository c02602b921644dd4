"""python -m tests.mutation [--groups a,b] [--models a,b] [--most N] [--workers N]: judge mutants. A run of all groups, or
the last of several that add to each other (--onto), writes docs/mutation.md; any other one a page beside its verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tests.mutation import page
from tests.mutation.runner import GROUPS, TARGET, main

KEPT = Path(__file__).parents[2] / "target" / "mutation.json"


@click.command()
@click.option("--groups", default="", help=f"of {', '.join(GROUPS)}; none: all")
@click.option("--models", default="", help="these models only")
@click.option("--most", default=20, help="mutants per model, at most")
@click.option("--workers", default=2, help="groups judged at one time")
@click.option("--keep", type=click.Path(path_type=Path), default=KEPT, help="verdicts of this run")
@click.option("--onto", is_flag=True, help="add to the verdicts that are kept")
@click.option("--again", is_flag=True, help="only the survivors of the verdicts that are kept")
@click.option("--workspace", type=click.Path(path_type=Path), help="keep what is built here")
def command(
    groups: str,
    models: str,
    most: int,
    workers: int,
    keep: Path,
    onto: bool,
    again: bool,
    workspace: Path | None,
) -> None:
    killed = main(
        [g for g in groups.split(",") if g],
        [m for m in models.split(",") if m],
        most,
        workers,
        keep,
        workspace,
        onto,
        again,
    )
    judged = set(json.loads(keep.read_text(encoding="utf-8"))["cpu_seconds"])
    whole = judged == set(GROUPS) and not models and keep == KEPT
    written = page.PAGE if whole else keep.with_suffix(".md")
    page.write(keep, written)
    if killed < TARGET:
        click.echo(f"below the target of {TARGET:.0%}: {written} names the survivors")


if __name__ == "__main__":
    command()
