"""A warehouse built from a landing folder for a test: intake without the gate, then dbt in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
STAGES = [
    "+path:models/marts/fast",
    "+published_changes",
    "fct_stage_transitions",
    "+fct_order_lines",
]


@dataclass
class Warehouse:
    workspace: Path

    @property
    def database(self) -> Path:
        return self.workspace / "warehouse.duckdb"

    def admit(self, landing: Path) -> None:
        from orchestration.contract import load_contract
        from orchestration.intake import Verdict, admit, prepare

        self.workspace.mkdir(parents=True, exist_ok=True)
        with prepare(landing, self.workspace, load_contract()) as prepared:
            admit(prepared, {batch.key: Verdict() for batch in prepared.batches}, self.workspace)

    def build(self, *arguments: str, select: list[str] | None = None) -> None:
        """Seeds, models and data tests."""
        self._dbt(
            "build",
            # Tests that also need a model which is not selected would fail for want of it.
            *("--indirect-selection", "cautious"),
            "--select",
            *(select or STAGES),
            "--exclude-resource-type",
            "unit_test",
            *arguments,
        )

    def seed(self) -> None:
        self._dbt("seed")

    def run_all(self, select: list[str] | None = None) -> None:
        """Seeds and models, untested."""
        self._dbt(
            *("build", "--select", *(select or STAGES)),
            *("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"),
        )

    def run(self, *, select: list[str]) -> None:
        """Models alone, on the seeds as they are in the database."""
        self._dbt("run", "--select", *select)

    def _dbt(self, *arguments: str) -> None:
        from orchestration.warehouse import environment_with, warehouse_closed_after
        from tests.parsed import dbt_runner

        variables = {
            "QUANYU_WORKSPACE": str(self.workspace),
            "QUANYU_DATABASE": str(self.database),
            "QUANYU_LAKE": str(self.workspace / "lake"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        with environment_with(variables), warehouse_closed_after():
            result = dbt_runner().invoke(
                [
                    *arguments,
                    "--quiet",
                    "--project-dir",
                    str(PROJECT),
                    "--profiles-dir",
                    str(PROJECT / "profiles"),
                    "--log-path",
                    str(self.workspace / "logs"),
                    "--target-path",
                    str(self.workspace / "target"),
                ]
            )
        failed = [r for r in result.result or [] if str(r.status) in ("error", "fail")]
        assert result.success, "; ".join(f"{r.node.name}: {r.message}" for r in failed) or str(
            result.exception
        )
