"""A day that was not published: why, in plain words, and kept until a run publishes again.

The page of such a day shows the figures that readers still have and says so first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Self

# What kept a day back: a batch on hold, a failing model or test, the steps around them, the machine.
KINDS = ("batches", "build", "erasure", "gate", "serving", "machine")
FILE = "hold.json"


@dataclass(frozen=True)
class Hold:
    """Why `day` (ISO) was not published. `batches` are rows of the registry as (entity, batch, status, reasons),
    `failures` what failed in a build, `message` what another step said. `is_built` is false while the warehouse holds
    tables of a build that did not pass: nothing may be published from it.
    """

    kind: str
    day: str
    batches: Sequence[Mapping[str, Any]] = field(default_factory=list)
    failures: Sequence[Mapping[str, Any]] = field(default_factory=list)
    message: str = ""
    is_built: bool = True

    def with_(self, **changes: Any) -> Self:
        """The same hold with some parts changed."""
        return replace(self, **changes)

    def write(self, workspace: Path) -> None:
        """Remember it in the workspace, so that `make report` says it again."""
        workspace.mkdir(parents=True, exist_ok=True)
        draft = workspace / f".{FILE}"
        draft.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")
        draft.replace(workspace / FILE)


def read_hold(workspace: Path) -> Hold | None:
    """What keeps the last run's day back; None when it was published."""
    path = workspace / FILE
    return Hold(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def clear_hold(workspace: Path) -> None:
    """A run has published."""
    (workspace / FILE).unlink(missing_ok=True)


def node_failures(
    node: Mapping[str, Any],
    message: str | None,
    rows: int | None,
    response: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A failed node of dbt's manifest as the parts of sentences, one for each rule that is broken.

    `node` has name, resource_type and, for a test, what dbt's manifest says of it; `rows` is the number of failing
    rows, None when dbt could not count; `response` that of the adapter, in which macros/tests/column_rules.sql names
    the broken rules. Each has kind (test or model), name, description, test (not_null, …), table, column, rows and
    message, in dbt's own words.
    """
    kind = "test" if node.get("resource_type") in ("test", "unit_test") else "model"
    test = (node.get("test_metadata") or {}).get("name") or ""
    table = (node.get("attached_node") or "").split(".")[-1]
    failure = {
        "kind": kind,
        "name": node["name"],
        "description": (node.get("description") or "").strip(),
        "test": test if kind == "test" else "",
        "table": table if kind == "test" else node["name"],
        "column": node.get("column_name") or "",
        "rows": rows if kind == "test" else None,
        "message": first_lines(message),
    }
    said = (response or {}).get("_message") or ""
    broken = json.loads(said) if test == "column_rules" and said.startswith("[") else []
    return [failure | rule for rule in broken] or [failure]


def first_lines(text: str | None, count: int = 3) -> str:
    """The beginning of what dbt said, on one line."""
    lines = [line.strip() for line in (text or "no message").splitlines() if line.strip()]
    return " ".join(lines[:count])


def held_day(chosen: str | None, landed: Sequence[date], published: str | None) -> str | None:
    """The day (ISO) that a run was to publish: the chosen one, else the newest landed, else the published one."""
    if chosen:
        return chosen
    newest = max(landed, default=None)
    return newest.isoformat() if newest else published
