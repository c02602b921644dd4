"""A made-up warehouse of a few tables, small enough to count by hand: what the health report reads, without a build."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb

SEEDS = Path(__file__).parents[2] / "seeds"
AS_OF = date(2026, 6, 30)
HOSTILE = '<script>alert("x")</script>'
# Planted where a careless report would show it.
PHONE, EMAIL, CUSTOMER = "13912345678", "someone@example.com", "customer-0a1b2c3d"
DAYS = 40
STAGES = {"aipl": "AIPL", "five_r": ("R1", "R2", "R3", "R4", "R5"), "lifecycle": ("single",)}


def make(path: Path) -> Path:
    """Brands: `north` with hundreds of people, `solo` with one, `void` with an anonymous order, and a hostile one."""
    with duckdb.connect(str(path)) as connection:
        for schema in ("marts", "reference", "audit", "lifecycle"):
            connection.execute(f"create schema {schema}")
        _reference(connection)
        _marts(connection)
        _audit(connection)
        for brand, people in (("north", 400), ("solo", 1), (HOSTILE, 60)):
            _brand(connection, brand, people)
        connection.execute("insert into lifecycle.fct_orders values ('void')")
    return path


def hold(path: Path) -> None:
    """Hold two batches of the day, one of them a newer delivery of one in use, and a batch of the next day."""
    gate = (
        "orders batch dt=2026-06-30: `amount` is empty in 160 of 310 rows (51.6%); allowed: at most 5%."
        f" A row without a required value has no place in any mart. Seen {PHONE} and {EMAIL}."
    )
    with duckdb.connect(str(path)) as connection:
        insert = (
            "insert into audit.batches values (?, 'dt=2026-06-30', '2026-06-30', ?, ?, null, ?)"
        )
        connection.execute(insert, ["orders", "held", gate, None])
        connection.execute(insert, ["refunds", "admitted", None, "refunds batch: odd"])
        later = "insert into audit.batches values ('orders', 'dt=2026-07-01', '2026-07-01', 'held', 'x', null, null)"
        connection.execute(later)


def _reference(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"create table reference.as_of as select date '{AS_OF}' as as_of_date, 'newest batch' as as_of_source"
    )
    for seed, types in (
        ("stages", ""),
        ("rfm_classes", ", types = {'rfm_code': 'varchar'}"),
        ("report_thresholds", ", types = {'limit_change': 'double', 'chance_z': 'double'}"),
        ("promotion_calendar", ""),
        ("channels", ""),
    ):
        connection.execute(
            f"create table reference.{seed} as from read_csv('{SEEDS / seed}.csv', header = true{types})"
        )


def _marts(connection: duckdb.DuckDBPyConnection) -> None:
    rates = ", ".join(f"advancing_rate_{stage} double" for stage in "aip")
    for table, columns in {
        "lifecycle.fct_orders": "brand_id varchar",
        "marts.customers": "brand_id varchar, customer_id varchar",
        "marts.fast_daily": "brand_id varchar, as_of_date date, fertility bigint, advancing_base bigint,"
        f" advancing_deepened bigint, advancing_rate double, {rates}, superiority bigint,"
        " superiority_super bigint, thriving_active_30d bigint, thriving_rate_30d double",
        "marts.fast_drivers": "brand_id varchar, as_of_date date, metric varchar, driver varchar,"
        " stage varchar, cause varchar, contribution double",
        "marts.star_triangulating": "brand_id varchar, period_kind varchar, period_id varchar, layer varchar,"
        " last_on date, is_complete boolean, customers bigint, member_share double, reachable_share double,"
        " repeat_buyer_share double",
        "marts.star_activating": "brand_id varchar, period_kind varchar, period_id varchar, layer varchar,"
        " forward_rate double, lost_rate double, active_rate double",
        "marts.star_returning": "brand_id varchar, period_kind varchar, period_id varchar, layer varchar,"
        " buyers bigint, conversion_rate double, net_amount decimal(18, 4)",
        "marts.star_goal_flows": "brand_id varchar, period_kind varchar, period_id varchar, goal varchar,"
        " name_zh varchar, customers bigint, base_customers bigint, flow_rate double",
        "marts.aarrr_daily": "brand_id varchar, as_of_date date, channel varchar, new_customers bigint,"
        " registrations bigint, acquisition_cost_amount decimal(18, 4), activated bigint, activation_base bigint,"
        " logins bigint, dau bigint, mau bigint, stickiness_rate double, net_amount decimal(18, 4),"
        " buyers_365d bigint, repurchase_rate_365d double, invites bigint, accepted_invites bigint",
        "marts.campaign_performance": "campaign_id varchar, brand_id varchar, campaign_name varchar,"
        " scenario varchar, starts_on date, ends_on date, budget_amount decimal(18, 4), cost_amount decimal(18, 4),"
        " reached_customers bigint, buyers bigint, new_buyers bigint, net_amount decimal(18, 4), roas double",
        "audit.restatements": "brand_id varchar, as_of_date date, metric varchar, version integer,"
        " old_figure bigint, new_figure bigint, change bigint, cause varchar",
        "marts.stage_daily": "model varchar, brand_id varchar, as_of_date date, stage varchar,"
        " stage_rank integer, customers bigint, customer_share double",
        "marts.stage_flows": "model varchar, brand_id varchar, horizon_days integer, to_date date,"
        " from_stage varchar, to_stage varchar, direction varchar, customers bigint, flow_rate double",
        "marts.stage_journeys": "model varchar, brand_id varchar, stage varchar, forward_rate double,"
        " median_days_to_next double, is_leak_point boolean",
        "marts.rfm_segments": "is_as_of boolean, scope varchar, brand_id varchar, rfm_code varchar,"
        " rfm_class varchar, rfm_class_en varchar, strategy_zh varchar, strategy_en varchar,"
        " customers bigint, scored_customers bigint, customer_rate double, monetary_amount decimal(18, 4),"
        " total_monetary_amount decimal(18, 4), monetary_rate double, amount_per_customer decimal(18, 4)",
        "marts.repurchase_reminders": "brand_id varchar, customer_id varchar, category varchar,"
        " owner_id varchar, is_high_value boolean, suppressed_reason varchar",
        "marts.churn_warnings": "brand_id varchar, customer_id varchar, band varchar, owner_id varchar,"
        " is_high_value boolean",
        "marts.identity_quality": "metric varchar, breakdown varchar, numerator bigint,"
        " denominator bigint, rate double",
        "audit.batches": "entity varchar, batch varchar, batch_date date, status varchar, reasons varchar,"
        " warnings varchar, held_reasons varchar",
        "audit.quarantine": "entity varchar, reasons varchar, raw_row varchar",
        "audit.row_conservation": "landed_rows bigint, accepted_rows bigint, duplicate_rows bigint,"
        " superseded_rows bigint, quarantined_rows bigint, erased_rows bigint",
    }.items():
        connection.execute(f"create table {table} ({columns})")
    connection.execute(
        "insert into marts.identity_quality values ('merge_ratio', 'all', 30, 10, 3.0)"
    )


def _audit(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "insert into audit.batches values"
        " ('orders', 'dt=2026-06-29', '2026-06-29', 'admitted', null, null, null),"
        " ('products', 'initial', null, 'admitted', null, null, null)"
    )
    connection.executemany(
        "insert into audit.quarantine values (?, ?, ?)",
        [
            ("orders", f"amount `{PHONE}` is negative: land money given back", EMAIL),
            (
                "orders",
                "order_id is missing: it is required; amount `x` is not a decimal number",
                PHONE,
            ),
            ("profiles", "identifier_value is missing: it is required", EMAIL),
            ("profiles", "something nobody has thought of", EMAIL),
        ],
    )
    connection.execute("insert into audit.row_conservation values (100, 89, 4, 2, 4, 1)")


def _brand(connection: duckdb.DuckDBPyConnection, brand: str, people: int) -> None:
    insert = connection.executemany
    days = [AS_OF - timedelta(days=back) for back in reversed(range(DAYS))]
    # Everybody is known from the first day on, but for `north`, which loses 3 in 100 in the last week.
    fast, stages = [], []
    for at in days:
        left = people // 33 if brand == "north" and at > AS_OF - timedelta(days=7) else 0
        total, members = people - left, people // 2
        deepened = people // (50 if at == AS_OF else 25)
        rates = (deepened / people, deepened / people / 2, 0.0, 0.0)
        thriving = (members // 2, members // 2 / members if members else None)
        fast.append((brand, at, total, people, deepened, *rates, members, people, *thriving))
        for model, names in STAGES.items():
            for rank, stage in enumerate(names, 1):
                inside = total if rank == len(names) else 0
                stages.append((model, brand, at, stage, rank, inside, inside / total))
    insert(f"insert into marts.fast_daily values ({'?, ' * 12}?)", fast)
    insert("insert into marts.stage_daily values (?, ?, ?, ?, ?, ?, ?)", stages)
    left = people // 33 if brand == "north" else 0
    flows = [("L", "L", "stayed", people - left)] + ([("L", "none", "lost", left)] if left else [])
    if (
        left
    ):  # every stage has a label in the picture; all of them counted in neither stock nor FAST
        flows += [(a, b, "forward", 1) for a, b in ("AI", "IP", "PL")] + [("none", "A", "new", 1)]
    insert(
        "insert into marts.stage_flows values ('aipl', ?, 7, ?, ?, ?, ?, ?, ?)",
        [(brand, AS_OF, source, to, kind, n, n / people) for source, to, kind, n in flows],
    )
    insert(
        "insert into marts.rfm_segments values (true, 'all', ?, ?, ?, ?, '行动', 'act', ?, ?, 1, ?, ?, 1, 10)",
        [
            (
                brand,
                "111",
                "重要价值客户",
                "Important value",
                people,
                people,
                people * 10,
                people * 10,
            )
        ],
    )
    insert(
        "insert into marts.repurchase_reminders values (?, ?, ?, ?, ?, ?)",
        [
            (brand, f"{CUSTOMER}-1", "tea", "G01", True, None),
            (brand, f"{CUSTOMER}-1", "cups", "G01", True, None),
            (brand, f"{CUSTOMER}-2", "tea", None, False, None),
            (brand, f"{CUSTOMER}-3", "tea", PHONE, False, "recent order"),
        ],
    )
    insert(
        "insert into marts.churn_warnings values (?, ?, ?, ?, ?)",
        [(brand, CUSTOMER, "warning", "G01", True), (brand, CUSTOMER, "churned", "G02", False)],
    )
    insert("insert into marts.customers values (?, ?)", [(brand, CUSTOMER)])
    if brand == "north":
        # Twelve left in the week and two came back; what happened before the week is another matter.
        drivers = [
            (AS_OF, "fertility", "left", "L", "window", -4),
            (AS_OF - timedelta(days=3), "fertility", "left", "L", "window", -5),
            (AS_OF - timedelta(days=6), "fertility", "left", "A", "behaviour", -5),
            (AS_OF - timedelta(days=6), "fertility", "entered", "A", "behaviour", 2),
            (AS_OF - timedelta(days=7), "fertility", "left", "P", "refund", -90),
            (AS_OF, "advancing_rate", "numerator", "all", "rate", -0.025),
            (AS_OF, "advancing_rate", "denominator", "all", "rate", 0.005),
        ]
        insert(
            "insert into marts.fast_drivers values ('north', ?, ?, ?, ?, ?, ?)",
            drivers,
        )
        for month, last_on, complete, people in (
            ("2026-04", date(2026, 4, 30), True, 1),
            ("2026-05", date(2026, 5, 31), True, 300),
            ("2026-06", AS_OF, False, 400),
        ):
            insert(
                "insert into marts.star_triangulating values ('north', 'month', ?, ?, ?, ?, ?, 0.5, 0.7, 0.2)",
                [(month, layer, last_on, complete, people) for layer in ("R4", "R5", "none")],
            )
        insert(
            "insert into marts.star_activating values ('north', 'month', '2026-05', ?, 0.1, 0.02, 0.3)",
            [("R4",), ("none",)],
        )
        insert(
            "insert into marts.star_returning values ('north', 'month', '2026-05', ?, 30, 0.25, 1234.5)",
            [("R4",), ("anonymous",)],
        )
        insert(
            "insert into marts.star_goal_flows values ('north', ?, '2026-05', ?, ?, ?, 300, 0.04)",
            [
                ("month", "seeding", "种草", 7),
                ("month", "acquisition", "拉新", 12),
                ("week", "acquisition", "拉新", 99),
            ],
        )
        # Ten new customers a day this week, five a day the week before; one more channel that is not `all`.
        insert(
            "insert into marts.aarrr_daily values"
            " ('north', ?, ?, ?, 3, 100, 1, ?, 4, 50, 200, 0.25, 1000, 90, 0.4, 2, 1)",
            [
                (AS_OF - timedelta(days=back), channel, 10 if back < 7 else 5, 4 if back < 7 else 0)
                for back in range(14)
                for channel in ("all", "tmall")
            ],
        )
        insert(
            "insert into marts.campaign_performance values"
            " (?, 'north', ?, 'promotion', ?, ?, 900, ?, 80, 9, 4, 500, 1.25)",
            [
                ("c1", "over", date(2026, 6, 1), date(2026, 6, 29), 1),
                ("c2", "small", date(2026, 6, 1), AS_OF, 10),
                ("c3", f"big {PHONE}", AS_OF, date(2026, 7, 5), 100),
                ("c4", "to come", date(2026, 7, 1), date(2026, 7, 5), 1),
            ],
        )
        insert(
            "insert into audit.restatements values ('north', ?, 'fertility', 2, 400, ?, ?, 'rows changed')",
            [
                (AS_OF - timedelta(days=back), 400 + by, by)
                for back, by in ((1, 3), (2, -7), (30, 99))
            ],
        )
