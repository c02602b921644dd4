"""RFM, the slow way: one day at a time, one customer at a time, plain comparisons. Shares no code with the models."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pandas as pd

MEASURES = ("recency", "frequency", "monetary")
# METRICS 6.2, by heart: the last value of each band and the scores of the bands in their order.
BANDS = {
    ("fixed", "recency"): ((30, 90, None), (3, 2, 1)),
    ("fixed", "frequency"): ((1, 4, None), (1, 2, 3)),
    ("fixed", "monetary"): ((100, 1000, None), (1, 2, 3)),
    ("custom", "recency"): ((7, 30, 90, 180, None), (5, 4, 3, 2, 1)),
    ("custom", "frequency"): ((1, 2, 4, 9, None), (1, 2, 3, 4, 5)),
    ("custom", "monetary"): ((100, 300, 1000, 3000, None), (1, 2, 3, 4, 5)),
}
BREAKPOINTS = [
    {"scheme": scheme, "brand_id": "*", "measure": measure, "score": score, "above": above, "up_to": up_to}
    for (scheme, measure), (ends, scores) in BANDS.items()
    for above, up_to, score in zip((None, *ends), ends, scores, strict=False)
]  # fmt: skip
# What is high of recency, frequency and money: the class in both languages.
CLASSES = {
    "111": ("重要价值客户", "Important value"),
    "011": ("重要保持客户", "Important retention"),
    "101": ("重要发展客户", "Important development"),
    "001": ("重要挽留客户", "Important win-back"),
    "110": ("一般价值客户", "General value"),
    "100": ("一般发展客户", "General development"),
    "010": ("一般保持客户", "General retention"),
    "000": ("一般挽留客户", "General win-back"),
}


def observation_dates(
    first_purchase: dt.date, as_of: dt.date, history_months: int
) -> list[dt.date]:
    """Month ends from the first purchase on, at most `history_months` whole months back, and the as-of date."""
    days, year, month = {as_of}, as_of.year, as_of.month
    for _ in range(history_months + 1):
        last = dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)
        if first_purchase <= last <= as_of:
            days.add(last)
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return sorted(days)


def raw_values(
    orders: pd.DataFrame, refunds: pd.DataFrame, domains: dict[str, str], day: dt.date, window: int
) -> dict[tuple[str, str, int], tuple[int, int, Decimal]]:
    """(brand, scope, customer) -> (days since last purchase, orders, money), all as known at the end of `day`."""
    start = day - dt.timedelta(days=window)
    back: dict[tuple[str, str], Decimal] = {}
    unlinked: dict[tuple[str, int], Decimal] = {}
    for r in refunds.itertuples():
        if r.refunded_on > day:
            continue
        if r.is_linked:
            key = (r.source_system, r.order_id)
            back[key] = back.get(key, Decimal(0)) + r.refund_amount
        elif r.refunded_on > start:
            key = (r.brand_id, r.customer_key)
            unlinked[key] = unlinked.get(key, Decimal(0)) + r.refund_amount
    found: dict[tuple[str, str, int], list[tuple[dt.date, Decimal]]] = {}
    for o in orders.itertuples():
        returned = back.get((o.source_system, o.order_id), Decimal(0))
        if (
            o.customer_key is None
            or o.status not in ("paid", "shipped", "completed")
            or o.paid_amount <= 0
            or not start < o.purchased_on <= day
            or returned >= o.paid_amount
        ):
            continue
        scopes = ["all"]
        domain = domains.get(o.channel)
        if domain:
            scopes += ["offline" if domain == "offline" else "online", f"platform:{o.channel}"]
        for scope in scopes:
            found.setdefault((o.brand_id, scope, o.customer_key), []).append(
                (o.purchased_on, o.paid_amount - returned)
            )
    result = {}
    for (brand, scope, customer), bought in found.items():
        money = sum((amount for _, amount in bought), Decimal(0))
        if scope == "all":
            money -= unlinked.get((brand, customer), Decimal(0))
        last = max(on for on, _ in bought)
        result[brand, scope, customer] = ((day - last).days, len(bought), money)
    return result


def score(
    value, peers: list, measure: str, scheme: str, breakpoints: list[dict], brand: str
) -> int:
    """Score of one value among its sorted peers. It counts the worse peers, so equal values score equally."""
    if scheme == "quintile":
        worse = (
            len(peers) - bisect_right(peers, value)
            if measure == "recency"
            else bisect_left(peers, value)
        )
        return 1 if len(peers) == 1 else min(5, 1 + (5 * worse) // (len(peers) - 1))
    rows = [b for b in breakpoints if b["scheme"] == scheme and b["measure"] == measure]
    own = [b for b in rows if b["brand_id"] == brand]
    for b in own or [b for b in rows if b["brand_id"] == "*"]:
        above = b["above"] is None or value > b["above"]
        up_to = b["up_to"] is None or value <= b["up_to"]
        if above and up_to:
            return b["score"]
    raise AssertionError(f"no {measure} breakpoint holds {value}")


def rfm(
    orders: pd.DataFrame,
    refunds: pd.DataFrame,
    domains: dict[str, str],
    breakpoints: list[dict],
    scheme: str,
    days: list[dt.date],
    window: int = 365,
) -> dict[tuple, tuple]:
    """(day, brand, scope, customer) -> (recency, frequency, money, r, f, m, code)."""
    result = {}
    for day in days:
        values = raw_values(orders, refunds, domains, day, window)
        for brand, scope in {key[:2] for key in values}:
            people = {key: v for key, v in values.items() if key[:2] == (brand, scope)}
            columns = [sorted(c) for c in zip(*people.values(), strict=True)]
            scores_of = [
                {
                    v: score(v, columns[i], measure, scheme, breakpoints, brand)
                    for v in set(columns[i])
                }
                for i, measure in enumerate(MEASURES)
            ]
            scores = {k: [scores_of[i][v[i]] for i in range(3)] for k, v in people.items()}
            means = [Fraction(sum(s[i] for s in scores.values()), len(scores)) for i in range(3)]
            for key, s in scores.items():
                code = "".join("1" if s[i] >= means[i] else "0" for i in range(3))
                result[(day, *key)] = (*people[key], *s, code)
    return result


def segments(answer: dict[tuple, tuple]) -> dict[tuple, tuple]:
    """(day, brand, scope, code) -> (customers, orders, money), of the codes that somebody has."""
    return _summed(((*key[:3], row[6]), row) for key, row in answer.items())


def cross(answer: dict[tuple, tuple]) -> dict[tuple, tuple]:
    """(day, brand, scope, grid, row value, column value) -> (customers, orders, money)."""
    cells = []
    for (day, brand, scope, customer), row in answer.items():
        _, _, _, r, f, m, _ = row
        for grid, one, other in (("r_f", r, f), ("r_m", r, m), ("f_m", f, m)):
            cells.append(((day, brand, scope, grid, str(one), str(other)), row))
        if scope == "all":
            codes = [
                answer.get((day, brand, domain, customer), ("none",))[-1]
                for domain in ("online", "offline")
            ]
            cells.append(((day, brand, scope, "online_offline", *codes), row))
    return _summed(cells)


def _summed(cells) -> dict[tuple, tuple]:
    people, orders, money = Counter(), Counter(), {}
    for cell, row in cells:
        people[cell] += 1
        orders[cell] += row[1]
        money[cell] = money.get(cell, Decimal(0)) + row[2]
    return {cell: (people[cell], orders[cell], money[cell]) for cell in people}


def migration(answer: dict[tuple, tuple]) -> dict[tuple, tuple]:
    """(brand, scope, period, from day, to day, from code, to code) -> (customers, who bought in between): between
    neighbouring month ends, month ends three months apart, and the last month end and an as-of date within a month."""
    by_day: dict[dt.date, dict[tuple, tuple]] = {}
    for (day, *key), row in answer.items():
        by_day.setdefault(day, {})[tuple(key)] = row
    people, buyers = Counter(), Counter()
    for start in by_day:
        for end in by_day:
            months = 12 * (end.year - start.year) + end.month - start.month
            if not _is_month_end(start) or months not in (1, 3):
                continue
            if not _is_month_end(end):
                period = "month_to_date" if months == 1 else None
            else:
                period = "month" if months == 1 else "quarter"
            if period is None:
                continue
            before, after = by_day[start], by_day[end]
            for key in before.keys() | after.keys():
                brand, scope, _ = key
                codes = [side[key][6] if key in side else "none" for side in (before, after)]
                move = (brand, scope, period, start, end, *codes)
                people[move] += 1
                buyers[move] += key in after and after[key][0] < (end - start).days
    return {move: (people[move], buyers[move]) for move in people}


def _is_month_end(day: dt.date) -> bool:
    return (day + dt.timedelta(days=1)).day == 1
