"""The slow reading of METRICS.md sections 0, 3, 4: stages and FAST, per customer and per day, in plain Python.

Straight from the files of a landing folder. No rule table, no spells, no SQL: for every customer, brand and day each
sentence of METRICS is asked as it stands there. A customer is what `identity_links` tie together, named by the first
of its identifiers in order of type and value; nothing here guards a link (identity has its own oracle).
"""

from __future__ import annotations

import csv
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from statistics import median

from tests.oracle.channels import DOMAINS

SHANGHAI = timezone(timedelta(hours=8))
HORIZONS = (1, 7, 30)
EVER = 10**7

# METRICS 0.7 to 0.10, as written there.
AWARE = [
    "ad_impression",
    "ad_click",
    "content_view",
    "live_watch",
    "search_category",
    "store_view",
    "product_view",
    "store_visit",
]
INTERESTED = [
    "search_brand",
    "favorite",
    "cart_add",
    "interact",
    "share",
    "comment",
    "coupon_claim",
    "coupon_use",
    "points_redeem",
    "sample_claim",
    "message_in",
    "register",
    "login",
]
RESPONDED = [
    "ad_click",
    "content_view",
    "product_view",
    "store_view",
    "store_visit",
    "search_category",
]
RESONATED = [
    "follow",
    "wecom_add",
    "group_join",
    "search_brand",
    "cart_add",
    "favorite",
    "interact",
    "comment",
    "share",
    "coupon_claim",
    "message_in",
]
ASKED = ["search_brand", "favorite", "cart_add", "follow", "comment", "share", "message_in"]
THRIVING = ["cart_add", "favorite", "coupon_claim", "coupon_use", "points_redeem"]
THRIVING_WIDE = [*THRIVING, "interact", "points_earn", "message_in"]
RANKS = {
    "aipl": ["A", "I", "P", "L"],
    "aipl_quick_audience": ["A", "I", "P", "L"],
    "aipl_boyang": ["A", "I", "P", "L"],
    "five_r": ["R1", "R2", "R3", "R4", "R5"],
    "o_5a": ["A1", "A2", "A3", "A4", "A5"],
    "lifecycle": ["suspect", "prospect", "single", "repeat", "loyal"],
}
STARTS = {"follow": "follower", "wecom_add": "wecom", "group_join": "group", "join": "member"}
ENDS = {"unfollow": "follower", "wecom_delete": "wecom", "group_leave": "group", "quit": "member"}


@dataclass
class Customer:
    """What one customer did with one brand; days are ordinals."""

    days: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    touch_days: list[int] = field(default_factory=list)
    relations: list[tuple] = field(default_factory=list)
    # (purchase day, amount, [(refund day, amount)])
    orders: list[tuple[int, Decimal, list]] = field(default_factory=list)
    other_days: list[int] = field(default_factory=list)
    # (time, channel) of touch-points and orders
    met: list[tuple[datetime, str | None]] = field(default_factory=list)

    def finish(self) -> None:
        for days in self.days.values():
            days.sort()
        self.touch_days.sort()
        self.relations.sort()

    def first_day(self) -> int | None:
        """First day with anything that makes a day (a referral that was accepted makes none)."""
        found = self.touch_days + self.other_days + [t[0].toordinal() for t in self.relations]
        found += [day for day, *_ in self.orders] + self.days.get("message", [])
        return min(found, default=None)

    def count(self, behaviour: str, day: int, window: int) -> int:
        """Events with day - window < date <= day."""
        days = self.days.get(behaviour, ())
        return bisect_right(days, day) - bisect_right(days, day - window)

    def any_of(self, behaviours, day: int, window: int) -> bool:
        return any(self.count(b, day, window) for b in behaviours)

    def distinct_days(self, behaviours, day: int, window: int) -> int:
        return len({x for b in behaviours for x in self.days.get(b, ()) if day - window < x <= day})

    def touched(self, day: int, window: int) -> bool:
        return bisect_right(self.touch_days, day) > bisect_right(self.touch_days, day - window)

    def purchase_days(self, day: int) -> list[int]:
        """Distinct days with a purchase that is valid on the day."""
        return sorted(
            {
                bought
                for bought, amount, refunds in self.orders
                if bought <= day and sum(a for on, a in refunds if on <= day) < amount
            }
        )

    def live(self, day: int) -> set[str]:
        """Relationships whose latest event up to the end of the day is a start."""
        last = {}
        for at, is_end, kind, which in self.relations:
            if at.toordinal() <= day:
                last[kind, which] = is_end
        return {kind for (kind, _), is_end in last.items() if not is_end}


