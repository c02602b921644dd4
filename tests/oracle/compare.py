"""Differences between what a warehouse says about stages and what the slow reading says, as sentences."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb

from tests.oracle.channels import DOMAINS
from tests.oracle.stages import RANKS, Answers, direction, journeys

PROMOTIONS = Path(__file__).parents[2] / "seeds" / "promotion_calendar.csv"
COUNTS = [
    "fertility",
    "fertility_active",
    "advancing_base",
    "advancing_deepened",
    "advancing_base_a",
    "advancing_deepened_a",
    "advancing_base_i",
    "advancing_deepened_i",
    "advancing_base_p",
    "advancing_deepened_p",
    "advancing_base_without_l",
    "superiority",
    "superiority_super",
    "thriving_active_30d",
    "thriving_active_180d",
]
INDICES = {
    "fertility_index": "fertility",
    "advancing_index": "advancing_rate",
    "superiority_index": "superiority",
    "thriving_index": "thriving_rate_30d",
}
RATES = {
    "advancing_rate": ("advancing_deepened", "advancing_base"),
    "advancing_rate_a": ("advancing_deepened_a", "advancing_base_a"),
    "advancing_rate_i": ("advancing_deepened_i", "advancing_base_i"),
    "advancing_rate_p": ("advancing_deepened_p", "advancing_base_p"),
    "advancing_rate_without_l": ("advancing_deepened", "advancing_base_without_l"),
    "thriving_rate_30d": ("thriving_active_30d", "superiority"),
    "thriving_rate_180d": ("thriving_active_180d", "superiority"),
}


def differences(database: Path, answers: Answers, as_of: date) -> list[str]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return [x for wrong in comparisons(answers, as_of).values() for x in wrong(connection)]


def comparisons(answers: Answers, as_of: date) -> dict[str, Callable]:
    """By table, what on a connection names its differences from the slow reading."""

    def spells(connection) -> list[str]:
        found = _spells(connection, as_of)
        return _different(
            "spells", {k: v for k, v in found.items() if k[0] in RANKS}, answers.spells
        )

    def counts(what: str, read: Callable, expected: dict) -> Callable:
        return lambda connection: _different(
            what, read(connection), {k: dict(v) for k, v in expected.items()}
        )

    by_hand = journeys(answers, as_of)
    whole = {
        "marts.fast_slices": lambda connection: _slices(connection, answers),
        "marts.customer_stages": lambda connection: _different(
            "customer_stages", _standing(connection, as_of), _whole_standing(answers, as_of)
        ),
    }
    return (whole if answers.is_whole else {}) | {
        "lifecycle.fct_stage_spells": spells,
        "lifecycle.fct_stage_transitions": lambda connection: _different(
            "transitions", _transitions(connection), answers.transitions
        ),
        "lifecycle.int_stages__origins": lambda connection: _different(
            "origins", _origins(connection), _with_domains(answers.origins)
        ),
        "marts.stage_journeys": lambda connection: _different(
            "stage_journeys", _journeys(connection, as_of), by_hand
        ),
        "marts.stage_daily": lambda connection: _daily(connection, answers, as_of),
        "marts.stage_flows": counts("stage_flows", _flows, _whole_flows(answers)),
        "marts.fast_daily": lambda connection: _fast(connection, answers),
        "marts.fast_periods": lambda connection: _periods(connection, answers, as_of),
    }


def _different(what: str, ours: dict, theirs: dict) -> list[str]:
    return [
        f"{what} {key}: warehouse {ours.get(key)}, oracle {theirs.get(key)}"
        for key in sorted({*ours, *theirs}, key=str)
        if ours.get(key) != theirs.get(key)
    ]


def spells_of(database: Path, as_of: date) -> dict:
    """{(model, brand, least identifier of the customer): [(stage, from, to or None)]} up to the as-of date."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return _spells(connection, as_of)


