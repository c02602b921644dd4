"""The rules of tags and audiences: what a wrong one is told, and what a right one means, day by day, on made-up histories."""

from __future__ import annotations

import csv
import random
import shutil
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count, cycle, pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from compiled import PROJECT, Warehouse, compiled

from orchestration import __main__ as command_line
from orchestration import audiences

MODELS = [
    "int_audiences__conditions",
    "int_audiences__reach_spells",
    "int_audiences__cart_spells",
    "int_audiences__customer_spells",
    "int_audiences__moving_spells",
    "int_audiences__condition_spells",
    "int_audiences__tag_spells",
    "int_audiences__spells",
]
CONDITION = "rule_group condition is_not subject name value channel measure min_value max_value window_days days_ago".split()
DAY0 = date(2026, 1, 1)
LAST = 40


# ---------------------------------------------------------------- what a wrong rule is told


@pytest.fixture
def seeds(tmp_path) -> Path:
    return Path(shutil.copytree(PROJECT / "seeds", tmp_path / "seeds"))


def change(seeds: Path, seed: str, line: int, /, **cells: str) -> None:
    """Change cells of a line (1 = the header) of a seed."""
    file = seeds / f"{seed}.csv"
    with file.open(encoding="utf-8", newline="") as opened:
        header, *rows = csv.reader(opened)
    for column, cell in cells.items():
        rows[line - 2][header.index(column)] = cell
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])


