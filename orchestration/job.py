"""The daily job: landing files -> intake -> gate -> dbt build -> serving, and what there is to say about it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from orchestration import built, erasure, exports, ledger
from orchestration.audiences import check_rules
from orchestration.contract import load_contract
from orchestration.faults import Place, diagnose, is_out_of_memory
from orchestration.gate import GateError
from orchestration.gate.judge import judge
from orchestration.gate.profile import profile
from orchestration.hold import Hold, clear_hold, held_day, read_hold
from orchestration.intake import Admission, LandingError, Prepared, Verdict, admit, prepare
from orchestration.intake.lock import only
from orchestration.intake.registry import RegistryRow, read_registry
from orchestration.serving import (
    DATABASE,
    Publication,
    ServingError,
    blocking_holds,
    current,
    current_manifest,
    hold_name,
    publish,
)
from orchestration.warehouse import PROJECT, Build, BuildError, Dbt

DEMO = PROJECT / "var" / "demo"


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
    serving: Path | None = None
    accept_held: bool = False

    @property
    def published(self) -> Path:
        """Folder of the published versions."""
        return self.serving or self.workspace / "serving"

    @property
    def place(self) -> Place:
        """What a fault of the machine names."""
        return Place(self.workspace, self.database, self.published)

    @property
    def dbt(self) -> Dbt:
        return Dbt(
            self.workspace,
            self.database,
            self.workspace / "lake",
            as_of_date=self.as_of_date,
            memory_limit=self.memory_limit,
        )


def locate(
    landing: Path | None,
    workspace: Path | None = None,
    database: Path | None = None,
    serving: Path | None = None,
    **options,
) -> Settings:
    """Settings in which every path is absolute and filled in; without a landing folder those of the demo world."""
    workspace = workspace or (PROJECT / "var" / landing.resolve().name if landing else DEMO)
    workspace = Path(os.path.abspath(workspace))
    return Settings(
        landing=landing or DEMO / "world" / "landing",
        workspace=workspace,
        database=Path(os.path.abspath(database or workspace / "warehouse.duckdb")),
        serving=Path(os.path.abspath(serving or workspace / "serving")),
        **options,
    )


def make_demo(say: Callable[[str], None]) -> None:
    """Make the demo world on the first run."""
    from demo.world import build

    build(DEMO / "world", progress=lambda line: say(f"demo       {line}"))


# Files of the lake that a run itself writes while it builds.
OWN = (*erasure.LEDGERS, ledger.FILE)


@dataclass(frozen=True)
class Outcome:
    """What a run did. `held` are all batches held at its end, not only those of this run; `build` is None when nothing had
    changed since the last run; `blocking` are the batches for whose sake nothing was published.
    """

    admission: Admission
    held: list[RegistryRow]
    build: Build | None
    blocking: list[RegistryRow]
    publication: Publication | None


def run(settings: Settings, say: Callable[[str], None]) -> Outcome:
    """Land what is new, judge it, erase who asked for it, build the warehouse, publish it. A batch that is held keeps the
    others going, but readers keep what they have until it is decided upon.

    Raises LandingError (the landing folder cannot be used, or another run is at work), GateError (the gate cannot judge),
    RuleError (the rules of a tag or audience cannot be built; nothing was landed), BuildError, ErasureError and
    ServingError; faults of the machine also as OSError and duckdb.Error (faults.diagnose).
    """
    check_rules()
    with only("run", settings.workspace):
        return _run(settings, say)


def _run(settings: Settings, say: Callable[[str], None]) -> Outcome:
    open_warehouse(settings)
    admission = land(settings, say)
    held = held_batches(settings)
    for row in held:
        say(f"  HELD {row.entity} {row.batch}")
        for reason in hold_reasons(row):
            say(f"    {reason}")
    inputs = made_from(settings)
    is_built = (
        not settings.full_refresh
        and built.is_built(settings.workspace, settings.database, inputs.all)
        and not erasure.is_wipe_due(settings.workspace)
    )
    if is_built:
        say("dbt build  nothing has changed since the last run")
        build = None
    else:
        built.forget(settings.workspace)
        build = build_warehouse(settings, say)
    blocking = blocking_batches(settings)
    publication = None
    if not blocking:
        publication = (is_built and published_before(settings)) or publish_build(settings)
    forget_published(settings, say)
    # What was edited while this run was at work is built by the next one.
    if publication and build and (now := made_from(settings)).given == inputs.given:
        version = publication.manifest["version"]
        built.note(settings.workspace, settings.database, now.all, version)
    return Outcome(admission, held, build, blocking, publication)


def made_from(settings: Settings) -> built.Inputs:
    """What the warehouse is made from, as hashes."""
    return built.fingerprint(settings.workspace, settings.as_of_date, own=OWN)


def build_warehouse(settings: Settings, say: Callable[[str], None]) -> Build:
    """Erase who asked for it and build every model. Raises ErasureError and BuildError."""
    restore_ledger(settings, say)
    list_erased(settings, say)
    say(f"dbt build  {settings.database}")
    started = time.monotonic()
    build = build_in_turn(settings, say, full_refresh=settings.full_refresh)
    say(
        f"  {build.models} models, {build.seeds} seeds, {build.tests} tests passed"
        f" in {time.monotonic() - started:.0f} s; {build.unchanged} of these had nothing to do"
    )
    finish_erasures(settings, say)
    keep_ledger(settings)
    return build


def build_in_turn(
    settings: Settings, say: Callable[[str], None], *, full_refresh: bool = False
) -> Build:
    """`dbt build`. When two models at once need more memory than there is, each may well fit alone: what is left (of a full
    refresh: everything) is built again, one at a time. Raises BuildError.
    """

    def build(**options: int) -> Build:
        return settings.dbt.build(
            lambda line: say(f"  {line}"), full_refresh=full_refresh, **options
        )

    try:
        return build()
    except BuildError as error:
        if not is_out_of_memory(error, settings.place):
            raise
        say("memory     too little for several models at once: what is left is built one at a time")
    return build(threads=1)


def published_before(settings: Settings) -> Publication | None:
    """The version of the last run, when readers still see it and it lacks the batches that are held now."""
    version, manifest = current(settings.published), current_manifest(settings.published)
    held = sorted(hold_name(row) for row in held_batches(settings))
    if (
        version is None
        or version.name != built.read(settings.workspace).get("version")
        or manifest["held"] != held
        or not (version / DATABASE).is_file()
    ):
        return None
    return Publication(version, manifest, is_new=False, is_current=True)


def open_warehouse(settings: Settings, patience: Sequence[int] = (1, 2, 4)) -> None:
    """See, before anything is done, whether the warehouse can be written; a reader that holds the file is waited for,
    so many seconds at each further attempt.

    Raises duckdb.Error (the file is damaged, of another version, cannot be written, or is in use for longer).
    """
    if not settings.database.exists():
        return
    for seconds in (*patience, None):
        try:
            duckdb.connect(str(settings.database)).close()
            return
        except duckdb.IOException as error:
            if seconds is None or "Could not set lock" not in str(error):
                raise
        time.sleep(seconds)


def restore_ledger(settings: Settings, say: Callable[[str], None]) -> None:
    """Before the build: a warehouse that starts anew goes on from the ledger that the lake keeps. Raises duckdb.Error."""
    if rows := ledger.restore(settings.database, settings.workspace):
        say(f"restored   {rows:,} published figures: the warehouse is built anew")


def keep_ledger(settings: Settings) -> None:
    """After a green build: copy what was published when into the lake. Raises duckdb.Error and OSError."""
    ledger.keep(settings.database, settings.workspace)


def list_erased(settings: Settings, say: Callable[[str], None]) -> None:
    """Before the build: when somebody has asked to be erased, or links may name more of somebody who was, find out who that
    is and list the identifiers. What is found afterwards costs a second build of everything (finish_erasures).

    Raises ErasureError and BuildError.
    """
    erasure.check_salt(settings.workspace)
    where = (settings.workspace, settings.database)
    is_asked, is_naming = erasure.requested(*where), erasure.is_naming(*where)
    if not is_asked and not is_naming:
        return

    def resolve() -> None:
        settings.dbt.build(
            lambda line: None, full_refresh=settings.full_refresh, select=erasure.PEOPLE
        )

    say(f"erasure    {'requests' if is_asked else 'links'} have landed: identities first")
    resolve()
    while is_naming and erasure.extend(*where, say):
        resolve()
    if is_asked:
        erasure.suppress(*where, say)


def export_audience(
    settings: Settings, audience: str, channel: str, brand: str | None = None, **options
) -> list[exports.Export]:
    """Write the list of an audience for a channel. Raises ExportError; nobody is exported who asked to be erased."""
    if erasure.requested(settings.workspace, settings.database):
        raise exports.ExportError(
            "a request to be erased waits: carry it out first (make run), then export"
        )
    return exports.export(
        settings.workspace, settings.database, audience, channel, brand=brand, **options
    )


def export_standing(settings: Settings, seeds: Path = exports.SEEDS) -> list[exports.Export]:
    """Write the lists of the seed standing_exports, each once per as-of date; none of a past day that somebody chose.

    Raises ExportError.
    """
    standing = exports.read_standing(seeds)
    if settings.as_of_date:
        return []
    return [
        done
        for audience, brand, channel in standing
        for done in export_audience(
            settings, audience, channel, brand, seeds=seeds, is_once_a_day=True
        )
    ]


def forget_published(settings: Settings, say: Callable[[str], None]) -> None:
    """Take the erased out of what was published and exported before. Raises ServingError."""
    erasure.forget_published(settings.workspace, settings.database, settings.published, say)


def finish_erasures(settings: Settings, say: Callable[[str], None]) -> None:
    """After a green build: build again while late links name more of the erased, then remove what is left of them, and
    wipe the blocks of the warehouse file when that is due.

    Raises ErasureError and BuildError.
    """
    while erasure.extend(settings.workspace, settings.database, say):
        build_in_turn(settings, lambda line: None)
    erasure.finish(
        settings.workspace, settings.database, settings.landing, say, settings.memory_limit
    )
    erasure.wipe(settings.workspace, settings.database, say, settings.memory_limit)


def land(settings: Settings, say: Callable[[str], None]) -> Admission:
    """Convert what is new in the landing folder, let the gate judge it, take what it admits into the lake.

    Raises LandingError and GateError.
    """
    claim_workspace(settings)
    say(f"landing    {settings.landing}")
    with prepare(
        settings.landing,
        settings.workspace,
        load_contract(),
        say=lambda line: say(f"  {line}"),
        memory_limit=settings.memory_limit,
        retry_held=settings.retry_held,
    ) as prepared:
        if prepared.batches:
            say(f"gate       {len(prepared.batches):,} new batches")
        else:
            say("  nothing new")
        return admit(prepared, judged(prepared, settings), settings.workspace)


def held_batches(settings: Settings) -> list[RegistryRow]:
    """Every batch whose last delivery is held."""
    return [row for row in read_registry(settings.workspace).values() if row.is_held]


def hold_reasons(row: RegistryRow) -> list[str]:
    """Why a batch is held, as sentences."""
    return (row.held_reasons or row.reasons or "").splitlines()


def blocking_batches(settings: Settings) -> list[RegistryRow]:
    """Held batches for whose sake readers keep what they have (serving.blocking_holds)."""
    if settings.accept_held:
        return []
    return blocking_holds(
        held_batches(settings), settings.landing, current_manifest(settings.published)
    )


def publish_build(settings: Settings) -> Publication:
    """Publish what was built; the manifest names the batches that it lacks. Raises ServingError."""
    return publish(
        settings.database,
        settings.published,
        held=[hold_name(row) for row in held_batches(settings)],
        memory_limit=settings.memory_limit,
    )


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


def write_report(settings: Settings) -> list[Path]:
    """Write the health report into `reports` of the workspace: of the warehouse's day, or, while a day is kept back
    (`conclude`), of what readers still see, marked as held. Returns the index and the pages.
    """
    from orchestration.report import write_held_reports, write_reports

    folder, hold = settings.workspace / "reports", read_hold(settings.workspace)
    if hold is None:
        return write_reports(settings.database, folder, settings.report_language)
    version = current(settings.published)
    return write_held_reports(
        hold,
        version and version / DATABASE,
        settings.database,
        folder,
        settings.report_language,
    )


def tell(
    settings: Settings, pages: Iterable[Path], environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Alert people of a day that is kept back, or of the lights of its reports; a line on each channel that was tried.

    `pages` are those that `write_report` wrote. A past day that somebody chose tells nothing. Raises nothing: whatever
    becomes of an alert, the run is what it was.
    """
    from orchestration import alerts

    hold = read_hold(settings.workspace)
    try:
        if hold is not None:
            events = [alerts.event_of_hold(hold, settings.report_language)]
        elif settings.as_of_date:
            return []
        else:
            found = (page.with_suffix(".json") for page in pages)
            contents = [json.loads(p.read_text("utf-8")) for p in found if p.exists()]
            events = alerts.events_of_lights(contents)
        return alerts.alert(settings.workspace, events, environ)
    except (
        Exception
    ) as error:  # a seed that somebody broke, a full disk; its text may hold a secret
        return [f"alert      NOT sent: {type(error).__name__}"]


