"""Mutants of seed rows: a rule as a slip in the file would change it. The file stays; the table in the world changes.

Seeds whose rows are rules of METRICS.md are here, with a second reading that has them by heart. Rows that say what is so
with one user (promotions, targets, caps, departures) are no rules: nothing could know better than they.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

SEEDS = Path(__file__).parents[2] / "seeds"
OPERATORS = {
    "window": "a window of a seed a day longer or shorter",
    "threshold": "a threshold or band of a seed one higher or lower",
    "rank": "two ranks, scores or classes of a seed swapped",
    "group": "of two conditions that must hold together one made sufficient",
    "row": "a row of a seed left out",
    "flag": "yes to no in a seed and back, or another of its words",
}
Row = dict[str, str]


@dataclass(frozen=True)
class SeedMutant:
    """As a Mutant of operators.py; `statements` change the seed's table."""

    id: str
    model: str
    operator: str
    place: str
    change: str
    seed: str
    statements: tuple[str, ...]


def seed_mutants(seed: str) -> list[SeedMutant]:
    """Every mutant of a seed, in the order of its rows."""
    with (SEEDS / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    keys, makers = RULES[seed]
    found = {}
    for maker in makers:
        for operator, row, said, statements in maker(f"reference.{seed}", rows, keys):
            place = " ".join(row[key] for key in keys)
            digest = hashlib.sha256(f"{place}|{said}".encode()).hexdigest()[:8]
            id_ = f"{seed}.csv:{operator}:{digest}"
            found[id_] = SeedMutant(
                id_, f"{seed}.csv", operator, place, said, seed, tuple(statements)
            )
    return list(found.values())


Change = tuple[str, Row, str, list[str]]
Maker = Callable[[str, list[Row], tuple[str, ...]], Iterator[Change]]


def _where(row: Row, keys: Iterable[str]) -> str:
    return " and ".join(f"{key} = '{row[key]}'" for key in keys)


def _set(table: str, row: Row, keys: Iterable[str], **values: str) -> str:
    said = ", ".join(f"{column} = {value}" for column, value in values.items())
    return f"update {table} set {said} where {_where(row, keys)}"


def one_more_or_less(operator: str, column: str) -> Maker:
    """A number of a row alone."""

    def make(table, rows, keys):
        for row in rows:
            if row[column]:
                for other in (int(row[column]) + 1, int(row[column]) - 1):
                    said = f"{column} {row[column]} → {other}"
                    yield operator, row, said, [_set(table, row, keys, **{column: str(other)})]

    return make


def moved_bound(lower: str, upper: str, of: tuple[str, ...]) -> Maker:
    """The bound between two bands, which both rows name."""

    def make(table, rows, keys):
        for row in rows:
            beside = [r for r in rows if all(r[c] == row[c] for c in of) and r[lower] == row[upper]]
            for after in beside if row[upper] else []:
                for other in (int(row[upper]) + 1, int(row[upper]) - 1):
                    if other > int(row[lower] or 0):
                        yield (
                            "threshold",
                            row,
                            f"bound {row[upper]} → {other}",
                            [
                                _set(table, row, keys, **{upper: str(other)}),
                                _set(table, after, keys, **{lower: str(other)}),
                            ],
                        )

    return make


def swapped(columns: tuple[str, ...], of: tuple[str, ...]) -> Maker:
    """Columns of two rows that follow each other, among those that have `of` in common."""

    def make(table, rows, keys):
        lots = defaultdict(list)
        for row in rows:
            lots[tuple(row[column] for column in of)].append(row)
        for lot in lots.values():
            for one, other in pairwise(lot):
                values = [
                    {column: f"'{row[column]}'" for column in columns} for row in (other, one)
                ]
                said = f"{columns[0]} {one[columns[0]]} ↔ {other[columns[0]]}"
                # The key may be what is swapped: both at once.
                cases = ", ".join(
                    f"{c} = case when {_where(one, keys)} then {values[0][c]} else {values[1][c]} end"
                    for c in columns
                )
                both = f"({_where(one, keys)}) or ({_where(other, keys)})"
                yield "rank", one, said, [f"update {table} set {cases} where {both}"]

    return make


def split_groups(group: str, condition: str) -> Maker:
    """A condition that must hold beside others, in a group of its own."""

    def make(table, rows, keys):
        for row in rows:
            if row[condition] != "1":
                alone = {group: "99", condition: "1"}
                said = f"{group} {row[group]} → one of its own"
                yield "group", row, said, [_set(table, row, keys, **alone)]

    return make


def left_out(table: str, rows: list[Row], keys: tuple[str, ...]) -> Iterator[Change]:
    for row in rows:
        yield "row", row, "left out", [f"delete from {table} where {_where(row, keys)}"]


def turned_round(*columns: str) -> Maker:
    """Truth values."""

    def make(table, rows, keys):
        for row in rows:
            for column in columns:
                if row[column]:
                    said = f"{column} {row[column]} → not"
                    yield "flag", row, said, [_set(table, row, keys, **{column: f"not {column}"})]

    return make


def another(column: str) -> Maker:
    """The word that follows among those of the column."""

    def make(table, rows, keys):
        words = sorted({row[column] for row in rows if row[column]})
        for row in rows:
            if row[column]:
                other = words[(words.index(row[column]) + 1) % len(words)]
                said = f"{column} {row[column]} → {other}"
                yield "flag", row, said, [_set(table, row, keys, **{column: f"'{other}'"})]

    return make


# By seed: what names a row, and what may go wrong with it.
RULES: dict[str, tuple[tuple[str, ...], tuple[Maker, ...]]] = {
    "stage_rules": (
        ("model", "stage", "rule_group", "condition"),
        (
            one_more_or_less("window", "window_days"),
            one_more_or_less("threshold", "min_value"),
            split_groups("rule_group", "condition"),
            left_out,
        ),
    ),
    "stages": (("model", "stage"), (swapped(("rank",), ("model",)),)),
    "stage_behaviours": (
        ("behaviour", "source", "name"),
        (
            one_more_or_less("threshold", "value_from"),
            one_more_or_less("threshold", "value_below"),
            turned_round("value_unknown"),
            left_out,
        ),
    ),
    "channels": (("channel",), (another("domain"), left_out)),
    "rfm_breakpoints": (
        ("scheme", "brand_id", "measure", "score"),
        (
            moved_bound("above", "up_to", ("scheme", "brand_id", "measure")),
            swapped(("score",), ("scheme", "brand_id", "measure")),
        ),
    ),
    "rfm_classes": (("rfm_code",), (swapped(("rfm_class", "rfm_class_en"), ()),)),
    "star_age_bands": (("age_band",), (moved_bound("from_age", "below_age", ()),)),
    "star_goals": (("goal", "from_layer", "to_layer"), (left_out,)),
    "growth_event_roles": (
        ("event_type",),
        (
            turned_round(
                "is_active", "is_visit", "is_page_view", "is_login", "is_registration",
                "is_ad_click", "is_live", "is_benefit_grant", "is_benefit_use",
            ),
        ),
    ),
}  # fmt: skip
