"""What others take for the same work, in the same run: python bench/peers.py [--scale 1]

    Splink       clusters of links, by Splink's own clustering on DuckDB, beside the components macro
    lifetimes    one fit of BG/NBD and of Gamma-Gamma, beside the two of each that CLV needs
    snapshots    AIPL of every day by a query a day, beside all spells of all days at once
    pandas       RFM of every month end by group-by and rank, beside rfm_customers

Each side runs in a process of its own on the same input and the answers are compared. Prints one JSON object a line:
peer, work, ours_s, theirs_s (wall), ours_cpu, theirs_cpu (seconds), ours_mb, theirs_mb (peak memory, where known) and equal
(whether the answers agree; None where the peer answers a part of the question only). `--scale 1` is 10 million links, 1
million customers and 1 million touch-points; the snapshots stay at the latter, being the slow side by far.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

PROJECT = Path(__file__).parents[1]
LIFETIMES = (
    "lifetimes==0.11.3",
    "pandas<2.2",
    "numpy<2",
)  # the last release, which no newer pandas can run
RFM_MODELS = ["int_rfm__observation_dates", "rfm_customers"]
SCOPES = ("all", "online", "platform:web")  # of the one channel that is simulated


def lines(command: list[str]) -> list[str]:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    return done.stdout.splitlines()


def splink(scale: float, work: Path) -> dict:
    said = lines(
        [
            *(sys.executable, "bench/identity.py", "--edges", str(10 * scale)),
            *("--methods", "macro", "splink", "--work", str(work)),
        ]
    )
    ours, theirs = (json.loads(line[line.index("{") :]) for line in said)
    return {
        "work": f"components of {10 * scale:g} million links",
        "ours_s": ours["wall_s"],
        "theirs_s": theirs["wall_s"],
        "ours_cpu": ours["cpu_s"],
        "theirs_cpu": theirs["cpu_s"],
        "ours_mb": ours["peak_gb"] * 1000,
        "theirs_mb": theirs["peak_gb"] * 1000,
        "equal": ours["checksum"] == theirs["checksum"],
    }


def lifetimes(scale: float, work: Path) -> dict:
    python = work / "lifetimes" / "bin" / "python"
    if not python.exists():
        lines([sys.executable, "-m", "venv", str(work / "lifetimes")])
        lines([str(python), "-m", "pip", "install", "-q", *LIFETIMES])
    customers = int(1e6 * scale)
    result = work / "clv.json"
    lines(
        [
            *(sys.executable, "bench/clv.py", "--customers", str(customers)),
            *("--lifetimes", str(python), "--result", str(result)),
        ]
    )
    ours, theirs = json.loads(result.read_text())
    same = ("r", "alpha", "a", "b")
    return {
        "work": f"fits on {customers:,} customers: ours two of each model, theirs one",
        "ours_s": ours["seconds"],
        "theirs_s": theirs["seconds"],
        "ours_cpu": ours["cpu_seconds"],
        "theirs_cpu": theirs["cpu_seconds"],
        "equal": all(abs(ours[name] - theirs[name]) <= 0.01 * abs(ours[name]) for name in same),
    }


def snapshots(scale: float, work: Path) -> dict:
    millions = min(1.0, scale)
    said = lines(
        [
            *(sys.executable, "bench/stages.py", "--workspace", str(work / "stages")),
            *("--events", str(millions), "--naive"),
        ]
    )
    row = json.loads(said[-1])
    return {
        "work": f"AIPL of 731 days from {millions:g} million touch-points",
        "ours_s": row["aipl"],
        "theirs_s": row["naive"],
        "ours_cpu": row["cpu_aipl"],
        "theirs_cpu": row["cpu_naive"],
        "equal": None,
    }


def rfm_of_the_project(connection: duckdb.DuckDBPyConnection, work: Path) -> None:
    for name, sql in json.loads((work / "rfm.json").read_text()).items():
        schema = "lifecycle" if name.startswith("int_") else "marts"
        connection.execute(f"create or replace table {schema}.{name} as {sql}")


def rfm_of_pandas(connection: duckdb.DuckDBPyConnection, _: Path) -> None:
    """Quintiles with ties together at the low end, high against the mean of the day, as the project does."""
    import pandas as pd

    orders = connection.execute(
        "select customer_key, purchased_on, net_amount::double as money from lifecycle.fct_orders"
    ).df()
    first, as_of = orders.purchased_on.min(), pd.Timestamp("2026-06-30")
    days = sorted({*pd.date_range(first, as_of, freq="ME"), as_of})[-37:]
    found = []
    for day in days:
        for scope in SCOPES:
            window = orders[
                (orders.purchased_on <= day) & (orders.purchased_on > day - pd.Timedelta(days=365))
            ]
            rows = window.groupby("customer_key").agg(
                last=("purchased_on", "max"),
                frequency=("money", "size"),
                monetary=("money", "sum"),
            )
            # Cents: a sum of floating numbers must not part what money says is a tie.
            rows["monetary"] = (rows.monetary * 100).round()
            rows["recency"] = (day - rows["last"]).dt.days
            code = ""
            for measure, ascending in (("recency", False), ("frequency", True), ("monetary", True)):
                rank = rows[measure].rank(method="min", ascending=ascending) - 1
                score = (5 * rank / max(1, len(rows) - 1)).astype(int).clip(upper=4) + 1
                code = code + (score * len(rows) >= score.sum()).astype(int).astype(str)
            counts = code.value_counts()
            found += [(day.date(), scope, name, int(n)) for name, n in counts.items()]
    connection.execute("create table marts.pandas (as_of_date date, scope text, code text, n int)")
    connection.executemany("insert into marts.pandas values (?, ?, ?, ?)", found)


def one_rfm(side: str, work: Path) -> None:
    import resource

    with duckdb.connect(str(work / "rfm.duckdb")) as connection:
        connection.execute("set threads = 2")
        start, cpu = time.perf_counter(), time.process_time()
        {"ours": rfm_of_the_project, "theirs": rfm_of_pandas}[side](connection, work)
        used = time.perf_counter() - start, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([*used, memory]))


def pandas_rfm(scale: float, work: Path) -> dict:
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests" / "python")]
    from compiled import compiled

    from bench.clv import prepare, simulate

    customers = int(1e6 * scale)
    models = compiled(work / "dbt", RFM_MODELS, '{"rfm_scheme": "quintile"}')
    models = {name: sql.replace('"warehouse".', "") for name, sql in models.items()}
    (work / "rfm.json").write_text(json.dumps(models))
    (work / "rfm.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(work / "rfm.duckdb")) as connection:
        prepare(connection, simulate(customers))
        for seed in ("rfm_classes", "rfm_breakpoints"):
            connection.execute(
                f"create table reference.{seed} as from read_csv('{PROJECT}/seeds/{seed}.csv',"
                f" all_varchar = {str(seed == 'rfm_classes').lower()})"
            )
    ours, theirs = (
        json.loads(lines([sys.executable, __file__, "--rfm", side, str(work)])[-1])
        for side in ("ours", "theirs")
    )
    with duckdb.connect(str(work / "rfm.duckdb"), read_only=True) as connection:
        different = connection.execute(
            """
            with ours as (
                select as_of_date, scope, rfm_code as code, count(*) as n from marts.rfm_customers group by all
            )
            select count(*) from ours full join marts.pandas as theirs using (as_of_date, scope, code)
            where ours.n is distinct from theirs.n
            """
        ).fetchone()[0]
    return {
        "work": f"RFM of every month end for {customers:,} customers, in {len(SCOPES)} scopes",
        "ours_s": ours[0],
        "theirs_s": theirs[0],
        "ours_cpu": ours[1],
        "theirs_cpu": theirs[1],
        "ours_mb": ours[2],
        "theirs_mb": theirs[2],
        "equal": different == 0,
    }


PEERS = {"Splink": splink, "lifetimes": lifetimes, "snapshots": snapshots, "pandas": pandas_rfm}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scale", type=float, default=1.0)
    arguments.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    arguments.add_argument("--rfm", nargs=2, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.rfm:
        side, folder = chosen.rfm
        return one_rfm(side, Path(folder))
    for name in chosen.peers:
        with tempfile.TemporaryDirectory(prefix="quanyu_peers_") as folder:
            print(json.dumps({"peer": name} | PEERS[name](chosen.scale, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
