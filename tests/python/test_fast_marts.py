"""What each FAST mart means, one rule per test, on the compiled models and a handful of hand-made spells."""

from __future__ import annotations

import csv
import random
import re
from datetime import date, timedelta

import pytest
from compiled import PROJECT, Warehouse, compiled, dbt

MARTS = [
    "int_stages__calendar", "int_stages__daily", "stage_flows", "fast_daily", "fast_slices", "fast_drivers",
    "fast_periods", "stage_journeys", "stage_daily", "customer_stages",
]  # fmt: skip
SEEDS = [
    "stages",
    "stage_models",
    "stage_rules",
    "stage_behaviours",
    "event_types",
    "promotion_calendar",
]
AS_OF = date(2026, 3, 31)
# The bits of what customers do, by name: read once, so that a changed model is asked about the same days.
BITS: dict[str, list[int]] = {}
RANKS = {"A": 1, "I": 2, "P": 3, "L": 4, "member": 1, "active": 2, "super": 1}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    workspace = tmp_path_factory.mktemp("fast")
    dbt(workspace, "seed", "--select", *SEEDS)
    return compiled(workspace, MARTS)


def day(text: str | None) -> date | None:
    return date.fromisoformat(f"2026-{text}") if text else None


def bits(models) -> dict[str, list[int]]:
    if not BITS:
        for mask, name in re.findall(
            r"(?i)behaviours & (\d+)\) <> 0 then '(\w+)'", models["fast_drivers"]
        ):
            BITS[name] = [1 << n for n in range(63) if int(mask) >> n & 1]
    return BITS


def build(
    models, spells: list[tuple], activity: list[tuple] = (), origins: dict | None = None
) -> Warehouse:
    """spells: (customer, model, stage, from, to); activity: (customer, day, behaviour | its bits | `purchase` | `follow` | `refund`).
    Days are `MM-DD` of 2026, an open end None."""
    warehouse = Warehouse()
    for seed in ("stages", "stage_models", "promotion_calendar"):
        warehouse.seed(seed)
    # Every model has had a version before, as after a change of rules.
    warehouse.connection.execute("insert into reference.stage_models from reference.stage_models")
    warehouse.table("reference.as_of", f"select date '{AS_OF}' as as_of_date")
    warehouse.connection.execute("""
        create table lifecycle.int_stages__spells (model varchar, brand_id varchar, customer_key bigint, stage varchar,
            stage_rank smallint, valid_from date, valid_to date, previous_stage varchar, previous_rank smallint,
            next_stage varchar, rules_version smallint);
        create table lifecycle.customer_day (brand_id varchar, customer_key bigint, activity_date date,
            touchpoint_count bigint, refund_amount decimal(18, 4), behaviours bigint, relationships smallint,
            purchase_valid_to date);
        create table lifecycle.int_stages__origins (brand_id varchar, customer_key bigint, acquisition_channel varchar,
            acquisition_domain varchar);
    """)
    rows = [(c, m, s, day(start), day(end)) for c, m, s, start, end in spells]
    stages = {(c, m, start): s for c, m, s, start, _ in rows} | {
        (c, m, "to", end): s for c, m, s, _, end in rows
    }
    for c, m, s, start, end in rows:
        before = stages.get((c, m, "to", start), "none")
        after = stages.get((c, m, end), "none")
        warehouse.connection.execute(
            "insert into lifecycle.int_stages__spells values (?, 'b', ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            [m, c, s, RANKS[s], start, end, before, RANKS.get(before, 0), after],
        )
    for c, on, what in activity:
        doing = what if isinstance(what, int) else bits(models).get(what, [0])[0]
        warehouse.connection.execute(
            "insert into lifecycle.customer_day values ('b', ?, ?, ?, ?, ?, ?, ?)",
            [
                c,
                day(on),
                0 if what in ("purchase", "refund") else 1,
                10 if what == "refund" else 0,
                doing,
                2 if what == "follow" else None,
                date(9999, 12, 31) if what == "purchase" else None,
            ],
        )
    for c, channel in (origins or {}).items():
        warehouse.connection.execute(
            "insert into lifecycle.int_stages__origins values ('b', ?, ?, 'public')", [c, channel]
        )
    warehouse.table(
        "lifecycle.fct_stage_spells",
        "select *, 'C' || customer_key as customer_id from lifecycle.int_stages__spells",
    )
    for name, sql in models.items():
        schema = "lifecycle" if name.startswith("int_") else "marts"
        warehouse.table(f"{schema}.{name}", sql)
    return warehouse


