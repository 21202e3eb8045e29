"""CSV files: DuckDB reads a regular file as it is, and a fair copy of any other."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.model import CsvForm, RawRecord
from pratique.schema import Dialect, Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.fair_copy import BROKEN, ENCODED, Records
from pratique.sources.files.grammar import csv_options, grammar, is_usual
from pratique.sources.files.head import Head, find_head
from pratique.sources.files.header import one_character
from pratique.sources.files.scan import Layout, Scan, blocks, scan
from pratique.sources.files.scratch import Scratch, scratch_file
from pratique.sources.files.survey import Survey, fingerprint
from pratique.sources.files.text import Text, read_chunks, utf8_text

_GLOB: Final = frozenset("*?[{")
# Limit: below this size a look at every record is faster than importing numpy (0.1 s once per process).
_LARGE_BYTES: Final = 1 << 20
_TOP_BYTES: Final = 64 << 10


def survey_csv(
    handle: int, path: Path, schema: Schema, dialect: Dialect, limits: ReadLimits, workspace: Path
) -> Survey:
    """Hash, count and describe a CSV file. SourceError if it does not fit, its hash in `facts` if known."""
    one_character(dialect)
    csv.field_size_limit(max(csv.field_size_limit(), limits.record_bytes_max))
    if os.fstat(handle).st_size == 0:
        raise SourceError(
            "it is empty", hint="not even a header: ask the sender", facts={"sha256": fingerprint(handle)[0]}
        )
    text = utf8_text(handle, path, dialect.encoding, workspace)
    try:
        return _Csv(handle, text, find_head(text, schema, dialect, limits), limits, workspace).survey()
    except BaseException as error:
        if text.copied:
            text.path.unlink()
        if isinstance(error, SourceError) and "line" not in error.facts:  # else the file may be endless
            sha256, size = fingerprint(handle)
            raise SourceError(error.message, hint=error.hint, facts={"sha256": sha256, "size": size}) from error
        raise


@dataclass(frozen=True, slots=True)
class _Csv:
    """An open file whose header is found."""

    handle: int
    text: Text
    head: Head
    limits: ReadLimits
    workspace: Path

    def survey(self) -> Survey:
        """Look at all of the file: in the cheapest way that finds it regular, else make a fair copy of it."""
        if not self._readable():
            return self._copied()
        if os.fstat(self.handle).st_size >= _LARGE_BYTES:
            found = None if self._looks_irregular() else scan(self.handle, self._layout())
            return self._copied() if found is None or found.irregular else self._scanned(found)
        records, identity = self._records(), fingerprint(self.handle)
        self._read(records)
        uniform = len(records.ends | {self.head.end} - {b""}) <= 1
        if uniform and not records.broken and not records.skipped_lines:
            form = self._form(skip=self.head.skip or 0, multiline=records.multiline)
            return self._described(records, identity, form)
        return self._copied()

    def _looks_irregular(self) -> bool:
        """Whether a scan can be spared: comments or a footer may come, or something is broken at the top already."""
        head = self.head
        for cut in self._records().cutter(self._chunks(), head.offset, head.line):
            if cut.problem is not None:
                return True
            if cut.offset > head.offset + _TOP_BYTES:
                break
        return bool(head.dialect.comment_char or head.dialect.footer)

    def _scanned(self, found: Scan) -> Survey:
        """The survey of a regular file."""
        path, dialect = self.text.path, self.head.dialect
        form = self._form(skip=self.head.skip or 0, multiline=found.multiline)
        return Survey(
            sha256=found.sha256,
            size=found.size,
            records=found.records - self.head.rows,
            form=form,
            records_of=lambda numbers: _indexed(path, form, found, dialect, numbers),
            first_number=self.head.first_number,
            blank_lines=found.blank_lines,
            notices=self.head.notices,
        )

    def _copied(self) -> Survey:
        """The survey of a fair copy."""
        records = self._records()
        with (
            ThreadPoolExecutor(1, "pratique-hash") as pool,
            scratch_file(self.workspace, "a file cannot be copied") as copy,
        ):
            identity = pool.submit(fingerprint, self.handle)
            self._read(records, copy)
            encoded = ENCODED if records.encoded else None
            form = replace(self._form(skip=1, multiline=False), broken=BROKEN, encoded=encoded)
            survey = self._described(records, identity.result(), form)
        scratch = (copy.path, self.text.path) if self.text.copied else (copy.path,)
        return replace(survey, path=copy.path, scratch=scratch)

    def _chunks(self) -> Iterator[bytes]:
        """The text below the header, of the open file if it is the text."""
        return self.text.chunks(self.head.offset) if self.text.copied else read_chunks(self.handle, self.head.offset)

    def _read(self, records: Records, copy: Scratch | None = None) -> None:
        end = records.survey(self._chunks(), self.head.offset, self.head.line, copy)
        size = self.text.path.stat().st_size if self.text.copied else os.fstat(self.handle).st_size
        if end != size:
            raise SourceError("it changed while it was read", hint="run again when its sender has finished it")

    def _described(self, records: Records, identity: tuple[str, int], form: CsvForm) -> Survey:
        return Survey(
            *identity,
            records=records.records,
            form=form,
            records_of=records.again,
            first_number=self.head.first_number,
            blank_lines=records.blank_lines,
            notices=self.head.notices,
        )

    def _readable(self) -> bool:
        """Whether DuckDB reads the file itself exactly as declared, if it is regular.

        DuckDB takes a path with `[1]` for a pattern that names another file, and a suffix for a packing.
        """
        path = self.text.path
        return (
            not self.text.copied
            and not self.head.carriage
            and self.head.skip is not None
            and is_usual(self.head.dialect)
            and not _GLOB & set(str(path))
            and path.suffix not in (".gz", ".zst")
            and str(path).isprintable()
        )

    def _form(self, *, skip: int, multiline: bool) -> CsvForm:
        dialect = self.head.dialect if is_usual(self.head.dialect) else Dialect(delimiter=",")
        mark = dialect.delimiter or ","
        return CsvForm(self.head.columns, mark, dialect.quote_char, skip=skip, multiline=multiline)

    def _layout(self) -> Layout:
        dialect = self.head.dialect
        return Layout(
            self.limits.record_bytes_max,
            ord(dialect.quote_char) if dialect.quote_char else None,
            ord(dialect.delimiter or ","),
            len(self.head.columns),
            self.head.header,
            self.head.offset,
        )

    def _records(self) -> Records:
        head = self.head
        cut = grammar(head.dialect, len(head.columns), header=head.header, carriage=head.carriage)
        return Records(self.text, cut, head.dialect, head.columns, self.limits.record_bytes_max, head.first_number)


def _indexed(path: Path, form: CsvForm, found: Scan, dialect: Dialect, numbers: Sequence[int]) -> Iterator[RawRecord]:
    """Give back records out of the blocks of the sparse index: only blocks that hold one are read."""
    quote = form.quote.encode() if form.quote and found.multiline else b""
    places, texts = itertools.tee(_places(path, found, quote, numbers))
    parsed = csv.reader((raw for _, _, _, raw in texts), **csv_options(dialect))
    for (number, offset, line, raw), values in zip(places, parsed, strict=True):
        yield RawRecord(number, line, raw, dict(zip(form.columns, values, strict=False)), offset)


def _places(path: Path, found: Scan, quote: bytes, numbers: Sequence[int]) -> Iterator[tuple[int, int, int, str]]:
    """(number, byte offset, physical line, text) of each record asked for."""
    one_line_each = not quote and not found.blank_lines
    with path.open("rb", buffering=0) as file:
        for wanted, first, data, begin, line in blocks(file.fileno(), found, numbers):
            if one_line_each:
                lines = data.split(b"\n", wanted[-1] - first + 1)
                places = (number - first for number in wanted)
                records = [(begin + sum(map(len, lines[:at])) + at, line + at, lines[at]) for at in places]
            else:
                split = list(_split(data, begin, line, quote))
                records = [split[number - first] for number in wanted]
            for number, (offset, at, raw) in zip(wanted, records, strict=True):
                yield number, offset, at, raw.decode().removesuffix("\r")


def _split(data: bytes, begin: int, line: int, quote: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(byte offset, physical line, bytes) of every record in a block, which begins with one; blank lines are none."""
    begun, held, odd = line, bytearray(), 0
    for number, piece in enumerate(data.split(b"\n"), line + 1):
        held += piece
        odd ^= piece.count(quote) & 1 if quote else 0
        if odd:
            held += b"\n"
            continue
        if bytes(held[:2]) not in {b"", b"\r"}:
            yield begin, begun, bytes(held)
        begin += len(held) + 1
        begun = number
        held.clear()
