"""Workers of pytest-xdist run dbt side by side: each gets a target folder of its own, before anything reads where it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["DBT_TARGET_PATH"] = str(Path(__file__).parents[1] / "target" / worker)


def chosen() -> dict[str, str]:
    """What the environment chooses for Quanyu."""
    return {name: value for name, value in os.environ.items() if name.startswith("QUANYU_")}


AT_FIRST = chosen()


@pytest.fixture(autouse=True, scope="module")
def environment_is_left_as_it_was() -> Iterator[None]:
    """A QUANYU_DATABASE that a file of tests leaves behind would be the warehouse of every job started after it."""
    yield
    assert chosen() == AT_FIRST
