"""Cost of the stage engine: full build and one-day refresh against a scan of the same columns.

    python bench/stages.py --workspace DIR [--events 1,10,50] [--naive] [--without-marts]

The touch-points, orders and identities are generated and put in the place of the models above the engine
(fct_touchpoints, fct_orders, int_identity__customer_map, int_lifecycle__touched_customers); customer_day,
int_stages__stays, stocks and flows are then run by dbt as they are. Sizes are in millions of touch-points over 731
days, 50 to a customer in ten visits of five, 4.4 % orders beside them, one order in twenty refunded in full.

Seconds without `cpu` are dbt's own execution times; `cpu` is the processor seconds of a dbt process less those of one that
does next to nothing (`cpu_start`). A scan reads every touch-point once: `scan` the columns that the engine reads
(relationships are told by time, channel, staff and group), `scan_four` customer, day, type and value alone. `refresh_day`
is a day of late rows as large as a day of this history, `refresh_same` one of as many rows as a day at ten million, the
median of three of them, one after the other. DuckDB may take 3 GB (QUANYU_MEMORY).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import duckdb

PROJECT = Path(__file__).parents[1]
FIRST_DAY, DAYS = "2024-01-01", 731
TYPES = (
    ["ad_impression"] * 30
    + ["ad_click"] * 5
    + ["content_view"] * 12
    + ["product_view"] * 25
    + ["store_view"] * 6
    + ["live_watch"] * 3
    + ["search_category"] * 3
    + ["search_brand"] * 2
    + ["favorite"] * 2
    + ["cart_add"] * 4
    + ["login"] * 2
    + ["interact"]
    + ["coupon_claim"]
    + ["share"]
    + ["review"]
    + ["follow"]
    + ["unfollow"]
)
MEMORY = {"memory_limit": "4GB"}
# What DuckDB may take; its process takes some 600 MB more, and four gigabytes are what the whole may.
os.environ.setdefault("QUANYU_MEMORY", "3GB")
ENGINE = ["fct_relationship_spells", "customer_day", "int_stages__stays"]
MARTS = [
    "int_stages__calendar",
    "int_stages__daily",
    "stage_daily",
    "stage_flows",
    "fast_daily",
    "fast_periods",
    "fast_drivers",
]


def dbt(workspace: Path, *arguments: str) -> dict[str, float]:
    """Seconds by model; memory of the process in MB under 'memory'."""
    env = dict(
        os.environ,
        QUANYU_WORKSPACE=str(workspace),
        QUANYU_DATABASE=str(workspace / "warehouse.duckdb"),
        QUANYU_LAKE=str(workspace / "lake"),
        DBT_SEND_ANONYMOUS_USAGE_STATS="false",
    )
    target = workspace / "target"
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dbt.cli.main",
            *arguments,
            "--quiet",
            "--project-dir",
            str(PROJECT),
            "--profiles-dir",
            str(PROJECT / "profiles"),
            "--target-path",
            str(target),
            "--log-path",
            str(workspace / "logs"),
        ],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    results = json.loads((target / "run_results.json").read_text())["results"]
    seconds = {r["unique_id"].split(".")[-1]: r["execution_time"] for r in results}
    seconds["cpu"] = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    seconds["memory"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds


def generate(connection: duckdb.DuckDBPyConnection, millions: float) -> None:
    events, customers = int(millions * 1e6), int(millions * 1e6 / 50)
    # At the first size the map is a view; what takes its place is a table.
    name = "identity.int_identity__customer_map"
    connection.execute(f"create temp table shape as from {name} limit 0")
    ((kind,),) = connection.execute(
        "select table_type from information_schema.tables where table_name = 'int_identity__customer_map'"
    ).fetchall()
    connection.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {name}")
    connection.execute(f"create table {name} as from shape; drop table shape")
    connection.execute("delete from lifecycle.fct_touchpoints")
    connection.execute("delete from lifecycle.fct_orders")
    connection.execute("delete from lifecycle.int_lifecycle__touched_customers")
    connection.execute(f"""
        insert into lifecycle.fct_touchpoints by name
        select 'x' as source_system, cast(i as varchar) as event_id, 'b' as brand_id,
            cast(hash(hash(i // 5) % {customers}) >> 1 as bigint) as customer_key,
            cast(occurred_on as timestamp) + to_seconds(cast(hash(i, 3) % 86400 as integer)) as occurred_at,
            1 as _refresh, * exclude (i)
        from (
            select i, date '{FIRST_DAY}' + cast((i // 5 * 5) * {DAYS} // {events} as integer) as occurred_on,
                (array{TYPES})[1 + cast(hash(i, 1) % {len(TYPES)} as integer)] as event_type,
                'c' || (i % 3) as channel, null::varchar as product_id, null::varchar as campaign_id,
                null::varchar as content_id, null::varchar as store_id, null::varchar as staff_id,
                cast(1 + hash(i, 2) % 5 as decimal(18, 4)) as event_value
            from range({events}) as r (i)
        )
    """)
    connection.execute(f"""
        insert into lifecycle.fct_orders by name
        select * exclude (h), purchased_on as valid_from, purchased_on as ordered_on, 50.0 as paid_amount, 50.0 as net_amount,
            case when h % 20 = 0 then purchased_on + 10 end as valid_to, h % 20 <> 0 as is_valid_purchase
        from (
            select 'x' as source_system, cast(i as varchar) as order_id, 'b' as brand_id, hash(i, 9) as h,
                cast(hash(hash(i, 5) % {customers}) >> 1 as bigint) as customer_key, false as is_anonymous,
                date '{FIRST_DAY}' + cast(hash(i, 6) % {DAYS} as integer) as purchased_on, 'paid' as status
            from range({int(events * 0.044)}) as r (i)
        )
    """)
    connection.execute(f"""
        insert into identity.int_identity__customer_map by name
        select cast(hash(cast(i as ubigint)) >> 1 as bigint) as identifier_key, identifier_key as customer_key,
            'C' || cast(i as varchar) as customer_id, 'member_id' as identifier_type,
            cast(i as varchar) as identifier_value, false as is_anonymous_visitor
        from range({customers}) as r (i)
    """)
    connection.execute("""
        insert into lifecycle.int_lifecycle__touched_customers by name
        select customer_key, (select as_of_date from reference.as_of) as as_of_date, 1 as _refresh
        from identity.int_identity__customer_map
    """)
    connection.execute("checkpoint")


FOUR = ("customer_key", "occurred_on", "event_type", "event_value")
READ = (*FOUR, "brand_id", "occurred_at", "channel", "staff_id", "content_id")
A_DAY = 10_000_000 // DAYS


def scan(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and processor seconds, the median of five."""
    asked = ", ".join(f"max({column})" for column in columns)
    seconds, processor = [], []
    for _ in range(5):
        start, cpu = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        connection.execute(f"select {asked} from lifecycle.fct_touchpoints").fetchall()
        seconds.append(time.perf_counter() - start)
        processor.append(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu)
    return sorted(seconds)[2], sorted(processor)[2]


def one_more_day(connection: duckdb.DuckDBPyConnection, refresh: int, rows: int | None) -> int:
    """A day of late touch-points lands, or so many rows of it: its customers are touched in a new refresh, and all of
    theirs are written anew, as fct_touchpoints does. How many customers they are."""
    connection.execute(f"""
        create or replace temp table fresh as
        select * replace ('n{refresh}' || event_id as event_id) from lifecycle.fct_touchpoints
        where occurred_on = date '{FIRST_DAY}' + {DAYS - 1}
        order by cast(regexp_extract(event_id, '[0-9]+$') as bigint) {f"limit {rows}" if rows else ""};
        create or replace temp table rewritten as
        select * replace ({refresh} as _refresh) from (from lifecycle.fct_touchpoints union all from fresh)
        where customer_key in (select customer_key from fresh);
        delete from lifecycle.fct_touchpoints where customer_key in (select customer_key from fresh);
        insert into lifecycle.fct_touchpoints select * from rewritten;
        update lifecycle.int_lifecycle__touched_customers set _refresh = {refresh}
        where customer_key in (select customer_key from fresh);
    """)
    return connection.execute("select count(distinct customer_key) from fresh").fetchone()[0]


def naive(connection: duckdb.DuckDBPyConnection) -> tuple[float, float]:
    """Seconds and processor seconds of AIPL by a snapshot per day, counted, for all days."""
    start, cpu = time.perf_counter(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    for back in range(DAYS):
        connection.execute(f"""
            with d as (select date '{FIRST_DAY}' + {back} as d),
            touch as (
                select customer_key,
                    bool_or(event_type in ('search_brand','favorite','cart_add','interact','share','coupon_claim','login'))
                    or count(distinct case when event_type in ('product_view','store_view') then occurred_on end) >= 2 as i,
                    bool_or(event_type in ('ad_impression','ad_click','content_view','live_watch','search_category',
                                           'product_view','store_view')) as a
                from lifecycle.fct_touchpoints, d where occurred_on <= d and occurred_on > d - 15 group by customer_key),
            follows as (select distinct customer_key from (
                select customer_key, channel, max_by(event_type, occurred_at) as e from lifecycle.fct_touchpoints, d
                where event_type in ('follow', 'unfollow') and occurred_on <= d group by all) where e = 'follow'),
            praise as (select distinct customer_key from lifecycle.fct_touchpoints, d
                where event_type = 'review' and event_value >= 4 and occurred_on <= d and occurred_on > d - 365),
            bought as (select customer_key, count(distinct case when purchased_on > d - 365 then purchased_on end) as n
                from lifecycle.fct_orders, d where valid_from <= d and (valid_to is null or d < valid_to)
                and purchased_on > d - 910 group by customer_key)
            select count(*), sum((n >= 2 or n is not null and praise.customer_key is not null)::int)
            from touch full join follows using (customer_key) full join bought using (customer_key)
                left join praise using (customer_key)
            where i or a or follows.customer_key is not null or n is not null
        """).fetchall()
    return time.perf_counter() - start, sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu


def refreshed(
    workspace: Path, refresh: int, rows: int | None, start: float
) -> tuple[int, float, float]:
    """Customers touched, seconds and processor seconds of a refresh of the engine."""
    with duckdb.connect(str(workspace / "warehouse.duckdb"), config=MEMORY) as connection:
        touched = one_more_day(connection, refresh, rows)
    day = dbt(workspace, "run", "-s", *ENGINE)
    return touched, sum(day[model] for model in ENGINE), day["cpu"] - start


def measure(workspace: Path, millions: float, with_naive: bool, with_marts: bool) -> dict:
    database = workspace / "warehouse.duckdb"
    row = {"million": millions}
    with duckdb.connect(str(database), config=MEMORY) as connection:
        generate(connection, millions)
        connection.execute(
            f"update reference.as_of set as_of_date = date '{FIRST_DAY}' + {DAYS - 1}"
        )
        row["scan"], row["cpu_scan"] = scan(connection, READ)
        row["scan_four"], row["cpu_scan_four"] = scan(connection, FOUR)
        if with_naive and millions <= 1:
            row["naive"], row["cpu_naive"] = naive(connection)
        for seed in ("stage_models", "stages", "stage_rules"):
            connection.execute(
                f"create or replace table reference.all_{seed} as from reference.{seed}"
            )
            connection.execute(f"delete from reference.{seed} where model <> 'aipl'")
    alone = dbt(workspace, "run", "--full-refresh", "-s", *ENGINE)
    with duckdb.connect(str(database), config=MEMORY) as connection:
        for seed in ("stage_models", "stages", "stage_rules"):
            connection.execute(
                f"insert into reference.{seed} from reference.all_{seed} where model <> 'aipl'"
            )
            connection.execute(f"drop table reference.all_{seed}")
    full = dbt(workspace, "run", "--full-refresh", "-s", *ENGINE)
    dbt(workspace, "run", "--full-refresh", "-s", "int_stages__calendar")
    start = min(dbt(workspace, "run", "-s", "int_stages__calendar")["cpu"] for _ in range(3))
    marts = (
        dbt(workspace, "run", "--full-refresh", "-s", "int_stages__spells", *MARTS)
        if with_marts
        else None
    )
    with duckdb.connect(str(database), config=MEMORY) as connection:
        for name, table in (
            ("models", "reference.stage_models"),
            ("spells", "lifecycle.int_stages__stays"),
        ):
            ((row[name],),) = connection.execute(f"select count(*) from {table}").fetchall()
    same = [refreshed(workspace, 1_000_000 + again, A_DAY, start) for again in range(3)]
    row["touched_same"], row["refresh_same"], row["cpu_refresh_same"] = map(
        median, zip(*same, strict=True)
    )
    row["touched_day"], row["refresh_day"], row["cpu_refresh_day"] = refreshed(
        workspace, 1_000_003, None, start
    )
    further = row["models"] - 1
    row |= {
        "aipl": sum(alone[model] for model in ENGINE),
        "all": sum(full[model] for model in ENGINE),
        "cpu_start": start,
        "cpu_aipl": alone["cpu"] - start,
        "cpu_all": full["cpu"] - start,
        "memory_mb": full["memory"],
    }
    if marts:
        row |= {"marts": sum(marts[m] for m in MARTS), "cpu_marts": marts["cpu"] - start}
        row["memory_marts_mb"] = marts["memory"]
    for kind in ("", "cpu_"):
        for name in ("scan", "scan_four"):
            row[f"{kind}aipl_by_{name}"] = row[f"{kind}aipl"] / row[f"{kind}{name}"]
            row[f"{kind}next_by_{name}"] = (
                (row[f"{kind}all"] - row[f"{kind}aipl"]) / further / row[f"{kind}{name}"]
            )
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--workspace", type=Path, required=True, help="an empty folder; it is filled"
    )
    arguments.add_argument("--events", default="1,10", help="millions of touch-points, with commas")
    arguments.add_argument(
        "--naive", action="store_true", help="also a snapshot per day, at 1 million"
    )
    arguments.add_argument(
        "--without-marts", action="store_true", help="the engine alone, no stocks, flows and FAST"
    )
    chosen = arguments.parse_args()
    chosen.workspace.mkdir(parents=True, exist_ok=True)
    dbt(
        chosen.workspace,
        "build",
        "-s",
        "+path:models/marts/fast",
        "--exclude-resource-type",
        "test",
        "unit_test",
    )
    for millions in chosen.events.split(","):
        row = measure(chosen.workspace, float(millions), chosen.naive, not chosen.without_marts)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
