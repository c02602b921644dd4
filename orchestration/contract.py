"""The landing contract: which entities may land, with which columns, read from the dbt source file.

The contract is `models/staging/landing/_landing__sources.yml`, so that dbt's docs, the staging
macros, the gate and the intake all read one place.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import yaml

CONTRACT = Path(__file__).parents[1] / "models/staging/landing/_landing__sources.yml"

KINDS = frozenset(
    {"id", "text", "code", "identifier_type", "identifier_value", "phone", "email"}
    | {"timestamp", "date", "amount", "number", "integer", "flag"}
)


class ContractError(ValueError):
    """The contract file contradicts itself; the message names the entity and column."""


@dataclass(frozen=True)
class Column:
    """A column of an entity; the fields are explained at the top of the contract file."""

    name: str
    kind: str
    required: bool = False
    vocabulary: str | None = None
    values: tuple[str, ...] = ()
    type_column: str | None = None
    not_after_batch: bool = False
    personal: bool = False


@dataclass(frozen=True)
class Entity:
    """An entity that may land: a folder of the landing root."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def load_contract(path: Path | str = CONTRACT) -> dict[str, Entity]:
    """The entities of the contract by name, in the order of the file.

    Raises ContractError when a kind or a rule is unknown, or a key or type column does not exist.
    """
    document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    (source,) = (s for s in document["sources"] if s["name"] == "landing")
    entities = (_entity(table) for table in source["tables"])
    return {entity.name: entity for entity in entities}


def _meta(node: dict) -> dict:
    return node.get("config", {}).get("meta", {})


def _entity(table: dict) -> Entity:
    name = table["name"]
    columns = tuple(_column(name, column) for column in table["columns"])
    entity = Entity(name, table.get("description", ""), tuple(_meta(table).get("key", ())), columns)
    names = entity.column_names
    if len(set(names)) != len(names):
        raise ContractError(f"{name}: a column is listed twice")
    if not entity.key:
        raise ContractError(f"{name}: config.meta.key is missing")
    referred = [*entity.key, *(column.type_column for column in columns if column.type_column)]
    for unknown in set(referred) - set(names):
        raise ContractError(f"{name}: `{unknown}` is used as a key or type column but is no column")
    return entity


def _column(entity: str, column: dict) -> Column:
    where, meta = f"{entity}.{column['name']}", dict(_meta(column))
    unknown = set(meta) - {field.name for field in fields(Column)}
    if unknown:
        raise ContractError(f"{where}: unknown rule {', '.join(sorted(unknown))}")
    if meta.get("kind") not in KINDS:
        raise ContractError(
            f"{where}: kind `{meta.get('kind')}` is not one of {', '.join(sorted(KINDS))}"
        )
    meta["values"] = tuple(meta.get("values", ()))
    return Column(name=column["name"], **meta)
