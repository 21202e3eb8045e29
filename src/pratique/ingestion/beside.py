"""Work that is done in a second thread while the main one waits for a database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from pratique.errors import InterruptedRunError

T = TypeVar("T")


@contextmanager
def beside(work: Callable[[Callable[[], None]], T]) -> Iterator[Callable[[], T]]:
    """Run `work` while the block runs; give the function that waits for its result, or raises what it raised.

    No thread outlives the block: `work` gets a function to call often, which raises once the block was left.
    """
    left = threading.Event()

    def go_on() -> None:
        if left.is_set():
            raise InterruptedRunError("what it was written for was given up")

    with ThreadPoolExecutor(1, "pratique-beside") as pool:
        future = pool.submit(work, go_on)
        try:
            yield future.result
        finally:
            left.set()


def passed_on(items: Iterable[T], go_on: Callable[[], None]) -> Iterator[T]:
    """Pass items on until `go_on` raises."""
    for item in items:
        go_on()
        yield item
