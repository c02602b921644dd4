"""RFM against the slow oracle: random populations with heavy ties under every scheme, and the real landings."""

from __future__ import annotations

import datetime as dt
import random
import sys
from decimal import Decimal

import pandas as pd
import pytest
from compiled import PROJECT, Warehouse, compiled, real

sys.path.insert(0, str(PROJECT / "tests" / "oracle"))
import rfm_oracle

from tests.oracle.channels import DOMAINS

MODELS = [
    "int_rfm__observation_dates",
    "rfm_customers",
    "rfm_segments",
    "rfm_cross",
    "rfm_migration",
]
SCHEMA = {"int_rfm__observation_dates": "lifecycle"}
AS_OF = dt.date(2026, 3, 17)
POPULATIONS = 100
ORDERS = "source_system order_id brand_id customer_key channel domain status purchased_on paid_amount f t".split()
REFUNDS = "source_system order_id brand_id customer_key is_linked refunded_on refund_amount".split()
FACTS = {
    "reference.as_of": "as_of_date date",
    "identity.int_identity__customer_map": "customer_key bigint, customer_id varchar, is_anonymous_visitor boolean",
    "lifecycle.fct_orders": """source_system varchar, order_id varchar, brand_id varchar, customer_key bigint,
        channel varchar, channel_domain varchar, status varchar, purchased_on date, paid_amount decimal(18, 4),
        valid_from date, valid_to date""",
    "lifecycle.fct_refunds": """source_system varchar, order_id varchar, brand_id varchar, customer_key bigint,
        is_linked boolean, refunded_on date, refund_amount decimal(18, 4)""",
}


@pytest.fixture(scope="module", params=["fixed", "quintile", "custom"])
def models(request, tmp_path_factory) -> tuple[str, dict[str, str]]:
    workspace = tmp_path_factory.mktemp(request.param)
    return request.param, compiled(
        workspace, MODELS, f"{{rfm_scheme: {request.param}, rfm_history_months: 4}}"
    )


def breakpoints(shipped: list[dict]) -> list[dict]:
    """With every other brand b2 having frequency bands of its own under `custom`."""
    own = [(1, None, 1), (2, 1, 3), (3, 3, None)]
    return shipped + [
        {
            "scheme": "custom",
            "brand_id": f"b2.{seed}",
            "measure": "frequency",
            "score": s,
            "above": a,
            "up_to": u,
        }
        for s, a, u in own
        for seed in range(0, POPULATIONS, 2)
    ]


def shipped_breakpoints() -> list[dict]:
    seed = pd.read_csv(PROJECT / "seeds" / "rfm_breakpoints.csv").astype(object)
    return seed.where(seed.notna(), None).to_dict("records")


def on_the_edges() -> list[tuple]:
    """Orders of a brand each of whose customers lies on a bound of METRICS 6.2 or beside it."""
    last = {bound for ends, _ in rfm_oracle.BANDS.values() for bound in ends if bound}
    days = [back for bound in (7, 30, 90, 180) for back in (bound, bound + 1)]
    money = [value for bound in sorted(last - {1, 2, 4, 7, 9, 30, 90, 180})
             for value in (Decimal(bound), Decimal(bound) + Decimal("0.5"))]  # fmt: skip
    bought = [[(back, Decimal(50))] for back in days]
    bought += [[(3, value)] for value in money]
    bought += [[(3, Decimal(50))] * times for times in range(1, 12)]
    people = (key for key in range(1, 41) if key != 9)
    return [
        ("edge", f"o{key}.{n}", "edges", key, "tmall", "public", "paid", on, amount, on, None)
        for key, orders in zip(people, bought, strict=False)
        for n, (back, amount) in enumerate(orders)
        for on in [AS_OF - dt.timedelta(days=back)]
    ]


