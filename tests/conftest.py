"""Workers of pytest-xdist run dbt side by side: each gets a target folder of its own, before anything reads where it is."""

import os
from pathlib import Path

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["DBT_TARGET_PATH"] = str(Path(__file__).parents[1] / "target" / worker)