def drivers(warehouse: Warehouse, on: str, metric: str) -> list[tuple]:
    return warehouse.rows(f"""
        select driver, stage, acquisition_channel, cause, behaviour, contribution from marts.fast_drivers
        where as_of_date = date '{day(on)}' and metric = '{metric}' order by all
    """)


def test_a_driver_is_what_the_customer_did_and_a_way_down_is_never_a_behaviour(models):
    warehouse = build(
        models,
        spells=[
            (1, "aipl", "I", "03-01", "03-16"),  # a cart, and nothing for 15 days
            (2, "aipl", "I", "03-01", "03-16"),  # the same, who looks at something useless on that day
            (3, "aipl", "I", "03-01", None),  # a follower
            (4, "aipl", "P", "03-01", "03-16"),  # a buyer who gives it back
        ],
        activity=[
            (1, "03-01", "cart_add"), (2, "03-01", "cart_add"), (3, "03-01", "follow"), (4, "03-01", "purchase"),
            (2, "03-16", "points_earn"), (4, "03-16", "refund"),
        ],
        origins={1: "tmall", 2: "tmall", 3: "jd"},
    )  # fmt: skip
    assert drivers(warehouse, "03-01", "fertility") == [
        ("entered", "I", "jd", "relationship", "follow", 1),
        ("entered", "I", "tmall", "behaviour", "cart_add", 2),
        ("entered", "P", "unknown", "behaviour", "purchase", 1),
    ]
    assert drivers(warehouse, "03-16", "fertility") == [
        ("left", "I", "tmall", "window", "none", -2),
        ("left", "P", "unknown", "refund", "none", -1),
    ]


def rules(model: str) -> list[tuple[str, list[str]]]:
    """Stage and names of what leads there, of each rule of the seed."""
    with (PROJECT / "seeds" / "stage_behaviours.csv").open(encoding="utf-8") as file:
        names = [(row["behaviour"], row["name"]) for row in csv.DictReader(file)]
    with (PROJECT / "seeds" / "stage_rules.csv").open(encoding="utf-8") as file:
        return [
            (
                row["stage"],
                [name for behaviour, name in names if behaviour == row["behaviour"]]
                or [row["behaviour"]],
            )
            for row in csv.DictReader(file)
            if row["model"] == model
        ]


def test_each_behaviour_is_named_by_itself_and_of_two_the_one_that_leads_deeper(models):
    known = bits(models)
    stage_of = {name: stage for stage in "AIPL" for at, names in rules("aipl") if at == stage for name in names}  # fmt: skip
    assert len(known) > 25 and {stage_of.get(name) for name in known} == {"A", "I", "L", None}
    days = [(name, bit) for name in known for bit in known[name]]
    # And each of them with one that leads deeper: a review, a cart, an ad that was clicked; a purchase is deepest.
    deeper = {"I": "review", "A": "cart_add", None: "ad_click"}
    for name, bit in [*days]:
        if other := deeper.get(stage_of.get(name)):
            days.append((other, bit | known[other][0]))
    acts = [("purchase", "purchase"), ("other", 0), *days]
    warehouse = build(
        models,
        spells=[(c, "aipl", "A", "03-01", None) for c in range(len(acts))],
        activity=[(c, "03-01", bit) for c, (_, bit) in enumerate(acts)],
        origins={c: f"{c:03}" for c in range(len(acts))},
    )
    assert [(int(channel), behaviour) for _, _, channel, _, behaviour, _ in drivers(warehouse, "03-01", "fertility")] == [
        (c, name) for c, (name, _) in enumerate(acts)
    ]  # fmt: skip


