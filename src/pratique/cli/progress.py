"""What is seen while a run works: a moving line per source on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pratique.cli.account import count, rows
from pratique.cli.console import Console
from pratique.cli.report import SHORT_ID, duration
from pratique.cli.text import shown
from pratique.events import (
    Emit,
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


def size(number: int) -> str:
    """Give a number of bytes in the largest decimal unit that leaves a digit before the point."""
    value = float(number)
    for unit in _UNITS[:-1]:
        if value < 1000:  # noqa: PLR2004 - from one decimal unit to the next
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {_UNITS[-1]}"


def told(event: Event) -> str:
    """Say an event in a few words; nothing for events that are only steps on the way."""
    words = _WORDS.get(type(event))
    return words(event) if words else ""


def _landed(event: SourceLanded) -> str:
    files = f"{count(event.files)} file{'s' if event.files != 1 else ''}"
    known = f", {count(event.files_known)} loaded before" if event.files_known else ""
    return f"landed {files}, {count(event.records)} records, {size(event.size_bytes)}{known}{_took(event.seconds)}"


def _staged(event: RowsStaged) -> str:
    skipped = count(sum(event.skipped.values()))
    split = f"{count(event.good)} good, {count(event.quarantined)} to quarantine, {skipped} skipped"
    return f"judged {count(event.read)}: {split}{_took(event.seconds)}"


def _reconciled(event: RunReconciled) -> str:
    if not event.recovered and not event.abandoned:
        return ""
    loads, runs = len(event.recovered), len(event.abandoned)
    return f"after earlier runs that were killed: committed loads put on the ledger {loads}, runs without any {runs}"


def _failed(event: SourceFailed) -> str:
    problem = event.report.problem
    return f"{event.report.outcome.upper()}{': ' + shown(problem.message) if problem else ''}"


_WORDS: Final[Mapping[type[Event], Callable[[Any], str]]] = {
    RunStarted: lambda event: f"run {event.run_id[:SHORT_ID]} started ({shown(event.environment)})",
    RunReconciled: _reconciled,
    SourceLanded: _landed,
    FileHeld: lambda event: f"held {shown(event.file)}: {shown(event.reason)}",
    RowsStaged: _staged,
    QuarantineWritten: lambda event: f"quarantined {rows(event.segment.records)}{_took(event.seconds)}",
    LoadRetried: lambda event: f"attempt {event.attempt} left no trace, again: {shown(event.problem.message)}",
    LoadCommitted: lambda event: f"loaded {rows(event.account.loaded)} into {shown(event.table)}{_took(event.seconds)}",
    SourceIngested: lambda event: "unchanged: nothing new" if event.report.outcome == "unchanged" else "",
    SourceFailed: _failed,
    SourceSkipped: lambda event: f"not run: its parent {shown(event.parent)} failed",
}


def _took(seconds: float) -> str:
    return f" ({duration(seconds)})" if seconds else ""


@contextmanager
def silence() -> Iterator[Emit]:
    """Show nothing, for `--json`."""
    yield lambda _: None


@contextmanager
def lines(console: Console) -> Iterator[Emit]:
    """Show one line on stderr for each event that says something, with the time of day."""

    def show(event: Event) -> None:
        text = told(event)
        if text:
            subject = f"{event.pipeline}.{event.source}" if isinstance(event, SourceEvent) else event.pipeline
            console.err(f"{datetime.now().astimezone():%H:%M:%S}  {shown(subject)}  {text}")

    yield show


@contextmanager
def moving() -> Iterator[Emit]:
    """Show a line per source on the terminal: its stage, rows and seconds; a percentage only where one is known.

    The lines vanish at the end: the report says everything that they said.
    """
    from rich.console import Console as Screen  # noqa: PLC0415 - rich costs 0.1 s, and only a terminal needs it
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=30))
    clock = TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7))
    said = TextColumn("{task.fields[said]}", markup=False, table_column=Column(no_wrap=True, ratio=1))
    screen = Screen(stderr=True, highlight=False)
    spinner = SpinnerColumn(finished_text="·")
    with Progress(spinner, name, clock, said, console=screen, transient=True, expand=True) as progress:
        yield _Tasks(progress).show


class _Tasks:
    """The lines of a moving display, one for each source."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """Show this event on the line of its source; the line and its clock begin with the first one."""
        if not isinstance(event, SourceEvent):
            return
        if event.source not in self._tasks:
            self._tasks[event.source] = self._progress.add_task(shown(event.source), total=None, said="")
        task = self._tasks[event.source]
        text = _stage(event) if isinstance(event, StageProgressed) else told(event)
        if text:
            self._progress.update(task, said=text)
        if isinstance(event, (SourceIngested, SourceFailed, SourceSkipped)):
            self._progress.update(task, total=1, completed=1)


def _stage(event: StageProgressed) -> str:
    done = f", {rows(event.rows)}" if event.rows is not None else ""
    share = f", {event.fraction:.0%}" if event.fraction is not None else ""
    return f"{event.stage}{done}{share}"
