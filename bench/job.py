"""Cost of the whole daily job beside the floor of the same machine: `make bench SIZES=1,10,50`.

First `cold install` (a clone and its packages, from empty), `dbt parse` (everything) and `dbt parse again` (nothing has
changed since, as in every run but the first). Then, for each size (millions of touch-points of the demo world over 730 days) a landing is made that lacks its newest day, one
late day and a list of merges; and, each in a process of its own:

    load floor    DuckDB's own `create table as select * from read_...(...)` of every landed file
    scan floor    customer, time, type and value of every touch-point read once from that table
    full build    landing to serving and report
    empty run     nothing new: dbt is not asked
    after erasure dbt alone: what the erasures of the full build leave to be built again
    empty refresh nothing new, and dbt is asked: what looking at every node costs
    empty batch   a file without rows: dbt looks at every node
    one day       the newest day of every entity
    late day      a day of touch-points, a hundred days late
    merge storm   links that join one in a hundred people with another
    report        the health report alone
    export        one audience's list for one channel
    memory        each of the slowest models of the full build once more, alone: the peak of that process

Last, what others take for the same work (bench/peers.py). `--go-on` takes the phases that an interrupted run has left in
the work folder as they are, and goes on with the next one.

Wall and processor seconds, peak memory (MB) and bytes on disk are those of the process and its children. Ratios are
processor seconds over those of the load floor of the same run: machines differ, ratios less so. Results are appended to
bench/history.jsonl, and docs/benchmarks.md is written from it. Exit code 1: a budget of bench/budgets.yml was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import duckdb
import yaml

PROJECT = Path(__file__).parents[1]
HISTORY = PROJECT / "bench" / "history.jsonl"
BUDGETS = PROJECT / "bench" / "budgets.yml"
TOUCHPOINTS_PER_PERSON = 56  # of the demo world in 730 days
LATE_BY = 100
CSV = (
    "read_csv({files}, union_by_name = true, all_varchar = true, header = true, delim = ',', quote = '\"',"
    " strict_mode = false, null_padding = true, ignore_errors = true)"  # the demo world has broken rows on purpose
)
READERS = {
    ".parquet": "read_parquet({files}, union_by_name = true)",
    ".csv": CSV,
    ".gz": CSV,
    ".jsonl": "read_json({files}, union_by_name = true, ignore_errors = true)",
}
ANSWERS = {True: "yes", False: "no", None: "theirs is a part of ours"}
TOTALS = ("all models", "tests")
SLOWEST = 12
EXPORT = ("due_for_repurchase", "sms")


@dataclass
class Cost:
    """Of one process and all that it started: seconds, seconds, megabytes."""

    wall: float
    cpu: float
    memory_mb: float


def measured(command: list[str], log: Path, **environment: str) -> Cost:
    """Run to the end; its output goes into `log`, whose end is shown when it fails."""
    with log.open("w") as out:
        begin = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=PROJECT, env=os.environ | environment, stdout=out, stderr=out
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log.read_text()[-3000:]}")
    return Cost(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def make_landing(world: Path, landing: Path) -> tuple[str, str]:
    """Hard links to everything but the newest day and a late day of touch-points; names of these two batches."""
    days = sorted(path.name for path in (world / "touchpoints").iterdir())
    newest, late = days[-1], days[-1 - LATE_BY]
    for file in world.rglob("*.*"):
        batch = file.parent.name
        if batch >= newest and batch.startswith("dt="):
            continue
        if file.parent.parent.name == "touchpoints" and batch == late:
            continue
        link(file, landing / file.relative_to(world))
    return newest, late


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(source, target)


def merges(world: Path, landing: Path) -> int:
    """Land links between the openids of one in a hundred people and their neighbours in the alphabet."""
    target = landing / "identity_links" / "storm.csv"
    return duckdb.execute(
        f"""
        copy (
            select 'miniprogram' as source_system, 'openid' as left_type, value as left_value,
                'openid' as right_type, lead(value) over (order by value) as right_value,
                '2026-06-01 00:00:00' as linked_at
            from (
                select distinct identifier_value as value
                from read_parquet('{world}/touchpoints/*/*.parquet')
                where identifier_type = 'openid'
            )
            qualify row_number() over (order by value) % 100 = 0
        ) to '{target}' (header)
        """
    ).fetchone()[0]


def floor(landing: Path, database: Path) -> None:
    """The load floor: every landed file into a table of its own columns."""
    with duckdb.connect(str(database), config={"memory_limit": "4GB"}) as connection:
        for entity in sorted(path for path in landing.iterdir() if path.is_dir()):
            for kind in sorted({file.suffix for file in entity.rglob("*.*")}):
                files = [str(file) for file in sorted(entity.rglob(f"*{kind}"))]
                connection.execute(
                    f"create table {entity.name}_{kind[1:]} as select * from {READERS[kind].format(files=files)}"
                )


def scan(database: Path) -> None:
    """The scan floor: the columns from which stages are told, once."""
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute(
            "select max(identifier_value), max(occurred_at), max(event_type), max(value)"
            " from touchpoints_parquet"
        ).fetchall()


def seconds_by_model(target: Path) -> dict[str, float]:
    """Seconds of each model of the last build, the slowest first, then those of TOTALS."""
    results = json.loads((target / "run_results.json").read_text())["results"]
    seconds = {
        result["unique_id"].split(".")[-1]: result["execution_time"]
        for result in results
        if result["unique_id"].startswith("model.")
    }
    tests = sum(r["execution_time"] for r in results if "test." in r["unique_id"])
    ordered = dict(sorted(seconds.items(), key=lambda item: (-item[1], item[0])))
    return {
        name: round(value, 2)
        for name, value in {**ordered, "all models": sum(seconds.values()), "tests": tests}.items()
    }


def without_totals(models: dict[str, float]) -> dict[str, float]:
    return {name: seconds for name, seconds in models.items() if name not in TOTALS}


def slowest(models: dict[str, float]) -> dict[str, float]:
    """The SLOWEST of them."""
    return dict(islice(without_totals(models).items(), SLOWEST))


def size_of(place: Path) -> int:
    """Megabytes on disk, of a file or of a folder."""
    files = [place] if place.is_file() else place.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) // 2**20


def bench(millions: float, work: Path, go_on: bool = False) -> list[dict]:
    """All phases at one size; `go_on` takes those that lie in the work folder as they are."""
    root = work / f"{millions:g}"
    if not go_on:
        shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    noted = root / "phases.jsonl"
    rows = [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []
    done = {row["phase"] for row in rows}
    people = max(200, int(millions * 1e6 / TOUCHPOINTS_PER_PERSON))
    say(f"{millions:g} million touch-points: a world of {people:,} people")
    world = work / f"world-{people}"
    if not (world / "world.json").exists():
        measured(
            [sys.executable, "-m", "demo", "--out", str(world), "--people", str(people)],
            root / "world.log",
        )
    source, landing, workspace = world / "landing", root / "landing", root / "workspace"
    newest, late = make_landing(source, landing)
    target = workspace / "target"
    workspace.mkdir(exist_ok=True)

    def phase(
        name: str,
        command: list[str],
        builds: bool = False,
        disk: Path | None = None,
        **more: int,
    ) -> None:
        if name in done:
            return
        cost = run(name, command)
        row = {"millions": millions, "phase": name, **vars(cost), **more}
        row |= {"models": seconds_by_model(target)} if builds else {}
        row |= {"disk_mb": size_of(disk)} if disk else {}
        rows.append({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})
        keep()
        say(f"  {name:<12} {cost.wall:8.1f} s wall {cost.cpu:8.1f} s CPU {cost.memory_mb:8.0f} MB")

    def run(name: str, command: list[str]) -> Cost:
        return measured(
            [sys.executable, *command],
            root / f"{name.replace(' ', '_')}.log",
            DBT_TARGET_PATH=str(target),
            QUANYU_WORKSPACE=str(workspace),
        )

    def keep() -> None:
        noted.write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def job(name: str, builds: bool = True, disk: Path | None = None, **more: int) -> None:
        phase(name, ["-m", "orchestration", "run", *places], builds, disk, **more)

    def dbt(*arguments: str) -> list[str]:
        return ["-m", "dbt.cli.main", "--quiet", *arguments, "--profiles-dir", "profiles"]

    places = ["--landing", str(landing), "--workspace", str(workspace)]
    this = [str(Path(__file__))]
    database = root / "floor.duckdb"
    phase("load floor", [*this, "--floor", str(landing), str(database)], disk=database)
    phase("scan floor", [*this, "--scan", str(database)])
    database.unlink(missing_ok=True)
    job("full build", disk=workspace)
    job("empty run", builds=False)
    build = dbt("build", "--exclude-resource-type", "unit_test")
    phase("after erasure", build)
    phase("empty refresh", build)
    empty = landing / "products" / newest / "empty.csv"
    empty.parent.mkdir(exist_ok=True)
    empty.write_text("product_id\n")
    job("empty batch")
    for file in source.rglob(f"{newest}/*.*"):
        link(file, landing / file.relative_to(source))
    job("one day")
    for file in (source / "touchpoints" / late).iterdir():
        link(file, landing / file.relative_to(source))
    job("late day")
    job("merge storm", links=merges(source, landing))
    phase("report", ["-m", "orchestration", "report", *places])
    phase("export", ["-m", "orchestration", "export", *EXPORT, *places])
    (full,) = (row for row in rows if row["phase"] == "full build")
    if "model_memory" not in full:
        memory = {
            model: run("memory", dbt("run", "--full-refresh", "--select", model)).memory_mb
            for model in slowest(full["models"])
        }
        full["model_memory"] = {model: round(mb) for model, mb in memory.items()}
        keep()
        say(f"  memory       {max(memory.values()):.0f} MB at most, {max(memory, key=memory.get)}")
    shutil.rmtree(root)
    return rows


def beginnings(work: Path) -> list[dict]:
    """What a newcomer waits for before anything is built: the packages, and dbt's reading of the project."""
    clone = work / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(clone)], check=True)
    install = measured([str(clone / "scripts" / "setup")], work / "install.log")
    shutil.rmtree(clone)
    parse = [sys.executable, "-m", "dbt.cli.main", "--quiet", "parse", "--profiles-dir", "profiles"]
    parse += ["--target-path", str(work / "parse")]
    first = measured([*parse, "--no-partial-parse"], work / "parse.log")
    again = measured(parse, work / "parse.log")
    rows = []
    for name, cost in (
        ("cold install", install),
        ("dbt parse", first),
        ("dbt parse again", again),
    ):
        rows.append({"phase": name} | {key: round(value, 2) for key, value in vars(cost).items()})
        say(f"{name:<14} {cost.wall:8.1f} s wall {cost.cpu:8.1f} s CPU {cost.memory_mb:8.0f} MB")
    return rows


