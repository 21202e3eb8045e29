"""What every source promises of what it lands, as tests to inherit: for sources that a Python program makes.

Sources that a pipeline names inherit `SourceSuite`, which asks for all of this and more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from pratique.accounting import balance
from pratique.destinations import open_destination
from pratique.engines import open_engine
from pratique.errors import SourceError
from pratique.model import FileVersion, Landed, Position, Stamp, Target
from pratique.schema import Field, FieldType, Schema
from pratique.sources import ReadLimits, Source

Record = Mapping[str, Any]  # id: int, note: str | None, amount: Decimal | None, at: datetime | None

FIELDS: Final = {
    "id": FieldType("integer"),
    "note": FieldType("string"),
    "amount": FieldType("decimal", 18, 4),
    "at": FieldType("datetime"),
}
SCHEMA: Final = Schema(
    name="records",
    version=1,
    fields=tuple(Field(name, kind, required=name == "id") for name, kind in FIELDS.items()),
    primary_key=("id",),
)
EDGES: Final[tuple[Record, ...]] = tuple(
    {"id": number, "note": note, "amount": amount and Decimal(amount), "at": at and datetime.fromisoformat(at)}
    for number, note, amount, at in (
        (1, 'O\'Brien; "x", y', "0.0001", "2026-11-01T07:00:04.123456"),
        (9223372036854775807, "two\nlines, and a tab\t.", "99999999999999.9999", "9999-12-31T23:59:59.999999"),
        (-9223372036854775808, "𝄞é\u202e", "-99999999999999.9999", "1900-03-01T00:00:00"),
        (0, None, None, None),
        (4, " blanks at both ends ", "-0.5", "1999-12-31T23:59:59"),
        (5, "\\N", "1234567890.12", "2000-02-29T00:00:00.5"),
        (6, "0012", "12", "2026-01-02T03:04:05"),
        (7, "=1+1", "1.10", "2026-01-02T00:00:00"),
        (8, "back\\slash \\t", "3", "2026-01-02T00:00:00.000001"),
        (9, "null", "4.5", "2024-02-29T12:00:00"),
    )
)
_FAR: Final = 1 << 14  # above every limit that matters to a few records
_STAMP: Final = Stamp("records", "a" * 32, "b" * 32, datetime(2026, 1, 2, tzinfo=UTC))


def records(first: int, count: int) -> list[Record]:
    """So many plain records with ids from `first` on; a later one has a later `at`."""
    return [
        {
            "id": number,
            "note": f"note {number}",
            "amount": Decimal(number) / 4,
            "at": datetime(2026, 1, 1 + number // 86_400, number // 3600 % 24, number // 60 % 60, number % 60),  # noqa: DTZ001
        }
        for number in range(first, first + count)
    ]


def texts(record: Record) -> dict[str, str | None]:
    """A record as texts, for places that hold nothing else."""
    return {name: None if value is None else _text(value) for name, value in record.items()}


def _text(value: Any) -> str:
    return (
        value.isoformat(" ")
        if isinstance(value, datetime)
        else format(value, "f")
        if isinstance(value, Decimal)
        else str(value)
    )


class Place(Protocol):
    """Where a source reads from. It is empty at first, and at each further test."""

    limits: Sequence[str]  # names of `ReadLimits` that this source keeps

    def put(self, records: Sequence[Record]) -> None:
        """Make these records new there, beside those that are there; perhaps none."""
        ...

    def open(self, schema: Schema, limits: ReadLimits, workspace: Path) -> Source:
        """Make a new source over the place, as another process would."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of an input: its records as an engine reads them, or why it was refused."""

    rows: list[Record]
    refusal: str = ""


def staged_rows(landed: Landed, folder: Path, limits: ReadLimits) -> Outcome:
    """The records of a landed input as a real engine reads them; held ones are the refusal."""
    engine = open_engine(folder, record_bytes_max=limits.record_bytes_max)
    lookup = open_destination("duckdb", folder / "nothing.duckdb").lookup()
    target = Target("records", key=("id",), lineage=())
    with closing(engine.stage(landed, SCHEMA, target, _STAMP, lookup)) as staged:
        balance(landed, staged.tally)
        held = [f"{failure.rule}: {failure.message}" for item in staged.quarantined() for failure in item.failures]
        rows: list[Record] = [dict(row) for batch in staged.good().batches() for row in batch.to_pylist()]
        return Outcome(rows, "; ".join(held))


def after(landed: Landed, since: Position) -> Position:
    """Where the source stands once this input is committed."""
    versions = tuple(file.version for file in landed.files)
    return Position((*since.known, *versions), versions, landed.cursor or since.cursor)


def by_id(rows: Sequence[Record]) -> list[Record]:
    """The rows in order of their ids."""
    return sorted(rows, key=lambda row: int(row["id"]))


