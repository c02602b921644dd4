"""dbt in this process for the tests, with the project parsed once. A parse takes 15 CPU seconds, and in a target folder of
its own each of the small warehouses of the tests would begin with one."""

from __future__ import annotations

import functools
import os
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import yaml

PROJECT = Path(__file__).parents[1]
TARGET = PROJECT / "target"
# What a manifest does not depend on: models are rendered again when they are built, where these are read.
NOT_PARSED = {
    "QUANYU_WORKSPACE", "QUANYU_LAKE", "QUANYU_DATABASE", "QUANYU_AS_OF_DATE", "QUANYU_MEMORY", "QUANYU_THREADS",
    "QUANYU_SALT", "QUANYU_SHARED",
}  # fmt: skip
NEEDS_A_MANIFEST = {"build", "compile", "run", "seed", "test"}


def dbt_runner(callbacks: list[Callable] | None = None):
    """dbtRunner with the manifest of an earlier parse, where one is of use."""
    from dbt.cli.main import dbtRunner

    class Parsed(dbtRunner):
        def invoke(self, args, **kwargs):
            if NEEDS_A_MANIFEST & {*args}:
                self.manifest = manifest_of(args)
                if "--write-json" not in args:  # a second and a half, for files that no test reads
                    args = [*args, "--no-write-json"]
            return super().invoke(args, **kwargs)

    return Parsed(callbacks=callbacks or [])


def manifest_of(arguments: list[str]):
    """The project, parsed with the `--vars` of these arguments and in this environment."""
    given = arguments[arguments.index("--vars") + 1] if "--vars" in arguments else "{}"
    variables = {
        name: value
        for name, value in (yaml.safe_load(given) or {}).items()
        if name in variables_read_when_parsed()
    }
    chosen = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("QUANYU_") and name not in NOT_PARSED
    }
    # The database of every relation is called as its file.
    database = Path(os.environ.get("QUANYU_DATABASE", "warehouse.duckdb")).stem
    return _manifest(database, repr(sorted(chosen.items())), repr(variables))


@functools.cache
def variables_read_when_parsed() -> set[str]:
    """Of all other vars the manifest knows nothing: they are read when SQL is rendered."""
    found: set[str] = set()
    for path in (PROJECT / "models").rglob("*.*"):
        text = path.read_text(encoding="utf-8") if path.suffix in (".yml", ".sql") else ""
        for part in [text] if path.suffix == ".yml" else re.findall(r"\bconfig\([^)]*\)?\)", text):
            found |= set(re.findall(r"\bvar\(\s*['\"](\w+)", part))
    return found


@functools.cache
def _manifest(database: str, chosen: str, variables: str):
    from dbt.cli.main import dbtRunner

    of_worker = Path(os.environ.get("DBT_TARGET_PATH", TARGET))
    target = of_worker / "parsed" / f"{zlib.crc32(f'{database} {chosen} {variables}'.encode()):08x}"
    target.mkdir(parents=True, exist_ok=True)
    known = TARGET / "partial_parse.msgpack"
    if known.exists() and not (target / known.name).exists():
        # That of `make lint`, which parses for the same path; dbt looks for itself what of it still holds.
        shutil.copy(known, target)
    # The places of the profile as they are by default, whatever the warehouse of the moment.
    with patch.dict(os.environ):
        for name in ("QUANYU_WORKSPACE", "QUANYU_DATABASE", "QUANYU_LAKE", "QUANYU_AS_OF_DATE"):
            os.environ.pop(name, None)
        if database != "warehouse":
            os.environ["QUANYU_DATABASE"] = f"var/demo/{database}.duckdb"
        result = dbtRunner().invoke(
            [
                *("parse", "--quiet", "--vars", variables, "--target-path", str(target)),
                *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT / "profiles")),
                *("--log-path", str(target / "logs")),
            ]
        )
    assert result.success, result.exception
    return result.result
