"""Every outcome of the gate as an asset check of the entity it judged."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    multi_asset_check,
)

from orchestration.assets.held import mark_report, settings_of
from orchestration.assets.landing import CONTRACT, lake_key
from orchestration.contract import Entity
from orchestration.gate.suites import CRITICAL, Rule, rules_for
from orchestration.intake import RegistryRow
from orchestration.job import blocking_batches, hold_of_batches, hold_reasons
from orchestration.resources import Warehouse

NO_HOLD = "no_batch_is_held"


@dataclass(frozen=True)
class Finding:
    """What a check found: batches that fail, and whether one of them keeps everything waiting."""

    batches: Sequence[str] = ()
    is_blocking: bool = False


def rules_by_subject(entity: Entity) -> dict[str, list[Rule]]:
    """An entity's rules by what they are about: a warning and a critical rule make one check."""
    found: dict[str, list[Rule]] = {}
    for rule in rules_for(entity):
        found.setdefault(rule.subject, []).append(rule)
    return found


def findings(
    entity: Entity, failed: Mapping[str, Sequence[tuple[str, str]]], blocking: Sequence[str]
) -> dict[str, Finding]:
    """What each subject found, from (measure, severity) per failing batch and the batches on hold."""
    found = {}
    for subject, rules in rules_by_subject(entity).items():
        measures = {(rule.measure, rule.severity) for rule in rules}
        critical = {(rule.measure, rule.severity) for rule in rules if rule.severity == CRITICAL}
        batches = sorted(batch for batch, faults in failed.items() if measures & set(faults))
        stops = any(critical & set(failed[batch]) for batch in batches if batch in blocking)
        found[subject] = Finding(batches, stops)
    return found


def latest_result(root: Path, entity: str) -> Mapping | None:
    """The gate's JSON of the last kept load that brought this entity."""
    loads = [int(path.parent.name) for path in root.glob(f"*/{entity}.json")]
    if not loads:
        return None
    return json.loads((root / str(max(loads)) / f"{entity}.json").read_text(encoding="utf-8"))


def severity_of(finding: Finding) -> AssetCheckSeverity:
    """An error only where a batch is on hold for it: all else is a note to the source's owner."""
    return AssetCheckSeverity.ERROR if finding.is_blocking else AssetCheckSeverity.WARN


def specs() -> list[AssetCheckSpec]:
    """A check per entity and subject, and one that no batch is on hold."""
    found = []
    for entity in CONTRACT.values():
        for subject, rules in rules_by_subject(entity).items():
            allowed = "; ".join(f"{rule.severity}: {rule.allowed}" for rule in rules)
            found.append(
                AssetCheckSpec(
                    subject,
                    asset=lake_key(entity.name),
                    description=f"{rules[0].why} {rules[0].do} Allowed ({allowed}).",
                    blocking=any(rule.severity == CRITICAL for rule in rules),
                )
            )
        found.append(
            AssetCheckSpec(
                NO_HOLD,
                asset=lake_key(entity.name),
                description="No batch is on hold since the last publication (待处理批次).",
                blocking=True,
            )
        )
    return found


@multi_asset_check(name="gate_results", specs=specs(), can_subset=True)
def gate_results(
    context: AssetCheckExecutionContext, warehouse: Warehouse
) -> Iterator[AssetCheckResult]:
    """Read what the gate wrote down."""
    from orchestration.gate.judge import failures

    settings = settings_of(warehouse, context.run.tags)
    if holds := blocking_batches(settings):
        mark_report(context, settings, hold_of_batches(settings, holds))
    for entity in CONTRACT.values():
        key = lake_key(entity.name)
        held = [row for row in holds if row.entity == entity.name]
        result = latest_result(settings.workspace / "gate" / "results", entity.name)
        failed = failures(result) if result else {}
        found = findings(entity, failed, [row.batch for row in held])
        results = [
            AssetCheckResult(
                asset_key=key,
                check_name=subject,
                passed=not finding.batches,
                severity=severity_of(finding),
                metadata={"batches": ", ".join(finding.batches[:20])} if finding.batches else {},
            )
            for subject, finding in found.items()
        ]
        results.append(
            AssetCheckResult(
                asset_key=key,
                check_name=NO_HOLD,
                passed=not held,
                severity=AssetCheckSeverity.ERROR,
                metadata={row.batch: reasons_text(row) for row in held},
            )
        )
        for outcome in results:
            if any(
                chosen.asset_key == key and chosen.name == outcome.check_name
                for chosen in context.selected_asset_check_keys
            ):
                yield outcome


def reasons_text(row: RegistryRow) -> str:
    """Why a batch is held, in one text."""
    return "\n".join(hold_reasons(row)) or "no reason was written down"
