"""Runs mutants, keeps what became of each, and writes docs/mutation.md."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import yaml

from tests.mutation import built, made_up, units
from tests.mutation.operators import Mutant, mutants
from tests.mutation.seeds import SeedMutant, seed_mutants
from tests.mutation.worlds import Verdict

PROJECT = Path(__file__).parents[2]
EXPLANATIONS = Path(__file__).with_name("survivors.yml")
TARGET = 0.95

# The slowest first.
GROUPS: dict[str, Callable[[Path], Iterable]] = {
    "stages": lambda workspace: [built.stage_world(workspace)],
    "growth": lambda workspace: [made_up.growth_world(workspace)],
    "star": made_up.star_worlds,
    "rfm": made_up.rfm_worlds,
    "fast": lambda workspace: [made_up.fast_world(workspace)],
    "value": made_up.value_worlds,
    "clv": lambda workspace: [made_up.clv_world(workspace)],
    "audiences": made_up.audience_worlds,
    "shared": lambda workspace: [made_up.shared_world(workspace)],
}


def chosen(every: list[Mutant], most: int) -> list[Mutant]:
    """At most so many, the same ones each time, taking turns among the operators."""
    by_operator = defaultdict(list)
    for mutant in sorted(every, key=lambda m: m.id.rsplit(":", 1)[-1]):
        by_operator[mutant.operator].append(mutant)
    turns: list[Mutant] = []
    while any(by_operator.values()) and len(turns) < most:
        turns += [found.pop(0) for found in by_operator.values() if found]
    return turns[:most]


class Run:
    """Worlds that were asked for, and verdicts by mutant id."""

    def __init__(self, groups: Iterable[str], workspace: Path, say: Callable[[str], None]) -> None:
        self.say = say
        self.worlds = []
        self.possible: set[str] = set()
        """Ids of all mutants of the models that were judged, chosen or not."""
        for group in groups:
            began = time.process_time()
            worlds = list(GROUPS[group](workspace / group))
            models = {m: w.models[m][1] for w in reversed(worlds) for m in w.judged}
            manifest = workspace / group / "target" / "manifest.json"
            # The smallest first: what they kill, the others need not look at.
            self.worlds = [*units.unit_worlds(manifest, models, say), *self.worlds, *worlds]
            say(f"{group}: worlds ready after {time.process_time() - began:.0f} CPU s")

    def models(self) -> dict[str, list]:
        """Worlds by model."""
        found = defaultdict(list)
        for world in self.worlds:
            for model in world.models:
                found[model].append(world)
        judged = {model for world in self.worlds for model in world.judged}
        seeds = defaultdict(list)
        for world in self.worlds:
            for seed in sorted(world.seeds):
                seeds[f"{seed}.csv"].append(world)
        return {model: worlds for model, worlds in found.items() if model in judged} | seeds

    @staticmethod
    def _mutants(model: str, world) -> dict[str, Mutant | SeedMutant]:
        if model.endswith(".csv"):
            found = seed_mutants(model.removesuffix(".csv"))
        else:
            found = mutants(model, world.models[model][1])
        return {mutant.id: mutant for mutant in found}

    def judge(
        self, models: Iterable[str] | None, most: int, only: Iterable[str] = ()
    ) -> Iterator[tuple[Mutant, Verdict, int]]:
        """Each mutant with its verdict, and of how many it was chosen. `only`: no others than these ids."""
        for model, worlds in self.models().items():
            if models and model not in models:
                continue
            ways = [self._mutants(model, world) for world in worlds]
            every = {id_: mutant for way in reversed(ways) for id_, mutant in way.items()}
            self.possible |= every.keys()
            began, counts = time.process_time(), Counter()
            # What one group chose another may notice, though by its own SQL it would choose others.
            asked = [every[id_] for id_ in sorted(only) if id_ in every]
            for mutant in asked if only else chosen(list(every.values()), most):
                verdict = self._verdict(mutant.id, worlds, ways)
                counts[verdict.status] += 1
                yield mutant, verdict, len(every)
            self.say(
                f"{model}: {dict(counts)} of {len(every)}, {time.process_time() - began:.0f} CPU s"
            )

    @staticmethod
    def _verdict(id_: str, worlds: list, ways: list[dict[str, Mutant]]) -> Verdict:
        by = "no table differs"
        for world, way in zip(worlds, ways, strict=True):
            if id_ in way:
                found = world.verdict(way[id_])
                if found.status in ("killed", "invalid"):
                    return found
                if found.status == "survived":
                    by = "a table differs"
        return Verdict("survived", by)


def explanations() -> dict[str, dict]:
    return yaml.safe_load(EXPLANATIONS.read_text(encoding="utf-8")) or {}


def record(mutant: Mutant, verdict: Verdict, of: int) -> dict:
    return {
        "id": mutant.id,
        "model": mutant.model,
        "operator": mutant.operator,
        "place": mutant.place,
        "change": mutant.change,
        "status": verdict.status,
        "by": verdict.by,
        "of": of,
    }


def summary(records: list[dict], explained: dict[str, dict]) -> dict[str, int]:
    """Counts of one lot: tried are those that bind; equivalent ones are survivors which mean the same."""
    tried = [r for r in records if r["status"] != "invalid"]
    alive = [r for r in tried if r["status"] == "survived"]
    same = sum(explained.get(r["id"], {}).get("is") == "equivalent" for r in alive)
    return {
        "tried": len(tried),
        "killed": len(tried) - len(alive),
        "equivalent": same,
        "survived": len(alive) - same,
    }


def rate(counts: dict[str, int]) -> float:
    judged = counts["killed"] + counts["survived"]
    return counts["killed"] / judged if judged else 1.0


def judged_group(
    group: str, models: list[str], most: int, workspace: Path | None, only: frozenset[str]
) -> tuple[str, dict[str, dict], set[str], float]:
    """A group in a process of its own: its name, its records by id, the ids that were possible, and its CPU seconds."""
    say = partial(print, flush=True)
    with contextlib.ExitStack() as stack:
        folder = workspace or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="mutation_"))
        )
        found = {}
        run = Run([group], folder, say)
        for mutant, verdict, of in run.judge(models, most, only):
            found[mutant.id] = record(mutant, verdict, of)
            if verdict.status == "survived":
                say(f"  survived ({verdict.by}): {mutant.id}, {mutant.place}: {mutant.change}")
    return group, found, run.possible, time.process_time()


def main(
    groups: list[str],
    models: list[str],
    most: int,
    workers: int,
    keep: Path,
    workspace: Path | None,
    onto: bool = False,
    again: bool = False,
    say=print,
) -> float:
    """Judge the groups, keep the verdicts of this run and what it cost, and hand back the share killed. A mutant of a model
    that is in the worlds of several groups is killed where one of them kills it. `onto`: add to what was kept, so that
    groups can be judged one after the other. `again`: so, and of its mutants judge the survivors alone."""
    kept: dict[str, dict] = {}
    seconds: dict[str, float] = {}
    only: frozenset[str] = frozenset()
    possible: set[str] = set()
    if (onto or again) and keep.exists():
        before = json.loads(keep.read_text(encoding="utf-8"))
        kept, seconds = before["verdicts"], before["cpu_seconds"]
    if again:
        only = frozenset(id_ for id_, record in kept.items() if record["status"] == "survived")
    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        tasks = {
            pool.submit(judged_group, group, models, most, workspace, only): group
            for group in (groups or GROUPS)
        }
        lost = []
        for done in as_completed(tasks):
            if error := done.exception():
                lost.append(
                    f"{tasks[done]}: {str(error).splitlines()[0] if str(error) else error!r}"
                )
                continue
            group, found, known, took = done.result()
            possible |= known
            seconds[group] = took + (seconds.get(group, 0) if again else 0)
            for id_, verdict in found.items():
                if kept.get(id_, {}).get("status") != "killed":
                    kept[id_] = verdict
            keep.parent.mkdir(parents=True, exist_ok=True)
            text = {"most": most, "cpu_seconds": seconds, "verdicts": kept}
            keep.write_text(json.dumps(text, indent=1, ensure_ascii=False), encoding="utf-8")
    if lost:
        listed = "\n  ".join(lost)
        raise SystemExit(
            f"the verdicts of the other groups are kept in {keep}; not judged (again with --groups and --onto):\n  {listed}"
        )
    judged = {id_.split(":")[0] for id_ in possible}
    for id_ in explanations().keys() - possible:
        if id_.split(":")[0] in judged:
            say(f"survivors.yml explains {id_}, which is no mutant of the model as it is now")
    counts = summary(list(kept.values()), explanations())
    say(f"{counts}, {rate(counts):.1%} killed, {sum(seconds.values()):.0f} CPU s")
    return rate(counts)
