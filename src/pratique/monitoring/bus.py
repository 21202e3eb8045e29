"""Tells everybody who listens what happened, and lets nobody who listens fail a run."""

from __future__ import annotations

import contextlib
import sys

from pratique.events import Emit, Event


class Bus:
    """Hands each event to every observer, in the order of subscription, in the caller's thread.

    `failures` counts what observers raised. The first failure of each is told on stderr, the further ones are counted.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._observers: list[Emit] = []
        self._told: set[int] = set()

    def subscribe(self, observer: Emit) -> None:
        """From now on `observer` is called with every event."""
        self._observers.append(observer)

    def emit(self, event: Event) -> None:
        """Give `event` to every observer; whatever one raises, the others get it and the run goes on."""
        for place, observer in enumerate(self._observers):
            if not self.give(observer, event, quiet=place in self._told):
                self._told.add(place)

    def give(self, observer: Emit, event: Event, *, quiet: bool = False) -> bool:
        """Give `event` to this observer alone, whatever it raises; False if it raised, which is told if not `quiet`."""
        try:
            observer(event)
        except Exception as error:  # noqa: BLE001  Invariant 7: telling can never fail a run; the only one in the package
            self.failures += 1
            if not quiet:
                _tell(observer, event, error)
            return False
        return True


def _tell(observer: Emit, event: Event, error: Exception) -> None:
    name = getattr(observer, "__qualname__", type(observer).__qualname__)
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # stderr may be gone; then nobody can be told
            sys.stderr.write(
                f"warning: observer {name} failed on {type(event).__name__}: {type(error).__name__}: {error}"
                " (the run goes on; further failures of this observer are only counted)\n"
            )
