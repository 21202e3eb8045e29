"""The one retry policy: what may pass by itself is tried again, with growing pauses; everything else fails at once."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from pratique.errors import PratiqueError

T = TypeVar("T")

NO_ANSWER: Final = "none"


class Retries:
    """What one run tries again: how often at most, and how often it did. Safe with threads.

    One piece of work, such as a request or the reading of a table, is tried again `each_max` times, and all work of
    the run together `run_max` times: a server that answers badly now and then costs a run no more than that.
    """

    def __init__(self, each_max: int = 3, run_max: int = 100) -> None:
        self.each_max, self.run_max = each_max, run_max
        self._turn = threading.Lock()
        self._made = 0
        self._untold: Counter[str] = Counter()

    def taken(self) -> Counter[str]:
        """What was tried again since this was asked last, by class of HTTP status (`5xx`); `none` without a status."""
        with self._turn:
            found, self._untold = self._untold, Counter()
            return found

    def of(self, work: Callable[[], T], *, wait_seconds: float = 0.5) -> T:
        """What `work` gives, tried again where it raises a retryable error. `work` must be repeatable.

        The error of the last try says how often there was one.
        """
        one = _Work(self)
        with one.told():
            for attempt in one.attempts(wait_seconds):
                with attempt:
                    return work()
        raise AssertionError(work)

    async def of_async(self, work: Callable[[], Awaitable[T]], *, wait_seconds: float = 0.5) -> T:
        """As `of`, for work that is awaited."""
        one = _Work(self)
        with one.told():
            async for attempt in one.attempts(wait_seconds):
                with attempt:
                    return await work()
        raise AssertionError(work)

    def spend(self, error: PratiqueError) -> bool:
        """Whether the run has a further try for this error, which is then counted."""
        with self._turn:
            if self._made >= self.run_max:
                return False
            self._made += 1
            status = error.facts.get("status")
            self._untold[f"{status // 100}xx" if isinstance(status, int) else NO_ANSWER] += 1
            return True


class _Work:
    """One piece of work, and how often it was tried again."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._again = 0
        self._refused = False  # there was no further try in the run

    def _passes(self, error: Exception) -> bool:
        if not isinstance(error, PratiqueError) or not error.retryable or self._again >= self._retries.each_max:
            return False
        self._refused = not self._retries.spend(error)
        self._again += not self._refused
        return not self._refused

    def attempts(self, wait_seconds: float) -> Any:
        first = "stamina" not in sys.modules
        import stamina  # noqa: PLC0415 - only what reaches over a network needs it

        if first:  # else it is the program's, whose hooks stay
            # Upstream: it prints each retry on stdout through structlog, where that is installed.
            stamina.instrumentation.set_on_retry_hooks(())
        return stamina.retry_context(
            on=self._passes, attempts=None, timeout=None, wait_initial=wait_seconds, wait_jitter=wait_seconds
        )

    @contextmanager
    def told(self) -> Iterator[None]:
        """The error of the last try says how often there was one."""
        try:
            yield
        except PratiqueError as error:
            if not error.retryable:
                raise
            message = error.message
            if self._again:
                message = f"{message}, tried again {self._again} time{'s' if self._again != 1 else ''}"
            if self._refused:
                message = f"{message}; the {self._retries.run_max} retries of this run are used up"
            raise type(error)(message, hint=error.hint, where=error.where, facts=error.facts) from error
