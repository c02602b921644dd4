"""Erasure: what a landed `erasure_requests` row sets in motion (docs/privacy.md).

    requested(...)        is there a request that has not been carried out?
    suppress(...)         after identities are resolved: list the person's identifiers as salted hashes
    ... dbt build ...     rows lose the listed identifiers (macros/landing/erasing.sql), everything follows
    extend(...)           a late link named further identifiers of somebody erased: list them too, build again
    finish(...)           rewrite the lake, remove what the refresh kept, prove it
    wipe(...)             copy the warehouse into a new file when its blocks have held deleted rows for long enough
    forget_published(...) rewrite or remove published versions and exports that still hold the person

The ledgers lie beside the registry in `<workspace>/lake`: `suppressed.parquet`, `erasures.parquet`,
`erasure_proof.parquet`, and `erasure.json`, which says up to which refresh that was finished and since when
the warehouse file waits to be wiped. They
hold hashes salted with QUANYU_SALT and counts, nothing that names a person. Every step may be
repeated: a run that dies is caught up by the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from orchestration import exports
from orchestration import serving as published
from orchestration.contract import Entity, load_contract
from orchestration.identifiers import key_of, normalised
from orchestration.intake.parquet import literal
from orchestration.intake.registry import read_registry, sync

SUPPRESSED, ERASURES, PROOF, STATE = (
    "suppressed.parquet",
    "erasures.parquet",
    "erasure_proof.parquet",
    "erasure.json",
)
LEDGERS = (SUPPRESSED, ERASURES, PROOF)
_SCHEMAS = {
    SUPPRESSED: "suppressed_key bigint, customer_id varchar, identifier_type varchar, is_forever boolean,"
    " valid_from timestamp, valid_to timestamp, erasure_number integer, requested_at timestamp,"
    " since_refresh bigint, salt_check varchar",
    ERASURES: "erasure_number integer, request_file varchar, request_row bigint, requested_at timestamp,"
    " cause varchar, identifiers integer, customers integer, since_refresh bigint, carried_out_at timestamp",
    PROOF: "run_number integer, place_kind varchar, place varchar, rows_found bigint, rows_left bigint,"
    " action varchar, proved_at timestamp",
}
# Models that have to be there before anybody can say which identifiers are one person's.
PEOPLE = (
    "+bridge_customer_identifiers",
    "+base_landing__erasure_requests",
    "suppressed_identifiers",
)
MARK = "erased: "
YOURS = "yours: the landing folder is not ours to change"
# Schemas whose tables a build makes free of the erased.
REBUILT = ("lifecycle", "marts")


class ErasureError(RuntimeError):
    """An erasure cannot be carried out; the message says why and what to do."""


@dataclass(frozen=True)
class Place:
    """A place where erased people were, or could be, mentioned, with rows before and after."""

    kind: str
    name: str
    found: int
    left: int
    action: str


def salt() -> str:
    """The salt of public ids and of the suppression list."""
    return os.environ.get("QUANYU_SALT", "")


def salt_check(value: str) -> str:
    """A fingerprint of the salt: another salt would make the suppression list useless in silence."""
    return hashlib.sha256(f"quanyu|salt check|{value}".encode()).hexdigest()[:16]


def check_salt(workspace: Path) -> None:
    """Raise ErasureError when people were erased under another salt."""
    ledger = workspace / "lake" / SUPPRESSED
    if not ledger.exists():
        return
    known = duckdb.execute(
        f"select distinct salt_check from read_parquet({literal(str(ledger))})"
    ).fetchall()
    if known and known != [(salt_check(salt()),)]:
        raise ErasureError(
            "QUANYU_SALT is not the one under which people were erased, so they could not be"
            " recognised when a file mentions them again: set the former salt"
        )


def requested(workspace: Path, database: Path) -> bool:
    """Whether a request waits: in a load that the warehouse has not seen, or accepted and not carried out."""
    waiting = "_fate in ('accepted', 'duplicate', 'superseded')"
    return _is_new(workspace, database, "erasure_requests", waiting)


def is_naming(workspace: Path, database: Path) -> bool:
    """Whether links have landed that may name more of the erased: in a load that the warehouse has not seen."""
    if not (workspace / "lake" / SUPPRESSED).exists():
        return False
    return _is_new(workspace, database, "identity_links")


def suppress(workspace: Path, database: Path, say: Callable[[str], None]) -> None:
    """List every identifier of the people whose requests wait. Identities must be resolved."""
    with duckdb.connect(str(database), read_only=True) as warehouse:
        warehouse.execute(
            """
            create temp table people as
            with requests as (
                select
                    identifier_key, any_value(identifier_type) as identifier_type,
                    any_value(identifier_value) as identifier_value, min(_file) as request_file,
                    min_by(_row, _file) as request_row, min(requested_at) as requested_at
                from staging.base_landing__erasure_requests
                where _fate in ('accepted', 'duplicate', 'superseded')
                group by identifier_key
            )
            select requests.*, known.customer_key, cast('request' as varchar) as cause
            from requests
            left join (
                select bridge.identifier_key, bridge.customer_key
                from identity.bridge_customer_identifiers as bridge
                inner join reference.identifier_types as types using (identifier_type)
                where bridge.is_current and bridge.guard is null and types.joins_people
            ) as known using (identifier_key)
            """
        )
        rows, customers = _list(warehouse, workspace)
    if rows:
        say(f"erasure    {rows:,} identifiers of {customers:,} people are listed")


def extend(workspace: Path, database: Path, say: Callable[[str], None]) -> bool:
    """List what late links of this refresh say about erased people; True when there was anything.

    A link from before the request names further identifiers of the same person. A later one does
    not: whoever holds the number now is somebody else, or has come back. Nor does one between two
    values of a type of which a person has one, such as two member ids: the number was passed on.
    """
    if not (workspace / "lake" / SUPPRESSED).exists():
        return False
    proved = _state(workspace / "lake").get("proved_refresh", 0)
    with duckdb.connect(str(database), read_only=True) as warehouse:
        links = " union all ".join(
            f"select {left} as left_key, {right} as right_key, coalesce({time}, cast(_batch_date as timestamp)) as linked_at"
            f" from staging.base_landing__{entity} where _fate = 'withdrawn' and _erased = 'late'"
            for entity, left, right, time in [
                ("identity_links", "left_key", "right_key", "linked_at"),
                (
                    "memberships",
                    key_of("'member_id'", "member_id"),
                    "identifier_key",
                    "occurred_at",
                ),
                ("profiles", "identifier_key", key_of("'phone'", "phone"), "updated_at"),
                ("profiles", "identifier_key", key_of("'email'", "email"), "updated_at"),
                ("profiles", key_of("'phone'", "phone"), key_of("'email'", "email"), "updated_at"),
            ]
        )
        warehouse.execute(
            f"""
            create temp table people as
            with links as ({links}),
            both_ways as (
                select left_key as erased_key, right_key as other_key, linked_at from links
                union all
                select right_key, left_key, linked_at from links
            ),
            named as (
                select other_key, min(listed.erasure_number) as erasure_number, min(listed.requested_at) as requested_at
                from both_ways
                inner join audit.suppressed_identifiers as listed
                    on {salted("both_ways.erased_key")} = listed.suppressed_key and listed.is_forever
                where
                    both_ways.other_key is not null
                    and (both_ways.linked_at is null or both_ways.linked_at <= listed.requested_at)
                    and {salted("both_ways.other_key")} not in (
                        select suppressed_key from audit.suppressed_identifiers where is_forever
                    )
                group by other_key
            )
            select
                bridge.identifier_key, bridge.identifier_type, bridge.identifier_value,
                cast(null as varchar) as request_file, cast(null as bigint) as request_row,
                named.requested_at, bridge.customer_key, cast('late link' as varchar) as cause
            from named
            inner join identity.bridge_customer_identifiers as bridge on named.other_key = bridge.identifier_key
            inner join reference.identifier_types as types using (identifier_type)
            where
                bridge.is_current and bridge.guard is null and types.joins_people
                and not exists (
                    select 1
                    from identity.bridge_customer_identifiers as held
                    inner join reference.identifier_types as single using (identifier_type)
                    inner join audit.suppressed_identifiers as listed
                        on held.identifier_type = listed.identifier_type
                    where
                        held.customer_key = bridge.customer_key and single.values_per_person <> 'many'
                        and listed.erasure_number = named.erasure_number
                )
            union all
            select
                plain.identifier_key, plain.identifier_type, plain.identifier_value,
                cast(null as varchar), cast(null as bigint), min(listed.requested_at),
                cast(null as bigint), cast('plain value of a hash' as varchar)
            from (
                select *, unnest([md5_key, sha256_key]) as hash_key
                from identity.int_identity__identifiers
                where is_in_force and md5_key is not null and _refresh > {proved}
            ) as plain
            inner join audit.suppressed_identifiers as listed
                on {salted("plain.hash_key")} = listed.suppressed_key and listed.is_forever
            where {salted("plain.identifier_key")} not in (
                select suppressed_key from audit.suppressed_identifiers where is_forever
            )
            group by plain.identifier_key, plain.identifier_type, plain.identifier_value
            """
        )
        rows, _ = _list(warehouse, workspace)
    if rows:
        say(f"erasure    late rows name {rows:,} more identifiers of erased people")
    return rows > 0


def _list(warehouse: duckdb.DuckDBPyConnection, workspace: Path) -> tuple[int, int]:
    """Add the identifiers of `people` to the ledgers; how many identifiers, of how many customers."""
    lake = workspace / "lake"
    for name in (SUPPRESSED, ERASURES):
        _create_ledger(warehouse, lake, name)
    (since,) = warehouse.execute("select max(refresh_number) from audit.refreshes").fetchone()
    warehouse.execute(
        f"""
        create temp table numbered as
        select
            (select coalesce(max(erasure_number), 0) from {_temp(ERASURES)})
                + row_number() over (order by requested_at, identifier_key) as erasure_number,
            people.*
        from people;

        create temp table named as
        select erasure_number, identifier_type, identifier_value, requested_at, true as is_forever,
            cast(null as timestamp) as valid_from, cast(null as timestamp) as valid_to
        from numbered
        union
        select
            numbered.erasure_number, bridge.identifier_type, bridge.identifier_value, numbered.requested_at,
            types.joins_people or owners.customers = 1 as is_forever,
            case when not (types.joins_people or owners.customers = 1) then bridge.valid_from end,
            case when not (types.joins_people or owners.customers = 1) then bridge.valid_to end
        from numbered
        inner join identity.bridge_customer_identifiers as bridge using (customer_key)
        inner join reference.identifier_types as types on bridge.identifier_type = types.identifier_type
        inner join (
            select identifier_key, count(distinct customer_key) as customers
            from identity.bridge_customer_identifiers
            group by identifier_key
        ) as owners on bridge.identifier_key = owners.identifier_key;

        create temp table spelled as
        select named.* from named
        union
        select
            named.* replace (digests.digest as identifier_value)
        from named
        inner join reference.identifier_types as types using (identifier_type)
        cross join lateral (
            values (md5(named.identifier_value)), (sha256(named.identifier_value))
        ) as digests (digest)
        where types.matches_hashes and not regexp_matches(named.identifier_value, '^([0-9a-f]{{32}}|[0-9a-f]{{64}})$');

        create temp table fresh as
        select
            {salted(key_of("identifier_type", "identifier_value"))} as suppressed_key,
            'C' || upper(substring(md5(concat($salt, '|', identifier_type, '|', identifier_value)), 1, 16)) as customer_id,
            identifier_type, is_forever, valid_from, valid_to, erasure_number, requested_at,
            cast($since as bigint) as since_refresh, $check as salt_check
        from spelled
        qualify row_number() over (
            partition by suppressed_key, is_forever, valid_from, valid_to order by erasure_number
        ) = 1 and (is_forever or max(is_forever) over (partition by suppressed_key) = false);
        """.replace("$salt", literal(salt()))
        .replace("$since", str(since))
        .replace("$check", literal(salt_check(salt())))
    )
    warehouse.execute(
        f"""
        delete from fresh where is_forever and suppressed_key in (select suppressed_key from {_temp(SUPPRESSED)} where is_forever);
        delete from {_temp(SUPPRESSED)} where suppressed_key in (select suppressed_key from fresh where is_forever);
        insert into {_temp(SUPPRESSED)} select * from fresh;
        insert into {_temp(ERASURES)}
        select
            numbered.erasure_number, request_file, request_row, requested_at, cause,
            coalesce(listed.identifiers, 0), (customer_key is not null)::integer, {since}, {_now()}
        from numbered
        left join (
            select erasure_number, count(*) as identifiers from fresh group by erasure_number
        ) as listed using (erasure_number)
        """
    )
    found = warehouse.execute(
        "select (select count(*) from fresh), (select count(distinct customer_key) from numbered)"
    ).fetchone()
    if found[0] or warehouse.execute("select count(*) from numbered").fetchone()[0]:
        for name in (ERASURES, SUPPRESSED):
            _write_ledger(warehouse, lake, name)
    return found


def finish(
    workspace: Path,
    database: Path,
    landing: Path,
    say: Callable[[str], None],
    memory_limit: str = "4GB",
) -> list[Place]:
    """Remove what is left of the erased after a green build; the places, with rows before and after.

    Raises ErasureError when a table of ours still names one of them.
    """
    lake = workspace / "lake"
    if not (lake / SUPPRESSED).exists():
        return []
    with duckdb.connect(str(database), config={"memory_limit": memory_limit}) as warehouse:
        (refresh,) = warehouse.execute("select max(refresh_number) from audit.refreshes").fetchone()
        done = _state(lake).get("proved_refresh", 0)
        done = done if done <= refresh else 0
        entities = list(load_contract().values())
        if not _is_due(warehouse, entities, done):
            _mark_state(lake, proved_refresh=refresh)
            return []
        _collect_keys(warehouse, entities)
        tables = _tables(warehouse)
        found = {table: _count(warehouse, table, tables[table]) for table in tables}
        # Nothing that a model still has to see may go before every model has seen it.
        stale = [t for t in tables if found[t] and t[0] in REBUILT and not _keeps(*t)]
        if stale:
            raise ErasureError(
                f"{', '.join(map('.'.join, stale))} still name erased people, because this run did"
                " not build them: run the whole job"
            )
        places = _clear_quarantine(warehouse, entities, refresh)
        places += _rewrite_lake(warehouse, workspace, entities)
        _clear_base(warehouse, entities)
        kept = [table for table in tables if found[table] and _keeps(*table)]
        _forget_built(warehouse, kept)
        for schema, name in kept:
            warehouse.execute(f'delete from {schema}."{name}" where {_names(tables[schema, name])}')
        # What held none before has had nothing done to it since.
        left = {t: _count(warehouse, t, tables[t]) if found[t] else 0 for t in tables}
        places += [
            Place(
                "table",
                ".".join(table),
                found[table],
                left[table],
                _done_to(table[0], found[table]),
            )
            for table in tables
        ]
        places += _landing_mentions(warehouse, entities, landing)
        places += _seed_mentions(warehouse)
        guilty = [p for p in places if p.left and p.kind in ("table", "lake")]
        guilty = [p for p in guilty if not p.action.startswith("yours")]
        write_proof(warehouse, lake, places, is_new_run=True)
    _mark_state(lake, unwiped_since=_state(lake).get("unwiped_since") or f"{_today()}")
    if guilty:
        listed = ", ".join(f"{place.name} ({place.left:,} rows)" for place in guilty)
        raise ErasureError(f"erased people are still named in {listed}: nothing was published")
    _mark_state(lake, proved_refresh=refresh, erased=_state(lake).get("erased", 0) + 1)
    removed = sum(place.found for place in places if place.kind == "table")
    say(
        f"erasure    {removed:,} rows of {len(tables):,} tables named an erased person, none is left:"
        " select * from audit.erasure_proof"
    )
    return places


def forget_published(
    workspace: Path, database: Path, serving: Path, say: Callable[[str], None]
) -> list[Place]:
    """After the publication: what was published or exported earlier loses the erased, too.

    Does nothing when nobody was erased since the last time. Raises ServingError.
    """
    lake = workspace / "lake"
    state = _state(lake)
    if not (lake / SUPPRESSED).exists() or state.get("forgotten", 0) >= state.get("erased", 0):
        return []
    places = []
    if serving.is_dir():
        for name, found, left, action in published.erase(serving, lake / SUPPRESSED):
            places.append(Place("version", name, found, left, action))
    for name, found, left, action in exports.erase(workspace, lake / SUPPRESSED):
        places.append(Place("export", name, found, left, action))
    with duckdb.connect(str(database)) as warehouse:
        write_proof(warehouse, lake, places, is_new_run=False)
    _mark_state(lake, forgotten=state.get("erased", 0))
    changed = [place for place in places if place.found]
    if changed:
        rows = sum(place.found for place in changed)
        say(f"erasure    {rows:,} rows of {len(changed):,} published versions and exports removed")
    return places


def write_proof(
    warehouse: duckdb.DuckDBPyConnection, lake: Path, places: Iterable[Place], *, is_new_run: bool
) -> None:
    """Add places to the proof, in the lake and in the warehouse."""
    _create_ledger(warehouse, lake, PROOF)
    (run,) = warehouse.execute(
        f"select coalesce(max(run_number), 0) + {int(is_new_run)} from {_temp(PROOF)}"
    ).fetchone()
    warehouse.executemany(
        f"insert into {_temp(PROOF)} values (?, ?, ?, ?, ?, ?, {_now()})",
        [[run, p.kind, p.name, p.found, p.left, p.action] for p in places]
        or [[run, "none", "-", 0, 0, "nothing to do"]],
    )
    _write_ledger(warehouse, lake, PROOF)
    for name, table in ((PROOF, "erasure_proof"), (ERASURES, "erasures")):
        if _exists(warehouse, "audit", table):
            _create_ledger(warehouse, lake, name)
            warehouse.execute(
                f"delete from audit.{table}; insert into audit.{table} select * from {_temp(name)}"
            )


def wipe_due(workspace: Path) -> date | None:
    """The day on which the blocks of the warehouse file are to be wiped: QUANYU_WIPE_AFTER_DAYS days (7; 0: at once) after
    the first erasure since the last time; None when there was none. Raises ErasureError when the variable is no whole
    number.
    """
    since = _state(workspace / "lake").get("unwiped_since")
    text = os.environ.get("QUANYU_WIPE_AFTER_DAYS", "7").strip()
    if not text.isdecimal():
        raise ErasureError(f"QUANYU_WIPE_AFTER_DAYS is `{text}`, which is no whole number of days")
    return date.fromisoformat(since) + timedelta(days=int(text)) if since else None


def is_wipe_due(workspace: Path) -> bool:
    """Whether that day has come. Raises ErasureError, as `wipe_due` does."""
    due = wipe_due(workspace)
    return due is not None and due <= _today()


def wipe(
    workspace: Path, database: Path, say: Callable[[str], None], memory_limit: str = "4GB"
) -> bool:
    """Copy the warehouse into a new file when that is due, since deleted rows stay in the blocks of the old one: not at
    each erasure, because a copy costs more than the rest of it.

    Whether it was done. Raises ErasureError, as `wipe_due` does.
    """
    due = wipe_due(workspace)
    if due is None:
        return False
    if due > _today():
        say(f"erasure    the blocks of {database.name} are wiped on {due} (QUANYU_WIPE_AFTER_DAYS)")
        return False
    lake = workspace / "lake"
    compact(database, memory_limit)
    with duckdb.connect(str(database)) as warehouse:
        done = Place("file", database.name, 0, 0, "written anew: no block holds a deleted row")
        write_proof(warehouse, lake, [done], is_new_run=False)
    _mark_state(lake, unwiped_since=None)
    return True


def compact(database: Path, memory_limit: str = "4GB") -> None:
    """Copy the warehouse into a new file: deleted rows stay in the blocks of the old one."""
    fresh = database.with_name(f".{database.stem}.compact")
    fresh.unlink(missing_ok=True)
    name = f'"{database.stem}"'
    settings = {"memory_limit": memory_limit, "temp_directory": str(database.parent / "tmp")}
    with duckdb.connect(config=settings) as connection:
        connection.execute(f"attach {literal(str(database))} as {name}")
        (version,) = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where database_name = ?",
            [database.stem],
        ).fetchone()
        connection.execute(
            f"attach {literal(str(fresh))} as compacted (storage_version '{version.rstrip('+')}')"
        )
        connection.execute(f"copy from database {name} to compacted")
        connection.execute("detach compacted")
    for leftover in (
        database.with_name(f"{database.name}.wal"),
        fresh.with_name(f"{fresh.name}.wal"),
    ):
        leftover.unlink(missing_ok=True)
    sync(fresh)
    os.replace(fresh, database)
    sync(database.parent)


def salted(key: str) -> str:
    """SQL of a key as the suppression list keeps it (macros/landing/erasing.sql)."""
    return f"cast(md5_number_upper(concat({literal(salt() + '|suppressed|')}, cast({key} as varchar))) >> 1 as bigint)"


def _is_new(workspace: Path, database: Path, entity: str, known: str = "false") -> bool:
    """Whether the lake holds rows of the entity, not erased, that the warehouse has not seen, or the warehouse `known` ones."""
    loads = _loads(workspace, entity)
    if not loads:
        return False
    seen, waiting = 0, 0
    if database.exists():
        with duckdb.connect(str(database), read_only=True) as warehouse:
            if _exists(warehouse, "staging", f"base_landing__{entity}"):
                seen, waiting = warehouse.execute(
                    f"select coalesce(max(_landed_load), 0), count(*) filter ({known})"
                    f" from staging.base_landing__{entity}"
                ).fetchone()
    new = [file for load, file in loads.items() if load > seen]
    if waiting or not new:
        return bool(waiting)
    listed = ", ".join(literal(str(file)) for file in new)
    (rows,) = duckdb.execute(
        f"select count(*) from read_parquet([{listed}], hive_partitioning = false)"
        f" where _problem is null or _problem not like '{MARK}%'"
    ).fetchone()
    return rows > 0


def _loads(workspace: Path, entity: str) -> dict[int, Path]:
    """Files of the lake by load number."""
    files = sorted((workspace / "lake" / entity).glob("load_number=*/data.parquet"))
    return {int(file.parent.name.partition("=")[2]): file for file in files}


def _is_due(warehouse: duckdb.DuckDBPyConnection, entities: list[Entity], done: int) -> bool:
    """Whether people were listed, or rows erased on arrival, since everything was last finished."""
    (listed,) = warehouse.execute(
        "select coalesce(max(since_refresh), -1) from audit.suppressed_identifiers"
    ).fetchone()
    return listed >= done or any(
        warehouse.execute(
            f"select count(*) from staging.base_landing__{entity.name}"
            f" where _refresh > {done} and _erased is not null"
        ).fetchone()[0]
        for entity in entities
    )


def _person_keys(entity: Entity) -> list[str]:
    """SQL of every identifier key on a base row of the entity."""
    keys = [
        c.name.replace("_value", "_key") for c in entity.columns if c.kind == "identifier_value"
    ]
    keys += [key_of(f"'{c.name}'", c.name) for c in entity.columns if c.kind in ("phone", "email")]
    return keys + [key_of("'member_id'", c.name) for c in entity.columns if c.name == "member_id"]


def _collect_keys(warehouse: duckdb.DuckDBPyConnection, entities: list[Entity]) -> None:
    """`erased_keys` and `erased_ids`: the erased as this warehouse still knows them."""
    sources = ["select identifier_key from identity.int_identity__identifiers"]
    for entity in entities:
        for key in _person_keys(entity):
            sources.append(
                f"select {key} from staging.base_landing__{entity.name}"
                " where _fate in ('withdrawn', 'quarantined')"
            )
    warehouse.execute(
        f"""
        create temp table erased_keys as
        select distinct identifier_key from ({" union all ".join(sources)})
        where {salted("identifier_key")} in (
            select suppressed_key from audit.suppressed_identifiers where is_forever
        );
        create temp table erased_ids as
        select distinct customer_id from audit.suppressed_identifiers where is_forever
        """
    )


def _tables(warehouse: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Tables that can name a person, with these columns and their types."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for schema, name, column, kind in warehouse.execute(
        """
        select columns.schema_name, columns.table_name, columns.column_name, columns.data_type
        from duckdb_columns() as columns
        inner join duckdb_tables() as tables using (database_name, schema_name, table_name)
        where
            database_name = current_database() and not tables.temporary
            and columns.table_name <> 'suppressed_identifiers'
            and (
                columns.data_type = 'BIGINT' and columns.column_name like '%\\_key' escape '\\'
                and columns.column_name <> '_key'
                or columns.data_type = 'VARCHAR' and columns.column_name like '%customer_id'
            )
        order by all
        """
    ).fetchall():
        found.setdefault((schema, name), []).append((column, kind))
    return found


def _names(columns: Iterable[tuple[str, str]]) -> str:
    """Condition: the row names somebody erased."""
    return " or ".join(
        f'"{column}" in (select {"identifier_key from erased_keys" if kind == "BIGINT" else "customer_id from erased_ids"})'
        for column, kind in columns
    )


def _keeps(schema: str, name: str) -> bool:
    """Whether a table of the project keeps rows about somebody gone, so that others notice."""
    return schema in ("identity", "audit") or name in (
        "int_lifecycle__touched_customers",
        "int_stages__spells_replaced",
    )


def _done_to(schema: str, found: int) -> str:
    """What the proof says was done to a table."""
    if not found:
        return "none there"
    if schema in (*REBUILT, "staging", "identity", "audit", "reference"):
        return "computed again or deleted"
    return "yours: no table of the project"


def _count(
    warehouse: duckdb.DuckDBPyConnection, table: tuple[str, str], columns: list[tuple[str, str]]
) -> int:
    """Rows of a table that name somebody erased."""
    schema, name = table
    (rows,) = warehouse.execute(
        f'select count(*) from {schema}."{name}" where {_names(columns)}'
    ).fetchone()
    return rows


def _clear_quarantine(
    warehouse: duckdb.DuckDBPyConnection, entities: list[Entity], refresh: int
) -> list[Place]:
    """Rows in quarantine whose text holds an erased identifier lose everything but their place.

    Their identifiers may stand anywhere (a shifted column, a line that could not be split), so every
    piece of the text is looked up under every type of identifier.
    """
    places = []
    for entity in entities:
        table = f"staging.base_landing__{entity.name}"
        warehouse.execute(
            rf"""
            create or replace temp table pieces as
            select distinct trim(piece, e' \t\r\n　') as piece, _file, _row, _landed_load
            from (
                select unnest(string_split_regex(_raw, '["\t,;|{{}}]+')) as piece, _file, _row, _landed_load
                from {table}
                where _raw is not null
            )
            where length(trim(piece)) > 3;

            create or replace temp table erased_rows as
            with spelled as (
                select
                    pieces.piece, types.identifier_type,
                    {normalised("types.normaliser", "pieces.piece")} as identifier_value
                from (select distinct piece from pieces) as pieces
                cross join reference.identifier_types as types
            ),
            hits as (
                select distinct piece
                from spelled
                where {salted(key_of("identifier_type", "identifier_value"))} in (
                    select suppressed_key from audit.suppressed_identifiers where is_forever
                )
            )
            select distinct _file, _row, _landed_load from pieces inner join hits using (piece)
            """
        )
        # Those of which the identifier can be read, but not the rest of the row.
        for key in _person_keys(entity):
            warehouse.execute(
                f"insert into erased_rows select _file, _row, _landed_load from {table}"
                f" where _fate = 'quarantined' and {key} in (select identifier_key from erased_keys)"
            )
        place = (
            "(_file, _row, _landed_load) in (select (_file, _row, _landed_load) from erased_rows)"
        )
        _delete_base(warehouse, entity, f"_fate = 'withdrawn' and _raw is not null and {place}")
        (found,) = warehouse.execute(
            f"select count(*) from {table} where _fate = 'quarantined' and {place}"
        ).fetchone()
        if not found:
            continue
        kept = ("_batch", "_batch_date", "_file", "_row", "_landed_load")
        set_here = ("_key", "_fate", "_erased", "_refresh")
        cleared = [
            f'"{row[0]}" = null'
            for row in warehouse.execute(f"describe {table}").fetchall()
            if row[0] not in kept + set_here
        ]
        warehouse.execute(
            f"""
            update audit.row_conservation set
                quarantined_rows = quarantined_rows - moved.rows, erased_rows = erased_rows + moved.rows
            from (
                select _batch, count(*) as rows from {table}
                where _fate = 'quarantined' and {place} group by _batch
            ) as moved
            where entity = '{entity.name}' and batch = moved._batch;

            delete from audit.quarantine
            where entity = '{entity.name}' and (file, row_number) in (select (_file, _row) from erased_rows);

            update {table} set
                {", ".join(cleared)},
                _key = cast(md5_number_upper(concat_ws('|', 'erased', _file, _row)) >> 1 as bigint),
                _fate = 'erased', _erased = 'row', _refresh = {refresh}
            where _fate = 'quarantined' and {place}
            """
        )
        places.append(Place("table", f"audit.quarantine: {entity.name}", found, 0, "text removed"))
    return places


def _rewrite_lake(
    warehouse: duckdb.DuckDBPyConnection, workspace: Path, entities: list[Entity]
) -> list[Place]:
    """Erase from the lake what staging has erased, and drop deliveries that were replaced since."""
    places = []
    current = {(r.entity, r.batch): r.load_number for r in read_registry(workspace).values()}
    for entity in entities:
        if not _person_keys(entity):
            continue
        warehouse.execute(
            "create or replace temp table current_batches (batch varchar, load bigint)"
        )
        rows = [[b, n] for (e, b), n in current.items() if e == entity.name and n is not None]
        if rows:
            warehouse.executemany("insert into current_batches values (?, ?)", rows)
        warehouse.execute(
            "create or replace temp table marks as select _file, _row, _landed_load, _erased"
            f" from staging.base_landing__{entity.name}"
            " where _erased is not null and _fate <> 'withdrawn'"
        )
        for load, file in _loads(workspace, entity.name).items():
            found = _differing(warehouse, file, load)
            if not found:
                continue
            draft = file.with_name(".data.parquet")
            warehouse.execute(
                f"copy ({_without_erased(entity, file, load)}) to {literal(str(draft))}"
                " (format parquet, compression snappy)"
            )
            sync(draft)
            os.replace(draft, file)
            sync(file.parent)
            name = file.relative_to(workspace).as_posix()
            left = _differing(warehouse, file, load)
            places.append(Place("lake", name, found, left, "rewritten without them"))
    return places


def _lake_rows(file: Path, load: int) -> str:
    return (
        f"read_parquet({literal(str(file))}, hive_partitioning = false) as landed"
        f" left join (select * from marks where _landed_load = {load}) as marks"
        " on landed._file = marks._file and landed._row = marks._row"
    )


def _is_current(load: int) -> str:
    return f"landed._batch in (select batch from current_batches where load = {load})"


def _differing(warehouse: duckdb.DuckDBPyConnection, file: Path, load: int) -> int:
    """Rows of a lake file that are not yet as the marks, and the registry, want them."""
    return warehouse.execute(
        f"select count(*) from {_lake_rows(file, load)} where not ({_is_current(load)})"
        f" or marks._erased is not null and landed._problem is distinct from '{MARK}' || marks._erased"
    ).fetchone()[0]


def _without_erased(entity: Entity, file: Path, load: int) -> str:
    """Query for the rows of a lake file without what the marks say."""
    columns = []
    for column in entity.columns:
        labels = [
            c.name.replace("_value", "")
            for c in entity.columns
            if c.kind == "identifier_value" and column.name in (c.name, c.type_column)
        ]
        labels += [column.name] if column.kind in ("phone", "email") else []
        blanked = "".join(
            f" or concat(',', marks._erased, ',') like '%,{label},%'" for label in labels
        )
        columns.append(
            f"case when not coalesce(marks._erased = 'row'{blanked}, false)"
            f' then landed."{column.name}" end as "{column.name}"'
        )
    return (
        "select landed._batch, landed._batch_date, landed._file, landed._row,"
        " case when marks._erased is null then landed._raw end as _raw,"
        f" coalesce('{MARK}' || marks._erased, landed._problem) as _problem, {', '.join(columns)}"
        f" from {_lake_rows(file, load)} where {_is_current(load)}"
    )


def _forget_built(warehouse: duckdb.DuckDBPyConnection, tables: Iterable[tuple[str, str]]) -> None:
    """Tables out of which rows are taken here, and those of the audit, are not as dbt built them: it builds them again, and
    of what reads them what comes out otherwise (macros/engine/unchanged.sql). The others hold none of the erased, and are
    what a rebuild of the lake would give."""
    if _exists(warehouse, "audit", "built"):
        warehouse.execute(
            "delete from audit.built where list_contains(?, node) or node in ("
            " select 'model.quanyu.' || table_name from duckdb_tables() where schema_name = 'audit')",
            [[f"model.quanyu.{name}" for _, name in tables]],
        )


def _clear_base(warehouse: duckdb.DuckDBPyConnection, entities: list[Entity]) -> None:
    """Remove the rows that were kept so that the customers they concerned are computed again."""
    for entity in entities:
        named = "".join(
            f" or {key} in (select identifier_key from erased_keys)" for key in _person_keys(entity)
        )
        _delete_base(warehouse, entity, f"_fate = 'withdrawn' and (_erased is not null{named})")


def _delete_base(warehouse: duckdb.DuckDBPyConnection, entity: Entity, condition: str) -> None:
    """Delete rows that the identity layer has followed, which must not take them for rows that vanished
    (macros/identity/vanished_rows.sql)."""
    (rows,) = warehouse.execute(
        f"delete from staging.base_landing__{entity.name} where {condition}"
    ).fetchone()
    if rows and _exists(warehouse, "audit", "identity_inputs"):
        warehouse.execute(
            "update audit.identity_inputs set landed_rows = landed_rows - ? where entity = ?",
            [rows, entity.name],
        )


def _landing_mentions(
    warehouse: duckdb.DuckDBPyConnection, entities: list[Entity], landing: Path
) -> list[Place]:
    """Landing files that still mention somebody erased: those are the user's to correct."""
    return [
        Place("landing", name, rows, rows, YOURS)
        for entity in entities
        for name, rows in warehouse.execute(
            f"select _file, count(*) from staging.base_landing__{entity.name}"
            " where _erased is not null group by _file order by _file"
        ).fetchall()
        if (landing / name).exists()
    ]


