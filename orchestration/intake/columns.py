"""Which columns of a file are which columns of the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestration.contract import Entity
from orchestration.intake.landing import Unreadable


@dataclass(frozen=True)
class Match:
    positions: dict[str, int]
    """Column of the contract to its position in the file."""
    extra: tuple[str, ...]
    """Columns of the file that the contract does not have; they are left out."""
    missing: tuple[str, ...]
    """Required columns of the contract that the file does not have."""

    def none_found(self, names: Sequence[str], entity: Entity) -> str:
        return (
            f"none of its columns {quoted(map(visible, names))} belongs to {entity.name}:"
            f" is the header line missing? known columns are {quoted(entity.column_names, 20)}"
        )


def match_columns(
    names: Sequence[str], entity: Entity, *, dated: bool, check_duplicates: bool = True
) -> Match:
    """Match names without regard to case or surrounding blanks; a duplicated name raises
    Unreadable.

    In a dated batch a column `dt` repeats the folder's date and is no extra column.
    """
    plain = [name.strip().lower() for name in names]
    twice = sorted({name for name in plain if name and plain.count(name) > 1})
    if twice and check_duplicates:
        raise Unreadable(
            f"the column {quoted(map(visible, twice))} appears more than once: keep one of them"
        )
    known = set(entity.column_names)
    positions = {name: i for i, name in enumerate(plain) if name in known}
    ignored = known | ({"dt"} if dated else set())
    missing = tuple(name for name in entity.required_columns if name not in positions)
    # Kept in the registry. Where required columns are missing too, the header may be a row of values.
    shown = visible if missing else without_numbers
    extra = tuple(shown(name) if name else "(unnamed)" for name in plain if name not in ignored)
    return Match(positions, tuple(dict.fromkeys(extra)), missing)


def visible(name: str) -> str:
    """The name if it looks like the name of a column: without a header line it is a person's value."""
    is_name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ;|\t,.-]*", name.strip())
    return without_numbers(name) if is_name else "…"


def without_numbers(name: str) -> str:
    """The name, unless it looks like a phone number, an id or an e-mail address."""
    return "…" if re.search(r"\d{5}|@", name) else name


def quoted(names: Iterable[str], limit: int = 8) -> str:
    """Names for a message, as `a`, `b`; long lists and long names are cut, odd bytes made
    printable.
    """
    names = [name.encode(errors="replace").decode() for name in names]
    shown = ", ".join(f"`{name[:60]}{'…' if len(name) > 60 else ''}`" for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