def population(seed: int) -> tuple[list[tuple], list[tuple]]:
    """Orders and refunds of a few dozen people on a handful of days and amounts: nearly everybody ties."""
    rng = random.Random(seed)
    channels = rng.sample(["tmall", "jd", "store", "website", "kiosk", None], rng.randint(1, 6))
    days = [AS_OF - dt.timedelta(days=rng.randint(0, 480)) for _ in range(rng.randint(1, 6))]
    days += [dt.date(2026, 2, 28), AS_OF - dt.timedelta(days=365), AS_OF - dt.timedelta(days=364)]
    amounts = [
        Decimal(a)
        for a in rng.sample(["100", "100.0002", "1000", "50", "0", "300.5"], rng.randint(1, 4))
    ]
    orders, refunds, everyone = [], [], range(1, rng.choice([1, 2, 7, 40]) + 1)
    for n in range(rng.randint(1, 3 * len(everyone))):
        status = rng.choice(["paid", "completed", "completed", "cancelled"])
        customer = rng.choice([*everyone, None])
        brand, channel = rng.choice(["b1", "b2"]), rng.choice(channels)
        day, amount = rng.choice(days), rng.choice(amounts)
        order_id, back, full_on = f"o{n}", Decimal(0), None
        if rng.random() < 0.3:
            for _ in range(rng.randint(1, 2)):
                on = min(day + dt.timedelta(days=rng.choice([0, 9, 40])), AS_OF)
                part = amount * rng.choice([1, Decimal("0.5")])
                refunds.append(("s", order_id, brand, customer, True, on, part))
            for _, _, _, _, _, on, part in sorted(r for r in refunds if r[1] == order_id):
                back += part
                full_on = on if back >= amount and full_on is None else full_on
        is_purchase = status != "cancelled" and amount > 0
        orders.append(
            (
                "s",
                order_id,
                brand,
                customer,
                channel,
                DOMAINS.get(channel, "unknown"),
                status,
                day,
                amount,
            )
            + ((day, full_on) if is_purchase else (None, None))
        )
    for n in range(rng.randint(0, 5)):
        on = rng.choice(days)
        refunds.append(
            ("s", f"x{n}", rng.choice(["b1", "b2"]), rng.choice(everyone), False, on, Decimal(40))
        )
    return orders, refunds


def insert(warehouse: Warehouse, table: str, frame: pd.DataFrame) -> None:
    # Amounts as text: DuckDB takes the width of a decimal from a sample of the rows.
    amounts = [name for name in frame.columns if str(name).endswith("_amount")]
    frame = frame.assign(**{name: frame[name].astype(str) for name in amounts})
    warehouse.connection.register("frame", frame)
    warehouse.connection.execute(f"insert into {table} select * from frame")


def landed(orders: list[tuple], refunds: list[tuple]) -> Warehouse:
    warehouse = Warehouse()
    for name, columns in FACTS.items():
        warehouse.connection.execute(f"create table {name} ({columns})")
    warehouse.connection.execute("insert into reference.as_of values (?)", [AS_OF])
    # Two identifiers per person, as the identity map has them; customer 9 is a device.
    people = [(k, f"C{k}", k == 9) for k in range(1, 41)]
    warehouse.connection.executemany(
        "insert into identity.int_identity__customer_map values (?, ?, ?)", people * 2
    )
    insert(warehouse, "lifecycle.fct_orders", pd.DataFrame(orders, columns=ORDERS, dtype=object))
    insert(warehouse, "lifecycle.fct_refunds", pd.DataFrame(refunds, columns=REFUNDS, dtype=object))
    warehouse.seed("channels")
    warehouse.seed("rfm_classes", ", types = {'rfm_code': 'varchar'}")
    columns = (
        "scheme varchar, brand_id varchar, measure varchar, score int, above double, up_to double"
    )
    warehouse.connection.execute(f"create table reference.rfm_breakpoints ({columns})")
    rows = [tuple(b.values()) for b in breakpoints(shipped_breakpoints())]
    warehouse.connection.executemany(
        "insert into reference.rfm_breakpoints values (?, ?, ?, ?, ?, ?)", rows
    )
    return warehouse


def run(warehouse: Warehouse, models: dict[str, str]) -> None:
    for name, sql in models.items():
        warehouse.table(f"{SCHEMA.get(name, 'marts')}.{name}", sql)


def expected(orders: list[tuple], refunds: list[tuple], scheme: str) -> dict[tuple, tuple]:
    # Customer 9 is an anonymous visitor: in nobody's means.
    orders = [(*o[:3], None if o[3] == 9 else o[3], *o[4:]) for o in orders]
    valid = [o[9] for o in orders if o[9]]
    days = rfm_oracle.observation_dates(min(valid), AS_OF, 4) if valid else [AS_OF]
    answer = rfm_oracle.rfm(
        pd.DataFrame(orders, columns=ORDERS, dtype=object),
        pd.DataFrame(refunds, columns=REFUNDS, dtype=object),
        DOMAINS, breakpoints(rfm_oracle.BREAKPOINTS), scheme, days,
    )  # fmt: skip
    return {(d, b, s, f"C{c}"): v for (d, b, s, c), v in answer.items()}