def conclude(settings: Settings, hold: Hold | None) -> None:
    """Remember how a run ended: what keeps its day back, or None when it was published."""
    if hold is None:
        clear_hold(settings.workspace)
    else:
        hold.write(settings.workspace)


def hold_of_batches(settings: Settings, blocking: Iterable[RegistryRow]) -> Hold:
    """The day is kept back for the sake of these batches."""
    rows = [
        {
            "entity": row.entity,
            "batch": row.batch,
            "status": row.status,
            "reasons": "\n".join(hold_reasons(row)),
        }
        for row in blocking
    ]
    return Hold("batches", _day_of_run(settings), batches=rows)


def hold_of_error(settings: Settings, error: Exception) -> Hold | None:
    """The day is kept back because a step failed; None for a landing folder or a workspace that cannot be used:
    that is the caller's mistake, and nothing has happened to the day.
    """
    is_built = not isinstance(error, (BuildError, erasure.ErasureError))
    if fault := diagnose(error, settings.place):
        return Hold("machine", _day_of_run(settings), message=str(fault), is_built=is_built)
    if isinstance(error, LandingError):
        return None
    kinds = {GateError: "gate", erasure.ErasureError: "erasure", ServingError: "serving"}
    failures = error.failures if isinstance(error, BuildError) else []
    kind = kinds.get(type(error), "build")
    return Hold(
        kind, _day_of_run(settings), failures=failures, message=str(error), is_built=is_built
    )


