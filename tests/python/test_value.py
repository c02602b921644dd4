"""What moves the RFM and value tables: refunds, anonymous orders, merges and late orders, on the compiled models."""

from __future__ import annotations

import datetime as dt

import pytest
import value_world
from compiled import Warehouse, clv_fits, compiled

from tests.oracle import value

MODELS = [
    "int_rfm__observation_dates", "rfm_customers", "rfm_segments", "rfm_cross", "rfm_migration",
    "int_value__observations", "int_value__purchase_days", "int_clv__customers", "int_clv__frequency_groups",
    "int_clv__spend_groups", "int_clv__models", "int_clv__expected_orders", "int_clv__predictions", "clv_backtest",
    "int_clv__gate", "clv_parameters", "clv_customers", "int_value__category_days", "int_value__gaps",
    "int_value__cycles", "int_value__person_cycles", "int_value__contacts", "int_value__reminder_messages",
    "fct_consent_spells", "int_value__reach", "repurchase_cycles", "repurchase_reminders", "reminder_backtest",
    "churn_warnings",
    "churn_backtest", "churn_saves", "int_value__active_spells", "churn_rates", "clv_planning", "int_value__acquisitions",
    "int_value__money_days", "retention_cohorts", "repurchase_cohorts", "unit_economics",
]  # fmt: skip
# Those with a second implementation, on facts and on CLV that are given.
SECOND = [
    "int_value__observations", "int_value__purchase_days", "int_value__category_days", "int_value__gaps",
    "int_value__cycles", "int_value__person_cycles", "int_value__contacts", "int_value__reminder_messages",
    "int_value__reach", "repurchase_cycles", "repurchase_reminders", "reminder_backtest", "churn_warnings",
    "churn_backtest", "churn_saves", "int_value__active_spells", "churn_rates", "clv_planning", "int_value__acquisitions",
    "int_value__money_days", "retention_cohorts", "repurchase_cohorts", "unit_economics",
]  # fmt: skip
AS_OF = dt.date(2026, 6, 30)
# A handful of customers must do for a cycle and for CLV, whose parameters are given: what moves is the data.
VARIABLES = """{repurchase_min_gaps: 1, clv_min_repeat_buyers: 1, clv_max_backtest_error: 1000,
    clv_min_backtest_lift: 0, rfm_history_months: 1}"""
