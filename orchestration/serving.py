"""Serving: the marts and reference tables of a green build, published for readers.

    <serving>/current -> versions/2026-06-30-12   what readers open
    <serving>/versions/2026-06-30-12/
        quanyu.duckdb       schemas marts and reference, with the descriptions as comments
        marts/<table>.parquet, reference/<table>.parquet   sorted by primary key
        manifest.json       as-of date, tables, rows, SHA-256 of each Parquet file, schema version

A version is written aside, checked, and becomes `current` by one rename of a symbolic link, so a
reader sees the whole of one version or the whole of the next. Nothing here reads the clock except
`published_at`, which stays out of the hash: the same marts give the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import yaml

from orchestration.intake.parquet import literal
from orchestration.intake.registry import RegistryRow, sync
from orchestration.warehouse import PROJECT

DATABASE = "quanyu.duckdb"
MANIFEST = "manifest.json"
SCHEMAS = ("marts", "reference")
# A week of daily versions: Monday's figures can still be read, and gone back to, on Sunday.
KEEP = 7
# What of a manifest says nothing about the content.
_UNHASHED = ("version", "published_at", "content_hash")
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}-(\d+)")


class ServingError(RuntimeError):
    """Nothing was published, and `current` is what it was; the message says why and what to do."""


@dataclass(frozen=True)
class Description:
    """What the project's YAML says about a table: the text, per column text and privacy, and its primary key."""

    text: str
    columns: Mapping[str, str]
    is_personal: bool
    primary_key: Sequence[str] = ()


@dataclass(frozen=True)
class Publication:
    """What `publish` did. `is_new`: a version was written. `is_current`: readers see it."""

    version: Path
    manifest: Mapping
    is_new: bool
    is_current: bool