def in_cycle(purchases: list[int], day: int, cycle: int = 90) -> bool:
    return (
        len(purchases) >= 2
        and purchases[-1] - purchases[-2] <= cycle
        and day - purchases[-1] <= cycle
    )


def stages_on(c: Customer, day: int) -> tuple[dict[str, str], dict[str, bool]]:
    """Stage in every model on the day (missing = none), and the parts of FAST."""
    bought = c.purchase_days(day)

    def purchases(window: int) -> int:
        return sum(1 for x in bought if day - window < x)

    live = c.live(day)
    praised = c.count("good_review", day, 365) > 0
    found: dict[str, str] = {}

    # 0.7 databank
    if purchases(365) >= 2 or (praised and purchases(910)):
        found["aipl"] = "L"
    elif purchases(910):
        found["aipl"] = "P"
    elif (
        c.any_of(INTERESTED, day, 15)
        or c.distinct_days(["product_view", "store_view"], day, 15) >= 2
        or live
    ):
        found["aipl"] = "I"
    elif c.any_of(AWARE, day, 15):
        found["aipl"] = "A"

    # 0.7 quick audience
    if len(bought) >= 2 or (bought and c.any_of(["good_review", "share", "comment"], day, EVER)):
        found["aipl_quick_audience"] = "L"
    elif bought:
        found["aipl_quick_audience"] = "P"
    elif c.any_of([*INTERESTED, "ad_click", "product_view", "store_view"], day, 15) or live:
        found["aipl_quick_audience"] = "I"
    elif c.any_of(AWARE, day, 15):
        found["aipl_quick_audience"] = "A"

    # 0.7 boyang
    if in_cycle(bought, day):
        found["aipl_boyang"] = "L"
    elif bought:
        found["aipl_boyang"] = "P"
    elif c.any_of(["product_view", "store_view", "content_view", "store_visit"], day, EVER):
        found["aipl_boyang"] = "I"
    elif c.touched(day, EVER):
        found["aipl_boyang"] = "A"

    # 0.8
    reached = c.any_of(["ad_impression", "message", "live_glance"], day, 30)
    if purchases(365) >= 2 or (purchases(365) and (praised or c.count("referral", day, 365))):
        found["five_r"] = "R5"
    elif purchases(365):
        found["five_r"] = "R4"
    elif c.any_of([*RESONATED, "join"], day, 90) or (live and c.touched(day, 180)):
        found["five_r"] = "R3"
    elif c.any_of([*RESPONDED, "live_stay"], day, 30):
        found["five_r"] = "R2"
    elif reached:
        found["five_r"] = "R1"

    # 0.9
    if purchases(365) >= 2 or (purchases(365) and praised):
        found["o_5a"] = "A5"
    elif purchases(365):
        found["o_5a"] = "A4"
    elif c.any_of(ASKED, day, 90) or c.distinct_days(["product_view"], day, 90) >= 2:
        found["o_5a"] = "A3"
    elif c.any_of([b for b in RESPONDED if b != "search_category"] + ["live_stay"], day, 30):
        found["o_5a"] = "A2"
    elif reached:
        found["o_5a"] = "A1"

    # 0.10
    if purchases(365) >= 2 and in_cycle(bought, day):
        found["lifecycle"] = "loyal"
    elif len(bought) >= 2:
        found["lifecycle"] = "repeat"
    elif bought:
        found["lifecycle"] = "single"
    elif live or c.any_of(["register", "cart_add", "favorite"], day, EVER):
        found["lifecycle"] = "prospect"
    elif c.touched(day, EVER):
        found["lifecycle"] = "suspect"

    member = "member" in live
    parts = {
        "active": c.touched(day, 30) or purchases(30) > 0,
        "member": member,
        "super": member or "follower" in live,
        "thriving_30d": member and (c.any_of(THRIVING, day, 30) or purchases(30) > 0),
        "thriving_180d": member and (c.any_of(THRIVING_WIDE, day, 180) or purchases(180) > 0),
    }
    return found, parts


