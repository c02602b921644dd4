"""A shared server for BI tools: the published version in PostgreSQL, and a server of one's own on loopback.

Every BI tool speaks to PostgreSQL. The tables of a version are written beside the ones that are read, and take their
place in the transaction that wrote them: a query sees the whole of one version or the whole of the next.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import duckdb
import psycopg
from psycopg import sql

from orchestration.intake.parquet import literal
from orchestration.serving import DATABASE, SCHEMAS, current, read_manifest

READER = "reader"
NAME = "quanyu"
# The type of a column for every type that the marts use; decimals keep their digits.
TYPES = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "numeric(38, 0)",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
CHUNK_BYTES = 1 << 20


class PostgresError(RuntimeError):
    """PostgreSQL has what it had before; the message says why and what to do."""


def type_of(duckdb_type: str) -> str:
    """PostgreSQL's type for a type of DuckDB. Raises PostgresError for one that has none."""
    if found := TYPES.get(duckdb_type):
        return found
    if decimal := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", duckdb_type):
        return f"numeric({decimal[1]}, {decimal[2]})"
    raise PostgresError(f"a column of type {duckdb_type} has no counterpart in PostgreSQL")


def publish(serving: Path, conninfo: str) -> Mapping:
    """Put the version that readers see into the schemas marts and reference of a PostgreSQL database.

    Returns the version's manifest. The whole is one transaction; the role `reader`, where there is one, may read.
    Raises PostgresError: then the database is as it was.
    """
    version = current(serving)
    if version is None:
        raise PostgresError(f"nothing is published in {serving}: run the daily job first")
    manifest = read_manifest(version)
    try:
        with (
            duckdb.connect(str(version / DATABASE), read_only=True) as source,
            psycopg.connect(conninfo, autocommit=True) as target,
        ):
            _load(source, target, manifest)
    except (psycopg.Error, duckdb.Error) as error:
        raise PostgresError(f"PostgreSQL keeps what it had: {str(error).strip()}") from error
    return manifest


def _load(source: duckdb.DuckDBPyConnection, target: psycopg.Connection, manifest: Mapping) -> None:
    """Write the tables into schemas aside and let these take the place of the old ones, in one transaction.

    A rename locks no table, so a long query reads on in the old ones, which are dropped afterwards.
    """
    with target.transaction():
        # Two publishers wait for each other; readers are not concerned.
        target.execute("select pg_advisory_xact_lock(hashtext('quanyu.publish'))")
        if views := dependents(target):
            raise PostgresError(
                f"these views are tied to tables that are about to be replaced: {', '.join(views)}."
                " Keep such queries in the BI tool, or drop the views before publishing"
            )
        for schema in SCHEMAS:
            aside = sql.Identifier(_aside(schema))
            target.execute(sql.SQL("drop schema if exists {} cascade").format(aside))
            target.execute(sql.SQL("create schema {}").format(aside))
        for table in manifest["tables"]:
            into = sql.Identifier(_aside(table["schema"]), table["table"])
            _create(target, into, table)
            _copy(source, target, into, table)
            _comment(source, target, into, table)
        (number,) = target.execute("select txid_current()").fetchone()
        has_reader = target.execute("select 1 from pg_roles where rolname = %s", [READER])
        grants = bool(has_reader.fetchone())
        for schema in SCHEMAS:
            name, aside = sql.Identifier(schema), sql.Identifier(_aside(schema))
            rename = sql.SQL("alter schema {} rename to {}")
            if target.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
                target.execute(rename.format(name, sql.Identifier(f"{schema}_old_{number}")))
            target.execute(rename.format(aside, name))
            if grants:
                for grant in ("usage on schema {}", "select on all tables in schema {}"):
                    words = sql.SQL(f"grant {grant} to {READER}").format(name)
                    target.execute(words)
    _drop_old(target)


def dependents(target: psycopg.Connection) -> list[str]:
    """Views of other schemas over the published tables: they would go on showing the old version."""
    rows = target.execute(
        """
        select distinct homes.nspname || '.' || views.relname
        from pg_depend as links
        inner join pg_rewrite as rules on links.objid = rules.oid
        inner join pg_class as views on rules.ev_class = views.oid
        inner join pg_namespace as homes on views.relnamespace = homes.oid
        inner join pg_class as tables on links.refobjid = tables.oid
        inner join pg_namespace as schemas on tables.relnamespace = schemas.oid
        where
            links.classid = 'pg_rewrite'::regclass
            and links.refclassid = 'pg_class'::regclass
            and schemas.nspname = any(%s)
            and homes.nspname <> all(%s)
        order by 1
        """,
        [list(SCHEMAS), list(SCHEMAS)],
    )
    return [name for (name,) in rows]


def _drop_old(target: psycopg.Connection) -> None:
    """Drop the replaced schemas; one that a long query still reads is left to the next publication."""
    old = target.execute(
        "select nspname from pg_namespace where nspname ~ %s", [rf"^({'|'.join(SCHEMAS)})_old_\d+$"]
    ).fetchall()
    for (name,) in old:
        try:
            with target.transaction():
                target.execute("set local lock_timeout = '2s'")
                target.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))
        except psycopg.errors.LockNotAvailable:
            continue


def _aside(schema: str) -> str:
    return f"{schema}_next"


def _create(target: psycopg.Connection, into: sql.Identifier, table: Mapping) -> None:
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_of(kind)))
        for name, kind in table["columns"].items()
    ]
    if table["primary_key"]:
        key = sql.SQL(", ").join(map(sql.Identifier, table["primary_key"]))
        columns.append(sql.SQL("primary key ({})").format(key))
    target.execute(sql.SQL("create table {} ({})").format(into, sql.SQL(", ").join(columns)))