def publish(
    database: Path,
    serving: Path,
    *,
    held: Iterable[str] = (),
    keep: int = KEEP,
    memory_limit: str = "4GB",
    before_swap: Callable[[], None] = lambda: None,
) -> Publication:
    """Publish the warehouse; every writer must have closed it.

    When a kept version has the same content, none is written and that one becomes current. A past
    day that somebody chose to look at is kept beside: `current` never goes back in time by itself.
    `held` names the batches that these marts lack, for the manifest. `before_swap` is called when
    the new version is complete and not yet current. Raises ServingError; `current` is then as it
    was.
    """
    versions = serving / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    with _only_publisher(serving):
        for leftover in versions.glob(".*"):
            shutil.rmtree(leftover)
        draft = versions / ".draft"
        try:
            manifest, is_chosen_day = _write(database, draft, memory_limit)
            manifest = manifest | {"held": sorted(held)}
            manifest["content_hash"] = _digest(manifest)
            twin = _twin(serving, manifest["content_hash"])
            if twin is None:
                number = 1 + max(map(_number, _versions(serving)), default=0)
                name = f"{manifest['as_of_date']}-{number}"
                stamp = datetime.now(UTC).isoformat(timespec="seconds")
                manifest = {"version": name, "published_at": stamp} | manifest
                _finish(draft, manifest)
                os.replace(draft, versions / name)
                sync(versions)
        except (duckdb.Error, OSError) as error:
            raise ServingError(
                f"nothing was published, readers keep {_shown(current(serving))}: {error}"
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        version = twin or versions / name
        now = current_manifest(serving)
        goes_back = is_chosen_day and now and manifest["as_of_date"] < now["as_of_date"]
        before_swap()
        if not goes_back:
            _swap(serving, version)
        _prune(serving, keep, spare=version)
        return Publication(version, read_manifest(version), twin is None, not goes_back)


def rollback(serving: Path, version: str | None = None) -> Path:
    """Make an older version current: the one named, else the one published before the current one.

    It lasts until the next green run publishes again. Raises ServingError when there is none.
    """
    with _only_publisher(serving):
        now, kept = current(serving), _versions(serving)
        names = [path.name for path in kept]
        if version is None:
            earlier = [p for p in kept if now is None or _number(p) < _number(now)]
            chosen = earlier[-1] if earlier else None
        else:
            chosen = next((path for path in kept if path.name == version), None)
        if chosen is None:
            raise ServingError(f"no such version to go back to; kept are {', '.join(names) or '-'}")
        _swap(serving, chosen)
        return chosen


def erase(
    serving: Path, ledger: Path, memory_limit: str = "4GB"
) -> list[tuple[str, int, int, str]]:
    """Take erased customers out of the published versions; (version, rows found, rows left, action) of each.

    `ledger` is the suppression list, whose `customer_id` are the ids that they had. What readers see
    and the version before it, to which a rollback goes, are written again without their rows; older
    versions that hold one are removed. Raises ServingError; what was not yet written is as it was.
    """
    done = []
    with _only_publisher(serving):
        now, kept = current(serving), _versions(serving)
        before = [path for path in kept if now and _number(path) < _number(now)][-1:]
        for version in kept:
            found = _rows_of(version, ledger)
            if not found:
                done.append((version.name, 0, 0, "none there"))
                continue
            if version != now and version not in before:
                trash = version.with_name(f".{version.name}")
                os.replace(version, trash)
                shutil.rmtree(trash)
                done.append((version.name, found, 0, "version removed"))
                continue
            try:
                fresh = _rewrite(serving, version, ledger, memory_limit, is_current=version == now)
            except (duckdb.Error, OSError) as error:
                raise ServingError(
                    f"{version.name} still holds erased people and could not be rewritten: {error}"
                ) from error
            left = _rows_of(fresh, ledger)
            done.append((version.name, found, left, f"rewritten without them as {fresh.name}"))
    return done


def _holds_erased(columns: Iterable[str], ledger: Path) -> str:
    """Condition on the rows of a published table: one of these columns names an erased customer."""
    return " or ".join(
        f'"{column}" in (select customer_id from read_parquet({literal(str(ledger))}) where is_forever)'
        for column in columns
        if column.endswith("customer_id")
    )


def _rows_of(version: Path, ledger: Path) -> int:
    """Rows of erased customers in all tables of a version."""
    rows = 0
    for table in read_manifest(version)["tables"]:
        if condition := _holds_erased(table["columns"], ledger):
            path = version / table["schema"] / f"{table['table']}.parquet"
            rows += duckdb.execute(
                f"select count(*) from read_parquet({literal(str(path))}) where {condition}"
            ).fetchone()[0]
    return rows


def _rewrite(
    serving: Path, version: Path, ledger: Path, memory_limit: str, *, is_current: bool
) -> Path:
    """Write a version again without the rows of erased customers; the folder in which it lies now.

    The current one gets a name of its own, so that `current` always points at something; the one
    before keeps its name and its place in the order.
    """
    draft = version.with_name(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    for schema in SCHEMAS:
        (draft / schema).mkdir(parents=True)
    manifest = dict(read_manifest(version))
    settings = {"memory_limit": memory_limit, "temp_directory": str(draft / "tmp")}
    with duckdb.connect(str(draft / DATABASE), config=settings) as connection:
        connection.execute(f"attach {literal(str(version / DATABASE))} as published (read_only)")
        comments = connection.execute(
            "select schema_name || '.\"' || table_name || '\"', column_name, comment from duckdb_columns()"
            " where database_name = 'published' and comment is not null"
        ).fetchall()
        texts = connection.execute(
            "select schema_name || '.\"' || table_name || '\"', comment from duckdb_tables()"
            " where database_name = 'published' and comment is not null"
        ).fetchall()
        for schema in SCHEMAS:
            connection.execute(f"create schema {schema}")
        tables = []
        for table in manifest["tables"]:
            name = f'{table["schema"]}."{table["table"]}"'
            file = Path(table["schema"]) / f"{table['table']}.parquet"
            condition = _holds_erased(table["columns"], ledger)
            where = f"where not coalesce({condition}, false)" if condition else ""
            # It lies in the order of its key already.
            connection.execute(f"create table {name} as select * from published.{name} {where}")
            (rows,) = connection.execute(f"select count(*) from {name}").fetchone()
            if rows == table["rows"]:
                shutil.copy2(version / file, draft / file)
            else:
                connection.execute(
                    f"copy {name} to {literal(str(draft / file))} (format parquet, compression zstd)"
                )
            tables.append(dict(table) | {"rows": rows, "sha256": _sha256(draft / file)})
        for name, text in texts:
            connection.execute(f"comment on table {name} is {literal(text)}")
        for name, column, text in comments:
            connection.execute(f'comment on column {name}."{column}" is {literal(text)}')
    shutil.rmtree(draft / "tmp", ignore_errors=True)
    target = version
    if is_current:
        number = 1 + max(map(_number, _versions(serving)))
        target = version.with_name(f"{manifest['as_of_date']}-{number}")
    manifest |= {"version": target.name, "tables": tables}
    manifest["content_hash"] = _digest(
        {key: manifest[key] for key in manifest if key not in _UNHASHED}
    )
    _finish(draft, manifest)
    trash = version.with_name(f".{version.name}")
    if is_current:
        os.replace(draft, target)
        _swap(serving, target)
        os.replace(version, trash)
    else:
        os.replace(version, trash)
        os.replace(draft, target)
    shutil.rmtree(trash)
    sync(target.parent)
    return target


def current(serving: Path) -> Path | None:
    """Folder of the version that readers see, None before the first publication."""
    link = serving / "current"
    return serving / os.readlink(link) if link.is_symlink() else None


def current_manifest(serving: Path) -> Mapping | None:
    version = current(serving)
    return read_manifest(version) if version else None


def read_manifest(version: Path) -> Mapping:
    return json.loads((version / MANIFEST).read_text(encoding="utf-8"))


def blocking_holds(
    held: Iterable[RegistryRow], landing: Path, manifest: Mapping | None
) -> list[RegistryRow]:
    """Held batches for whose sake readers keep what they have.

    Those are the batches that went on hold since the last publication and still lie in the landing
    folder. A batch that was taken away, or that an earlier publication went without, holds up
    nobody; before the first publication there is nothing to keep.
    """
    if manifest is None:
        return []
    return [row for row in held if hold_name(row) not in manifest["held"] and _lies(row, landing)]


def hold_name(row: RegistryRow) -> str:
    """A held delivery by name: another delivery of the same batch is another hold."""
    return f"{row.entity} {row.batch} {(row.last_hash or 'unreadable')[:8]}"


def _lies(row: RegistryRow, landing: Path) -> bool:
    return any((landing / file["path"]).exists() for file in json.loads(row.last_files))


def descriptions(project: Path = PROJECT) -> dict[str, Description]:
    """What the project's YAML says about its models and seeds, by name."""
    found = {}
    for folder in ("models", "seeds"):
        for path in sorted((project / folder).rglob("*.yml")):
            document = yaml.load(path.read_text(encoding="utf-8"), _YAML)
            for node in [*document.get("models", ()), *document.get("seeds", ())]:
                columns = node.get("columns", ())
                found[node["name"]] = Description(
                    node.get("description", ""),
                    {column["name"]: column.get("description", "") for column in columns},
                    any(
                        column.get("config", {}).get("meta", {}).get("personal")
                        for column in columns
                    ),
                    next(
                        (
                            constraint["columns"]
                            for constraint in node.get("constraints", ())
                            if constraint["type"] == "primary_key"
                        ),
                        (),
                    ),
                )
    return found


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def publishable(
    tables: Iterable[tuple[str, str]], described: Mapping[str, Description]
) -> list[tuple[str, str]]:
    """The (schema, table) that may leave the warehouse: described, without a personal column."""
    return [
        (schema, name)
        for schema, name in tables
        if schema in SCHEMAS and name in described and not described[name].is_personal
    ]


def _write(database: Path, draft: Path, memory_limit: str) -> tuple[dict, bool]:
    """Write database and Parquet files into `draft`; the manifest, and whether the day was chosen."""
    for schema in SCHEMAS:
        (draft / schema).mkdir(parents=True)
    described, tables = descriptions(), []
    settings = {"memory_limit": memory_limit, "temp_directory": str(draft / "tmp")}
    with duckdb.connect(str(draft / DATABASE), config=settings) as connection:
        connection.execute(f"attach {literal(str(database))} as warehouse (read_only)")
        listed = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_catalog = 'warehouse' order by all"
        ).fetchall()
        for schema in SCHEMAS:
            connection.execute(f"create schema {schema}")
        for schema, name in publishable(listed, described):
            table = f'{schema}."{name}"'
            columns = _columns(connection, f"warehouse.{schema}", name)
            key = list(described[name].primary_key)
            key = key if set(key) <= columns.keys() else []
            order = ", ".join(f'"{column}"' for column in key) or "all"
            connection.execute(
                f"create table {table} as select * from warehouse.{table} order by {order}"
            )
            target = draft / schema / f"{name}.parquet"
            connection.execute(
                f"copy {table} to {literal(str(target))} (format parquet, compression zstd)"
            )
            _comment(connection, table, described[name])
            tables.append(
                {
                    "schema": schema,
                    "table": name,
                    "primary_key": key,
                    "columns": columns,
                    "rows": connection.execute(
                        f"select count(*) from warehouse.{table}"
                    ).fetchone()[0],
                    "sha256": _sha256(target),
                }
            )
        as_of, source = connection.execute(
            "select cast(as_of_date as varchar), as_of_source from warehouse.reference.as_of"
        ).fetchone()
    shutil.rmtree(draft / "tmp", ignore_errors=True)
    shape = [[table[part] for part in ("schema", "table", "columns")] for table in tables]
    manifest = {
        "as_of_date": as_of or "0001-01-01",
        "project_version": project_version(),
        "schema_version": _digest(shape)[:12],
        "tables": tables,
    }
    return manifest, source == "chosen"


def _comment(connection: duckdb.DuckDBPyConnection, table: str, description: Description) -> None:
    """The descriptions as comments, so that a SQL client shows them beside the columns."""
    built = {row[0] for row in connection.execute(f"describe {table}").fetchall()}
    comments = [f"comment on table {table} is {literal(description.text.strip())}"] + [
        f'comment on column {table}."{column}" is {literal(text.strip())}'
        for column, text in description.columns.items()
        if column in built
    ]
    # One transaction: thousands of them would each wait for the disk.
    connection.execute("; ".join(["begin", *comments, "commit"]))


def _columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f'describe {schema}."{table}"').fetchall()}


