"""What lies in the landing folder: entities, batches and files, without opening a file."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

INITIAL = "initial"
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".jsonl": "json",
    ".jsonl.gz": "json",
    ".ndjson": "json",
    ".json": "json",
}
_PARTITION = re.compile(r"dt=(\d{4}-\d{2}-\d{2})")
_UNFINISHED = (".tmp", ".crdownload", ".part", ".partial", "~")


class LandingError(Exception):
    """The intake cannot run at all; the message says what, where and what to do. The CLI exits with
    2.
    """


class Unreadable(Exception):
    """A file that cannot be used, so its batch is held. The message starts lower case and says what
    to do.

    `transient`: the trouble lies outside the file's content (permissions, still being written), so
    the batch is tried again at the next intake although the content is the same.
    """

    def __init__(self, reason: str, *, transient: bool = False):
        super().__init__(reason)
        self.transient = transient


@dataclass
class FileRecord:
    """One landed file: where it is, its fingerprint, and what reading it gave."""

    path: str
    """Relative to the landing root, with `/`."""
    source: Path
    bytes: int
    mtime_ns: int
    sha256: str = ""
    rows: int = 0
    problem_rows: int = 0
    extra_columns: tuple[str, ...] = ()
    missing_columns: tuple[str, ...] = ()
    """Required columns of the contract that the file does not have."""

    @property
    def format(self) -> str | None:
        name = self.source.name.lower()
        return next(
            (FORMATS[end] for end in sorted(FORMATS, key=len, reverse=True) if name.endswith(end)),
            None,
        )


@dataclass
class BatchRecord:
    """One delivery of an entity: the files of a `dt=` folder, or those laid directly under the
    entity.
    """

    entity: str
    batch: str
    batch_date: date | None
    files: list[FileRecord] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """Why the batch cannot be loaded, one sentence per file; such a batch contributes no rows and
    is held.
    """
    transient: bool = False
    """Try it again at the next intake although its content is the same."""

    @property
    def key(self) -> tuple[str, str]:
        return self.entity, self.batch

    @property
    def rows(self) -> int:
        """Rows of the candidate: those of all files, or none when a file is unreadable."""
        return 0 if self.unreadable else sum(file.rows for file in self.files)

    @property
    def problem_rows(self) -> int:
        return 0 if self.unreadable else sum(file.problem_rows for file in self.files)

    @property
    def extra_columns(self) -> list[str]:
        return sorted({name for file in self.files for name in file.extra_columns})

    @property
    def missing_columns(self) -> list[str]:
        """Required columns that at least one file does not have."""
        return sorted({name for file in self.files for name in file.missing_columns})

    @property
    def content_hash(self) -> str | None:
        """Hash over file names and contents; None when the batch must be tried again anyway."""
        if self.transient:
            return None
        lines = sorted(f"{file.sha256} {file.path}" for file in self.files)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def refuse(self, path: str, error: Unreadable) -> None:
        self.unreadable.append(f"{path}: {error}")
        self.transient = self.transient or error.transient

    def fingerprint(self) -> None:
        """Fill in the sha256 of every file; a file that cannot be opened makes the batch
        unreadable.
        """
        for file in self.files:
            try:
                with file.source.open("rb") as stream:
                    file.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                self.refuse(file.path, not_readable(error))
                continue
            if file.bytes == 0:
                self.refuse(
                    file.path,
                    Unreadable("the file is empty (0 bytes): land it again, or remove it"),
                )

    def check_unchanged(self) -> None:
        """Refuse the batch when a file is not as it was at the scan."""
        for file in self.files:
            try:
                stat = file.source.stat()
            except OSError:
                stat = None
            if stat is None or (stat.st_size, stat.st_mtime_ns) != (file.bytes, file.mtime_ns):
                problem = Unreadable(
                    "the file changed while it was read, so it is still being written: it is tried"
                    " again at the next run; write under a name that ends in .tmp, then rename",
                    transient=True,
                )
                self.refuse(file.path, problem)


def not_readable(error: OSError) -> Unreadable:
    reason = error.strerror or str(error)
    return Unreadable(
        f"cannot be opened ({reason}): make it readable for this user", transient=True
    )


def scan(landing: Path, entities: Iterable[str]) -> tuple[list[BatchRecord], list[str]]:
    """The batches in the landing folder by entity and date, and notes on what was ignored.

    Raises LandingError when the folder is missing, unreadable or holds no entity of the contract.
    """
    known = sorted(entities)
    if not os.path.exists(landing):
        raise LandingError(
            f"the landing folder {landing} does not exist or is out of this user's reach:"
            " create it, or set QUANYU_LANDING to another"
        )
    if not landing.is_dir():
        raise LandingError(
            f"the landing root {landing} is a file: give the folder that holds the entity folders"
        )
    entries = _entries(landing)
    folders = [entry for entry in entries if entry.is_dir()]
    if not any(entry.name in known for entry in folders):
        raise LandingError(
            f"the landing folder {landing} holds no entity folder:"
            f" seen {_names(_shown(e.name) for e in entries)}; known entities are {_names(known)};"
            f" put files under e.g. {landing / known[0]}"
        )
    notes, batches = [], []
    for entry in entries:
        name = _shown(entry.name)
        if entry.is_dir() and name in known:
            found = _entity_batches(landing, entry.name)
            batches += sorted(found.values(), key=lambda b: (b.batch_date or date.min, b.batch))
        elif entry.is_dir():
            near = difflib.get_close_matches(name.lower(), known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            notes.append(f"{name}/: ignored, no entity of the contract{hint}")
        elif name.lower().endswith(tuple(FORMATS)):
            notes.append(
                f"{name}: ignored, it lies beside the entity folders;"
                " move it into its entity's folder"
            )
    return batches, notes


def _shown(name: str) -> str:
    """A file name as it can be written down: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode(errors="replace")