class LandingSuite:
    """Promises of `Source`; every method is one. A subclass gives the fixture `place`: a `Place`."""

    # ruff: noqa: S101

    edges: Sequence[Record] = EDGES

    def test_landed_records_are_exact_and_once(self, place: Place, tmp_path: Path) -> None:
        """Values at the edges of their types arrive unchanged, each record once, and the source counts as many."""
        place.put(self.edges)
        landed, rows = self._loaded(place, tmp_path, Position())
        assert by_id(rows) == by_id(self.edges)
        assert sum(item.count for item in landed) == len(self.edges)

    def test_landing_again_is_the_same(self, place: Place, tmp_path: Path) -> None:
        """An unchanged source has an equal description, whoever asks: the same load has the same id."""
        place.put(self.edges)
        versions = [self._described(place, tmp_path / name) for name in ("one", "two")]
        assert versions[0] == versions[1]
        assert all(version.sha256 and version.name for version in versions[0])

    def test_known_input_is_not_landed_again(self, place: Place, tmp_path: Path) -> None:
        """After its load nothing is left to read, but for the record at the border of a cursor, which its key tells."""
        place.put(records(1, 20))
        landed, _ = self._loaded(place, tmp_path, Position())
        since = Position()
        for item in landed:
            since = after(item, since)
        again = self._opened(place, tmp_path).land(since)
        assert again.files == () or len(self._rows_of(again, tmp_path)) <= 1
        assert again.held == ()

    def test_new_records_are_landed(self, place: Place, tmp_path: Path) -> None:
        """What came after a load is read by the next one."""
        place.put(records(1, 20))
        since = Position()
        for item in self._loaded(place, tmp_path, since)[0]:
            since = after(item, since)
        place.put(records(21, 20))
        _, rows = self._loaded(place, tmp_path, since)
        assert {row["id"] for row in records(21, 20)} <= {row["id"] for row in rows}
        assert len(rows) == len({row["id"] for row in rows})

    def test_an_input_does_not_change_under_its_load(self, place: Place, tmp_path: Path) -> None:
        """What comes while an input is judged is not in it; a source that cannot keep it apart says so."""
        place.put(records(1, 20))
        source = self._opened(place, tmp_path)
        landed = source.land(Position())
        place.put(records(21, 20))
        try:
            rows = self._rows_of(landed, tmp_path)
            landed.verify()
        except SourceError as error:
            told = error.hint
        else:
            told = "it was kept apart" if by_id(rows) == records(1, 20) else ""
        assert told

    def test_held_records_come_back(self, place: Place, tmp_path: Path) -> None:
        """Any records are given back by their numbers, as they stand in the input."""
        place.put(records(1, 20))
        landed = self._opened(place, tmp_path).land(Position())
        for part in landed.parts:
            for file in part.files:
                numbers = [file.first_number, file.first_number + 1, file.first_number + file.records - 1]
                wanted = sorted({number for number in numbers if number < file.first_number + file.records})
                found = list(landed.reader.records(part, file, wanted))
                assert [record.number for record in found] == wanted
                assert len({str(record.values["note"]) for record in found}) == len(wanted)
                assert all(str(record.values["note"]) == f"note {record.values['id']}" for record in found)

    def test_each_limit_holds_on_both_sides(self, place: Place, tmp_path: Path) -> None:
        """At a limit every record is read; one below, the input is refused with the reason; nothing is cut."""
        place.put(records(1, 3))
        for name in place.limits:
            assert self._limited(place, tmp_path, name, _FAR).refusal == "", name
            refused, accepted = 0, _FAR
            while accepted - refused > 1:
                middle = (refused + accepted) // 2
                outcome = self._limited(place, tmp_path, name, middle)
                if outcome.refusal:
                    refused = middle
                else:
                    assert by_id(outcome.rows) == records(1, 3), f"{name}={middle}: records are missing"
                    accepted = middle
            assert refused >= 1, f"{name} limits nothing"
            told = self._limited(place, tmp_path, name, refused).refusal
            assert f"{refused:,}" in told or name in told, f"{name}: {told}"
            if name == "columns_max":
                assert accepted == len(FIELDS)

    def _limited(self, place: Place, folder: Path, name: str, limit: int) -> Outcome:
        less: dict[str, Any] = {name: limit}
        limits = replace(ReadLimits(), **less)
        try:
            landed = self._opened(place, folder, limits).land(Position())
            if landed.held:
                return Outcome([], "; ".join(f"{item.reason}; {item.hint}" for item in landed.held))
            return staged_rows(landed, _made(folder / "engine"), limits)
        except SourceError as error:
            return Outcome([], f"{error.message}; {error.hint}")

    @staticmethod
    def _opened(place: Place, folder: Path, limits: ReadLimits | None = None) -> Source:
        return place.open(SCHEMA, limits or ReadLimits(), Path(tempfile.mkdtemp("-workspace", dir=_made(folder))))

    def _described(self, place: Place, folder: Path) -> list[FileVersion]:
        return [file.version for file in self._opened(place, folder).land(Position()).files]

    @staticmethod
    def _rows_of(landed: Landed, folder: Path) -> list[Record]:
        outcome = staged_rows(landed, _made(folder / "engine"), ReadLimits())
        assert outcome.refusal == ""
        return outcome.rows

    def _loaded(self, place: Place, folder: Path, since: Position) -> tuple[list[Landed], list[Record]]:
        """Every load until nothing is left, and the rows of all of them."""
        source, loads = self._opened(place, folder), list[Landed]()
        rows: list[Record] = []
        for landed in _lands(source, since):
            loads.append(landed)
            rows += self._rows_of(landed, folder)
        return loads, rows


def _lands(source: Source, since: Position) -> Iterator[Landed]:
    while True:
        landed = source.land(since)
        assert landed.held == ()
        if landed.files:
            yield landed
            since = after(landed, since)
        if not landed.more:
            return


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
