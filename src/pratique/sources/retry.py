"""The one retry policy: what may pass by itself is tried again, with growing pauses; everything else fails at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from pratique.errors import PratiqueError

T = TypeVar("T")

RETRIES: Final = 3


def retried(work: Callable[[], T], *, wait_seconds: float = 0.5) -> T:
    """What `work` gives; up to three further times where it raises a retryable error. `work` must be repeatable."""
    import stamina  # noqa: PLC0415 - only what reaches over a network needs it

    quiet = logging.getLogger("stamina")  # it warns of each retry, by default on the terminal
    if not quiet.handlers:
        quiet.addHandler(logging.NullHandler())
    for attempt in stamina.retry_context(
        on=lambda error: isinstance(error, PratiqueError) and error.retryable,
        attempts=RETRIES + 1,
        timeout=None,
        wait_initial=wait_seconds,
        wait_jitter=wait_seconds,
    ):
        with attempt:
            return work()
    raise AssertionError(work)