def test_a_rise_on_a_day_without_any_act_has_a_behaviour_too(models):
    """As when the rules change: nobody did anything, and still people stand elsewhere."""
    warehouse = build(models, spells=[(1, "aipl", "A", "03-01", None)])
    assert drivers(warehouse, "03-01", "fertility") == [
        ("entered", "A", "unknown", "behaviour", "other", 1)
    ]


def stays(rng: random.Random, stages: list[str | None]) -> list[tuple]:
    """Random (stage, from, to) from the end of February to the middle of April, some with nothing in between."""
    found, on, before = [], date(2026, 2, 20), None
    while on < date(2026, 4, 12):
        stage = rng.choice([one for one in stages if one != before])
        to = on + timedelta(rng.randint(1, 8))
        if stage:
            found.append((stage, f"{on:%m-%d}", f"{to:%m-%d}"))
        on, before = to, stage
    return found


def test_the_contributions_of_a_day_add_up_to_its_change(models):
    """Many people in few cells, so that some come while others go for the same reason."""
    rng = random.Random(7)
    lives = {
        "aipl": [None, "A", "A", "I", "P", "L"],
        "fast_members_30d": [None, "member", "active"],
        "fast_members_180d": [None, "member", "active"],
        "fast_super": [None, "super"],
        "fast_activity": [None, "active"],
    }
    people = range(40)
    warehouse = build(
        models,
        spells=[(c, m, *stay) for c in people for m, stages in lives.items() for stay in stays(rng, stages)],
        activity=[
            (c, f"{date(2026, 2, 20) + timedelta(n):%m-%d}", rng.choice(["cart_add", "purchase", "follow", "refund"]))
            for c in people for n in range(39) if rng.random() < 0.3
        ],
        origins={c: "tmall" for c in people if c % 2},
    )  # fmt: skip
    metrics = [m for (m,) in warehouse.rows("select distinct metric from marts.fast_drivers")]
    rates = {"thriving_rate_30d": "superiority", "thriving_rate_180d": "superiority"} | {
        f"advancing_rate{of}": f"advancing_base{of}" for of in ("", "_a", "_i", "_p", "_without_l")
    }
    assert len(metrics) == 22 and rates.keys() < {*metrics}
    for metric in metrics:
        base = rates.get(metric)
        is_defined = f"today.{base} > 0 and yesterday.{base} > 0" if base else "true"
        changes = warehouse.rows(f"""
            select today.as_of_date, today.{metric} - yesterday.{metric}
            from marts.fast_daily as today
            join marts.fast_daily as yesterday on today.as_of_date = yesterday.as_of_date + 1
            where {is_defined} order by 1
        """)
        explained = dict(
            warehouse.rows(f"""
                select as_of_date, sum(contribution) from marts.fast_drivers where metric = '{metric}' group by 1
            """)
        )
        assert len(changes) > 20
        assert [(on, metric, round(explained.get(on, 0), 9)) for on, _ in changes] == [
            (on, metric, round(change, 9)) for on, change in changes
        ]
        assert explained.keys() - {on for on, _ in changes} <= {date(2026, 2, 20)}


def test_in_one_cell_of_a_rate_those_who_come_and_those_who_go_are_one_row(models):
    warehouse = build(
        models,
        spells=[
            (1, "aipl", "A", "03-01", "03-05"), (1, "aipl", "P", "03-05", None),
            (2, "aipl", "A", "02-24", "03-01"), (2, "aipl", "P", "03-01", None),
            (3, "aipl", "A", "02-20", "03-20"),
        ],
    )  # fmt: skip
    # On the 8th the first begins to count as deepened and the second ceases to, both because the day compared moves on.
    assert [row for row in drivers(warehouse, "03-08", "advancing_deepened_a") if row[3] == "comparison"] == [
        ("entered", "A", "unknown", "comparison", "none", 1),
        ("left", "A", "unknown", "comparison", "none", -1),
    ]  # fmt: skip
    assert drivers(warehouse, "03-08", "advancing_rate_a") == []