def _spells(connection, as_of: date) -> dict:
    rows = connection.execute(
        """
        select s.model, s.brand_id, s.customer_id, m.identifier_type, m.identifier_value, s.stage, s.valid_from, s.valid_to
        from lifecycle.fct_stage_spells s
        join identity.int_identity__customer_map m using (customer_id)
        where s.valid_from <= ?
        """,
        [as_of],
    ).fetchall()
    names: dict = {}
    for *_, customer, kind, value, _, _, _ in rows:
        names[customer] = min(names.get(customer, (kind, value)), (kind, value))
    found: dict = {}
    for model, brand, customer, stage, start, end in sorted(
        {(*row[:3], *row[5:]) for row in rows}, key=lambda r: (*r[:3], r[4])
    ):
        spell = (stage, start, end if end is not None and end <= as_of else None)
        found.setdefault((model, brand, names[customer]), []).append(spell)
    return found


def _named(connection) -> dict[int, tuple[str, str]]:
    """Customers by key, each by the first of its identifiers."""
    return {
        key: (kind, value)
        for key, kind, value in connection.execute(
            """
            select customer_key, min(identifier_type), arg_min(identifier_value, (identifier_type, identifier_value))
            from identity.int_identity__customer_map group by customer_key
            """
        ).fetchall()
    }


def _transitions(connection) -> dict:
    names = _named(connection)
    found: dict = {}
    for model, brand, customer, *turn in connection.execute(
        """
        select model, brand_id, customer_key, changed_on, from_stage, to_stage, direction
        from lifecycle.fct_stage_transitions order by changed_on
        """
    ).fetchall():
        if model in RANKS:
            found.setdefault((model, brand, names[customer]), []).append(tuple(turn))
    return found


def _origins(connection) -> dict:
    names = _named(connection)
    return {
        (brand, names[customer]): origin
        for brand, customer, *origin in connection.execute(
            "select brand_id, customer_key, acquisition_channel, acquisition_domain from lifecycle.int_stages__origins"
        ).fetchall()
    }


def _with_domains(origins: dict) -> dict:
    return {key: [channel, DOMAINS.get(channel, "unknown")] for key, channel in origins.items()}


def _standing(connection, as_of: date) -> dict:
    names = _named(connection)
    keys = dict(
        connection.execute(
            "select distinct customer_id, customer_key from identity.int_identity__customer_map"
        ).fetchall()
    )
    return {
        (model, brand, names[keys[customer]]): tuple(row)
        for model, brand, customer, *row in connection.execute(
            """
            select model, brand_id, customer_id, stage, in_stage_since, previous_stage, leaves_on, falls_to_stage,
                stage_rank, days_in_stage, as_of_date, rules_version
            from marts.customer_stages
            """
        ).fetchall()
    }


def _whole_standing(answers: Answers, as_of: date) -> dict:
    return {
        (model, *whose): (
            stage,
            since,
            *rest,
            RANKS[model].index(stage) + 1,
            (as_of - since).days + 1,
            as_of,
            1,
        )
        for (model, *whose), (stage, since, *rest) in answers.standing.items()
    }


def _journeys(connection, as_of: date) -> dict:
    query = connection.execute("select * from marts.stage_journeys")
    columns = [column[0] for column in query.description]
    found = {}
    for values in query.fetchall():
        row = dict(zip(columns, values, strict=True))
        key = tuple(row.pop(column) for column in ("model", "brand_id", "stage"))
        on = row.pop("as_of_date")
        if key[0] in RANKS:
            found[key] = row if on == as_of else f"as of {on}"
    return found


