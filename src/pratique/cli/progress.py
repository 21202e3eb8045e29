"""What is seen while a run works: a moving line per source on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import time
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from pratique.cli.account import count
from pratique.cli.console import Console
from pratique.cli.report import duration
from pratique.cli.text import shown
from pratique.events import (
    Event,
    FileHeld,
    LoadCommitted,
    LoadRetried,
    QuarantineWritten,
    RowsStaged,
    RunReconciled,
    RunStarted,
    SourceEvent,
    SourceFailed,
    SourceIngested,
    SourceLanded,
    SourceSkipped,
    StageProgressed,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_UNITS = ("B", "kB", "MB", "GB", "TB")


class Display(Protocol):
    """Shows events while the context is open."""

    def __enter__(self) -> Display: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def __call__(self, event: Event) -> None:
        """Show this event."""
        ...


def size(number: int) -> str:
    """Give a number of bytes in the largest decimal unit that leaves a digit before the point."""
    value = float(number)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - from one decimal unit to the next
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError(number)  # pragma: no cover - the last unit takes everything


def told(event: Event) -> str:
    """Say an event in a few words; nothing for events that are only steps on the way."""
    match event:
        case RunStarted():
            return f"run {event.run_id[:6]} started ({shown(event.environment)})"
        case RunReconciled(recovered=(), abandoned=()):
            return ""
        case RunReconciled():
            left = f", {len(event.abandoned)} left nothing" if event.abandoned else ""
            return f"earlier runs that did not end: {len(event.recovered)} committed loads recovered{left}"
        case SourceLanded():
            files = f"{count(event.files)} file{'s' if event.files != 1 else ''}"
            known = f", {count(event.files_known)} loaded before" if event.files_known else ""
            return f"landed {files}, {count(event.records)} records, {size(event.size_bytes)}{known}{_took(event.seconds)}"
        case FileHeld():
            return f"held {shown(event.file)}: {shown(event.reason)}"
        case RowsStaged():
            skipped = sum(event.skipped.values())
            return f"judged {count(event.read)}: {count(event.good)} good, {count(event.quarantined)} to quarantine, {count(skipped)} skipped{_took(event.seconds)}"
        case QuarantineWritten():
            return f"quarantine written, {count(event.segment.records)} records{_took(event.seconds)}"
        case LoadRetried():
            return f"attempt {event.attempt} left no trace, again: {shown(event.problem.message)}"
        case LoadCommitted():
            return f"loaded {count(event.account.loaded)} rows into {shown(event.table)}{_took(event.seconds)}"
        case SourceFailed():
            return f"{event.report.outcome.upper()}: {shown(event.report.problem.message if event.report.problem else '')}"
        case SourceSkipped():
            return f"not run: its parent {shown(event.parent)} failed"
        case SourceIngested() if event.report.outcome == "unchanged":
            return "unchanged: nothing new"
    return ""


def _took(seconds: float) -> str:
    return f" ({duration(seconds)})" if seconds else ""


class Lines:
    """One line on stderr for each event that says something, with the time of day."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Show this event."""
        text = told(event)
        if text:
            subject = f"{event.pipeline}.{event.source}" if isinstance(event, SourceEvent) else event.pipeline
            self._console.err(f"{datetime.now().astimezone():%H:%M:%S}  {shown(subject)}  {text}")


class Silence:
    """Shows nothing, for `--json`."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Show nothing."""


class Moving:
    """A line per source on the terminal: its stage, rows and seconds; a percentage only where the engine knows one.

    The lines vanish at the end: the report says everything that they said.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, TaskID] = {}
        self._progress: Progress
        self._begun: dict[str, float] = {}

    def __enter__(self) -> Moving:
        from rich.console import Console as Screen  # noqa: PLC0415 - rich costs 0.1 s, and only a terminal needs it
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        name = TextColumn("{task.description}", markup=False)
        said = TextColumn("{task.fields[said]}", markup=False)
        self._progress = Progress(
            SpinnerColumn(finished_text="·"), name, TimeElapsedColumn(), said, console=Screen(stderr=True, highlight=False), transient=True
        )
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show this event on the line of its source."""
        if isinstance(event, RunStarted):
            for source in event.sources:
                self._task(source)
        if not isinstance(event, SourceEvent):
            return
        task = self._task(event.source)
        if event.source not in self._begun:
            self._begun[event.source] = time.monotonic()
            self._progress.start_task(task)
        text = _stage(event) if isinstance(event, StageProgressed) else told(event)
        if text:
            self._progress.update(task, said=text)
        if isinstance(event, (SourceIngested, SourceFailed, SourceSkipped)):
            self._progress.update(task, total=1, completed=1)

    def _task(self, source: str) -> TaskID:
        if source not in self._tasks:
            self._tasks[source] = self._progress.add_task(shown(source), start=False, total=None, said="")
        return self._tasks[source]


def _stage(event: StageProgressed) -> str:
    rows = f", {count(event.rows)} rows" if event.rows is not None else ""
    share = f", {event.fraction:.0%}" if event.fraction is not None else ""
    return f"{event.stage}{rows}{share}"
