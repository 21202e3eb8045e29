"""What every ledger promises: one process runs a pipeline, and what is committed is never forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from pratique.alerts import Alert, Judged, Known, Message, Waiting
from pratique.measures import Sample
from pratique.model import Marker
from pratique.reports import RunReport


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the markers told: ids of loads that the ledger did not know, and of runs that left nothing committed."""

    recovered: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """What one source did in one run, or (`span` day) in all runs of one day; `at` is the start, UTC, ISO 8601.

    `seconds_…` are of single runs; `quality` is the mean score, None where nothing was scored.
    """

    pipeline: str
    source: str
    at: str
    span: str
    run_id: str
    runs: int
    failures: int
    read: int
    loaded: int
    quarantined: int
    skipped: int
    quality: float | None
    seconds_avg: float
    seconds_min: float
    seconds_max: float
    seconds_p50: float
    seconds_p95: float
    seconds_p99: float


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


class Alerts(Protocol):
    """Alerts, and the outbox of what is to be told of them. Times are stamps of `pratique.alerts`."""

    def judge(
        self, environment: str, since: str, change: Callable[[Known], Judged], runs: Sequence[str] = ()
    ) -> Judged:
        """Hand `change` what is known (open alerts, and those that ended since then), and keep what it gives.

        Alerts, messages, and that these runs were judged become durable in one transaction: a process that is killed
        leaves all of it or nothing, and a run that was not judged is found again. Runs that another process judged
        meanwhile change nothing.
        """
        ...

    def latest(self, environment: str | None, since: str = "") -> tuple[Alert, ...]:
        """Alerts of an environment, or of all, that are open, and those that ended since then; the oldest first."""
        ...

    def find(self, prefix: str) -> Alert:
        """The alert whose id begins so; ConfigurationError if there is none or more than one."""
        ...

    def silence(self, environment: str, target: str, until: str) -> None:
        """Tell nothing of this pipeline of an environment, or of this alert, until then."""
        ...

    def silences(self, environment: str) -> Mapping[str, str]:
        """What is silenced, or was lately, and until when."""
        ...

    def claim(self, environment: str, channel: str, now: str, seconds: float) -> Message | None:
        """The next message of a channel, for the caller alone for so many seconds; None if it has to wait.

        Of one alert the messages come in order. Only one message of a channel is claimed at a time.
        """
        ...

    def delivered(self, message: Message, now: str) -> None:
        """The channel took a claimed message."""
        ...

    def refused(self, message: Message, now: str, error: str) -> None:
        """The channel did not take it: all of its messages wait, twice as long with each try, 15 minutes at most."""
        ...

    def waiting(self, environment: str | None) -> list[Waiting]:
        """What the channels of an environment, or of all, have not taken yet."""
        ...

    def watched_since(self, subject: str, now: str) -> str:
        """Since when a promise is judged: `now`, the first time that it is asked."""
        ...

    def thin(self, now: str) -> None:
        """Forget what ended and was told more than 90 days ago."""
        ...


class Ledger(Protocol):
    """Runs, attempts, committed loads, and alerts."""

    @property
    def alerts(self) -> Alerts:
        """Alerts, and the outbox of what is to be told of them."""
        ...

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

    def loads(self, pipeline: str | None = None, run_id: str | None = None, since: str = "") -> list[Marker]:
        """Committed loads, those since then, oldest first: all that people may see of the quarantine."""
        ...

    def keep(self, marker: Marker) -> None:
        """Put on the ledger what no run has loaded: records of the reserved pipeline, held by hand."""
        ...

    def active(self) -> list[RunReport]:
        """Runs that are at work: their processes live."""
        ...

    def unmeasured(self, pipeline: str) -> list[RunReport]:
        """Runs of a pipeline that ended, also by a crash, and that `measure` has not seen; the oldest 1,000 at most."""
        ...

    def first(self) -> RunReport | None:
        """The oldest run, by which this ledger can be told from others; None if there is none yet."""
        ...

    def measure(self, report: RunReport, samples: Iterable[Sample]) -> None:
        """Add what a run measured to the totals, and its sources to the history; the same run twice counts once."""
        ...

    def unalerted(self, environment: str) -> list[RunReport]:
        """Runs of an environment that ended, also by a crash, and of which no alert was judged; the oldest first.

        Those that only markers know of come with them: they have no environment. A thousand at most.
        """
        ...

    def last_success(self, pipeline: str, environment: str) -> str:
        """When the newest run ended that was done, as a stamp; empty if there is none."""
        ...

    def thin(self) -> None:
        """Keep every run of 7 days in the history, before that one point a day for each source, 90 days in all."""
        ...

    def totals(self) -> list[Sample]:
        """What all runs measured together: counters and histograms as sums, gauges as of the last run."""
        ...

    def history(self, pipeline: str | None = None, since: str = "") -> list[MetricPoint]:
        """Points of the history from `since` (UTC, ISO 8601) on, oldest first."""
        ...

    def close(self) -> None:
        """Let go of the file. Harmless when repeated."""
        ...
