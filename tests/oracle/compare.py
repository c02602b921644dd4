"""Differences between what a warehouse says about stages and what the slow reading says, as sentences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb

from tests.oracle.stages import RANKS, Answers

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
    "superiority",
    "superiority_super",
    "thriving_active_30d",
    "thriving_active_180d",
]
RATES = {
    "advancing_rate": ("advancing_deepened", "advancing_base"),
    "advancing_rate_a": ("advancing_deepened_a", "advancing_base_a"),
    "advancing_rate_i": ("advancing_deepened_i", "advancing_base_i"),
    "advancing_rate_p": ("advancing_deepened_p", "advancing_base_p"),
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

    return {
        "lifecycle.fct_stage_spells": spells,
        "marts.stage_daily": counts("stage_daily", _daily, answers.daily),
        "marts.stage_flows": counts("stage_flows", _flows, answers.flows),
        "marts.fast_daily": lambda connection: _fast(connection, answers),
        "marts.fast_periods": counts("fast_periods", _periods, answers.periods),
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


def _daily(connection) -> dict:
    found: dict = {}
    for model, brand, day, stage, customers in connection.execute(
        "select model, brand_id, as_of_date, stage, customers from marts.stage_daily where customers <> 0"
    ).fetchall():
        if model in RANKS:
            found.setdefault((model, brand, day), {})[stage] = customers
    return found


def _flows(connection) -> dict:
    found: dict = {}
    for model, brand, first, last, source, target, customers in connection.execute(
        "select model, brand_id, from_date, to_date, from_stage, to_stage, customers from marts.stage_flows"
    ).fetchall():
        if model in RANKS:
            found.setdefault((model, brand, first, last), {})[source, target] = customers
    return found


def _fast(connection, answers: Answers) -> list[str]:
    columns = COUNTS + list(RATES)
    found = []
    seen = set()
    for brand, day, *values in connection.execute(
        f"select brand_id, as_of_date, {', '.join(columns)} from marts.fast_daily"
    ).fetchall():
        row = dict(zip(columns, values, strict=True))
        expected = answers.fast.get((brand, day), {})
        seen.add((brand, day))
        for column in COUNTS:
            if row[column] != expected.get(column, 0):
                found.append(
                    f"fast_daily {brand} {day} {column}: {row[column]}, oracle {expected.get(column, 0)}"
                )
        for column, (top, base) in RATES.items():
            rate = expected.get(top, 0) / expected[base] if expected.get(base) else None
            if (rate is None) != (row[column] is None) or (
                rate is not None and abs(rate - row[column]) > 1e-12
            ):
                found.append(f"fast_daily {brand} {day} {column}: {row[column]}, oracle {rate}")
    for brand, first in answers.first_day.items():
        days = [d for b, d in answers.fast if b == brand]
        missing = [d for d in days if (brand, d) not in seen]
        if missing:
            found.append(
                f"fast_daily {brand}: {len(missing)} days from {first} are missing, e.g. {missing[0]}"
            )
        if (brand, first - timedelta(1)) in seen:
            found.append(f"fast_daily {brand}: begins before {first}")
    return found


def _periods(connection) -> dict:
    columns = [
        "fertility",
        "fertility_active",
        "advancing_base",
        "advancing_deepened",
        "superiority",
        "thriving_base",
        "thriving_active",
    ]
    return {
        tuple(key): dict(zip(columns, values, strict=True))
        for *key, values in (
            (*row[:3], row[3:])
            for row in connection.execute(
                f"select brand_id, period_kind, period_id, {', '.join(columns)} from marts.fast_periods"
            ).fetchall()
        )
    }
