"""The records that stand in arrays of JSON documents, as an input of their own beside that of the documents.

Whatever gives its documents back as text can be taken apart: JSON files, JSON Lines, the pages of an API.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pratique.model import ArrowForm, Landed, LandedFile, Part, RawRecord
from pratique.nesting import DOCUMENT, Nest, array_in
from pratique.schema import Schema
from pratique.sources.files.header import expected
from pratique.sources.files.jsonl import RecordParser, refuse_depth, strict_decoder
from pratique.sources.files.survey import text_batches

# Limit: documents that are asked of the source's reader at a time, and documents or records between two entries of the
# index.
_DOCUMENTS: Final = 4096
_BLANK: Final = re.compile(r"[ \t\r\n]*")


def nested(landed: Landed, nest: Nest, schema: Schema) -> Landed:
    """The records that `nest` names in the documents of `landed`, by this schema: counted, nothing kept in memory.

    They are counted by parsing each document; they are read by cutting its text, which takes no digit on a detour. A
    document that is no sound JSON object, or has no array there, holds none: it is held itself.
    """
    parts, first = [], 0
    places: dict[str, _Place] = {}
    cutter = _Cutter(landed, nest, schema)
    for part in landed.parts:
        files = []
        for file in part.files:
            place = _Place(part, file, first)
            records = place.survey(cutter)
            first += file.records
            files.append(replace(file, records=records, first_number=1, blank_lines=0))
            places[file.version.name] = place
        parts.append(Part(cutter.form(part, [places[file.version.name] for file in files]), tuple(files)))
    return Landed(
        landed.source, tuple(parts), _Reader(cutter, places), supersedes=landed.supersedes, verify=landed.verify
    )


@dataclass(slots=True)
class _Place:
    """One file of documents: the place of its first one in the load, and how many records stand before others."""

    part: Part
    file: LandedFile
    first: int
    indexed: array[int] = field(default_factory=lambda: array("q"))  # documents, counted from 0, and …
    before: array[int] = field(default_factory=lambda: array("q"))  # … how many records stand before each of them

    def survey(self, cutter: _Cutter) -> int:
        """Count the records, by a parser of whole documents."""
        records = 0
        for at, document in enumerate(cutter.documents(self)):
            if not at or at - self.indexed[-1] >= _DOCUMENTS or records - self.before[-1] >= _DOCUMENTS:
                self.indexed.append(at)
                self.before.append(records)
            records += cutter.counted(document.raw or "")
        return records

    def block(self, number: int) -> int:
        """The entry of the index from which on the record of this number, from 1, is found."""
        return bisect_right(self.before, number - 1) - 1


@dataclass(slots=True)
class _Cutter:
    """Cuts documents into the text of their records, and those into values."""

    landed: Landed
    nest: Nest
    schema: Schema
    columns: tuple[str, ...] = field(init=False)
    _parser: RecordParser = field(init=False)
    _decoder: json.JSONDecoder = field(init=False)

    def __post_init__(self) -> None:
        self.columns = expected(self.schema)
        self._parser = RecordParser(self.schema, nested=True)
        self._decoder = strict_decoder()

    def documents(self, place: _Place, skip: int = 0) -> Iterator[RawRecord]:
        """The documents of a file, in order, from one on."""
        first = place.file.first_number
        for at in range(skip, place.file.records, _DOCUMENTS):
            numbers = range(first + at, first + min(at + _DOCUMENTS, place.file.records))
            yield from self.landed.reader.records(place.part, place.file, numbers)

    def form(self, part: Part, places: Sequence[_Place]) -> ArrowForm:
        """What an engine reads of files: their records with the place of each one's document.

        What stood in the path of a document, as an API has it, stands in that of its records.
        """
        captures = part.form.captures if isinstance(part.form, ArrowForm) else {}
        columns = (*self.columns, *captures.values(), DOCUMENT)

        def rows() -> Iterator[tuple[list[str | None], str | None]]:
            for place in places:
                for at, document in enumerate(self.documents(place), place.first):
                    path = [document.values.get(column) for column in captures.values()]
                    for _, values, problem in self.records(document):
                        yield [*(values.get(name) for name in self.columns), *path, str(at)], problem

        types = dict.fromkeys(columns, "VARCHAR")
        return ArrowForm(types, lambda: text_batches(columns, rows()), malformed=True, captures=captures)

    def counted(self, text: str) -> int:
        """How many records a document holds."""
        try:
            refuse_depth(text)
            return len(array_in(self._decoder.decode(text), self.nest.keys))
        except ValueError:
            return 0

    def records(self, document: RawRecord) -> Iterator[tuple[tuple[int, int], dict[str, str | None], str | None]]:
        """Yield where each record stands in the text of the document, its values, and why it has none."""
        for number, span in enumerate(self.spans(document), 1):
            values, problem = self.values(document, number, span)
            yield span, values, problem

    def spans(self, document: RawRecord) -> list[tuple[int, int]]:
        """Where the records stand in the text of the document; nowhere if it is no sound one."""
        text = document.raw or ""
        try:
            refuse_depth(text)
            return list(self._spans(text))
        except ValueError:
            return []

    def values(
        self, document: RawRecord, number: int, span: tuple[int, int]
    ) -> tuple[dict[str, str | None], str | None]:
        """The values of the record that stands there, the document's so many'th from 1, and why it has none."""
        text = (document.raw or "")[slice(*span)]
        values, problem = self._parser.parse(text.encode("utf-8", "surrogatepass"))
        more = {**self._given(document), **dict.fromkeys(self.nest.positions, str(number))}
        twice = sorted(more.keys() & values.keys())
        if twice:
            values, problem = {}, f"the field {twice[0]!r} is added, and stands there, too"
        return values if problem else {**values, **more}, problem

    def _given(self, document: RawRecord) -> dict[str, str | None]:
        """What the records of a document take over from it."""
        return {column: document.values.get(name) for column, name in self.nest.parents.items()}

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where each element of the array begins and ends. ValueError if the text is no document."""
        at = _skip(text, 0)
        self._decoder.decode(text)  # the whole of it: what is behind the array counts, too
        for key in self.nest.keys:
            found = self._member(text, at, key)
            if found is None:
                return
            at = found
        if text[at] != "[":
            return
        at = _skip(text, at + 1)
        while text[at] != "]":
            _, end = self._scan(text, at)
            yield at, end
            at = _skip(text, end)
            if text[at] == ",":
                at = _skip(text, at + 1)

    def _member(self, text: str, at: int, wanted: str) -> int | None:
        """Where the value of a key begins, in the sound object at a place; None if there is none, or no object."""
        if text[at] != "{":
            return None
        at = _skip(text, at + 1)
        while text[at] != "}":
            key, at = self._scan(text, at)
            at = _skip(text, _skip(text, at) + 1)
            if key == wanted:
                return at
            at = _skip(text, self._scan(text, at)[1])
            if text[at] == ",":
                at = _skip(text, at + 1)
        return None

    def _scan(self, text: str, at: int) -> tuple[Any, int]:
        found: tuple[Any, int] = self._decoder.raw_decode(text, at)
        return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Gives records back as they stand in the text of their documents."""

    cutter: _Cutter
    places: dict[str, _Place]  # by the file's name

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records with these numbers, ascending, each once."""
        del part
        place = self.places[file.version.name]
        at = 0
        while at < len(numbers):
            block = place.block(numbers[at])
            number = place.before[block]
            for document in self.cutter.documents(place, place.indexed[block]):
                spans = self.cutter.spans(document)
                end = bisect_right(numbers, number + len(spans), at)
                yield from self._of(document, spans, number, numbers[at:end])
                at, number = end, number + len(spans)
                if at == len(numbers) or place.block(numbers[at]) > place.block(number + 1) + 1:
                    break
            else:
                return  # the documents end before: who asked misses a record, and says so

    def _of(
        self, document: RawRecord, spans: Sequence[tuple[int, int]], before: int, numbers: Sequence[int]
    ) -> Iterator[RawRecord]:
        """The records of one document; its text is gone through once, however many they are."""
        text = document.raw or ""
        line, offset, at = document.line, document.offset, 0
        for number in numbers:
            span = spans[number - before - 1]
            passed, at = text[at : span[0]], span[0]
            if line is not None and not document.sheet:
                line += passed.count("\n")
            if offset is not None:
                offset += len(passed.encode("utf-8", "surrogatepass"))
            values, _ = self.cutter.values(document, number - before, span)
            yield RawRecord(number, line, text[slice(*span)], values, offset, document.sheet)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
