"""What is seen while a run works: a moving line per source on a terminal, one plain line per event elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pratique.cli.console import Console
from pratique.cli.pace import pace
from pratique.cli.signals import stop
from pratique.cli.text import columns, shown
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
from pratique.gauge import gauge

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# What the report or the error message says better, right after.
_SAID_ELSEWHERE: Final = (RunFinished, ErrorRaised, StageProgressed)

_EVERY_SECONDS: Final = 5.0  # Limit: a log of a long run stays readable


def told(event: Event) -> str:
    """Say an event in a few words; nothing for events that are only steps on the way."""
    return "" if isinstance(event, _SAID_ELSEWHERE) else shown(event.message())


@contextmanager
def silence() -> Iterator[Emit]:
    """Show nothing, for `--json`."""
    yield lambda _: None


@contextmanager
def lines(console: Console) -> Iterator[Emit]:
    """Show one line on stderr for each event that says something, and one every few seconds of a long stage."""
    stages = _Stages()
    over = threading.Event()

    def say(subject: str, text: str) -> None:
        console.err(f"{datetime.now().astimezone():%H:%M:%S}  {shown(subject)}  {text}")

    def show(event: Event) -> None:
        stages.follow(event)
        if text := told(event):
            say(f"{event.pipeline}.{event.source}" if isinstance(event, SourceEvent) else event.pipeline, text)

    def beat() -> None:
        while not over.wait(_EVERY_SECONDS):
            if (current := stages.current) and current.seconds() >= _EVERY_SECONDS and (amount := gauge.read()):
                say(f"{current.pipeline}.{current.source}", pace(current.stage, amount, current.seconds(), 1_000))

    beating = threading.Thread(target=beat, name="pratique-progress", daemon=True)
    beating.start()
    try:
        yield show
    finally:
        over.set()
        beating.join()


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is being done, of which source, since when."""

    pipeline: str
    source: str
    stage: str
    began: float

    def seconds(self) -> float:
        return time.monotonic() - self.began


class _Stages:
    """The stage that a run is in; None between two."""

    def __init__(self) -> None:
        self.current: _Stage | None = None

    def follow(self, event: Event) -> None:
        """Take an event of the run."""
        if isinstance(event, StageProgressed):
            self.current = _Stage(event.pipeline, event.source, event.stage, time.monotonic())
        elif told(event) or isinstance(event, SourceIngested):
            self.current = None


@contextmanager
def moving() -> Iterator[Emit]:
    """Show a line per source on the terminal: its stage, rows or bytes, rate, time left; as much of it as fits.

    The lines vanish at the end: the report says everything that they said.
    """
    from rich.console import Console as Screen  # noqa: PLC0415 - rich costs 0.1 s, and only a terminal needs it
    from rich.progress import Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    stages = _Stages()
    screen = Screen(stderr=True, highlight=False)
    names = max(8, min(30, screen.width // 4))
    tasks: _Tasks

    class Said(ProgressColumn):
        """What the line of a source says at this moment."""

        max_refresh = 0.2  # seconds

        def render(self, task: Task) -> Text:
            current = stages.current
            if current is None or current.source != task.fields["source"] or task.finished:
                return Text(task.fields["said"])
            room = screen.width - min(names, tasks.widest) - 10  # what the clock and the gaps leave
            return Text(pace(current.stage, gauge.read(), current.seconds(), room))

    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=names))
    clock = TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7))
    said = Said(table_column=Column(no_wrap=True, ratio=1))
    with Progress(name, clock, said, console=screen, transient=True, expand=True, refresh_per_second=5) as progress:
        tasks = _Tasks(progress)

        def show(event: Event) -> None:
            stages.follow(event)
            tasks.show(event)

        stop.tell = screen.print
        try:
            yield show
        finally:
            stop.tell = None


class _Tasks:
    """The lines of a moving display, one for each source."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self.widest = 0

    def show(self, event: Event) -> None:
        """Show this event on the line of its source; the line and its clock begin with the first one."""
        if not isinstance(event, SourceEvent):
            return
        if event.source not in self._tasks:
            name = shown(event.source)
            self.widest = max(self.widest, columns(name))
            self._tasks[event.source] = self._progress.add_task(name, total=None, said="", source=event.source)
        task = self._tasks[event.source]
        if text := told(event):
            self._progress.update(task, said=text)
        if isinstance(event, (SourceIngested, SourceFailed, SourceSkipped)):
            self._progress.update(task, total=1, completed=1)
