"""JSON files: one array of objects, each of them a record, or one object; values as exact as in JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pratique.errors import SourceError
from pratique.model import ArrowForm, RawRecord
from pratique.schema import Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import expected
from pratique.sources.files.json_cut import Element, JsonText
from pratique.sources.files.jsonl import RecordParser
from pratique.sources.files.scan import Index
from pratique.sources.files.survey import Survey, text_batches


def survey_json(handle: int, path: Path, schema: Schema, limits: ReadLimits, keys: Sequence[str] = ()) -> Survey:
    """Hash, count and describe a JSON file. SourceError, with the byte offset, where its structure is broken.

    `keys` lead to the array of records.

    An element that is damaged inside, or no object, is one malformed record.
    """
    text, index, records = JsonText(handle, limits.record_bytes_max), Index(), 0
    for element in text.elements(keys):
        if records % index.stride == 0:
            index.offsets.append(element.offset)
            index.lines.append(element.line)
            index.thin()
        records += 1
    if text.blank:
        raise SourceError("it is empty", hint="ask the sender", facts={"sha256": text.sha256, "size": text.size})
    columns = expected(schema)
    parse = RecordParser(schema).parse

    def rows() -> Iterator[tuple[list[str | None], str | None]]:
        with path.open("rb", buffering=0) as file:
            for element in JsonText(file.fileno(), limits.record_bytes_max).elements(keys):
                values, problem = parse(element.text)
                yield [values.get(name) for name in columns], problem

    def records_of(numbers: Sequence[int]) -> Iterator[RawRecord]:
        with path.open("rb", buffering=0) as file:
            for number, element in _numbered(file.fileno(), numbers, index, records, limits):
                raw = element.text.decode("utf-8", "backslashreplace")
                yield RawRecord(number, element.line, raw, parse(element.text)[0], element.offset)

    form = ArrowForm(dict.fromkeys(columns, "VARCHAR"), lambda: text_batches(columns, rows()), malformed=True)
    return Survey(text.sha256, text.size, records, form, records_of)


def _numbered(
    handle: int, numbers: Sequence[int], index: Index, records: int, limits: ReadLimits
) -> Iterator[tuple[int, Element]]:
    """The elements with these numbers, ascending; only stretches of the file that hold one are read."""
    if numbers and not 1 <= numbers[0] <= numbers[-1] <= records:
        raise SourceError(
            f"there are {records:,} records, none of them is number {numbers[-1]:,}",
            hint="the file changed while it was read; run again when nothing writes it",
        )
    at, elements = 0, iter(tuple[Element]())  # of the element that was read last, and those behind it
    for number in numbers:
        block = (number - 1) // index.stride
        if at == 0 or block * index.stride > at:
            at = block * index.stride
            elements = JsonText(handle, limits.record_bytes_max, index.offsets[block], index.lines[block]).rest()
        while at < number:
            at, element = at + 1, next(elements)
        yield number, element
