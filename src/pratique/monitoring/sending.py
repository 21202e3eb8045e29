"""What is told to other programs is sent by a thread of its own: a run never waits for it but at its end, not long."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pratique.events import Event

T = TypeVar("T")

_WAITING_MAX: Final = 10_000  # Limit: of what waits to be sent; what comes on top is not told, and counted
_PAUSE_SECONDS: Final = 0.1  # before a second attempt; doubled each time
_PAUSE_SECONDS_MAX: Final = 5.0  # Limit: a receiver that is back is found that soon
_ATTEMPT_SECONDS_MIN: Final = 0.1
PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # answers over HTTP after which another may be better


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something could not be sent; `passing` if another attempt may succeed."""

    reason: str
    passing: bool = False


Send = Callable[[T, float], Refused | None]
"""Sends one thing within so many seconds, or says why not."""


class Teller(Protocol):
    """Tells other programs of a run: an observer of its events that is told when to end."""

    name: str

    def __call__(self, event: Event) -> None:
        """Take an event; what has to be sent is sent later."""
        ...

    def end(self) -> None:
        """Nothing more will come. What waits has `timeout_seconds` from here on."""
        ...

    def untold(self) -> tuple[int, str]:
        """How much could not be sent, and why; waits for the end of that time at most."""
        ...


class Sender(Generic[T]):
    """Sends things one after the other, in a thread of its own.

    While the run is at work what fails in passing is tried again, with growing pauses, and holds the others back. From
    `end` on each has one attempt more, and all of them `timeout_seconds` together: a receiver that hangs costs a run no
    more than that.
    """

    def __init__(self, name: str, send: Send[T], timeout_seconds: float) -> None:
        self.name = name
        self._send = send
        self._timeout = timeout_seconds
        self._waiting: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._deadline = float("inf")
        self._put = self._sent = 0
        self._reason = ""
        # A daemon: a process that ends does not wait for a receiver that hangs.
        self._thread = threading.Thread(target=self._work, name=f"pratique-{name}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Send this after those before; returns at once."""
        self._put += 1
        if self._waiting.qsize() < _WAITING_MAX:
            self._waiting.put(item)
        else:
            self._reason = self._reason or f"{self.name}: more than {_WAITING_MAX:,} wait to be sent"

    def end(self) -> None:
        """Nothing more will come. Harmless when repeated."""
        if not self._ended.is_set():
            self._deadline = time.monotonic() + self._timeout
            self._ended.set()
            self._waiting.put(None)

    def untold(self) -> tuple[int, str]:
        """How much could not be sent, and the first reason; waits for the time that `end` gave at most."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        lost = self._put - self._sent
        late = f"{self.name}: no answer within {self._timeout:g} s"
        return lost, (self._reason or late) if lost else ""

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            if (refused := self._tried(item)) is None:
                self._sent += 1
            else:
                self._reason = self._reason or f"{self.name}: {refused.reason}"

    def _tried(self, item: T) -> Refused | None:
        pause = _PAUSE_SECONDS
        while True:
            left = self._deadline - time.monotonic()
            last = self._ended.is_set()
            refused = self._send(item, max(_ATTEMPT_SECONDS_MIN, min(self._timeout, left)))
            if refused is None or not refused.passing or last:
                return refused
            self._ended.wait(pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)