def append(seeds: Path, seed: str, /, **cells: str) -> None:
    file = seeds / f"{seed}.csv"
    header = file.read_text(encoding="utf-8").splitlines()[0].split(",")
    with file.open("a", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerow([cells.get(column, "") for column in header])


def test_the_shipped_rules_have_no_error(seeds):
    assert audiences.rule_errors(seeds) == []


@pytest.mark.parametrize(
    ("file", "cells", "column", "says"),
    [
        ("audience_rules", {"window_days": "seven"}, "window_days", "`seven` is no whole number"),
        ("audience_rules", {"window_days": "0"}, "window_days", "from 1"),
        ("audience_rules", {"days_ago": "7"}, "days_ago", "below window_days"),
        ("audience_rules", {"subject": "behavior"}, "subject", "did you mean `behaviour`?"),
        ("audience_rules", {"name": "folow"}, "name", "did you mean `follow`?"),
        ("audience_rules", {"channel": "wechat"}, "channel", "`wechat` is unknown"),
        ("audience_rules", {"channel": "wecom| sms"}, "channel", "no blanks"),
        ("audience_rules", {"channel": "wecom|wecom"}, "channel", "once each"),
        ("audience_rules", {"value": "A"}, "value", "must be empty"),
        ("audience_rules", {"measure": "times"}, "measure", "use events, days, amount"),
        ("audience_rules", {"min_value": "many"}, "min_value", "no number"),
        ("audience_rules", {"min_value": "0"}, "min_value", "is_not"),
        ("audience_rules", {"min_value": "3", "max_value": "2"}, "max_value", "below min_value"),
        ("audience_rules", {"audience": "new_oa_follower"}, "audience", "did you mean"),
        ("audience_rules", {"rule_group": "3"}, "rule_group", "without a gap"),
        ("audience_rules", {"condition": "2"}, "condition", "one number"),
        ("audience_rules", {"is_not": "yes"}, "is_not", "neither true nor false"),
        ("audience_rules", {"subject": "stage", "name": "aipl", "value": "X", "channel": "", "measure": ""}, "value", "use A, I, P, L"),
        ("audience_rules", {"subject": "flow", "name": "aipl", "value": "", "channel": "", "measure": ""}, "value", "needs it"),
        ("audience_rules", {"subject": "audience", "name": "important_at_risk", "channel": "", "measure": ""}, "name", "made of audiences itself"),
        ("audience_rules", {"subject": "score", "name": "clv", "channel": "", "measure": "", "window_days": ""}, "min_value", "how much clv"),
        ("audience_rules", {"subject": "tag", "name": "order_count", "value": "9", "channel": "", "measure": ""}, "value", "use 1, 2-3, 4+"),
        ("tag_rules", {"subject": "tag", "name": "member"}, "subject", "made of facts"),
        ("tag_rules", {"tag_value": ""}, "tag_value", "is empty"),
        ("tag_rules", {"tag_value": "*", "subject": "everyone", "name": "", "measure": "", "min_value": "", "max_value": ""}, "tag_value", "no value"),
        ("tag_definitions", {"on_end": "forget"}, "on_end", "use drop, keep"),
        ("tag_definitions", {"kind": "manual"}, "kind", "has no rules"),
        ("tag_definitions", {"is_multi_valued": "perhaps"}, "is_multi_valued", "unknown"),
        ("audience_definitions", {"hold_out_share": "10%"}, "hold_out_share", "no share"),
        ("audience_definitions", {"brand_id": ""}, "brand_id", "`*` is every brand"),
        ("frequency_caps", {"max_messages": "0"}, "max_messages", "from 1"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
)  # fmt: skip
def test_an_error_names_file_rule_and_column(seeds, file, cells, column, says):
    with (seeds / f"{file}.csv").open(encoding="utf-8", newline="") as opened:
        rule = next(csv.DictReader(opened))
    change(seeds, file, 2, **cells)
    owner = (rule | cells)[next(iter(rule))]
    errors = audiences.rule_errors(seeds)
    assert any(
        error.startswith(f"seeds/{file}.csv line 2 (")
        and f" {owner}" in error
        and f"column {column}: " in error
        and says in error
        for error in errors
    ), errors


def test_negation_alone_and_an_empty_audience_are_errors(seeds):
    append(
        seeds,
        "audience_rules",
        audience="bought_30d",
        rule_group="2",
        condition="1",
        is_not="true",
        subject="everyone",
    )
    append(seeds, "audience_definitions", audience="nobody", brand_id="*", hold_out_share="0")
    append(seeds, "manual_tags", tag="service_notes", identifier_type="phon", valid_from="1.1.2026")
    found = "\n".join(audiences.rule_errors(seeds))
    assert "(audience bought_30d, group 2, condition 1), column is_not: a group needs" in found
    assert "(audience nobody), column audience: has no rule" in found
    for column in ("tag: `service_notes`", "identifier_type: `phon`", "valid_from: `1.1.2026`"):
        assert f"column {column}" in found


def test_a_misnamed_column_is_named(seeds):
    file = seeds / "audience_rules.csv"
    file.write_text(file.read_text("utf-8").replace("window_days", "window", 1), "utf-8")
    assert audiences.rule_errors(seeds) == [
        "seeds/audience_rules.csv: the column window_days is missing",
        "seeds/audience_rules.csv: there is no column window in a rule",
    ]


def test_the_daily_job_and_the_command_stop_on_a_wrong_rule(seeds, monkeypatch, tmp_path):
    change(seeds, "audience_rules", 2, window_days="soon")
    checked = audiences.check_rules
    for place in ("orchestration.__main__", "orchestration.job"):
        monkeypatch.setattr(f"{place}.check_rules", lambda: checked(seeds))
    (tmp_path / "landing" / "orders").mkdir(parents=True)
    for arguments in (
        ["rules"],
        ["run", "--landing", str(tmp_path / "landing"), "--workspace", str(tmp_path / "space")],
    ):
        result = CliRunner().invoke(command_line.main, arguments)
        assert result.exit_code == 1
        assert "column window_days: `soon` is no whole number of days from 1" in result.output
    assert not (tmp_path / "space" / "warehouse.duckdb").exists()
    monkeypatch.undo()
    result = CliRunner().invoke(command_line.main, ["rules"])
    assert result.exit_code == 0 and "no error" in result.output


# ---------------------------------------------------------------- what a right rule means

EVENTS = ["login", "share", "comment", "review", "live_watch"]
# What a behaviour gathers: a review is positive from 4, a live stream is watched from 10 seconds on or when nobody measured.
BEHAVIOURS = {
    "positive_review": lambda kind, value: kind == "review" and (value or 0) >= 4,
    "praise": lambda kind, value: (
        kind in ("share", "comment") or (kind == "review" and (value or 0) >= 4)
    ),
    "live_glance": lambda kind, value: kind == "live_watch" and value is not None and value < 10,
    "live_stay": lambda kind, value: kind == "live_watch" and (value is None or value >= 10),
    "any_touchpoint": lambda kind, value: True,
}
CHANNELS = ["app", "wecom"]
PRODUCTS = ["p1", "p2", "p3"]
LINES = [
    [],
    [("tea", "p1")],
    [("tea", "p1"), ("tea", "p2")],
    [("tea", "p1"), ("rice", "p2")],
    [("rice", "p2"), (None, "p3")],
]
STAGES = {"A": 1, "B": 2, "C": 3}
BRANDS = ["b", "c", "default"]
ANONYMOUS = 9
"""Key of a customer who is not counted."""
OBSERVED = [4, 15, 27, LAST]
"""Days on which customers are classed."""
CYCLES = {
    ("b", "*"): 4.5,
    ("c", "*"): 3.0,
    ("default", "*"): 5.0,
    ("b", "tea"): 5.0,
    ("c", "tea"): 2.5,
    ("b", "rice"): 4.0,
}
"""Days from purchase to purchase by brand and category; of the others none is known."""
FOREVER = 10**6


@dataclass
class Order:
    """From the day of its payment until the day on which it came back in full."""

    first: int
    last: int
    hour: int
    channel: str
    amount: int
    lines: list[tuple]
    ordered_before: int | None
    """Days from the order to the payment; None: the payment has no date of its own."""


class History:
    """What happened to one customer of one brand; days count from DAY0. Answers a rule on a day by looking at the day
    alone."""

    def __init__(self, chance: random.Random) -> None:
        def some(most: int) -> range:
            return range(chance.randint(0, most))

        def day() -> int:
            return chance.randint(0, LAST)

        def hour() -> int:
            return chance.choice([0, 9, 9, 23])

        # Day, hour, what, product.
        self.cart = [
            (day(), hour(), chance.choice(["cart_add", "cart_add", "cart_remove"]), chance.choice(PRODUCTS))
            for _ in some(9)
        ]  # fmt: skip
        # Day, what, channel, value.
        self.events = [
            (day(), chance.choice(EVENTS), chance.choice(CHANNELS), chance.choice([None, 0, 1, 2, 3, 4, 9, 10]))
            for _ in some(14)
        ]  # fmt: skip
        self.orders = []
        for _ in some(5):
            again = self.orders and chance.random() < 0.3
            first = self.orders[-1].first if again else day()
            last = chance.choice([FOREVER, FOREVER, first + chance.randint(0, 20)])
            if last == FOREVER or last <= LAST:
                self.orders.append(
                    Order(first, last, hour(), chance.choice(CHANNELS), chance.choice([5, 10, 20]), chance.choice(LINES), chance.choice([None, 0, 2]))
                )  # fmt: skip
        self.unpaid = [
            (day(), chance.choice(CHANNELS), chance.choice([5, 10, 20])) for _ in some(2)
        ]
        self.relationships = [
            (first, chance.choice([FOREVER, min(first + chance.randint(1, 15), LAST)]), kind, key)
            for first, kind, key in (
                (chance.randint(0, LAST - 1), chance.choice(["follower", "wecom_contact"]), f"k{n}") for n in some(4)
            )
        ]  # fmt: skip
        self.stages = []
        turns = sorted(chance.sample(range(LAST + 10), chance.randint(0, 6)))
        for first, last in pairwise([*turns, FOREVER]):
            stage = chance.choice([*STAGES, None])
            if stage and (not self.stages or self.stages[-1][1:] != (first, stage)):
                self.stages.append((first, last, stage))
        # What staff wrote counts from a day that has come until one that is later.
        written = [
            (first, chance.choice([FOREVER, first + chance.randint(0, 20)]), chance.choice("xy"))
            for first in (chance.randint(0, LAST + 5) for _ in some(3))
        ]
        self.manual = {
            "manual": written,
            "manual_single": list({row[2]: row for row in written}.values()),
        }
        self.consents = []
        for channel in ("sms", "wecom"):
            turns = sorted(chance.sample(range(LAST), 2 * chance.randint(0, 2)))
            spells = list(zip(turns[::2], turns[1::2], strict=True))
            if spells and chance.random() < 0.5:
                spells[-1] = (spells[-1][0], FOREVER)
            self.consents += [(*spell, channel) for spell in spells]
        # Channel, the day of each thing that became of it, and whether it was never sent after all.
        self.messages = [
            (chance.choice(["sms", "email"]), {what: day() + chance.choice([0, 0, 3]) for what in ("sent", "delivered", "opened", "clicked", "unsubscribed") if chance.random() < 0.7}, chance.random() < 0.2)
            for _ in some(6)
        ]  # fmt: skip
        self.classes = {
            (on, scope): chance.choice(["111", "011", "000"])
            for on in OBSERVED
            for scope in ("all", "online")
            if chance.random() < 0.7
        }
        self.purchased = {
            category: sorted(chance.sample(range(10, LAST + 1), chance.randint(0, 5)))
            for category in ("*", "tea", "rice")
        }
        self.scores = chance.choice(
            [
                {},
                {"is_high_value": False, "clv": 12.3457, "p_alive": None},
                {"is_high_value": True, "clv": chance.choice([5.5, 20.0]), "p_alive": 0.5},
            ]
        )
        self.owner = chance.choice([None, "s1", "s2"])

    def stage(self, day: int) -> str | None:
        return next((s for first, last, s in self.stages if first <= day < last), None)

    def first_day(self) -> int | None:
        return min((e[0] for e in [*self.events, *self.cart]), default=None)

    def carts(self, kind: str, product: str, day: int) -> list[int]:
        """Days of the cart_adds of a product that is still in the cart at the end of a day, or was paid since (METRICS
        section 8.5, cart): a removal or a payment at the very moment of the cart_add comes after it. An order of which no
        line is known pays for whatever was ever in the cart."""
        added = [
            (at, hour) for at, hour, what, p in self.cart if (what, p) == ("cart_add", product)
        ]
        payments = [
            o
            for o in self.orders
            if o.first <= day and (not o.lines or product in {p for _, p in o.lines})
        ]
        if kind == "paid":
            before = [
                max((a for a in added if a <= (o.first, o.hour)), default=None)
                for o in payments
                if day < o.last
            ]
            return [last[0] for last in before if last]
        ended = [
            (at, hour) for at, hour, what, p in self.cart if (what, p) == ("cart_remove", product)
        ]
        ended += [(o.first, o.hour) for o in payments]
        return [
            a[0] for a in added if a[0] <= day and not any(a <= e and e[0] <= day for e in ended)
        ]

    def cycle(self, name: str, category: str, brand: str, day: int) -> str | None:
        """Band of a buyer on a day, or the category that is due (METRICS section 8.3: own gaps and three cycles)."""
        until = [at for at in self.purchased[category] if at <= day]
        if not until or (brand, category) not in CYCLES:
            return None
        expected = (until[-1] - until[0] + 3 * CYCLES[brand, category]) / (len(until) - 1 + 3)
        since = day - until[-1]
        if name == "band":
            ratios = (("churned", 3), ("warning", 1.5), ("due", 1))
            return next((band for band, r in ratios if since >= r * max(expected, 1)), "active")
        due, lead = int(expected + 0.5), int(max(3, 0.1 * expected) + 0.5)
        return category if abs(since - due) <= lead else None

    def facts(self, c: dict, day: int, brand: str, spells) -> list[tuple[int, float, str | None]]:
        """What a condition asks about and what is so on a day: since when, how much, of what value."""
        name, subject = c["name"], c["subject"]
        channels = c["channel"].split("|") if c["channel"] else None

        def asked(channel: str) -> bool:
            return channels is None or channel in channels

        if subject == "behaviour":
            counts = BEHAVIOURS.get(name, lambda kind, value: kind == name)
            happened = self.events + [(at, what, "app", None) for at, _, what, _ in self.cart]
            return [
                (at, value or 0 if c["measure"] == "amount" else 1, channel)
                for at, kind, channel, value in happened
                if at <= day and counts(kind, value) and asked(channel)
            ]
        valid = [o for o in self.orders if o.first <= day < o.last]
        if subject == "order" and name == "first_purchase":
            return [(min(o.first for o in valid), 1, None)] if valid else []
        if subject == "order":
            orders = [(o.first, o.channel, o.amount) for o in valid]
            if name == "unpaid":
                orders = [o for o in self.unpaid if o[0] <= day]
            return [
                (at, amount if c["measure"] == "amount" else 1, channel)
                for at, channel, amount in orders
                if asked(channel)
            ]
        if subject == "bought":
            column = 0 if name == "category" else 1
            return [
                (o.first, 1, value)
                for o in valid
                for value in sorted({line[column] for line in o.lines} - {None})
            ]
        if subject == "cart":
            return [(at, 1, p) for p in PRODUCTS for at in self.carts(name, p, day)]
        if subject == "relationship":
            return [
                (first, 1, kind if name == "any" else key)
                for first, last, kind, key in self.relationships
                if first <= day < last and name in (kind, "any")
            ]
        if subject == "stage":
            return [(first, 1, s) for first, last, s in self.stages if first <= day < last]
        if subject == "reachable":
            return [(first, 1, v) for first, last, v in self.consents if first <= day < last]
        if subject == "message":
            return [
                (days[name], 1, None)
                for channel, days, is_void in self.messages
                if not is_void and asked(channel) and days.get(name, FOREVER) <= min(day, LAST)
            ]
        if subject == "rfm":
            last = max((on for on in OBSERVED if on <= day), default=None)
            code = self.classes.get((last, name))
            return [(last, 1, code)] if code else []
        if subject == "cycle":
            categories = ["*"] if name == "band" else ["tea", "rice"]
            found = [self.cycle(name, category, brand, day) for category in categories]
            return [(day, 1, value) for value in found if value]
        if subject == "score":
            score = self.scores.get(name)
            return [(LAST, score, None)] if score is not None and day >= LAST else []
        if subject == "owner":
            return [(LAST, 1, self.owner)] if self.owner and day >= LAST else []
        return [
            (first, 1, value) for first, last, value in spells(subject, name) if first <= day < last
        ]

    def holds(self, c: dict, day: int, brand: str, spells, of_value: str | None = None) -> bool:
        """A condition on a day; `spells` gives those of tags and audiences: (first, last, value)."""
        if c["subject"] == "everyone":
            return self.first_day() is not None and self.first_day() <= day
        if c["subject"] == "flow":
            now, before = self.stage(day), self.stage(day - c["window_days"])
            rank, earlier = STAGES.get(now, 0), STAGES.get(before, 0)
            return {
                "deepened": rank > earlier > 0,
                "fell_back": earlier > rank > 0,
                "new": rank > 0 == earlier,
                "lost": earlier > 0 == rank,
            }.get(c["value"], c["value"] == f"{before}>{now}")
        oldest, youngest = c["window_days"] or FOREVER, c["days_ago"] or 0
        wanted = c["value"].split("|") if c["value"] else None
        found = [
            (since, weight)
            for since, weight, value in self.facts(c, day, brand, spells)
            if youngest <= day - since < oldest
            and (not wanted or value in wanted)
            and of_value in (None, value)
        ]
        total = len({at for at, _ in found}) if c["measure"] == "days" else sum(w for _, w in found)
        least, most = c["min_value"] or (1 if c["max_value"] is None else 0.0001), c["max_value"]
        return total >= least and (most is None or total <= most)


NAMES = {
    "behaviour": [*EVENTS, "cart_add", *BEHAVIOURS],
    "order": ["purchase", "purchase", "first_purchase", "unpaid"],
    "bought": ["category", "product"],
    "cart": ["open", "paid"],
    "relationship": ["follower", "wecom_contact", "any"],
    "stage": ["m"],
    "flow": ["m"],
    "reachable": ["any"],
    "message": ["sent", "delivered", "opened", "clicked", "unsubscribed"],
    "rfm": ["all", "online"],
    "cycle": ["band", "due"],
    "score": ["is_high_value", "clv", "p_alive"],
    "owner": [""],
    "everyone": [""],
}
VALUES = {
    ("bought", "category"): ["", "tea", "tea|rice"],
    ("bought", "product"): ["", "p2", "p1|p3"],
    ("cart", "open"): ["", "", "p1|p2"],
    ("cart", "paid"): ["", "", "p1"],
    ("relationship", "follower"): ["", "k0|k1"],
    ("relationship", "any"): ["", "wecom_contact"],
    ("stage", "m"): ["A", "B|C", ""],
    ("flow", "m"): ["deepened", "fell_back", "new", "lost", "A>C"],
    ("reachable", "any"): ["", "sms", "wecom|sms"],
    ("rfm", "all"): ["111", "111|011", ""],
    ("rfm", "online"): ["000", ""],
    ("cycle", "band"): ["", "active", "due", "warning", "warning|churned"],
    ("cycle", "due"): ["", "tea", "tea|rice"],
    ("owner", ""): ["", "s1", "s2"],
}
WINDOWLESS = ("flow", "everyone", "rfm", "cycle", "score", "owner")


def random_condition(
    chance: random.Random, *, subjects: list[str], names: dict[str, list[str]], name: str = ""
) -> dict:
    c: dict = dict.fromkeys(CONDITION)
    c |= {"subject": chance.choice(subjects), "channel": ""}
    subject = c["subject"]
    c["name"] = name or chance.choice((NAMES | names)[subject])
    c["value"] = chance.choice(VALUES.get((subject, c["name"]), [""]))
    if subject == "tag":
        c["value"] = chance.choice(["", "", "x", "x|y"])
    if subject not in WINDOWLESS:
        c["window_days"] = chance.choice([None, 1, 3, 7, 20])
        if c["window_days"]:
            c["days_ago"] = chance.choice([None, None, *range(1, c["window_days"])])
    if subject == "flow":
        c["window_days"] = chance.choice([1, 7])
    if (subject == "behaviour" and c["name"] != "any_touchpoint") or c["name"] == "purchase":
        c["channel"] = chance.choice(["", "", "app", "wecom", "app|wecom"])
    if subject == "message":
        c["channel"] = chance.choice(["", "sms", "sms|email"])
    if subject in ("behaviour", "order", "message", "bought") and c["name"] != "first_purchase":
        measures = ["events", "days", "amount"]
        if c["name"] == "any_touchpoint" or subject in ("message", "bought"):
            measures = ["events", "days"]
        c["measure"] = chance.choice(measures)
        c["min_value"] = chance.choice([None, None, 2, 6])
        c["max_value"] = chance.choice([None, None, 6])
    if subject == "score":
        c["measure"] = chance.choice([None, "amount"])
        if c["name"] != "is_high_value":
            c["min_value"], c["max_value"] = chance.choice([(0.5, None), (12.3457, 12.3457), (None, 12.34), (5.5, 20)])  # fmt: skip
    return c


def random_rules(chance: random.Random, **options) -> list[list[dict]]:
    """Groups of conditions, the first of each group not negated."""
    return [
        [
            random_condition(chance, **options)
            | {"rule_group": g, "condition": n, "is_not": (n > 1 and chance.random() < 0.5) or None}
            for n in range(1, chance.choice([1, 1, 2, 3]) + 1)
        ]
        for g in range(1, chance.choice([1, 1, 2]) + 1)
    ]


def group_holds(groups: list[list[dict]], person: History, day: int, brand: str, spells) -> bool:
    return any(
        all(person.holds(c, day, brand, spells) != bool(c["is_not"]) for c in group)
        for group in groups
    )


def values_held(values: dict[str, list], person: History, day: int, brand: str) -> set[str]:
    """Values of a tag whose rules hold on a day; `*` stands for every value that its facts have."""
    held = {
        v
        for v, groups in values.items()
        if v != "*" and group_holds(groups, person, day, brand, None)
    }
    for (c,) in values.get("*", []):
        found = {value for _, _, value in person.facts(c, day, brand, None)}
        held |= {v for v in found if person.holds(c, day, brand, None, of_value=v)}
    return held


def spells_of(days: list) -> list[tuple[int, int, str]]:
    """Spells of what is carried day by day: for each value its unbroken times; one that lasts to the end lasts for good."""
    found = []
    for value in sorted({v for carried in days for v in carried}):
        start = None
        for day, carried in enumerate([*days, ()]):
            if day == len(days) and start is not None:
                found.append((start, FOREVER, value))
            elif value in carried and start is None:
                start = day
            elif value not in carried and start is not None and day < len(days):
                found.append((start, day, value))
                start = None
    return found


def tag_days(values: list[set], *, is_multi_valued: bool, on_end: str) -> list[tuple]:
    """What a customer carries each day, when `values` are those whose rules hold."""
    began: dict[str, int] = {}
    carried = []
    before: set = set()
    for day, now in enumerate(values):
        for value in now - before:
            began[value] = day
        before = now
        live = set(began) if on_end == "keep" else now
        best = max(live, key=lambda v: (began[v], v), default=None)
        carried.append(tuple(live) if is_multi_valued else (best,) if best else ())
    return carried


SUBJECTS = [*NAMES, "behaviour", "order", "cart", "stage"]
HORIZON = (
    LAST + 80
)  # the bands of buyers, windows of 20 days on them, and windows on those have all run out


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    return compiled(tmp_path_factory.mktemp("audiences"), MODELS)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_rule_means_on_every_day_what_a_look_at_the_day_says(models, seed):
    case = Case(seed)
    for name, sql in models.items():
        case.warehouse.table(f"lifecycle.{name}", sql)
    assert not case.wrong_carts()
    assert not case.wrong_tags()
    assert not case.wrong_audiences()
    theirs = {place: spells for place, spells in case.audiences.items() if spells}
    assert len({name for name, *_ in theirs}) > 85 and sum(map(len, theirs.values())) > 1500


class Case:
    """Random histories, tags and audiences in a warehouse, and the spells that a look at every day gives."""

    def __init__(self, seed: int) -> None:
        self.people, tags, plain, composed = random_case(seed)
        self.rules = plain | composed
        # Audiences of one brand; what others are made of is of all.
        brands = dict.fromkeys(list(composed)[:3], "b")
        self.warehouse = made_up(self.people, tags, self.rules, brands)
        self.tags, self.audiences = spells_by_day(self.people, tags, plain, composed)
        self.audiences = {
            (name, brand, key): spells
            for (name, brand, key), spells in self.audiences.items()
            if brands.get(name, brand) == brand
        }

    def wrong_carts(self) -> set[tuple]:
        """Products in carts at the end of each day, each with the day of the cart_add."""
        ours = set(
            self.warehouse.rows(
                f"""select brand_id, customer_key, product_id, kind, day, added_on - date '{DAY0}'
                from lifecycle.int_audiences__cart_spells, range({LAST + 1}) as days (day)
                where valid_from <= date '{DAY0}' + day::int and valid_to > date '{DAY0}' + day::int"""
            )
        )
        theirs = {
            (brand, key, product, kind, day, added)
            for (brand, key), person in self.people.items()
            for product in PRODUCTS
            for kind in ("open", "paid")
            for day in range(LAST + 1)
            for added in person.carts(kind, product, day)
        }
        return ours ^ theirs

    def wrong_tags(self) -> list[tuple]:
        ours = self._read(
            "select tag, brand_id, customer_key, from_day, to_day, tag_value from lifecycle.int_audiences__tag_spells"
        )
        theirs = {place: spells for place, spells in self.tags.items() if spells}
        return [place for place in ours | theirs if ours.get(place) != theirs.get(place)]

    def wrong_audiences(self) -> dict[str, list]:
        ours = self._read(
            "select audience, brand_id, customer_key, from_day, to_day, '' from lifecycle.int_audiences__spells"
        )
        theirs = {place: spells for place, spells in self.audiences.items() if spells}
        wrong = {place[0] for place in ours | theirs if ours.get(place) != theirs.get(place)}
        return {name: self.rules[name] for name in sorted(wrong)}

    def _read(self, query: str) -> dict:
        origin = (DAY0 - date(1, 1, 1)).days
        far = 3652058
        found = defaultdict(list)
        for name, brand, key, first, last, value in self.warehouse.rows(query):
            found[name, brand, key].append(
                (first - origin, FOREVER if last == far else last - origin, value)
            )
        return {
            place: sorted(spells, key=lambda s: (s[2], s[0])) for place, spells in found.items()
        }


def random_case(seed: int) -> tuple[dict, dict, dict, dict]:
    """People, tags, audiences made of facts and tags, and audiences made of those audiences."""
    chance = random.Random(seed)
    people = {(brand, key): History(chance) for key in range(1, ANONYMOUS + 1) for brand in BRANDS}

    def one(subject: str, name: str, **cells) -> list[list[dict]]:
        """A rule of one condition."""
        found = random_condition(chance, subjects=[subject], names={}, name=name)
        return [[found | {"rule_group": 1, "condition": 1, "is_not": False} | cells]]

    tags = {
        f"t{n}": (
            chance.choice([True, False]),
            chance.choice(["drop", "keep"]),
            {v: random_rules(chance, subjects=SUBJECTS, names={}) for v in ("x", "y", "z")[: chance.randint(1, 3)]},
        )
        for n in range(6)
    }  # fmt: skip
    # The value is that of the fact: with any of them, and with what counts on the last day alone.
    for n, (subject, name) in enumerate(
        [("behaviour", "login"), ("behaviour", "praise"), ("order", "purchase"), ("bought", "category"), ("relationship", "follower"),
         ("stage", "m"), ("reachable", "any"), ("rfm", "all"), ("cycle", "band"), ("cycle", "due"), ("owner", "")]
    ):  # fmt: skip
        tags[f"v{n}"] = (n % 2 == 0, "drop", {"*": one(subject, name)})
    bare = {"value": "", "window_days": None, "days_ago": None}
    tags["v_stage"] = (False, "drop", {"*": one("stage", "m", **bare)})
    tags["manual"] = (True, "drop", {})
    tags["manual_single"] = (False, "keep", {})
    plain = {
        f"a{n}": random_rules(chance, subjects=[*SUBJECTS, "tag"], names={"tag": list(tags)})
        for n in range(24)
    }
    # Whatever can be asked about is asked about, one question by two audiences.
    for subject, names in NAMES.items():
        for name in sorted(set(names)):
            for value in sorted({"", *VALUES.get((subject, name), [])}):
                if value or subject != "flow":
                    plain[f"{subject}_{name}_{value}"] = one(subject, name, value=value)
    for name in ("behaviour_login", "behaviour_praise", "order_purchase", "message_sent"):
        twice = {"measure": "events", "min_value": 2, "max_value": None, "days_ago": None}
        plain[f"{name}_twice"] = one(*name.split("_"), **twice)
        plain[f"{name}_again"] = plain[f"{name}_twice"]
    for tag, value in (
        ("v_stage", ""),
        ("v_stage", "A|C"),
        ("v5", ""),
        ("manual", ""),
        ("manual", "x"),
    ):
        bare = {"subject": "tag", "name": tag, "value": value, "channel": "", "rule_group": 1, "condition": 1}  # fmt: skip
        plain[f"tag_{tag}_{value}"] = [[dict.fromkeys(CONDITION) | bare]]
    composed = {
        f"c{n}": [
            [c | {"subject": "audience", "name": chance.choice(list(plain))} | dict.fromkeys(["value", "channel"], "") | dict.fromkeys(["measure", "min_value", "max_value"]) if i == 0 else c
             for i, c in enumerate(group)]
            for group in random_rules(chance, subjects=["relationship", "audience", "tag"], names={"audience": list(plain), "tag": list(tags)})
        ]
        for n in range(8)
    }  # fmt: skip
    return people, tags, plain, composed


def spells_by_day(people: dict, tags: dict, plain: dict, composed: dict) -> tuple[dict, dict]:
    """Spells of tags and of audiences by (name, brand, customer), found by asking every rule on every day."""
    expected_tags, expected = {}, {}
    for (brand, key), person in people.items():
        if key == ANONYMOUS:
            continue
        known: dict[tuple[str, str], list] = {}
        for tag, (is_multi_valued, on_end, values) in tags.items():
            days = [values_held(values, person, day, brand) for day in range(HORIZON)]
            for first, last, value in person.manual.get(tag, ()):
                for day in range(first, min(last, HORIZON)):
                    if first <= LAST:
                        days[day].add(value)
            known["tag", tag] = spells_of(
                tag_days(days, is_multi_valued=is_multi_valued, on_end=on_end)
            )
            expected_tags[tag, brand, key] = known["tag", tag]
        for names in (plain, composed):
            for name, groups in names.items():
                days = [
                    ("",)
                    if group_holds(
                        groups, person, day, brand, lambda *what, known=known: known[what]
                    )
                    else ()
                    for day in range(HORIZON)
                ]
                known["audience", name] = spells_of(days)
                expected[name, brand, key] = known["audience", name]

    return expected_tags, expected


# How staff write an identifier: with what sticks to it when it is copied.
WRITTEN = ["{}", " {}", "{} ", "　{}", "{}　", "\t{}", "{}\t", "{}\r", "{}\n"]


def made_up(
    people: dict[tuple[str, int], History], tags: dict, rules: dict, brands: dict[str, str]
) -> Warehouse:
    """A warehouse with these histories, tags and audiences, and nothing else."""
    warehouse = Warehouse()
    run = warehouse.connection.execute
    for seed in ("stage_behaviours", "event_types", "identifier_types"):
        warehouse.seed(seed)
    condition = """rule_group integer, condition integer, is_not boolean, subject varchar, name varchar, value varchar,
        channel varchar, measure varchar, min_value decimal(18, 4), max_value decimal(18, 4), window_days integer, days_ago integer"""
    run(
        f"""
        create table reference.as_of as select date '{DAY0 + timedelta(LAST)}' as as_of_date;
        create table reference.tag_rules (tag varchar, tag_value varchar, {condition});
        create table reference.audience_rules (audience varchar, {condition});
        create table reference.tag_definitions (tag varchar, is_multi_valued boolean, on_end varchar);
        create table reference.audience_definitions (audience varchar, brand_id varchar);
        create table reference.manual_tags (brand_id varchar, identifier_type varchar, identifier_value varchar, tag varchar,
            tag_value varchar, valid_from date, valid_to date);
        create table lifecycle.fct_touchpoints (brand_id varchar, customer_key bigint, occurred_at timestamp,
            occurred_on date, event_type varchar, channel varchar, event_value double, product_id varchar);
        create table lifecycle.fct_relationship_spells (brand_id varchar, customer_key bigint, relationship varchar,
            relationship_key varchar, valid_from date, valid_to date);
        create table lifecycle.int_stages__spells (model varchar, brand_id varchar, customer_key bigint, stage varchar,
            stage_rank smallint, valid_from date, valid_to date, next_stage varchar);
        create table lifecycle.fct_orders (source_system varchar, order_id varchar, brand_id varchar, customer_key bigint,
            channel varchar, status varchar, ordered_at timestamp, ordered_on date, paid_at timestamp, valid_from date,
            valid_to date, paid_amount decimal(18, 4));
        create table lifecycle.fct_order_lines (source_system varchar, order_id varchar, category varchar, product_id varchar);
        create table lifecycle.fct_consent_spells (brand_id varchar, customer_key bigint, channel varchar,
            valid_from date, valid_to date);
        create table staging.stg_landing__messages (message_id varchar, channel varchar, campaign_id varchar,
            identifier_key bigint, sent_at timestamp, sent_on date, delivered_at timestamp, opened_at timestamp,
            clicked_at timestamp, unsubscribed_at timestamp, failed_reason varchar, is_control boolean);
        create table staging.stg_landing__campaigns (campaign_id varchar, brand_id varchar);
        create table lifecycle.int_rfm__observation_dates (observation_date date);
        create table marts.rfm_customers (brand_id varchar, customer_id varchar, scope varchar, rfm_code varchar, as_of_date date);
        create table marts.clv_customers (brand_id varchar, customer_id varchar, is_high_value boolean, clv double, p_alive double);
        create table lifecycle.int_value__reach (brand_id varchar, customer_key bigint, owner_id varchar);
        create table lifecycle.int_value__gaps (observation varchar, brand_id varchar, customer_key bigint, kind varchar,
            category varchar, purchased_on date, is_completed boolean, gap_days bigint);
        create table lifecycle.int_value__cycles (observation varchar, brand_id varchar, kind varchar, category varchar,
            cycle_days double);
        create table identity.int_identity__customer_map as
            select cast(md5_number_upper(identifier) >> 1 as bigint) as identifier_key, n as customer_key,
                'C' || n as customer_id, n = {ANONYMOUS} as is_anonymous_visitor
            from range(1, {ANONYMOUS + 1}) as keys (n),
                unnest(['member_id|' || n, 'phone|1380000000' || n, 'email|c' || n || '@x.cn']) as owned (identifier);
        """
    )

    def insert(table: str, rows: list[tuple]) -> None:
        if rows:
            warehouse.connection.executemany(
                f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows
            )

    def on(day: int) -> date | None:
        return None if day == FOREVER else DAY0 + timedelta(day)

    def at(day: int, hour: int) -> datetime:
        return datetime.combine(on(day), time(hour))

    def cells(c: dict) -> tuple:
        return tuple(None if c[column] == "" else c[column] for column in CONDITION)

    identifiers = dict(
        warehouse.rows(
            "select customer_key, min(identifier_key) from identity.int_identity__customer_map group by all"
        )
    )
    insert("lifecycle.int_rfm__observation_dates", [(on(day),) for day in OBSERVED])
    insert(
        "lifecycle.int_value__cycles",
        [
            (observation, brand, kind, category, cycle + extra)
            for (brand, category), cycle in CYCLES.items()
            for observation, kind, extra in (
                ("as_of", "any" if category == "*" else "same", 0),
                ("as_of", "cross", 3),
                ("churn_backtest", "any" if category == "*" else "same", 2),
            )
        ],
    )
    insert("staging.stg_landing__campaigns", [(f"of {brand}", brand) for brand in ("b", "c")])
    written = cycle(
        (kind, spelling.format(value))
        for kind, value in (
            ("member_id", "{key}"),
            (" Phone ", "1380000000{key}"),
            ("phone", "+86 138-0000-000{key}"),
            ("phone", "１３８0000000{key}"),
            ("email", "C{key}@x.CN"),
        )
        for spelling in WRITTEN
    )
    # An id of an order is one of its system alone.
    numbers = count()
    for (brand, key), person in people.items():
        insert(
            "lifecycle.fct_touchpoints",
            [
                (brand, key, at(day, 8), on(day), kind, channel, value, None)
                for day, kind, channel, value in person.events
            ]
            + [
                (brand, key, at(day, hour), on(day), what, "app", None, product)
                for day, hour, what, product in person.cart
            ],
        )
        insert(
            "lifecycle.fct_relationship_spells",
            [
                (brand, key, kind, name, on(first), on(last))
                for first, last, kind, name in person.relationships
                if first < last
            ],
        )
        for n, (first, last, stage) in enumerate(person.stages):
            follows = person.stages[n + 1 : n + 2]
            goes_on = follows[0][2] if follows and follows[0][0] == last else "none"
            insert(
                "lifecycle.int_stages__spells",
                [("m", brand, key, stage, STAGES[stage], on(first), on(last), goes_on)],
            )
        for order in person.orders:
            number = next(numbers)
            its = (f"s{number % 2}", str(number // 2))
            paid_at, earlier = at(order.first, order.hour), order.ordered_before or 0
            ordered_at = paid_at - timedelta(earlier)
            dates = (
                ordered_at,
                ordered_at.date(),
                None if order.ordered_before is None else paid_at,
            )
            spell = (on(order.first), on(order.last))
            insert(
                "lifecycle.fct_orders",
                [(*its, brand, key, order.channel, "paid", *dates, *spell, order.amount)],
            )
            insert("lifecycle.fct_order_lines", [(*its, *line) for line in order.lines])
        for day, channel, amount in person.unpaid:
            number = next(numbers)
            its = (f"s{number % 2}", str(number // 2), brand, key)
            insert(
                "lifecycle.fct_orders",
                [(*its, channel, "created", at(day, 9), on(day), None, None, None, amount)],
            )
        insert(
            "reference.manual_tags",
            [
                (brand, *(cell.replace("{key}", str(key)) for cell in next(written)), tag, v, on(first), on(last))
                for tag, rows in person.manual.items()
                for first, last, v in rows
            ],
        )  # fmt: skip
        insert(
            "lifecycle.fct_consent_spells",
            [
                (brand, key, channel, on(first), on(last))
                for first, last, channel in person.consents
            ],
        )
        for n, (channel, days, is_void) in enumerate(person.messages):
            stamps = {what: at(day, 23) for what, day in days.items()}
            sent = stamps.get("sent")
            void = (
                ((None, True), ("blocked", None))[n % 2]
                if is_void
                else (None, (None, False)[n % 2])
            )
            campaign = None if brand == "default" else f"of {brand}"
            insert(
                "staging.stg_landing__messages",
                [
                    (
                        "m",
                        channel,
                        campaign,
                        identifiers[key],
                        sent,
                        sent and sent.date(),
                        *tuple(
                            stamps.get(what)
                            for what in ("delivered", "opened", "clicked", "unsubscribed")
                        ),
                        *void,
                    )
                ],
            )
        insert(
            "marts.rfm_customers",
            [
                (brand, f"C{key}", scope, code, on(day))
                for (day, scope), code in person.classes.items()
            ],
        )
        for category, days in person.purchased.items():
            kind = "any" if category == "*" else "same"
            for day, following in pairwise([*days, None]):
                gap = (following or LAST) - day
                for observation in ("as_of", "churn_backtest"):
                    facts = (observation, brand, key, kind, category, on(day))
                    insert("lifecycle.int_value__gaps", [(*facts, following is not None, gap)])
        for day in person.purchased["tea"]:
            other = ("as_of", brand, key, "cross", "tea", on(day), True, 1)
            insert("lifecycle.int_value__gaps", [other])
        if person.scores:
            scores = tuple(person.scores[what] for what in ("is_high_value", "clv", "p_alive"))
            insert("marts.clv_customers", [(brand, f"C{key}", *scores)])
        insert("lifecycle.int_value__reach", [(brand, key, person.owner)])
    # What is of nobody, and what is to come, is not there.
    for order_id, customer, first in (("nobody", None, 3), ("later", 1, LAST + 2)):
        dates = (at(first, 9), on(first), at(first, 9), on(first), None)
        insert(
            "lifecycle.fct_orders",
            [("s0", order_id, "b", customer, "app", "paid", *dates, 10)],
        )
        insert("lifecycle.fct_order_lines", [("s0", order_id, "tea", "p1")])
    for tag, (is_multi_valued, on_end, values) in tags.items():
        insert("reference.tag_definitions", [(tag, is_multi_valued, on_end)])
        for value, groups in values.items():
            insert(
                "reference.tag_rules", [(tag, value, *cells(c)) for group in groups for c in group]
            )
    for name, groups in rules.items():
        insert("reference.audience_definitions", [(name, brands.get(name, "*"))])
        insert("reference.audience_rules", [(name, *cells(c)) for group in groups for c in group])
    warehouse.table(
        "lifecycle.customer_day",
        """select brand_id, customer_key, occurred_on as activity_date, count(*) as touchpoint_count
        from lifecycle.fct_touchpoints group by all""",
    )
    return warehouse