@dataclass
class Answers:
    """spells: {(model, brand, customer): [(stage, first day, day after or None when it reaches the as-of date)]};
    daily: {(model, brand, day): Counter of stages}; flows: {(model, brand, from, to): Counter of stage pairs};
    fast: {(brand, day): {column: value}}; transitions: {(model, brand, customer): [(day, from, to, direction)]};
    moves: {(model, brand, day, stage): Counter of entered, entered_new, exited, exited_lost};
    origins: {(brand, customer): channel}; slices: as fast, {(brand, kind of slice, slice, day): {column: value}};
    standing: {(model, brand, customer): (stage, since, previous stage, leaves on, falls to)}. Days are dates."""

    spells: dict = field(default_factory=dict)
    daily: dict = field(default_factory=lambda: defaultdict(Counter))
    flows: dict = field(default_factory=lambda: defaultdict(Counter))
    fast: dict = field(default_factory=lambda: defaultdict(Counter))
    # {(brand, kind, period): values}
    periods: dict = field(default_factory=lambda: defaultdict(Counter))
    first_day: dict = field(default_factory=dict)
    transitions: dict = field(default_factory=dict)
    moves: dict = field(default_factory=lambda: defaultdict(Counter))
    origins: dict = field(default_factory=dict)
    slices: dict = field(default_factory=lambda: defaultdict(Counter))
    standing: dict = field(default_factory=dict)
    is_whole: bool = True


def answer(
    customers: dict[tuple[str, tuple[str, str]], Customer],
    as_of: date,
    promotions: list[dict] | None = None,
    is_person=lambda customer: True,
    is_whole: bool = True,
) -> Answers:
    """Stages of every customer who is a person; the days of a brand begin with anybody's first activity. `is_whole`:
    also where everybody stands and will fall to, and FAST by where customers came from."""
    answers = Answers(is_whole=is_whole)
    last = as_of.toordinal()
    first = {}
    for (brand, _), c in customers.items():
        c.finish()
        if c.first_day() is not None:
            first[brand] = min(first.get(brand, last), c.first_day())
    answers.first_day = {brand: date.fromordinal(day) for brand, day in first.items()}
    for (brand, person), c in customers.items():
        named = [(at, channel) for at, channel in c.met if channel]
        if named:
            answers.origins[brand, person] = min(named)[1]
        if brand not in first or not is_person(person):
            continue
        stages = {model: [] for model in RANKS}
        parts_by_day = []
        begins = c.first_day() or last
        before = stages_on(
            c, begins - 1
        )  # the same on every day before anything is known of the customer
        for day in range(first[brand], last + 1):
            found, parts = stages_on(c, day) if day >= begins else before
            for model in RANKS:
                stages[model].append(found.get(model))
            parts_by_day.append(parts)
        for model, by_day in stages.items():
            _add_spells(answers, model, brand, person, by_day, first[brand])
            _add_turns(answers, model, brand, person, by_day, first[brand])
            for i, stage in enumerate(by_day):
                day = date.fromordinal(first[brand] + i)
                if stage:
                    answers.daily[model, brand, day][stage] += 1
                for lag in HORIZONS:
                    if i >= lag and (stage or by_day[i - lag]):
                        answers.flows[model, brand, day - timedelta(lag), day][
                            by_day[i - lag] or "none", stage or "none"
                        ] += 1
        channel = answers.origins.get((brand, person), "unknown")
        slices = {
            "acquisition_channel": channel,
            "acquisition_domain": DOMAINS.get(channel, "unknown"),
        }
        for i, parts in enumerate(parts_by_day):
            day = date.fromordinal(first[brand] + i)
            _add_fast(answers.fast[brand, day], stages["aipl"], i, parts)
            for kind, name in slices.items() if is_whole else ():
                _add_fast(answers.slices[brand, kind, name, day], stages["aipl"], i, parts)
        if is_whole:
            _add_standing(answers, brand, person, c, last)
        members = [parts["member"] for parts in parts_by_day]
        for kind, name, start, end in _periods(brand, first[brand], last, promotions or []):
            _add_period(
                answers.periods[brand, kind, name],
                c,
                stages["aipl"],
                members,
                first[brand],
                start,
                min(end, last),
            )
    return answers


