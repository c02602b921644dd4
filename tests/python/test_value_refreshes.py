"""RFM and value tables refreshed delivery by delivery are those of one build of everything: what the tables read keeps
state (identity, base tables), and each delivery here upsets it: a refund, a merge, a late order, an anonymous one."""

from __future__ import annotations

import sys

import duckdb
import pytest
from compiled import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "oracle"))
from warehouse import Warehouse

MARTS = ["+path:models/marts/rfm", "+path:models/marts/value"]
BELOW = [*MARTS, "--exclude", "path:models/marts"]
ORDERS = (
    "order_id,source_system,identifier_type,identifier_value,ordered_at,status,channel,amount\n"
)
REFUNDS = "refund_id,source_system,order_id,identifier_type,identifier_value,refunded_at,amount\n"
LINKS = "source_system,left_type,left_value,right_type,right_value,linked_at\n"
ONE, TWO, MAIL = "phone,13900000001", "phone,13900000002", "email,a@example.com"
DELIVERIES = {
    "2026-01-31": {
        "orders": ORDERS
        + f"o1,s,{ONE},2026-01-05T10:00:00,paid,tmall,100\no2,s,{MAIL},2026-01-06T10:00:00,paid,jd,60\n"
        + f"o3,s,{TWO},2026-01-07T10:00:00,paid,store,30\no4,s,{ONE},2026-01-20T10:00:00,paid,tmall,50\n"
    },
    # A purchase comes back in full, and somebody unknown buys.
    "2026-02-28": {
        "orders": ORDERS
        + f"o5,s,{ONE},2026-02-10T10:00:00,paid,tmall,40\no6,s,,,2026-02-11T10:00:00,paid,store,900\n",
        "refunds": REFUNDS + f"r1,s,o4,{ONE},2026-02-15T10:00:00,50\n",
    },
    # Two customers turn out to be one.
    "2026-03-10": {
        "orders": ORDERS + f"o7,s,{MAIL},2026-03-02T10:00:00,paid,jd,20\n",
        "identity_links": LINKS + f"s,{ONE},{MAIL},2026-03-02T10:00:00\n",
    },
    # An order of the year before, and a return without a receipt.
    "2026-03-31": {
        "orders": ORDERS + f"o8,s,{TWO},2025-12-20T10:00:00,paid,store,8\n",
        "refunds": REFUNDS + f"r2,s,,{ONE},2026-03-30T10:00:00,7\n",
    },
}


def deliver(landing, day: str) -> None:
    for entity, text in DELIVERIES[day].items():
        folder = landing / entity / f"dt={day}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(text)


def rows(warehouse: Warehouse) -> dict[str, list[tuple]]:
    with duckdb.connect(str(warehouse.database), read_only=True) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        ).fetchall()
        return {
            name: sorted(connection.execute(f"select * from marts.{name}").fetchall(), key=repr)
            for (name,) in names
        }


@pytest.mark.soak
def test_deliveries_one_by_one_give_the_tables_of_one_build(tmp_path):
    landing = tmp_path / "landing"
    grown, whole = Warehouse(tmp_path / "grown"), Warehouse(tmp_path / "whole")
    for day in DELIVERIES:
        deliver(landing, day)
        grown.admit(landing)
        if day == min(DELIVERIES):
            grown._dbt("seed")
        if day != max(DELIVERIES):
            grown.run(select=BELOW)
    grown.run(select=MARTS)
    whole.admit(landing)
    whole._dbt("seed")
    whole.run(select=MARTS)
    kept, built = rows(grown), rows(whole)
    assert kept == built
    # And they say what happened: two people, one of them merged; the refunded order counts no more.
    with duckdb.connect(str(grown.database), read_only=True) as connection:
        assert connection.execute(
            """select frequency, cast(monetary_amount as int), recency_days from marts.rfm_customers
            where is_as_of and scope = 'all' order by 1"""
        ).fetchall() == [(2, 38, 83), (4, 213, 29)]
    assert len(built) >= 17