def _copy(
    source: duckdb.DuckDBPyConnection,
    target: psycopg.Connection,
    into: sql.Identifier,
    table: Mapping,
) -> None:
    """Carry a table over as CSV, in which an empty text is quoted and a NULL is not; raises PostgresError when not
    every row arrives.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.csv"
        source.execute(
            f'copy {table["schema"]}."{table["table"]}" to {literal(str(file))} (format csv, header false)'
        )
        with target.cursor() as cursor:
            words = sql.SQL("copy {} from stdin (format csv)").format(into)
            with file.open("rb") as stream, cursor.copy(words) as copy:
                while chunk := stream.read(CHUNK_BYTES):
                    copy.write(chunk)
            if cursor.rowcount != table["rows"]:
                raise PostgresError(
                    f"{table['table']}: {cursor.rowcount:,} rows arrived of {table['rows']:,}"
                )


def _comment(
    source: duckdb.DuckDBPyConnection,
    target: psycopg.Connection,
    into: sql.Identifier,
    table: Mapping,
) -> None:
    """The descriptions as comments, so that a BI tool shows them."""
    where = [table["schema"], table["table"]]
    (text,) = source.execute(
        "select comment from duckdb_tables() where schema_name = ? and table_name = ?", where
    ).fetchone()
    if text:
        target.execute(sql.SQL("comment on table {} is {}").format(into, sql.Literal(text)))
    described = source.execute(
        "select column_name, comment from duckdb_columns()"
        " where schema_name = ? and table_name = ? and comment is not null",
        where,
    ).fetchall()
    for column, text in described:
        name = sql.SQL("{}.{}").format(into, sql.Identifier(column))
        target.execute(sql.SQL("comment on column {} is {}").format(name, sql.Literal(text)))


def binaries() -> Path | None:
    """Folder of PostgreSQL's server programs: on the path, or where Debian puts them; None without."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    # The newest major version; 9.6 and 15 are compared as numbers.
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    return newest.parent if newest else None


class Server:
    """A PostgreSQL cluster of its own in a folder, on loopback only."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def conninfo(self, user: str = NAME) -> str:
        """What psycopg connects with; the password lies in the folder, for its owner's eyes only."""
        return (
            f"host=127.0.0.1 port={self.port} dbname={NAME} user={user}"
            f" password={self.password(user)}"
        )

    def password(self, user: str) -> str:
        return (self.folder / f"{user}.password").read_text(encoding="utf-8").strip()

    def start(self) -> None:
        """Make the cluster on first use and start it; does nothing when it runs. Raises PostgresError."""
        if not (self.data / "PG_VERSION").exists():
            self._make()
        if self._control("status").returncode == 0:
            return
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._say("start", "-w", "-o", options, "-l", str(self.folder / "log"))
        with self._wait() as connection:
            connection.autocommit = True
            if not connection.execute(
                "select 1 from pg_database where datname = %s", [NAME]
            ).fetchone():
                connection.execute(f"create database {NAME} encoding 'UTF8' template template0")
            if not connection.execute(
                "select 1 from pg_roles where rolname = %s", [READER]
            ).fetchone():
                word = sql.Literal(self.password(READER))
                connection.execute(
                    sql.SQL(f"create role {READER} login password {{}}").format(word)
                )

    def stop(self) -> None:
        """Stop it; open queries are cancelled. Does nothing when it does not run."""
        if (self.data / "PG_VERSION").exists() and self._control("status").returncode == 0:
            self._say("stop", "-m", "fast", "-w")

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for user in (NAME, READER):
            path = self.folder / f"{user}.password"
            path.touch(mode=0o600)
            path.write_text(f"{secrets.token_urlsafe(18)}\n", encoding="utf-8")
        account = _account()
        if account:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, account)
        self._run(
            "initdb",
            *("-D", str(self.data), "-U", NAME, "-A", "scram-sha-256", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--no-instructions", "--data-checksums"),
            f"--pwfile={self.folder / f'{NAME}.password'}",
        )

    def _wait(self) -> psycopg.Connection:
        info = self.conninfo().replace(f"dbname={NAME}", "dbname=postgres")
        until = time.monotonic() + 30
        while True:
            try:
                return psycopg.connect(info)
            except psycopg.OperationalError as error:
                if time.monotonic() > until:
                    raise PostgresError(f"the server does not answer: {error}") from error
                time.sleep(0.2)

    def _control(self, *arguments: str) -> subprocess.CompletedProcess:
        return self._run("pg_ctl", "-D", str(self.data), *arguments, check=False)

    def _say(self, *arguments: str) -> None:
        ended = self._control(*arguments)
        if ended.returncode:
            log = self.folder / "log"
            tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            raise PostgresError("\n".join([ended.stderr.strip() or ended.stdout.strip(), *tail]))

    def _run(
        self, program: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess:
        folder = binaries()
        if folder is None:
            raise PostgresError(
                "PostgreSQL is not installed: apt-get install postgresql, or publish into a server"
                " of your own (make publish-postgres POSTGRES=...)"
            )
        ended = subprocess.run(
            [str(folder / program), *arguments],
            # The server's output goes to its log; a pipe that it inherits would never be closed.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            user=_account(),
            check=False,
        )
        if check and ended.returncode:
            raise PostgresError(f"{program}: {ended.stderr.strip() or ended.stdout.strip()}")
        return ended


def _account() -> str | None:
    """PostgreSQL refuses to run as root: then as the account that its package makes. None = as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise PostgresError(
            "PostgreSQL does not run as root, and there is no account `postgres`"
        ) from None
