"""How far the work at hand has come: set by whoever does it, read by whoever shows it, from any thread.

One process works at one thing at a time as far as people watch it. Two runs in threads of one process would show each
other's figures; nothing but a display reads them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Amount:
    """What is done of what there is to do; `total` is 0 where nobody knows it."""

    unit: Literal["bytes", "rows"]
    done: int
    total: int


class Gauge:
    """Holds where to read the amount of the work at hand."""

    def __init__(self) -> None:
        self._read: Callable[[], Amount | None] = _nothing
        self.position = 0  # of the file that is being read

    def read(self) -> Amount | None:
        """Give the amount as it is now; None if nothing is measured. Never raises."""
        with contextlib.suppress(Exception):  # what is measured may end at any moment, in another thread
            return self._read()
        return None

    @contextlib.contextmanager
    def measuring(self, read: Callable[[], Amount | None]) -> Iterator[None]:
        """While the block runs, `read` gives the amount."""
        before, self._read, self.position = self._read, read, 0
        try:
            yield
        finally:
            self._read = before

    def statement(self, rows: int, percentage: Callable[[], float]) -> contextlib.AbstractContextManager[None]:
        """While a database works at a statement over so many rows, its `percentage` (-1: unknown) gives the amount."""

        def read() -> Amount | None:
            done = percentage()
            return Amount("rows", int(rows * done / 100), rows) if done > 0 else None

        return self.measuring(read)


def _nothing() -> Amount | None:
    return None


gauge = Gauge()
