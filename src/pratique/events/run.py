"""What happens to a run as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from pratique.events.event import SHORT, Event, Level, account_facts, problem_facts, took
from pratique.events.source import ErrorRaised, FileHeld, SourceFailed, SourceIngested
from pratique.measures import (
    LAST_COMPLETION,
    LAST_SUCCESS,
    NEWEST_RECORD,
    OBSERVER_FAILURES,
    RUN_DURATION,
    RUNS,
    Measurement,
)
from pratique.model import Account
from pratique.reports import RunReport

OUTCOMES: Final[Mapping[str, str]] = {  # of a report -> of a metric
    "done": "success",
    "partial": "partial",
    "gated": "failure",
    "failed": "failure",
    "interrupted": "aborted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run holds its pipeline and is on the ledger; nothing has been read yet."""

    action: ClassVar[str] = "run.start"

    environment: str
    started_at: str
    sources: tuple[str, ...] = ()
    dry_run: bool = False

    def message(self) -> str:
        """Which run, and where."""
        return f"run {self.run_id[:SHORT]} started ({self.environment})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReconciled(Event):
    """Earlier runs that did not end were settled by the markers in the destination.

    `recovered` are ids of loads that were committed but not on the ledger, `abandoned` ids of runs that left nothing.
    """

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "run.reconcile"

    recovered: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()

    def message(self) -> str:
        """How many loads and runs."""
        loads, runs = len(self.recovered), len(self.abandoned)
        if not loads and not runs:
            return ""
        return (
            f"after earlier runs that were killed: committed loads put on the ledger {loads}, runs without any {runs}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecovered(Event):
    """An earlier run that was killed before it could tell how it ended is told of now, by the report on the ledger."""

    level: ClassVar[Level] = "debug"
    action: ClassVar[str] = "run.recover"

    report: RunReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserversFailed(Event):
    """Somebody who listens could not take so many events of this run; the run itself is whole."""

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "observer.fail"

    failures: int
    reasons: tuple[str, ...] = ()

    def message(self) -> str:
        """How many, and why as far as it is known."""
        return "; ".join((f"{untold(self.failures)}; the run is whole", *self.reasons))

    def measurements(self) -> Iterator[Measurement]:
        """How many."""
        yield Measurement(OBSERVER_FAILURES, self.failures, (self.pipeline,))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A run is over and on the ledger; the report is all that it says."""

    action: ClassVar[str] = "run.complete"

    report: RunReport

    @property
    def loudness(self) -> Level:
        """Louder the more of it failed."""
        levels: Mapping[str, Level] = {"done": "info", "gated": "error", "failed": "error"}
        return levels.get(self.report.outcome, "warning")

    def message(self) -> str:
        """Outcome, time and exit code."""
        outcome, code = self.report.outcome, self.report.exit_code
        return f"run {self.run_id[:SHORT]} {outcome}, exit code {code}{took(seconds_of(self.report))}"

    def facts(self) -> Mapping[str, Any]:
        """Outcome, time, and the account of all sources."""
        accounts = [source.account for source in self.report.sources if source.account]
        total = Account(*(sum(getattr(item, name) for item in accounts) for name in ("read", "loaded", "quarantined")))
        outcome = {"success": "success", "partial": "unknown"}.get(OUTCOMES.get(self.report.outcome, ""), "failure")
        duration = round(seconds_of(self.report) * 1e9)
        told = {"event.outcome": outcome, "event.duration": duration, "outcome": self.report.outcome}
        return {**told, **account_facts(total), **problem_facts(self.report.problem, "")}

    def measurements(self) -> Iterator[Measurement]:
        """The run, how long it took, and when it ended."""
        report, outcome = self.report, OUTCOMES.get(self.report.outcome, "failure")
        yield Measurement(RUNS, 1, (self.pipeline, outcome))
        if report.ended_at:
            yield Measurement(RUN_DURATION, seconds_of(report), (self.pipeline, outcome))
            ended = datetime.fromisoformat(report.ended_at).timestamp()
            yield Measurement(LAST_COMPLETION, ended, (self.pipeline,))
            if outcome == "success":
                yield Measurement(LAST_SUCCESS, ended, (self.pipeline,))
        newest = [at for source in report.sources if (at := _moment(source.newest)) is not None]
        if newest:
            yield Measurement(NEWEST_RECORD, max(newest), (self.pipeline,))


def untold(failures: int) -> str:
    """So many events were not told to somebody."""
    return f"{failures:,} event{'s' if failures != 1 else ''} could not be told to everybody who listens"


def events_of(report: RunReport) -> Iterator[Event]:
    """The last events of a run told again from its report, so that its numbers can be had at any time."""
    common: dict[str, Any] = {"pipeline": report.pipeline, "run_id": report.run_id}
    for source in report.sources:
        for held in source.held:
            yield FileHeld(**common, source=source.source, file=held.version.name, reason=held.reason, hint=held.hint)
        if source.outcome in {"loaded", "unchanged"}:
            yield SourceIngested(**common, source=source.source, report=source)
        elif source.outcome in {"failed", "gated"}:
            yield SourceFailed(**common, source=source.source, report=source)
    problem = report.problem
    if problem and report.outcome != "interrupted":
        yield ErrorRaised(**common, source="", problem=problem)
    yield RunFinished(**common, report=report)


def seconds_of(report: RunReport) -> float:
    """How long a run took; 0 if that is not known."""
    if not report.ended_at:
        return 0.0
    return (datetime.fromisoformat(report.ended_at) - datetime.fromisoformat(report.started_at)).total_seconds()


def _moment(newest: str | None) -> float | None:
    """The time of the newest record in seconds since 1970, if it is a time."""
    try:
        at = datetime.fromisoformat(newest or "")
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
