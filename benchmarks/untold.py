"""`pratique`, but nobody hears of a run: no log, no metrics, no history, no alerts, no other program."""

from collections.abc import Iterator
from contextlib import contextmanager

import pratique.ingestion.telling as told
from pratique.cli.main import main
from pratique.monitoring.bus import Bus


class Mute(Bus):
    """Tells nobody."""

    def emit(self, _: object) -> None:
        """Drop the event."""

    def attempt(self, *_: object) -> None:
        """Do nothing."""


class Untold(told.Telling):
    """Has no observer, and gets none."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__(lambda _: None, logged=False)
        self.bus = Mute()

    @contextmanager
    def alerting(self, _: object) -> Iterator[None]:
        """Judge no alert."""
        yield

    def join(self, _: object) -> None:
        """Let nobody join."""

    def ended(self, *_: object) -> tuple[int, tuple[str, ...]]:
        """Tell nobody that the run is over."""
        return 0, ()


import pratique.ingestion.run  # noqa: E402 - the class that it takes is replaced below

pratique.ingestion.run.Telling = Untold  # type: ignore[misc]
main()