def tables_expected(answer: dict[tuple, tuple]) -> dict[str, tuple[str, int, dict]]:
    """What is compared, by table: columns, how many of them are the key, rows of the oracle."""
    classes = rfm_oracle.CLASSES
    return {
        "rfm_customers": ("as_of_date, brand_id, scope, customer_id, recency_days, frequency, monetary_amount, "
         "r_score, f_score, m_score, rfm_code, rfm_class, rfm_class_en", 4,
         {key: (*row, *classes[row[6]]) for key, row in answer.items()}),
        "rfm_segments": ("as_of_date, brand_id, scope, rfm_code, customers, orders, monetary_amount, "
         "rfm_class, rfm_class_en", 4,
         {key: (*row, *classes[key[3]]) for key, row in rfm_oracle.segments(answer).items()}),
        "rfm_cross": ("as_of_date, brand_id, scope, grid, row_value, column_value, customers, orders, "
         "monetary_amount", 6, rfm_oracle.cross(answer)),
        "rfm_migration": ("brand_id, scope, period, from_date, to_date, from_code, to_code, customers, buyers", 7,
         rfm_oracle.migration(answer)),
    }  # fmt: skip


def differing(
    warehouse: Warehouse, table: str, columns: str, keys: int, theirs: dict
) -> list[tuple]:
    """Keys with what the table and the oracle say, where they differ."""
    empty = " where customers > 0" if table == "rfm_segments" else ""
    rows = warehouse.rows(f"select {columns} from marts.{table}{empty}")
    ours = {row[:keys]: row[keys:] for row in rows}
    return [
        (k, ours.get(k), theirs.get(k))
        for k in ours.keys() | theirs.keys()
        if ours.get(k) != theirs.get(k)
    ]


def agree(warehouse: Warehouse, answer: dict[tuple, tuple]) -> None:
    """All four tables are those of the oracle. Failures are counted, not shown: a diff of a million rows takes hours."""
    for table, expected in tables_expected(answer).items():
        wrong = differing(warehouse, table, *expected)
        assert not wrong, (table, len(wrong), wrong[:3])


def populations(count: int) -> tuple[list[tuple], list[tuple]]:
    """Orders and refunds of as many populations, each a pair of brands of its own."""
    orders = on_the_edges()
    # A brand whose money was all given back, without a word of what for.
    bought = AS_OF - dt.timedelta(days=20)
    orders.append(("none", "o", "nothing left", 1, "tmall", "public", "paid", bought, Decimal(40), bought, None))  # fmt: skip
    refunds = [("none", "x", "nothing left", 1, False, AS_OF, Decimal(40))]
    # Half of the money of an order was given back on the as-of date, and a year before it some without a word of what for.
    orders.append(("none", "half", "half left", 1, "tmall", "public", "paid", bought, Decimal(90), bought, None))  # fmt: skip
    refunds.append(("none", "half", "half left", 1, True, AS_OF, Decimal(45)))
    refunds.append(("none", "y", "half left", 1, False, AS_OF - dt.timedelta(days=365), Decimal(7)))
    for seed in range(count):
        bought, returned = population(seed)
        orders += [(f"s{seed}", o[1], f"{o[2]}.{seed}", *o[3:]) for o in bought]
        refunds += [(f"s{seed}", r[1], f"{r[2]}.{seed}", *r[3:]) for r in returned]
    return orders, refunds


def test_random_populations_with_heavy_ties_agree_with_the_oracle(models):
    """100 populations per scheme, each a pair of brands of its own, so that one run scores them all."""
    scheme, sql = models
    orders, refunds = populations(POPULATIONS)
    warehouse = landed(orders, refunds)
    run(warehouse, sql)
    agree(warehouse, expected(orders, refunds, scheme))
    check_laws(warehouse)


def test_it_is_looked_at_month_ends_from_the_first_purchase_on_and_today(models):
    scheme, sql = models
    if scheme == "fixed":  # the days are those of every scheme
        days_by_hand(sql)


def days_by_hand(sql: dict[str, str]) -> None:
    warehouse = bought_once_on(dt.date(2026, 2, 10))
    for today, wanted in (
        ("2026-03-17", [("2026-02-28", False, True), ("2026-03-17", True, False)]),
        ("2026-03-31", [("2026-02-28", False, True), ("2026-03-31", True, True)]),
        ("2026-02-11", [("2026-02-11", True, False)]),
        (None, []),
    ):
        assert days_seen(warehouse, sql, today) == wanted, today
    on_a_month_end = days_seen(bought_once_on(dt.date(2026, 2, 28)), sql, "2026-03-17")
    assert on_a_month_end == [("2026-02-28", False, True), ("2026-03-17", True, False)]
    after_it = days_seen(bought_once_on(dt.date(2026, 3, 1)), sql, "2026-03-17")
    assert after_it == [("2026-03-17", True, False)]


