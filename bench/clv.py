"""CLV on simulated customers: python bench/clv.py [--customers 1000000] [--lifetimes PYTHON]

Runs the compiled models from orders to clv_customers, both fits and the back-test on a DuckDB file, and prints seconds
per step and the peak memory. With --lifetimes (a Python of a separate environment that has `lifetimes`), the same
summary is fitted there in the same run and the optimum is compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

PROJECT = Path(__file__).parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests" / "python")]
MODELS = [
    "int_value__observations", "int_value__purchase_days", "int_clv__customers", "int_clv__frequency_groups",
    "int_clv__spend_groups", "int_clv__models", "int_clv__expected_orders", "int_clv__predictions", "clv_backtest",
    "int_clv__gate", "clv_parameters", "clv_customers",
]  # fmt: skip
# CDNOW's parameters in days (Fader, Hardie, Lee 2005).
R, ALPHA, A, B, P, Q, V = 0.243, 30.9, 0.793, 2.426, 6.25, 3.74, 15.44
LIFETIMES = """
import sys, time, json, pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter
d = pd.read_csv(sys.argv[1])
s = d[(d.x > 0) & (d.amount > 0)]
found, t, cpu = {}, time.time(), time.process_time()
for fitter, data in ((BetaGeoFitter(), (d.x, d.t_x, d.age)), (GammaGammaFitter(), (s.x, s.amount / s.x))):
    try:
        found |= fitter.fit(*data).params_.to_dict()
    except Exception as error:
        found[type(fitter).__name__] = str(error).strip()
print(json.dumps({"seconds": time.time() - t, "cpu_seconds": time.process_time() - cpu, **found}))
"""


def simulate(customers: int, seed: int = 1) -> pa.Table:
    """Orders of customers who joined over two years and buy as BG/NBD and Gamma-Gamma say."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 731, customers)
    rate = rng.gamma(R, 1 / ALPHA, customers)
    leave = rng.beta(A, B, customers)
    mean = P / rng.gamma(Q, 1 / V, customers)
    keys, days = [np.arange(customers)], [-age]
    alive, now = np.arange(customers), np.zeros(customers)
    while len(alive):
        stays = rng.random(len(alive)) > leave[alive]
        alive = alive[stays]
        now = now[stays] + rng.exponential(1, len(alive)) / np.maximum(rate[alive], 1e-9)
        inside = now <= age[alive]
        alive, now = alive[inside], now[inside]
        keys.append(alive)
        days.append(np.ceil(now).astype(int) - age[alive])
    key, day = np.concatenate(keys), np.concatenate(days)
    cents = np.maximum(1, np.rint(rng.gamma(P, mean[key] / P) * 100)).astype(int)
    return pa.table({"customer_key": key, "day": day, "cents": cents})


def prepare(connection: duckdb.DuckDBPyConnection, orders: pa.Table) -> None:
    for schema in ("staging", "identity", "lifecycle", "reference", "marts"):
        connection.execute(f"create schema {schema}")
    connection.register("simulated", orders)
    connection.execute(
        """
        create table reference.as_of as select date '2026-06-30' as as_of_date;
        create table reference.category_cycles as select '*' as category, 90 as cycle_days;
        create table lifecycle.fct_orders as
            select 'sim' as source_system, cast(row_number() over () as varchar) as order_id, 'b' as brand_id,
                customer_key, 'web' as channel, 'private' as channel_domain,
                date '2026-06-30' + cast(day as integer) as purchased_on, valid_from: purchased_on,
                cast(null as date) as valid_to, cast(cents / 100 as decimal(18, 4)) as paid_amount,
                paid_amount as net_amount, true as is_valid_purchase
            from simulated;
        create table lifecycle.fct_refunds (source_system varchar, order_id varchar, brand_id varchar,
            customer_key bigint, is_linked boolean, refunded_on date, refund_amount decimal(18, 4));
        create table identity.int_identity__customer_map as
            select distinct customer_key, 'C' || customer_key as customer_id, false as is_anonymous_visitor
            from simulated;
        """
    )


