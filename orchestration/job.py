"""The daily job: landing files -> intake -> gate -> dbt build, and what there is to say about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from orchestration.contract import load_contract
from orchestration.gate.judge import judge
from orchestration.gate.profile import profile
from orchestration.intake import Admission, LandingError, Prepared, Verdict, admit, prepare
from orchestration.intake.registry import RegistryRow
from orchestration.warehouse import PROJECT, Build, Dbt


@dataclass(frozen=True)
class Settings:
    """Where a run reads and writes, and how much memory it may take."""

    landing: Path
    workspace: Path
    database: Path
    as_of_date: str | None = None
    memory_limit: str = "4GB"
    retry_held: bool = False
    full_refresh: bool = False
    report_language: str = "zh"

    @property
    def dbt(self) -> Dbt:
        return Dbt(
            self.workspace,
            self.database,
            self.workspace / "lake",
            as_of_date=self.as_of_date,
            memory_limit=self.memory_limit,
        )


@dataclass(frozen=True)
class Outcome:
    """What a run did. `held` are all batches held at its end, not only those of this run."""

    admission: Admission
    held: list[RegistryRow]
    build: Build


def run(settings: Settings, say: Callable[[str], None]) -> Outcome:
    """Land what is new, judge it, build the warehouse. A batch that is held keeps the others going.

    Raises LandingError (the landing folder cannot be used), GateError (the gate cannot judge) and BuildError.
    """
    claim_workspace(settings)
    say(f"landing    {settings.landing}")
    contract = load_contract()
    with prepare(
        settings.landing,
        settings.workspace,
        contract,
        say=lambda line: say(f"  {line}"),
        memory_limit=settings.memory_limit,
        retry_held=settings.retry_held,
    ) as prepared:
        if prepared.batches:
            say(f"gate       {len(prepared.batches):,} new batches")
        else:
            say("  nothing new")
        admission = admit(prepared, judged(prepared, settings), settings.workspace)
    held = [row for row in prepared.registry.values() if row.is_held]
    for row in held:
        say(f"  HELD {row.entity} {row.batch}")
        for reason in (row.held_reasons or row.reasons or "").splitlines():
            say(f"    {reason}")
    say(f"dbt build  {settings.database}")
    started = time.monotonic()
    build = settings.dbt.build(lambda line: say(f"  {line}"), full_refresh=settings.full_refresh)
    say(
        f"  {build.models} models, {build.seeds} seeds, {build.tests} tests passed"
        f" in {time.monotonic() - started:.0f} s"
    )
    return Outcome(admission, held, build)


def judged(prepared: Prepared, settings: Settings) -> Mapping[tuple[str, str], Verdict]:
    """Verdicts of the gate on every batch of an intake."""
    readable = [c for c in prepared.candidates if c.path]
    sql = settings.dbt.compile_profiles(c.entity for c in readable) if readable else {}
    profiles = {
        candidate.entity: profile(
            candidate.path,
            sql[candidate.entity],
            PROJECT / "seeds",
            database=settings.database.stem,
            memory_limit=settings.memory_limit,
            temp_dir=settings.workspace / "tmp",
        )
        for candidate in readable
    }
    recent: dict[str, list[tuple[date, int]]] = {}
    for row in prepared.known.values():
        if row.batch_date and row.load_number is not None:
            recent.setdefault(row.entity, []).append((row.batch_date, row.landed_rows))
    return judge(
        profiles,
        prepared.batches,
        recent,
        load_contract(),
        settings.workspace,
        load_number=prepared.load_number,
    )


def write_report(settings: Settings) -> list[str]:
    """Write the health report of the warehouse's day into `reports` of the workspace; say where it lies."""
    from orchestration.report import write_reports

    folder = settings.workspace / "reports"
    index, *pages = write_reports(settings.database, folder, settings.report_language)
    return [f"report     {page}" for page in pages] or [f"report     {index}"]


def claim_workspace(settings: Settings) -> None:
    """Tie the workspace to its landing folder, so that two brands never mix in one warehouse.

    Raises LandingError when the workspace belongs to another landing folder.
    """
    note = settings.workspace / "landing.txt"
    root = str(settings.landing.resolve())
    if note.exists():
        owner = note.read_text(encoding="utf-8").strip()
        if owner != root:
            raise LandingError(
                f"workspace {settings.workspace} holds the warehouse of {owner}, not of {root}: name another one"
                f" (make run LANDING=... WORKSPACE=...), or delete {note} if the folder has moved"
            )
        return
    settings.workspace.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{root}\n", encoding="utf-8")


def report_lines(settings: Settings, outcome: Outcome) -> list[str]:
    """The end of a run for a person: rows by entity and fate, what was built, headline figures, what to do next."""
    with duckdb.connect(str(settings.database), read_only=True) as warehouse:
        fates = warehouse.execute(
            "select entity, count(*), sum(landed_rows), sum(accepted_rows), sum(duplicate_rows),"
            " sum(superseded_rows), sum(quarantined_rows) from audit.row_conservation"
            " group by entity order by entity"
        ).fetchall()
        as_of = warehouse.execute("select as_of_date from reference.as_of").fetchone()[0]
        money = warehouse.execute(
            "select count(*), coalesce(sum(paid_amount), 0), count(*) filter (is_anonymous),"
            " coalesce(sum(paid_amount) filter (is_anonymous), 0) from lifecycle.fct_orders"
        ).fetchone()
        refunds = warehouse.execute(
            "select count(*), coalesce(sum(refund_amount), 0) from lifecycle.fct_refunds"
        ).fetchone()
        people = warehouse.execute(
            "select count(distinct customer_id), count(distinct customer_id) filter (purchase_days > 0),"
            " count(distinct customer_id) filter (purchase_days >= 2) from marts.customers"
        ).fetchone()
        marts = warehouse.execute(
            "select table_name, estimated_size from duckdb_tables() where schema_name = 'marts'"
            " order by table_name"
        ).fetchall()
    table = [("entity", "batches", "landed", "accepted", "duplicate", "superseded", "quarantined")]
    table += [(row[0], *(f"{int(value):,}" for value in row[1:])) for row in fates]
    lines = ["", *_aligned(table), ""]
    lines += [
        f"as of      {as_of}",
        f"customers  {people[0]:,}, of them {people[1]:,} with a purchase and {people[2]:,} with purchases"
        " on two or more days",
        f"orders     {money[0]:,} for {money[1]:,.2f}, of them anonymous {money[2]:,} for {money[3]:,.2f}",
        f"refunds    {refunds[0]:,} for {refunds[1]:,.2f}",
        f"marts      {len(marts)} tables with {sum(rows for _, rows in marts):,} rows, schema marts",
    ]
    if any(row[6] for row in fates):
        lines.append("quarantine select * from audit.quarantine  -- file, row, reasons, raw row")
    if outcome.held:
        lines.append(f"held       {len(outcome.held)} batches, named above and in audit.batches")
    lines.append(f"gate pages {settings.workspace / 'gate' / 'docs' / 'index.html'}")
    lines.append(f"warehouse  {settings.database}")
    return lines


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of text as columns: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