def bought_once_on(day: dt.date) -> Warehouse:
    return landed([("s", "o", "b1", 1, "tmall", "public", "paid", day, Decimal(9), day, None)], [])


def days_seen(warehouse: Warehouse, sql: dict[str, str], today: str | None) -> list[tuple]:
    warehouse.connection.execute("update reference.as_of set as_of_date = ?", [today])
    run(warehouse, {"int_rfm__observation_dates": sql["int_rfm__observation_dates"]})
    found = warehouse.rows("select * from lifecycle.int_rfm__observation_dates order by 1")
    return [(str(day), *flags) for day, *flags in found]


# Rows whose shares and means are not those of the counts beside them, or whose whole is not that of all rows.
SHARES = {
    "rfm_segments": """
        with people as (
            select as_of_date, brand_id, scope, count(*) as scored, sum(monetary_amount) as money
            from marts.rfm_customers group by all
        ), classes as (
            select as_of_date, brand_id, scope, rfm_code, avg(recency_days) as recency from marts.rfm_customers group by all
        )
        select 1 from marts.rfm_segments as s join people using (as_of_date, brand_id, scope)
        left join classes using (as_of_date, brand_id, scope, rfm_code)
        where s.scored_customers <> scored or s.total_monetary_amount <> money
            or abs(s.customer_rate - s.customers / scored) > 1e-9
            or (s.monetary_rate is null) <> (money = 0) or abs(s.monetary_rate * money - s.monetary_amount) > 1e-3
            or (s.customers = 0) <> (s.amount_per_customer is null)
            or abs(s.amount_per_customer - s.monetary_amount / s.customers) > 1e-3
            or abs(s.orders_per_customer - s.orders / s.customers) > 1e-9
            or s.mean_recency_days is distinct from recency and coalesce(abs(s.mean_recency_days - recency), 1) > 1e-9
    """,
    "rfm_cross": """
        with grids as (
            select as_of_date, brand_id, scope, grid, sum(customers) as scored from marts.rfm_cross group by all
        )
        select 1 from marts.rfm_cross as c join grids using (as_of_date, brand_id, scope, grid)
        where c.scored_customers <> scored or abs(c.customer_rate - c.customers / scored) > 1e-9
            or abs(c.amount_per_customer - c.monetary_amount / c.customers) > 1e-3
    """,
    "rfm_migration": """
        with classes as (
            select brand_id, scope, period, from_date, from_code, sum(customers) as people, sum(buyers) as bought
            from marts.rfm_migration group by all
        )
        select 1 from marts.rfm_migration as m join classes using (brand_id, scope, period, from_date, from_code)
        where m.from_customers <> people or m.from_buyers <> bought or abs(m.migration_rate - m.customers / people) > 1e-9
            or (m.class_repurchase_rate is null) <> (from_code = 'none')
            or abs(m.class_repurchase_rate - bought / people) > 1e-9
    """,
}


def check_laws(warehouse: Warehouse) -> None:
    """What holds on any data: equal inputs score equally, better inputs never score lower, tables add up."""
    for value, score, sign in [
        ("recency_days", "r_score", "<"), ("frequency", "f_score", ">"), ("monetary_amount", "m_score", ">")
    ]:  # fmt: skip
        assert not warehouse.rows(
            f"""select 1 from marts.rfm_customers as a join marts.rfm_customers as b
            using (as_of_date, brand_id, scope)
            where (a.{value} = b.{value} and a.{score} <> b.{score})
            or (a.{value} {sign} b.{value} and a.{score} < b.{score}) limit 1"""
        )
    population = "select as_of_date, brand_id, scope, count(*), sum(monetary_amount) from marts.rfm_customers group by all"
    for table in ("rfm_segments", "rfm_cross"):
        grid = ", grid" if table == "rfm_cross" else ""
        totals = warehouse.rows(
            f"""select distinct as_of_date, brand_id, scope, sum(customers), sum(monetary_amount)
            from marts.{table} group by as_of_date, brand_id, scope{grid}"""
        )
        assert sorted(totals) == sorted(warehouse.rows(population))
    for table, broken in SHARES.items():
        assert not warehouse.rows(broken), table
    for side, other in (("from", "to"), ("to", "from")):
        assert not warehouse.rows(
            f"""with flow as (
                select brand_id, scope, period, {side}_date as d, {side}_code as rfm_code, sum(customers) as n
                from marts.rfm_migration where {side}_code <> 'none' group by all
            )
            select flow.* from flow left join (
                select as_of_date as d, brand_id, scope, rfm_code, count(*) as n from marts.rfm_customers group by all
            ) as stock using (d, brand_id, scope, rfm_code) where flow.n is distinct from stock.n"""
        ), other