def fit_module():
    path = PROJECT / "models" / "marts" / "value" / "int_clv__fits.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(database: Path, models: dict[str, str]) -> dict:
    """The chain in this process, whose peak memory is therefore its own. Returns seconds per step and the result."""
    import pandas  # noqa: F401  imported before the clock starts, as in a running dbt

    fits = fit_module()
    connection = duckdb.connect(str(database))
    connection.execute(
        "set threads = 2; set memory_limit = '1500MB'; set preserve_insertion_order = false"
    )
    seconds, cpu_seconds = {}, {}

    def timed(name, step):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        seconds[name], cpu_seconds[name] = time.perf_counter() - wall, time.process_time() - cpu

    def fit():
        frequency = connection.sql("select * from lifecycle.int_clv__frequency_groups").df()
        spend = connection.sql("select * from lifecycle.int_clv__spend_groups").df()
        rows = fits.fits(frequency, spend, 200)  # noqa: F841  read by name below
        connection.execute("create table lifecycle.int_clv__fits as select * from rows")

    for name, sql in models.items():
        schema = "lifecycle" if name.startswith("int_") else "marts"
        create = f"create table {schema}.{name} as {sql}"
        timed(name, lambda: connection.execute(create))  # noqa: B023  run at once
        if name == "int_clv__spend_groups":
            timed("int_clv__fits", fit)
    parameters = connection.execute("select parameter, value from marts.clv_parameters").fetchall()
    gate = connection.execute(
        "select is_passed, orders_error_rate, lift, customers from marts.clv_backtest where level = 'all'"
    ).fetchall()
    connection.close()
    return {
        "seconds": seconds,
        "parameters": dict(parameters),
        "backtest": gate,
        "cpu_seconds": cpu_seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--customers", type=int, default=1_000_000)
    arguments.add_argument("--lifetimes", help="python of an environment that has lifetimes")
    arguments.add_argument("--result", type=Path, help="where to write both fits as JSON")
    arguments.add_argument("--chain", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.chain:
        folder = Path(chosen.chain)
        print(
            json.dumps(
                run(folder / "bench.duckdb", json.loads((folder / "models.json").read_text())),
                default=str,
            )
        )
        return
    from compiled import compiled

    with tempfile.TemporaryDirectory(prefix="quanyu_bench_") as name:
        folder = Path(name)
        models = compiled(folder / "dbt", MODELS)
        # The compiled names carry the catalog `warehouse`; the file of the bench is called otherwise.
        models = {k: sql.replace('"warehouse".', "") for k, sql in models.items()}
        (folder / "models.json").write_text(json.dumps(models))
        with duckdb.connect(str(folder / "bench.duckdb")) as connection:
            prepare(connection, simulate(chosen.customers))
        command = [sys.executable, __file__, "--chain", str(folder)]
        result = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        )
        print(
            f"{chosen.customers:,} customers, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        cpu = result["cpu_seconds"]
        for step, seconds in result["seconds"].items():
            print(f"  {step:<28}{seconds:8.2f} s  {cpu[step]:8.2f} CPU s")
        print(
            f"  {'total':<28}{sum(result['seconds'].values()):8.2f} s  {sum(cpu.values()):8.2f} CPU s,"
            f" peak {result['peak_mb']:,.0f} MB"
        )
        print("  back-test (passed, error, lift, customers):", result["backtest"])
        print("  parameters:", {k: round(v, 4) for k, v in sorted(result["parameters"].items())})
        if chosen.lifetimes:
            both = compare(folder, chosen.lifetimes, result)
            if chosen.result:
                chosen.result.write_text(json.dumps(both))


def compare(folder: Path, python: str, ours: dict) -> list[dict]:
    """Prints and returns what the fits took and found: ours, theirs."""
    with duckdb.connect(str(folder / "bench.duckdb")) as connection:
        connection.execute(
            f"""copy (
                select bg_frequency as x, bg_recency as t_x, bg_age as age, cast(repeat_amount as double) as amount
                from lifecycle.int_clv__customers where fit_name = 'as_of'
            ) to '{folder}/summary.csv'"""
        )
    command = [python, "-c", LIFETIMES, str(folder / "summary.csv")]
    theirs = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    grouping = ("int_clv__frequency_groups", "int_clv__spend_groups")
    # Our fits are two (as-of and calibration); theirs is one. Both are charged in full.
    here = dict(ours["parameters"])
    for unit in ("seconds", "cpu_seconds"):
        here[unit] = mine = ours[unit]["int_clv__fits"] + sum(ours[unit][step] for step in grouping)
        print(
            f"  lifetimes, one fit of each model: {theirs[unit]:.2f} {unit.replace('_', ' ')};"
            f" here, two of each: {mine:.2f}"
        )
    for name, value in sorted(ours["parameters"].items()):
        print(f"    {name:<6} {value:12.6f}   lifetimes {theirs.get(name, 'none')}")
    for name in ("BetaGeoFitter", "GammaGammaFitter"):
        if name in theirs:
            print(f"    {name} of lifetimes: {theirs[name]}")
    return [here, theirs]


if __name__ == "__main__":
    main()
