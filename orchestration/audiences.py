"""Checks the rules of tags and audiences (seeds) before dbt sees them, and says what is wrong in the words of their author.

dbt would stop on a mistyped number with the database's own message, and would not stop at all on an audience that asks
for a stage that no model has: it would be empty, and somebody would wait for its sales.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from orchestration.warehouse import PROJECT

SEEDS = PROJECT / "seeds"

COUNTS = ("measure", "min_value", "max_value")
WINDOW = ("window_days", "days_ago")
CONDITION = ("subject", "name", "value", "channel", *COUNTS, *WINDOW)
FLOWS = ("deepened", "fell_back", "new", "lost")
BANDS = ("active", "due", "warning", "churned")
RELATIONSHIPS = ("member", "follower", "wecom_contact", "group_member")
MEASURES = ("events", "days", "amount")


class RuleError(ValueError):
    """Rules that cannot be built; the message has a line per error: file, line, rule, column, what to do."""


@dataclass(frozen=True)
class Row:
    """A row of a seed, with the line on which it ends in the file."""

    file: str
    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return (self.cells.get(column) or "").strip()


@dataclass(frozen=True)
class Subject:
    """What may be asked about a subject. Columns that are not `allowed` must be empty."""

    allowed: tuple[str, ...]
    names: Callable[[Vocabulary], Iterable[str]] | None = None
    values: Callable[[Vocabulary, str], Iterable[str] | None] = lambda words, name: None
    needed: tuple[str, ...] = ()
    measures: tuple[str, ...] = MEASURES
    has_value_of_its_own: bool = False


@dataclass
class Vocabulary:
    """The words that rules may use, from the other seeds."""

    stages: dict[str, list[str]] = field(default_factory=dict)
    behaviours: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    rfm_codes: list[str] = field(default_factory=list)
    tags: dict[str, set[str]] = field(default_factory=dict)
    audiences: list[str] = field(default_factory=list)
    identifier_types: list[str] = field(default_factory=list)


def _flow_values(words: Vocabulary, model: str) -> list[str]:
    stages = [*words.stages.get(model, []), "none"]
    return [*FLOWS, *(f"{a}>{b}" for a in stages for b in stages if a != b)]


SUBJECTS = {
    "stage": Subject(
        ("name", "value", *WINDOW),
        lambda words: words.stages,
        lambda words, model: words.stages.get(model, []),
        has_value_of_its_own=True,
    ),
    "flow": Subject(
        ("name", "value", "window_days"),
        lambda words: words.stages,
        _flow_values,
        needed=("value", "window_days"),
    ),
    "behaviour": Subject(
        ("name", "channel", *COUNTS, *WINDOW),
        lambda words: words.behaviours,
        has_value_of_its_own=True,
    ),
    "order": Subject(
        ("name", "channel", *COUNTS, *WINDOW),
        lambda words: ("purchase", "first_purchase", "unpaid"),
        has_value_of_its_own=True,
    ),
    "bought": Subject(
        ("name", "value", *COUNTS, *WINDOW),
        lambda words: ("category", "product"),
        measures=("events", "days"),
        has_value_of_its_own=True,
    ),
    "cart": Subject(("name", "value", *WINDOW), lambda words: ("open", "paid")),
    "relationship": Subject(
        ("name", "value", *WINDOW),
        lambda words: (*RELATIONSHIPS, "any"),
        lambda words, name: {"follower": words.channels, "any": RELATIONSHIPS}.get(name),
        has_value_of_its_own=True,
    ),
    "reachable": Subject(
        ("name", "value", *WINDOW),
        lambda words: ("any",),
        lambda words, name: words.channels,
        has_value_of_its_own=True,
    ),
    "message": Subject(
        ("name", "channel", *COUNTS, *WINDOW),
        lambda words: ("sent", "delivered", "opened", "clicked", "unsubscribed"),
        measures=("events", "days"),
    ),
    "rfm": Subject(
        ("name", "value"),
        lambda words: ("all", "online", "offline", *(f"platform:{c}" for c in words.channels)),
        lambda words, name: words.rfm_codes,
        has_value_of_its_own=True,
    ),
    "cycle": Subject(
        ("name", "value"),
        lambda words: ("band", "due"),
        lambda words, name: BANDS if name == "band" else None,
        has_value_of_its_own=True,
    ),
    "score": Subject(
        ("name", "measure", "min_value", "max_value"),
        lambda words: ("is_high_value", "clv", "p_alive"),
        measures=("amount",),
    ),
    "owner": Subject(("value",), has_value_of_its_own=True),
    "tag": Subject(
        ("name", "value", *WINDOW),
        lambda words: words.tags,
        lambda words, tag: sorted(words.tags.get(tag, ())) or None,
    ),
    "audience": Subject(("name", *WINDOW), lambda words: words.audiences),
    "everyone": Subject(()),
}


def check_rules(seeds: Path = SEEDS) -> int:
    """Number of tags and audiences that are defined. Raises RuleError when a rule cannot be built."""
    errors = rule_errors(seeds)
    if errors:
        raise RuleError(
            f"{len(errors)} error{'s' if len(errors) > 1 else ''} in the rules of tags and audiences"
            " (docs/audiences.md):\n  " + "\n  ".join(errors)
        )
    return len(_rows(seeds, "tag_definitions")) + len(_rows(seeds, "audience_definitions"))


def rule_errors(seeds: Path = SEEDS) -> list[str]:
    """Every error in the seeds of tags and audiences, as sentences `file, line, rule, column: what`."""
    errors = []
    for owner, columns in (("tag", ("tag", "tag_value")), ("audience", ("audience",))):
        file = f"{owner}_rules"
        found = _header(seeds, file)
        wanted = (*columns, "rule_group", "condition", "is_not", *CONDITION)
        errors += [f"seeds/{file}.csv: the column {c} is missing" for c in wanted if c not in found]
        errors += [
            f"seeds/{file}.csv: there is no column {c} in a rule" for c in found if c not in wanted
        ]
    if errors:
        return errors
    words = _vocabulary(seeds)
    return [
        *_definition_errors(seeds),
        *_rules_errors(_rows(seeds, "tag_rules"), "tag", words),
        *_rules_errors(_rows(seeds, "audience_rules"), "audience", words),
        *_manual_errors(seeds, words),
        *_cap_errors(seeds, words),
    ]


def _header(seeds: Path, name: str) -> list[str]:
    with (seeds / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _rows(seeds: Path, name: str) -> list[Row]:
    with (seeds / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        return [Row(f"seeds/{name}.csv", reader.line_num, cells) for cells in reader]


def _vocabulary(seeds: Path) -> Vocabulary:
    words = Vocabulary(
        channels=[row["channel"] for row in _rows(seeds, "channels")],
        rfm_codes=[row["rfm_code"] for row in _rows(seeds, "rfm_classes")],
        audiences=[row["audience"] for row in _rows(seeds, "audience_definitions")],
        identifier_types=[row["identifier_type"] for row in _rows(seeds, "identifier_types")],
        tags={row["tag"]: set() for row in _rows(seeds, "tag_definitions")},
    )
    for row in _rows(seeds, "stages"):
        words.stages.setdefault(row["model"], []).append(row["stage"])
    sources: dict[str, set[str]] = {}
    for row in _rows(seeds, "stage_behaviours"):
        is_event = row["source"] == "touchpoint" and row["name"] != "*"
        sources.setdefault(row["behaviour"], set()).add("event" if is_event else "other")
    words.behaviours = [
        *(row["event_type"] for row in _rows(seeds, "event_types")),
        *(name for name, kinds in sources.items() if kinds == {"event"}),
        "any_touchpoint",
    ]
    # A tag that takes its value from the fact, or from the staff, may have any.
    open_tags = {row["tag"] for row in _rows(seeds, "tag_rules") if row["tag_value"] == "*"}
    for row in _rows(seeds, "tag_rules"):
        if row["tag"] in words.tags and row["tag"] not in open_tags:
            words.tags[row["tag"]].add(row["tag_value"])
    return words


def _rules_errors(rows: list[Row], owner: str, words: Vocabulary) -> list[str]:
    errors: list[str] = []
    groups: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        key = (row[owner], row["tag_value"])
        groups.setdefault(key, {}).setdefault(row["rule_group"], []).append(row)
        errors += _condition_errors(row, owner, words)
    composed = {row[owner] for row in rows if row["subject"] == "audience"}
    for row in rows:
        if owner == "tag" and row["subject"] in ("tag", "audience"):
            errors.append(
                _say(row, owner, "subject", "a tag is made of facts, not of tags or audiences")
            )
        elif row["subject"] == "audience" and row["name"] in composed:
            errors.append(
                _say(
                    row,
                    owner,
                    "name",
                    f"`{row['name']}` is made of audiences itself; name those of facts and tags",
                )
            )
    for of_owner in groups.values():
        numbers = sorted(of_owner, key=lambda number: (len(number), number))
        expected = [str(n) for n in range(1, len(numbers) + 1)]
        for number in [n for n, m in zip(numbers, expected, strict=True) if n != m][:1]:
            errors.append(
                _say(
                    of_owner[number][0],
                    owner,
                    "rule_group",
                    f"groups are numbered 1, 2, 3 without a gap, not {', '.join(numbers)}",
                )
            )
        for conditions in of_owner.values():
            errors += _group_errors(conditions, owner)
    return errors


def _group_errors(rows: list[Row], owner: str) -> list[str]:
    first = rows[0]
    errors = []
    if len({row["condition"] for row in rows}) < len(rows):
        errors.append(
            _say(first, owner, "condition", "two conditions of the group have one number")
        )
    if all(row["is_not"].lower() == "true" for row in rows):
        errors.append(
            _say(
                first,
                owner,
                "is_not",
                "a group needs a condition that is not negated: start from the subject `everyone`",
            )
        )
    if first["tag_value"] == "*":
        subject = SUBJECTS.get(first["subject"])
        has_none = subject is not None and not subject.has_value_of_its_own
        if first["subject"] == "relationship" and first["name"] in ("member", "any"):
            has_none = True
        if len(rows) > 1 or first["is_not"].lower() == "true":
            errors.append(
                _say(
                    first,
                    owner,
                    "tag_value",
                    "`*` takes the value from one condition: no second, no is_not",
                )
            )
        elif has_none:
            errors.append(
                _say(
                    first, owner, "tag_value", f"`{first['subject']}` has no value for `*` to take"
                )
            )
    return errors


def _condition_errors(row: Row, owner: str, words: Vocabulary) -> list[str]:
    errors: list[str] = []

    def wrong(column: str, what: str) -> None:
        errors.append(_say(row, owner, column, what))

    owners = words.audiences if owner == "audience" else list(words.tags)
    if row[owner] not in owners:
        wrong(owner, _unknown(row[owner], owners, f"has no row in {owner}_definitions"))
    if owner == "tag" and not row["tag_value"]:
        wrong("tag_value", "is empty")
    for column in ("rule_group", "condition"):
        if not _is_whole(row[column]) or int(row[column]) < 1:
            wrong(column, f"`{row[column]}` is no whole number from 1")
    if row["is_not"].lower() not in ("true", "false", ""):
        wrong("is_not", f"`{row['is_not']}` is neither true nor false")

    numbers = {}
    for column in ("min_value", "max_value"):
        if row[column]:
            try:
                numbers[column] = float(row[column])
            except ValueError:
                wrong(column, f"`{row[column]}` is no number")
    for column in WINDOW:
        if row[column]:
            if _is_whole(row[column]) and int(row[column]) >= 1:
                numbers[column] = int(row[column])
            else:
                wrong(column, f"`{row[column]}` is no whole number of days from 1")
    if numbers.get("min_value", 1) <= 0:
        wrong("min_value", "must be above 0; for `none at all` set is_not to true")
    if numbers.get("max_value", float("inf")) < numbers.get("min_value", 0):
        wrong("max_value", "is below min_value")
    if numbers.get("days_ago", 0) >= numbers.get("window_days", float("inf")):
        wrong(
            "days_ago", "nothing is older than the window and in it: it must be below window_days"
        )

    subject = SUBJECTS.get(row["subject"])
    if subject is None:
        wrong("subject", _unknown(row["subject"], SUBJECTS, "cannot be asked about"))
        return errors
    if subject.names is not None:
        names = list(subject.names(words))
        if row["name"] not in names:
            wrong("name", _unknown(row["name"], names, f"is nothing that `{row['subject']}` knows"))
            return errors
    for column in CONDITION[1:]:
        if row[column] and column not in subject.allowed:
            wrong(column, f"must be empty: `{row['subject']}` does not use it")
    for column in subject.needed:
        if not row[column]:
            wrong(column, f"is empty, and `{row['subject']}` needs it")
    if row["measure"] and "measure" in subject.allowed and row["measure"] not in subject.measures:
        wrong(
            "measure",
            _unknown(row["measure"], subject.measures, f"does not fit `{row['subject']}`"),
        )
    if row["subject"] == "score" and row["name"] != "is_high_value" and not numbers:
        wrong("min_value", f"is empty, and so is max_value: how much {row['name']}?")
    if row["channel"] and row["name"] in ("any_touchpoint", "first_purchase"):
        wrong("channel", f"must be empty: `{row['name']}` is over all channels")
    known = subject.values(words, row["name"])
    errors += _list_errors(row, owner, "value", known)
    errors += _list_errors(row, owner, "channel", words.channels)
    return errors


def _list_errors(row: Row, owner: str, column: str, known: Iterable[str] | None) -> list[str]:
    """Errors in the words of a list separated by `|`; `known` None: any word will do."""
    items = row[column].split("|") if row[column] else []
    if len(set(items)) < len(items) or any(item != item.strip() or not item for item in items):
        return [
            _say(
                row, owner, column, f"`{row[column]}`: words once each, `|` between them, no blanks"
            )
        ]
    if "*" in items:
        return [_say(row, owner, column, "leave it empty for any value")]
    if known is None:
        return []
    known = list(known)
    return [
        _say(row, owner, column, _unknown(item, known, "is unknown"))
        for item in items
        if item not in known
    ]


def _definition_errors(seeds: Path) -> list[str]:
    errors = []
    for owner in ("tag", "audience"):
        rows = _rows(seeds, f"{owner}_definitions")
        ruled = {row[owner] for row in _rows(seeds, f"{owner}_rules")}
        seen: set[str] = set()
        for row in rows:
            name = row[owner]
            if not name or name in seen:
                errors.append(_say(row, owner, owner, "is empty or there twice"))
            seen.add(name)
            if owner == "audience":
                try:
                    is_share = 0 <= float(row["hold_out_share"]) <= 1
                except ValueError:
                    is_share = False
                if not is_share:
                    errors.append(
                        _say(
                            row,
                            owner,
                            "hold_out_share",
                            f"`{row['hold_out_share']}` is no share from 0 to 1",
                        )
                    )
                if not row["brand_id"]:
                    errors.append(_say(row, owner, "brand_id", "is empty; `*` is every brand"))
            else:
                for column, allowed in (
                    ("kind", ("fact", "rule", "model", "manual", "event")),
                    ("on_end", ("drop", "keep")),
                    ("is_multi_valued", ("true", "false")),
                ):
                    value = row[column].lower() if column == "is_multi_valued" else row[column]
                    if value not in allowed:
                        errors.append(
                            _say(row, owner, column, _unknown(row[column], allowed, "is unknown"))
                        )
            is_manual = owner == "tag" and row["kind"] == "manual"
            if is_manual and name in ruled:
                errors.append(_say(row, owner, "kind", "a manual tag has no rules in tag_rules"))
            if not is_manual and name not in ruled:
                errors.append(_say(row, owner, owner, f"has no rule in {owner}_rules"))
    return errors


def _manual_errors(seeds: Path, words: Vocabulary) -> list[str]:
    manual = {row["tag"] for row in _rows(seeds, "tag_definitions") if row["kind"] == "manual"}
    errors = []
    for row in _rows(seeds, "manual_tags"):
        if row["tag"] not in manual:
            errors.append(_say(row, "tag", "tag", _unknown(row["tag"], manual, "is no manual tag")))
        if row["identifier_type"].lower() not in words.identifier_types:
            errors.append(
                _say(
                    row,
                    "tag",
                    "identifier_type",
                    _unknown(row["identifier_type"], words.identifier_types, "is unknown"),
                )
            )
        days = {}
        for column in ("valid_from", "valid_to"):
            try:
                days[column] = date.fromisoformat(row[column]) if row[column] else None
            except ValueError:
                errors.append(
                    _say(row, "tag", column, f"`{row[column]}` is no day like 2026-06-30")
                )
        if not row["valid_from"]:
            errors.append(_say(row, "tag", "valid_from", "is empty"))
        if (
            days.get("valid_from")
            and days.get("valid_to")
            and days["valid_to"] <= days["valid_from"]
        ):
            errors.append(_say(row, "tag", "valid_to", "is not after valid_from"))
    return errors


def _cap_errors(seeds: Path, words: Vocabulary) -> list[str]:
    errors = []
    for row in _rows(seeds, "frequency_caps"):
        if row["channel"] not in (*words.channels, "*"):
            errors.append(
                _say(
                    row,
                    "channel",
                    "channel",
                    _unknown(row["channel"], words.channels, "is unknown"),
                )
            )
        for column in ("max_messages", "window_days"):
            if not _is_whole(row[column]) or int(row[column]) < 1:
                errors.append(
                    _say(row, "channel", column, f"`{row[column]}` is no whole number from 1")
                )
    return errors


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _say(row: Row, owner: str, column: str, what: str) -> str:
    place = f"{owner} {row[owner]}"
    if row["tag_value"]:
        place += f" = {row['tag_value']}" if "identifier_value" not in row.cells else ""
    if row["rule_group"]:
        place += f", group {row['rule_group']}, condition {row['condition']}"
    return f"{row.file} line {row.line} ({place}), column {column}: {what}"


def _unknown(word: str, known: Iterable[str], what: str) -> str:
    known = list(known)
    near = get_close_matches(word, known, n=1)
    if near:
        hint = f"; did you mean `{near[0]}`?"
    else:
        hint = f"; use {', '.join(known)}" if 0 < len(known) <= 8 else ""
    return f"`{word}` {what}{hint}" if word else f"is empty{hint}"
