"""Landed Parquet to text, as SQL for DuckDB: files of one physical schema share one query."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.contract import Column, Entity
from orchestration.intake.columns import match_columns
from orchestration.intake.landing import INITIAL, FileRecord, Unreadable, not_readable

# From here on a double skips whole numbers, so it cannot have carried an id exactly.
EXACT_DOUBLE = 2**53
_FLOATS = ("FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Layout:
    """The physical columns of a Parquet file; files with equal layouts are read together."""

    columns: tuple[tuple[str, str], ...]


def read_layout(file: FileRecord, entity: Entity, *, dated: bool) -> Layout:
    """Look at the footer only; fills in the file's counts. Raises Unreadable."""
    try:
        metadata = pq.read_metadata(file.source)
        schema = metadata.schema.to_arrow_schema()
    except (FileNotFoundError, PermissionError) as error:
        raise not_readable(error) from error
    except (pa.ArrowException, OSError) as error:
        raise broken(error) from error
    if "file_row_number" in (name.lower() for name in schema.names):
        raise Unreadable("the column `file_row_number` has a name that the reader needs: rename it")
    match = match_columns(schema.names, entity, dated=dated)
    if not match.positions:
        raise Unreadable(match.none_found(schema.names, entity))
    file.rows, file.extra_columns, file.missing_columns = (
        metadata.num_rows,
        match.extra,
        match.missing,
    )
    return Layout(tuple((field.name, str(field.type)) for field in schema))


def broken(error: Exception) -> Unreadable:
    reason = str(error).strip().splitlines()[0][:300]
    return Unreadable(
        f"cannot be read as Parquet ({reason}): it is damaged or cut off, land it again"
    )


def select_text(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    landing: Path,
    files: Sequence[FileRecord],
) -> str:
    """A query for the candidate's columns over files of one layout."""
    source = _source([file.source for file in files])
    described = connection.execute(f"describe select * from {source}").fetchall()
    described = [(name, kind) for name, kind, *_ in described if name != "_landed_path"]
    match = match_columns(
        [name for name, _ in described], entity, dated=True, check_duplicates=False
    )
    values = []
    for column in entity.columns:
        if column.name in match.positions:
            name, kind = described[match.positions[column.name]]
            values.append(f"{_as_text(name, kind, column)} as {_identifier(column.name)}")
        else:
            values.append(f"null::varchar as {_identifier(column.name)}")
    # The path is the same for all rows of a file, so DuckDB works these out once per 2,048 rows.
    path = f"substr(_landed_path, {len(landing.as_posix().rstrip('/')) + 2})"
    folder = rf"regexp_extract({path}, '^[^/]+/(dt=[^/]+)/', 1)"
    return (
        f"select coalesce(nullif({folder}, ''), '{INITIAL}') as _batch,"
        f" try_cast(substr({folder}, 4) as date) as _batch_date, {path} as _file,"
        " file_row_number + 1 as _row, null::varchar as _raw, null::varchar as _problem,"
        f" {', '.join(values)} from {source}"
    )


def find_broken(
    connection: duckdb.DuckDBPyConnection,
    entity: Entity,
    landing: Path,
    files: Sequence[FileRecord],
) -> dict[str, Unreadable]:
    """After a failed query: the files, by path, that fail when they are read alone."""
    found = {}
    for file in files:
        try:
            query = select_text(connection, entity, landing, [file])
            connection.execute(f"select bit_xor(hash(columns(*))) from ({query})").fetchall()
        except duckdb.Error as error:
            found[file.path] = broken(error)
    return found


def _source(paths: Sequence[Path]) -> str:
    listed = ", ".join(literal(glob.escape(path.as_posix())) for path in paths)
    return f"read_parquet([{listed}], filename = '_landed_path', hive_partitioning = false)"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_text(name: str, kind: str, column: Column) -> str:
    """SQL that casts a landed column to text without losing a digit.

    A float that holds a whole number becomes its digits while that is exact. Beyond, an amount or a
    number keeps the text DuckDB gives, and an id, code or text becomes scientific notation, which
    staging quarantines: its last digits are lost already, and are never guessed.
    """
    source = _identifier(name)
    if kind == "VARCHAR":
        return source
    if kind == "BLOB":
        return f"coalesce(try(decode({source})), {source}::varchar)"
    if kind not in _FLOATS:
        return f"{source}::varchar"
    whole = f"isfinite({source}) and {source} = trunc({source})"
    beyond = (
        f"{source}::varchar"
        if column.kind in ("amount", "number")
        else f"format('{{:.16e}}', {source}::double)"
    )
    return (
        f"case when {whole} and abs({source}) < {EXACT_DOUBLE} then {source}::bigint::varchar"
        f" when {whole} then {beyond} else {source}::varchar end"
    )
