"""Named places at which a test may kill the process; nothing happens unless a test asks by environment.

A crash test lists `FAILPOINTS` and kills at each, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import os
import signal
from typing import Final

FAILPOINTS: Final[tuple[str, ...]] = (
    "run.begun",
    "source.landed",
    "rows.staged",
    "gate.passed",
    "quarantine.written",
    "quarantine.renamed",
    "destination.created",
    "load.opened",
    "load.written",
    "marker.written",
    "load.committed",
    "ledger.recorded",
    "run.finished",
    "alerts.judged",
    "alert.sent",
)


def hit(name: str) -> None:
    """Kill this process with SIGKILL if `PRATIQUE_FAILPOINT` names this place; else look at the environment only."""
    if os.environ.get("PRATIQUE_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)  # pragma: no cover - who is killed here writes no coverage
