"""Random brands in one made-up warehouse, for cycles, reminders, churn, cohorts and contacts, with the traps of these
tables: customers that several brands share, gaps and waits of exactly a window, several orders on one day, order numbers
that two systems share, refunds in part, in full, of orders that never counted and of none, orders paid after the as-of
date, devices that change hands, messages that failed, contacts with nobody named, channels in a tie."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from itertools import pairwise

import pyarrow as pa
from compiled import Warehouse

AS_OF = dt.date(2026, 6, 30)
BRANDS = 40
PEOPLE = [1, 2, 3, 4, 5, 6]
VISITOR = 7  # a device that nobody is known to own
DEVICES = {20: 30, 21: 60}  # that change hands so many days ago, at the moment of a message
CATEGORIES = ["x", "x", "y", "z", None]
CHANNELS = ["tmall", "wecom", "miniprogram"]
PACES = [
    [1],
    [1, 2, 3, 4],
    [1, 2, 10, 20, 29, 30, 30, 31, 45, 60, 89, 90, 91, 180],
    [1, 2, 10, 20, 29, 30, 30, 31, 45, 60, 89, 90, 91, 180],
    [28, 29, 30, 31],
    [100, 120, 180, 360],
]
WAITS = [-1, 0, 0, 1, 3, 10, 20, 29, 30, 31, 45, 59, 60, 61, 90, 120, 180, 400, 2300]
TABLES = {
    "reference.category_cycles": "category varchar, cycle_days integer",
    "identity.int_identity__customer_map": "identifier_key bigint, customer_key bigint, customer_id varchar, is_anonymous_visitor boolean",
    "identity.int_identity__resolution": "identifier_key bigint, customer_key bigint, valid_from timestamp, valid_to timestamp",
    "lifecycle.fct_orders": "source_system varchar, order_id varchar, brand_id varchar, customer_key bigint, channel varchar, channel_domain varchar, staff_id varchar, ordered_at timestamp, purchased_on date, valid_from date, valid_to date, paid_amount decimal(18, 4), net_amount decimal(18, 4), is_valid_purchase boolean",
    "lifecycle.fct_order_lines": "source_system varchar, order_id varchar, category varchar",
    "lifecycle.fct_refunds": "source_system varchar, order_id varchar, brand_id varchar, customer_key bigint, is_linked boolean, refunded_on date, refund_amount decimal(18, 4)",
    "lifecycle.fct_touchpoints": "brand_id varchar, customer_key bigint, channel varchar, staff_id varchar, occurred_on date, occurred_at timestamp",
    "lifecycle.fct_relationship_spells": "brand_id varchar, customer_key bigint, relationship varchar, relationship_key varchar, valid_from date, valid_to date",
    "lifecycle.fct_consent_spells": "brand_id varchar, customer_key bigint, channel varchar, valid_from date, valid_to date",
    "staging.stg_landing__campaigns": "campaign_id varchar, brand_id varchar, channel varchar, scenario varchar",
    "staging.stg_landing__campaign_costs": "campaign_id varchar, channel varchar, spent_on date, cost_amount decimal(18, 4)",
    "staging.stg_landing__messages": "campaign_id varchar, identifier_key bigint, sent_on date, sent_at timestamp, failed_reason varchar, is_control boolean",
    "marts.clv_customers": "brand_id varchar, customer_id varchar, p_alive double, historical_value decimal(18, 4), clv decimal(18, 4), clv_decile integer, is_high_value boolean, is_model_used boolean, discounted_clv decimal(18, 4)",
    "marts.rfm_customers": "brand_id varchar, customer_id varchar, scope varchar, is_as_of boolean, frequency bigint, monetary_amount decimal(18, 4)",
}  # fmt: skip


def back(days: int) -> dt.date:
    return AS_OF - dt.timedelta(days=days)


def moment(day: dt.date, hour: int) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour))


class Brand:
    """One brand's facts; the seed decides everything."""

    def __init__(self, number: int, rows: dict[str, list[tuple]]) -> None:
        self.of, self.name, self.rows = random.Random(number), f"b{number:02}", rows
        self.age = self.of.choice([0, 0, 0, 0, 400])  # days since anybody bought
        self.orders, self.is_model_used, self.pace = (
            0,
            self.of.random() < 0.7,
            self.of.choice(PACES),
        )
        # Small brands have one closed gap or none.
        people = PEOPLE[: self.of.choice([1, 2, 4, 6, 6])]
        for customer in [*people, VISITOR, None]:
            self._buys(customer, self.of.choice([0, 1, 1, 2, 3, 5]))
        for customer in [*people, VISITOR]:
            self._meets(customer)
        for customer in people:
            self._is_worth(customer)
        self.pauses = [
            (customer, end)
            for customer in people
            for start, end in pairwise([*self._bought(customer), AS_OF])
            if (end - start).days >= 45
        ]
        self._campaigns()

    def add(self, table: str, *row) -> None:
        self.rows[table].append(row)

    def _buys(self, customer: int | None, days: int) -> None:
        of, wait = self.of, self.of.choice(WAITS) + self.age
        for _ in range(days):
            for _ in range(of.choice([1, 1, 2])):
                self._order(customer, wait)
            wait += of.choice(self.pace)
        if of.random() < 0.2:  # a refund without an order
            amount = of.randint(1, 9)
            day = back(max(0, wait - of.choice([0, 15, 95])))
            self.add("lifecycle.fct_refunds", "s", None, self.name, customer, False, day, amount)

    def _order(self, customer: int | None, wait: int) -> None:
        of = self.of
        self.orders += 1
        system, order = of.choice("st"), f"{self.name}-{self.orders // 2}"
        if (system, order) in {row[:2] for row in self.rows["lifecycle.fct_orders"][-2:]}:
            system = "t" if system == "s" else "s"
        day, paid = back(wait), of.randint(1, 60)
        counts = of.random() < 0.9  # else cancelled, or never paid
        parts = []
        kind = of.choice(["none", "none", "none", "none", "part", "parts", "full", "full in two"])
        for share in {
            "part": [0.5],
            "parts": [0.25, 0.5],
            "full": [1],
            "full in two": [0.5, 0.5],
        }.get(kind, []):
            parts.append((max(0, wait - of.choice([0, 1, 29, 30, 31, 60])), paid * 4 * share / 4))
        parts = sorted(parts, reverse=True) if wait >= 0 else []
        returned = sum(amount for _, amount in parts)
        full_on = back(parts[-1][0]) if parts and returned >= paid else None
        self.add(
            "lifecycle.fct_orders", system, order, self.name, customer, of.choice([*CHANNELS, None]), "private",
            of.choice([None, None, "anna", "bob"]), moment(min(day, AS_OF), of.choice([9, 10])), day,
            day if counts else None,
            full_on if counts else None, paid, paid - returned, counts and wait >= 0 and full_on is None,
        )  # fmt: skip
        for waited, amount in parts:
            self.add(
                "lifecycle.fct_refunds",
                system,
                order,
                self.name,
                customer,
                True,
                back(waited),
                amount,
            )
        for category in of.sample(CATEGORIES, of.choice([0, 1, 1, 2, 3])):
            self.add("lifecycle.fct_order_lines", system, order, category)

    def _bought(self, customer: int) -> list[dt.date]:
        orders = self.rows["lifecycle.fct_orders"]
        return sorted({row[8] for row in orders if row[2:4] == (self.name, customer)})

    def _meets(self, customer: int) -> None:
        of = self.of
        bought = self._bought(customer)
        for _ in range(of.choice([0, 1, 3, 6])):
            day = of.choice([*bought[:2], back(of.choice([0, 30, 200, 500]))])
            day = min(day + dt.timedelta(days=of.choice([-1, 0, 0, 1])), AS_OF)
            at = moment(day, of.choice([8, 12]))
            for _ in range(of.choice([1, 1, 2])):
                self.add(
                    "lifecycle.fct_touchpoints", self.name, customer, of.choice([*CHANNELS, None]),
                    of.choice([None, "", "anna", "bob", "cyd"]), day, at,
                )  # fmt: skip
        for relationship, key in of.choices(
            [("follower", "f"), ("member", "m"), ("group_member", "anna"), ("wecom_contact", ""),
             ("wecom_contact", "anna"), ("wecom_contact", "bob")], k=of.choice([0, 2, 3, 5])
        ):  # fmt: skip
            began = of.choice([0, 1, 30, 60, 61, 90, 150, 300, 700])
            ended = of.choice([None, None, began, began - 1, began - 30, began - 60, 0])
            live = None if ended is None or ended < 0 or ended == began else back(ended)
            self.add(
                "lifecycle.fct_relationship_spells", self.name, customer, relationship, key, back(began), live
            )  # fmt: skip
        for channel in of.sample(["sms", "email", "wecom"], of.choice([0, 0, 1, 2])):
            since = of.choice([-1, 0, 40])
            to = of.choice([None, AS_OF, back(-1), back(5)]) if since == 40 else None
            self.add("lifecycle.fct_consent_spells", self.name, customer, channel, back(since), to)

    def _is_worth(self, customer: int) -> None:
        of, id_ = self.of, f"C{customer}"
        self.add(
            "marts.clv_customers", self.name, id_, of.random(), of.randint(1, 99), of.randint(1, 99),
            of.randint(1, 10), of.random() < 0.3, self.is_model_used, of.randint(1, 99),
        )  # fmt: skip
        for scope, is_as_of in (("all", True), ("all", False), ("online", True)):
            if of.random() < 0.6:
                self.add(
                    "marts.rfm_customers",
                    self.name,
                    id_,
                    scope,
                    is_as_of,
                    of.randint(1, 9),
                    of.randint(1, 99),
                )

    def _campaigns(self) -> None:
        of = self.of
        for scenario in 3 * ["membership"] + 2 * ["acquisition", "promotion"]:
            campaign = f"{self.name}-{of.randrange(10**9)}"
            channel = of.choice([*CHANNELS, None])
            self.add("staging.stg_landing__campaigns", campaign, self.name, channel, scenario)
            for _ in range(of.choice([0, 1, 3])):
                spent = back(of.choice([-1, 0, 30, 60, 61, 90, 120, 210, 300]))
                self.add(
                    "staging.stg_landing__campaign_costs",
                    campaign,
                    of.choice([*CHANNELS, None]),
                    spent,
                    of.choice([0, of.randint(1, 120)]),
                )
            for _ in range(of.choice([0, 3, 8])):
                identifier = of.choice([*PEOPLE, *(10 + n for n in PEOPLE), *DEVICES])
                day = back(of.choice([-1, 0, 1, 10, 29, 30, 31, 32, 45, 60, 61, 90, 394, 395, 396]))
                if self.pauses and of.random() < 0.7:  # so many days before the end of a long wait
                    customer, end = of.choice(self.pauses)
                    identifier = customer + of.choice([0, 10])
                    day = end - of.choice([0, 1, 20, 29, 30, 31]) * dt.timedelta(days=1)
                self.add(
                    "staging.stg_landing__messages", campaign, identifier, day, moment(day, 10),
                    of.choice([None, None, None, "blocked"]), of.choice([False, False, True, None]),
                )  # fmt: skip

            for device, handed in DEVICES.items() if scenario == "promotion" else []:
                day = back(handed)
                self.add(
                    "staging.stg_landing__messages", campaign, device, day, moment(day, 10), None, False
                )  # fmt: skip


