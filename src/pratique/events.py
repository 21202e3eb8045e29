"""Everything that can happen in a run, one frozen value each: log line, metric and reference page come from it.

An event says what *has* happened. The first paragraph of its docstring is its text in the reference. Who listens may
come late, raise or die: no run depends on it (Invariant 7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pratique.model import Account, Problem, RunReport, Segment, SourceReport, Written

Stage = Literal["landing", "judging", "writing quarantine", "loading", "committing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened in a run."""

    pipeline: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvent(Event):
    """Something happened to one source of a run."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run holds its pipeline and is on the ledger; nothing has been read yet."""

    environment: str
    started_at: str
    sources: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReconciled(Event):
    """Earlier runs that did not end were settled by the markers in the destination.

    `recovered` are ids of loads that were committed but not on the ledger, `abandoned` ids of runs that left nothing.
    """

    recovered: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgressed(SourceEvent):
    """A stage began or came further. `rows` are those done so far, `fraction` (0 to 1) only where it is known."""

    stage: Stage
    rows: int | None = None
    fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLanded(SourceEvent):
    """The input of one load is described, fingerprinted and counted."""

    files: int
    records: int
    size_bytes: int
    files_known: int = 0
    files_held: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeld(SourceEvent):
    """One file was not loaded at all; the other files go on."""

    file: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsStaged(SourceEvent):
    """Every record of a load was read once and judged; nobody can see anything of it yet."""

    load_id: str
    read: int
    good: int
    quarantined: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    warnings: int = 0
    quality: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineWritten(SourceEvent):
    """The quarantined records of a load are durable; they become visible with its commit only."""

    load_id: str
    segment: Segment
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRetried(SourceEvent):
    """An attempt left no trace and is made again, because its error can pass."""

    load_id: str
    attempt: int
    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCommitted(SourceEvent):
    """Rows and marker of a load became true in the same instant."""

    load_id: str
    attempt: int
    table: str
    account: Account
    written: Written
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIngested(SourceEvent):
    """A source is done: all of its loads are committed, or nothing was new."""

    report: SourceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailed(SourceEvent):
    """A source failed or did not pass its gate; loads that it committed before stay, the other sources go on."""

    report: SourceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSkipped(SourceEvent):
    """A source was not run, because the source of its parent table failed."""

    parent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A run is over and on the ledger; the report is all that it says."""

    report: RunReport


Emit = Callable[[Event], None]
