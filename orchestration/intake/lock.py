"""One process at a time: two intakes, or a run that admits batches while another one reads the lake, would mix."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from orchestration.intake.landing import LandingError


def only(what: str, workspace: Path) -> IO[str]:
    """Hold the workspace for a `run` or an `intake` until the file `{what}.lock`, which is returned, is closed; the kernel
    lets go of it when the process dies.

    Raises LandingError, which names the process, when another one holds it.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    lock = (workspace / f"{what}.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise LandingError(
            f"another {what} (process {owner}) is at work in {workspace}: wait until it ends,"
            " or use another workspace"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