def _periods(brand: str, first: int, last: int, promotions: list[dict]):
    """(kind, name, first day, last day) of every period that has begun and touches the days of the brand."""
    for day in range(first, last + 1):
        on = date.fromordinal(day)
        if day == first or on.weekday() == 0:
            monday = day - on.weekday()
            yield "week", date.fromordinal(monday).isoformat(), monday, monday + 6
        if day == first or on.day == 1:
            start = on.replace(day=1)
            end = (start + timedelta(days=32)).replace(day=1).toordinal() - 1
            yield "month", start.isoformat()[:7], start.toordinal(), end
    for row in promotions:
        start, end = (date.fromisoformat(row[k]).toordinal() for k in ("starts_on", "ends_on"))
        if row["brand_id"] in ("*", brand) and start <= last and end >= first:
            yield "promotion", row["promotion_id"], start, end


def _add_period(
    row: Counter, c: Customer, aipl: list, members: list, first: int, start: int, end: int
) -> None:
    """METRICS 0.12, 4.1: the union, advancing from the day before to the end, thriving of the members before."""
    rank = {None: 0, **{s: n for n, s in enumerate(RANKS["aipl"], 1)}}
    there = any(aipl[max(start - first, 0) : end - first + 1])
    before = start - 1 - first
    bought = any(start <= day for day in c.purchase_days(end))
    touched = any(start <= day <= end for day in c.touch_days)
    benefited = bought or any(start <= day <= end for b in THRIVING for day in c.days.get(b, ()))
    from_stage = aipl[before] if before >= 0 else None
    was_member = before >= 0 and members[before]
    row["fertility"] += there
    row["fertility_active"] += there and (touched or bought)
    row["advancing_base"] += from_stage is not None
    row["advancing_deepened"] += (
        from_stage is not None and rank[aipl[end - first]] > rank[from_stage]
    )
    row["superiority"] += members[end - first]
    row["thriving_base"] += was_member
    row["thriving_active"] += was_member and benefited


def _add_spells(answers, model, brand, person, by_day, first_day) -> None:
    spells, start = [], 0
    for i in range(1, len(by_day) + 1):
        if i == len(by_day) or by_day[i] != by_day[start]:
            if by_day[start]:
                spells.append(
                    (
                        by_day[start],
                        date.fromordinal(first_day + start),
                        date.fromordinal(first_day + i) if i < len(by_day) else None,
                    )
                )
            start = i
    if spells:
        answers.spells[model, brand, person] = spells


