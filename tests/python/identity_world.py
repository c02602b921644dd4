"""Small random worlds for the identity tests: landings full of merges, splits, corrections and traps."""

from __future__ import annotations

import csv
import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.contract import load_contract
from orchestration.intake import Verdict, admit, prepare
from orchestration.warehouse import PROJECT, environment_with, warehouse_closed_after
from tests.parsed import dbt_runner

COLUMNS = {
    "identity_links": "source_system left_type left_value right_type right_value linked_at",
    "profiles": "source_system identifier_type identifier_value name birth_date phone email city address updated_at",
    "memberships": "brand_id member_id event occurred_at identifier_type identifier_value",
    "touchpoints": "event_id source_system occurred_at event_type identifier_type identifier_value",
    "orders": "order_id source_system ordered_at status amount identifier_type identifier_value",
}
TYPES = (
    "member_id",
    "phone",
    "email",
    "unionid",
    "openid",
    "taobao_id",
    "device_id",
    "cookie_id",
)
DAYS = [f"2026-01-{day:02d}" for day in range(1, 11)]


@dataclass
class Warehouse:
    """A landing folder, its lake, and dbt runs on it in this process."""

    root: Path
    variables: dict[str, object] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.root / "warehouse.duckdb"

    def land(self, batches: dict[tuple[str, str], list[dict]]) -> None:
        """Write each (entity, day) as one CSV, replacing what was delivered before, and admit it."""
        for (entity, day), rows in batches.items():
            folder = self.root / "landing" / entity / f"dt={day}"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "rows.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS[entity].split(), restval="")
                writer.writeheader()
                writer.writerows(rows)
        with prepare(self.root / "landing", self.root, load_contract(), say=lambda _: None) as new:
            admit(new, {batch.key: Verdict() for batch in new.batches}, self.root)

    def dbt(self, *arguments: str, database: Path | None = None, as_of: str = "") -> None:
        """Run dbt on the lake as of a day; an error names the models that failed."""
        variables = {
            "QUANYU_WORKSPACE": str(self.root),
            "QUANYU_LAKE": str(self.root / "lake"),
            "QUANYU_DATABASE": str(database or self.database),
            "QUANYU_MEMORY": "2GB",
            "QUANYU_SALT": "a salt",
            "QUANYU_AS_OF_DATE": as_of,
        }
        with environment_with(variables), warehouse_closed_after():
            result = dbt_runner().invoke(
                [
                    *arguments,
                    "--quiet",
                    *("--project-dir", str(PROJECT)),
                    *("--profiles-dir", str(PROJECT / "profiles")),
                    *("--log-path", str(self.root / "logs")),
                    *("--target-path", str(self.root / "target")),
                    *("--vars", str(self.variables)),
                ]
            )
        failed = [
            f"{r.node.name}: {r.message}"
            for r in result.result or []
            if r.status in ("error", "fail")
        ]
        assert result.success, "\n".join(failed) or result.exception

    def execute(self, *statements: str) -> None:
        """Change the warehouse as a user would change a seed."""
        with duckdb.connect(str(self.database)) as connection:
            for statement in statements:
                connection.execute(statement)

    def override(self, rows: list[dict], database: Path | None = None) -> None:
        """Put these rows into the seed identity_overrides."""
        with duckdb.connect(str(database or self.database)) as connection:
            connection.execute("delete from reference.identity_overrides")
            for row in rows:
                connection.execute(
                    "insert into reference.identity_overrides values (?, ?, ?, ?, ?, ?)",
                    [row["action"], *row["left"], *row["right"], "because"],
                )

    def rows(self, sql: str, database: Path | None = None) -> list[tuple]:
        with duckdb.connect(str(database or self.database)) as connection:
            return connection.execute(sql).fetchall()


@dataclass
class History:
    """One closed circle of people whose identifiers meet in records: chains, hubs, hashes, shared devices.

    `number` makes its identifiers its own, so that many histories run side by side in one landing.
    """

    number: int
    rng: random.Random
    records: dict[tuple[str, str], list[dict]] = field(default_factory=lambda: defaultdict(list))

    def identifier(self, among: tuple[str, ...] = TYPES, form: bool = True) -> tuple[str, str]:
        """A random (type, value); phones and e-mails sometimes as their hash."""
        kind = self.rng.choice(among)
        which = self.rng.randrange(3 if kind != "member_id" else 2)
        if kind == "phone":
            value = f"1{self.number + 30_000:05d}{which:05d}"
        elif kind == "email":
            value = f"u{which}@h{self.number}.example"
        else:
            value = f"{kind[:2]}:{self.number}-{which}"
        if form and kind in ("phone", "email") and self.rng.random() < 0.25:
            algorithm = self.rng.choice((hashlib.md5, hashlib.sha256))
            value = algorithm(value.encode()).hexdigest()
        return kind, value

    def record(self, entity: str, day: str) -> dict:
        """One random row of an entity, delivered on `day` and dated at most that day."""
        earlier = self.rng.choice([d for d in DAYS if d <= day])
        moment = f"{earlier} {self.rng.randrange(24):02d}:00:00"
        serial = f"{self.number}-{self.rng.randrange(12)}"
        left, right = self.identifier(), self.identifier()
        return {
            "identity_links": {
                "source_system": "crm",
                "left_type": left[0],
                "left_value": left[1],
                "right_type": right[0],
                "right_value": right[1],
                "linked_at": moment if self.rng.random() < 0.9 else "",
            },
            "profiles": {
                "source_system": self.rng.choice(("crm", "pos")),
                "identifier_type": left[0],
                "identifier_value": left[1],
                "name": self.rng.choice(("张三", "李四", "")),
                "phone": self.identifier(("phone",))[1] if self.rng.random() < 0.6 else "",
                "email": self.identifier(("email",))[1] if self.rng.random() < 0.5 else "",
                "city": self.rng.choice(("上海", "成都", "")),
                "updated_at": moment if self.rng.random() < 0.8 else "",
            },
            "memberships": {
                "brand_id": self.rng.choice(("lan", "mu")),
                "member_id": self.identifier(("member_id",))[1],
                "event": self.rng.choice(("join", "join", "quit")),
                "occurred_at": moment,
                "identifier_type": left[0] if self.rng.random() < 0.8 else "",
                "identifier_value": left[1],
            },
            "touchpoints": {
                "event_id": f"t{serial}",
                "source_system": "app",
                "occurred_at": moment,
                "event_type": "product_view",
                "identifier_type": left[0],
                "identifier_value": left[1],
            },
            "orders": {
                "order_id": f"o{serial}",
                "source_system": "tmall",
                "ordered_at": moment,
                "status": self.rng.choice(("paid", "created", "completed")),
                "amount": "100.00",
                "identifier_type": left[0],
                "identifier_value": left[1],
            },
        }[entity]

    def deliver(self, entity: str, day: str) -> list[dict]:
        """What this history puts into a batch: new rows, and on a repeat some of the old ones."""
        kept = [row for row in self.records[entity, day] if self.rng.random() < 0.7]
        share = {"touchpoints": 1.2, "orders": 0.6, "identity_links": 0.9}.get(entity, 0.5)
        count = int(self.rng.random() < share % 1) + int(share)
        new = [self.record(entity, day) for _ in range(count)]
        for row in new:
            if row.get("identifier_type") == "":
                row["identifier_value"] = ""
        self.records[entity, day] = kept + new
        return self.records[entity, day]

    def override(self) -> dict:
        return {
            "action": self.rng.choice(("link", "split")),
            "left": self.identifier(TYPES[:6], form=False),
            "right": self.identifier(TYPES[:6], form=False),
        }
