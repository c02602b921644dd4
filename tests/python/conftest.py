"""Fixtures shared by the Python tests: the landing contract, and a workspace to land files in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pytest
from support import built_once, land

from demo.world import build
from orchestration.contract import Entity, load_contract
from orchestration.intake import Admission, Prepared, Verdict, admit, prepare, read_registry


@dataclass
class Intake:
    """A landing folder and a workspace, with the steps that a test takes in them."""

    root: Path
    contract: dict[str, Entity]
    said: list[str] = field(default_factory=list)

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    def land(self, path: str, content: bytes | str) -> Path:
        target = self.landing / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def prepare(self, **options: object) -> Prepared:
        return prepare(
            self.landing, self.workspace, self.contract, say=self.said.append, threads=1, **options
        )

    def run(self, held: dict[tuple[str, str], str] | None = None, **options: object) -> Admission:
        """Prepare and admit everything except the batches in `held` (with why)."""
        prepared = self.prepare(**options)
        verdicts = {batch.key: Verdict() for batch in prepared.batches}
        verdicts |= {key: Verdict(held=True, reasons=[why]) for key, why in (held or {}).items()}
        return admit(prepared, verdicts, self.workspace)

    def registry(self, entity: str, batch: str = "initial"):
        return read_registry(self.workspace)[entity, batch]

    def rows(self, entity: str, columns: str = "*", where: str = "true") -> list[tuple]:
        """Current rows of the lake, as staging sees them: joined to the registry."""
        lake = self.workspace / "lake"
        return duckdb.sql(
            f"""
            select {columns}
            from read_parquet('{lake}/{entity}/*/data.parquet', hive_partitioning = true) as rows
            where {where} and (_batch, load_number) in (
                select (batch, load_number)
                from read_parquet('{lake}/batches.parquet')
                where entity = '{entity}' and status = 'admitted'
            )
            order by _batch_date nulls first, _file, _row
            """
        ).fetchall()


@pytest.fixture(scope="session")
def contract() -> dict[str, Entity]:
    return load_contract()


@pytest.fixture
def intake(tmp_path: Path, contract: dict[str, Entity]) -> Intake:
    return Intake(tmp_path, contract)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A small demo world: landing/ and truth/."""
    options = {"people": 300, "days": 120, "until": date(2026, 6, 30)}
    return built_once(
        tmp_path_factory,
        "world",
        lambda folder: build(folder, progress=lambda line: None, **options),
    )


@pytest.fixture(scope="session")
def warehouse(world, tmp_path_factory) -> Path:
    """Workspace of the small demo world, landed at once. Tests may run the job on it again, nothing else."""
    workspace = built_once(
        tmp_path_factory, "warehouse", lambda folder: land(world / "landing", folder)
    )
    # A workspace knows its landing folder, and this one may be a copy of another worker's.
    (workspace / "landing.txt").write_text(f"{(world / 'landing').resolve()}\n")
    return workspace
