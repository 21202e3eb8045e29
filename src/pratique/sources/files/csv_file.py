"""CSV files: DuckDB reads what the scan found regular; Python's csv module reads the rest."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pratique.errors import SourceError
from pratique.model import ArrowForm, CsvForm, RawRecord
from pratique.schema import Dialect, Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import check_header, check_width, expected, one_character
from pratique.sources.files.scan import Layout, Scan, blocks, scan
from pratique.sources.files.survey import Survey, fingerprint, text_batches
from pratique.sources.files.text import TextReader, csv_options, malformed

_GLOB = frozenset("*?[{")


@dataclass(frozen=True, slots=True)
class _Head:
    columns: tuple[str, ...]
    rows: int  # header rows
    skip: int  # lines before the first record as DuckDB counts them: a line end inside quotes is none


def survey_csv(handle: int, path: Path, schema: Schema, dialect: Dialect, limits: ReadLimits) -> Survey:
    """Hash, count and describe a CSV file. SourceError if it does not fit, its hash in `facts` if known."""
    one_character(dialect)
    if os.fstat(handle).st_size == 0:
        raise SourceError(
            "it is empty", hint="not even a header: ask the sender", facts={"sha256": fingerprint(handle)[0]}
        )
    head = _head(path, dialect, limits)
    found = None
    if _plain(dialect, path):
        quote = ord(dialect.quote_char) if dialect.quote_char else None
        found = scan(handle, Layout(quote, ord(dialect.delimiter), utf8=True, record_bytes_max=limits.record_bytes_max))
    sha256, size = (found.sha256, found.size) if found else fingerprint(handle)
    try:
        check_header(schema, head.columns, limits.columns_max, by_name=dialect.header)
    except SourceError as error:
        raise SourceError(error.message, hint=error.hint, facts={"sha256": sha256, "size": size}) from error
    columns = head.columns if dialect.header else expected(schema)
    if found is None or found.irregular:
        return _survey_text(path, columns, head, dialect, limits, (sha256, size))
    form = CsvForm(columns, dialect.delimiter, dialect.quote_char, skip=head.skip, multiline=found.multiline)
    return Survey(
        sha256=sha256,
        size=size,
        records=found.records - head.rows,
        form=form,
        records_of=lambda numbers: _indexed(path, form, found, dialect, numbers),
        first_number=head.rows + 1,
        blank_lines=found.blank_lines,
    )


def _plain(dialect: Dialect, path: Path) -> bool:
    """Whether DuckDB reads this dialect, at this path, exactly as declared.

    It strips comments out of the middle of values, knows no footer, refuses some bytes of Latin-1, takes a path with
    `[1]` for a pattern that names another file, and a suffix for a packing.
    """
    marks = dialect.delimiter + (dialect.quote_char or "")
    name = str(path)
    return (
        dialect.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
        and dialect.comment_char is None
        and dialect.footer is None
        and dialect.escape_char in (None, dialect.quote_char)
        and marks.isascii()
        and not _GLOB & set(name)
        and path.suffix not in (".gz", ".zst")
        and name.isprintable()
    )


def _head(path: Path, dialect: Dialect, limits: ReadLimits) -> _Head:
    reader = TextReader(path, dialect, limits.record_bytes_max)
    rows = max(dialect.header_rows, 1) if dialect.header else 0
    first = list(islice(reader, rows or 1))
    if not first:
        raise SourceError("it holds no record", hint="nothing but blank lines")
    if len(first) < rows:
        raise SourceError(
            f"it has {len(first)} lines, but {rows} header rows are declared", hint="see dialect.headerRows"
        )
    names = tuple(first[-1].fields)
    check_width(names, limits.columns_max)
    return _Head(names, rows, rows + reader.blank_lines if rows else 0)


def _indexed(path: Path, form: CsvForm, found: Scan, dialect: Dialect, numbers: Sequence[int]) -> Iterator[RawRecord]:
    """Give back records out of the blocks of the sparse index: only blocks that hold one are read."""
    quote = form.quote.encode() if form.quote and found.multiline else b""
    places, texts = itertools.tee(_places(path, found, quote, numbers))
    parsed = csv.reader((raw for _, _, raw in texts), **csv_options(dialect))
    for (number, line, raw), values in zip(places, parsed, strict=True):
        yield RawRecord(number, line, raw, dict(zip(form.columns, values, strict=False)))


def _places(path: Path, found: Scan, quote: bytes, numbers: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    """(number, physical line, text) of each record asked for."""
    one_line_each = not quote and not found.blank_lines
    with path.open("rb", buffering=0) as file:
        for wanted, first, data, line in blocks(file.fileno(), found, numbers):
            if one_line_each:
                lines = data.split(b"\n", wanted[-1] - first + 1)
                records = [(line + number - first, lines[number - first]) for number in wanted]
            else:
                split = list(_split(data, line, quote))
                records = [split[number - first] for number in wanted]
            for number, (at, raw) in zip(wanted, records, strict=True):
                yield number, at, raw.decode().removesuffix("\r")


def _split(data: bytes, line: int, quote: bytes) -> Iterator[tuple[int, bytes]]:
    """(physical line, bytes) of every record in a block, which begins with one; blank lines are none."""
    begun, held, odd = line, bytearray(), 0
    for number, piece in enumerate(data.split(b"\n"), line + 1):
        held += piece
        odd ^= piece.count(quote) & 1 if quote else 0
        if odd:
            held += b"\n"
            continue
        if bytes(held[:2]) not in {b"", b"\r"}:
            yield begun, bytes(held)
        begun = number
        held.clear()


def _survey_text(
    path: Path, columns: tuple[str, ...], head: _Head, dialect: Dialect, limits: ReadLimits, identity: tuple[str, int]
) -> Survey:
    def rows() -> Iterator[tuple[list[str | None], str | None]]:
        for record in islice(TextReader(path, dialect, limits.record_bytes_max), head.rows, None):
            yield list(record.fields), malformed(record.fields, len(columns))

    def records_of(numbers: Sequence[int]) -> Iterator[RawRecord]:
        wanted = iter(numbers)
        number = next(wanted, None)
        for record in TextReader(path, dialect, limits.record_bytes_max):
            if number is None:
                return
            if record.ordinal == number:
                values = dict(zip(columns, record.fields, strict=False))
                yield RawRecord(number, record.line, record.raw, values)
                number = next(wanted, None)
        if number is not None:
            raise SourceError(f"{path.name} has no record {number}")

    counter = TextReader(path, dialect, limits.record_bytes_max)
    count = sum(1 for _ in counter) - head.rows
    form = ArrowForm(dict.fromkeys(columns, "VARCHAR"), _batches(columns, rows), malformed=True)
    return Survey(*identity, count, form, records_of, head.rows + 1, counter.blank_lines)


def _batches(columns: Sequence[str], rows: Any) -> Any:
    return lambda: text_batches(columns, rows())
