"""What the last green run was made from. A run that finds all of it as it was has nothing to build, to publish or to report.

    <workspace>/built.json   {inputs, warehouse, version, language, reports}

`inputs` is a hash of everything that the tables are a function of: the project's own files, the programs that run it, the
registry and the ledgers of the lake, and what the environment chooses. `warehouse` are size and time of the file, so that
whoever writes into it, by hand or with dbt alone, makes the next run build.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from orchestration.warehouse import PROJECT

FILE = "built.json"
FOLDERS = ("macros", "models", "orchestration", "profiles", "seeds", "tests/dbt")
PROGRAMS = ("dbt-core", "dbt-duckdb", "duckdb", "numpy", "scipy")
# Of the lake's files the loads never change; what may are the registry and the ledgers beside it.
LEDGERS = "*.parquet"
# Names a folder outside the workspace that a table reads (dbt_project.yml, identity_truth).
TRUTH = "QUANYU_IDENTITY_TRUTH"


class Inputs(NamedTuple):
    """Hashes of what a run is made from: all of it, and what of it the run itself does not write (`given`)."""

    all: str
    given: str


def fingerprint(
    workspace: Path,
    *chosen: object,
    own: Collection[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Inputs:
    """What a run is made from, without the warehouse; `chosen` is what its caller chose, `own` names the ledgers that a run
    writes.
    """
    project = [PROJECT / "dbt_project.yml"]
    for folder in FOLDERS:
        project += (PROJECT / folder).rglob("*.*")
    said = [
        *(f"{name} {version(name)}" for name in PROGRAMS),
        *(f"{name}={value}" for name, value in environ.items() if name.startswith("QUANYU_")),
        *(f"{path.relative_to(PROJECT)} {_sha256(path)}" for path in project if _counts(path)),
        *(f"truth {_sha256(path)}" for path in Path(environ.get(TRUTH, "-")).glob("*.parquet")),
        *(f"chosen {each}" for each in chosen),
    ]
    ledgers = {
        path.name: f"{path.name} {_sha256(path)}" for path in (workspace / "lake").glob(LEDGERS)
    }
    given = said + [line for name, line in ledgers.items() if name not in own]
    return Inputs(_sha256_of_lines([*said, *ledgers.values()]), _sha256_of_lines(given))


def is_built(workspace: Path, database: Path, inputs: str) -> bool:
    """Whether the warehouse is that of the last green run, made from `inputs`."""
    known, state = read(workspace), _state(database)
    return state is not None and (known.get("inputs"), known.get("warehouse")) == (inputs, state)


def note(workspace: Path, database: Path, inputs: str, published: str) -> None:
    """A run is done: `published` is the version that it made or found."""
    _write(workspace, {"inputs": inputs, "warehouse": _state(database), "version": published})


def note_reports(workspace: Path, language: str, paths: Iterable[Path]) -> None:
    """The reports of the run that `note` speaks of are written: the index and the pages."""
    if known := read(workspace):
        written = {"language": language, "reports": [str(path) for path in paths]}
        _write(workspace, known | written)


def reports(workspace: Path, language: str) -> list[Path]:
    """The reports of the last green run; none when there are none in this language or one is missing."""
    known = read(workspace)
    paths = [Path(path) for path in known.get("reports", ())]
    is_whole = known.get("language") == language and all(path.is_file() for path in paths)
    return paths if is_whole else []


def forget(workspace: Path) -> None:
    """Before anything is built: until a run is done nothing is known."""
    (workspace / FILE).unlink(missing_ok=True)


def read(workspace: Path) -> Mapping:
    """What is noted; empty when there is nothing or it cannot be read."""
    try:
        return json.loads((workspace / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def _write(workspace: Path, content: Mapping) -> None:
    draft = workspace / f".{FILE}"
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, workspace / FILE)


def _state(database: Path) -> list[int] | None:
    """Size and time of the file; None when it is missing or its last writer left it open."""
    if not database.is_file() or database.with_name(f"{database.name}.wal").exists():
        return None
    found = database.stat()
    return [found.st_size, found.st_mtime_ns]


def _counts(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def _sha256_of_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
