"""Everything that can happen, one frozen value each: log line, metric and reference page come from it alone.

An event says what *has* happened. The first paragraph of its docstring is its text in the reference. Who listens may
come late, raise or die: no run depends on it (Invariant 7).
"""

from __future__ import annotations

from collections.abc import Callable

from pratique.events.event import (
    Event,
    Level,
    SourceEvent,
    Stage,
    level_of,
)
from pratique.events.run import (
    OUTCOMES,
    ObserversFailed,
    RunFinished,
    RunReconciled,
    RunRecovered,
    RunStarted,
    events_of,
    seconds_of,
    untold,
)
from pratique.events.source import (
    ErrorRaised,
    FileHeld,
    IngestionRecorded,
    LoadCommitted,
    LoadRetried,
    QualityScored,
    QuarantineWritten,
    RecordsJudged,
    RowsStaged,
    SourceFailed,
    SourceIngested,
    SourceLanded,
    SourceRetried,
    SourceSkipped,
    StageProgressed,
)

Emit = Callable[[Event], None]
"""Who is told what happened: the bus, and whoever listens to it."""

__all__ = [
    "OUTCOMES",
    "Emit",
    "ErrorRaised",
    "Event",
    "FileHeld",
    "IngestionRecorded",
    "Level",
    "LoadCommitted",
    "LoadRetried",
    "ObserversFailed",
    "QualityScored",
    "QuarantineWritten",
    "RecordsJudged",
    "RowsStaged",
    "RunFinished",
    "RunReconciled",
    "RunRecovered",
    "RunStarted",
    "SourceEvent",
    "SourceFailed",
    "SourceIngested",
    "SourceLanded",
    "SourceRetried",
    "SourceSkipped",
    "Stage",
    "StageProgressed",
    "events_of",
    "level_of",
    "seconds_of",
    "untold",
]