def _finish(draft: Path, manifest: Mapping) -> None:
    """Write the manifest, check what was written as a reader would, and force it to the disk.

    Raises ServingError when a table does not have the rows of the warehouse.
    """
    with duckdb.connect(str(draft / DATABASE), read_only=True) as reader:
        for table in manifest["tables"]:
            name = f'{table["schema"]}."{table["table"]}"'
            parquet = draft / table["schema"] / f"{table['table']}.parquet"
            for source in (name, f"read_parquet({literal(str(parquet))})"):
                (rows,) = reader.execute(f"select count(*) from {source}").fetchone()
                if rows != table["rows"]:
                    raise ServingError(
                        f"{source} has {rows:,} rows, the warehouse has {table['rows']:,}:"
                        " nothing was published; run again, and check the disk"
                    )
    text = json.dumps(manifest, ensure_ascii=False, indent=2)
    (draft / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    for path in sorted(draft.rglob("*")):
        if path.is_file():
            path.chmod(0o444)  # a client that opens it for writing is refused, not the next reader
        sync(path)
    sync(draft)


def _swap(serving: Path, version: Path) -> None:
    """Point `current` at a version: one rename, so it always points at one of them."""
    if current(serving) == version:
        return
    link = serving / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(version.relative_to(serving))
    os.replace(link, serving / "current")
    sync(serving)


def _twin(serving: Path, content_hash: str) -> Path | None:
    """The newest kept version with this content."""
    for version in reversed(_versions(serving)):
        if read_manifest(version)["content_hash"] == content_hash:
            return version
    return None


def _prune(serving: Path, keep: int, *, spare: Path) -> None:
    """Remove all but the newest versions, never the current one or `spare`.

    A reader that has an old file open reads it to its end after it was removed. One that is about to
    open it cannot: DuckDB follows the link, then opens the file. So the version before the newest
    always stays.
    """
    for version in _versions(serving)[: -max(keep, 2)]:
        if version not in (current(serving), spare):
            trash = version.with_name(f".{version.name}")
            os.replace(version, trash)
            shutil.rmtree(trash)


def _versions(serving: Path) -> list[Path]:
    """Complete versions in the order in which they were published."""
    found = (serving / "versions").glob("*")
    return sorted((path for path in found if _VERSION.fullmatch(path.name)), key=_number)


def _number(version: Path) -> int:
    return int(_VERSION.fullmatch(version.name)[1])


def _shown(version: Path | None) -> str:
    return version.name if version else "nothing"


@contextmanager
def _only_publisher(serving: Path) -> Iterator[None]:
    """Hold the lock of the serving folder. Raises ServingError when another process holds it."""
    serving.mkdir(parents=True, exist_ok=True)
    with (serving / ".lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServingError(
                f"another process publishes into {serving}: wait until it ends"
            ) from None
        yield


def project_version(project: Path = PROJECT) -> str:
    """The version in dbt_project.yml."""
    document = yaml.load((project / "dbt_project.yml").read_text(encoding="utf-8"), _YAML)
    return document["version"]


def _digest(value: object) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