def _seed_mentions(warehouse: duckdb.DuckDBPyConnection) -> list[Place]:
    """Seeds with a row about an erased identifier, such as a decision by hand: they are the user's files."""
    places = []
    for table, prefix in warehouse.execute(
        """
        select table_name, replace(column_name, '_value', '')
        from duckdb_columns()
        where
            database_name = current_database() and schema_name = 'reference' and column_name like '%\_value' escape '\'
            and (table_name, replace(column_name, '_value', '_type')) in (
                select (table_name, column_name) from duckdb_columns() where schema_name = 'reference'
            )
        order by all
        """
    ).fetchall():
        value = normalised("types.normaliser", f"trim(cast(said.{prefix}_value as varchar))")
        (rows,) = warehouse.execute(
            f"select count(*) from reference.{table} as said inner join reference.identifier_types as types"
            f" on types.identifier_type = lower(trim(cast(said.{prefix}_type as varchar)))"
            f" where {key_of('types.identifier_type', value)} in (select identifier_key from erased_keys)"
        ).fetchone()
        if rows:
            places.append(
                Place("seed", f"seeds/{table}.csv", rows, rows, "yours: take these rows out")
            )
    return places


def _exists(warehouse: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    (found,) = warehouse.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, name],
    ).fetchone()
    return found > 0


