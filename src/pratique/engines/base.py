"""What every engine promises: records of a landed input are read once, judged, and split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pratique.model import HeldRecord, Landed, Lookup, Rows, Stamp, Tally, Target
from pratique.schema import Schema


class Staged(Protocol):
    """A judged input; nothing of it is visible to anybody. Close it to free temporary disk."""

    tally: Tally

    def good(self) -> Rows:
        """The rows to load, in the schema's order of fields, then the target's lineage columns."""
        ...

    def quarantined(self) -> Iterator[HeldRecord]:
        """Every quarantined record once, by file and number ascending."""
        ...

    def close(self) -> None:
        """Free what judging took. Harmless when repeated."""
        ...


class Engine(Protocol):
    """Judges and splits. Holds no credentials and no state between two calls."""

    def stage(self, landed: Landed, schema: Schema, target: Target, stamp: Stamp, lookup: Lookup | None) -> Staged:
        """Read `landed` once, judge every record, show nothing to anybody."""
        ...
