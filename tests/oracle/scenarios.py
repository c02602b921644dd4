"""Member tiers and the five scenarios of STAR, read slowly from METRICS section 5.4 and docs/star.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta

from tests.oracle import star
from tests.oracle.star import DAY, INTERACTIONS, Customer, Facts, Period, owned, rate

Figure = tuple  # (numerator, denominator)
DEEP = {"R3", "R4", "R5"}


def tiers(facts: Facts, ask: Callable[[str], list[tuple]]) -> dict[tuple, dict]:
    """{(brand, month, tier before, tier at the end): columns} of star_member_tiers."""
    ranks = {
        (b, t): r for b, t, r in ask("select brand_id, tier, tier_rank from reference.member_tiers")
    }
    # (brand, customer) -> cards -> [(moment, event, tier)]
    cards = defaultdict(lambda: defaultdict(list))
    for brand, key, member, at, event, tier in ask(
        "select m.brand_id, map.customer_key, m.member_key, m.occurred_at, m.membership_event, m.tier"
        " from staging.stg_landing__memberships m"
        " join identity.int_identity__customer_map map on m.member_key = map.identifier_key"
        " where not map.is_anonymous_visitor"
    ):
        cards[brand, key][member].append((at, event, tier))

    def rank(brand: str, tier: str) -> int:
        return ranks.get((brand, tier), ranks.get(("*", tier), 0))

    def standing(brand: str, key: int, day: date) -> str:
        """The best tier of the live cards of a day; a tier lasts until the next one is said or the card is given back."""
        found = []
        for events in cards[brand, key].values():
            live, tier = False, None
            for at, event, said in sorted(events, key=lambda e: (e[0], e[1] == "quit", e[2] or "")):
                if at.date() > day:
                    break
                if event == "join" and not live:
                    live, tier = True, None
                if event == "quit":
                    live = False
                elif live and said:
                    tier = said
            if live:
                found.append(tier or "unknown")
        return max(found, key=lambda t: (rank(brand, t), t != "unknown", t), default="none")

    out: dict[tuple, dict] = {}
    for period in star.periods(facts):
        if period.kind != "month":
            continue
        cells: dict[tuple, int] = defaultdict(int)
        for brand, key in list(cards):
            if brand == period.brand:
                cells[standing(brand, key, period.before), standing(brand, key, period.last)] += 1
        for (a, b), n in cells.items():
            if (a, b) == ("none", "none"):
                continue
            base = None if a == "none" else sum(m for (x, _), m in cells.items() if x == a)
            before, after = rank(period.brand, a), rank(period.brand, b)
            direction = (
                "joined" if a == "none"
                else "quit" if b == "none"
                else "stayed" if a == b
                else "unranked" if not before or not after
                else "upgrade" if after > before
                else "downgrade"
            )  # fmt: skip
            out[period.brand, period.name, a, b] = {
                "from_date": period.before,
                "to_date": period.last,
                "direction": direction,
                "to_tier_rank": None if b == "none" else after,
                "members": n,
                "from_members": base,
                "move_rate": rate(n, base),
            }
    return out


def figures(
    facts: Facts,
    ask: Callable[[str], list[tuple]],
    again_days: int = 90,
    seen: dict | None = None,
    warm_up: int = 14,
    baseline: int = 28,
) -> dict[tuple, Figure]:
    """{(brand, scenario, period kind, period, measure): (numerator, denominator)}; a numerator of None cannot be seen yet."""
    out: dict[tuple, Figure] = {}
    seen = seen or star.answers(facts)
    moves = tiers(facts, ask)
    products = star.products(facts, again_days)
    campaigns = {
        c: row for c, *row in ask("select campaign_id, brand_id, scenario, starts_on from staging.stg_landing__campaigns")
    }  # fmt: skip
    costs = ask(
        "select campaign_id, spent_on, impressions, clicks, cost_amount from staging.stg_landing__campaign_costs"
    )
    clv = {(b, c): v for b, c, v in ask("select brand_id, customer_id, clv from marts.clv_customers")}  # fmt: skip
    names = dict(ask("select customer_key, customer_id from identity.int_identity__customer_map"))
    messages = ask(
        "select m.campaign_id, o.customer_key, m.sent_on, cast(m.delivered_at as date), cast(m.clicked_at as date)"
        f" from staging.stg_landing__messages m {owned('m', 'identifier_key', 'sent_at')}"
        " where not o.is_anonymous_visitor and (m.campaign_id, o.customer_key) not in (select h.campaign_id, p.customer_key"
        f" from staging.stg_landing__messages h {owned('h', 'identifier_key', 'sent_at', 'p')}"
        " where h.is_control and h.campaign_id is not null)"
    )
    classes = defaultdict(dict)
    for brand, customer, day, code in ask(
        "select brand_id, customer_id, as_of_date, rfm_code from marts.rfm_customers where scope = 'all'"
    ):
        classes[brand, day][customer] = code
    for period in star.periods(facts):
        people = facts.customers.get(period.brand, {})
        if period.kind == "month":
            found = {
                "acquisition": _acquisition(period, people, facts, seen, campaigns, costs),
                "membership": _membership(period, people, facts, seen, moves, campaigns, messages, clv, names, ask),
                "product": _product(period, people, facts, products, campaigns, costs),
                "growth": _growth(period, facts, seen),
            }  # fmt: skip
        elif period.kind == "promotion":
            found = {
                "promotion": _promotion(period, people, facts, seen, classes, names, warm_up, baseline)
            }  # fmt: skip
        else:
            continue
        for scenario, measures in found.items():
            for measure, figure in measures.items():
                out[(period.brand, scenario, period.kind, period.name, measure)] = figure
    return out


def month_end(period: Period) -> date:
    return (period.first.replace(day=1) + timedelta(32)).replace(day=1) - DAY


def _new(period: Period, people: dict[int, Customer]) -> dict[int, tuple[Customer, date]]:
    """New people: first met in the period; those of them in 5R at its end are the new 5R people."""
    found = {}
    for key, c in people.items():
        first = c.first_met()
        if first and period.first <= first and c.met(period.first, period.last):
            found[key] = (c, first)
    return found


def _in_5r(new: dict, period: Period) -> list[Customer]:
    return [c for c, _ in new.values() if c.layer(period.last) != "none"]


def _first_purchase(c: Customer) -> date | None:
    return min((o["from"] for o in c.orders if o["valid"]), default=None)


def _acquisition(period, people, facts, seen, campaigns, costs) -> dict[str, Figure]:
    new = _new(period, people)
    layered = _in_5r(new, period)
    stock = sum(c.layer(period.last) != "none" for c in people.values())
    end = month_end(period)

    def within(days: int, holds) -> Figure:
        if end + timedelta(days) > facts.as_of:
            return None, None
        return sum(holds(c, first, first + timedelta(days)) for c, first in new.values()), len(new)

    def interacts(c, first, until):
        return any(t[1] in INTERACTIONS and first <= t[0].date() <= until for t in c.touches)

    def sinks(c, first, until):
        return any(start <= until and (stop is None or stop > first) for start, stop in c.reach)

    def orders(c, first, until):
        return any(o["valid"] and first <= o["from"] <= until for o in c.orders)

    spent = [
        x[4]
        for x in costs
        if campaigns.get(x[0], [])[:2] == [period.brand, "acquisition"]
        and period.first <= x[1] <= min(end, facts.as_of)
    ]
    buyers = sum(
        first is not None and period.first <= first <= period.last
        for first in (_first_purchase(c) for c in people.values())
    )
    first_money, first_orders = 0, 0
    for c, met in new.values():
        days = [
            o["from"] for o in c.orders if o["valid"] and met <= o["from"] <= met + timedelta(30)
        ]
        if days:
            first_orders += 1
            first_money += sum(o["net"] for o in c.orders if o["valid"] and o["from"] == min(days))
    seen_30d = end + timedelta(30) <= facts.as_of
    flows = seen["star_flows"].get((*period.key, "none", "R3"), {"customers": 0})
    outside = sum(
        c.layer(period.before) == "none" and bool(c.met(period.first, period.last))
        for c in people.values()
    )
    return {
        "new_people": (len(layered), None),
        "acquisition_cost_per_customer": (sum(spent) if spent else None, buyers),
        "sink_rate_7d": within(7, sinks),
        "new_share": (len(layered), stock),
        "new_deep_share": (sum(c.layer(period.last) in DEEP for c in layered), len(layered)),
        "interaction_rate_7d": within(7, interacts),
        "interaction_rate_30d": within(30, interacts),
        "outside_to_r3_rate": (flows["customers"], outside),
        "first_order_rate_30d": within(30, orders),
        "value_90d_to_cost": (
            sum(
                o["net"]
                for c, met in new.values()
                for o in c.orders
                if o["valid"] and met <= o["from"] <= met + timedelta(90)
            )
            if end + timedelta(90) <= facts.as_of
            else None,
            sum(spent) if spent else None,
        ),
        "first_order_amount": (first_money if seen_30d else None, first_orders),
    }


def _membership(
    period, people, facts, seen, moves, campaigns, messages, clv, names, ask
) -> dict[str, Figure]:
    def is_member(c, day):
        return c.has({"member"}, day)

    members = {k: c for k, c in people.items() if is_member(c, period.last)}
    asset = seen["star_assets"][(*period.key, "member")]
    rows = {k[2:]: v for k, v in moves.items() if k[:2] == (period.brand, period.name)}
    top = max(
        (r for b, r in ask("select brand_id, tier_rank from reference.member_tiers") if b in ("*", period.brand)),
    )  # fmt: skip
    held = sum(v["members"] for (_, b), v in rows.items() if b != "none")
    before = sum(v["members"] for (a, _), v in rows.items() if a != "none")
    # T of FAST, which tests/oracle/stages.py checks.
    active = ask(
        "select thriving_active, thriving_base from marts.fast_periods"
        f" where brand_id = '{period.brand}' and period_kind = 'month' and period_id = '{period.name}'"
    )[0]
    outside = [
        c for c in people.values()
        if c.layer(period.before) != "none" and not is_member(c, period.before)
    ]  # fmt: skip
    span = [period.first + n * DAY for n in range((period.last - period.first).days + 1)]
    joined = sum(
        any(is_member(c, day) for day in span)
        for c in outside
        if any(kind == "member" for kind, *_ in c.relationships)
    )

    def did(c, kind):
        return any(t[1] == kind and period.first <= t[0].date() <= period.last for t in c.touches)

    everyone = seen["star_activating"][(*period.key, "all")]
    known = [
        (key, c, o) for key, c in people.items() for o in c.valid_orders(period.first, period.last)
    ]
    nobody = Customer(orders=facts.anonymous.get(period.brand, []))
    everything = [o for *_, o in known] + nobody.valid_orders(period.first, period.last)
    theirs = [(key, o) for key, c, o in known if is_member(c, o["from"])]
    buyers = {key for key, _ in theirs}
    days = {key: {o["from"] for k, o in theirs if k == key} for key in buyers}
    values = [clv.get((period.brand, names[k])) or 0 for k in members]
    # Campaigns that began in the month, a person once in each.
    delivered, clicked = set(), set()
    for campaign, key, _, arrived, click in messages:
        brand, scenario, starts = campaigns.get(campaign, (None, None, None))
        if (brand, scenario) == (
            period.brand,
            "membership",
        ) and period.first <= starts <= period.last:
            if arrived and arrived <= facts.as_of:
                delivered.add((campaign, key))
            if click and click <= facts.as_of:
                clicked.add((campaign, key))
    return {
        "members": (asset["customers"], None),
        "new_members": (asset["entered"], None),
        "join_rate": (joined, len(outside)),
        "top_tier_share": (sum(v["members"] for v in rows.values() if v["to_tier_rank"] == top), held),
        "upgrade_rate": (sum(v["members"] for v in rows.values() if v["direction"] == "upgrade"), before),
        "downgrade_rate": (sum(v["members"] for v in rows.values() if v["direction"] == "downgrade"), before),
        "member_active_rate": active,
        "points_use_rate": (
            sum(did(c, "points_redeem") for c in people.values()),
            sum(did(c, "points_earn") for c in people.values()),
        ),
        "benefit_use_rate": (everyone["benefit_using_customers"], everyone["benefit_customers"]),
        "group_active_rate": (everyone["group_active_members"], everyone["group_members"]),
        "member_gmv_share": (sum(o["paid"] for _, o in theirs), sum(o["paid"] for o in everything)),
        "member_repurchase_rate": (sum(len(d) >= 2 for d in days.values()), len(buyers)),
        "member_clv": (sum(values), len(members)) if period.last == facts.as_of else (None, None),
        "campaign_response_rate": (len(clicked), len(delivered)),
    }  # fmt: skip


def _product(period, people, facts, products, campaigns, costs) -> dict[str, Figure]:
    row = products.get((period.brand, period.first.replace(day=1), "all"))
    claims = uses = 0
    for c in people.values():
        kinds = {t[1] for t in c.touches if period.first <= t[0].date() <= period.last}
        claims += "coupon_claim" in kinds
        uses += {"coupon_claim", "coupon_use"} <= kinds
    shown = [
        x for x in costs
        if campaigns.get(x[0], [])[:2] == [period.brand, "product"] and period.first <= x[1] <= period.last
    ]  # fmt: skip
    found = {
        "coupon_use_rate": (uses, claims),
        "content_click_rate": (sum(x[3] for x in shown), sum(x[2] for x in shown)) if shown else (None, None),
    }  # fmt: skip
    if row:
        found |= {
            "product_viewers": (row["viewers"], None),
            "new_buyer_share": (row["new_buyers"], row["buyers"]),
            "view_to_cart_rate": (row["viewers_who_carted"], row["viewers"]),
            "cart_to_pay_rate": (row["viewers_who_carted_and_bought"], row["viewers_who_carted"]),
            "product_amount": (row["line_amount"], None),
            "view_to_pay_rate": (row["viewers_who_carted_and_bought"], row["viewers"]),
            "attach_rate": (row["attached_orders"], row["order_count"]),
            "product_repurchase_rate": (row["repurchasing_buyers"], row["buyers"]),
            "mean_rating": (row["mean_rating"] and row["mean_rating"] * row["rated_reviews"], row["rated_reviews"]),
        }  # fmt: skip
    return found


def _growth(period, facts, seen) -> dict[str, Figure]:
    triangle = seen["star_triangulating"].get((*period.key, "all"))
    flows = {k[3:]: v["customers"] for k, v in seen["star_flows"].items() if k[:3] == period.key}
    end = sum(n for (_, b), n in flows.items() if b != "none")
    start = sum(n for (a, _), n in flows.items() if a != "none")
    reach = seen["star_assets"][(*period.key, "reachable")]
    moved = seen["star_activating"][(*period.key, "all")]
    money = seen["star_returning"][(*period.key, "all")]
    return {
        "people_growth": (end, start),
        "reachable_growth": (reach["customers"], reach["customers_before"]),
        "channel_hhi": (triangle and triangle["channel_hhi"], 1),
        "reachable_share": (triangle["reachable_share"] * end if triangle else 0, end),
        "forward_backward_ratio": (moved["forward_customers"], moved["backward_customers"]),
        "gmv": (money["gmv_amount"], None),
        "people": (start, None),
        "buyers_per_person": (money["buyers"], start),
        "orders_per_buyer": (money["order_count"], money["buyers"]),
        "amount_per_order": (money["gmv_amount"], money["order_count"]),
        "referred_buyer_share": (money["referred_buyers"], money["buyers"]),
    }


def _promotion(period, people, facts, seen, classes, names, warm_up, baseline) -> dict[str, Figure]:
    ends = next(
        e for b, n, _, e in facts.promotions if n == period.name and b in ("*", period.brand)
    )
    eve = period.before
    from_day = period.first - timedelta(warm_up)

    def lately(c):
        return {t[1] for t in c.touches if from_day <= t[0].date() <= eve}

    pool = sum(c.layer(eve) == "R3" or "cart_add" in lately(c) for c in people.values())
    warmed = [c for c in people.values() if lately(c)]
    nobody = Customer(orders=facts.anonymous.get(period.brand, []))
    known = {k: c.valid_orders(period.first, period.last) for k, c in people.items()}
    buyers = {k for k, orders in known.items() if orders}
    orders = [o for found in known.values() for o in found] + nobody.valid_orders(
        period.first, period.last
    )
    shallow = sum(people[k].layer(eve) not in ("R4", "R5") for k in buyers)
    days_with_class = [d for b, d in classes if b == period.brand and d < period.first]
    important = None
    if days_with_class:
        coded = classes[period.brand, max(days_with_class)]
        important = sum((coded.get(names[k]) or "000")[2] == "1" for k in buyers)
    before = period.first - timedelta(baseline)
    first_known = facts.first_day[period.brand]
    # Both sides by the orders that are valid at the end of the promotion.
    base = [
        o
        for c in [*people.values(), nobody]
        for o in c.valid_orders(before, period.last)
        if o["from"] <= eve
    ]
    days = (period.last - period.first).days + 1
    gmv = sum(o["paid"] for o in orders)
    discount = sum(o["discount"] for o in orders)
    out = {
        "preheat_pool": (pool if from_day >= first_known else None, None),
        "new_people": (len(_in_5r(_new(period, people), period)), None),
        "new_to_buying_share": (shallow, len(buyers)),
        "important_buyer_share": (important, len(buyers)),
        "warm_up_interaction_rate": (
            sum(bool(lately(c) & INTERACTIONS) for c in warmed) if from_day >= first_known else None,
            len(warmed),
        ),
        "cart_customers": (
            sum(any(t[1] == "cart_add" and period.first <= t[0].date() <= period.last for t in c.touches) for c in people.values()),
            None,
        ),
        "gmv": (gmv, None),
        "daily_gmv_uplift": (
            (float(gmv) / days, float(sum(o["paid"] for o in base)) / baseline) if before >= first_known else (None, None)
        ),
        "coupon_cost_rate": (discount, gmv + discount),
    }  # fmt: skip
    for n in (30, 60):
        until = ends + timedelta(n)
        over = until <= facts.as_of
        kept = sum(
            any(ends < t[0].date() <= until for t in people[k].touches)
            or any(o["valid"] and ends < o["from"] <= until for o in people[k].orders)
            for k in buyers
        )
        back = sum(a for o in orders for on, a in o["refunds"] if on <= until)
        out[f"retained_rate_{n}d"] = (kept, len(buyers)) if over else (None, None)
        out[f"refund_rate_{n}d"] = (back, gmv) if over else (None, None)
    return out


SCENARIO = ["brand_id", "scenario", "period_kind", "period_id", "measure"]
TIERS = ["brand_id", "period_id", "from_tier", "to_tier"]


def answers(
    facts: Facts, ask: Callable[[str], list[tuple]], again_days: int = 90, seen: dict | None = None
) -> dict[str, dict[tuple, dict]]:
    """{table: {key: columns}} of star_scenarios and star_member_tiers; `seen` is what star.answers gave."""
    seed: dict[tuple, tuple] = {}
    for brand, scenario, measure, *row in ask(
        "select brand_id, scenario, measure, unit, direction, target_kind, target, weight, letter, name_zh"
        " from reference.star_scenario_measures"
    ):
        seed[brand, scenario, measure] = tuple(row)
    same_kind = {
        (b, n): name
        for b, n, name in ask("select brand_id, promotion_id, promotion from reference.promotion_calendar")
    }  # fmt: skip
    ends = {(b, n): e for b, n, _, e in facts.promotions}
    found = figures(facts, ask, again_days, seen)
    rows: dict[tuple, dict] = {}
    periods = [p for p in star.periods(facts) if p.kind != "week"]
    asked = {(s, m) for _, s, m in seed}
    for p in periods:
        owner = p.brand if (p.brand, p.name) in ends else "*"
        last = ends[owner, p.name] if p.kind == "promotion" else month_end(p)
        before = (
            [q for q in periods if q.kind == p.kind and q.brand == p.brand and q.first < p.first
             and (p.kind == "month" or same_kind.get((owner, q.name)) == same_kind[owner, p.name])]
        )  # fmt: skip
        previous = max(before, key=lambda q: q.first, default=None)
        for scenario, measure in asked:
            if (scenario == "promotion") != (p.kind == "promotion"):
                continue
            unit, direction, kind, target, weight, letter, name = seed.get(
                (p.brand, scenario, measure), seed.get(("*", scenario, measure))
            )
            figure = found.get((p.brand, scenario, p.kind, p.name, measure))
            value = _value(figure, unit)
            then = previous and _value(
                found.get((p.brand, scenario, p.kind, previous.name, measure)), unit
            )
            change = value / then - 1 if value is not None and then else None
            shown = change if kind == "change" else value
            if value is None:
                verdict = "not observable"
            elif last > facts.as_of:
                verdict = "running"
            elif target is None:
                verdict = "no target"
            elif shown is None:
                verdict = "no comparison"
            else:
                good = shown >= target if direction == "up" else shown <= target
                verdict = "met" if good else "missed"
            top, base = figure or (None, None)
            rows[p.brand, scenario, p.kind, p.name, measure] = {
                "letter": letter,
                "name_zh": name,
                "unit": unit,
                "direction": direction,
                "target_kind": kind,
                "target": target,
                "starts_on": p.first,
                "last_on": p.last,
                # Where there is no figure, nobody or nothing to count is 0 here and NULL there.
                "numerator": ... if value is None else top,
                "denominator": ... if value is None else base,
                "value": value,
                "previous_value": then,
                "change_rate": change,
                "is_complete": last <= facts.as_of,
                "verdict": verdict,
                "weight": float(weight),
            }
    totals: dict[tuple, list] = defaultdict(lambda: [0.0, 0.0])
    for key, row in rows.items():
        if row["verdict"] in ("met", "missed"):
            totals[key[:4]][0] += row["weight"] * (row["verdict"] == "met")
            totals[key[:4]][1] += row["weight"]
    for key, row in rows.items():
        row["scenario_score"] = rate(*totals[key[:4]]) if key[:4] in totals else None
    return {"star_scenarios": rows, "star_member_tiers": tiers(facts, ask)}


def _value(figure: Figure | None, unit: str) -> float | None:
    if figure is None or figure[0] is None:
        return None
    if unit in ("count", "amount"):
        return float(figure[0])
    ratio = rate(figure[0], figure[1])
    return ratio - 1 if unit == "growth" and ratio is not None else ratio


KEYS = {"star_scenarios": SCENARIO, "star_member_tiers": TIERS}
