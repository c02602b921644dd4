"""The facts below the stages once more, row by row from the files of a landing folder: orders with what came back of
them, touch-points, memberships and relationships, as the contract (models/staging/landing) and METRICS.md sections 0.1 to
0.5 have them. A customer is named by the first of its identifiers, as in tests/oracle/stages.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.oracle.channels import DOMAINS
from tests.oracle.stages import ENDS, STARTS, _time, people, rows

KINDS = {
    "follower": "follower",
    "wecom": "wecom_contact",
    "group": "group_member",
    "member": "member",
}
ORDER = [
    "brand_id", "is_anonymous", "ordered_at", "ordered_on", "paid_at", "purchased_on", "status", "channel",
    "channel_domain", "store_id", "gross_amount", "discount_amount", "paid_amount", "refunded_amount", "net_amount",
    "refund_count", "first_refunded_on", "valid_from", "valid_to", "is_valid_purchase",
]  # fmt: skip
TOUCH = [
    "brand_id",
    "occurred_at",
    "occurred_on",
    "event_type",
    "channel",
    "staff_id",
    "content_id",
]
REFUND = ["brand_id", "order_id", "is_linked", "refunded_at", "refunded_on", "refund_amount"]
LINE = [
    "brand_id", "purchased_on", "is_valid_purchase", "product_id", "category", "quantity", "line_amount", "cost_amount",
]  # fmt: skip
MEMBERSHIP = ["quit_at", "valid_from", "valid_to", "last_tier", "join_channel"]

DAY = [
    "touchpoint_count", "placed_order_count", "purchase_count", "purchase_amount", "purchase_net_amount", "refund_amount",
    "unlinked_refund_amount", "membership_event_count", "relationships", "purchase_valid_to",
]  # fmt: skip
BITS = {"member": 1, "follower": 2, "wecom_contact": 4, "group_member": 8}


class Landing:
    """`orders` {(source, id): (customer or None, *ORDER)}, `lines` {(source, id, number): (customer or None, *LINE)},
    `refunds` {(source, id): (customer or None, *REFUND)}, `touchpoints` {(source, id): (customer, *TOUCH)},
    `memberships` {(brand, customer, joined at): MEMBERSHIP}, `relationships` {(brand, customer, kind, name, from): to},
    `days` {(brand, customer, day): DAY}."""

    def __init__(self, root: Path, as_of: date) -> None:
        self.root, self.as_of = root, as_of
        self.names = people(root, as_of)
        self.orders = self._orders()
        self.refunds = self._refunds()
        self.lines = self._lines()
        self.touchpoints = self._touchpoints()
        self.memberships = self._memberships()
        self.relationships = self._relationships()
        self.days = self._days()

    def _rows(self, entity: str, key: tuple[str, ...], moment: str) -> list[dict]:
        """Up to the as-of date; what is empty is missing."""
        found = [
            {column: value or None for column, value in row.items()}
            for row in rows(self.root, entity, key)
        ]
        return [row for row in found if _time(row[moment]).date() <= self.as_of]

    def _person(self, kind: str | None, value: str | None) -> tuple[str, str] | None:
        return self.names.get((kind, value), (kind, value)) if kind else None

    def _orders(self) -> dict:
        back = defaultdict(list)
        for row in self._rows("refunds", ("source_system", "refund_id"), "refunded_at"):
            back[row["source_system"], row.get("order_id")].append(
                (_time(row["refunded_at"]), Decimal(row["amount"]))
            )
        found = {}
        for row in self._rows("orders", ("source_system", "order_id"), "ordered_at"):
            key = (row["source_system"], row["order_id"])
            ordered, paid = _time(row["ordered_at"]), row["paid_at"] and _time(row["paid_at"])
            bought = (paid or ordered).date()
            amount, discount = Decimal(row["amount"]), Decimal(row["discount_amount"] or 0)
            refunds = sorted(back[key])
            counts = row["status"] in ("paid", "shipped", "completed") and amount > 0
            gone = next(
                (
                    at.date()
                    for n, (at, _) in enumerate(refunds, 1)
                    if sum(money for _, money in refunds[:n]) >= amount
                ),
                None,
            )
            returned = sum((money for _, money in refunds), Decimal(0))
            found[key] = (
                self._person(row["identifier_type"], row["identifier_value"]),
                row.get("brand_id") or "default",
                row["identifier_type"] is None,
                ordered,
                ordered.date(),
                paid,
                bought,
                row["status"],
                row["channel"],
                DOMAINS.get(row["channel"], "unknown"),
                row["store_id"],
                amount + discount,
                discount,
                amount,
                returned,
                amount - returned,
                len(refunds),
                refunds[0][0].date() if refunds else None,
                bought if counts else None,
                gone if counts else None,
                counts and bought <= self.as_of and gone is None,
            )
        return found

    def _refunds(self) -> dict:
        """A refund of an order that is known is of its buyer and of its brand, whomever it names."""
        found = {}
        for row in self._rows("refunds", ("source_system", "refund_id"), "refunded_at"):
            order = self.orders.get((row["source_system"], row.get("order_id")))
            named = self._person(row["identifier_type"], row["identifier_value"])
            at = _time(row["refunded_at"])
            found[row["source_system"], row["refund_id"]] = (
                order[0] or named if order else named,
                order[1] if order else row.get("brand_id") or "default",
                row.get("order_id"),
                order is not None,
                at,
                at.date(),
                Decimal(row["amount"]),
            )
        return found

    def _lines(self) -> dict:
        products = {row["product_id"]: row for row in rows(self.root, "products", ("product_id",))}
        found = {}
        for row in rows(self.root, "order_lines", ("source_system", "order_id", "line_number")):
            order = self.orders.get((row["source_system"], row["order_id"]))
            if order is None:
                continue
            told = dict(zip(ORDER, order[1:], strict=True))
            product, quantity = products.get(row["product_id"], {}), int(row["quantity"])
            cost = product.get("unit_cost")
            found[row["source_system"], row["order_id"], int(row["line_number"])] = (
                order[0],
                *(told[column] for column in LINE[:3]),
                row["product_id"],
                product.get("category"),
                quantity,
                Decimal(row["line_amount"]),
                Decimal(cost) * quantity if cost else None,
            )
        return found

    def _touchpoints(self) -> dict:
        return {
            (row["source_system"], row["event_id"]): (
                self._person(row["identifier_type"], row["identifier_value"]),
                row.get("brand_id") or "default",
                _time(row["occurred_at"]),
                _time(row["occurred_at"]).date(),
                *(row.get(column) for column in TOUCH[3:]),
            )
            for row in self._rows("touchpoints", ("source_system", "event_id"), "occurred_at")
        }

    def _memberships(self) -> dict:
        cards = defaultdict(dict)
        key = ("brand_id", "member_id", "event", "occurred_at")
        for row in self._rows("memberships", key, "occurred_at"):
            # At one instant the end comes last.
            moment = (_time(row["occurred_at"]), row["event"] == "quit", row["event"])
            cards[row["brand_id"], row["member_id"]][moment] = row
        found = {}
        for (brand, member), events in cards.items():
            stays: list[list] = []  # [joined, quit or None, channel]
            for at, _, event in sorted(events):
                running = bool(stays) and stays[-1][1] is None
                if event == "join" and not running:
                    stays.append([at, None, events[at, False, event].get("channel")])
                if event == "quit" and running:
                    stays[-1][1] = at
            for joined, left, channel in stays:
                if left is not None and left.date() == joined.date():
                    continue
                told = [
                    (at, row["tier"])
                    for (at, _, _), row in events.items()
                    if row.get("tier") and joined <= at and (left is None or at < left)
                ]
                who = self._person("member_id", member)
                found[brand, who, joined] = (
                    left,
                    joined.date(),
                    left and left.date(),
                    max(told)[1] if told else None,
                    channel,
                )
        return found

    def _relationships(self) -> dict:
        events = defaultdict(list)
        for customer, brand, at, _, kind, channel, staff, content in self.touchpoints.values():
            if kind in STARTS or kind in ENDS:
                what = STARTS.get(kind) or ENDS[kind]
                which = {"follower": channel, "wecom": staff, "group": content}[what] or ""
                events[brand, customer, KINDS[what], which].append((at, kind in ENDS))
        found = {
            (brand, customer, "member", joined): {start: end}
            for (brand, customer, joined), (_, start, end, *_) in self.memberships.items()
        }
        for key, happened in events.items():
            # The state at the end of each day on which something happened.
            ends = {at.date(): is_end for at, is_end in sorted(happened)}
            spells: dict = {}
            start = None
            for day, is_end in ends.items():
                if is_end and start is not None:
                    spells[start], start = day, None
                if not is_end and start is None:
                    start = day
                    spells[start] = None
            found[key] = spells
        return {
            (*key[:3], None if key[2] == "member" else key[3], start): end
            for key, spells in found.items()
            for start, end in spells.items()
        }

    def _days(self) -> dict:
        """What customer_day counts of everybody's days; relationships on the days on which one began or ended."""
        days = defaultdict(lambda: dict.fromkeys(DAY[:8], 0) | dict.fromkeys(DAY[8:]))
        for customer, brand, _, on, *_ in self.touchpoints.values():
            days[brand, customer, on]["touchpoint_count"] += 1
        for customer, *values in self.orders.values():
            order = dict(zip(ORDER, values, strict=True))
            if customer is None:
                continue
            brand = order["brand_id"]
            days[brand, customer, order["ordered_on"]]["placed_order_count"] += 1
            start, end = order["valid_from"], order["valid_to"] or date.max
            if start is None or start > self.as_of or end <= start:
                continue
            day = days[brand, customer, order["purchased_on"]]
            day["purchase_valid_to"] = max(day["purchase_valid_to"] or end, end)
            if order["is_valid_purchase"]:
                day["purchase_count"] += 1
                day["purchase_amount"] += order["paid_amount"]
                day["purchase_net_amount"] += order["net_amount"]
        for customer, *values in self.refunds.values():
            refund = dict(zip(REFUND, values, strict=True))
            if customer is not None:
                day = days[refund["brand_id"], customer, refund["refunded_on"]]
                day["refund_amount"] += refund["refund_amount"]
                day["unlinked_refund_amount"] += (
                    0 if refund["is_linked"] else refund["refund_amount"]
                )
        key = ("brand_id", "member_id", "event", "occurred_at")
        for row in self._rows("memberships", key, "occurred_at"):
            who = self._person("member_id", row["member_id"])
            days[row["brand_id"], who, _time(row["occurred_at"]).date()][
                "membership_event_count"
            ] += 1
        stays = defaultdict(list)
        for (brand, customer, kind, _, start), end in self.relationships.items():
            stays[brand, customer].append((BITS[kind], start, end or date.max))
        for whose, spells in stays.items():
            for day in {day for _, *ends in spells for day in ends} - {date.max}:
                live = {bit for bit, start, end in spells if start <= day < end}
                days[(*whose, day)]["relationships"] = sum(live)
        return {key: tuple(day.values()) for key, day in days.items()}


