"""The rules of tags and audiences: what a wrong one is told, and what a right one means, day by day, on made-up histories."""

from __future__ import annotations

import csv
import random
import shutil
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
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

EVENTS = ["login", "share", "comment"]
CHANNELS = ["app", "wecom"]
STAGES = {"A": 1, "B": 2, "C": 3}
FOREVER = 10**6


class History:
    """What happened to one customer; days count from DAY0. Answers a rule on a day by looking at the day alone."""

    def __init__(self, chance: random.Random) -> None:
        def some(most: int) -> range:
            return range(chance.randint(0, most))

        def day() -> int:
            return chance.randint(0, LAST)

        self.events = [
            (day(), chance.choice(EVENTS), chance.choice(CHANNELS), chance.randint(0, 3))
            for _ in some(14)
        ]
        # An order until the day on which it came back in full.
        self.orders = [
            (first, chance.choice([FOREVER, first + chance.randint(1, 20)]), chance.choice(CHANNELS), chance.choice([5, 10, 20]), chance.choice(["tea", "rice"]))
            for first in (day() for _ in some(5))
        ]  # fmt: skip
        self.orders = [o for o in self.orders if o[1] == FOREVER or o[1] <= LAST]
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
        self.manual = [(day(), FOREVER, chance.choice("xy")) for _ in some(2)]

    def stage(self, day: int) -> str | None:
        return next((s for first, last, s in self.stages if first <= day < last), None)

    def first_day(self) -> int | None:
        return min((e[0] for e in self.events), default=None)

    def holds(self, c: dict, day: int, spells) -> bool:
        """A condition on a day; `spells` gives those of tags and audiences: (first, last, value)."""
        oldest, youngest = c["window_days"] or FOREVER, c["days_ago"] or 0
        wanted = c["value"].split("|") if c["value"] else None
        channels = c["channel"].split("|") if c["channel"] else CHANNELS

        def counts(since: int) -> bool:
            return youngest <= day - since < oldest

        found: list[tuple[int, float]] = []
        if c["subject"] == "behaviour":
            found = [
                (at, value)
                for at, kind, channel, value in self.events
                if (c["name"] == "any_touchpoint" or kind == c["name"])
                and channel in channels
                and counts(at)
            ]
        elif c["subject"] in ("order", "bought"):
            valid = [o for o in self.orders if o[0] <= day < o[1]]
            if c["name"] == "first_purchase":
                valid = [o for o in valid if o[0] == min(v[0] for v in valid)][:1]
            found = [
                (at, amount)
                for at, _, channel, amount, category in valid
                if counts(at)
                and channel in channels
                and (c["subject"] == "order" or not wanted or category in wanted)
            ]
        elif c["subject"] == "relationship":
            found = [
                (first, 1)
                for first, last, kind, _ in self.relationships
                if first <= day < last and counts(first) and c["name"] in (kind, "any")
            ]
        elif c["subject"] == "stage":
            found = [
                (first, 1)
                for first, last, stage in self.stages
                if first <= day < last and counts(first) and (not wanted or stage in wanted)
            ]
        elif c["subject"] == "flow":
            now, before = self.stage(day), self.stage(day - c["window_days"])
            rank, earlier = STAGES.get(now, 0), STAGES.get(before, 0)
            return {
                "deepened": rank > earlier > 0,
                "fell_back": earlier > rank > 0,
                "new": rank > 0 == earlier,
                "lost": earlier > 0 == rank,
            }.get(c["value"], c["value"] == f"{before}>{now}")
        elif c["subject"] == "everyone":
            return self.first_day() is not None and self.first_day() <= day
        else:
            found = [
                (first, 1)
                for first, last, value in spells(c["subject"], c["name"])
                if first <= day < last and counts(first) and (not wanted or value in wanted)
            ]
        total = {"days": len({at for at, _ in found}), "amount": sum(v for _, v in found)}.get(
            c["measure"], len(found)
        )
        least, most = c["min_value"] or (1 if c["max_value"] is None else 0.0001), c["max_value"]
        return total >= least and (most is None or total <= most)


