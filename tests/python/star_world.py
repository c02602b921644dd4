"""A hundred random brands in one made-up warehouse, for STAR, campaigns, products and attribution: 114 days with the traps of
these marts. Ties in a second, days on an edge, refunds in part, in full and too late, unknown channels, anonymous orders,
contacts won, lost and won again, stays end to end, campaigns that end 30 and 60 days before the as-of date, hold-outs,
dead numbers, unsubscriptions, tiers that rise and fall."""

from __future__ import annotations

import datetime as dt
import random

import pyarrow as pa
from compiled import Warehouse

from tests.oracle.star import LAYERS

AS_OF = dt.date(2026, 6, 18)
START = dt.date(2026, 2, 25)
PAIRS = 50  # of brands that share their customers
EDGES = [dt.date(2026, 4, 1), dt.date(2026, 4, 19), dt.date(2026, 4, 30), dt.date(2026, 5, 19),
    dt.date(2026, 5, 30), dt.date(2026, 5, 31), AS_OF]  # fmt: skip
EVENTS = [
    "ad_impression", "product_view", "product_view", "store_view", "cart_add", "cart_add", "search_brand", "message_in",
    "share", "coupon_claim", "coupon_use", "points_earn", "points_redeem", "review", "favorite", "group_leave", "live_watch",
    "interact",
]  # fmt: skip
CHANNELS = ["tmall", "ads", "miniprogram", "miniprogram", "community_group", "wecom", "a_new_one", None]  # fmt: skip
TABLES = {
    "lifecycle.fct_touchpoints": "source_system varchar, event_id bigint, brand_id varchar, customer_key bigint, occurred_at timestamp, occurred_on date, event_type varchar, channel varchar, campaign_id varchar, product_id varchar, event_value decimal(18, 4)",
    "lifecycle.fct_orders": "source_system varchar, order_id varchar, brand_id varchar, customer_key bigint, is_anonymous boolean, ordered_at timestamp, ordered_on date, purchased_on date, channel varchar, channel_domain varchar, campaign_id varchar, valid_from date, valid_to date, gross_amount decimal(18, 4), discount_amount decimal(18, 4), paid_amount decimal(18, 4), net_amount decimal(18, 4), is_valid_purchase boolean",
    "lifecycle.fct_refunds": "brand_id varchar, source_system varchar, order_id varchar, is_linked boolean, customer_key bigint, refunded_on date, refund_amount decimal(18, 4)",
    "lifecycle.fct_order_lines": "source_system varchar, order_id varchar, brand_id varchar, customer_key bigint, purchased_on date, is_valid_purchase boolean, product_id varchar, quantity integer, line_amount decimal(18, 4)",
    "lifecycle.int_stages__spells": "model varchar, brand_id varchar, customer_key bigint, stage varchar, stage_rank smallint, previous_rank smallint, valid_from date, valid_to date",
    "lifecycle.fct_relationship_spells": "brand_id varchar, customer_key bigint, relationship varchar, relationship_key varchar, valid_from date, valid_to date",
    "staging.stg_landing__messages": "message_id bigint, identifier_key bigint, campaign_id varchar, channel varchar, sent_at timestamp, sent_on date, delivered_at timestamp, opened_at timestamp, clicked_at timestamp, unsubscribed_at timestamp, failed_reason varchar, is_control boolean",
    "staging.stg_landing__memberships": "brand_id varchar, member_id varchar, member_key bigint, occurred_at timestamp, occurred_on date, channel varchar, store_id varchar, staff_id varchar, membership_event varchar, tier varchar",
    "staging.stg_landing__referrals": "referral_id varchar, inviter_key bigint, invitee_key bigint, invited_at timestamp, invited_on date, accepted_on date",
    "staging.stg_landing__campaigns": "campaign_id varchar, brand_id varchar, campaign_name varchar, scenario varchar, channel varchar, starts_on date, ends_on date, budget_amount decimal(18, 4)",
    "staging.stg_landing__campaign_costs": "campaign_id varchar, spent_on date, channel varchar, impressions bigint, clicks bigint, cost_amount decimal(18, 4)",
    "identity.dim_customers": "customer_key bigint, gender varchar, province varchar, birth_date date",
    "identity.int_identity__resolution": "identifier_key bigint, customer_key bigint, customer_id varchar, is_anonymous_visitor boolean, valid_from timestamp, valid_to timestamp",
    "marts.rfm_customers": "as_of_date date, brand_id varchar, scope varchar, customer_id varchar, rfm_code varchar, rfm_class varchar",
    "reference.promotion_calendar": "brand_id varchar, promotion_id varchar, promotion varchar, name_en varchar, name_zh varchar, starts_on date, ends_on date",
}  # fmt: skip
# What the layers below would make of these facts, in the shortest words.
DERIVED = {
    "identity.int_identity__customer_map": "select * from identity.int_identity__resolution where valid_to is null",
    "lifecycle.int_lifecycle__touched_customers": "select distinct customer_key from identity.int_identity__customer_map",
    "staging.stg_landing__products": "select unnest(['p1', 'p2']) as product_id, 'n' as product_name, 'c' as category",
    "marts.clv_customers": "select brand_id, 'C' || customer_key as customer_id, cast(sum(net_amount) + count(*) as decimal(18, 4)) as clv,"
    " 0::decimal(18, 4) as discounted_clv, false as is_model_used"
    " from lifecycle.fct_orders where customer_key is not null and valid_from is not null group by all",
    "lifecycle.int_stages__calendar": f"select brand_id, cast(day as date) as as_of_date from (select distinct brand_id from staging.stg_landing__campaigns)"
    f" cross join range(date '{START}', date '{AS_OF}' + 1, interval 1 day) as days (day)",
    "lifecycle.int_stages__daily": """
        select stages.model, c.brand_id, c.as_of_date, stages.stage, stages.rank as stage_rank, count(s.customer_key) as customers
        from lifecycle.int_stages__calendar c cross join reference.stages
        left join lifecycle.int_stages__spells s on s.model = stages.model and s.stage = stages.stage
            and s.brand_id = c.brand_id and s.valid_from <= c.as_of_date and coalesce(s.valid_to, date '9999-12-31') > c.as_of_date
        group by all""",
    "lifecycle.int_stages__origins": "select brand_id, customer_key, min(channel) as acquisition_channel"
    " from lifecycle.fct_touchpoints where channel is not null group by all",
}  # fmt: skip
SEEDS = {
    "channels": "",
    "event_types": "",
    "stages": "",
    "star_goals": "",
    "member_tiers": "",
    "category_cycles": "",
    "star_scenario_measures": ", types={'target': 'DECIMAL(18,6)', 'weight': 'DECIMAL(18,6)'}",
    "star_age_bands": ", types={'below_age': 'INTEGER'}",
    "rfm_breakpoints": ", types={'above': 'DECIMAL(18,4)', 'up_to': 'DECIMAL(18,4)'}",
}