def facts(
    tmp_path_factory, landing: str
) -> tuple[Warehouse, list[tuple], list[tuple], dict[int, str], dt.date]:
    """A stand-in warehouse with the orders and refunds of a real landing; the same rows and the public ids of whom
    head-counts count."""
    source = real(tmp_path_factory, landing)
    orders = source.rows(
        """select source_system, order_id, brand_id, customer_key, channel, channel_domain, status, purchased_on,
        paid_amount, valid_from, valid_to from lifecycle.fct_orders"""
    )
    refunds = source.rows(
        """select source_system, order_id, brand_id, customer_key, is_linked, refunded_on, refund_amount
        from lifecycle.fct_refunds"""
    )
    people = source.rows("select distinct * from (select customer_key, customer_id, is_anonymous_visitor"
                         " from identity.int_identity__customer_map)")  # fmt: skip
    ((as_of,),) = source.rows("select as_of_date from reference.as_of")
    warehouse = landed(orders, refunds)
    warehouse.connection.execute("delete from identity.int_identity__customer_map")
    insert(warehouse, "identity.int_identity__customer_map", pd.DataFrame(people))
    warehouse.connection.execute("update reference.as_of set as_of_date = ?", [as_of])
    counted = {key: public for key, public, is_visitor in people if not is_visitor}
    orders = [(*o[:3], o[3] if o[3] in counted else None, *o[4:]) for o in orders]
    refunds = [r for r in refunds if r[3] in counted]
    return warehouse, orders, refunds, counted, as_of


def real_landing_agrees(
    tmp_path_factory, landing: str, scheme: str, sql: dict[str, str], months: int
) -> None:
    warehouse, orders, refunds, ids, as_of = facts(tmp_path_factory, landing)
    run(warehouse, sql)
    first = min(o[7] for o in orders if o[8] > 0)
    days = rfm_oracle.observation_dates(first, as_of, months)
    answer = rfm_oracle.rfm(
        pd.DataFrame(orders, columns=ORDERS, dtype=object),
        pd.DataFrame(refunds, columns=REFUNDS, dtype=object),
        DOMAINS, breakpoints(rfm_oracle.BREAKPOINTS), scheme, days,
    )  # fmt: skip
    agree(warehouse, {(d, b, s, ids[c]): v for (d, b, s, c), v in answer.items()})
    # Equal inputs never score differently: counted, because pairs of thousands of customers are too many.
    for value, score in [("recency_days", "r"), ("frequency", "f"), ("monetary_amount", "m")]:
        assert not warehouse.rows(
            f"""select 1 from marts.rfm_customers group by as_of_date, brand_id, scope, {value}
            having count(distinct {score}_score) > 1 limit 1"""
        )


@pytest.mark.parametrize(
    ("landing", "models"),
    [
        ("cdnow_sample", "fixed"),
        ("cdnow_sample", "quintile"),
        ("cdnow_sample", "custom"),
        ("online_retail", "fixed"),
    ],
    indirect=["models"],
)
def test_real_landings_agree_with_the_oracle(landing, models, tmp_path_factory):
    """Every customer of the last four month ends; `make soak` takes every day, landing and scheme."""
    real_landing_agrees(tmp_path_factory, landing, *models, months=4)


@pytest.mark.soak
@pytest.mark.parametrize("scheme", ["fixed", "quintile", "custom"])
@pytest.mark.parametrize("landing", ["cdnow_sample", "cdnow", "taobao", "online_retail"])
def test_every_real_landing_agrees_with_the_oracle_as_a_whole(
    landing, scheme, tmp_path, tmp_path_factory
):
    """Every customer of every month end."""
    sql = compiled(tmp_path, MODELS, f"{{rfm_scheme: {scheme}}}")
    real_landing_agrees(tmp_path_factory, landing, scheme, sql, months=36)
