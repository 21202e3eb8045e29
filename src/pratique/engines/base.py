"""What every engine promises: records of a landed input are read once, judged, and split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pratique.model import HeldRecord, Landed, Lookup, Rows, Stamp, Tally, Target
from pratique.nesting import Unit
from pratique.schema import Schema


@dataclass(frozen=True, slots=True)
class TableInput:
    """What goes into one table: its records, what they are judged by, where the good ones go, whose they are."""

    landed: Landed
    schema: Schema
    target: Target
    stamp: Stamp


class Split(Protocol):
    """A judged input, split into what is loaded and what is held; nothing of it is visible to anybody."""

    tally: Tally

    def good(self) -> Rows:
        """The rows to load, in the schema's order of fields, then the target's lineage columns."""
        ...

    def quarantined(self) -> Iterator[HeldRecord]:
        """Every quarantined record once, by file and number ascending."""
        ...


class Staged(Split, Protocol):
    """A judged input of an engine. Close it to free temporary disk."""

    def close(self) -> None:
        """Free what judging took. Harmless when repeated."""
        ...


class Engine(Protocol):
    """Judges and splits. Holds no credentials and no state between two calls."""

    def stage(self, landed: Landed, schema: Schema, target: Target, stamp: Stamp, lookup: Lookup | None) -> Staged:
        """Read `landed` once, judge every record, show nothing to anybody."""
        ...

    def stage_nested(self, tables: Sequence[TableInput], unit: Unit, lookup: Lookup | None) -> tuple[Staged, ...]:
        """Judge documents, the first of `tables`, and the records that stand in them, each read once.

        A record is good only if its document is; under `document`, a document only if all of its records are.
        """
        ...
