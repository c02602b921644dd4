"""Verdicts on new batches: which are admitted, which are held, and why, in plain sentences."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestration.contract import Entity
from orchestration.gate import GateError
from orchestration.gate.checks import (
    POOLED,
    UNSPLITTABLE,
    Thresholds,
    checks_of,
    count_columns,
    profile_columns,
)
from orchestration.gate.pages import render
from orchestration.gate.suites import CRITICAL, Rule, rules_for, suite_for, thresholds_of
from orchestration.intake import BatchRecord, Verdict

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

KEEP_LOADS = 30
RECENT_BATCHES = 28
RECENT_MINIMUM = 7

Key = tuple[str, str]  # (entity, batch)
Row = Mapping[str, Any]  # a row of the enriched profile


def judge(
    profiles: Mapping[str, pd.DataFrame],
    batches: Sequence[BatchRecord],
    recent: Mapping[str, Iterable[tuple[date, int]]],
    contract: Mapping[str, Entity],
    workspace: Path,
    *,
    load_number: int,
    thresholds: Mapping[str, Thresholds] | None = None,
    judged_at: datetime | None = None,
    keep: int = KEEP_LOADS,
) -> dict[Key, Verdict]:
    """Judge the new batches of one load; write the results and the pages under `workspace`/gate.

    `profiles` holds per entity the frame of `profile.profile`; a batch with rows must be in it.
    `recent` holds per entity (batch date, landed rows) of the dated batches that were admitted
    before. A batch that the intake could not read is held for the intake's own reasons. Returns a
    verdict for every batch; without batches nothing is written. Raises GateError when a profile
    does not have what the suite needs: no verdict is better than a blind one.
    """
    by_entity: dict[str, list[BatchRecord]] = {}
    for record in sorted(batches, key=lambda record: (record.entity, record.batch)):
        by_entity.setdefault(record.entity, []).append(record)
    verdicts: dict[Key, Verdict] = {}
    results: dict[str, dict] = {}
    validator = None
    for name, records in by_entity.items():
        for record in records:
            verdicts[name, record.batch] = Verdict(
                held=bool(record.unreadable),
                reasons=[f"{_label(record)}: {_blanked(why)}" for why in record.unreadable],
                warnings=[],
            )
        readable = [record for record in records if not record.unreadable]
        if not readable:
            continue
        entity = contract[name]
        limits = (thresholds or {}).get(name) or thresholds_of(entity)
        frame = enrich(profiles.get(name), readable, entity, recent.get(name, ()), limits)
        validator = validator or _Validator()
        results[name] = validator.validate(frame, suite_for(entity, limits))
        faults = failures(results[name])
        failing = frame[frame["batch"].isin(faults)].to_dict("records")
        rows = {row["batch"]: row for row in failing}
        rules = {(rule.measure, rule.severity): rule for rule in rules_for(entity, limits)}
        for record in readable:
            if record.batch in faults:
                failed = [rules[fault] for fault in faults[record.batch]]
                verdicts[name, record.batch] = _verdict(failed, rows[record.batch], record, entity)
    if verdicts:
        root = Path(workspace) / "gate"
        summary = _summary(by_entity, verdicts, load_number, judged_at or datetime.now(UTC))
        _write(root / "results", load_number, results, summary, keep)
        render(root, contract, load_number)
    return verdicts


def enrich(
    profile: pd.DataFrame | None,
    records: Sequence[BatchRecord],
    entity: Entity,
    recent: Iterable[tuple[date, int]],
    limits: Thresholds,
) -> pd.DataFrame:
    """The frame that the suite validates: a row per batch, with every figure that a rule judges.

    Shares are NULL, and so not judged, in batches of fewer than `limits.min_rows` rows; so is the
    volume where fewer are usual. It is compared with earlier batches of this load as well as with
    admitted ones, so that a first load is judged like daily ones.
    """
    wanted = profile_columns(entity)
    found = pd.DataFrame(columns=wanted) if profile is None else profile
    absent = [column for column in wanted if column not in found.columns]
    if absent:
        raise GateError(f"the profile of {entity.name} lacks the columns {', '.join(absent)}")
    found = found.set_index("batch")
    lost = [r.batch for r in records if r.rows and r.batch not in found.index]
    if lost or not found.index.is_unique:
        which = f"no row for the batches {', '.join(lost)}" if lost else "a batch twice"
        raise GateError(f"the profile of {entity.name} has {which}")
    found = found.reindex([record.batch for record in records])

    counts = [*count_columns(entity), "rows", "quarantined_rows", "distinct_keys"]
    frame = {name: found[name].astype("float64").fillna(0).astype("int64") for name in counts}
    for check in POOLED:
        names = [f"{column}__{other}" for column, other in checks_of(entity) if other == check]
        frame[f"any__{check}"] = sum(frame[name] for name in names)
    judged = frame["rows"].where(frame["rows"] >= max(limits.min_rows, 1)).astype("float64")
    for name in count_columns(entity):
        frame[f"{name}_share"] = frame[name] / judged
    frame["quarantined_share"] = frame["quarantined_rows"] / judged
    frame["unique_key_share"] = frame["distinct_keys"] / judged

    required = {column.name for column in entity.columns if column.required}
    frame["missing_required_columns"] = [len(required & set(r.missing_columns)) for r in records]
    frame["extra_columns"] = [len(r.extra_columns) for r in records]
    dates = pd.to_datetime(pd.Series([r.batch_date for r in records], index=found.index))
    for name in ("first_day", "last_day"):
        frame[name] = pd.to_datetime(found[name])
    frame["days_behind"] = (dates - frame["last_day"]).dt.days.astype("float64")
    medians = pd.Series(_recent_medians(records, recent), index=found.index, dtype="float64")
    frame["recent_median_rows"] = medians
    if "row__unsplittable_example" in found:
        frame["row__unsplittable_example"] = found["row__unsplittable_example"]
    # A source of eight refunds a day has five times as many on some days: that says nothing.
    ratio = frame["rows"] / medians.where(medians >= max(limits.min_rows, 1))
    # An empty batch has a rule of its own; a second warning would say nothing new.
    frame["rows_vs_recent"] = ratio.where(frame["rows"] > 0)
    return pd.DataFrame(frame, index=found.index).rename_axis("batch").reset_index()


def _recent_medians(
    records: Sequence[BatchRecord], recent: Iterable[tuple[date, int]]
) -> list[float | None]:
    """Median landed rows of the dated batches before each record, None where there are too few."""
    landed = dict(recent) | {r.batch_date: r.rows for r in records if r.batch_date}
    days = sorted(landed)
    medians: list[float | None] = []
    for record in records:
        end = bisect_left(days, record.batch_date) if record.batch_date else 0
        before = [landed[day] for day in days[max(0, end - RECENT_BATCHES) : end]]
        medians.append(median(before) if len(before) >= RECENT_MINIMUM else None)
    return medians


class _Validator:
    """Great Expectations in memory: imported at the first batch; no telemetry, bars or files."""

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read once, at import
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        # This one sets its own level, to announce a folder that nobody will look into.
        logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.WARNING)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("gate").add_dataframe_asset("profile")
        self._definition = asset.add_batch_definition_whole_dataframe("batches")

    def validate(self, frame: pd.DataFrame, suite: ExpectationSuite) -> dict:
        """Great Expectations' own JSON; GateError if an expectation could not be evaluated."""
        result = self._definition.get_batch({"dataframe": frame}).validate(
            suite,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": ["batch"],
                "partial_unexpected_count": 0,  # the complete list is there
            },
        )
        data = result.to_json_dict()
        for outcome in data["results"]:
            if "unexpected_count" not in outcome["result"]:
                column = outcome["expectation_config"]["kwargs"]["column"]
                details = json.dumps(outcome["exception_info"])[-300:]
                raise GateError(f"{suite.name}: {column} could not be evaluated: {details}")
        return data


