"""What moves the value marts: refunds, anonymous orders, merges and late orders, on the compiled models."""

from __future__ import annotations

import datetime as dt

import pytest
from compiled import Warehouse, compiled

MODELS = [
    "int_value__observations", "int_value__purchase_days", "int_clv__customers", "int_value__category_days",
    "int_value__gaps", "int_value__cycles", "int_value__person_cycles", "churn_backtest", "int_value__acquisitions",
    "int_value__money_days", "retention_cohorts", "repurchase_cohorts",
]  # fmt: skip
AS_OF = dt.date(2026, 6, 30)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    return compiled(tmp_path_factory.mktemp("value"), MODELS)


def day(back: int) -> dt.date:
    return AS_OF - dt.timedelta(days=back)


def run(models: dict[str, str], orders: list[tuple], refunds: list[tuple] = ()) -> Warehouse:
    """orders: (order_id, customer or None, days back, paid); refunds: (order_id or None, customer, days back, amount)."""
    warehouse = Warehouse()
    warehouse.table("reference.as_of", f"select date '{AS_OF}' as as_of_date")
    warehouse.seed("category_cycles")
    warehouse.connection.execute(
        """
        create table identity.int_identity__customer_map as
            select unnest([1, 1, 2, 3, 4]) as customer_key, 'C' || customer_key as customer_id,
                customer_key = 4 as is_anonymous_visitor;
        create table lifecycle.fct_touchpoints (brand_id varchar, customer_key bigint, channel varchar,
            occurred_at timestamp, occurred_on date);
        create table lifecycle.fct_order_lines (source_system varchar, order_id varchar, category varchar);
        create table lifecycle.fct_orders (source_system varchar, order_id varchar, brand_id varchar,
            customer_key bigint, channel varchar, channel_domain varchar, purchased_on date, valid_from date,
            valid_to date, paid_amount decimal(18, 4), net_amount decimal(18, 4), is_valid_purchase boolean);
        create table lifecycle.fct_refunds (source_system varchar, order_id varchar, brand_id varchar,
            customer_key bigint, is_linked boolean, refunded_on date, refund_amount decimal(18, 4));
        """
    )
    for order_id, customer, back, paid in orders:
        own = sorted((r[2], r[3]) for r in refunds if r[0] == order_id)[::-1]
        returned = sum(amount for _, amount in own)
        full_on = day(own[-1][0]) if returned >= paid else None
        warehouse.connection.execute(
            "insert into lifecycle.fct_orders values ('s', ?, 'b', ?, 'web', 'private', ?, ?, ?, ?, ?, ?)",
            [
                order_id,
                customer,
                day(back),
                day(back),
                full_on,
                paid,
                paid - returned,
                full_on is None,
            ],
        )
    for order_id, customer, back, amount in refunds:
        warehouse.connection.execute(
            "insert into lifecycle.fct_refunds values ('s', ?, 'b', ?, ?, ?, ?)",
            [order_id, customer, order_id is not None, day(back), amount],
        )
    for name, sql in models.items():
        warehouse.table(f"{'lifecycle' if name.startswith('int_') else 'marts'}.{name}", sql)
    return warehouse


def everything(warehouse: Warehouse) -> dict[str, list[tuple]]:
    found = {}
    for name in MODELS:
        schema = "lifecycle" if name.startswith("int_") else "marts"
        found[name] = sorted(warehouse.rows(f"select * from {schema}.{name}"), key=str)
    return found


BASE = [
    ("a", 1, 200, 100),
    ("b", 1, 150, 60),
    ("c", 1, 20, 40),
    ("d", 2, 180, 70),
    ("e", 2, 95, 30),
    ("f", 3, 10, 5),
]


def clv_customers(warehouse: Warehouse, fit: str) -> dict[int, tuple]:
    return {
        row[0]: row[1:]
        for row in warehouse.rows(
            f"""select customer_key, bg_frequency, bg_recency, bg_age, cast(net_amount as double),
            cast(repeat_amount as double) from lifecycle.int_clv__customers where fit_name = '{fit}'"""
        )
    }


def test_purchase_days_count_and_the_calibration_knows_nothing_of_the_holdout(models):
    warehouse = run(models, [*BASE, ("g", 1, 200, 1)])
    assert clv_customers(warehouse, "as_of") == {
        1: (2, 180, 200, 201.0, 100.0), 2: (1, 85, 180, 100.0, 30.0), 3: (0, 0, 10, 5.0, 0.0)
    }  # fmt: skip
    assert clv_customers(warehouse, "calibration") == {
        1: (1, 50, 110, 161.0, 60.0),
        2: (1, 85, 90, 100.0, 30.0),
    }


def test_a_full_refund_in_the_holdout_undoes_the_purchase_there_and_not_before(models):
    warehouse = run(models, BASE, [("e", 2, 30, 30), ("b", 1, 100, 10)])
    assert clv_customers(warehouse, "as_of")[2] == (0, 0, 180, 70.0, 0.0)
    assert clv_customers(warehouse, "calibration")[2] == (1, 85, 90, 100.0, 30.0)
    # A part goes back before the calibration ends: both fits know.
    assert clv_customers(warehouse, "calibration")[1][3:] == (150.0, 50.0)


def test_anonymous_orders_and_visitors_move_nothing(models):
    base = everything(run(models, BASE))
    assert everything(run(models, [*BASE, ("x", None, 50, 900)])) == base
    assert clv_customers(run(models, [*BASE, ("x", 4, 50, 900)]), "as_of").keys() == {1, 2, 3}


def test_a_merge_and_a_late_order_give_what_one_full_look_gives(models):
    merged = [(o, 1 if c == 2 else c, d, p) for o, c, d, p in BASE]
    assert clv_customers(run(models, merged), "as_of")[1] == (4, 180, 200, 300.0, 200.0)
    assert everything(run(models, merged)) == everything(run(models, merged[::-1]))
    late = run(models, [*BASE, ("late", 2, 400, 8)])
    assert clv_customers(late, "as_of")[2] == (2, 305, 400, 108.0, 100.0)


def test_cohorts_keep_money_on_both_bases_and_blank_what_is_not_seen(models):
    warehouse = run(models, BASE, [("a", 1, 150, 25), (None, 1, 20, 7)])
    total = warehouse.rows(
        """select sum(order_date_amount), sum(refund_date_amount), count(*) filter (buyers is null and is_observed),
        count(*) filter (buyers is not null and not is_observed)
        from marts.retention_cohorts where acquisition_channel = 'all'"""
    )
    assert total == [(305 - 25 - 7, 305 - 25 - 7, 0, 0)]
    assert (
        warehouse.rows(
            """select observed_customers, repeat_customers from marts.repurchase_cohorts
        where acquisition_channel = 'all' and horizon_days = 365"""
        )
        == [(0, None)] * 3
    )