def test_a_customer_stops_counting_as_deepened_because_the_day_compared_moves_on(models):
    warehouse = build(
        models,
        spells=[(1, "aipl", "A", "03-01", "03-05"), (1, "aipl", "P", "03-05", None)],
        activity=[(1, "03-01", "ad_click"), (1, "03-05", "purchase")],
    )
    for metric in ("advancing_deepened", "advancing_deepened_a"):
        found = [
            (on, *row)
            for on in (f"03-{d:02d}" for d in range(1, 32))
            for row in drivers(warehouse, on, metric)
        ]
        # On the 8th the day a week before is the 1st, when he was in A; on the 12th it is the 5th, when he was in P.
        assert found == [
            ("03-08", "entered", "A", "unknown", "comparison", "none", 1),
            ("03-12", "left", "A", "unknown", "comparison", "none", -1),
        ]


def test_a_rate_falls_apart_into_its_numerator_and_its_denominator(models):
    warehouse = build(
        models,
        spells=[
            (1, "fast_members_30d", "active", "03-01", "03-10"),
            (1, "fast_members_30d", "member", "03-10", None),
            (2, "fast_members_30d", "active", "03-01", None),
            (3, "fast_members_30d", "member", "03-10", None),
            (4, "fast_members_30d", "member", "03-10", None),
            (1, "aipl", "I", "03-01", None),
        ],
        activity=[(3, "03-10", "follow"), (4, "03-10", "follow")],
    )
    # 2 of 2 become 1 of 4: the one who fell asleep costs 1/4, the two new members 2/2 * 2/4.
    assert [
        (d, s, cause, round(c, 9)) for d, s, _, cause, _, c in drivers(warehouse, "03-10", "thriving_rate_30d")
    ] == [
        ("denominator", "member", "relationship", -0.5),
        ("numerator", "active", "window", -0.25),
    ]  # fmt: skip


def test_a_period_counts_people_once_and_looks_from_the_day_before_it_to_its_end(models):
    warehouse = build(
        models,
        spells=[
            (1, "aipl", "A", "02-20", "03-03"),  # deeper at the end of March
            (1, "aipl", "P", "03-20", None),
            (2, "aipl", "A", "03-05", "03-08"),  # in, out and in again: once
            (2, "aipl", "A", "03-10", "03-12"),
            (3, "aipl", "L", "02-01", "03-01"),  # out before the month begins
            (1, "fast_members_30d", "member", "02-20", "03-02"),
            (2, "fast_members_30d", "member", "03-05", None),
            (3, "fast_members_30d", "member", "02-01", None),
            (4, "fast_members_30d", "member", "02-01", None),
        ],
        activity=[(1, "03-20", "purchase"), (2, "03-05", "cart_add"), (3, "03-21", "cart_add")],
    )
    march = warehouse.rows("""
        select fertility, fertility_active, advancing_base, advancing_deepened, advancing_rate, superiority,
            thriving_base, thriving_active, round(thriving_rate, 9)
        from marts.fast_periods where period_kind = 'month' and period_id = '2026-03'
    """)
    # Thriving asks the members of the day before: he who bought is one of them, though no member on the last day.
    assert march == [(2, 2, 2, 1, 0.5, 3, 3, 2, round(2 / 3, 9))]


