"""The one retry policy: what may pass by itself is tried again, with growing pauses; everything else fails at once."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pratique.errors import PratiqueError

T = TypeVar("T")

RETRIES: Final = 3


def retried(work: Callable[[], T], *, wait_seconds: float = 0.5) -> T:
    """What `work` gives; up to three further times where it raises a retryable error. `work` must be repeatable."""
    for attempt in _attempts(wait_seconds):
        with attempt:
            return work()
    raise AssertionError(work)


async def retried_async(work: Callable[[], Awaitable[T]], *, wait_seconds: float = 0.5) -> T:
    """As `retried`, for work that is awaited."""
    async for attempt in _attempts(wait_seconds):
        with attempt:
            return await work()
    raise AssertionError(work)


def _attempts(wait_seconds: float) -> Any:
    first = "stamina" not in sys.modules
    import stamina  # noqa: PLC0415 - only what reaches over a network needs it

    if first:  # else it is the program's, whose hooks stay
        # Upstream: it prints each retry on stdout through structlog, where that is installed.
        stamina.instrumentation.set_on_retry_hooks(())
    return stamina.retry_context(
        on=lambda error: isinstance(error, PratiqueError) and error.retryable,
        attempts=RETRIES + 1,
        timeout=None,
        wait_initial=wait_seconds,
        wait_jitter=wait_seconds,
    )
