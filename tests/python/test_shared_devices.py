"""What happened on a device that people share belongs to the person who had it then, to the second: the compiled models on
a tablet that was linked to one person, and at noon of the 10th to another."""

from __future__ import annotations

import pytest
from compiled import Warehouse, compiled

MODELS = ["fct_touchpoints", "fct_orders", "fct_refunds"]
MOMENTS = [
    "2026-05-09 12:00:00",
    "2026-05-10 11:59:59",
    "2026-05-10 12:00:00",
    "2026-05-10 12:00:01",
    "2026-05-31 23:59:59",
    "2026-06-01 00:00:00",
]
OWNERS = [1, 1, 2, 2, 2]
"""Of each moment up to the as-of date, the 31st."""


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    return compiled(tmp_path_factory.mktemp("shared"), MODELS)


def build(models: dict[str, str], *names: str) -> Warehouse:
    """The tablet is identifier 7; 8 is a phone of person 3 alone; nobody knows 9."""
    warehouse = Warehouse()
    warehouse.table("reference.as_of", "select date '2026-05-31' as as_of_date")
    warehouse.seed("channels")
    warehouse.table(
        "identity.int_identity__resolution",
        """
        select * from (values
            (7, 1, null::timestamp, timestamp '2026-05-10 12:00:00'), (7, 2, timestamp '2026-05-10 12:00:00', null),
            (8, 3, null, null)) as t (identifier_key, customer_key, valid_from, valid_to)
        """,
    )
    warehouse.table(
        "lifecycle.moments",
        f"select unnest({MOMENTS!r})::timestamp as moment, unnest(range({len(MOMENTS)})) as n",
    )
    warehouse.table(
        "staging.stg_landing__touchpoints",
        """
        select 's' as source_system, i.key * 100 + n as event_id, 'b' as brand_id, i.key as identifier_key,
            moment as occurred_at, cast(moment as date) as occurred_on, 'login' as event_type, 'tmall' as channel,
            null::text as product_id, null::text as campaign_id, null::text as content_id, null::text as store_id,
            null::text as staff_id, null::decimal(18, 4) as event_value
        from lifecycle.moments, (values (7), (8), (9)) as i (key)
        """,
    )
    warehouse.table(
        "staging.stg_landing__orders",
        """
        select 's' as source_system, coalesce(i.key, 0) * 100 + n as order_id, 'b' as brand_id, i.key as identifier_key,
            moment as ordered_at, cast(moment as date) as ordered_on, moment as paid_at, cast(moment as date) as paid_on,
            'paid' as status, 'tmall' as channel, null::text as store_id, null::text as staff_id,
            10::decimal(18, 4) as amount, null::decimal(18, 4) as discount_amount, null::text as campaign_id,
            null::text as coupon_id
        from lifecycle.moments, (values (7), (8), (9), (null)) as i (key)
        """,
    )
    # Refunds on the last second of the 31st: one of each order made on the tablet, one without an order.
    warehouse.table(
        "staging.stg_landing__refunds",
        """
        select 's' as source_system, order_id as refund_id, order_id, brand_id, 8 as identifier_key,
            timestamp '2026-05-31 23:59:59' as refunded_at, date '2026-05-31' as refunded_on, 1::decimal(18, 4) as amount
        from staging.stg_landing__orders where identifier_key = 7
        union all by name select 's' as source_system, 1000 + n as refund_id, 4711 as order_id, 'b' as brand_id,
            7 as identifier_key, moment as refunded_at, cast(moment as date) as refunded_on, 1::decimal(18, 4) as amount
        from lifecycle.moments
        """,
    )
    if "fct_orders" in names:
        warehouse.table(
            "lifecycle.fct_refunds",
            """
            select null as source_system, null as order_id, null::date as refunded_on, null::timestamp as refunded_at,
                null as refund_id, null::decimal(18, 4) as refund_amount, true as is_linked where false
            """,
        )
    for name in names:
        warehouse.table(f"lifecycle.{name}", models[name])
    return warehouse


def test_a_touch_point_is_of_whoever_had_the_device_and_a_stranger_has_none(models):
    warehouse = build(models, "fct_touchpoints")
    assert warehouse.rows(
        "select event_id, customer_key from lifecycle.fct_touchpoints order by 1"
    ) == [*((700 + n, who) for n, who in enumerate(OWNERS)), *((800 + n, 3) for n in range(5))]


def test_an_order_is_of_whoever_had_the_device_and_without_a_person_it_is_kept(models):
    warehouse = build(models, "fct_orders")
    found = warehouse.rows(
        "select order_id, customer_key, is_anonymous from lifecycle.fct_orders order by 1"
    )
    assert found == [
        *((n, None, True) for n in range(5)),
        *((700 + n, who, False) for n, who in enumerate(OWNERS)),
        *((800 + n, 3, False) for n in range(5)),
        *((900 + n, None, False) for n in range(5)),
    ]


def test_a_refund_is_of_the_buyer_and_without_an_order_of_whoever_had_the_device(models):
    warehouse = build(models, "fct_refunds")
    assert warehouse.rows(
        "select refund_id, customer_key, is_linked from lifecycle.fct_refunds order by 1"
    ) == [
        *((700 + n, who, True) for n, who in enumerate(OWNERS)),
        # The order of the 1st of June is not seen, so this refund is of the phone it names.
        (705, 3, False),
        *((1000 + n, who, False) for n, who in enumerate(OWNERS)),
    ]