def _names(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:20]) + (" …" if len(names) > 20 else "") if names else "nothing"


def _entries(folder: Path) -> list[os.DirEntry]:
    """Entries by name, without hidden ones, markers (`_SUCCESS`) and unfinished files."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise LandingError(
            f"the folder {folder} cannot be listed ({error.strerror}): make it readable"
        ) from error
    return [
        e for e in entries if e.name[0] not in "._" and not e.name.lower().endswith(_UNFINISHED)
    ]


def _entity_batches(landing: Path, entity: str) -> Mapping[str, BatchRecord]:
    batches: dict[str, BatchRecord] = {}
    for entry in _entries(landing / entity):
        if not entry.is_dir():
            batch = batches.setdefault(INITIAL, BatchRecord(entity, INITIAL, None))
            _add(batch, landing, Path(entry.path))
            continue
        # A folder that happens to be called `initial` must not hide the undated files.
        name = _shown(entry.name) if entry.name != INITIAL else f"{INITIAL}/"
        batch = batches.get(name) or BatchRecord(entity, name, _batch_date(name))
        try:
            for path in _files(Path(entry.path)):
                _add(batch, landing, path)
        except LandingError as error:
            batch.refuse(f"{entity}/{name}", Unreadable(str(error), transient=True))
        if batch.batch_date is None and batch.files:
            why = Unreadable(
                "the folder is not named dt=YYYY-MM-DD with a date that exists: rename it"
            )
            batch.refuse(f"{entity}/{name}", why)
        if batch.files or batch.unreadable:
            batches[name] = batch
    return batches


def _batch_date(name: str) -> date | None:
    match = _PARTITION.fullmatch(name)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _files(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _add(batch: BatchRecord, landing: Path, path: Path) -> None:
    relative = _shown(path.relative_to(landing).as_posix())
    try:
        stat = path.stat()
    except OSError as error:
        batch.refuse(relative, not_readable(error))
        return
    file = FileRecord(relative, path, stat.st_size, stat.st_mtime_ns)
    batch.files.append(file)
    if file.format is None:
        why = "not CSV, CSV.GZ, JSON lines or Parquet: convert it, or put `_` before its name"
        batch.refuse(relative, Unreadable(why))
    if relative != path.relative_to(landing).as_posix():
        batch.refuse(relative, Unreadable("its name is not valid UTF-8: rename it"))
