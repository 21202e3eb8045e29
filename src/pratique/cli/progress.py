"""What is seen while a run works: a moving line per source on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pratique.cli.account import rows
from pratique.cli.console import Console
from pratique.cli.text import shown
from pratique.events import (
    Emit,
    ErrorRaised,
    Event,
    RunFinished,
    SourceEvent,
    SourceFailed,
    SourceIngested,
    SourceSkipped,
    StageProgressed,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# What the report or the error message says better, right after.
_SAID_ELSEWHERE: Final = (RunFinished, ErrorRaised, StageProgressed)


def told(event: Event) -> str:
    """Say an event in a few words; nothing for events that are only steps on the way."""
    return "" if isinstance(event, _SAID_ELSEWHERE) else shown(event.message())


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
