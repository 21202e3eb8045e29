"""Records that a program of the project's owner gives, as a source: landed, fingerprinted, counted like any other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from pratique.databases import CursorSpan
from pratique.errors import SourceError
from pratique.inputs import PythonInput
from pratique.model import Disposition, FileVersion, HeldFile, Landed, LandedFile, Part, Position, RawRecord
from pratique.schema import Schema
from pratique.sources.base import SHOWN_RECORDS, Probe, ReadLimits
from pratique.sources.database.lines import Sink
from pratique.sources.files.jsonl import survey_jsonl
from pratique.sources.files.scratch import check_landed, scratch_file
from pratique.sources.files.survey import Survey, python_rows
from pratique.sources.python_object import Program, printing_apart

_Moment = int | Decimal | date | str


@dataclass(slots=True)
class PythonSource:
    """The records that a function or a class gives. The program is loaded by the first call that needs it."""

    name: str
    schema: Schema
    input: PythonInput
    disposition: Disposition = "append"
    limits: ReadLimits = field(default_factory=ReadLimits)
    workspace: Path = Path()
    _program: Program | None = field(default=None, init=False, repr=False)
    _landed: Path | None = field(default=None, init=False, repr=False)

    def probe(self) -> Probe:
        """Load the program, ask it if it has a `probe`, and take its first records."""
        try:
            with printing_apart():
                program = self._loaded()
                told = program.probe()
                start = self.input.cursor.start if self.input.cursor else None
                given = islice(self._records(program, start), SHOWN_RECORDS)
                records = tuple(json.loads(_line(record, place)) for record, place in given)
        except SourceError as error:
            return Probe.of(error, "permissions")
        return Probe(True, told or f"{self.input.name} gives records", records)

    def land(self, since: Position) -> Landed:
        """Write every record that it gives into a file of its own, and describe that.

        Raises SourceError, with the program's file and line, for what it raises and for what is no record; what may
        pass is tried again, from the beginning. What the newest load has read already is `skipped`.
        """
        if self._landed is not None:
            self._landed.unlink(missing_ok=True)
            self._landed = None
        with printing_apart():
            program = self._loaded()
            return self.limits.retries.of(lambda: self._land(program, since))

    def _loaded(self) -> Program:
        self._program = self._program or Program(self.input)
        return self._program

    def _land(self, program: Program, since: Position) -> Landed:
        name = self.input.name
        newest = _Newest(self.input, since.cursor, self.name)
        with scratch_file(self.workspace, "the records of a program cannot be landed") as file:
            sink = Sink(file, self.limits.unpacked_bytes_max)
            count = 0
            for record, place in self._records(program, newest.since):
                sink.write(_line(record, place) + b"\n")
                newest.see(record, place)
                count += 1
            version = FileVersion(name, sink.finish(), sink.size)
        known = next((item for item in reversed(since.known) if item.name == name), None)
        again = known is not None and known.sha256 == version.sha256
        if again or not count:
            file.path.unlink()
            kept = f"{self.name}: it gave no record; the table keeps its rows"
            notices = (kept,) if not count and self.disposition == "replace" else ()
            return Landed(self.name, (), _Reader(None), skipped=(version,) if again else (), notices=notices)
        self._landed = file.path
        survey = self._survey(file.path)
        if isinstance(survey, SourceError):
            held = HeldFile(version, survey.message, survey.hint)
            return Landed(self.name, (), _Reader(None), held=(held,))
        return Landed(
            self.name,
            (Part(survey.form, (LandedFile(file.path, version, survey.records),)),),
            _Reader(survey),
            supersedes=(name,) if known else (),
            verify=partial(check_landed, file.path, version.size),
            cursor=newest.span(),
        )

    def _survey(self, path: Path) -> Survey | SourceError:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return survey_jsonl(handle, path, self.schema, self.limits)
        except SourceError as error:
            return error
        finally:
            os.close(handle)

    def _records(self, program: Program, since: str | None) -> Iterator[tuple[dict[str, Any], str]]:
        """Every record with the place that gave it; pages and Arrow batches are taken apart."""
        for piece, place in program.records(since):
            for record in _taken_apart(piece):
                if not isinstance(record, dict) or not all(isinstance(key, str) for key in record):
                    raise SourceError(
                        f"{self.input.name} gave {type(record).__name__}, which is no record",
                        hint="yield dicts with texts as keys, lists of them, or Arrow tables and batches",
                        where=place,
                    )
                yield record, place


def _taken_apart(piece: Any) -> Sequence[Any]:
    if isinstance(piece, list | tuple):
        return piece
    return python_rows(piece) if hasattr(piece, "to_pylist") and hasattr(piece, "schema") else [piece]


def _line(record: dict[str, Any], place: str) -> bytes:
    """A record as JSON that gives every value back: numbers with all digits, moments in ISO form."""
    try:
        text = _WRITER.encode(record)
        try:
            return text.encode()
        except UnicodeEncodeError:  # half a character: it is judged, not lost
            return json.dumps(record, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SourceError(
            f"a record cannot be written: {error}",
            hint="give texts, numbers, booleans, dates, times, UUIDs, None, and dicts and lists of them",
            where=place,
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, UUID):
        return str(value)
    if hasattr(value, "item"):  # a scalar of numpy
        return value.item()
    raise TypeError(f"{type(value).__name__} is no value of a record")


_WRITER: Final = json.JSONEncoder(ensure_ascii=False, default=_plain)


@dataclass(frozen=True, slots=True)
class _Reader:
    survey: Survey | None

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records with these numbers, ascending, each once."""
        del part, file
        return self.survey.records_of(numbers) if self.survey else iter(())


