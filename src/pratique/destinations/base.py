"""What every destination promises: rows and their marker become visible together, once, or not at all."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pratique.model import Lookup, Marker, Rows, Target, Written


class Load(Protocol):
    """One transaction in the destination. Leaving its context without `commit` leaves no trace."""

    def write(self, rows: Rows, target: Target) -> Written:
        """Write all good rows; nothing is visible yet."""
        ...

    def commit(self, marker: Marker, *beside: Marker) -> Marker:
        """Make rows and marker true in the same instant; return the marker as stored (time, sequence).

        `beside` are the markers of further tables that were written: true in this instant, of one time and sequence.

        If the load id is already committed, nothing is written and the stored marker is returned: the same load twice
        is once. An error at COMMIT asks for the marker before anything else.
        """
        ...


class Destination(Protocol):
    """Where good rows go."""

    name: str

    def paths(self) -> tuple[Path, ...]:
        """Local files and folders that an engine in this process must be allowed to touch for `write` and `lookup`."""
        ...

    def markers(self, pipeline: str) -> tuple[Marker, ...]:
        """Every committed marker of this pipeline, oldest first; none if the destination does not exist yet."""
        ...

    def lookup(self) -> Lookup:
        """Access to rows that are already there; opened only while it is used."""
        ...

    def begin(self, load_id: str, judged_against: Lookup | None = None) -> AbstractContextManager[Load]:
        """Open the transaction of one load.

        If rows were judged against this destination through `judged_against` and another load has committed since,
        `write` raises DestinationMovedError (retryable): the verdicts may be stale.
        """
        ...
