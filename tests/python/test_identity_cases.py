"""Identity by example: one small landing, refreshed three times, and what must hold after each refresh."""

from __future__ import annotations

import hashlib

import pytest
from identity_world import Warehouse

DAY1, DAY2 = "2026-01-01", "2026-01-02"
MODELS = (
    "+customer_day",
    "+identity_evidence",
    "+identity_refusals",
    "+fct_identity_merges",
    "+dim_customers",
)


def link(left: str, right: str, at: str = f"{DAY1} 10:00:00") -> dict:
    """A row of identity_links between two `type=value`."""
    (left_type, left_value), (right_type, right_value) = (
        left.split("="),
        right.split("="),
    )
    return {
        "source_system": "crm",
        "left_type": left_type,
        "left_value": left_value,
        "right_type": right_type,
        "right_value": right_value,
        "linked_at": at,
    }


def event(number: int, who: str, at: str) -> dict:
    """A touch-point of `type=value`."""
    kind, value = who.split("=")
    return {
        "event_id": str(number),
        "source_system": "app",
        "occurred_at": at,
        "event_type": "login",
        "identifier_type": kind,
        "identifier_value": value,
    }


def owners(warehouse: Warehouse) -> dict[str, int]:
    """customer_key of every `type=value`."""
    return dict(
        warehouse.rows(
            "select concat(identifier_type, '=', identifier_value), customer_key "
            "from identity.int_identity__customer_map"
        )
    )


def order(number: int, who: str, at: str) -> dict:
    """A paid order of `type=value`."""
    kind, value = who.split("=")
    return {
        "order_id": str(number),
        "source_system": "app",
        "ordered_at": at,
        "status": "paid",
        "amount": "10.00",
        "identifier_type": kind,
        "identifier_value": value,
    }


