"""docs/mutation.md from the verdicts kept and the explanations beside the suite."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from tests.mutation import seeds
from tests.mutation.operators import OPERATORS
from tests.mutation.runner import GROUPS, PROJECT, TARGET, explanations, rate, summary

PAGE = PROJECT / "docs" / "mutation.md"


def models_of_project() -> set[str]:
    return {path.stem for path in (PROJECT / "models").rglob("*.sql")}


def write(keep: Path, page: Path = PAGE) -> None:
    """Counts by model and operator, every survivor with what is said about it, and the models without mutants."""
    run = json.loads(keep.read_text(encoding="utf-8"))
    page.write_text("\n".join(_lines(run, explanations())) + "\n", encoding="utf-8")


def _lines(run: dict, explained: dict[str, dict]) -> list[str]:
    records = list(run["verdicts"].values())
    by_model = defaultdict(list)
    by_operator = defaultdict(list)
    for record in records:
        by_model[record["model"]].append(record)
        by_operator[record["operator"]].append(record)
    whole = summary(records, explained)
    lines = [
        "# Mutation tests",
        "",
        "`make mutation` writes this page. One small thing is changed in the compiled SQL of a model, the model and what is",
        "built from it are built again on small worlds, and the project's own checks are asked: the second implementations in",
        "`tests/oracle/` and the figures checked by hand in `tests/python/`, dbt's data tests, and the contracts (types,",
        "`not null`, keys, checks). Rows of seeds that hold rules are changed likewise (`.csv` in the table), and dbt compiles the",
        "models anew from them. A mutant that none of them notices survives. A mutant that DuckDB cannot bind is not counted.",
        "A mutant means the same (*equivalent*) where a reason is given in `tests/mutation/survivors.yml`; the rate is killed",
        "out of those that do not.",
        "",
        f"**{whole['tried']} mutants of {len(by_model)} models and seeds: {whole['killed']} killed, {whole['equivalent']} equivalent,"
        f" {whole['survived']} survived: {rate(whole):.1%}; the target is {TARGET:.0%}.**",
        "",
        f"Judged were the groups {', '.join(sorted(run['cpu_seconds']))} (of {', '.join(GROUPS)}):",
        f"at most {run['most']} mutants of each model, {sum(run['cpu_seconds'].values()) / 60:.0f} CPU minutes. Of each model the same mutants are chosen each time, taking turns",
        "among the operators (`MOST=` more of them). Mutants are of full builds: what a refresh adds is the business of the",
        "replay and late-data tests.",
        "",
        "| Model | possible | tried | killed | equivalent | survived | rate |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for model, found in sorted(by_model.items()):
        counts = summary(found, explained)
        lines.append(
            f"| `{model}` | {max(r['of'] for r in found)} | {counts['tried']} | {counts['killed']} |"
            f" {counts['equivalent']} | {counts['survived']} | {rate(counts):.0%} |"
        )
    lines += [
        "",
        "## By operator",
        "",
        "| Operator | what it does | tried | killed | rate |",
        "|---|---|---:|---:|---:|",
    ]
    for operator, says in (OPERATORS | seeds.OPERATORS).items():
        counts = summary(by_operator[operator], explained)
        lines.append(
            f"| {operator} | {says} | {counts['tried']} | {counts['killed']} | {rate(counts):.0%} |"
        )
    alive = [r for r in records if r["status"] == "survived"]
    for title, is_wanted in (
        ("Survivors", lambda r: explained.get(r["id"], {}).get("is") != "equivalent"),
        ("Equivalent", lambda r: explained.get(r["id"], {}).get("is") == "equivalent"),
    ):
        lines += ["", f"## {title}", "", "| Mutant | change | why |", "|---|---|---|"]
        for record in sorted(filter(is_wanted, alive), key=lambda r: r["id"]):
            why = explained.get(record["id"], {}).get("why", "not looked at yet")
            change = record["change"].replace("|", "\\|").replace("`", "'")
            lines.append(f"| `{record['id']}` in {record['place']} | `{change}` | {why} |")
    without = sorted(models_of_project() - by_model.keys())
    lines += [
        "",
        "## Models without mutants",
        "",
        f"{len(without)} models have none on this page. Either no small world of a test holds them, so that their tests are",
        "those of the built demo world, of the landing and of identity, which take a whole build each; or their group was left",
        f"out when this page was written (the groups are {', '.join(GROUPS)}).",
        "",
        ", ".join(f"`{model}`" for model in without) + ".",
    ]
    return lines