def _daily(connection, answers: Answers, as_of: date) -> list[str]:
    """Every row with somebody in the stage, coming or going, and that there is a row for every day and stage."""
    ours = {
        (model, brand, day, stage): tuple(figures)
        for model, brand, day, stage, *figures in connection.execute(
            """
            select model, brand_id, as_of_date, stage, customers, all_customers, customer_share, entered, entered_new,
                exited, exited_lost
            from marts.stage_daily where customers <> 0 or entered <> 0 or exited <> 0 or entered_new <> 0 or exited_lost <> 0
            """
        ).fetchall()
        if model in RANKS
    }
    theirs = {}
    for model, brand, day, stage in {
        *answers.moves,
        *((*key, stage) for key, stages in answers.daily.items() for stage in stages),
    }:
        stock = answers.daily.get((model, brand, day), {})
        everybody = sum(stock.values())
        moves = answers.moves.get((model, brand, day, stage), {})
        theirs[model, brand, day, stage] = (
            stock.get(stage, 0),
            everybody,
            stock.get(stage, 0) / everybody if everybody else None,
            *(moves.get(what, 0) for what in ("entered", "entered_new", "exited", "exited_lost")),
        )
    days = {
        (model, brand, stage): (
            rank,
            first,
            as_of,
            (as_of - first).days + 1,
            (as_of - first).days + 1,
        )
        for brand, first in answers.first_day.items()
        for model, stages in RANKS.items()
        for rank, stage in enumerate(stages, 1)
    }
    found = {
        tuple(key): tuple(seen)
        for *key, rank, first, last, rows, different in connection.execute(
            """
            select model, brand_id, stage, stage_rank, min(as_of_date), max(as_of_date), count(*),
                count(distinct as_of_date)
            from marts.stage_daily group by all
            """
        ).fetchall()
        for seen in [(rank, first, last, rows, different)]
        if key[0] in RANKS
    }
    uneven = connection.execute(
        """
        select distinct model, brand_id, as_of_date from marts.stage_daily
        group by model, brand_id, as_of_date having min(all_customers) <> max(all_customers)
            or sum(customers) <> max(all_customers) or abs(coalesce(sum(customer_share), 1) - 1) > 1e-9
        """
    ).fetchall()
    return (
        _different("stage_daily", ours, theirs)
        + _different("days of stage_daily", found, days)
        + [f"stage_daily {key}: its stages are not its customers" for key in uneven]
    )


def _flows(connection) -> dict:
    found: dict = {}
    for model, brand, first, last, source, target, *figures in connection.execute(
        """
        select model, brand_id, from_date, to_date, from_stage, to_stage, customers, horizon_days, direction,
            from_customers, flow_rate
        from marts.stage_flows
        """
    ).fetchall():
        if model in RANKS:
            found.setdefault((model, brand, first, last), {})[source, target] = tuple(figures)
    return found


def _whole_flows(answers: Answers) -> dict:
    """Each flow with its horizon, its direction, the stock it comes from and its share of that."""
    found: dict = {}
    for (model, brand, first, last), pairs in answers.flows.items():
        stock = answers.daily.get((model, brand, first), {})
        found[model, brand, first, last] = {
            (source, target): (
                customers,
                (last - first).days,
                "stayed" if source == target else direction(model, source, target),
                stock.get(source),
                customers / stock[source] if source != "none" else None,
            )
            for (source, target), customers in pairs.items()
        }
    return found


def _rate(top, base):
    return top / base if base else None


def _slices(connection, answers: Answers) -> list[str]:
    """Every slice of a brand on every day of the brand."""
    columns = [
        *("fertility", "advancing_base", "advancing_deepened", "superiority", "superiority_super"),
        *("thriving_active_30d", "thriving_active_180d"),
        *("advancing_rate", "thriving_rate_30d", "thriving_rate_180d"),
    ]
    ours = {
        tuple(key): dict(zip(columns, values, strict=True))
        for *key, values in (
            (*row[:4], row[4:])
            for row in connection.execute(
                f"select brand_id, slice_kind, slice, as_of_date, {', '.join(columns)} from marts.fast_slices"
            ).fetchall()
        )
    }
    # A slice is there where somebody of it has ever been in a stage, or a member, or a follower.
    there = {key[:3] for key, row in answers.slices.items() if any(row.values())}
    theirs = {
        key: {column: row[column] for column in columns[:7]}
        | {rate: _rate(row[top], row[base]) for rate, (top, base) in RATES.items() if rate in columns}
        for key, row in answers.slices.items()
        if key[:3] in there
    }  # fmt: skip
    return _different("fast_slices", ours, theirs)


