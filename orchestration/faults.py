"""Faults of the machine around a run, in words: what happened, where, what it means for readers, and what to do.

A full disk, a folder that cannot be written, a database that is damaged, in use, or of another version, too little
memory: the libraries below say these in words of their own. `diagnose` knows those words.
"""

from __future__ import annotations

import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestration.intake import LandingError
from orchestration.serving import current
from orchestration.warehouse import BuildError

# The macro refuse_other_shape (macros/refresh/shape.sql) says this of a warehouse that another Quanyu has built.
OTHER_SHAPE = "was built by another version of Quanyu"


@dataclass(frozen=True)
class Fault:
    """A fault that is known: its kind in two or three words, what happened and where, and what to do about it."""

    kind: str
    happened: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.happened}\nto do: {self.remedy}"


@dataclass(frozen=True)
class Place:
    """Where a run works; what a remedy names."""

    workspace: Path
    database: Path
    published: Path

    @property
    def kept(self) -> str:
        """What readers have, as a sentence."""
        try:
            version = current(self.published)
        except OSError:
            version = None
        seen = f"readers keep {version.name}" if version else "nothing has been published yet"
        return f"nothing is lost: {seen}, and the next run goes on from what has landed"


def _free(folder: Path) -> str:
    """Space left on the disk of a folder that need not exist yet."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        return f"{shutil.disk_usage(there).free / 1e6:,.0f} MB are left on the disk of {there}"
    except (OSError, StopIteration):
        return f"the disk of {folder} is full"


def _disk_full(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    where = Path(path).parent if path else place.workspace
    return (
        f"{path or where} could not be written; {_free(where)}",
        "free space there, or move the workspace to a larger disk, then run again.",
    )


def _out_of_memory(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        f"the run needed more memory than it may take ({found[0].split('Possible solutions')[0].strip()})",
        "allow more (QUANYU_MEMORY=8GB), or run fewer models at once (QUANYU_THREADS=1), then run again.",
    )


def _memory_setting(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        "QUANYU_MEMORY (--memory) is not an amount of memory",
        "give a number with its unit, such as QUANYU_MEMORY=4GB.",
    )


def _locked(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        f"process {found[2]} ({found[1]}) has {path or place.database} open",
        "wait until that run ends, or close the program; readers should open the published file"
        f" ({place.published / 'current'}), which is never locked.",
    )


def _other_duckdb(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        f"{place.database} was written by another version of DuckDB (its format is {found[1]}, this one"
        f" reads {found[2]} to {found[3]})",
        "run with the version of Quanyu that wrote it; or " + _rebuild(place),
    )


def _damaged(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (f"{path or place.database} cannot be read ({found[0].strip()})", _rebuild(place))


def _rebuild(place: Place) -> str:
    moved = f"mv {place.database} {place.database}.damaged"
    wal = place.database.with_name(f"{place.database.name}.wal")
    if wal.exists():
        moved += f"; mv {wal} {wal}.damaged"
    return f"move the file away and run again: everything is built anew from the lake ({moved})."


def _damaged_lake(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    lake = place.workspace / "lake"
    return (
        f"{path or f'a file in {lake}'} is not a whole Parquet file ({found[0].strip()})",
        "restore it from a backup; or, when the landing folder still holds every batch, move"
        f" {lake} away and run with FULL_REFRESH=1: all batches are read again.",
    )


def _other_shape(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        f"{place.database} {found[0].split('. Run once')[0].strip()}",
        "run once with FULL_REFRESH=1: every table is built anew from the lake, what was published before"
        " stays on record.",
    )


def _binder(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        f"a model and the tables below it do not fit together ({found[0].strip()})",
        "if Quanyu was changed since the last run, run once with FULL_REFRESH=1; if a model was edited, look there.",
    )


def _not_writable(found: re.Match, place: Place, path: str) -> tuple[str, str]:
    return (
        f"{path or place.workspace}: {found[0].strip().lower()}",
        "let the user of this run write there, or name other folders (WORKSPACE=..., SERVING=...), then run again.",
    )


_READ_ONLY = "not writable"
_OUT_OF_MEMORY = "out of memory"
# The first whose words are found says what it was: DuckDB calls a disk on which it cannot spill out of memory, too.
_KNOWN: list[tuple[str, str, Callable[[re.Match, Place, str], tuple[str, str]]]] = [
    (
        "another version of Quanyu",
        rf"{OTHER_SHAPE}[^\n]*|schemas on this incremental model are out of sync",
        _other_shape,
    ),
    (
        "disk full",
        r"No space left on device|Disk quota exceeded|File too large|failed to offload data block",
        _disk_full,
    ),
    (
        _OUT_OF_MEMORY,
        r"Out of Memory Error[^\n]*|MemoryError|std::bad_alloc|Cannot allocate memory|malloc of size \d+ failed",
        _out_of_memory,
    ),
    ("not a setting", r"Memory must have a|Unknown unit for memory", _memory_setting),
    ("in use", r"Conflicting lock is held in (.+?) \(PID (\d+)\)", _locked),
    (
        "another version of DuckDB",
        r"database file with version number (\d+), but we can only read versions? between (\d+) and (\d+)",
        _other_duckdb,
    ),
    (
        "damaged lake",
        r"No magic bytes found[^\n]*|Parquet magic bytes not found[^\n]*|too small to be a Parquet file"
        r"|[Cc]ouldn't deserialize thrift[^\n]*|TProtocolException[^\n]*",
        _damaged_lake,
    ),
    (
        "damaged database",
        r"Corrupt database file[^\n]*|not a valid DuckDB database file|Could not read enough bytes"
        r"|[Ff]ailed to deserialize[^\n]*|Serialization Error[^\n]*|INTERNAL Error[^\n]*"
        r"|Failure while replaying WAL[^\n]*|database has been invalidated",
        _damaged,
    ),
    (_READ_ONLY, r"Read-only file system|Permission denied|Operation not permitted", _not_writable),
    ("models do not fit", r"(?:Binder|Catalog) Error[^\n]*", _binder),
]


def diagnose(error: BaseException, place: Place) -> Fault | None:
    """The fault behind an error or one of its causes; None when it is none that is known.

    An error that is not of the machine (a batch, a rule, a test) stays what it is.
    """
    said = [pair for each in _chain(error) for pair in _said_by(each)]
    for kind, words, explain in _KNOWN:
        if kind == _READ_ONLY and isinstance(error, LandingError):
            continue  # it names the folder and says what to do
        for model, text in said:
            if found := re.search(words, text):
                happened, remedy = explain(found, place, _path_in(text))
                happened += f", in model {model}" if model else ""
                return Fault(kind, f"{happened}\n{place.kept}", remedy)
    return None


def is_out_of_memory(error: BaseException, place: Place) -> bool:
    """Whether an error is for want of memory."""
    fault = diagnose(error, place)
    return fault is not None and fault.kind == _OUT_OF_MEMORY


def told(error: BaseException, place: Place) -> str:
    """An error for a person: the fault behind it when it is a known one, else its own words."""
    return str(diagnose(error, place) or error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _said_by(error: BaseException) -> list[tuple[str, str]]:
    """What an error says, in its type's name and words; that of a build is dbt's, with the name of each failed model."""
    if isinstance(error, BuildError):
        models = [each for each in error.failures if each.get("kind") == "model"]
        said = [(each["name"], each["message"]) for each in models]
        return said or ([] if error.failures else [("", str(error))])
    return [("", f"{type(error).__name__}: {error}")]


def _path_in(text: str) -> str:
    found = re.search(r"""["'](/[^"']+)["']""", text)
    return found[1] if found else ""


def write_trace(error: BaseException, workspace: Path) -> Path | None:
    """Keep the trace of an error that nobody foresaw in the workspace's logs; None when that cannot be written."""
    path = workspace / "logs" / "error.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None
    return path
