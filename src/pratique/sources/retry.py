"""The one retry policy: what may pass by itself is tried again, with growing pauses; everything else fails at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

from pratique.errors import PratiqueError

T = TypeVar("T")

RETRIES: Final = 3


@cache
def _silence() -> None:
    """Take from stamina its habit of telling each retry by structlog, which prints on stdout: that is the command's."""
    from stamina.instrumentation import set_on_retry_hooks  # noqa: PLC0415 - only what reaches over a network needs it

    set_on_retry_hooks(())


def retried(work: Callable[[], T], *, wait_seconds: float = 0.5) -> T:
    """What `work` gives; up to three further times where it raises a retryable error. `work` must be repeatable."""
    import stamina  # noqa: PLC0415 - only what reaches over a network needs it

    _silence()
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