def random_brands(models: dict[str, str], brands: int = BRANDS) -> Warehouse:
    rows: dict[str, list[tuple]] = defaultdict(list)
    rows["reference.category_cycles"] = [("*", 90), ("z", 40)]
    for n in [*PEOPLE, VISITOR]:
        for identifier in (n, 10 + n):
            rows["identity.int_identity__customer_map"].append(
                (identifier, n, f"C{n}", n == VISITOR)
            )
            rows["identity.int_identity__resolution"].append((identifier, n, None, None))
    # Each device belongs to one person up to a moment at which messages go out, and from it to another.
    for (device, handed), (first, then) in zip(DEVICES.items(), [(1, 2), (3, 4)], strict=True):
        rows["identity.int_identity__customer_map"].append((device, then, f"C{then}", False))
        rows["identity.int_identity__resolution"] += [
            (device, first, None, moment(back(handed), 10)),
            (device, then, moment(back(handed), 10), None),
        ]
    for number in range(brands):
        Brand(number, rows)
    warehouse = Warehouse()
    warehouse.table("reference.as_of", f"select date '{AS_OF}' as as_of_date")
    for table, columns in TABLES.items():
        warehouse.connection.execute(f"create table {table} ({columns})")
        found = [list(column) for column in zip(*rows[table], strict=True)]
        landed = pa.table(found, names=[f"c{n}" for n in range(len(found))])
        warehouse.connection.register("landed", landed)
        warehouse.connection.execute(f"insert into {table} select * from landed")
    for name, sql in models.items():
        warehouse.table(f"{schema(name)}.{name}", sql)
    return warehouse


def schema(model: str) -> str:
    return "lifecycle" if model.startswith("int_") else "marts"