class States:
    """The warehouse, with what was seen after each refresh."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.owners: list[dict[str, int]] = []
        self.events: list[dict[str, int]] = []
        self.evidence: list[list[tuple]] = []
        self.merges: list[set[tuple]] = []

    def refresh(self) -> None:
        self.warehouse.dbt("run", "--select", *MODELS)
        self.owners.append(owners(self.warehouse))
        self.events.append(
            dict(
                self.warehouse.rows("select event_id, customer_key from lifecycle.fct_touchpoints")
            )
        )
        self.evidence.append(
            self.warehouse.rows(
                "select link_entity, link_batch, link_row from identity.identity_evidence "
                "where identifier_type = 'unionid' and depth > 0 and link_kind = 'record'"
            )
        )
        self.merges.append(
            set(
                self.warehouse.rows(
                    "select loser_customer_key, survivor_customer_key, link_kind "
                    "from identity.fct_identity_merges"
                )
            )
        )


@pytest.fixture(scope="module")
def states(tmp_path_factory) -> States:
    warehouse = Warehouse(tmp_path_factory.mktemp("cases"))
    digest = hashlib.sha256(b"13911112222").hexdigest()
    tablet = "device_id=tablet"
    warehouse.land(
        {
            ("identity_links", DAY1): [
                link("phone=+86 139-1111-2222", "unionid=u1"),
                link(f"phone={digest}", "jd_id=j1"),
                # One phone, two member ids: a number that the carrier gave to somebody else.
                link("member_id=M1", "phone=13700000001"),
                link("member_id=M2", "phone=13700000001"),
                link("member_id=M1", "email=M1@x.example"),
                link("member_id=M2", "taobao_id=t2"),
                # A family's tablet.
                link(tablet, "member_id=M1", "2026-01-01 12:00:00"),
                link(tablet, "member_id=M2", "2026-01-01 18:00:00"),
                link("openid=app:1", "alipay_id=a1"),
                link("card_no=c1", "openid=app:2"),
                link("customer_no=n1", "jd_id=j2"),
                link("phone=13800000000", "member_id=M1"),
                link("phone=13800000000", "taobao_id=t9"),
            ],
            ("touchpoints", DAY1): [
                event(1, tablet, "2026-01-01 08:00:00"),
                event(2, tablet, "2026-01-01 12:00:00"),
                event(3, tablet, "2026-01-01 17:59:59"),
                event(4, tablet, "2026-01-01 18:00:00"),
                event(5, "cookie_id=c1", "2026-01-01 09:00:00"),
            ],
            ("orders", DAY1): [
                order(1, tablet, "2026-01-01 17:59:59"),
                order(2, tablet, "2026-01-01 18:00:00"),
            ],
        }
    )
    warehouse.dbt("seed")
    states = States(warehouse)
    states.refresh()
    # The second day ties t9 to the unionid, and by decision M1 and M2 are one person after all.
    warehouse.land(
        {("identity_links", DAY2): [link("taobao_id=t9", "unionid=u1", f"{DAY2} 09:00:00")]}
    )
    warehouse.override(
        [
            {
                "action": "link",
                "left": ("member_id", "M1"),
                "right": ("member_id", "M2"),
            },
            {"action": "link", "left": ("card_no", "c1"), "right": ("jd_id", "j2")},
            {
                "action": "split",
                "left": ("openid", "app:1"),
                "right": ("alipay_id", "a1"),
            },
        ]
    )
    states.refresh()
    # Then the second day is delivered again without its link, and the decisions are taken back.
    warehouse.land({("identity_links", DAY2): [link("card_no=k", "card_no=l", f"{DAY2} 09:00:00")]})
    warehouse.override([])
    states.refresh()
    return states


def test_a_hash_is_its_plain_phone(states):
    first = states.owners[0]
    assert first["phone=13911112222"] == first["jd_id=j1"] == first["unionid=u1"]


def test_a_recycled_phone_joins_nobody(states):
    first = states.owners[0]
    assert len({first["member_id=M1"], first["member_id=M2"], first["phone=13700000001"]}) == 3
    assert first["member_id=M1"] == first["email=m1@x.example"]
    refused = states.warehouse.rows(
        "select count(*) from identity.identity_refusals where guard = 'contested'"
    )
    assert refused == [(2,)]


def test_a_blocked_phone_is_nobody(states):
    first = states.owners[0]
    assert first["taobao_id=t9"] != first["member_id=M1"]
    assert states.warehouse.rows(
        "select is_anonymous_visitor from identity.int_identity__customer_map "
        "where identifier_value = '13800000000'"
    ) == [(True,)]


def test_a_shared_device_belongs_to_the_person_linked_last(states):
    first, events = states.owners[0], states.events[0]
    assert [events[number] for number in "1234"] == [
        *[first["member_id=M1"]] * 3,
        first["member_id=M2"],
    ]
    assert events["5"] == first["cookie_id=c1"]


def test_an_order_on_a_shared_device_is_of_the_person_who_had_it_then(states):
    assert states.warehouse.rows(
        "select order_id, customer_key from lifecycle.fct_orders order by order_id"
    ) == [("1", states.owners[2]["member_id=M1"]), ("2", states.owners[2]["member_id=M2"])]


def test_a_link_merges_into_the_older_customer(states):
    before, after = states.owners[:2]
    assert after["taobao_id=t9"] == after["unionid=u1"]
    assert after["unionid=u1"] in (before["taobao_id=t9"], before["unionid=u1"])
    losers = {before["taobao_id=t9"], before["unionid=u1"]} - {after["unionid=u1"]}
    assert (losers.pop(), after["unionid=u1"], "record") in states.merges[1]


def test_decisions_link_and_split(states):
    before, after = states.owners[:2]
    assert after["member_id=M1"] == after["member_id=M2"] == after["phone=13700000001"]
    assert before["openid=app:1"] == before["alipay_id=a1"]
    assert after["openid=app:1"] != after["alipay_id=a1"]
    by_decision = {frozenset(pair) for *pair, _ in states.merges[1]}
    assert {before["card_no=c1"], before["jd_id=j2"]} in by_decision
    # The phone of both was nobody's until then, so three customers became one.
    became = after["member_id=M1"]
    ended = {before[key] for key in ("member_id=M1", "member_id=M2", "phone=13700000001")} - {
        became
    }
    assert ended <= {loser for loser, *_ in states.merges[1]}
    assert len({states.events[1][number] for number in "1234"}) == 1


def test_withdrawn_links_and_decisions_give_everybody_back_their_ids(states):
    first, last = states.owners[0], states.owners[2]
    assert {key: last[key] for key in first} == first
    assert states.events[2] == states.events[0]
    assert not states.merges[2]


def test_evidence_names_the_landed_record(states):
    assert states.evidence[0] == [("identity_links", f"dt={DAY1}", 1)]


def test_rows_that_vanish_are_followed_like_withdrawn_ones(states):
    """Somebody deletes rows outright, so that nothing tells of them; this comes last, it changes the warehouse."""
    warehouse = states.warehouse
    before = owners(warehouse)
    assert before["member_id=M1"] == before["email=m1@x.example"]
    warehouse.execute(
        "delete from staging.base_landing__identity_links where right_value in ('m1@x.example', 'a1')"
    )
    states.refresh()
    after = states.owners[-1]
    # The e-mail had been M1's first identifier, so that M1 is named by itself now; nobody else is concerned.
    assert {key: before[key] for key in after if key != "member_id=M1"} == {
        key: owner for key, owner in after.items() if key != "member_id=M1"
    }
    assert before.keys() - after.keys() == {"email=m1@x.example", "openid=app:1", "alipay_id=a1"}
    links = "select count(*) from identity.int_identity__links where is_in_force and right_type in ('email', 'alipay_id')"
    assert warehouse.rows(links) == [(0,)]


def test_probable_links_are_off_by_default(states):
    assert states.warehouse.rows("select count(*) from identity.identity_probable_pairs") == [(0,)]