def random_condition(
    chance: random.Random, *, subjects: list[str], names: dict[str, list[str]]
) -> dict:
    c: dict = dict.fromkeys(CONDITION)
    c |= {"subject": chance.choice(subjects), "name": "", "value": "", "channel": ""}
    if c["subject"] not in ("flow", "everyone"):
        c["window_days"] = chance.choice([None, 1, 3, 7, 20])
        if c["window_days"]:
            c["days_ago"] = chance.choice([None, None, *range(1, c["window_days"])])
    if c["subject"] == "behaviour":
        c["name"] = chance.choice([*EVENTS, "any_touchpoint"])
        if c["name"] != "any_touchpoint":
            c["channel"] = chance.choice(["", "app", "app|wecom"])
    if c["subject"] == "order":
        c["name"] = chance.choice(["purchase", "purchase", "first_purchase"])
        if c["name"] == "purchase":
            c["channel"] = chance.choice(["", "", "wecom"])
    if c["subject"] == "bought":
        c |= {"name": "category", "value": chance.choice(["", "tea", "tea|rice"])}
    if (
        c["name"]
        and c["subject"] in ("behaviour", "order", "bought")
        and c["name"] != "first_purchase"
    ):
        measures = (
            ["events", "days"]
            if c["name"] in ("any_touchpoint", "category")
            else ["events", "days", "amount"]
        )
        c["measure"] = chance.choice(measures)
        if c["subject"] == "bought":
            c["measure"] = "days"
        c["min_value"] = chance.choice([None, None, 2, 6])
        c["max_value"] = chance.choice([None, None, 6])
    if c["subject"] == "relationship":
        c["name"] = chance.choice(["follower", "wecom_contact", "any"])
    if c["subject"] == "stage":
        c |= {"name": "m", "value": chance.choice(["A", "B|C", ""])}
    if c["subject"] == "flow":
        c |= {
            "name": "m",
            "value": chance.choice(["deepened", "fell_back", "new", "lost", "A>C"]),
            "window_days": chance.choice([1, 7]),
        }
    if c["subject"] in names:
        c["name"] = chance.choice(names[c["subject"]])
    return c


def random_rules(chance: random.Random, **options) -> list[list[dict]]:
    """Groups of conditions, the first of each group not negated."""
    return [
        [
            random_condition(chance, **options)
            | {"rule_group": g, "condition": n, "is_not": n > 1 and chance.random() < 0.5}
            for n in range(1, chance.choice([1, 1, 2, 3]) + 1)
        ]
        for g in range(1, chance.choice([1, 1, 2]) + 1)
    ]


def group_holds(groups: list[list[dict]], person: History, day: int, spells) -> bool:
    return any(all(person.holds(c, day, spells) != c["is_not"] for c in group) for group in groups)


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


SUBJECTS = [
    "behaviour",
    "behaviour",
    "order",
    "bought",
    "relationship",
    "stage",
    "flow",
    "everyone",
]
HORIZON = LAST + 60  # windows of 20 days, and of windows on what they gave, have all run out


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    return compiled(tmp_path_factory.mktemp("audiences"), MODELS)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_rule_means_on_every_day_what_a_look_at_the_day_says(models, seed):
    case = Case(seed)
    for name, sql in models.items():
        case.warehouse.table(f"lifecycle.{name}", sql)
    assert not case.wrong_tags()
    assert not case.wrong_audiences()
    theirs = {place: spells for place, spells in case.audiences.items() if spells}
    assert len({name for name, _ in theirs}) > 20 and sum(map(len, theirs.values())) > 300


class Case:
    """Random histories, tags and audiences in a warehouse, and the spells that a look at every day gives."""

    def __init__(self, seed: int) -> None:
        self.people, tags, plain, composed = random_case(seed)
        self.rules = plain | composed
        self.warehouse = made_up(self.people, tags, self.rules)
        self.tags, self.audiences = spells_by_day(self.people, tags, plain, composed)

    def wrong_tags(self) -> list[tuple]:
        ours = self._read(
            "select tag, customer_key, from_day, to_day, tag_value from lifecycle.int_audiences__tag_spells"
        )
        theirs = {place: spells for place, spells in self.tags.items() if spells}
        return [place for place in ours | theirs if ours.get(place) != theirs.get(place)]

    def wrong_audiences(self) -> dict[str, list]:
        ours = self._read(
            "select audience, customer_key, from_day, to_day, '' from lifecycle.int_audiences__spells"
        )
        theirs = {place: spells for place, spells in self.audiences.items() if spells}
        wrong = {name for name, k in ours | theirs if ours.get((name, k)) != theirs.get((name, k))}
        return {name: self.rules[name] for name in sorted(wrong)}

    def _read(self, query: str) -> dict:
        origin = (DAY0 - date(1, 1, 1)).days
        far = 3652058
        found = defaultdict(list)
        for name, key, first, last, value in self.warehouse.rows(query):
            found[name, key].append(
                (first - origin, FOREVER if last == far else last - origin, value)
            )
        return {
            place: sorted(spells, key=lambda s: (s[2], s[0])) for place, spells in found.items()
        }


