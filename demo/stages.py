"""Planted truth of the stages: AIPL (`databank`) and lifecycle, day by day, in plain Python.

This is the slow reading of METRICS.md section 0 (points 1, 3 to 7 and 10): for one person and one
brand, walk every day and ask each rule. It shares no code with the warehouse, and it looks at the
clean events from before any fault was planted.

Days are day numbers of the world. Facts come as plain lists, sorted by time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

AWARE = {
    "ad_impression",
    "ad_click",
    "content_view",
    "live_watch",
    "search_category",
    "store_view",
    "product_view",
    "store_visit",
}
INTERESTED = {
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
}
VIEWS = {"product_view", "store_view"}
PROSPECTIVE = {"register", "cart_add", "favorite"}
STARTS = {"follow": "follow", "wecom_add": "wecom", "group_join": "group", "join": "member"}
ENDS = {"unfollow": "follow", "wecom_delete": "wecom", "group_leave": "group", "quit": "member"}
CYCLE_DAYS = 90


@dataclass
class Facts:
    """What one person did with one brand.

    events: (time in seconds, event type, value or None).
    relations: (time in seconds, `follow`, ... or `join`/`quit`, which one: channel, staff, group).
    orders: (purchase day, amount, [(refund day, refund amount), ...]) of orders whose final status
    is paid, shipped or completed and whose amount is above zero; amounts in cents.
    """

    events: list[tuple[int, str, int | None]] = field(default_factory=list)
    relations: list[tuple[int, str, object]] = field(default_factory=list)
    orders: list[tuple[int, int, list[tuple[int, int]]]] = field(default_factory=list)

    def first_day(self, seconds_per_day: int = 86_400) -> int:
        """The first day with anything at all."""
        days = [t // seconds_per_day for t, *_ in self.events]
        days += [t // seconds_per_day for t, *_ in self.relations]
        days += [day for day, *_ in self.orders]
        return min(days)


def days_of(facts: Facts, wanted: set[str]) -> list[int]:
    """Distinct days with an event of the wanted types, sorted."""
    return sorted({t // 86_400 for t, event, _ in facts.events if event in wanted})


def days_in_window(days: list[int], day: int, window: int) -> int:
    """How many of the sorted days lie in `day - window < x <= day`."""
    return bisect_right(days, day) - bisect_right(days, day - window)


def live_spells(facts: Facts) -> list[tuple[int, int | None]]:
    """Day spells [first, past) in which some relationship is live at the end of the day."""
    by_one: dict[tuple[str, object], list[tuple[int, bool]]] = {}
    for t, event, which in sorted(facts.relations, key=lambda row: row[0]):
        kind = STARTS.get(event) or ENDS[event]
        by_one.setdefault((kind, which), []).append((t // 86_400, event in STARTS))
    spells: list[tuple[int, int | None]] = []
    for changes in by_one.values():
        at_end_of_day = dict(changes)  # the last change of a day decides it
        since = None
        for day, live in sorted(at_end_of_day.items()):
            if live and since is None:
                since = day
            if not live and since is not None:
                spells.append((since, day))
                since = None
        if since is not None:
            spells.append((since, None))
    return spells


def is_live(spells: list[tuple[int, int | None]], day: int) -> bool:
    """Whether any spell holds on a day."""
    return any(first <= day and (past is None or day < past) for first, past in spells)


def purchase_days(facts: Facts, day: int) -> list[int]:
    """Distinct days up to `day` with a purchase that is valid on that day, sorted."""
    out = set()
    for bought, amount, refunds in facts.orders:
        if bought > day:
            continue
        back = sum(money for when, money in refunds if when <= day)
        if back < amount:
            out.add(bought)
    return sorted(out)


def aipl(facts: Facts, days: range) -> list[str]:
    """AIPL stage on each day: `A`, `I`, `P`, `L` or `none`."""
    aware, interested = days_of(facts, AWARE), days_of(facts, INTERESTED)
    views = days_of(facts, VIEWS)
    praised = sorted(
        {t // 86_400 for t, event, value in facts.events if event == "review" and value >= 4}
    )
    live = live_spells(facts)
    out = []
    for day in days:
        bought = purchase_days(facts, day)
        has_bought = days_in_window(bought, day, 910) > 0
        praises = has_bought and days_in_window(praised, day, 365) > 0
        if praises or days_in_window(bought, day, 365) >= 2:
            stage = "L"
        elif has_bought:
            stage = "P"
        elif (
            days_in_window(interested, day, 15) > 0
            or days_in_window(views, day, 15) >= 2
            or is_live(live, day)
        ):
            stage = "I"
        elif days_in_window(aware, day, 15) > 0:
            stage = "A"
        else:
            stage = "none"
        out.append(stage)
    return out


def lifecycle(facts: Facts, days: range) -> list[str]:
    """Lifecycle stage on each day: `suspect` up to `loyal`, or `none`."""
    touched = sorted({t // 86_400 for t, *_ in facts.events})
    hopeful = days_of(facts, PROSPECTIVE)
    live = live_spells(facts)
    out = []
    for day in days:
        bought = purchase_days(facts, day)
        close = len(bought) >= 2 and bought[-1] - bought[-2] <= CYCLE_DAYS
        if close and day - bought[-1] <= CYCLE_DAYS and days_in_window(bought, day, 365) >= 2:
            stage = "loyal"
        elif len(bought) >= 2:
            stage = "repeat"
        elif bought:
            stage = "single"
        elif is_live(live, day) or (hopeful and hopeful[0] <= day):
            stage = "prospect"
        elif touched and touched[0] <= day:
            stage = "suspect"
        else:
            stage = "none"
        out.append(stage)
    return out


def spells_of(stages: list[str], first: int) -> list[tuple[str, int, int, bool]]:
    """Runs of equal stages as (stage, from, to, still open at the end); `none` leaves a gap."""
    out = []
    since = 0
    for at in range(1, len(stages) + 1):
        if at == len(stages) or stages[at] != stages[since]:
            if stages[since] != "none":
                out.append((stages[since], first + since, first + at, at == len(stages)))
            since = at
    return out
