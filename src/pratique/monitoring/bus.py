"""Tells everybody who listens what happened, and lets nobody who listens fail a run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import partial

from pratique.events import Emit, Event


class Bus:
    """Hands each event to every observer, in the order of subscription, in the caller's thread.

    `failures` counts what observers raised. The first failure of each is told on stderr, the further ones are counted.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._observers: list[Emit] = []
        self._told: set[int | str] = set()

    def subscribe(self, observer: Emit) -> None:
        """From now on `observer` is called with every event."""
        self._observers.append(observer)

    def unsubscribe(self, observer: Emit) -> None:
        """From now on `observer` is not called any more."""
        self._observers[self._observers.index(observer)] = lambda _: None  # the places of the others stay

    def emit(self, event: Event) -> None:
        """Give `event` to every observer; whatever one raises, the others get it and the run goes on."""
        for place, observer in enumerate(self._observers):
            self._do(place, partial(observer, event), partial(_failed, observer, event))

    def attempt(self, what: str, step: Callable[[], object]) -> None:
        """Do a step for those who listen, such as telling them more; whatever it raises, the run goes on."""
        self._do(what, step, lambda: f"{what} failed")

    def _do(self, key: int | str, step: Callable[[], object], said: Callable[[], str]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001  Invariant 7: telling can never fail a run; the only one in the package
            self.failures += 1
            if key not in self._told:
                self._told.add(key)
                _tell(said(), error)


def _failed(observer: Emit, event: Event) -> str:
    name = getattr(observer, "__qualname__", type(observer).__qualname__)
    return f"observer {name} failed on {type(event).__name__}"


def _tell(said: str, error: Exception) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # stderr may be gone; then nobody can be told
            sys.stderr.write(
                f"warning: {said}: {type(error).__name__}: {error}"
                " (the run goes on; further failures of this observer are only counted)\n"
            )