def random_case(seed: int) -> tuple[dict, dict, dict, dict]:
    """People, tags, audiences made of facts and tags, and audiences made of those audiences."""
    chance = random.Random(seed)
    people = {key: History(chance) for key in range(1, 26)}
    tags = {
        f"t{n}": (
            chance.choice([True, False]),
            chance.choice(["drop", "keep"]),
            {v: random_rules(chance, subjects=SUBJECTS, names={}) for v in ("x", "y", "z")[: chance.randint(1, 3)]},
        )
        for n in range(6)
    } | {"manual": (True, "drop", {})}  # fmt: skip
    plain = {
        f"a{n}": random_rules(chance, subjects=[*SUBJECTS, "tag"], names={"tag": list(tags)})
        for n in range(24)
    }
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
    """Spells of tags and of audiences by (name, customer), found by asking every rule on every day."""
    expected_tags, expected = {}, {}
    for key, person in people.items():
        known: dict[tuple[str, str], list] = {}
        for tag, (is_multi_valued, on_end, values) in tags.items():
            days = [
                {v for v, groups in values.items() if group_holds(groups, person, day, None)}
                | (
                    {v for first, last, v in person.manual if first <= day < last}
                    if tag == "manual"
                    else set()
                )
                for day in range(HORIZON)
            ]
            known["tag", tag] = spells_of(
                tag_days(days, is_multi_valued=is_multi_valued, on_end=on_end)
            )
            expected_tags[tag, key] = known["tag", tag]
        for names in (plain, composed):
            for name, groups in names.items():
                days = [
                    ("",)
                    if group_holds(groups, person, day, lambda *what, known=known: known[what])
                    else ()
                    for day in range(HORIZON)
                ]
                known["audience", name] = spells_of(days)
                expected[name, key] = known["audience", name]

    return expected_tags, expected


def made_up(people: dict[int, History], tags: dict, rules: dict) -> Warehouse:
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
            select cast(md5_number_upper('member_id|' || n) >> 1 as bigint) as identifier_key, n as customer_key,
                'C' || n as customer_id, false as is_anonymous_visitor
            from range(1, {len(people) + 1}) as keys (n);
        """
    )

    def insert(table: str, rows: list[tuple]) -> None:
        if rows:
            warehouse.connection.executemany(
                f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows
            )

    def on(day: int) -> date | None:
        return None if day == FOREVER else DAY0 + timedelta(day)

    def cells(c: dict) -> tuple:
        return tuple(None if c[column] == "" else c[column] for column in CONDITION)

    for key, person in people.items():
        insert(
            "lifecycle.fct_touchpoints",
            [
                ("b", key, on(at), on(at), kind, channel, value, None)
                for at, kind, channel, value in person.events
            ],
        )
        insert(
            "lifecycle.fct_relationship_spells",
            [
                ("b", key, kind, name, on(first), on(last))
                for first, last, kind, name in person.relationships
                if first < last
            ],
        )
        for n, (first, last, stage) in enumerate(person.stages):
            follows = person.stages[n + 1 : n + 2]
            goes_on = follows[0][2] if follows and follows[0][0] == last else "none"
            insert(
                "lifecycle.int_stages__spells",
                [("m", "b", key, stage, STAGES[stage], on(first), on(last), goes_on)],
            )
        for n, (first, last, channel, amount, category) in enumerate(person.orders):
            insert(
                "lifecycle.fct_orders",
                [
                    (
                        "s",
                        f"{key}-{n}",
                        "b",
                        key,
                        channel,
                        "paid",
                        on(first),
                        on(first),
                        on(first),
                        on(first),
                        on(last),
                        amount,
                    )
                ],
            )
            insert("lifecycle.fct_order_lines", [("s", f"{key}-{n}", category, "p")])
        insert(
            "reference.manual_tags",
            [
                ("b", "member_id", str(key), "manual", v, on(first), on(last))
                for first, last, v in person.manual
            ],
        )
    for tag, (is_multi_valued, on_end, values) in tags.items():
        insert("reference.tag_definitions", [(tag, is_multi_valued, on_end)])
        for value, groups in values.items():
            insert(
                "reference.tag_rules", [(tag, value, *cells(c)) for group in groups for c in group]
            )
    for name, groups in rules.items():
        insert("reference.audience_definitions", [(name, "*")])
        insert("reference.audience_rules", [(name, *cells(c)) for group in groups for c in group])
    warehouse.table(
        "lifecycle.customer_day",
        """select brand_id, customer_key, occurred_on as activity_date, count(*) as touchpoint_count
        from lifecycle.fct_touchpoints group by all""",
    )
    return warehouse