def _add_turns(answers, model, brand, person, by_day, first_day) -> None:
    """Every day that ends in another stage than the day before it."""
    turns, before = [], None
    for i, stage in enumerate(by_day):
        day = date.fromordinal(first_day + i)
        if stage != before:
            turns.append(
                (
                    day,
                    before or "none",
                    stage or "none",
                    direction(model, before or "none", stage or "none"),
                )
            )
            if stage:
                moves = answers.moves[model, brand, day, stage]
                moves["entered"] += 1
                moves["entered_new"] += before is None
            if before:
                moves = answers.moves[model, brand, day, before]
                moves["exited"] += 1
                moves["exited_lost"] += stage is None
        before = stage
    if turns:
        answers.transitions[model, brand, person] = turns


def _add_standing(answers, brand, person, c: Customer, last: int) -> None:
    """Where the customer stands on the as-of date, and the first change of it if nothing happens from then on."""
    waiting = {}
    for model in RANKS:
        turns = answers.transitions.get((model, brand, person))
        if turns and turns[-1][2] != "none":
            since, before, stage, _ = turns[-1]
            waiting[model] = (stage, since, before)
    # If nothing happens, a stage ends on a day on which something leaves a window; a cycle of 90 days ends the day after.
    known = {day for days in c.days.values() for day in days}
    known |= {*c.touch_days, *(day for day, *_ in c.orders)}
    leaving = {day + window for day in known for window in (15, 30, 90, 91, 180, 365, 910)}
    for day in sorted(day for day in leaving if day > last):
        if not waiting:
            break
        found, _ = stages_on(c, day)
        for model in [m for m, (stage, *_) in waiting.items() if found.get(m) != stage]:
            leaves = (date.fromordinal(day), found.get(model, "none"))
            answers.standing[model, brand, person] = (*waiting.pop(model), *leaves)
    for model, where in waiting.items():
        answers.standing[model, brand, person] = (*where, None, None)


def direction(model: str, before: str, after: str) -> str:
    if before == "none":
        return "new"
    if after == "none":
        return "lost"
    ranks = RANKS[model]
    return "forward" if ranks.index(after) > ranks.index(before) else "backward"


def journeys(answers: Answers, as_of: date) -> dict[tuple[str, str, str], dict]:
    """How long stays in a stage last and how they end, by (model, brand, stage). A stay lasts from the day of its turn to
    the day of the next one, which says how it ended; one that still runs counts today as well."""
    ended, running = defaultdict(list), defaultdict(list)
    for (model, brand, _), turns in answers.transitions.items():
        for (start, _, stage, _), after in zip(turns, [*turns[1:], None], strict=True):
            if stage == "none":
                continue
            if after is None:
                running[model, brand, stage].append((as_of - start).days + 1)
            else:
                ended[model, brand, stage].append((after[3], (after[0] - start).days))
    found = {}
    for key in ended.keys() | running.keys():
        model, _, stage = key
        ways = Counter(way for way, _ in ended[key])
        stays = [days for _, days in ended[key]]
        onward = [days for way, days in ended[key] if way == "forward"]
        found[key] = {
            "stage_rank": RANKS[model].index(stage) + 1,
            "entries": len(ended[key]) + len(running[key]),
            "current_customers": len(running[key]),
            "ended_stays": len(ended[key]),
            "forward_exits": ways["forward"],
            "backward_exits": ways["backward"],
            "lost_exits": ways["lost"],
            "forward_rate": ways["forward"] / len(ended[key]) if ended[key] else None,
            "lost_rate": ways["lost"] / len(ended[key]) if ended[key] else None,
            "median_days_in_stage": median(stays) if stays else None,
            "median_days_to_next": median(onward) if onward else None,
            "median_days_so_far": median(running[key]) if running[key] else None,
        }
    most: dict = {}
    for (model, brand, _), row in found.items():
        leak = (row["lost_exits"], row["stage_rank"])
        most[model, brand] = max(most.get((model, brand), (0, 0)), leak)
    for (model, brand, _), row in found.items():
        leak = (row["lost_exits"], row["stage_rank"])
        row["is_leak_point"] = leak[0] > 0 and leak == most[model, brand]
    return found


