"""Campaigns read slowly, person by person: whom one reached, what they did, what it sold, added and left behind.

Written from METRICS sections 5.4, 7 and 8.5 and docs/campaigns.md, not from the SQL. Customers, valid days of orders and
stages are those of the layers below, which oracles of their own check.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import sqrt

from tests.oracle import star
from tests.oracle.star import rate

RESPONSE, UPLIFT = timedelta(30), timedelta(7)
MESSAGED = ("messaged_", "delivered_", "clicking_", "unsubscribed_", "treated_", "control_")
VIEWS = {"product_view", "store_view"}


@dataclass
class Person:
    """What one customer did at one brand."""

    touches: list[tuple] = field(default_factory=list)  # (day, event type, campaign)
    placed: list[date] = field(default_factory=list)
    bought: list[tuple] = field(default_factory=list)  # valid purchases: (day, campaign, paid, net)

    def buys(self, after: date, until: date) -> bool:
        """A purchase after one day and up to another."""
        return any(after < day <= until for day, *_ in self.bought)

    def acts(self, after: date, until: date) -> bool:
        return any(after < day <= until for day, *_ in self.touches) or self.buys(after, until)


@dataclass
class Message:
    key: int
    sent: date
    delivered: date | None
    clicked: date | None
    goodbye: date | None
    control: bool


def answers(ask: Callable[[str], list[tuple]]) -> dict[str, dict[tuple, dict]]:
    """{table: {key: columns}} of campaign_performance and campaign_segments."""
    facts = star.read_facts(ask)
    as_of = facts.as_of
    people: dict[str, dict[int, Person]] = defaultdict(lambda: defaultdict(Person))
    names = {}
    for key, name, visitor in ask(
        "select customer_key, customer_id, is_anonymous_visitor from identity.int_identity__customer_map"
    ):
        if not visitor:
            names[key] = name
    for brand, key, day, kind, campaign in ask(
        "select brand_id, customer_key, occurred_on, event_type, campaign_id from lifecycle.fct_touchpoints"
    ):
        if key in names and day <= as_of:
            people[brand][key].touches.append((day, kind, campaign))
    sold = defaultdict(list)
    for system, order, brand, key, ordered, day, until, campaign, paid, net, discount, valid in ask(
        "select source_system, order_id, brand_id, customer_key, ordered_on, valid_from, valid_to, campaign_id,"
        " paid_amount, net_amount, discount_amount, is_valid_purchase from lifecycle.fct_orders"
    ):
        if key in names:
            people[brand][key].placed.append(ordered)
        if valid and key in names:
            people[brand][key].bought.append((day, campaign, paid, net))
        # Sold on its day, whatever came back later: a refund rate needs the orders that went back.
        if day and day <= as_of and (until is None or until > day):
            who = key if key in names else None
            sold[brand, campaign].append(((system, order), who, paid, net, discount))
    back = defaultdict(list)
    for system, order, linked, day, amount in ask(
        "select source_system, order_id, is_linked, refunded_on, refund_amount from lifecycle.fct_refunds"
    ):
        if linked and day <= as_of:
            back[system, order].append((day, amount))
    messages = defaultdict(list)
    for campaign, key, sent, *later, control in ask(
        "select m.campaign_id, o.customer_key, m.sent_on, cast(m.delivered_at as date), cast(m.clicked_at as date),"
        " cast(m.unsubscribed_at as date), coalesce(m.is_control, false) from staging.stg_landing__messages m"
        + star.owned("m", "identifier_key", "sent_at")
    ):
        if key in names and sent <= as_of:
            # What happened after the as-of date has not happened yet.
            seen = [day if day and day <= as_of else None for day in later]
            messages[campaign].append(Message(key, sent, *seen, control))
    # Who was held back once is of the hold-out, whatever else reached him.
    for sent in messages.values():
        held = {m.key for m in sent if m.control}
        for m in sent:
            m.control = m.key in held
    costs = defaultdict(list)
    for campaign, day, *figures in ask(
        "select campaign_id, spent_on, impressions, clicks, cost_amount from staging.stg_landing__campaign_costs"
    ):
        if day <= as_of:
            costs[campaign].append(figures)
    classes = defaultdict(list)
    for brand, customer, day, name in ask(
        "select brand_id, customer_id, as_of_date, rfm_class from marts.rfm_customers where scope = 'all'"
    ):
        classes[brand, customer].append((day, name))
    observed = defaultdict(set)
    for brand, day in ask("select distinct brand_id, as_of_date from marts.rfm_customers"):
        observed[brand].add(day)
    credit = defaultdict(lambda: [0.0, 0.0, 0.0])
    for (*_, conversion, model, _, _, campaign), row in star.attribution(facts).items():
        if model == "linear":
            if conversion == "order":
                credit[campaign][0] += row["credit"]
                credit[campaign][1] += row["credit_net_amount"]
            else:
                credit[campaign][2] += row["credit"]
    out: dict[str, dict[tuple, dict]] = {"campaign_performance": {}, "campaign_segments": {}}
    for campaign, brand, starts, ends, name, scenario, channel, budget in ask(
        "select campaign_id, brand_id, starts_on, ends_on, campaign_name, scenario, channel, budget_amount"
        " from staging.stg_landing__campaigns"
    ):
        everybody = people[brand]
        # Whom it reached: the day of the first touch.
        met = defaultdict(list)
        responded = {m.key for m in messages[campaign] if m.clicked}
        for key, person in everybody.items():
            for day, kind, touched_by in person.touches:
                if touched_by == campaign:
                    met[key].append(day)
                    if kind != "ad_impression":
                        responded.add(key)
        for message in messages[campaign]:
            if message.delivered:
                met[message.key].append(message.delivered)
        first = {key: min(days) for key, days in met.items()}
        funnel = [0, 0, 0, 0]
        bought = set()
        for key, day in first.items():
            # N days, the first of which is the day of the touch.
            person, until = everybody[key], day + RESPONSE - timedelta(1)
            eve = day - timedelta(1)
            kinds = {kind for on, kind, _ in person.touches if day <= on <= until}
            steps = [
                bool(kinds & VIEWS),
                "cart_add" in kinds,
                any(day <= on <= until for on in person.placed),
                person.buys(eve, until),
            ]
            if steps[3]:
                bought.add(key)
            for n in range(4):
                funnel[n] += all(steps[: n + 1])
        orders = sold[brand, campaign]
        buyers = {key for _, key, *_ in orders if key is not None}
        paid, net, discount = (sum(order[i] for order in orders) for i in (2, 3, 4))
        cost = sum(x[2] for x in costs[campaign]) if costs[campaign] else None
        shown, clicks = (sum(x[i] or 0 for x in costs[campaign]) if costs[campaign] else None for i in (0, 1))  # fmt: skip
        firsts = [min((d for d, *_ in everybody[key].bought), default=None) for key in buyers]
        new = sum(day is not None and day >= starts for day in firsts)
        asked = [m for m in messages[campaign] if not m.control]
        row = {
            "brand_id": brand,
            "campaign_name": name,
            "scenario": scenario,
            "channel": channel,
            "starts_on": starts,
            "ends_on": ends,
            "budget_amount": budget,
            "is_complete": ends <= as_of,
            "cost_amount": cost,
            "impressions": shown,
            "clicks": clicks,
            "click_through_rate": rate(clicks, shown),
            "cost_per_click": rate(cost, clicks),
            "reached_customers": len(first),
            "responding_customers": len(responded & first.keys()),
            "viewing_customers": funnel[0],
            "carting_customers": funnel[1],
            "ordering_customers": funnel[2],
            "buying_customers": funnel[3],
            "buyers_among_reached": len(bought),
            "response_rate": rate(len(responded & first.keys()), len(first)),
            "buying_rate": rate(len(bought), len(first)),
            "order_count": len(orders),
            "buyers": len(buyers),
            "new_buyers": new,
            "new_buyer_share": rate(new, len(buyers)),
            "gmv_amount": paid,
            "net_amount": net,
            "discount_amount": discount,
            "coupon_cost_rate": rate(discount, paid + discount),
            "direct_roas": rate(net, cost),
            "attributed_orders": credit[campaign][0],
            "attributed_net_amount": credit[campaign][1],
            "roas": rate(credit[campaign][1], cost),
            "attributed_moves": credit[campaign][2],
            "cost_per_new_buyer": rate(cost, new),
            "messaged_customers": len({m.key for m in asked}),
            "delivered_customers": len({m.key for m in asked if m.delivered}),
            "clicking_customers": len({m.key for m in asked if m.clicked}),
            "unsubscribed_customers": len({m.key for m in asked if m.goodbye}),
        }
        row |= _uplift(messages[campaign], everybody, as_of, cost)
        if not messages[campaign]:
            # Nothing was sent: not even nobody was drawn.
            row |= {name: None for name in row if name.startswith(MESSAGED)}
        for days in (30, 60):
            until = ends + timedelta(days)
            over = until <= as_of
            kept = sum(everybody[key].acts(ends, until) for key in buyers)
            again = sum(everybody[key].buys(ends, until) for key in buyers)
            refunded = sum(a for order, *_ in orders for day, a in back[order] if day <= until)
            row |= {
                f"retained_buyers_{days}d": kept if over else None,
                f"retained_rate_{days}d": rate(kept, len(buyers)) if over else None,
                f"repurchasing_buyers_{days}d": again if over else None,
                f"repurchasing_rate_{days}d": rate(again, len(buyers)) if over else None,
                f"refund_amount_{days}d": refunded if over else None,
                f"refund_rate_{days}d": rate(refunded, paid) if over else None,
            }
        out["campaign_performance"][(campaign,)] = row
        before = max((day for day in observed[brand] if day < starts), default=None)
        for key in first:
            known = facts.customers[brand][key]
            values = {
                "layer_before": known.layer(starts - timedelta(1)),
                "layer_after": known.layer(min(ends, as_of)),
            }
            if before:  # else nobody knows a class
                classed = dict(classes[brand, names[key]])
                values["rfm_class_before"] = classed.get(before, "none")
            for dimension, value in values.items():
                cell = out["campaign_segments"].setdefault(
                    (campaign, dimension, value),
                    {
                        "brand_id": brand,
                        "customers": 0,
                        "reached_customers": len(first),
                        "buyers": 0,
                    },
                )
                cell["customers"] += 1
                cell["buyers"] += key in bought
    for cell in out["campaign_segments"].values():
        cell["share"] = rate(cell["customers"], cell["reached_customers"])
        cell["buying_rate"] = rate(cell["buyers"], cell["customers"])
    return out


def _uplift(messages: list[Message], people: dict[int, Person], as_of: date, cost) -> dict:
    """Everybody drawn against the hold-out by purchases on the 7 days after the day of the first sending."""
    groups: dict[bool, dict[int, date]] = {False: {}, True: {}}
    for m in messages:
        if m.sent + UPLIFT <= as_of:
            group = groups[m.control]
            group[m.key] = min(m.sent, group.get(m.key, m.sent))
    size, won, money = {}, {}, {}
    for control, group in groups.items():
        size[control] = len(group)
        won[control] = sum(people[key].buys(day, day + UPLIFT) for key, day in group.items())
        money[control] = float(
            sum(
                net
                for key, day in group.items()
                for on, _, _, net in people[key].bought
                if day < on <= day + UPLIFT
            )
        )
    treated, held = rate(won[False], size[False]), rate(won[True], size[True])
    uplift = treated - held if treated is not None and held is not None else None
    error = None
    if uplift is not None:
        pooled = (won[False] + won[True]) / (size[False] + size[True])
        error = sqrt(pooled * (1 - pooled) * (1 / size[False] + 1 / size[True]))
    extra = money[False] - size[False] * money[True] / size[True] if uplift is not None else None
    return {
        "treated_customers": size[False],
        "treated_buyers": won[False],
        "treated_buying_rate": treated,
        "control_customers": size[True],
        "control_buyers": won[True],
        "control_buying_rate": held,
        "uplift": uplift,
        "extra_buyers": None if uplift is None else uplift * size[False],
        "uplift_z": uplift / error if error else None,
        "extra_net_amount": extra,
        "marketing_roi": (extra - float(cost)) / float(cost) if extra is not None and cost else None,
    }  # fmt: skip


KEYS = {
    "campaign_performance": ["campaign_id"],
    "campaign_segments": ["campaign_id", "dimension", "value"],
}