def _day_of_run(settings: Settings) -> str:
    manifest = current_manifest(settings.published)
    landed = [row.batch_date for row in read_registry(settings.workspace).values()]
    day = held_day(
        settings.as_of_date,
        [batch_date for batch_date in landed if batch_date],
        manifest and manifest["as_of_date"],
    )
    return day or "0001-01-01"


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
            " sum(superseded_rows), sum(quarantined_rows), sum(erased_rows) from audit.row_conservation"
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
    names = ("landed", "accepted", "duplicate", "superseded", "quarantined", "erased")
    table = [("entity", "batches", *names)]
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
    lines += publication_lines(settings, outcome)
    lines.append(f"gate pages {settings.workspace / 'gate' / 'docs' / 'index.html'}")
    lines.append(f"warehouse  {settings.database}")
    return lines


def publication_lines(settings: Settings, outcome: Outcome) -> list[str]:
    """What readers see after the run, and why."""
    publication = outcome.publication
    if publication is None:
        kept = current(settings.published)
        names = ", ".join(f"{row.entity} {row.batch}" for row in outcome.blocking)
        return [
            f"published  nothing: readers keep {kept.name}, because these batches are held: {names}",
            "           land them again, take them away, or publish without them: make run ACCEPT_HELD=1",
        ]
    if not publication.is_current:
        return [
            f"published  {publication.version}",
            "           kept beside: readers keep the newer day of serving/current",
        ]
    unchanged = "" if publication.is_new else "  (nothing has changed)"
    return [f"published  {settings.published / 'current' / DATABASE}{unchanged}"]


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