def failures(result: Mapping) -> dict[str, list[tuple[str, str]]]:
    """Per batch the (measure, severity) of each expectation that it fails, from the JSON."""
    failed: dict[str, list[tuple[str, str]]] = {}
    for outcome in result["results"]:
        config = outcome["expectation_config"]
        for index in outcome["result"].get("unexpected_index_list") or ():
            fault = (config["kwargs"]["column"], config["severity"])
            failed.setdefault(index["batch"], []).append(fault)
    return failed


def _verdict(failed: Sequence[Rule], row: Row, record: BatchRecord, entity: Entity) -> Verdict:
    """The verdict on a batch that failed these rules, a sentence for each."""
    reasons, warnings = [], []
    critical = {rule.subject for rule in failed if rule.severity == CRITICAL}
    for rule in failed:
        if rule.severity != CRITICAL and rule.subject in critical:
            continue
        seen = observed(rule.subject, row, record, entity)
        sentence = f"{_label(record)}: {seen}; allowed: {rule.allowed}. {rule.why} {rule.do}"
        (reasons if rule.severity == CRITICAL else warnings).append(sentence)
    return Verdict(held=bool(reasons), reasons=reasons, warnings=warnings)


PHRASES = {
    "missing": "is empty",
    "unreadable": "cannot be read",
    "negative": "is negative",
    "unknown": "is not in the list of allowed values",
    "after_batch": "lies after the batch date",
    "scientific": "is an id in scientific notation",
    "too_long": "is too long",
    "damaged": "has NUL or replacement characters",
}