class Rows(dict):
    def add(self, table: str, *row) -> None:
        self.setdefault(table, []).append(row)

    def load(self, warehouse: Warehouse) -> None:
        for table, columns in TABLES.items():
            names = [column.split()[0] for column in columns.split(", ") if not column[0].isdigit()]
            warehouse.connection.execute(f"create or replace table {table} ({columns})")
            rows = self.get(table, [])
            if rows:
                arrays = [pa.array(values) for values in zip(*rows, strict=True)]
                landed = pa.table(arrays, names=names)  # noqa: F841
                warehouse.connection.execute(f"insert into {table} select * from landed")


class Pair:
    """Two brands and the customers whom they share, the first of them known by a device alone."""

    def __init__(self, number: int, rows: Rows, people: int) -> None:
        self.rng = random.Random(number)
        self.rows = rows
        self.brands = [f"b{number:02}a", f"b{number:02}b"]
        self.keys = [number * 100 + i for i in range(people + 1)]
        # A tablet goes from one of them to another; messages are sent to it.
        self.tablet, handed_over = number * 100 + 99, self.at(self.day())
        self.owner(self.tablet, self.keys[1], until=handed_over)
        self.owner(self.tablet, self.keys[2], since=handed_over)
        for brand in self.brands:
            self.campaigns(brand)
        for key in self.keys:
            self.person(key)
        for number_ in range(3):
            self.order(None, self.brands[0], number_, [])
        if number % 2:
            self.shelf(self.brands[0])
            self.trial(self.brands[0])
            self.early(self.brands[0])
            self.invited(self.brands[1])
            self.back_after_thirty_days(self.brands[1])
        rows.add(
            "lifecycle.fct_refunds",
            self.brands[0],
            "s",
            None,
            False,
            self.keys[1],
            self.day(),
            self.rng.choice([3, 7]),
        )

    def touch(self, brand: str, key: int, day: dt.date, kind: str, product: str | None) -> None:
        number = len(self.rows.get("lifecycle.fct_touchpoints", []))
        at = dt.datetime.combine(day, dt.time(12))
        self.rows.add(
            "lifecycle.fct_touchpoints", "s", number, brand, key, at, day, kind, "tmall", None, product, None
        )  # fmt: skip

    def purchase(self, brand: str, key: int, name: str, day: dt.date) -> None:
        at = dt.datetime.combine(day, dt.time(13))
        self.rows.add(
            "lifecycle.fct_orders", "s", f"{name}{key}-{brand}", brand, key, False, at, day, day, "tmall", "public", None, day,
            None, 60, 0, 60, 60, True
        )  # fmt: skip
        self.rows.add(
            "lifecycle.fct_order_lines", "s", f"{name}{key}-{brand}", brand, key, day, True, "p1", 1, 60
        )  # fmt: skip

    def shelf(self, brand: str) -> None:
        """Three look at a product and put it in the cart, two of them buy it, all in April."""
        for n, key in enumerate(self.keys[1:4]):
            for kind in ("product_view", "cart_add"):
                self.touch(brand, key, dt.date(2026, 4, 20), kind, "p1")
            if n:
                self.purchase(brand, key, "shelf", dt.date(2026, 4, 20 + n))

    def trial(self, brand: str) -> None:
        """Three get a message, two of whom buy within a week; a fourth is held back."""
        sent = dt.datetime(2026, 5, 6, 9)
        for n, key in enumerate(self.keys[1:5]):
            number, control = len(self.rows.get("staging.stg_landing__messages", [])), n == 3
            delivered = None if control else sent
            self.rows.add(
                "staging.stg_landing__messages", number, key, f"{brand}-sms", "sms", sent, sent.date(), delivered, None, None, None,
                None, control
            )  # fmt: skip
            if n in (1, 2):
                self.purchase(brand, key, "trial", dt.date(2026, 5, 6 + n))

    def early(self, brand: str) -> None:
        """Somebody is met on the first day, in a month of which ninety days are seen, and buys three times in them; the month
        has cost something."""
        for back in (0, 20, 40):
            self.purchase(brand, self.keys[4], f"early{back}", START + dt.timedelta(back))
        on = START + dt.timedelta(1)
        self.rows.add(
            "staging.stg_landing__campaign_costs", f"{brand}-ads", on, "ads", 100, 10, 12
        )  # fmt: skip

    def invited(self, brand: str) -> None:
        """A member since the first day has brought in all the others."""
        card = self.keys[1] * 10 + 8
        self.owner(card * 1000, self.keys[1])
        self.card_events(brand, card * 1000, START, None)
        self.rows.add(
            "lifecycle.fct_relationship_spells", brand, self.keys[1], "member", str(card), START, None
        )  # fmt: skip
        for key in self.keys[2:]:
            at = dt.datetime.combine(START, dt.time(20))
            self.rows.add(
                "staging.stg_landing__referrals", f"first{key}", self.keys[1], key, at, START, START
            )  # fmt: skip

    def back_after_thirty_days(self, brand: str) -> None:
        """Somebody buys in a promotion and comes back on the thirtieth day after it alone."""
        key = self.keys[0] + 50
        self.owner(key, key)
        self.rows.add("identity.dim_customers", key, None, None, None)
        for of, name, _, _, _, _, ends in self.rows["reference.promotion_calendar"]:
            if of == brand and name == "own_1":
                self.purchase(brand, key, "back", ends)
                self.touch(brand, key, ends + dt.timedelta(30), "interact", None)

    def day(self, first: dt.date = START) -> dt.date:
        near = [d for d in EDGES if d >= first]
        if near and self.rng.random() < 0.3:
            return self.rng.choice(near)
        return first + dt.timedelta(self.rng.randrange((AS_OF - first).days + 1))

    def at(self, day: dt.date) -> dt.datetime:
        return dt.datetime.combine(
            day, dt.time(self.rng.choice([0, 9, 23]), self.rng.choice([0, 30]))
        )

    def campaigns(self, brand: str) -> None:
        rng, days = self.rng, dt.timedelta
        for name, scenario, channel in (
            ("ads", "acquisition", "ads"),
            ("sms", "membership", "sms"),
            ("seed", "product", "xiaohongshu"),
            ("fest", "promotion", "tmall"),
        ):
            start = self.day()
            end = rng.choice(
                [d for d in (AS_OF - days(60), AS_OF - days(59), AS_OF - days(30), AS_OF - days(29), AS_OF, AS_OF + days(9)) if d >= start]
            )  # fmt: skip
            self.rows.add(
                "staging.stg_landing__campaigns", f"{brand}-{name}", brand, name, scenario, channel, start, end,
                rng.choice([None, 500])
            )  # fmt: skip
            for _ in range(rng.choice([0, 0, 1, 3])):
                shown = rng.choice([0, 100, 1000])
                on = rng.choice([self.day(), self.day(), AS_OF + days(1)])
                self.rows.add(
                    "staging.stg_landing__campaign_costs", f"{brand}-{name}", on, rng.choice([channel, None]), shown,
                    shown // 10, rng.choice([0, 10, 33])
                )  # fmt: skip
        # A promotion of the brand's own, held twice, and one that ended 30 days ago and is called like a month.
        for name, first, last in (
            ("own_1", dt.date(2026, 4, 4), dt.date(2026, 4, 6)),
            ("own_2", dt.date(2026, 4, 14), rng.choice([AS_OF - days(60), AS_OF - days(59)])),
            ("2026-05", dt.date(2026, 5, 10), rng.choice([AS_OF - days(30), AS_OF - days(29)])),
        ):
            self.rows.add(
                "reference.promotion_calendar",
                brand,
                name,
                name.split("_")[0],
                name,
                name,
                first,
                last,
            )

    def campaign(self, brand: str, names: tuple = ("ads", "sms", "seed", "fest")) -> str | None:
        # Now and then one that was never landed, or none, or one of the other brand.
        other = f"{self.brands[brand == self.brands[0]]}-ads"
        return self.rng.choice([None, None, "unheard_of", other, *(f"{brand}-{n}" for n in names)])

    def person(self, key: int) -> None:
        rng = self.rng
        visitor = key == self.keys[0]
        self.owner(key, key, visitor)
        born = rng.choice([None, dt.date(2001, 6, 18), dt.date(2001, 6, 19), dt.date(2008, 4, 30)])
        if key % 100 in (2, 3):  # a birthday that is today or tomorrow
            years = (18, 25, 30, 35, 40, 50)[key // 100 % 6]
            born = AS_OF.replace(year=AS_OF.year - years) + dt.timedelta(key % 100 == 2)
        self.rows.add(
            "identity.dim_customers",
            key,
            rng.choice(["f", "m", None]),
            rng.choice(["上海", None]),
            born,
        )
        for number in range(rng.choice([0, 0, 1, 2])):
            invited = self.day()
            accepted = rng.choice([None, invited, self.day(invited)])
            inviter = rng.choice(self.keys[1:])  # now and then oneself
            self.rows.add(
                "staging.stg_landing__referrals", f"r{key}-{number}", inviter, key, self.at(invited), invited, accepted
            )  # fmt: skip
        for brand in self.brands:
            touches = self.touches(key, brand)
            if visitor:
                self.order(key, brand, 0, touches[:2])
                continue
            sent = self.messages(key, brand)
            for number in range(rng.choice([0, 0, 1, 2, 4])):
                self.order(key, brand, number, touches[:2] + sent)
            self.cards(key, brand)
            self.contacts(key, brand)
            self.stays(key, brand, touches)
            for on in (dt.date(2026, 3, 31), dt.date(2026, 4, 30), dt.date(2026, 5, 31)):
                if rng.random() < 0.5:
                    code = rng.choice(["111", "011", "000"])
                    for scope in ("all", "online"):
                        self.rows.add(
                            "marts.rfm_customers", on, brand, scope, f"C{key}", code if scope == "all" else "110",
                            f"class {code}" if scope == "all" else "other"
                        )  # fmt: skip

    def owner(
        self, identifier: int, key: int, visitor: bool = False, since=None, until=None
    ) -> None:
        self.rows.add(
            "identity.int_identity__resolution", identifier, key, f"C{key}", visitor, since, until
        )

    def touches(self, key: int, brand: str) -> list[dt.datetime]:
        rng = self.rng
        touches = []
        for _ in range(rng.choice([0, 1, 4, 12, 25])):
            touches.append(self.at(self.day()))
            product = rng.choice(["p1", "p2", "p3", None])
            for _ in range(rng.choice([1, 1, 1, 2])):
                self.rows.add(
                    "lifecycle.fct_touchpoints", "s", len(self.rows.get("lifecycle.fct_touchpoints", [])), brand, key,
                    touches[-1], touches[-1].date(), rng.choice(EVENTS), rng.choice(CHANNELS), self.campaign(brand),
                    product, rng.choice([3, 5, None])
                )  # fmt: skip
        return touches

    def messages(self, key: int, brand: str) -> list[dt.datetime]:
        """Messages, and moments at the ends of the days in which their purchases count."""
        rng, moments = self.rng, []
        for name in rng.sample(["sms", "ads"], rng.choice([0, 1, 1, 2])):
            control = rng.random() < 0.3
            for _ in range(rng.choice([1, 1, 2])):
                day = rng.choice([self.day(), AS_OF - dt.timedelta(7), AS_OF - dt.timedelta(6)])
                sent = self.at(day)
                moments += [sent + dt.timedelta(rng.choice([0, 7, 8])) for _ in range(2)]
                failed = rng.choice([None, None, None, "full"])
                later = [
                    None
                    if control or failed or rng.random() < 0.4
                    else sent + dt.timedelta(rng.choice([0, 0, 1, 40]))
                    for _ in range(4)
                ]
                for n in (1, 2):  # nobody opens or clicks what has not arrived
                    later[n] = later[n] and later[0] and max(later[n], later[0])
                self.rows.add(
                    "staging.stg_landing__messages", len(self.rows.get("staging.stg_landing__messages", [])),
                    rng.choice([key, key, key, self.tablet]),
                    rng.choice([f"{brand}-{name}", f"{brand}-{name}", f"{brand}-{name}", "unheard_of"]),
                    rng.choice(["sms", "sms", "wecom", "official_account", "community_group"]), sent, day, *later, failed, control
                )  # fmt: skip

        return [moment for moment in moments if moment.date() <= AS_OF]

    def order(self, key: int | None, brand: str, number: int, moments: list) -> None:
        rng = self.rng
        at = rng.choice([self.at(self.day()), *moments])
        bought = min(at.date() + dt.timedelta(rng.choice([0, 0, 0, 1, 9])), AS_OF)
        paid = rng.choice([50, 100, 101, 999.99])
        name, valid = f"o{key}-{brand}-{number}", rng.random() < 0.85
        back, refunded_on, so_far = [], None, 0
        for share in rng.choice([[], [], [0.5], [0.5, 0.5], [1]]):
            back.append((self.day(bought), round(paid * share, 2)))
        for on, amount in sorted(back):
            self.rows.add("lifecycle.fct_refunds", brand, "s", name, True, key, on, amount)
            so_far += amount
            refunded_on = refunded_on or (on if so_far >= paid else None)
        until, discount = refunded_on if valid else None, rng.choice([0, 10])
        is_purchase = valid and until is None
        self.rows.add(
            "lifecycle.fct_orders", "s", name, brand, key, key is None, at, at.date(), bought, rng.choice(CHANNELS), "public",
            self.campaign(brand), bought if valid else None, until, paid + discount, discount, paid, paid - so_far, is_purchase
        )  # fmt: skip
        for product in rng.sample(["p1", "p2", "p3"], rng.choice([1, 1, 2])):
            self.rows.add(
                "lifecycle.fct_order_lines", "s", name, brand, key, bought, is_purchase, product, rng.choice([1, 3]), paid / 2
            )  # fmt: skip

    def cards(self, key: int, brand: str) -> None:
        """A membership, perhaps quit and begun anew, perhaps with a second card; its tiers rise and fall."""
        rng = self.rng
        for card in range(rng.choice([0, 1, 1, 2])):
            member = key * 10 + card
            self.owner(member * 1000, key)
            start = self.day()
            while start < AS_OF:
                end = rng.choice([None, start + dt.timedelta(rng.randrange(1, 25))])
                if end and end >= AS_OF:
                    end = None
                self.card_events(brand, member * 1000, start, end)
                self.rows.add(
                    "lifecycle.fct_relationship_spells",
                    brand,
                    key,
                    "member",
                    str(member),
                    start,
                    end,
                )
                if end is None or rng.random() < 0.5:
                    break
                start = end + dt.timedelta(rng.choice([1, 5]))

    def card_events(self, brand: str, member: int, start: dt.date, end: dt.date | None) -> None:
        rng = self.rng

        def event(at: dt.datetime, kind: str, tier: str | None) -> None:
            self.rows.add(
                "staging.stg_landing__memberships", brand, str(member), member, at, at.date(), rng.choice(CHANNELS), None, None, kind,
                tier
            )  # fmt: skip

        tiers = [None, "silver", "gold", "platinum", "black"]
        event(dt.datetime.combine(start, dt.time(1)), "join", rng.choice(tiers))
        for minute in range(rng.choice([0, 1, 3])):
            on = self.day(start)
            if end is None or on < end:
                event(dt.datetime.combine(on, dt.time(5, minute)), "tier", rng.choice(tiers))
        if end:
            event(dt.datetime.combine(end, dt.time(22)), "quit", None)

    def contacts(self, key: int, brand: str) -> None:
        rng = self.rng
        for kind, target in (
            ("follower", "tmall"),
            ("follower", "official_account"),
            ("wecom_contact", "s1"),
            ("group_member", "g1"),
        ):
            start = self.day()
            while rng.random() < 0.4 and start < AS_OF:
                end = rng.choice([None, start + dt.timedelta(rng.randrange(1, 20))])
                self.rows.add("lifecycle.fct_relationship_spells", brand, key, kind, target, start, end)  # fmt: skip
                if end is None or end >= AS_OF:
                    break
                start = end + dt.timedelta(rng.choice([0, 1, 5]))

    def stays(self, key: int, brand: str, touches: list) -> None:
        """A stay begins on a day on which something touched the customer, as every rule of the seeds has it."""
        rng = self.rng
        for model, stages in (("five_r", LAYERS), ("aipl", ["A", "I", "P", "L"])):
            until, rank = None, 0
            for start in sorted({t.date() for t in touches if rng.random() < 0.6}):
                if until and start < until:
                    continue
                before = rank if until == start else 0
                rank = rng.choice([r for r in range(1, len(stages) + 1) if r != before])
                until = start + dt.timedelta(rng.choice([1, 3, 10, 30]))
                following = [t.date() for t in touches if start < t.date() <= until]
                until = rng.choice([until, *following])
                self.rows.add(
                    "lifecycle.int_stages__spells", model, brand, key, stages[rank - 1], rank, before, start, until
                )  # fmt: skip


def hundred_brands(pairs: int = PAIRS, people: int = 4) -> Warehouse:
    rows = Rows()
    for number in range(pairs):
        Pair(number, rows, people)
    # Of everybody: still running, over on the as-of date, over before anything is known, over within a week, beginning when
    # four weeks are known, and beginning on the as-of date.
    for name, first, last in (
        ("618", dt.date(2026, 5, 31), dt.date(2026, 6, 20)),
        ("own_day", dt.date(2026, 6, 10), AS_OF),
        ("38", dt.date(2026, 2, 1), dt.date(2026, 2, 8)),
        ("midweek", dt.date(2026, 5, 12), dt.date(2026, 5, 14)),
        ("fourth", START + dt.timedelta(28), START + dt.timedelta(30)),
        ("today", AS_OF, AS_OF + dt.timedelta(5)),
    ):
        rows.add("reference.promotion_calendar", "*", f"{name}_2026", name, name, name, first, last)
    # A brand that nobody knows yet.
    rows.add(
        "staging.stg_landing__campaigns", "quiet-ads", "quiet", "ads", "acquisition", "ads", AS_OF, AS_OF, None
    )  # fmt: skip
    # A brand of which one customer has got a message, and nothing else is known.
    sent = dt.datetime(2026, 5, 12, 9)
    rows.add(
        "staging.stg_landing__campaigns", "told-sms", "told", "sms", "membership", "sms", START, AS_OF, None
    )  # fmt: skip
    rows.add("identity.int_identity__resolution", 999999, 999999, "C999999", False, None, None)
    rows.add(
        "staging.stg_landing__messages", 999999, 999999, "told-sms", "sms", sent, sent.date(), sent, None, None, None, None, False
    )  # fmt: skip
    warehouse = Warehouse()
    warehouse.table("reference.as_of", f"select date '{AS_OF}' as as_of_date")
    for seed, types in SEEDS.items():
        warehouse.seed(seed, types)
    # Another model has stages of the same names.
    warehouse.connection.execute(
        "insert into reference.stages by name select 'another' as model, unnest(['R1', 'A']) as stage, 9 as rank"
    )
    # Every tenth pair has a brand with bands of money and a rank of a tier of its own.
    for number in range(0, pairs, 10):
        warehouse.connection.execute(
            "insert into reference.member_tiers by name"
            f" select 'b{number:02}a' as brand_id, 'silver' as tier, 9 as tier_rank"
        )
        for score, above, up_to in ((1, "null", 60), (2, 60, 150), (3, 150, "null")):
            band = f"'fixed', 'b{number:02}a', 'monetary', {score}, {above}, {up_to}"
            warehouse.connection.execute(f"insert into reference.rfm_breakpoints values ({band})")
    rows.load(warehouse)
    for name, query in DERIVED.items():
        warehouse.table(name, query)
    return warehouse