def _fast(connection, answers: Answers) -> list[str]:
    """Every column of fast_daily."""
    columns = [*COUNTS, *RATES, *INDICES, "index_method"]
    rows = connection.execute("select * from marts.fast_daily")
    names = [column[0] for column in rows.description]
    found = []
    if {"brand_id", "as_of_date", *columns} != set(names):
        found.append(f"fast_daily has the columns {names}, the comparison {columns}")
    expected = _fast_expected(answers)
    seen = set()
    for values in rows.fetchall():
        row = dict(zip(names, values, strict=True))
        key = (row["brand_id"], row["as_of_date"])
        seen.add(key)
        if key not in expected:
            found.append(f"fast_daily {key}: a day that should not be there")
            continue
        for column in columns:
            if not _equal(row[column], expected[key][column]):
                found.append(
                    f"fast_daily {key} {column}: {row[column]}, oracle {expected[key][column]}"
                )
    for key in sorted({*expected} - seen):
        found.append(f"fast_daily {key}: the day is missing")
    return found


def _equal(ours, theirs) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return abs(ours - theirs) <= 1e-12 * max(1.0, abs(theirs))
    return ours == theirs


def _fast_expected(answers: Answers) -> dict:
    """{(brand, day): {column: value}} of the oracle's counts, with the rates and indices that follow from them."""
    rows: dict = {}
    for (brand, day), counted in answers.fast.items():
        row = {column: counted.get(column, 0) for column in COUNTS}
        row["advancing_base_without_l"] = sum(
            counted.get(f"advancing_base_{stage}", 0) for stage in "aip"
        )
        for rate, (top, base) in RATES.items():
            row[rate] = row[top] / row[base] if row[base] else None
        rows[brand, day] = row
    for (brand, day), row in rows.items():
        year_ago = rows.get((brand, day - timedelta(365)))
        row["index_method"] = "year_ago" if year_ago else "best_52_weeks"
        for index, measure in INDICES.items():
            if year_ago:
                against = year_ago[measure]
            else:
                year = (rows.get((brand, day - timedelta(back))) for back in range(364))
                against = max((x[measure] for x in year if x and x[measure] is not None), default=0)
            value = row[measure]
            row[index] = 100 * value / against if against and value is not None else None
    return rows


PERIOD_COUNTS = [
    "fertility",
    "fertility_active",
    "advancing_base",
    "advancing_deepened",
    "superiority",
    "thriving_base",
    "thriving_active",
]


def _periods(connection, answers: Answers, as_of: date) -> list[str]:
    """Every column of fast_periods."""
    with PROMOTIONS.open(encoding="utf-8", newline="") as handle:
        promotions = {row["promotion_id"]: row for row in csv.DictReader(handle)}
    expected = {}
    for (brand, kind, name), counted in answers.periods.items():
        row = {column: counted.get(column, 0) for column in PERIOD_COUNTS}
        if kind == "promotion":
            starts_on, ends_on = (
                date.fromisoformat(promotions[name][side]) for side in ("starts_on", "ends_on")
            )
        elif kind == "week":
            starts_on = date.fromisoformat(name)
            ends_on = starts_on + timedelta(6)
        else:
            starts_on = date.fromisoformat(f"{name}-01")
            ends_on = (starts_on + timedelta(31)).replace(day=1) - timedelta(1)
        row |= {"starts_on": starts_on, "ends_on": ends_on, "last_on": min(ends_on, as_of)}
        row["is_complete"] = ends_on <= as_of
        for rate, top, base in (
            ("advancing_rate", "advancing_deepened", "advancing_base"),
            ("thriving_rate", "thriving_active", "thriving_base"),
        ):
            row[rate] = row[top] / row[base] if row[base] else None
        expected[brand, kind, name] = row
    rows = connection.execute("select * from marts.fast_periods")
    names = [column[0] for column in rows.description]
    found = {
        (row["brand_id"], row["period_kind"], row["period_id"]): {
            name: value
            for name, value in row.items()
            if name not in ("brand_id", "period_kind", "period_id")
        }
        for row in (dict(zip(names, values, strict=True)) for values in rows.fetchall())
    }
    wrong = []
    for key in sorted({*found, *expected}):
        ours, theirs = found.get(key), expected.get(key)
        if ours is None or theirs is None or {*ours} != {*theirs}:
            wrong.append(f"fast_periods {key}: warehouse {ours}, oracle {theirs}")
            continue
        wrong += [
            f"fast_periods {key} {column}: {ours[column]}, oracle {theirs[column]}"
            for column in theirs
            if not _equal(ours[column], theirs[column])
        ]
    return wrong