def observed(subject: str, row: Row, record: BatchRecord, entity: Entity) -> str:
    """What the batch showed, in names and counts: values of rows may be personal data."""
    rows = int(row["rows"])
    column, _, check = subject.rpartition("__")
    if subject == UNSPLITTABLE:
        example = row.get("row__unsplittable_example")
        because = f" (for example: {example})" if isinstance(example, str) else ""
        return f"{_of(row[subject], rows)} cannot be split into fields{because}"
    if column == "any":
        names = [name for name, other in checks_of(entity) if other == check]
        found = [f"`{name}` in {int(n):,}" for name in names if (n := row[f"{name}__{check}"])]
        return f"a value {PHRASES[check]} ({', '.join(found)} of {rows:,} rows)"
    if check in PHRASES:
        return f"`{column}` {PHRASES[check]} in {_of(row[subject], rows)}"
    if subject == "missing_required_columns":
        required = [c.name for c in entity.columns if c.required]
        names = ", ".join(f"`{name}`" for name in required if name in record.missing_columns)
        return f"missing required columns {names}"
    if subject == "extra_columns":
        return f"columns outside the contract: {_extra_names(record, row)}"
    if subject == "unique_key_share":
        return f"{int(row['distinct_keys']):,} different keys in {rows:,} rows ({row[subject]:.1%})"
    if subject == "quarantined_share":
        causes = [(int(row[f"{c}__{check}"]), c, check) for c, check in checks_of(entity)]
        causes.append((int(row[UNSPLITTABLE]), "row", "unsplittable"))
        most = [
            f"`{name}` {check.replace('_', ' ')} in {count:,}"
            for count, name, check in sorted(causes, key=lambda cause: -cause[0])[:3]
            if count
        ]
        why = f" ({', '.join(most)})" if most else ""
        return f"{_of(row['quarantined_rows'], rows)} would be quarantined{why}"
    if subject == "rows_vs_recent":
        usual = f"{row['recent_median_rows']:,.0f}"
        return f"{rows:,} rows, {row[subject]:.2f} times the median {usual} of recent batches"
    if subject == "days_behind":
        last_day = f"{row['last_day']:%Y-%m-%d}"
        return f"the latest day is {last_day}, {int(row[subject])} days before the batch"
    return f"{rows:,} rows"


def _of(count: float, rows: int) -> str:
    return f"{int(count):,} of {rows:,} rows ({count / rows:.1%})"


def _extra_names(record: BatchRecord, row: Row) -> str:
    """Names of the extra columns, unless they may be values: a missing header makes them so."""
    if row["missing_required_columns"]:
        return f"{len(record.extra_columns)}, not named because a required column is missing too"
    names = ", ".join(f"`{name[:40]}`" for name in record.extra_columns[:8])
    more = len(record.extra_columns) - 8
    return _blanked(names) + (f" and {more} more" if more > 0 else "")


def _blanked(text: str) -> str:
    """The text without quoted names that look like a phone, an id or an e-mail address."""
    return re.sub(r"`[^`]*(?:\d{5}|@)[^`]*`", "`…`", text)


def _label(record: BatchRecord) -> str:
    return f"{record.entity} batch {record.batch}"


def _summary(
    by_entity: Mapping[str, Sequence[BatchRecord]],
    verdicts: Mapping[Key, Verdict],
    load_number: int,
    judged_at: datetime,
) -> dict:
    batches = []
    for records in by_entity.values():
        for record in records:
            verdict = verdicts[record.entity, record.batch]
            batches.append(
                {
                    "entity": record.entity,
                    "batch": record.batch,
                    "batch_date": record.batch_date and record.batch_date.isoformat(),
                    "rows": record.rows,
                    "held": verdict.held,
                    "reasons": list(verdict.reasons),
                    "warnings": list(verdict.warnings),
                }
            )
    stamp = judged_at.astimezone(UTC).isoformat(timespec="seconds")
    return {"load": load_number, "judged_at": stamp, "batches": batches}


def _write(
    root: Path, load_number: int, results: Mapping[str, dict], summary: dict, keep: int
) -> None:
    """Write one load's files under a temporary name, then swap: a reader never sees half a load."""
    target, draft = root / str(load_number), root / f".{load_number}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, content in [*results.items(), ("verdicts", summary)]:
        text = json.dumps(content, ensure_ascii=False)
        (draft / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    loads = sorted(int(path.name) for path in root.iterdir() if path.name.isdigit())
    for old in loads[:-keep]:
        shutil.rmtree(root / str(old))
