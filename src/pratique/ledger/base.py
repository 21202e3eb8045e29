"""What every ledger promises: one process runs a pipeline, and what is committed is never forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from pratique.model import Marker, RunReport


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the markers told: ids of loads that the ledger did not know, and of runs that left nothing committed."""

    recovered: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()


class RunHandle(Protocol):
    """A run that holds its pipeline until its context is left. A dry run holds it too, and leaves nothing behind."""

    run_id: str
    pipeline: str
    started_at: datetime
    unfinished: tuple[str, ...]  # earlier runs of this pipeline that were killed, newest first

    def attempt(self, load_id: str, source: str) -> int:
        """The number of this attempt at a load, from 1, durable before anything of the attempt has an effect."""
        ...

    def record(self, marker: Marker) -> None:
        """Put a committed load on the ledger. Harmless when repeated."""
        ...

    def reconcile(self, markers: Iterable[Marker]) -> Reconciled:
        """Make the ledger agree with all markers of this pipeline, and settle the runs that were killed.

        Unknown loads are recorded with their original runs and times. A killed run whose sources are all committed is
        `done`, with some committed `partial`, else `interrupted`. Runs that only markers know of are entered again.
        """
        ...

    def finish(self, report: RunReport) -> None:
        """Put the final state of this run on the ledger."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Ledger(Protocol):
    """Runs, attempts and committed loads."""

    def begin(
        self, pipeline: str, environment: str, *, dry_run: bool = False, sources: Sequence[str] = ()
    ) -> RunHandle:
        """Start a run; AlreadyRunningError, naming the holder, if another process runs this pipeline.

        `sources` are those that the run means to ingest: a killed run is `done` only if each of them is committed.
        """
        ...

    def runs(self, pipeline: str | None = None, limit: int = 20) -> list[RunReport]:
        """The newest runs, newest first. One that was killed shows as `interrupted`, also before it is settled."""
        ...

    def run(self, prefix: str) -> RunReport:
        """The run whose id begins so; ConfigurationError, naming near ones, if there is none or more than one."""
        ...

    def loads(self, pipeline: str | None = None, run_id: str | None = None) -> list[Marker]:
        """Committed loads, oldest first: all that people may see of the quarantine."""
        ...

    def keep(self, marker: Marker) -> None:
        """Put on the ledger what no run has loaded: records of the reserved pipeline, held by hand."""
        ...

    def close(self) -> None:
        """Let go of the file. Harmless when repeated."""
        ...
