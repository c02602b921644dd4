"""STAR, attribution and products read slowly, person by person and day by day, from the facts below the marts.

Written from METRICS sections 5 and 7, not from the SQL. Facts are plain rows (`read_facts`); every answer is a dict from
a key to the columns which the oracle vouches for. Layers come from the stage spells, which tests/oracle/stages.py checks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

LAYERS = ["R1", "R2", "R3", "R4", "R5"]
INTERACTIONS = {
    "search_brand", "favorite", "cart_add", "interact", "comment", "share", "coupon_claim", "sample_claim",
    "points_redeem", "message_in",
}  # fmt: skip
IGNORED = {
    "coupon_use", "points_earn", "review", "cart_remove", "unfollow", "wecom_delete", "group_leave",
}  # fmt: skip
GOALS = {
    "acquisition": {("none", to) for to in LAYERS},
    "pooling": {("none", "R1"), ("none", "R2")},
    "seeding": {("none", "R3"), ("R1", "R3"), ("R2", "R3")},
    "conversion": {(a, b) for a in ("none", "R1", "R2", "R3") for b in ("R4", "R5")},
}
GOAL_NAMES = dict(zip(GOALS, ["拉新", "蓄水", "种草", "转化"], strict=True))
DAY = timedelta(days=1)
# Ages from and below, and money above and up to (METRICS 6.2, fixed), where a brand has no bands of its own.
AGE_BANDS = [
    ("under 18", 0, 18), ("18-24", 18, 25), ("25-29", 25, 30), ("30-34", 30, 35), ("35-39", 35, 40), ("40-49", 40, 50),
    ("50+", 50, 999),
]  # fmt: skip
SPEND_BANDS = [(1, -1, 100), (2, 100, 1000), (3, 1000, 1e12)]
MOVES_AND_DEEDS = [
    "layer_customers", "event_count", "stayed_customers", "forward_customers", "backward_customers", "lost_customers",
    "touched_customers", "active_customers", "active_days", "interaction_count", "interacting_customers",
    "messaged_customers", "replying_customers", "sharing_customers", "benefit_customers",
    "benefit_using_customers", "group_members", "group_active_members",
]  # fmt: skip


@dataclass
class Customer:
    """What one customer did at one brand."""

    touches: list[tuple] = field(
        default_factory=list
    )  # (at, event_type, channel, campaign, product, value)
    messages: list[tuple] = field(default_factory=list)  # (at, channel, campaign)
    joins: list[tuple] = field(default_factory=list)  # (on, channel)
    orders: list[dict] = field(default_factory=list)
    spells: dict[str, list[tuple]] = field(default_factory=lambda: defaultdict(list))
    relationships: list[tuple] = field(default_factory=list)  # (kind, key, from, to or None)
    reach: list[tuple] = field(default_factory=list)  # consent to a private channel: (from, to)
    invited_on: date | None = None
    gender: str | None = None
    province: str | None = None
    birth: date | None = None
    origin: str | None = None

    def stage(self, model: str, day: date) -> str:
        for stage, start, end in self.spells[model]:
            if start <= day and (end is None or day < end):
                return stage
        return "none"

    def layer(self, day: date) -> str:
        return self.stage("five_r", day)

    def valid_orders(self, first: date, last: date) -> list[dict]:
        """Orders of the days first to last that are valid purchases at the end of `last`."""
        return [
            o
            for o in self.orders
            if o["from"] and first <= o["from"] <= last and (o["to"] is None or o["to"] > last)
        ]

    def met(self, first: date, last: date) -> list[tuple[str, str]]:
        """(channel, touch-point) of everything that touched him from first to last."""
        known = [(c or "unknown", e) for at, e, c, *_ in self.touches if first <= at.date() <= last]
        known += [
            (c or "unknown", "message") for at, c, _ in self.messages if first <= at.date() <= last
        ]
        known += [(c or "unknown", "member_join") for on, c in self.joins if first <= on <= last]
        return known + [
            (o["channel"] or "unknown", "purchase") for o in self.valid_orders(first, last)
        ]

    def first_met(self) -> date | None:
        if self.met_on is ...:
            self.met_on = self._first_met()
        return self.met_on

    def _first_met(self) -> date | None:
        days = [t[0].date() for t in self.touches] + [m[0].date() for m in self.messages]
        days += [j[0] for j in self.joins] + [r[2] for r in self.relationships]
        days += [o["ordered"] for o in self.orders]
        days += [o["from"] for o in self.orders if o["from"]] + self.other_days
        return min(days, default=None)

    other_days: list[date] = field(default_factory=list)
    met_on: object = ...  # kept by first_met, which is asked for every period
    user_days: dict[int, set] = field(
        default_factory=dict
    )  # days on which he uses the mini-program

    def has(self, kinds: set[str], day: date) -> bool:
        return any(
            kind in kinds and start <= day and (end is None or day < end)
            for kind, _, start, end in self.relationships
        )

    def reachable(self, day: date) -> bool:
        return any(start <= day and (end is None or day < end) for start, end in self.reach)

    def purchase_days(self, day: date) -> int:
        return len(
            {
                o["from"]
                for o in self.orders
                if o["from"] and o["from"] <= day and (o["to"] is None or o["to"] > day)
            }
        )

    def spent(self, day: date) -> float:
        """Of the orders of the last 365 days, each less its refunds so far and never below nothing."""
        return sum(
            max(0, o["paid"] - sum(a for on, a in o["refunds"] if on <= day))
            for o in self.orders
            if o["from"] and day - timedelta(365) < o["from"] <= day
        )


@dataclass
class Facts:
    as_of: date
    customers: dict[str, dict[int, Customer]]  # brand -> customer -> what he did
    anonymous: dict[str, list[dict]]  # brand -> orders that name nobody
    refunds: dict[str, list[tuple]]  # brand -> (on, amount)
    first_day: dict[str, date]
    promotions: list[tuple]  # (brand or *, id, first, last)
    known_channels: set[str]
    spend_bands: dict[str, list[tuple]]  # of brands that have their own
    lines: list[dict]
    visitors: dict[str, list[tuple]]  # brand -> touch-points of people known by a device alone
    products: dict[str, tuple]  # product -> (name, category)


def owned(landed: str, key: str, moment: str, owner: str = "o") -> str:
    """SQL of the join that finds whose an identifier was at a moment: a device may have gone from hand to hand."""
    return (
        f" join identity.int_identity__resolution {owner} on {landed}.{key} = {owner}.identifier_key"
        f" and ({owner}.valid_from is null or {landed}.{moment} >= {owner}.valid_from)"
        f" and ({owner}.valid_to is null or {landed}.{moment} < {owner}.valid_to)"
    )


def read_facts(ask: Callable[[str], list[tuple]]) -> Facts:
    """Facts from the tables below the marts; `ask` runs a query."""
    as_of = ask("select as_of_date from reference.as_of")[0][0]
    counted = {
        k
        for (k,) in ask(
            "select distinct customer_key from identity.int_identity__customer_map where not is_anonymous_visitor"
        )
    }
    known = {c for (c,) in ask("select channel from reference.channels")}
    found: dict[str, dict[int, Customer]] = defaultdict(lambda: defaultdict(Customer))

    visitors: dict[str, list[tuple]] = defaultdict(list)
    for brand, key, *touch in ask(
        "select brand_id, customer_key, occurred_at, event_type, channel, campaign_id, product_id, event_value from lifecycle.fct_touchpoints"
    ):
        if key in counted:
            found[brand][key].touches.append(tuple(touch))
        else:
            visitors[brand].append(tuple(touch))
    for brand, key, at, name, campaign in ask(
        "select coalesce(c.brand_id, 'default'), o.customer_key, m.delivered_at, m.channel, m.campaign_id"
        f" from staging.stg_landing__messages m {owned('m', 'identifier_key', 'sent_at')}"
        " left join staging.stg_landing__campaigns c using (campaign_id) where m.delivered_at is not null"
    ):
        if key in counted and at.date() <= as_of:
            found[brand][key].messages.append((at, name, campaign))
    for brand, key, on, name, event in ask(
        "select m.brand_id, map.customer_key, m.occurred_on, m.channel, m.membership_event"
        " from staging.stg_landing__memberships m join identity.int_identity__customer_map map on m.member_key = map.identifier_key"
    ):
        if key in counted and on <= as_of:
            if event == "join":
                found[brand][key].joins.append((on, name))
            found[brand][key].other_days.append(on)
    refunds_of = defaultdict(list)
    refunds: dict[str, list[tuple]] = defaultdict(list)
    for brand, system, order, linked, key, on, amount in ask(
        "select brand_id, source_system, order_id, is_linked, customer_key, refunded_on, refund_amount from lifecycle.fct_refunds"
    ):
        refunds[brand].append((on, amount))
        if linked:
            refunds_of[system, order].append((on, amount))
        if key in counted:
            found[brand][key].other_days.append(on)
    anonymous: dict[str, list[dict]] = defaultdict(list)
    lines = defaultdict(list)
    names = [
        "system",
        "id",
        "brand",
        "key",
        "ordered_at",
        "ordered",
        "channel",
        "from",
        "to",
        "paid",
        "net",
        "discount",
        "valid",
        "purchased",
    ]
    orders = {}
    for row in ask(
        "select source_system, order_id, brand_id, customer_key, ordered_at, ordered_on, channel, valid_from, valid_to, paid_amount, net_amount, discount_amount, is_valid_purchase, purchased_on from lifecycle.fct_orders"
    ):
        order = dict(zip(names, row, strict=True), refunds=refunds_of[row[0], row[1]])
        order["from"] = order["from"] if order["from"] and order["from"] <= as_of else None
        orders[row[0], row[1]] = order
        # Nobody, or a device alone: money and no customer.
        if order["key"] not in counted:
            anonymous[order["brand"]].append(order)
        else:
            found[order["brand"]][order["key"]].orders.append(order)
    for system, order, product, quantity, amount in ask(
        "select source_system, order_id, product_id, quantity, line_amount from lifecycle.fct_order_lines"
    ):
        lines[system, order].append((product, quantity, amount))
    for model, brand, key, stage, start, end in ask(
        "select model, brand_id, customer_key, stage, valid_from, valid_to from lifecycle.int_stages__spells where model in ('five_r', 'aipl') order by valid_from"
    ):
        if key in counted:
            found[brand][key].spells[model].append((stage, start, end))
    for brand, key, kind, target, start, end in ask(
        "select brand_id, customer_key, relationship, relationship_key, valid_from, valid_to from lifecycle.fct_relationship_spells"
    ):
        if key in counted:
            found[brand][key].relationships.append((kind, target, start, end))
    for brand, key, start, end in ask(
        "select s.brand_id, s.customer_key, s.valid_from, s.valid_to from lifecycle.fct_consent_spells s"
        " join reference.channels c using (channel) where c.domain = 'private'"
    ):
        if key in counted:
            found[brand][key].reach.append((start, end))
    cards = defaultdict(list)
    for brand, key, at, start, end in ask(
        "select brand_id, customer_key, joined_at, valid_from, valid_to from lifecycle.fct_membership_spells"
    ):
        cards[key].append((at, brand, start, end))
    invitations = defaultdict(list)
    for inviter, key, on, accepted in ask(
        "select a.customer_key, b.customer_key, r.invited_on, r.accepted_on from staging.stg_landing__referrals r"
        f"{owned('r', 'inviter_key', 'invited_at', 'a')}{owned('r', 'invitee_key', 'invited_at', 'b')}"
    ):
        # Of the brand whose live card the inviter has had longest.
        live = [c[:2] for c in cards[inviter] if c[2] <= on and (c[3] is None or on < c[3])]
        if accepted and accepted <= as_of and inviter != key:
            invitations[min(live)[1] if live else "default", key].append(accepted)
    people = {
        k: row
        for k, *row in ask(
            "select customer_key, gender, province, birth_date from identity.dim_customers"
        )
    }
    origins = {
        (b, k): c
        for b, k, c in ask(
            "select brand_id, customer_key, acquisition_channel from lifecycle.int_stages__origins"
        )
    }
    for brand, customers in found.items():
        for key, customer in customers.items():
            customer.gender, customer.province, customer.birth = people.get(key, (None, None, None))
            customer.origin = origins.get((brand, key))
            customer.invited_on = min(invitations[brand, key], default=None)
    own_bands: dict[str, list[tuple]] = defaultdict(list)
    for brand, *band in ask(
        "select brand_id, score, coalesce(above, -1), coalesce(up_to, 1e12) from reference.rfm_breakpoints"
        " where scheme = 'fixed' and measure = 'monetary' and brand_id <> '*'"
    ):
        own_bands[brand].append(tuple(band))
    return Facts(
        as_of,
        found,
        anonymous,
        refunds,
        dict(
            ask("select brand_id, min(as_of_date) from lifecycle.int_stages__calendar group by 1")
        ),
        ask("select brand_id, promotion_id, starts_on, ends_on from reference.promotion_calendar"),
        known,
        own_bands,
        [dict(o, lines=lines[key]) for key, o in orders.items() if o["valid"]],
        visitors,
        {
            product: tuple(row)
            for product, *row in ask(
                "select product_id, product_name, category from staging.stg_landing__products"
            )
        },
    )


@dataclass(frozen=True)
class Period:
    brand: str
    kind: str
    name: str
    first: date
    last: date  # looked at up to here
    is_complete: bool

    @property
    def key(self) -> tuple:
        return self.brand, self.kind, self.name

    @property
    def before(self) -> date:
        return self.first - DAY

    @property
    def state(self) -> dict:
        return {"last_on": self.last, "is_complete": self.is_complete}

    @property
    def bounds(self) -> dict:
        return {"from_date": self.before, "to_date": self.last, "is_complete": self.is_complete}


def periods(facts: Facts) -> list[Period]:
    found = set()

    def add(brand: str, kind: str, name: str, first: date, ends: date) -> None:
        last = min(ends, facts.as_of)
        found.add(Period(brand, kind, name, first, last, ends <= facts.as_of))

    for brand, first in facts.first_day.items():
        day = first
        while day <= facts.as_of:
            monday = day - timedelta(day.weekday())
            add(brand, "week", str(monday), monday, monday + 6 * DAY)
            month = day.replace(day=1)
            after = (month + timedelta(32)).replace(day=1)
            add(brand, "month", str(month)[:7], month, after - DAY)
            day += DAY
        for owner, name, starts, ends in facts.promotions:
            if owner in ("*", brand) and starts <= facts.as_of and ends >= first:
                add(brand, "promotion", name, starts, ends)
    return sorted(found, key=lambda p: (p.key, p.first))


def rate(top, base) -> float | None:
    return float(top) / float(base) if top is not None and base else None


def answers(facts: Facts) -> dict[str, dict[tuple, dict]]:
    """{table: {key: columns}} of the STAR tables."""
    out: dict[str, dict[tuple, dict]] = defaultdict(dict)
    for period in periods(facts):
        people = facts.customers.get(period.brand, {})
        _scaling(out["star_scaling"], period, people, facts)
        flows = _flows(out["star_flows"], period, people)
        _activating(out["star_activating"], period, people, flows, facts)
        _goals(out["star_goal_flows"], period, people, flows)
        _returning(out["star_returning"], period, people, facts)
        _structure(out["star_structure"], out["star_triangulating"], period, people, facts)
        _assets(out["star_assets"], period, people, facts)
    return out


def _scaling(out, period, people, facts) -> None:
    sets: dict[tuple, set] = defaultdict(set)
    new = set()
    for key, c in people.items():
        layer = c.layer(period.last)
        met = [
            (n if n in facts.known_channels else "unknown", t)
            for n, t in c.met(period.first, period.last)
        ]
        first = c.first_met()
        if first and first >= period.first:
            new.add(key)
        in_layers = [layer, "all"] if layer != "none" else ["none"]
        for at in in_layers:
            if layer != "none" and not met:
                sets[at, "none", "none"].add(key)
            if layer != "none" or met:
                sets[at, "all", "all"].add(key)
            for name, touch in met:
                for combination in ((name, touch), (name, "all"), ("all", touch)):
                    sets[(at, *combination)].add(key)
    for key, found in sets.items():
        out[(*period.key, *key)] = {
            "customers": len(found),
            "new_customers": len(found & new),
            "old_customers": len(found - new),
            "starts_on": period.first,
        } | period.state


def _flows(out, period, people) -> dict[tuple, int]:
    cells: dict[tuple, int] = defaultdict(int)
    for c in people.values():
        before, after = c.layer(period.before), c.layer(period.last)
        if (before, after) != ("none", "none"):
            cells[before, after] += 1
    for (before, after), count in cells.items():
        stock = sum(n for (b, _), n in cells.items() if b == before) if before != "none" else None
        out[(*period.key, before, after)] = {
            "customers": count,
            "from_customers": stock,
            "flow_rate": rate(count, stock),
            "direction": "new"
            if before == "none"
            else "lost"
            if after == "none"
            else "stayed"
            if after == before
            else "forward"
            if after > before
            else "backward",
        } | period.bounds
    return cells


def _activating(out, period, people, flows, facts) -> None:
    rank = {"none": 0} | {layer: i + 1 for i, layer in enumerate(LAYERS)}
    rows = {}
    for layer in ["none", *LAYERS]:
        row: dict = dict.fromkeys(MOVES_AND_DEEDS, 0)
        for (a, b), n in flows.items():
            if a == layer:
                row["stayed_customers"] += n * (b == a)
                row["forward_customers"] += n * (rank[b] > rank[a])
                row["backward_customers"] += n * (rank[b] < rank[a])
                row["lost_customers"] += n * (b == "none" and a != "none")
                row["layer_customers"] += n
        for c in people.values():
            if c.layer(period.before) != layer:
                continue
            touches = [t for t in c.touches if period.first <= t[0].date() <= period.last]
            bought = c.valid_orders(period.first, period.last)
            kinds = {t[1] for t in touches}
            messaged = any(period.first <= m[0].date() <= period.last for m in c.messages)
            met = c.met(period.first, period.last)
            row["touched_customers"] += bool(met)
            row["event_count"] += sum(touch != "message" for _, touch in met)
            row["active_customers"] += bool(touches or bought)
            row["active_days"] += len({t[0].date() for t in touches} | {o["from"] for o in bought})
            row["interaction_count"] += sum(t[1] in INTERACTIONS for t in touches)
            row["interacting_customers"] += bool(kinds & INTERACTIONS)
            row["messaged_customers"] += messaged
            row["replying_customers"] += messaged and "message_in" in kinds
            row["sharing_customers"] += "share" in kinds
            row["benefit_customers"] += "coupon_claim" in kinds
            row["benefit_using_customers"] += "coupon_claim" in kinds and bool(
                kinds & {"coupon_use", "points_redeem"}
            )
            member = c.has({"group_member"}, period.before)
            row["group_members"] += member
            in_group = any(t[2] == "community_group" and t[1] != "group_leave" for t in touches)
            in_group |= any(o["channel"] == "community_group" for o in bought)
            in_group |= any(
                n == "community_group" and period.first <= on <= period.last for on, n in c.joins
            )
            row["group_active_members"] += member and in_group
        rows[layer] = row
    names = MOVES_AND_DEEDS
    rows["all"] = {name: sum(rows[at][name] for at in ["none", *LAYERS]) for name in names}
    rows["all"]["forward_customers"] -= rows["none"]["forward_customers"]
    rows["all"]["layer_customers"] -= rows["none"]["layer_customers"]
    days = (period.last - period.first).days + 1
    for layer, row in rows.items():
        base = None if layer == "none" else row["layer_customers"]
        out[(*period.key, layer)] = (
            {name: row[name] for name in names if name != "layer_customers"}
            | {
                "layer_customers": base,
                "forward_rate": rate(row["forward_customers"], base),
                "backward_rate": rate(row["backward_customers"], base),
                "lost_rate": rate(row["lost_customers"], base),
                # From outside there is no way back.
                "forward_backward_ratio": None
                if layer == "none"
                else rate(row["forward_customers"], row["backward_customers"]),
                # Among all are active ones of no layer, who have no base.
                "active_rate": None
                if layer in ("none", "all")
                else rate(row["active_customers"], base),
                "interactions_per_active": rate(row["interaction_count"], row["active_customers"]),
                "interacting_rate": rate(row["interacting_customers"], row["active_customers"]),
                "daily_active_customers": row["active_days"] / days,
                "stickiness": rate(row["active_days"] / days, row["active_customers"]),
                "reply_rate": rate(row["replying_customers"], row["messaged_customers"]),
                "group_active_rate": rate(row["group_active_members"], row["group_members"]),
                "benefit_use_rate": rate(row["benefit_using_customers"], row["benefit_customers"]),
                "share_rate": rate(row["sharing_customers"], row["active_customers"]),
            }
            | period.bounds
        )


def _goals(out, period, people, flows) -> None:
    reached = sum(
        c.layer(period.before) == "none" and bool(c.met(period.first, period.last))
        for c in people.values()
    )
    for goal, moves in GOALS.items():
        sources = {a for a, _ in moves}
        base = sum(n for (a, _), n in flows.items() if a in sources and a != "none")
        base += reached if "none" in sources else 0
        moved = sum(n for move, n in flows.items() if move in moves)
        out[(*period.key, goal)] = {
            "customers": moved,
            "base_customers": base,
            "flow_rate": rate(moved, base),
            "name_zh": GOAL_NAMES[goal],
        } | period.bounds


def _hhi(amounts: Iterable) -> float | None:
    amounts = [Fraction(a) for a in amounts]
    total = sum(amounts)
    return float(sum(a * a for a in amounts) / total**2) if total else None


def _returning(out, period, people, facts) -> None:
    groups: dict[str, list[tuple]] = defaultdict(list)
    stock: dict[str, int] = defaultdict(int)
    for key, c in people.items():
        layer = c.layer(period.before)
        stock[layer] += 1
        for order in c.valid_orders(period.first, period.last):
            groups[layer].append((key, order, bool(c.invited_on and c.invited_on <= order["from"])))
    nobody = Customer(orders=facts.anonymous.get(period.brand, []))
    groups["anonymous"] = [(None, o, False) for o in nobody.valid_orders(period.first, period.last)]
    known = [x for layer in ["none", *LAYERS] for x in groups[layer]]
    total = sum(o["paid"] for _, o, _ in known)
    for layer in ["none", *LAYERS, "anonymous", "all"]:
        orders = known if layer == "all" else groups[layer]
        buyers = {k for k, *_ in orders if k is not None}
        base = (
            sum(stock[at] for at in LAYERS)
            if layer == "all"
            else stock[layer]
            if layer in LAYERS
            else None
        )
        inside = [x for at in LAYERS for x in groups[at]] if layer == "all" else orders
        gmv = sum(o["paid"] for _, o, _ in orders)
        channels: dict[str, int] = defaultdict(int)
        for _, o, _ in orders:
            channels[o["channel"] or "unknown"] += o["paid"]
        repeat = sum(len({o["from"] for k, o, _ in orders if k == buyer}) >= 2 for buyer in buyers)
        out[(*period.key, layer)] = {
            "layer_customers": base,
            "buyers": len(buyers),
            "repeat_buyers": repeat,
            "order_count": len(orders),
            "gmv_amount": gmv,
            "net_amount": sum(
                o["paid"] - sum(a for on, a in o["refunds"] if on <= period.last)
                for _, o, _ in orders
            ),
            "refund_amount": sum(
                a
                for on, a in facts.refunds.get(period.brand, [])
                if period.first <= on <= period.last
            )
            if layer == "all"
            else None,
            "referred_buyers": len({k for k, _, referred in orders if referred}),
            "referred_amount": sum(o["paid"] for _, o, referred in orders if referred),
            "conversion_rate": rate(len({k for k, *_ in inside if k is not None}), base),
            "amount_per_buyer": rate(gmv, len(buyers)),
            "repurchase_rate": rate(repeat, len(buyers)),
            "amount_per_layer_customer": rate(sum(o["paid"] for _, o, _ in inside), base),
            "gmv_share": rate(gmv, total),
            "gmv_channel_hhi": _hhi(channels.values()),
            "discount_amount": sum(o["discount"] for _, o, _ in orders),
            "amount_per_order": rate(gmv, len(orders)),
            "orders_per_buyer": rate(len(orders), len(buyers)),
            "referred_share": rate(sum(o["paid"] for _, o, referred in orders if referred), gmv),
            "starts_on": period.first,
        } | period.state


def _age(birth: date, day: date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _structure(out, summary, period, people, facts) -> None:
    counts: dict[tuple, int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    day = period.last
    bands = facts.spend_bands.get(period.brand, SPEND_BANDS)
    for c in people.values():
        layer = c.layer(day)
        if layer == "none":
            continue
        bought = c.purchase_days(day)
        spent = c.spent(day)
        tier = (
            next((s for s, above, up_to in bands if above < spent <= up_to), 0) if spent > 0 else 0
        )
        age = _age(c.birth, day) if c.birth else None
        band = next(
            (n for n, low, high in AGE_BANDS if age is not None and low <= age < high),
            "unknown",
        )
        traits = {
            "gender": c.gender or "unknown",
            "region": c.province or "unknown",
            "age": band,
            "channel": c.origin or "unknown",
            "spending": f"tier {tier}",
            "member": "yes" if c.has({"member"}, day) else "no",
            "reachable": "yes" if c.reachable(day) else "no",
            "buyer": "yes" if bought >= 1 else "no",
            "repeat_buyer": "yes" if bought >= 2 else "no",
        }
        for at in (layer, "all"):
            totals[at] += 1
            for dimension, value in traits.items():
                counts[at, dimension, value] += 1
    for (layer, dimension, value), n in counts.items():
        out[(*period.key, layer, dimension, value)] = {
            "customers": n,
            "layer_customers": totals[layer],
            "share": n / totals[layer],
        } | period.state
    for layer, total in totals.items():
        summary[(*period.key, layer)] = {
            "customers": total,
            "all_customers": totals["all"],
            "layer_share": total / totals["all"],
            **{
                f"{trait}_{what}": counts[layer, trait, "yes"] / whole
                for trait in ("member", "reachable", "buyer", "repeat_buyer")
                for what, whole in (("customers", 1), ("share", total))
            },
            "channel_hhi": _hhi(
                n for (at, d, _), n in counts.items() if at == layer and d == "channel"
            ),
        } | period.state


def _assets(out, period, people, facts) -> None:
    def lately(c: Customer, day: date, days: int) -> bool:
        if days not in c.user_days:
            used = {t[0].date() for t in c.touches if t[2] == "miniprogram"}
            c.user_days[days] = {on + n * DAY for on in used for n in range(days)}
        return day in c.user_days[days]

    tests = {
        kind: (lambda c, day, kind=kind: c.has({kind}, day))
        for kind in ("member", "follower", "wecom_contact", "group_member")
    }
    tests["reachable"] = lambda c, day: c.reachable(day)
    tests["miniprogram_30d"] = lambda c, day: lately(c, day, 30)
    tests["miniprogram_365d"] = lambda c, day: lately(c, day, 365)
    for asset, holds in tests.items():
        before = sum(holds(c, period.before) for c in people.values())
        after = sum(holds(c, period.last) for c in people.values())
        out[(*period.key, asset)] = {
            "customers_before": before,
            "customers": after,
            "net_added": after - before,
        } | period.state
        days = [period.first + i * DAY for i in range((period.last - period.first).days + 1)]
        turns = [
            holds(c, day) - holds(c, day - DAY)
            for c in people.values()
            if c.relationships or c.reach or c.touches
            for day in days
        ]
        out[(*period.key, asset)] |= {"entered": turns.count(1), "exited": turns.count(-1)}


def attribution(
    facts: Facts, window: int = 30, half_life: float = 7, end: Fraction = Fraction(2, 5)
) -> dict[tuple, dict]:
    """{(brand, month, conversion, model, channel, touch-point, campaign): credit, net amount}."""
    ranks = {"none": 0, "A": 1, "I": 2, "P": 3, "L": 4}
    out: dict[tuple, list] = defaultdict(lambda: [0.0, 0.0])
    for brand, people in facts.customers.items():
        for c in people.values():
            touches = [
                (at, ch or "unknown", e, cam or "none")
                for at, e, ch, cam, *_ in c.touches
                if e not in IGNORED
            ]
            touches += [
                (at, ch or "unknown", "message", cam or "none") for at, ch, cam in c.messages
            ]
            happened = [
                ("order", o["ordered_at"], o["ordered"], o["purchased"], o["net"])
                for o in c.orders
                if o["valid"]
            ]
            last = "none", None
            for stage, start, stop in c.spells["aipl"]:
                came_from = last[0] if last[1] == start else "none"
                if start <= facts.as_of and ranks[stage] > ranks[came_from]:
                    happened.append((f"{came_from}>{stage}", None, start, start, None))
                last = stage, stop
            for conversion, at, on, counted, net in happened:
                known = [
                    (t[0] if at else t[0].date(), (on - t[0].date()).days, t[1:])
                    for t in touches
                    if on - timedelta(window) < t[0].date() <= on and (at is None or t[0] <= at)
                ]
                month = counted.replace(day=1)
                for model, shares in _shares(known, half_life, end).items():
                    for source, share in shares:
                        cell = out[(brand, month, conversion, model, *source)]
                        cell[0] += float(share)
                        cell[1] += float(share) * float(net or 0)
    # Credits of one conversion add up to one, so those of all conversions to their number.
    conversions: dict[tuple, float] = defaultdict(float)
    for key, (credit, _) in out.items():
        conversions[key[:4]] += credit
    return {
        k: {
            "credit": c,
            "credit_net_amount": a if k[2] == "order" else None,
            "conversions": round(conversions[k[:4]]),
            "credit_share": rate(c, conversions[k[:4]]),
        }
        for k, (c, a) in out.items()
        if c > 0
    }


def _shares(known: list[tuple], half_life: float, end: Fraction) -> dict[str, list[tuple]]:
    models = ("first", "last", "linear", "position", "time_decay")
    if not known:
        return {model: [(("none", "none", "none"), 1)] for model in models}
    times = [t for t, *_ in known]
    firsts, lasts = ([i for i, t in enumerate(times) if t == edge(times)] for edge in (min, max))
    n = len(known)
    weights = [0.5 ** (days / half_life) for _, days, _ in known]
    middle = n - len(set(firsts) | set(lasts))
    part = end if middle else Fraction(1, 2)

    def position(i: int) -> Fraction:
        if min(times) == max(times):
            return Fraction(1, n)
        if i in firsts:
            return part / len(firsts)
        if i in lasts:
            return part / len(lasts)
        return (1 - 2 * end) / middle

    share = {
        "first": lambda i: Fraction(i in firsts, len(firsts)),
        "last": lambda i: Fraction(i in lasts, len(lasts)),
        "linear": lambda i: Fraction(1, n),
        "position": position,
        "time_decay": lambda i: weights[i] / sum(weights),
    }
    return {model: [(known[i][2], share[model](i)) for i in range(n)] for model in models}


def products(facts: Facts, again_days: int = 90) -> dict[tuple, dict]:
    """{(brand, month, product or `all`): columns}."""
    out = {}
    for brand in {*facts.customers, *facts.anonymous}:
        people = facts.customers.get(brand, {})
        first_bought = {
            k: min((o["from"] for o in c.orders if o["valid"]), default=None)
            for k, c in people.items()
        }
        lines = [
            (
                o["purchased"],
                o["key"] if o["key"] in people else None,
                (o["system"], o["id"]),
                product,
                amount,
                quantity,
            )
            for o in facts.lines
            if o["brand"] == brand
            for product, quantity, amount in o["lines"]
        ]
        events = [
            (t[0].date(), k, t[1], t[4], t[5])
            for k, touches in [
                *((k, c.touches) for k, c in people.items()),
                (None, facts.visitors.get(brand, [])),
            ]
            for t in touches
            if t[4] and t[1] in ("product_view", "cart_add", "favorite", "review")
        ]
        months = {d.replace(day=1) for d, *_ in lines} | {d.replace(day=1) for d, *_ in events}
        for month in months:
            mine = [x for x in lines if x[0].replace(day=1) == month]
            did = [x for x in events if x[0].replace(day=1) == month]
            baskets: dict[tuple, set] = defaultdict(set)
            for _, _, order, product, *_ in mine:
                baskets[order].add(product)
            items = {x[3] for x in mine} | {x[3] for x in did}
            end = (month + timedelta(32)).replace(day=1) - DAY
            each = {}
            for item in sorted(items):
                viewed = {k for _, k, e, p, _ in did if p == item and e == "product_view" and k}
                carted = {k for _, k, e, p, _ in did if p == item and e == "cart_add" and k}
                bought = {k for _, k, _, p, *_ in mine if p == item and k is not None}
                later = {
                    k
                    for d, k, _, p, *_ in mine
                    if p == item
                    and k is not None
                    and any(
                        p2 == item and k2 == k and d < d2 <= d + timedelta(again_days)
                        for d2, k2, _, p2, *_ in lines
                    )
                }
                each[item] = (viewed, viewed & carted, viewed & carted & bought, bought, later)
            each["all"] = tuple(set().union(*(sets[i] for sets in each.values())) for i in range(5))
            for item, (viewed, carted, paid, bought, later) in each.items():
                orders = {o for o, found in baskets.items() if item == "all" or item in found}
                ratings = [
                    v
                    for _, _, e, p, v in did
                    if e == "review" and v is not None and item in (p, "all")
                ]
                kinds = {
                    kind: [x for x in did if x[2] == kind and item in (x[3], "all")]
                    for kind in ("product_view", "cart_add", "favorite", "review")
                }
                new_buyers = sum(first_bought[k] >= month for k in bought)
                attached = sum(len(baskets[o]) > 1 for o in orders)
                is_seen = end + timedelta(again_days) <= facts.as_of
                out[brand, month, item] = {
                    "views": len(kinds["product_view"]),
                    "cart_customers": len({x[1] for x in kinds["cart_add"] if x[1]}),
                    "favorite_customers": len({x[1] for x in kinds["favorite"] if x[1]}),
                    "quantity": sum(x[5] for x in mine if item in (x[3], "all")),
                    "reviews": len(kinds["review"]),
                    "rated_reviews": len(ratings),
                    "positive_reviews": sum(v >= 4 for v in ratings),
                    "positive_review_rate": rate(sum(v >= 4 for v in ratings), len(ratings)),
                    "view_to_cart_rate": rate(len(carted), len(viewed)),
                    "cart_to_pay_rate": rate(len(paid), len(carted)),
                    "view_to_pay_rate": rate(len(paid), len(viewed)),
                    "new_buyer_share": rate(new_buyers, len(bought)),
                    "attach_rate": rate(attached, len(orders)),
                    "repurchase_rate": rate(len(later), len(bought)) if is_seen else None,
                    "viewers": len(viewed),
                    "viewers_who_carted": len(carted),
                    "viewers_who_carted_and_bought": len(paid),
                    "buyers": len(bought),
                    "new_buyers": sum(first_bought[k] >= month for k in bought),
                    "order_count": len(orders),
                    "attached_orders": sum(len(baskets[o]) > 1 for o in orders),
                    "line_amount": sum(x[4] for x in mine if item in (x[3], "all")),
                    "repurchasing_buyers": len(later)
                    if end + timedelta(again_days) <= facts.as_of
                    else None,
                    "mean_rating": rate(sum(ratings), len(ratings)),
                    "product_name": facts.products.get(item, (None, None))[0],
                    "category": facts.products.get(item, (None, None))[1],
                }
    return out


def differences(
    table: str,
    keys: list[str],
    expected: dict[tuple, dict],
    ask: Callable[[str], list[tuple]],
    where: str = "true",
) -> list[str]:
    """Sentences on rows of a mart that are missing, too many or not what the oracle says, and columns it says nothing of."""
    columns = list({column: None for row in expected.values() for column in row})
    names = ask(
        "select column_name from information_schema.columns where table_catalog = current_database()"
        f" and table_schema = 'marts' and table_name = '{table}'"
    )
    unread = {name for (name,) in names} - {*keys, *columns}
    found = {
        tuple(row[: len(keys)]): dict(zip(columns, row[len(keys) :], strict=True))
        for row in ask(f"select {', '.join(keys + columns)} from marts.{table} where {where}")
    }
    wrong = [f"{table} {column}: no oracle" for column in unread]
    wrong += [
        f"{table} {key}: {'missing' if key in expected else 'too much'}"
        for key in sorted({*found} ^ {*expected}, key=str)
    ]
    for key in {*found} & {*expected}:
        for column, value in expected[key].items():
            if value is ...:  # the oracle vouches for none
                continue
            ours = found[key][column]
            if value is None or ours is None or isinstance(value, str | bool | date):
                is_wrong = ours != value
            else:
                is_wrong = abs(float(ours) - float(value)) > 1e-6 * max(1.0, abs(float(value)))
            if is_wrong:
                wrong.append(f"{table} {key} {column}: {ours}, oracle {value}")
    return sorted(wrong)


PERIOD = ["brand_id", "period_kind", "period_id"]
KEYS = {
    "star_scaling": [*PERIOD, "layer", "channel", "touch_point"],
    "star_flows": [*PERIOD, "from_layer", "to_layer"],
    "star_activating": [*PERIOD, "layer"],
    "star_goal_flows": [*PERIOD, "goal"],
    "star_returning": [*PERIOD, "layer"],
    "star_structure": [*PERIOD, "layer", "dimension", "value"],
    "star_triangulating": [*PERIOD, "layer"],
    "star_assets": [*PERIOD, "asset"],
}
