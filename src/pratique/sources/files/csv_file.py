"""CSV files: DuckDB reads what the scan found regular; Python's csv module reads the rest."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from pratique.errors import SourceError
from pratique.model import ArrowForm, CsvForm, RawRecord
from pratique.schema import Dialect, Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import check_header, check_width, expected, one_character
from pratique.sources.files.scan import Layout, Scan, scan
from pratique.sources.files.survey import Survey, fingerprint, text_batches
from pratique.sources.files.text import TextReader, csv_options, malformed

_GLOB = frozenset("*?[{")


@dataclass(frozen=True, slots=True)
class _Head:
    columns: tuple[str, ...]
    rows: int  # header rows
    skip: int  # lines before the first record as DuckDB counts them: a line end inside quotes is none


def survey_csv(handle: int, path: Path, schema: Schema, dialect: Dialect, limits: ReadLimits) -> Survey:
    """Hash, count and describe a CSV file. SourceError if it does not fit, with its hash in `facts` where it is known."""
    one_character(dialect)
    if os.fstat(handle).st_size == 0:
        raise SourceError(
            "it is empty", hint="not even a header: ask the sender", facts={"sha256": fingerprint(handle)[0]}
        )
    head = _head(path, schema, dialect, limits)
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

    It strips comments out of the middle of values, knows no footer, refuses some bytes of Latin-1, and takes a path
    with `[1]` for a pattern that names another file.
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
        and name.isprintable()
    )


def _head(path: Path, schema: Schema, dialect: Dialect, limits: ReadLimits) -> _Head:
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
    index, options = found.index, csv_options(dialect)
    quote = b"" if form.quote is None or not found.multiline else form.quote.encode()
    with path.open("rb", buffering=0) as file:
        for block, group in groupby(numbers, key=lambda number: (number - 1) // index.stride):
            if not 0 <= block < len(index.offsets):
                raise SourceError(f"{path.name} has no record {next(group)}")
            begin = index.offsets[block]
            end = index.offsets[block + 1] if block + 1 < len(index.offsets) else found.size
            wanted = list(group)
            data = os.pread(file.fileno(), end - begin, begin)
            places = _places(data, quote, index.lines[block])
            raws = [(number, *places[(number - 1) % index.stride]) for number in wanted]
            texts = [raw for _, _, raw in raws]
            for (number, line, raw), values in zip(raws, csv.reader(texts, **options), strict=True):
                yield RawRecord(number, line, raw, dict(zip(form.columns, values, strict=False)))


def _places(data: bytes, quote: bytes, line: int) -> list[tuple[int, str]]:
    """(physical line, text) of every record in a block that begins with a record."""
    lines = data.split(b"\n")
    places: list[tuple[int, str]] = []
    held: list[bytes] = []
    odd = 0
    for number, piece in enumerate(lines, line):
        if quote:
            odd ^= piece.count(quote) & 1
            if odd or held:
                held.append(piece)
                if odd:
                    continue
                piece, held = b"\n".join(held), []  # noqa: PLW2901 - the whole record stands for its last line
        if piece not in (b"", b"\r"):
            text = piece.decode()
            places.append((number - piece.count(b"\n"), text.removesuffix("\r")))
    return places


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
