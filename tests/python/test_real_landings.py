"""The published figures of the real landings come out to the penny (../shared/landing/README.md)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support import (
    ask,
    build_models,
    copy_batches,
    land,
    mart_hashes,
    mart_rows,
    real_landing,
    refresh_below_marts,
    tables,
)


@pytest.fixture(scope="module")
def online_retail(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("online_retail")
    land(real_landing("online_retail"), workspace)
    return workspace


def test_online_retail_orders_and_their_amount_are_the_published_ones(online_retail):
    assert ask(online_retail, "select count(*), sum(paid_amount) from lifecycle.fct_orders") == [
        (19_959, Decimal("10655622.4800"))
    ]


def test_an_anonymous_order_is_money_and_nobody(online_retail):
    assert ask(
        online_retail,
        "select count(*), sum(paid_amount), count(customer_key) from lifecycle.fct_orders where is_anonymous",
    ) == [(1_427, Decimal("1744214.5800"), 0)]


def test_online_retail_has_the_published_customers(online_retail):
    assert ask(
        online_retail,
        "select count(*) filter (purchase_days >= 1), count(*) filter (purchase_days >= 2) from marts.customers",
    ) == [(4_338, 2_790)]


def test_online_retail_refunds_without_an_order_lower_the_money_of_their_customer(online_retail):
    assert ask(online_retail, "select count(*), sum(refund_amount) from lifecycle.fct_refunds") == [
        (3_836, Decimal("896812.4900"))
    ]
    # What customers are worth = what they paid, less what they got back; anonymous money is nobody's.
    ((worth, paid, back),) = ask(
        online_retail,
        "select (select sum(net_amount) from marts.customers),"
        " (select sum(paid_amount) from lifecycle.fct_orders where not is_anonymous),"
        " (select sum(refund_amount) from lifecycle.fct_refunds where customer_key is not null)",
    )
    assert worth == paid - back


def test_online_retail_lines_sum_to_the_orders(online_retail):
    assert ask(
        online_retail, "select count(*), sum(line_amount) from lifecycle.fct_order_lines"
    ) == [(530_503, Decimal("10655622.4800"))]


def test_landing_the_same_files_again_changes_no_byte_of_any_mart(online_retail, tmp_path):
    before = mart_hashes(online_retail, tmp_path / "before")
    outcome = land(real_landing("online_retail"), online_retail)
    assert outcome.admission.load_number is None
    assert mart_hashes(online_retail, tmp_path / "after") == before


def test_landing_day_by_day_ends_in_the_same_marts_as_landing_at_once(online_retail, tmp_path):
    """A sample of 6 cut points; `make soak` takes all 305 days."""
    source = real_landing("online_retail")
    days = sorted(path.name.removeprefix("dt=") for path in (source / "orders").iterdir())
    replay(source, days[::80] + days[-2:], tmp_path, online_retail)


@pytest.mark.soak
def test_landing_every_single_day_ends_in_the_same_marts(online_retail, tmp_path):
    source = real_landing("online_retail")
    days = sorted(path.name.removeprefix("dt=") for path in (source / "orders").iterdir())
    assert len(days) == 305
    replay(source, days, tmp_path, online_retail)


def replay(source, cuts, tmp_path, expected):
    landing, workspace = tmp_path / "landing", tmp_path / "workspace"
    previous = None
    for day in sorted(set(cuts)):
        copy_batches(source, landing, previous, day)
        if day != max(cuts):
            refresh_below_marts(landing, workspace)
        previous = day
    land(landing, workspace)
    assert mart_rows(workspace) == mart_rows(expected)


def test_cdnow_gives_the_published_orders_amount_and_customers(tmp_path):
    build_models(real_landing("cdnow"), tmp_path, "fct_orders")
    assert ask(
        tmp_path,
        "select count(*), sum(paid_amount), count(distinct customer_key) from lifecycle.fct_orders",
    ) == [(69_579, Decimal("2500315.6300"), 23_502)]


def test_taobao_gives_the_published_behaviour(tmp_path):
    build_models(real_landing("taobao"), tmp_path, "fct_touchpoints", "fct_orders")
    assert ask(
        tmp_path,
        "select event_type, count(*) from lifecycle.fct_touchpoints group by event_type order by event_type",
    ) == [("cart_add", 4_497), ("favorite", 2_356), ("product_view", 75_872)]
    assert ask(tmp_path, "select count(*) from lifecycle.fct_orders") == [(1_750,)]


@pytest.mark.soak
@pytest.mark.parametrize("name", ["cdnow", "taobao"])
def test_the_whole_job_publishes_a_real_landing(name, tmp_path):
    """With every mart and every data test; `make test` does so with online_retail."""
    assert land(real_landing(name), tmp_path).publication.is_current
    assert "customers" in tables(tmp_path, "marts")