def comparisons(landing: Landing) -> dict[str, Callable]:
    """By table, what on a connection names its differences from the plain reading."""

    def compare(what: str, theirs: dict, keys: list[str], columns: list[str], table: str):
        def wrong(connection) -> list[str]:
            names = {
                key: (kind, value)
                for key, kind, value in connection.execute(
                    """
                    select customer_key, min(identifier_type),
                        arg_min(identifier_value, (identifier_type, identifier_value))
                    from identity.int_identity__customer_map group by customer_key
                    """
                ).fetchall()
            }
            ours = defaultdict(list)
            for row in connection.execute(
                f"select {', '.join([*keys, *columns])} from {table}"
            ).fetchall():
                named = dict(zip([*keys, *columns], row, strict=True))
                named["customer_key"] = names.get(named["customer_key"])
                if named.get("relationship") == "member":
                    named["relationship_key"] = None
                ours[tuple(named[k] for k in keys)].append(tuple(named[c] for c in columns))
            return [
                f"{what} {key}: warehouse {ours.get(key)}, by hand {theirs.get(key)}"
                for key in sorted({*ours, *theirs}, key=str)
                if ours.get(key) != [theirs.get(key)]
            ]

        return wrong

    one = {key: (end,) for key, end in landing.relationships.items()}
    return {
        f"lifecycle.{table}": compare(table, rows_, keys, columns, f"lifecycle.{table}")
        for table, rows_, keys, columns in (
            ("fct_orders", landing.orders, ["source_system", "order_id"], ["customer_key", *ORDER]),
            ("fct_refunds", landing.refunds, ["source_system", "refund_id"], ["customer_key", *REFUND]),
            (
                "fct_order_lines", landing.lines,
                ["source_system", "order_id", "line_number"], ["customer_key", *LINE],
            ),
            ("fct_touchpoints", landing.touchpoints, ["source_system", "event_id"], ["customer_key", *TOUCH]),
            ("fct_membership_spells", landing.memberships, ["brand_id", "customer_key", "joined_at"], MEMBERSHIP),
            ("customer_day", landing.days, ["brand_id", "customer_key", "activity_date"], DAY),
            (
                "fct_relationship_spells", one,
                ["brand_id", "customer_key", "relationship", "relationship_key", "valid_from"], ["valid_to"],
            ),
        )
    }  # fmt: skip
