"""One run at a time in a workspace: a second one would admit batches while the first one is reading the lake."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.intake import LandingError

FILE = "run.lock"


@contextmanager
def only_run(workspace: Path) -> Iterator[None]:
    """Hold the workspace for a `with` block; the kernel lets go of it when the process dies.

    Raises LandingError, which names the process, when another run holds it.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    with (workspace / FILE).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            raise LandingError(
                f"another run (process {owner}) is at work in {workspace}: wait until it ends,"
                " or use another workspace"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
