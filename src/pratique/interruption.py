"""A signal ends what a database works at, in all of its threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interruptible(interrupt: Callable[[], object]) -> Iterator[None]:
    """While the block runs, SIGINT and SIGTERM call `interrupt` and then do what they would have done without it.

    Upstream: when a handler raises during `execute()`, DuckDB raises RuntimeError in its place, but waits without end
    for its other threads, deaf to further signals, unless the statement is interrupted first. Such a RuntimeError
    leaves the block as KeyboardInterrupt. Outside the main thread, where no handler can run, nothing is changed.
    """
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        interrupt()
        handlers[number](number, frame)

    own = [number for number, handler in handlers.items() if callable(handler)]
    try:
        for number in own:
            signal.signal(number, handle)
        yield
    except RuntimeError as error:
        if "interrupted" not in str(error).lower():
            raise
        raise KeyboardInterrupt from error
    finally:
        for number in own:
            signal.signal(number, handlers[number])
