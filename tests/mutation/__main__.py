"""python -m tests.mutation [--groups a,b] [--models a,b] [--most N]: judge mutants, then write docs/mutation.md."""

from __future__ import annotations

from pathlib import Path

import click

from tests.mutation import page
from tests.mutation.runner import GROUPS, TARGET, main

KEPT = Path(__file__).parents[2] / "target" / "mutation.json"


@click.command()
@click.option("--groups", default="", help=f"of {', '.join(GROUPS)}; none: all")
@click.option("--models", default="", help="these models only")
@click.option("--most", default=20, help="mutants per model, at most")
@click.option("--keep", type=click.Path(path_type=Path), default=KEPT, help="verdicts so far")
@click.option("--workspace", type=click.Path(path_type=Path), help="keep what is built here")
def command(groups: str, models: str, most: int, keep: Path, workspace: Path | None) -> None:
    if not groups and not models:
        keep.unlink(missing_ok=True)
    killed = main(
        [g for g in groups.split(",") if g],
        [m for m in models.split(",") if m],
        most,
        keep,
        workspace,
    )
    page.write(keep, keep.with_suffix(".md") if keep != KEPT else page.PAGE)
    if killed < TARGET:
        click.echo(f"below the target of {TARGET:.0%}: docs/mutation.md names the survivors")


command()
