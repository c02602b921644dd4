"""Personal data stays where it may be: raw values in the identity layer and below it, nowhere else.

The demo world is the plant: its landing holds phone numbers, e-mail addresses and names in profiles, identifiers and
rows that end in quarantine. `audit.quarantine` and the base models hold raw values too and are never published."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
import yaml
from support import PROJECT, ask, settings

from orchestration.contract import load_contract
from orchestration.job import write_report

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
NAME = re.compile(r"[一-鿿·]+")


@pytest.fixture(scope="module")
def planted(warehouse) -> dict[str, set[str]]:
    """What must not be seen again, by kind, as it was landed."""
    lake = f"{warehouse}/lake"
    people = duckdb.execute(
        f"select name, phone, email from read_parquet('{lake}/profiles/*/data.parquet')"
    ).fetchall()
    ids = duckdb.execute(
        " union ".join(
            f"select identifier_type, identifier_value from read_parquet('{lake}/{entity}/*/data.parquet')"
            for entity in ("orders", "touchpoints", "messages", "memberships")
        )
    ).fetchall()
    phones = {row[1] for row in people} | {value for kind, value in ids if kind == "phone"}
    digits = {re.sub(r"\D", "", phone)[-11:] for phone in phones if phone}
    return {
        "phone": {number for number in digits if len(number) == 11},
        "email": {row[2].lower() for row in people if row[2]},
        "name": {row[0] for row in people if row[0] and NAME.fullmatch(row[0])},
    }


def seen(text: str, planted: dict[str, set[str]]) -> set[str]:
    """Planted values in a text; a number also when blanks or hyphens part it."""
    joined = re.sub(r"(?<=\d)[ -](?=\d)", "", text)
    numbers = {
        run[i : i + 11] for run in re.findall(r"\d{11,}", joined) for i in range(len(run) - 10)
    }
    pieces = {
        run[i : i + size]
        for run in NAME.findall(text)
        for size in range(2, 5)
        for i in range(len(run) - size + 1)
    }
    emails = {found.lower() for found in EMAIL.findall(text)}
    return numbers & planted["phone"] | emails & planted["email"] | pieces & planted["name"]


def texts_of(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    """The different texts, and whole numbers, of every column of a table or file."""
    columns = [
        row[0]
        for row in connection.execute(f"describe select * from {source}").fetchall()
        if row[1].startswith(("VARCHAR", "BIGINT", "HUGEINT"))
    ]
    values = " union all ".join(
        f'select distinct cast("{column}" as varchar) from {source}' for column in columns
    )
    return (
        "\n".join(text for (text,) in connection.execute(values).fetchall() if text)
        if values
        else ""
    )


def guilty_tables(
    database: Path, planted: dict[str, set[str]], schemas: tuple[str, ...]
) -> dict[str, set[str]]:
    """Tables of a database in which a planted value is found."""
    guilty = {}
    with duckdb.connect(str(database), read_only=True) as reader:
        for schema, name in reader.execute(
            "select schema_name, table_name from duckdb_tables() where not internal order by all"
        ).fetchall():
            if schema in schemas and (
                found := seen(texts_of(reader, f'{schema}."{name}"'), planted)
            ):
                guilty[f"{schema}.{name}"] = found
    return guilty


def test_the_search_finds_what_is_planted_where_it_may_be(warehouse, planted):
    assert all(len(values) > 30 for values in planted.values())
    guilty = guilty_tables(warehouse / "warehouse.duckdb", planted, ("identity",))
    assert {"identity.dim_customers", "identity.int_identity__identifiers"} <= set(guilty)


def test_no_mart_and_no_fact_holds_a_planted_value(warehouse, planted):
    assert guilty_tables(warehouse / "warehouse.duckdb", planted, ("marts", "lifecycle")) == {}


def test_no_published_file_holds_a_planted_value(warehouse, planted):
    current = warehouse / "serving" / "current"
    assert guilty_tables(current / "quanyu.duckdb", planted, ("reference",)) == {}
    files = sorted(current.rglob("*.parquet"))
    assert len(files) > 30
    guilty = {
        path.name: found
        for path in files
        if (
            found := seen(texts_of(duckdb.default_connection(), f"read_parquet('{path}')"), planted)
        )
    }
    assert guilty == {}


def test_no_report_gate_page_gate_result_or_log_holds_a_planted_value(world, warehouse, planted):
    write_report(settings(world / "landing", warehouse))
    folders = ("reports", "gate", "logs")
    files = [
        path for folder in folders for path in (warehouse / folder).rglob("*") if path.is_file()
    ]
    assert {path.suffix for path in files} >= {".html", ".json", ".log"}
    guilty = {
        path.name: found
        for path in files
        if (found := seen(path.read_text(encoding="utf-8"), planted))
    }
    assert guilty == {}


def test_columns_that_hold_raw_values_are_marked_and_only_below_and_in_identity(warehouse, planted):
    """A text column in which a planted value is found carries `personal` in the contract or in the model's yml."""
    marked = {
        column.name
        for entity in load_contract().values()
        for column in entity.columns
        if column.personal
    }
    for path in (PROJECT / "models").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", ()):
            for column in model.get("columns", ()):
                if column.get("config", {}).get("meta", {}).get("personal"):
                    marked.add(column["name"])
    unmarked = set()
    for schema, table, column in ask(
        warehouse,
        "select schema_name, table_name, column_name from duckdb_columns() where data_type = 'VARCHAR'"
        " and schema_name in ('staging', 'identity', 'lifecycle', 'audit')",
    ):
        values = ask(
            warehouse,
            f'select distinct "{column}" from {schema}."{table}" where "{column}" is not null',
        )
        if column not in marked and seen("\n".join(value for (value,) in values), planted):
            unmarked.add(f"{schema}.{table}.{column}")
    assert unmarked == set()


def test_a_file_without_a_header_is_refused_without_repeating_its_values(intake):
    intake.land("profiles/p.csv", "crm,phone,13911112222,王小明,13911112222,xiaoming@example.com\n")
    intake.land("profiles/dt=2026-01-02/p.csv", "crm,mobile,13911112222,王小明,男\n")
    intake.land("profiles/dt=2026-01-01/p.csv", "name,13911112222,王小明\n李雷,1,2\n")
    with intake.prepare() as prepared:
        said = " ".join(
            [*intake.said, *prepared.notes]
            + [str(batch.unreadable) for batch in prepared.batches]
            + [str(batch.extra_columns) for batch in prepared.batches]
        )
    assert "none of its columns" in said and "more than once" in said
    assert not re.search("1391111|王小明|xiaoming", said)