PARAMETERS = {
    "r": 0.243,
    "alpha": 30.9,
    "a": 0.793,
    "b": 2.426,
    "p": 6.25,
    "q": 3.74,
    "v": 15.44,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    return compiled(tmp_path_factory.mktemp("value"), MODELS, VARIABLES)


def day(back: int) -> dt.date:
    return AS_OF - dt.timedelta(days=back)


def schema(model: str) -> str:
    return "lifecycle" if model.startswith(("int_", "fct_")) else "marts"


def run(
    models: dict[str, str],
    orders: list[tuple],
    refunds: list[tuple] = (),
    merged: dict[int, int] | None = None,
) -> Warehouse:
    """orders: (order_id, customer or None, days back, paid, category);
    refunds: (order_id or None, customer, days back, amount); merged: customer -> survivor. Identifier n is customer
    n's; customer 4 is a device. 1 was reminded 32 days ago and is a contact of a guide, 2 was held back."""
    survivor = {n: (merged or {}).get(n, n) for n in (1, 2, 3, 4, 5)} | {None: None}
    warehouse = Warehouse()
    warehouse.table("reference.as_of", f"select date '{AS_OF}' as as_of_date")
    for seed in ("category_cycles", "channels", "rfm_breakpoints"):
        warehouse.seed(seed)
    warehouse.seed("rfm_classes", ", types = {'rfm_code': 'varchar'}")
    people = ", ".join(f"({n}, {survivor[n]}, 'C{survivor[n]}', {n == 4})" for n in (1, 2, 3, 4, 5))
    warehouse.connection.execute(
        f"""
        create table identity.int_identity__customer_map as
            select * from (values {people})
            as map (identifier_key, customer_key, customer_id, is_anonymous_visitor);
        create table identity.int_identity__resolution as
            select *, cast(null as timestamp) as valid_from, cast(null as timestamp) as valid_to
            from identity.int_identity__customer_map;
        create table lifecycle.fct_touchpoints as
            select 'b' as brand_id, {survivor[1]} as customer_key, 'wecom' as channel, 'wecom_add' as event_type,
                'guide' as staff_id, cast(null as varchar) as content_id, 't1' as event_id,
                date '{day(40)}' as occurred_on, timestamp '{day(40)} 09:00:00' as occurred_at;
        create table lifecycle.fct_relationship_spells as
            select 'b' as brand_id, {survivor[1]} as customer_key, 'wecom_contact' as relationship,
                'guide' as relationship_key, date '{day(40)}' as valid_from, cast(null as date) as valid_to;
        create table lifecycle.fct_membership_spells (brand_id varchar, customer_key bigint, membership_key bigint,
            valid_from date, valid_to date);
        create table staging.stg_landing__campaigns as
            select unnest(['m', 'ads']) as campaign_id, 'b' as brand_id, 'sms' as channel,
                unnest(['membership', 'acquisition']) as scenario;
        create table staging.stg_landing__campaign_costs as
            select 'ads' as campaign_id, 'web' as channel, date '{day(200)}' as spent_on,
                cast(120 as decimal(18, 4)) as cost_amount;
        create table staging.stg_landing__messages as
            select 'm' as campaign_id, 'sms' as channel, unnest([1, 2]) as identifier_key,
                date '{day(32)}' as sent_on, timestamp '{day(32)} 10:00:00' as sent_at,
                timestamp '{day(32)} 10:00:00' as delivered_at,
                cast(null as timestamp) as unsubscribed_at, cast(null as varchar) as failed_reason,
                unnest([false, true]) as is_control;
        create table lifecycle.fct_order_lines (source_system varchar, order_id varchar, category varchar);
        create table lifecycle.fct_orders (source_system varchar, order_id varchar, brand_id varchar,
            customer_key bigint, channel varchar, channel_domain varchar, staff_id varchar, ordered_at timestamp,
            purchased_on date, valid_from date, valid_to date, paid_amount decimal(18, 4),
            net_amount decimal(18, 4), is_valid_purchase boolean);
        create table lifecycle.fct_refunds (source_system varchar, order_id varchar, brand_id varchar,
            customer_key bigint, is_linked boolean, refunded_on date, refund_amount decimal(18, 4));
        """
    )
    for order_id, customer, back, paid, category in orders:
        own = sorted((r[2], r[3]) for r in refunds if r[0] == order_id)[::-1]
        returned = sum(amount for _, amount in own)
        full_on = day(own[-1][0]) if returned >= paid else None
        warehouse.connection.execute(
            "insert into lifecycle.fct_orders values ('s', ?, 'b', ?, 'web', 'private', null, ?, ?, ?, ?, ?, ?, ?)",
            [order_id, survivor[customer], *[day(back)] * 3, full_on, paid, paid - returned, full_on is None],
        )  # fmt: skip
        warehouse.connection.execute(
            "insert into lifecycle.fct_order_lines values ('s', ?, ?)", [order_id, category]
        )
    for order_id, customer, back, amount in refunds:
        warehouse.connection.execute(
            "insert into lifecycle.fct_refunds values ('s', ?, 'b', ?, ?, ?, ?)",
            [order_id, survivor[customer], order_id is not None, day(back), amount],
        )
    for name, sql in models.items():
        if name == "int_clv__models":
            given_fits(warehouse)
        warehouse.table(f"{schema(name)}.{name}", sql)
    return warehouse


def given_fits(warehouse: Warehouse) -> None:
    """The rows that int_clv__fits makes of the groups, with the parameters of CDNOW instead of an optimum."""
    frames = [
        warehouse.connection.sql(f"select * from lifecycle.int_clv__{name}_groups").df()
        for name in ("frequency", "spend")
    ]
    rows = clv_fits().fits(*frames, 10**9)
    rows["value"] = rows.parameter.map(PARAMETERS)
    rows["is_converged"] = True
    warehouse.connection.register("rows", rows)
    warehouse.table("lifecycle.int_clv__fits", "select * from rows")


def everything(warehouse: Warehouse) -> dict[str, list[tuple]]:
    return {
        name: sorted(warehouse.rows(f"select * from {schema(name)}.{name}"), key=str)
        for name in MODELS
    }


BASE = [
    ("a", 1, 200, 100, "x"),
    ("b", 1, 150, 60, "x"),
    ("c", 1, 20, 40, "x"),
    ("d", 2, 180, 70, "x"),
    ("e", 2, 92, 30, "x"),
    ("f", 3, 10, 5, "y"),
    ("g", 5, 160, 9, "y"),
]

# What an analyst would look at in each table, small enough to check by hand. Money in whole units.
GAUGES = {
    "rfm_customers": "customer_id, recency_days, frequency, cast(monetary_amount as int) "
    "from marts.rfm_customers where is_as_of and scope = 'all'",
    "rfm_segments": "sum(customers), sum(orders), cast(sum(monetary_amount) as int) "
    "from marts.rfm_segments where is_as_of and scope = 'all'",
    "clv_planning": "customers, orders, cast(monetary_amount as int) from marts.clv_planning",
    "rfm_cross": "row_value, column_value, customers from marts.rfm_cross "
    "where is_as_of and scope = 'all' and grid = 'r_f'",
    "rfm_migration": "from_code, to_code, customers, buyers from marts.rfm_migration where scope = 'all'",
    "clv_parameters": "distinct model_name, customers, repeat_customers from marts.clv_parameters",
    "clv_customers": "customer_id, bg_frequency, bg_recency, bg_age, cast(historical_value as int), "
    "round(p_alive, 2) from marts.clv_customers",
    "clv_backtest": "customers, actual_orders, cast(actual_amount as int) from marts.clv_backtest "
    "where level = 'all'",
    "repurchase_cycles": "completed_gaps, open_gaps, p50_days from marts.repurchase_cycles where kind = 'any'",
    "repurchase_reminders": "customer_id, category, cast(due_on as text), suppressed_reason from marts.repurchase_reminders",
    "reminder_backtest": "test_group, trials, buyers from marts.reminder_backtest where test = 'message'",
    "churn_warnings": "customer_id, band, days_since_last_purchase, owner_id from marts.churn_warnings",
    "churn_backtest": "customers, stayed_away from marts.churn_backtest where band = 'all'",
    "churn_saves": "band, test_group, trials, saved from marts.churn_saves",
    "churn_rates": "sum(gained_customers), sum(lost_customers) from marts.churn_rates "
    "where relationship = 'purchase'",
    "retention_cohorts": "sum(orders), cast(sum(order_date_amount) as int), "
    "cast(sum(refund_date_amount) as int), sum(buyers) from marts.retention_cohorts where acquisition_channel = 'all'",
    "repurchase_cohorts": "cast(cohort_month as text), observed_customers, repeat_customers, "
    "cast(order_date_amount as int) from marts.repurchase_cohorts "
    "where acquisition_channel = 'all' and horizon_days = 90",
    "unit_economics": "cast(cohort_month as text), new_customers, cast(value_to_date as int), payback_days "
    "from marts.unit_economics where acquisition_channel = 'all'",
}


def gauges(warehouse: Warehouse) -> dict[str, list[tuple]]:
    return {
        table: sorted(warehouse.rows(f"select {query}"), key=str) for table, query in GAUGES.items()
    }


# What the tables say of BASE, and what of it changes; checked by hand against the orders.
EXPECTED = {
    "rfm_customers": [("C1", 20, 3, 200), ("C2", 92, 2, 100), ("C3", 10, 1, 5), ("C5", 160, 1, 9)],
    "rfm_segments": [(4, 7, 314)],
    "clv_planning": [(4, 7, 314)],
    "rfm_cross": [("1", "1", 1), ("1", "2", 1), ("3", "1", 1), ("3", "2", 1)],
    "rfm_migration": [
        ("000", "000", 1, 0),
        ("011", "111", 1, 1),
        ("110", "010", 1, 0),
        ("none", "100", 1, 1),
    ],
    "clv_parameters": [("bg_nbd", 4, 2), ("gamma_gamma", 2, 2)],
    "clv_customers": [
        ("C1", 2, 180, 200, 200, 0.78),
        ("C2", 1, 88, 180, 100, 0.6),
        ("C3", 0, 0, 10, 5, 1.0),
        ("C5", 0, 0, 160, 9, 1.0),
    ],
    "clv_backtest": [(3, 1, 40)],
    "repurchase_cycles": [(3, 4, 88.0)],
    "repurchase_reminders": [("C2", "x", "2026-06-26", None)],
    "reminder_backtest": [("control", 1, 0), ("reminded", 1, 1)],
    "churn_warnings": [("C5", "warning", 160, None)],
    "churn_backtest": [(3, 2)],
    "churn_saves": [("warning", "contacted", 1, 1)],
    "churn_rates": [(4, 0)],
    "retention_cohorts": [(7, 314, 314, 7)],
    "repurchase_cohorts": [
        ("2025-12-01", 1, 1, 160),
        ("2026-01-01", 2, 1, 109),
        ("2026-06-01", 0, None, None),
    ],
    "unit_economics": [
        ("2025-12-01", 1, 200, 50),
        ("2026-01-01", 2, 109, None),
        ("2026-06-01", 1, 5, None),
    ],
}
MOVED = {
    "a repeat purchase is refunded in full": {
        "rfm_customers": [
            ("C1", 20, 3, 200),
            ("C2", 180, 1, 70),
            ("C3", 10, 1, 5),
            ("C5", 160, 1, 9),
        ],
        "rfm_segments": [(4, 6, 284)],
        "clv_planning": [(4, 6, 284)],
        "rfm_cross": [("1", "1", 2), ("3", "1", 1), ("3", "2", 1)],
        "rfm_migration": [("100", "000", 2, 0), ("111", "111", 1, 1), ("none", "100", 1, 1)],
        "clv_parameters": [("bg_nbd", 4, 1), ("gamma_gamma", 1, 1)],
        "clv_customers": [
            ("C1", 2, 180, 200, 200, 0.78),
            ("C2", 0, 0, 180, 70, 1.0),
            ("C3", 0, 0, 10, 5, 1.0),
            ("C5", 0, 0, 160, 9, 1.0),
        ],
        "repurchase_cycles": [(2, 4, 90.0)],
        "repurchase_reminders": [],
        "churn_warnings": [("C2", "warning", 180, None), ("C5", "warning", 160, None)],
        "churn_saves": [("warning", "control", 1, 0)],
        "retention_cohorts": [(6, 284, 284, 6)],
        "repurchase_cohorts": [
            ("2025-12-01", 1, 1, 160),
            ("2026-01-01", 2, 0, 79),
            ("2026-06-01", 0, None, None),
        ],
        "unit_economics": [
            ("2025-12-01", 1, 200, 50),
            ("2026-01-01", 2, 79, None),
            ("2026-06-01", 1, 5, None),
        ],
    },
    "the purchase of the hold-out is refunded": {
        "rfm_customers": [
            ("C1", 150, 2, 160),
            ("C2", 92, 2, 100),
            ("C3", 10, 1, 5),
            ("C5", 160, 1, 9),
        ],
        "rfm_segments": [(4, 6, 274)],
        "clv_planning": [(4, 6, 274)],
        "rfm_cross": [("1", "1", 1), ("1", "2", 2), ("3", "1", 1)],
        "rfm_migration": [
            ("000", "000", 1, 0),
            ("011", "011", 1, 0),
            ("110", "010", 1, 0),
            ("none", "100", 1, 1),
        ],
        "clv_customers": [
            ("C1", 1, 50, 200, 160, None),
            ("C2", 1, 88, 180, 100, None),
            ("C3", 0, 0, 10, 5, None),
            ("C5", 0, 0, 160, 9, None),
        ],
        "clv_backtest": [(3, 0, 0)],
        "repurchase_cycles": [(2, 4, 69.0)],
        "repurchase_reminders": [],
        "reminder_backtest": [("control", 1, 0), ("reminded", 1, 0)],
        "churn_warnings": [("C1", "warning", 150, "guide"), ("C5", "warning", 160, None)],
        "churn_backtest": [(3, 3)],
        "churn_saves": [("warning", "contacted", 1, 0)],
        "retention_cohorts": [(6, 274, 274, 6)],
        "unit_economics": [
            ("2025-12-01", 1, 160, 50),
            ("2026-01-01", 2, 109, None),
            ("2026-06-01", 1, 5, None),
        ],
    },
    "the only purchase of a customer is refunded": {
        "rfm_customers": [("C1", 20, 3, 200), ("C2", 92, 2, 100), ("C5", 160, 1, 9)],
        "rfm_segments": [(3, 6, 309)],
        "clv_planning": [(3, 6, 309)],
        "rfm_cross": [("1", "1", 1), ("1", "2", 1), ("3", "2", 1)],
        "rfm_migration": [("000", "000", 1, 0), ("011", "111", 1, 1), ("110", "010", 1, 0)],
        "clv_parameters": [("bg_nbd", 3, 2), ("gamma_gamma", 2, 2)],
        "clv_customers": [
            ("C1", 2, 180, 200, 200, 0.78),
            ("C2", 1, 88, 180, 100, 0.6),
            ("C5", 0, 0, 160, 9, 1.0),
        ],
        "repurchase_cycles": [(3, 3, 88.0)],
        "churn_rates": [(3, 0)],
        "retention_cohorts": [(6, 309, 309, 6)],
        "repurchase_cohorts": [("2025-12-01", 1, 1, 160), ("2026-01-01", 2, 1, 109)],
        "unit_economics": [("2025-12-01", 1, 200, 50), ("2026-01-01", 2, 109, None)],
    },
    "a part of a purchase is refunded": {
        "rfm_customers": [
            ("C1", 20, 3, 190),
            ("C2", 92, 2, 100),
            ("C3", 10, 1, 5),
            ("C5", 160, 1, 9),
        ],
        "rfm_segments": [(4, 7, 304)],
        "clv_planning": [(4, 7, 304)],
        "clv_customers": [
            ("C1", 2, 180, 200, 190, 0.78),
            ("C2", 1, 88, 180, 100, 0.6),
            ("C3", 0, 0, 10, 5, 1.0),
            ("C5", 0, 0, 160, 9, 1.0),
        ],
        "retention_cohorts": [(7, 304, 304, 7)],
        "repurchase_cohorts": [
            ("2025-12-01", 1, 1, 150),
            ("2026-01-01", 2, 1, 109),
            ("2026-06-01", 0, None, None),
        ],
        "unit_economics": [
            ("2025-12-01", 1, 190, 50),
            ("2026-01-01", 2, 109, None),
            ("2026-06-01", 1, 5, None),
        ],
    },
    "a refund without an order": {
        "rfm_customers": [
            ("C1", 20, 3, 200),
            ("C2", 92, 2, 93),
            ("C3", 10, 1, 5),
            ("C5", 160, 1, 9),
        ],
        "rfm_segments": [(4, 7, 307)],
        "clv_planning": [(4, 7, 307)],
        "clv_customers": [
            ("C1", 2, 180, 200, 200, 0.78),
            ("C2", 1, 88, 180, 93, 0.6),
            ("C3", 0, 0, 10, 5, 1.0),
            ("C5", 0, 0, 160, 9, 1.0),
        ],
        "repurchase_reminders": [("C2", "x", "2026-06-26", "recent refund")],
        "retention_cohorts": [(7, 307, 307, 7)],
        "unit_economics": [
            ("2025-12-01", 1, 200, 50),
            ("2026-01-01", 2, 102, None),
            ("2026-06-01", 1, 5, None),
        ],
    },
    "three customers are one": {
        "rfm_customers": [("C1", 20, 6, 309), ("C3", 10, 1, 5)],
        "rfm_segments": [(2, 7, 314)],
        "clv_planning": [(2, 7, 314)],
        "rfm_cross": [("3", "1", 1), ("3", "3", 1)],
        "rfm_migration": [("111", "111", 1, 1), ("none", "100", 1, 1)],
        "clv_parameters": [("bg_nbd", 2, 1), ("gamma_gamma", 1, 1)],
        "clv_customers": [("C1", 5, 180, 200, 309, 0.83), ("C3", 0, 0, 10, 5, 1.0)],
        "clv_backtest": [(1, 1, 40)],
        "repurchase_cycles": [(5, 2, 20.0)],
        "repurchase_reminders": [],
        "reminder_backtest": [("control", 1, 1), ("reminded", 1, 1)],
        "churn_warnings": [],
        "churn_backtest": [(1, 1)],
        "churn_saves": [("warning", "contacted", 1, 1), ("warning", "control", 1, 1)],
        "churn_rates": [(3, 1)],
        "retention_cohorts": [(7, 314, 314, 5)],
        "repurchase_cohorts": [("2025-12-01", 1, 1, 239), ("2026-06-01", 0, None, None)],
        "unit_economics": [("2025-12-01", 1, 309, 20), ("2026-06-01", 1, 5, None)],
    },
    "orders arrive late": {
        "rfm_customers": [
            ("C1", 20, 4, 208),
            ("C2", 25, 3, 102),
            ("C3", 10, 1, 5),
            ("C5", 30, 2, 15),
        ],
        "rfm_segments": [(4, 10, 330)],
        "clv_planning": [(4, 10, 330)],
        "rfm_cross": [("3", "1", 1), ("3", "2", 3)],
        "rfm_migration": [
            ("010", "111", 1, 1),
            ("110", "110", 1, 0),
            ("111", "111", 1, 1),
            ("none", "100", 1, 1),
        ],
        "clv_parameters": [("bg_nbd", 4, 4), ("gamma_gamma", 4, 4)],
        "clv_customers": [
            ("C1", 3, 180, 200, 208, 0.81),
            ("C2", 2, 155, 180, 102, 0.77),
            ("C3", 1, 390, 400, 8, 0.75),
            ("C5", 1, 130, 160, 15, 0.71),
        ],
        "clv_backtest": [(4, 5, 61)],
        "repurchase_cycles": [(7, 4, 88.0)],
        "repurchase_reminders": [],
        "reminder_backtest": [("control", 1, 1), ("reminded", 1, 1)],
        "churn_warnings": [],
        "churn_backtest": [(4, 0)],
        "churn_saves": [],
        "churn_rates": [(5, 1)],
        "retention_cohorts": [(11, 333, 333, 11)],
        "repurchase_cohorts": [
            ("2025-05-01", 1, 0, 3),
            ("2025-12-01", 1, 1, 160),
            ("2026-01-01", 2, 1, 109),
        ],
        "unit_economics": [
            ("2025-05-01", 1, 8, None),
            ("2025-12-01", 1, 208, 50),
            ("2026-01-01", 2, 117, None),
        ],
    },
}


HISTORIES = {
    "a repeat purchase is refunded in full": {"refunds": [("e", 2, 30, 30)]},
    "the purchase of the hold-out is refunded": {"refunds": [("c", 1, 5, 40)]},
    "the only purchase of a customer is refunded": {"refunds": [("f", 3, 5, 5)]},
    "a part of a purchase is refunded": {"refunds": [("b", 1, 100, 10)]},
    "a refund without an order": {"refunds": [(None, 2, 20, 7)]},
    "three customers are one": {"merged": {2: 1, 5: 1}},
    "orders arrive late": {
        "orders": [
            *BASE,
            ("late1", 1, 60, 8, "x"),
            ("late2", 2, 25, 2, "y"),
            ("late3", 3, 400, 3, "y"),
            ("late5", 5, 30, 6, "y"),
        ]
    },
}


@pytest.mark.parametrize("event", MOVED)
def test_an_event_moves_every_table_as_checked_by_hand(models, event):
    found = gauges(run(models, **({"orders": BASE} | HISTORIES[event])))
    assert found == EXPECTED | MOVED[event]


def test_before_any_event_the_tables_say_what_was_checked_by_hand(models):
    assert gauges(run(models, BASE)) == EXPECTED


def test_refunds_merges_and_late_orders_each_move_every_table():
    refunds = {table for event, tables in MOVED.items() if "refund" in event for table in tables}
    assert refunds == set(GAUGES)
    assert set(MOVED["three customers are one"]) == set(GAUGES)
    assert set(MOVED["orders arrive late"]) == set(GAUGES)


def test_anonymous_orders_and_visitors_move_nothing(models):
    base = everything(run(models, BASE))
    assert everything(run(models, [*BASE, ("x", None, 50, 900, "x")])) == base
    assert gauges(run(models, [*BASE, ("x", 4, 50, 900, "x")])) == EXPECTED


def test_a_merge_gives_what_one_customer_from_the_start_gives_in_any_order(models):
    merged = everything(run(models, BASE, merged={2: 1, 5: 1}))
    one = [(o, 3 if c == 3 else 1, *rest) for o, c, *rest in BASE]
    assert everything(run(models, one, merged={2: 1, 5: 1})) == merged
    assert everything(run(models, one[::-1], merged={2: 1, 5: 1})) == merged


def clv_customers(warehouse: Warehouse, fit: str) -> dict[int, tuple]:
    return {
        row[0]: row[1:]
        for row in warehouse.rows(
            f"""select customer_key, bg_frequency, bg_recency, bg_age, cast(net_amount as double),
            cast(repeat_amount as double) from lifecycle.int_clv__customers where fit_name = '{fit}'"""
        )
    }


def test_random_brands_are_what_the_second_implementation_makes_of_their_facts(models):
    warehouse = value_world.random_brands({name: models[name] for name in SECOND})
    expected = value.answers(value.Facts(warehouse.rows, min_gaps=1))
    tables = {f"{value_world.schema(name)}.{name}" for name in SECOND}
    assert set(expected) == tables
    for table in sorted(tables):
        assert value.differences(table, expected[table], warehouse.rows) == []


def test_purchase_days_count_and_the_calibration_knows_nothing_of_the_holdout(models):
    warehouse = run(models, [*BASE, ("h", 1, 200, 1, "x")])
    assert clv_customers(warehouse, "as_of") == {
        1: (2, 180, 200, 201.0, 100.0), 2: (1, 88, 180, 100.0, 30.0), 3: (0, 0, 10, 5.0, 0.0),
        5: (0, 0, 160, 9.0, 0.0),
    }  # fmt: skip
    assert clv_customers(warehouse, "calibration") == {
        1: (1, 50, 110, 161.0, 60.0), 2: (1, 88, 90, 100.0, 30.0), 5: (0, 0, 70, 9.0, 0.0)
    }  # fmt: skip


def test_a_full_refund_in_the_holdout_undoes_the_purchase_there_and_not_before(models):
    warehouse = run(models, BASE, [("e", 2, 30, 30), ("b", 1, 100, 10)])
    assert clv_customers(warehouse, "as_of")[2] == (0, 0, 180, 70.0, 0.0)
    assert clv_customers(warehouse, "calibration")[2] == (1, 88, 90, 100.0, 30.0)
    # A part goes back before the calibration ends: both fits know.
    assert clv_customers(warehouse, "calibration")[1][3:] == (150.0, 50.0)


def test_cohorts_keep_money_on_both_bases_and_blank_what_is_not_seen(models):
    warehouse = run(models, BASE, [("a", 1, 150, 25), (None, 1, 20, 7)])
    total = warehouse.rows(
        """select sum(order_date_amount), sum(refund_date_amount), count(*) filter (buyers is null and is_observed),
        count(*) filter (buyers is not null and not is_observed)
        from marts.retention_cohorts where acquisition_channel = 'all'"""
    )
    assert total == [(314 - 25 - 7, 314 - 25 - 7, 0, 0)]
    assert (
        warehouse.rows(
            """select observed_customers, repeat_customers from marts.repurchase_cohorts
        where acquisition_channel = 'all' and horizon_days = 365"""
        )
        == [(0, None)] * 3
    )


def test_who_is_active_today_is_whom_the_bands_do_not_call_churned(models):
    """Two ways to the same number: spells that churn_rates counts, and the bands of churn_warnings."""
    orders = [*BASE, ("h", 1, 900, 1, "x"), ("i", 5, 800, 1, "y"), ("j", 3, 700, 4, "x")]
    warehouse = run(models, orders)
    active, bands = warehouse.rows(
        """select (select list(distinct customer_key order by customer_key) from lifecycle.int_value__active_spells
            where relationship = 'purchase' and live_to is null),
        (select list(customer_key order by customer_key) from lifecycle.int_value__person_cycles
            where observation = 'as_of' and category = '*' and band <> 'churned')"""
    )[0]
    assert active == bands