def peers(scale: float) -> list[dict]:
    """The rows of bench/peers.py, shown as they come."""
    command = [sys.executable, "bench/peers.py", "--scale", str(scale)]
    rows = []
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith('{"peer"'):
                row = json.loads(line)
                rows.append(row)
                say(
                    f"{row['peer']:<14} {row['theirs_cpu']:8.1f} s CPU, {row['ours_cpu']:.1f} here: {row['work']}"
                )
    if child.returncode:
        say(f"{' '.join(command)} ended with {child.returncode}: the peers after that are missing")
    return rows


def machine() -> dict[str, str | int]:
    """What the figures depend on; no name of the machine."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
    ).stdout.strip()
    return {
        "commit": commit,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": memory,
        "python": platform.python_version(),
        **{name: version(name) for name in ("duckdb", "dbt-core", "dbt-duckdb")},
    }


def by_phase(run: dict) -> dict[tuple[float, str], dict]:
    return {(row["millions"], row["phase"]): row for row in run["rows"]}


def missed(run: dict, budgets: dict) -> list[str]:
    """Sentences, one for each budget that the run does not keep. Budgets for other sizes are not looked at."""
    rows, sentences = by_phase(run), []
    for row in run.get("start", []):
        allowed = budgets["phases"].get(row["phase"], {}).get("seconds", row["wall"])
        if row["wall"] > allowed:
            sentences.append(f"{row['phase']}: {row['wall']:.1f} s, allowed {allowed}")
    for row in run.get("peers", []):
        wanted, ratio = (
            budgets.get("peers", {}).get(row["peer"], 0),
            row["theirs_cpu"] / row["ours_cpu"],
        )
        if ratio < wanted:
            sentences.append(
                f"{row['work']}: {row['peer']} takes {ratio:.1f} times the processor seconds, wanted {wanted}"
            )
    for (millions, phase), row in rows.items():
        limits = budgets["phases"].get(phase, {})
        base = rows[millions, limits.get("times", "load floor")]
        ratio = row["cpu"] / base["cpu"]
        least = limits.get("from_millions", 0)
        if millions >= least and ratio > limits.get("cpu_ratio", ratio):
            sentences.append(
                f"{millions:g} million, {phase}: {ratio:.1f} times the {base['phase']}, allowed {limits['cpu_ratio']}"
            )
        if millions >= least and "growth" in limits:
            smallest = min(size for size, name in rows if name == phase and size >= least)
            growth = row["cpu"] / rows[smallest, phase]["cpu"]
            if growth > limits["growth"]:
                sentences.append(
                    f"{millions:g} million, {phase}: {growth:.1f} times that of {smallest:g} million, allowed"
                    f" {limits['growth']}"
                )
        if row["wall"] > limits.get("seconds", row["wall"]):
            sentences.append(
                f"{millions:g} million, {phase}: {row['wall']:.0f} s, allowed {limits['seconds']}"
            )
        if row["memory_mb"] > limits.get("memory_mb", row["memory_mb"]):
            sentences.append(
                f"{millions:g} million, {phase}: {row['memory_mb']:.0f} MB, allowed {limits['memory_mb']}"
            )
        for model, memory in row.get("model_memory", {}).items():
            allowed = budgets["model_memory_mb"].get(model, budgets["model_memory_mb"]["any"])
            if memory > allowed:
                sentences.append(f"{millions:g} million, {model}: {memory} MB, allowed {allowed}")
        floor_wall = rows[millions, "load floor"]["wall"]
        for model, seconds in without_totals(row.get("models", {})).items():
            allowed = budgets["models"].get(model, budgets["models"]["any"])
            if phase == "full build" and seconds > allowed * max(floor_wall, 1):
                sentences.append(
                    f"{millions:g} million, {model}: {seconds / floor_wall:.1f} load floors, allowed {allowed}"
                )
    return sentences


def page(runs: list[dict], budgets: dict) -> str:
    """docs/benchmarks.md from the newest run, with ratios to the one before it of the same machine and size."""
    newest, rows = runs[-1], by_phase(runs[-1])
    earlier = next(
        (
            by_phase(run)
            for run in reversed(runs[:-1])
            if run["machine"]["cpu"] == newest["machine"]["cpu"]
            and by_phase(run).keys() & rows.keys()
        ),
        {},
    )
    about = newest["machine"]
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (bench/job.py says what each phase is); do not edit. Ratios are processor seconds over"
        " those of the load floor in the same run: DuckDB's own `create table as` of the same files.",
        "",
        f"Machine: {about['cores']} cores of {about['cpu']}, {about['memory_gb']} GB;"
        f" Python {about['python']}, DuckDB {about['duckdb']}, dbt-core {about['dbt-core']},"
        f" dbt-duckdb {about['dbt-duckdb']}; commit {about['commit']}. Memory limit of DuckDB 4 GB.",
        *(["", newest["note"]] if newest.get("note") else []),
        "",
        "| million touch-points | phase | wall s | CPU s | load floors | peak MB | disk MB | CPU against the run before |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (millions, phase), row in rows.items():
        ratio = row["cpu"] / rows[millions, "load floor"]["cpu"]
        before = earlier.get((millions, phase))
        lines.append(
            f"| {millions:g} | {phase} | {row['wall']:,.1f} | {row['cpu']:,.1f} | {ratio:.2f} |"
            f" {row['memory_mb']:,.0f} | {row.get('disk_mb', '')} |"
            f" {'× %.2f' % (row['cpu'] / before['cpu']) if before else ''} |"
        )
    if newest.get("start"):
        lines += [
            "",
            "## Before the first build",
            "",
            "| phase | wall s | CPU s | peak MB |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {row['phase']} | {row['wall']:.1f} | {row['cpu']:.1f} | {row['memory_mb']:,.0f} |"
                for row in newest["start"]
            ),
        ]
    if newest.get("peers"):
        lines += [
            "",
            "## Beside others, on the same input in the same run",
            "",
            "| peer | work | CPU s there | CPU s here | there / here | wall s there | wall s here | same answer |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
            *(
                f"| {row['peer']} | {row['work']} | {row['theirs_cpu']:,.1f} | {row['ours_cpu']:,.1f} |"
                f" {row['theirs_cpu'] / row['ours_cpu']:.1f} | {row['theirs_s']:,.1f} | {row['ours_s']:,.1f} |"
                f" {ANSWERS[row['equal']]} |"
                for row in newest["peers"]
            ),
        ]
    lines += ["", "![Processor seconds by phase and size](images/benchmarks.svg)", ""]
    for (millions, phase), row in rows.items():
        if phase in ("full build", "one day") and (models := row.get("models")):
            lines += [
                f"## Slowest models, {phase}, {millions:g} million",
                "",
                "| model | s | share of all models | load floors by the clock | peak MB, built alone |",
                "| --- | ---: | ---: | ---: | ---: |",
                *(
                    f"| {name} | {seconds:.2f} | {seconds / models['all models']:.0%} |"
                    f" {seconds / rows[millions, 'load floor']['wall']:.2f} |"
                    f" {row.get('model_memory', {}).get(name, '')} |"
                    for name, seconds in slowest(models).items()
                ),
                "",
                f"All models {models['all models']:.1f} s, all tests {models['tests']:.1f} s.",
                "",
            ]
    lines += every_model(rows)
    sentences = missed(newest, budgets)
    lines += [
        "## Budgets",
        "",
        *(
            [f"- missed: {sentence}" for sentence in sentences]
            or ["All budgets of bench/budgets.yml are kept."]
        ),
        *(["", "What comes next:", ""] if sentences and budgets.get("next") else []),
        *(f"- {step}" for step in budgets.get("next", []) if sentences),
        "",
    ]
    return "\n".join(lines)


def every_model(rows: dict[tuple[float, str], dict]) -> list[str]:
    """A table, folded up, of each model of the largest full build that says them all; nothing where none does."""
    every = [
        (millions, models)
        for (millions, phase), row in rows.items()
        if phase == "full build" and len(models := without_totals(row.get("models", {}))) > SLOWEST
    ]
    if not every:
        return []
    millions, models = max(every, key=lambda found: found[0])
    return [
        "<details>",
        f"<summary>Every model, full build, {millions:g} million, seconds</summary>",
        "",
        "| model | s |",
        "| --- | ---: |",
        *(f"| {name} | {seconds:.2f} |" for name, seconds in models.items()),
        "",
        "</details>",
        "",
    ]


def picture(run: dict, target: Path) -> None:
    """Processor seconds by phase and size as SVG."""
    import altair as alt
    import vl_convert

    data = [
        {"million touch-points": f"{row['millions']:g}", "phase": row["phase"], "CPU s": row["cpu"]}
        for row in run["rows"]
    ]
    order = list(dict.fromkeys(row["phase"] for row in data))
    chart = (
        alt.Chart(alt.Data(values=data))
        .mark_bar()
        .encode(
            x=alt.X("CPU s:Q", title="processor seconds"),
            y=alt.Y("phase:N", sort=order, title=None),
            yOffset=alt.YOffset("million touch-points:N"),
            color=alt.Color("million touch-points:N"),
        )
        .properties(width=560, height=280)
    )
    target.write_text(vl_convert.vegalite_to_svg(chart.to_dict()))


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sizes", default="1", help="millions of touch-points, with commas")
    arguments.add_argument("--work", type=Path, default=PROJECT / "var" / "bench")
    arguments.add_argument(
        "--go-on", action="store_true", help="after the phases that an interrupted run has measured"
    )
    arguments.add_argument("--note", default="", help="a sentence for the page, as on other load")
    arguments.add_argument("--floor", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--scan", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.floor:
        return floor(*chosen.floor)
    if chosen.scan:
        return scan(chosen.scan)
    chosen.work.mkdir(parents=True, exist_ok=True)
    start = beginnings(chosen.work)
    rows = [
        row
        for size in chosen.sizes.split(",")
        for row in bench(float(size), chosen.work, chosen.go_on)
    ]
    largest = max(row["millions"] for row in rows)
    run = {"machine": machine(), "note": chosen.note, "start": start, "rows": rows}
    run["peers"] = peers(min(1, largest / 10))
    with HISTORY.open("a") as history:
        history.write(f"{json.dumps(run)}\n")
    budgets = yaml.safe_load(BUDGETS.read_text())
    runs = [json.loads(line) for line in HISTORY.read_text().splitlines()]
    (PROJECT / "docs" / "benchmarks.md").write_text(page(runs, budgets))
    picture(run, PROJECT / "docs" / "images" / "benchmarks.svg")
    say("written    docs/benchmarks.md")
    if sentences := missed(run, budgets):
        raise SystemExit("\n".join(f"missed     {sentence}" for sentence in sentences))


if __name__ == "__main__":
    main()