def test_a_customer_is_in_one_slice_of_a_kind_and_unknown_is_one(models):
    warehouse = build(
        models,
        spells=[(c, "aipl", "A", "03-01", None) for c in (1, 2, 3)]
        + [(3, "aipl", "I", "02-01", "03-01")],
        origins={1: "tmall", 2: "jd"},
    )
    assert warehouse.rows(f"""
        select slice_kind, slice, fertility, advancing_base from marts.fast_slices
        where as_of_date = date '{day("03-04")}' order by all
    """) == [
        ("acquisition_channel", "jd", 1, 0),
        ("acquisition_channel", "tmall", 1, 0),
        ("acquisition_channel", "unknown", 1, 1),
        ("acquisition_domain", "public", 2, 0),
        ("acquisition_domain", "unknown", 1, 1),
    ]


def test_medians_are_of_stays_that_ended_and_of_equal_leaks_the_deeper_one_counts(models):
    warehouse = build(
        models,
        spells=[
            (1, "aipl", "A", "03-01", "03-05"),  # 4 days, then lost
            (2, "aipl", "A", "03-01", "03-11"),  # 10 days, then deeper
            (2, "aipl", "I", "03-11", "03-13"),  # 2 days, then lost
            (3, "aipl", "A", "03-30", "04-14"),  # still there, for 2 days
            (4, "aipl", "I", "04-02", "04-09"),  # to come
        ],
    )
    assert warehouse.rows("""
        select stage, entries, current_customers, forward_exits, lost_exits, median_days_in_stage, median_days_to_next,
            median_days_so_far, is_leak_point
        from marts.stage_journeys order by stage
    """) == [("A", 3, 1, 1, 1, 7, 10, 2, False), ("I", 1, 0, 0, 1, 2, None, None, True)]


def test_a_stock_is_what_came_less_what_went_and_a_day_without_anybody_has_a_row(models):
    warehouse = build(
        models,
        spells=[
            (1, "aipl", "A", "03-28", "03-30"),  # into I
            (1, "aipl", "I", "03-30", "03-31"),  # lost
            (2, "aipl", "A", "03-30", None),
            (3, "fast_super", "super", "03-28", None),  # a part of FAST, not published
        ],
    )
    assert warehouse.rows("""
        select extract('day' from as_of_date), stage, stage_rank, customers, all_customers, customer_share, entered,
            entered_new, exited, exited_lost
        from marts.stage_daily where model = 'aipl' and stage in ('A', 'I') order by as_of_date, stage
    """) == [
        (28, "A", 1, 1, 1, 1, 1, 1, 0, 0), (28, "I", 2, 0, 1, 0, 0, 0, 0, 0),
        (29, "A", 1, 1, 1, 1, 0, 0, 0, 0), (29, "I", 2, 0, 1, 0, 0, 0, 0, 0),
        (30, "A", 1, 1, 2, 0.5, 1, 1, 1, 0), (30, "I", 2, 1, 2, 0.5, 1, 0, 0, 0),
        (31, "A", 1, 1, 1, 1, 0, 0, 0, 0), (31, "I", 2, 0, 1, 0, 0, 0, 1, 1),
    ]  # fmt: skip
    assert (
        warehouse.rows("select distinct model from marts.stage_daily where model like 'fast%'")
        == []
    )


def test_a_customer_stands_where_he_is_today_and_it_is_known_when_he_falls(models):
    tomorrow = (AS_OF + timedelta(days=1)).strftime("%m-%d")
    warehouse = build(
        models,
        spells=[
            (1, "aipl", "I", "03-31", "04-15"),
            (1, "aipl", "A", "04-15", "04-20"),  # will be
            (2, "aipl", "P", "03-01", None),  # for good
            (3, "aipl", "A", "03-16", "03-31"),  # gone today
            (4, "aipl", "A", "03-17", tomorrow),  # the last day
            (5, "fast_super", "super", "03-01", None),  # a part of FAST, not published
        ],
    )
    assert warehouse.rows("""
        select customer_id, stage, days_in_stage, leaves_on, falls_to_stage from marts.customer_stages order by 1
    """) == [
        ("C1", "I", 1, day("04-15"), "A"),
        ("C2", "P", 31, None, None),
        ("C4", "A", 15, day(tomorrow), "none"),
    ]