def _add_fast(row: Counter, aipl: list, i: int, parts: dict[str, bool]) -> None:
    now = aipl[i]
    before = aipl[i - 7] if i >= 7 else None
    rank = {None: 0, **{s: n for n, s in enumerate(RANKS["aipl"], 1)}}
    deepened = before is not None and rank[now] > rank[before]
    row["fertility"] += now is not None
    row["fertility_active"] += now is not None and parts["active"]
    row["advancing_base"] += before is not None
    row["advancing_deepened"] += deepened
    for stage in "AIP":
        row[f"advancing_base_{stage.lower()}"] += before == stage
        row[f"advancing_deepened_{stage.lower()}"] += deepened and before == stage
    row["superiority"] += parts["member"]
    row["superiority_super"] += parts["super"]
    row["thriving_active_30d"] += parts["thriving_30d"]
    row["thriving_active_180d"] += parts["thriving_180d"]


def spells(customers, as_of: date, judges: dict) -> dict:
    """Spells alone, under other models than those of METRICS: {model: (customer, day) -> stage or None}."""
    answers = Answers()
    last = as_of.toordinal()
    for (brand, person), c in customers.items():
        c.finish()
        start = c.first_day()
        for model, judge in judges.items() if start is not None else ():
            _add_spells(
                answers,
                model,
                brand,
                person,
                [judge(c, day) for day in range(start, last + 1)],
                start,
            )
    return answers.spells


# Reading a landing folder.


def read_landing(
    root: Path, as_of: date, keep=lambda identifier: True
) -> dict[tuple[str, tuple[str, str]], Customer]:
    """Customers by (brand, (identifier type, identifier value)), from rows dated up to the as-of date."""
    customers: dict = defaultdict(Customer)
    names = people(root, as_of)

    def person(row, kind="identifier"):
        if not row.get(f"{kind}_type"):
            return None
        identifier = (str(row[f"{kind}_type"]), str(row[f"{kind}_value"]))
        return names.get(identifier, identifier) if keep(identifier) else None

    def brand(row):
        return row.get("brand_id") or "default"

    for row in rows(root, "touchpoints", ("source_system", "event_id")):
        at, who = _time(row["occurred_at"]), person(row)
        if who is None or at.date() > as_of:
            continue
        c, day, kind = customers[brand(row), who], at.toordinal(), row["event_type"]
        value = None if row.get("value") in (None, "") else Decimal(str(row["value"]))
        c.touch_days.append(day)
        c.met.append((at, row.get("channel")))
        c.days[kind].append(day)
        if kind == "review" and value is not None and value >= 4:
            c.days["good_review"].append(day)
        if kind == "live_watch":
            c.days["live_glance" if value is not None and value < 10 else "live_stay"].append(day)
        if kind in STARTS or kind in ENDS:
            which = {"follower": "channel", "wecom": "staff_id", "group": "content_id"}[
                STARTS.get(kind) or ENDS[kind]
            ]
            c.relations.append(
                (at, kind in ENDS, STARTS.get(kind) or ENDS[kind], row.get(which) or "")
            )
    cards: dict = defaultdict(lambda: defaultdict(list))
    for row in rows(root, "memberships", ("brand_id", "member_id", "event", "occurred_at")):
        at, who = _time(row["occurred_at"]), ("member_id", str(row["member_id"]))
        if not keep(who) or at.date() > as_of:
            continue
        c = customers[brand(row), names.get(who, who)]
        c.other_days.append(at.toordinal())
        if row["event"] == "join":
            c.days["join"].append(at.toordinal())
        if row["event"] in ("join", "quit"):
            c.relations.append((at, row["event"] == "quit", "member", row["member_id"]))
            cards[names.get(who, who)][brand(row), row["member_id"]].append((at, row["event"]))
    refunds = defaultdict(list)
    orders = {
        (r["source_system"], r["order_id"]): r
        for r in rows(root, "orders", ("source_system", "order_id"))
        if _time(r["ordered_at"]).date() <= as_of
    }
    for row in rows(root, "refunds", ("source_system", "refund_id")):
        at = _time(row["refunded_at"])
        if at.date() > as_of:
            continue
        order = orders.get((row["source_system"], row.get("order_id")))
        if order is not None:
            refunds[row["source_system"], row["order_id"]].append(
                (at.toordinal(), Decimal(str(row["amount"])))
            )
        who = person(order) if order is not None and order.get("identifier_type") else person(row)
        if who is not None:
            customers[brand(order if order is not None else row), who].other_days.append(
                at.toordinal()
            )
    for key, row in orders.items():
        who = person(row)
        if who is None:
            continue
        c = customers[brand(row), who]
        c.other_days.append(_time(row["ordered_at"]).toordinal())
        c.met.append((_time(row["ordered_at"]), row.get("channel")))
        bought = _time(row.get("paid_at") or row["ordered_at"])
        amount = Decimal(str(row["amount"]))
        if (
            row["status"] in ("paid", "shipped", "completed")
            and amount > 0
            and bought.date() <= as_of
        ):
            c.orders.append((bought.toordinal(), amount, refunds[key]))
    campaigns = {r["campaign_id"]: r for r in rows(root, "campaigns", ("campaign_id",))}
    for row in rows(root, "messages", ("message_id",)):
        who = person(row)
        if (
            who is not None
            and row.get("delivered_at")
            and _time(row["delivered_at"]).date() <= as_of
        ):
            named = brand(campaigns.get(row.get("campaign_id"), {}))
            customers[named, who].days["message"].append(_time(row["delivered_at"]).toordinal())
    for row in rows(root, "referrals", ("referral_id",)):
        who = person(row, "inviter")
        if who is None or not row.get("accepted_at") or _time(row["invited_at"]).date() > as_of:
            continue
        if who == person(row, "invitee"):  # nobody invites himself
            continue
        accepted, oldest = _time(row["accepted_at"]).date(), []
        for (named, _), events in cards[who].items():
            joined = None
            for at, event in sorted(events):
                if at.date() <= _time(row["invited_at"]).date():
                    joined = (joined or at) if event == "join" else None
            if joined:
                oldest.append((joined, named))
        if accepted <= as_of:
            named = min(oldest)[1] if oldest else "default"
            customers[named, who].days["referral"].append(accepted.toordinal())
    return dict(customers)


