"""Identity benchmark: components of a large graph, and a one-percent increment, beside SciPy and Splink.

    python bench/identity.py --edges 1 10 [--methods macro scipy splink dbt] [--splink-python PATH]

The graph is that of records and identifiers: most clusters are small, three in a hundred edges lie in chains, and
some identifiers are hubs. Every method starts from one DuckDB table of edges (two bigints) and ends with a table
(node, component) in DuckDB; the partitions are compared. `dbt` builds the project's own identity models on a
warehouse filled with the same graph as landed links, then a one-percent increment. Each method runs in its own
process, so that its peak memory is its own. SciPy is the independent implementation of the tests.
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

import duckdb

PROJECT = Path(__file__).parents[1]
CHECKSUM = """
    select count(*), count(distinct component), sum(hash(id, first_id) % 1000000007) from (
        select id, component, min(id) over (partition by component) as first_id from components
    )
"""


def make_graph(path: Path, edges: int) -> None:
    """Table `edges`(a, b): records and identifiers as 63-bit hashes, about `edges` rows."""
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("set memory_limit = '6GB'")
        key = "cast(md5_number_upper({}) >> 1 as bigint)"
        record, identifier = (key.format(f"'{kind}' || {{}}") for kind in "ri")
        connection.execute(
            f"""
            create table edges as
            -- A person has one to five records with two identifiers each out of four.
            select
                {record.format("(i // 2)")} as a,
                {identifier.format("(i // 8 * 4 + hash(i) % 4)")} as b
            from range(cast({edges} * 0.96 as bigint)) as t(i)
            union all
            -- Chains of 50 to 200 people.
            select
                {identifier.format("(-1 - i)")} as a,
                {identifier.format("(-2 - i)")} as b
            from range(cast({edges} * 0.03 as bigint)) as t(i)
            where hash(i // 50) % 4 <> 0 or i % 50 <> 0
            union all
            -- Hubs: an identifier on 500 records each.
            select
                {record.format("(hash(i) % " + str(edges // 2) + ")")} as a,
                {identifier.format("(1000000000000 + i // 500)")} as b
            from range(cast({edges} * 0.01 as bigint)) as t(i)
            """
        )


def by_macro(connection: duckdb.DuckDBPyConnection) -> None:
    """The project's macro, rendered by Jinja against this connection."""
    import jinja2

    class Quanyu:
        def create_work_table(self, name: str, sql: str) -> str:
            connection.execute(f"create or replace temp table work_{name} as {sql}")
            return ""

        def create_counted_work_table(self, name: str, sql: str) -> int:
            self.create_work_table(name, sql)
            return self.scalar(f"select count(*) from work_{name}")

        def work_table(self, name: str) -> str:
            return f"work_{name}"

        def drop_work_tables(self, names: list[str]) -> str:
            for name in names:
                connection.execute(f"drop table if exists work_{name}")
            return ""

        def scalar(self, sql: str):
            return connection.execute(sql).fetchone()[0]

    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    source = (PROJECT / "macros/identity/connected_components.sql").read_text()
    template = environment.from_string(source, globals={"quanyu": Quanyu(), "exceptions": None})
    template.module.connected_components("select a, b from edges", "found")
    connection.execute("create table components as select id, component from work_found")


def by_scipy(connection: duckdb.DuckDBPyConnection) -> None:
    """scipy.sparse.csgraph, ids made dense in SQL."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    connection.execute(
        """
        create temp table nodes as
        select id, row_number() over () - 1 as position
        from (select a as id from edges union select b as id from edges)
        """
    )
    pairs = connection.execute(
        """
        select cast(l.position as integer) as a, cast(r.position as integer) as b
        from edges inner join nodes as l on edges.a = l.id inner join nodes as r on edges.b = r.id
        """
    ).fetchnumpy()
    size = connection.execute("select count(*) from nodes").fetchone()[0]
    graph = coo_matrix(
        (np.ones(len(pairs["a"]), dtype=np.int8), (pairs["a"], pairs["b"])), (size, size)
    )
    labels = {
        "position": np.arange(size),
        "component": connected_components(graph, directed=False)[1],
    }
    import pyarrow as pa

    connection.register("labels", pa.table(labels))
    connection.execute(
        "create table components as select id, component from nodes inner join labels using (position)"
    )


def by_splink(connection: duckdb.DuckDBPyConnection) -> None:
    """Splink's own clustering on its DuckDB backend, which its users would run on the same edges."""
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    connection.execute("create table nodes as select a as id from edges union select b from edges")
    clusters = cluster_pairwise_predictions_at_threshold(
        connection.table("nodes"),
        connection.table("edges"),
        DuckDBAPI(connection),
        node_id_column_name="id",
        edge_id_column_name_left="a",
        edge_id_column_name_right="b",
    )
    connection.execute(
        f"create table components as select id, cluster_id as component from {clusters.physical_name}"
    )


def by_dbt(work: Path, graph: Path, edges: int) -> dict:
    """The identity models on a warehouse with the graph as landed links; then one percent more.

    `start_up_cpu_s` is what the same run costs while nothing has landed: dbt itself, and planning the statements.
    """
    sys.path.insert(0, str(PROJECT))
    from dbt.cli.main import dbtRunner

    from orchestration.warehouse import warehouse_closed_after

    workspace = work / "warehouse"
    database = workspace / "warehouse.duckdb"
    workspace.mkdir(exist_ok=True)
    database.unlink(missing_ok=True)
    os.environ |= {
        "QUANYU_WORKSPACE": str(workspace),
        "QUANYU_DATABASE": str(database),
        "QUANYU_LAKE": str(workspace / "lake"),
        "QUANYU_MEMORY": "8GB",
    }
    runner = dbtRunner()
    common = [
        "--quiet", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT / "profiles"),
        "--log-path", str(workspace / "logs"), "--target-path", str(workspace / "target"),
    ]  # fmt: skip

    def run(*arguments: str) -> dict[str, float]:
        """Wall seconds of every model, and the CPU seconds of the whole run, dbt's own included."""
        before = time.process_time()
        with warehouse_closed_after():
            result = runner.invoke([*arguments, *common])
        if not result.success:
            raise SystemExit(f"dbt {arguments} failed: {result.exception or result.result}")
        seconds = {r.node.name: round(r.execution_time, 2) for r in result.result}
        return seconds | {"cpu_s": round(time.process_time() - before, 2)}

    models = ("int_identity__identifiers", "int_identity__links", "int_identity__resolution")
    run("seed")
    run("run", "--select", "+int_identity__customer_map")
    start_up = run("run", "--select", *models)["cpu_s"]
    # A fresh warehouse, then the graph as rows of the base model.
    load = """
        insert into staging.base_landing__identity_links by name
        select
            'all' as _batch, 'file' as _file, row_number() over () + {after} as _row, {load} as _landed_load,
            cast({load} as bigint) * 1000000000 + row_number() over () as _key, 'accepted' as _fate,
            {refresh} as _refresh, 'crm' as source_system, 'openid' as left_type, cast(a as varchar) as left_value,
            a as left_key, 'unionid' as right_type, cast(b as varchar) as right_value, b as right_key
        from graph.edges where hash(a, b) % 100 {share}
    """
    batch = """
        insert into audit.batches by name
        select 'identity_links' as entity, 'all' as batch, 'admitted' as status, 1 as load_number, 1 as first_load_number
    """

    def fill(share: str, load_number: int, after: int) -> None:
        with duckdb.connect(str(database)) as connection:
            number = connection.execute(
                "select max(refresh_number) + 1 from audit.refreshes"
            ).fetchone()[0]
            connection.execute(f"attach '{graph}' as graph (read_only)")
            connection.execute(
                load.format(after=after, load=load_number, refresh=number, share=share)
            )
            if load_number == 1:
                connection.execute(batch)
            connection.execute("detach graph")

    fill("<> 7", 1, 0)
    full = run("run", "--full-refresh", "--select", *models)
    fill("= 7", 2, 2 * edges)
    increment = run("run", "--select", *models)
    again = run("run", "--select", *models)
    with duckdb.connect(str(database)) as connection:
        counts = connection.execute(
            "select count(*), count(distinct customer_key), count(*) filter (guard is not null) "
            "from identity.int_identity__resolution"
        ).fetchone()
    return {
        "full_s": full,
        "increment_s": increment,
        "nothing_new_s": again,
        "start_up_cpu_s": start_up,
        "cpu_ratio": round(full["cpu_s"] / increment["cpu_s"], 2),
        "cpu_ratio_without_start_up": round(
            (full["cpu_s"] - start_up) / (increment["cpu_s"] - start_up), 2
        ),
        "nodes_customers_guarded": counts,
    }


def measure(method: str, graph: Path, work: Path, edges: int) -> dict:
    """Run one method; wall and CPU seconds, peak memory in GB, and the checksum of its partition."""
    started, before = time.perf_counter(), time.process_time()
    if method == "dbt":
        outcome = by_dbt(work, graph, edges)
    else:
        out = work / f"{method}.duckdb"
        out.unlink(missing_ok=True)
        with duckdb.connect(str(out)) as connection:
            connection.execute("set memory_limit = '8GB'")
            connection.execute(f"attach '{graph}' as graph (read_only)")
            connection.execute("create view edges as select a, b from graph.edges")
            started, before = time.perf_counter(), time.process_time()
            {"macro": by_macro, "scipy": by_scipy, "splink": by_splink}[method](connection)
            wall, cpu = time.perf_counter() - started, time.process_time() - before
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            outcome = {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_gb": round(peak, 2)}
            outcome["checksum"] = [str(x) for x in connection.execute(CHECKSUM).fetchone()]
        return outcome
    outcome["wall_s"] = round(time.perf_counter() - started, 2)
    outcome["cpu_s"] = round(time.process_time() - before, 2)
    outcome["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edges", nargs="+", type=float, default=[1], help="in millions")
    parser.add_argument("--methods", nargs="+", default=["macro", "scipy", "dbt"])
    parser.add_argument("--work", type=Path, default=Path("var/bench"))
    parser.add_argument("--splink-python", default=sys.executable, help="Python that has splink")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if options.one:
        method, graph, edges = options.one
        print(json.dumps(measure(method, Path(graph), work, int(edges)), default=str))
        return
    for millions in options.edges:
        edges = int(millions * 1_000_000)
        graph = work / "graph.duckdb"
        make_graph(graph, edges)
        for method in options.methods:
            python = options.splink_python if method == "splink" else sys.executable
            command = [
                python,
                __file__,
                "--work",
                str(work),
                "--one",
                method,
                str(graph),
                str(edges),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = (
                done.stdout.strip().splitlines()[-1:]
                if done.returncode == 0
                else done.stderr[-2000:]
            )
            print(
                f"{millions:g} million edges  {method:7}",
                *([said] if isinstance(said, str) else said),
                flush=True,
            )


if __name__ == "__main__":
    main()