class _Newest:
    """The greatest value of a cursor, and from which value on the program is asked."""

    def __init__(self, asked: PythonInput, before: CursorSpan | None, source: str) -> None:
        self._cursor = asked.cursor
        self._source = source
        self._kind = ""
        self._newest: _Moment | None = None
        self.since: str | None = None
        if self._cursor is None:
            return
        self.since = self._cursor.start
        if before is None or before.end is None:
            return
        if before.field != self._cursor.field:
            raise self._changed(f"is of {before.field}, the cursor is now {self._cursor.field}")
        self._kind, self._newest = before.type, _value(before.type, before.end)
        self.since = self._back(before.end)

    def _changed(self, what: str) -> SourceError:
        hint = "change it back, or begin anew: give the source another name, and its table too"
        return SourceError(f"the position of {self._source} {what}", hint=hint)

    def _back(self, end: str) -> str:
        """The last position less the look-back."""
        lookback = self._cursor.lookback if self._cursor else None
        if lookback is None:
            return end
        if lookback.seconds != (self._kind in {"datetime", "date"}) or self._kind == "text":
            raise SourceError(
                f"the look-back of {self._source} does not fit its cursor, which is a {self._kind}",
                hint="write a time (10m, 1h, 2d) for dates and moments, a whole number for numbers",
            )
        value: Any = self._newest
        return _text(value - (timedelta(seconds=lookback.amount) if lookback.seconds else lookback.amount))

    def see(self, record: dict[str, Any], place: str) -> None:
        """Note the value of a record."""
        if self._cursor is None or (value := record.get(self._cursor.field)) is None:
            return
        kind = _kind(value)
        try:
            if not kind or (self._kind and kind != self._kind):
                was = f"a {self._kind}, now {type(value).__name__}" if self._kind else type(value).__name__
                raise SourceError(
                    f"the cursor {self._cursor.field} of {self._source} is {was}",
                    hint="give whole numbers, Decimals, dates, datetimes or texts, and always of one kind",
                    where=place,
                )
            self._kind = kind
            self._newest = value if self._newest is None else max(self._newest, value)
        except TypeError as error:
            raise SourceError(
                f"the cursor {self._cursor.field} of {self._source} has moments with a time zone and without",
                hint="give all of them in one way",
                where=place,
            ) from error

    def span(self) -> CursorSpan | None:
        """What was read, for the marker of the load."""
        if self._cursor is None:
            return None
        end = None if self._newest is None else _text(self._newest)
        return CursorSpan(self._cursor.field, self._kind, self.since, end)


def _kind(value: Any) -> str:
    kinds = ((bool, ""), (int | Decimal, "number"), (datetime, "datetime"), (date, "date"), (str, "text"))
    return next((kind for types, kind in kinds if isinstance(value, types)), "")


def _text(value: _Moment) -> str:
    return (
        value.isoformat()
        if isinstance(value, date)
        else format(value, "f")
        if isinstance(value, Decimal)
        else str(value)
    )


def _value(kind: str, text: str) -> _Moment:
    makers: dict[str, Any] = {"number": Decimal, "datetime": datetime.fromisoformat, "date": date.fromisoformat}
    made: _Moment = makers.get(kind, str)(text)
    return made