def people(root: Path, as_of: date) -> dict[tuple[str, str], tuple[str, str]]:
    """Name of the customer of every linked identifier: the least identifier that links lead to."""
    names: dict = {}
    key = ("source_system", "left_type", "left_value", "right_type", "right_value")
    for row in rows(root, "identity_links", key):
        if row.get("linked_at") and _time(row["linked_at"]).date() > as_of:
            continue
        ends = [(row[f"{side}_type"], row[f"{side}_value"]) for side in ("left", "right")]
        joined = {names.get(end, end) for end in ends}
        names |= {end: end for end in ends if end not in names}
        for identifier, name in list(names.items()):
            if name in joined:
                names[identifier] = min(joined)
    return names


def rows(root: Path, entity: str, key: tuple[str, ...]):
    """Rows of an entity; of rows with one key that of the later batch."""
    found = {}
    for path in sorted((root / entity).rglob("*")) if (root / entity).is_dir() else []:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            found_rows = pq.read_table(path).to_pylist()
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as handle:
                found_rows = [
                    {k: v or None for k, v in row.items()} for row in csv.DictReader(handle)
                ]
        elif path.suffix == ".jsonl":
            found_rows = [
                json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
            ]
        else:
            continue
        for row in found_rows:
            found[tuple(row.get(k) for k in key)] = row
    return list(found.values())


def _time(text) -> datetime:
    """Time in Shanghai without a zone; one without an offset is in it already."""
    at = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
    return at.astimezone(SHANGHAI).replace(tzinfo=None) if at.tzinfo else at