def _temp(name: str) -> str:
    return f"ledger_{name.partition('.')[0]}"


def _now() -> str:
    return f"timestamp '{datetime.now(UTC):%Y-%m-%d %H:%M:%S}'"


def _today() -> date:
    return datetime.now(UTC).date()


def _create_ledger(warehouse: duckdb.DuckDBPyConnection, lake: Path, name: str) -> None:
    """Load a ledger into a temporary table; an empty one before the first erasure."""
    warehouse.execute(f"create or replace temp table {_temp(name)} ({_SCHEMAS[name]})")
    if (lake / name).exists():
        warehouse.execute(
            f"insert into {_temp(name)} by name select * from read_parquet({literal(str(lake / name))})"
        )


def _write_ledger(warehouse: duckdb.DuckDBPyConnection, lake: Path, name: str) -> None:
    """Replace a ledger in one step."""
    draft = lake / f".{name}.tmp"
    warehouse.execute(
        f"copy (select * from {_temp(name)} order by all) to {literal(str(draft))} (format parquet)"
    )
    sync(draft)
    os.replace(draft, lake / name)
    sync(lake)


def _state(lake: Path) -> dict[str, Any]:
    path = lake / STATE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _mark_state(lake: Path, **values: int | str | None) -> None:
    draft = lake / f".{STATE}"
    draft.write_text(json.dumps(_state(lake) | values) + "\n", encoding="utf-8")
    os.replace(draft, lake / STATE)
