"""Where the header of a text stands, by the names of the schema, and which delimiter it is written with."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pratique.errors import InternalError, SourceError
from pratique.schema import Dialect, Schema
from pratique.schema.binding import bind
from pratique.sources.base import ReadLimits
from pratique.sources.files.cutter import Cut, Cutter, end_of
from pratique.sources.files.grammar import csv_options, grammar
from pratique.sources.files.header import check_header, expected
from pratique.sources.files.text import Text

# Limit: physical lines from the top of a text in which its header is looked for.
HEADER_LINES_MAX: Final = 50
_OTHERS: Final = (";", "\t", "|")
_CHUNK_BYTES: Final = 64 << 10
_BROKEN_HINT: Final = "check dialect.encoding, dialect.delimiter and dialect.quoteChar"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the first record, and how to read on from there.

    `skip`: lines to pass over for a reader that counts a record for one line (None: there is more than a header).
    `notices`: what people should know of how the header was found.
    """

    columns: tuple[str, ...]
    dialect: Dialect
    carriage: bool = False
    rows: int = 0  # header rows
    offset: int = 0  # byte offset of the first record
    line: int = 1  # its physical line
    skip: int | None = 0
    header: bytes = b""  # text of the last header row, without line end
    end: bytes = b""  # its line end
    notices: tuple[str, ...] = ()

    @property
    def first_number(self) -> int:
        """The number of the first record: header rows are counted, and below other text the lines that stand there."""
        return self.rows + 1 if self.skip is not None else self.line


def find_head(text: Text, schema: Schema, dialect: Dialect, limits: ReadLimits) -> Head:
    """Find the header, or take the schema's names where there is none; SourceError if nothing fits the schema.

    Where the first rows are no header of the schema, it is looked for below them; where the schema declares no
    delimiter, with others. What was found in either way stands in `notices`. Two ways that fit are one too many.
    """
    carriage = by_carriage_return(text, limits)
    first = replace(dialect, delimiter=dialect.delimiter or ",")
    top = _top(text, first, limits, carriage)
    if not dialect.header:
        for sound in [cut for cut in top if cut.problem is None][:1]:
            check_header(schema, names_of(text, sound, first), limits.columns_max, by_name=False)
        return Head(expected(schema), first, carriage, offset=text.begin)
    found = _fitting(text, top, schema, first, limits)
    if found is None and dialect.delimiter is None:
        tried = [replace(dialect, delimiter=mark) for mark in _OTHERS]
        others = [_fitting(text, _top(text, other, limits, carriage), schema, other, limits) for other in tried]
        fitting = [head for head in others if head is not None]
        if len(fitting) > 1:
            raise SourceError("its header fits with more than one delimiter", hint="declare dialect.delimiter")
        found = fitting[0] if fitting else None
    if found is None:
        _refuse_broken(top[: dialect.header_rows], dialect)
        names = names_of(text, top[dialect.header_rows - 1], first)
        check_header(schema, names, limits.columns_max)
        raise InternalError(
            f"no header of the schema {schema.name} was found, and nothing is wrong with the first line"
        )
    mark = found.dialect.delimiter
    told = () if mark == first.delimiter else (f"its fields are separated by {mark!r}: only so its header fits",)
    return replace(found, carriage=carriage, notices=(*told, *found.notices))


def top_head(text: Text, dialect: Dialect, limits: ReadLimits) -> Head:
    """Take the rows at the top for the header, whatever they say."""
    carriage = by_carriage_return(text, limits)
    first = replace(dialect, delimiter=dialect.delimiter or ",")
    rows = _top(text, first, limits, carriage)[: dialect.header_rows]
    _refuse_broken(rows, dialect)
    return replace(_head(names_of(text, rows[-1], first), rows, first, above=False), carriage=carriage)


def _refuse_broken(rows: Sequence[Cut], dialect: Dialect) -> None:
    """Raise SourceError if header rows are too few, or the one that names the columns cannot be read."""
    if len(rows) < dialect.header_rows:
        raise SourceError(
            f"it has {len(rows)} lines, but {dialect.header_rows} header rows are declared",
            hint="see dialect.headerRows",
        )
    last = rows[-1]
    if last.problem:
        raise SourceError(f"its header in line {last.line} cannot be read: {last.problem}", hint=_BROKEN_HINT)


def by_carriage_return(text: Text, limits: ReadLimits) -> bool:
    """Whether the first line ends with a carriage return that no line feed follows."""
    offset = text.begin
    for chunk in text.chunks():
        if found := re.search(rb"[\r\n]", chunk):
            end = next(text.chunks(offset + found.start(), 2))
            return end.startswith(b"\r") and end != b"\r\n"
        offset += len(chunk)
        if offset > limits.record_bytes_max:
            break
    return False


def _top(text: Text, dialect: Dialect, limits: ReadLimits, carriage: bool) -> list[Cut]:  # noqa: FBT001
    """The records at the top of a text: the header rows, and what begins in the lines in which a header may stand."""
    whole = grammar(dialect, None, carriage=carriage)
    chunks = text.chunks(size=_CHUNK_BYTES)
    cutter = Cutter(chunks, whole, limits.record_bytes_max, encoding=text.encoding, offset=text.begin)
    made: list[Cut] = []
    for cut in cutter:
        if cut.line > HEADER_LINES_MAX and len(made) >= dialect.header_rows:
            break
        made.append(cut)
    if not made:
        raise SourceError("it holds no record", hint="nothing but blank lines")
    return made


def _fitting(text: Text, top: Sequence[Cut], schema: Schema, dialect: Dialect, limits: ReadLimits) -> Head | None:
    """The first rows that are a header of the schema, or None."""
    rows = dialect.header_rows
    for end in range(rows - 1, len(top)):
        if any(cut.problem for cut in top[end - rows + 1 : end + 1]):
            continue
        names = names_of(text, top[end], dialect)
        if fits(schema, names, limits, anywhere=end >= rows):
            return _head(names, top[end - rows + 1 : end + 1], dialect, above=end >= rows)
    return None


def fits(schema: Schema, names: Sequence[str], limits: ReadLimits, *, anywhere: bool) -> bool:
    """Whether names are a header of the schema; one that has none of its fields can stand at the top only."""
    try:
        check_header(schema, names, limits.columns_max)
    except SourceError:
        return False
    return not anywhere or bool(bind(schema, names).columns)


def _head(names: tuple[str, ...], rows: Sequence[Cut], dialect: Dialect, *, above: bool) -> Head:
    last = rows[-1]
    text = last.data.removesuffix(end_of(last.data))
    lines = [len(re.findall(rb"\r\n|\r|\n", row.data)) for row in rows]
    line = last.line + lines[-1]
    skipped = rows[0].line - 1
    return Head(
        columns=names,
        dialect=dialect,
        rows=len(rows),
        offset=last.offset + len(last.data),
        line=line,
        skip=None if above else line - 1 - sum(lines) + len(rows),
        end=end_of(last.data),
        header=b"" if b"\n" in text or b"\r" in text else text,
        notices=(f"its header stands in line {rows[0].line}: the {skipped} lines above it are left out",)
        if above
        else (),
    )


def names_of(text: Text, cut: Cut, dialect: Dialect) -> tuple[str, ...]:
    """The fields of a record whose quotes are in order."""
    line = text.decode(cut.data.removesuffix(end_of(cut.data)))
    return tuple(next(csv.reader([line], **csv_options(dialect))))
