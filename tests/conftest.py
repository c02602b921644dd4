"""Workers of pytest-xdist run dbt side by side: each gets a target folder of its own, before anything reads where it is.
The job of the tests does not parse the project each time (tests/parsed.py); the commands that they start do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["DBT_TARGET_PATH"] = str(Path(__file__).parents[1] / "target" / worker)

from orchestration import warehouse
from tests.parsed import dbt_runner

warehouse.dbt_runner = dbt_runner


# Files by what they cost, the dearest first: pytest-xdist hands them out in this order (Makefile: --no-loadscope-reorder),
# so that two workers end at about the same time. What is not named here takes less than half a minute.
DEAREST = [
    "test_replay", "test_daily_job", "test_stages", "test_real_landings", "test_dagster", "test_disturbed",
    "test_erasure", "test_bad_input", "test_serving", "test_rfm", "test_clv", "test_promotions", "test_growth",
    "test_star", "test_faults", "test_identity_probable", "test_questions", "test_bad_input_entities",
    "test_identity_histories", "test_audience_rules", "test_value", "test_mutation", "test_demo_world", "test_report",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(DEAREST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def chosen() -> dict[str, str]:
    """What the environment chooses for Quanyu."""
    return {name: value for name, value in os.environ.items() if name.startswith("QUANYU_")}


AT_FIRST = chosen()


@pytest.fixture(autouse=True, scope="module")
def environment_is_left_as_it_was() -> Iterator[None]:
    """A QUANYU_DATABASE that a file of tests leaves behind would be the warehouse of every job started after it."""
    yield
    assert chosen() == AT_FIRST
