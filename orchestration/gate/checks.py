"""What the gate counts per batch, and how much of it is too much."""

from dataclasses import dataclass, replace

from orchestration.contract import Entity

TEXT_KINDS = frozenset(
    {"id", "text", "code", "identifier_type", "identifier_value", "phone", "email"}
)
TYPED_KINDS = frozenset({"timestamp", "date", "amount", "number", "integer", "flag"})
ID_KINDS = frozenset({"id", "identifier_value"})

# Faults that any text column can have. They are rare, so one expectation looks after all columns of
# an entity: an expectation costs seven milliseconds whatever it finds, and the reason names the
# columns.
POOLED = ("scientific", "too_long", "damaged")

UNSPLITTABLE = "row__unsplittable"
MEASURES = ("rows", "quarantined_rows", "distinct_keys", "first_day", "last_day")


def checks_of(entity: Entity) -> list[tuple[str, str]]:
    """(column, check) of all that can be wrong with a row, as in the macro `landing_checks`."""
    # An optional identifier may be absent, but not without its type once it is there.
    paired = {
        c.type_column for c in entity.columns if c.kind == "identifier_value" and not c.required
    }
    found = []
    for column in entity.columns:
        checks = {
            "missing": column.required or column.name in paired,
            "unreadable": column.kind in TYPED_KINDS,
            "negative": column.kind == "amount",
            "unknown": bool(column.vocabulary or column.values or column.kind == "identifier_type"),
            "after_batch": column.not_after_batch,
            "scientific": column.kind in ID_KINDS,
            "too_long": column.kind in TEXT_KINDS,
            "damaged": column.kind in TEXT_KINDS,
        }
        found += [(column.name, check) for check, applies in checks.items() if applies]
    return found


def count_columns(entity: Entity) -> list[str]:
    """The `<column>__<check>` columns that a profile of this entity must have."""
    return [*(f"{column}__{check}" for column, check in checks_of(entity)), UNSPLITTABLE]


def profile_columns(entity: Entity) -> list[str]:
    """Every column that a profile of this entity must have: one row per batch."""
    return ["batch", "batch_date", *MEASURES, *count_columns(entity)]


@dataclass(frozen=True)
class Thresholds:
    """Limits of one suite; shares are of a batch's rows, None leaves an expectation out."""

    # Below this many rows a share says nothing about the source: three bad rows of ten are
    # quarantined and warned about, and do not hold the seven good ones.
    min_rows: int = 20
    # One row in five is no longer dirt in the data: a field was renamed, a format changed, an
    # export was cut. The same limit as for quarantine, so that a batch which is held for its rows
    # also names the column.
    max_missing_share: float | None = 0.2
    max_unreadable_share: float | None = 0.2
    max_unknown_share: float | None = 0.2
    max_unsplittable_share: float | None = 0.2
    # Clocks run ahead and days close late, but when half of a batch lies after its own date, the
    # date is wrong.
    max_after_batch_share: float | None = 0.5
    # A healthy source loses well under one row in a hundred; one in twenty deserves a look before
    # it is one in five.
    quarantined_share_warning: float | None = 0.05
    # Figures built on four fifths of a day look plausible and are wrong: yesterday's complete
    # figures are better.
    max_quarantined_share: float | None = 0.2
    # At-least-once delivery repeats a few rows in a hundred; a file exported twice has exactly half
    # of its keys.
    unique_key_share_warning: float | None = 0.9
    # Of rows that share a key only one is kept: here nine rows in ten would vanish, so the key is
    # not the key.
    min_unique_key_share: float | None = 0.1
    # A weekly feed is at most seven days behind its batch date; beyond that an old file was
    # delivered again.
    max_days_behind: int | None = 7
    # Weekends and promotions (618, Double 11) move a day's volume two- to fourfold; beyond five
    # times either way it is more often a cut or a doubled export. Only a warning, because a
    # promotion may still do it.
    min_rows_vs_recent: float | None = 0.2
    max_rows_vs_recent: float | None = 5.0


DEFAULT = Thresholds()
# A master-data export may hold the history of its rows: repeated keys are then legitimate, and
# dropping them is right.
MASTER_DATA = replace(DEFAULT, unique_key_share_warning=0.5, min_unique_key_share=None)
THRESHOLDS: dict[str, Thresholds] = {
    # An order lands again in each of its five states, and an initial batch may hold them all.
    "orders": replace(DEFAULT, unique_key_share_warning=0.2),
    "products": MASTER_DATA,
    "campaigns": MASTER_DATA,
    "profiles": MASTER_DATA,
    "identity_links": MASTER_DATA,
    "erasure_requests": MASTER_DATA,
}
