"""Records that an increment reads again and that an earlier load holds: they are known, and are not held once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pratique import accounting
from pratique.engines.base import Split
from pratique.errors import StateError
from pratique.ingestion.positions import growing
from pratique.model import HeldRecord, Landed, Marker, Rows, Stamp, Tally
from pratique.planning import SourcePlan
from pratique.quarantine import Quarantine, fingerprint, held_records

# Limit: held records of one load that are looked for in earlier ones; where there are more, all are held again.
_HELD_MAX: Final = 100_000

Place = tuple[int, int]  # of a record: the index of its file, its number there


@dataclass(slots=True)
class Anew:
    """A judged input without the held records that are known."""

    staged: Split
    known: frozenset[Place]
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        again = (record for record in self.staged.quarantined() if (record.file, record.number) in self.known)
        self.tally = accounting.without(self.staged.tally, again)

    def good(self) -> Rows:
        """The rows to load."""
        return self.staged.good()

    def quarantined(self) -> Iterator[HeldRecord]:
        """Every quarantined record that no earlier load holds."""
        return (record for record in self.staged.quarantined() if (record.file, record.number) not in self.known)


def without_known(
    staged: Split,
    landed: Landed,
    plan: SourcePlan,
    stamp: Stamp,
    markers: Sequence[Marker],
    quarantine: Quarantine,
) -> tuple[Split, str]:
    """The judged input without records that earlier loads of its source hold, text for text; and what to tell people.

    Asked of rows with a key that were read by a cursor only: there the same text is the same row. Each record that is
    held before makes one known; it is there to be read, in a segment that has the hash which its marker names.
    """
    before = growing(markers, plan)
    if not (landed.cursor and plan.schema.primary_key and before and 0 < staged.tally.quarantined <= _HELD_MAX):
        return staged, ""
    lines = held_records(
        landed,
        staged.quarantined(),
        pipeline="",
        table=plan.table,
        schema=plan.schema,
        stamp=stamp,
        attempt=0,
    )
    places = defaultdict[bytes, list[Place]](list)
    for record, line in zip(staged.quarantined(), lines, strict=True):
        places[fingerprint(line)].append((record.file, record.number))
    try:
        known = frozenset(_known(places, before, quarantine))
    except StateError as error:
        return staged, f"{plan.name}: records that were held before may be held again: {error.message}"
    return (Anew(staged, known), "") if known else (staged, "")


def _known(places: dict[bytes, list[Place]], before: Sequence[Marker], quarantine: Quarantine) -> Iterator[Place]:
    """The places of records that earlier loads hold.

    What is read again was read by the newest load too: that one holds it, or knew it, or so did the one before it.
    """
    left, knew = [*before], 1
    while left and knew:
        marker = left.pop()
        for record in quarantine.of(marker):
            if found := places.get(fingerprint(record)):
                yield found.pop(0)
        knew = marker.account.skipped.get("held before", 0)
