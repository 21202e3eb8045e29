"""A fair copy: each sound record of a text in a line of its own, and a placeholder for each broken one."""

from __future__ import annotations

import csv
import io
import os
import secrets
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pratique.errors import SourceError
from pratique.model import RawRecord
from pratique.schema import Dialect
from pratique.sources.files.cutter import Cut, Cutter, end_of
from pratique.sources.files.grammar import Grammar, csv_options, is_usual
from pratique.sources.files.scratch import Scratch
from pratique.sources.files.text import Text, read_chunks

# How a placeholder begins, in every copy of this process, and a record whose fields stand there in hex: nobody who
# writes a file can know it.
BROKEN: Final = "\x01" + secrets.token_hex(16)
ENCODED: Final = "\x01" + secrets.token_hex(16)
# Limit: entries of the sparse index of one text (40 bytes each); above it every second one is dropped.
_PLACES_MAX: Final = 1 << 19
_CHUNK_BYTES: Final = 64 << 10
# Up to so many records further on, cutting goes on from where it is.
_NEAR: Final = 1000
_NOTHING: Final = Cut(0, 0, b"", 0, None)


@dataclass(slots=True)
class Places:
    """Where every `stride`-th cut of a text stands, the first included."""

    stride: int = 1
    seen: int = 0
    ordinals: array[int] = field(default_factory=lambda: array("q"))  # of the first record, from 0
    records: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))  # in bytes
    sizes: array[int] = field(default_factory=lambda: array("q"))
    lines: array[int] = field(default_factory=lambda: array("q"))  # the first physical one

    def add(self, ordinal: int, cut: Cut) -> None:
        """Remember a cut, if it is its turn; memory stays flat."""
        self.seen += 1
        if (self.seen - 1) % self.stride:
            return
        self.ordinals.append(ordinal)
        self.records.append(cut.records)
        self.offsets.append(cut.offset)
        self.sizes.append(len(cut.data))
        self.lines.append(cut.line)
        if len(self.ordinals) > _PLACES_MAX:
            self.stride *= 2
            for column in (self.ordinals, self.records, self.offsets, self.sizes, self.lines):
                del column[1::2]

    def before(self, ordinal: int) -> int:
        """The index of the nearest cut at or before a record."""
        return bisect_right(self.ordinals, ordinal) - 1


@dataclass(slots=True)
class Records:
    """The records of a text below its header: how many, where they are, and how to get them back."""

    text: Text
    grammar: Grammar
    dialect: Dialect
    columns: tuple[str, ...]
    record_bytes_max: int
    first_number: int
    records: int = 0
    broken: int = 0
    blank_lines: int = 0
    skipped_lines: int = 0
    multiline: bool = False
    encoded: bool = False  # whether a record of the copy stands there in hex
    ends: set[bytes] = field(default_factory=set)  # how records end
    places: Places = field(default_factory=Places)

    def survey(self, chunks: Iterable[bytes], offset: int, line: int, copy: Scratch | None = None) -> int:
        """Count all records from `offset` on, and write their fair copy if one is wanted; the offset of the end.

        The first line of a copy is no record.
        """
        cutter = self.cutter(chunks, offset, line)
        if copy is not None:
            copy.write(f"{BROKEN}\n".encode())  # a mark at the very beginning would be taken for one of byte order
        for cut in cutter:
            self.places.add(self.records, cut)
            self.records += cut.records
            self.broken += cut.problem is not None
            if copy is not None:
                copy.write(self._fair(cut))
        self.blank_lines, self.skipped_lines = cutter.blank_lines, cutter.skipped_lines
        self.multiline, self.ends = cutter.multiline, cutter.ends
        return cutter.offset

    def _fair(self, cut: Cut) -> bytes:
        """A cut as it stands in the copy, a line for each record: only so can it be read by several threads."""
        if cut.problem is not None:
            return f"{BROKEN}{cut.problem.encode().hex()}\n".encode()
        if cut.records == 1:
            record = cut.data.removesuffix(end_of(cut.data))
            if b"\n" in record or b"\r" in record:
                return self._encoded(record)
        if not is_usual(self.dialect):
            return self._rewritten(cut.data)
        if cut.records == 1:
            return record + b"\n"
        if b"\r" not in cut.data:
            return cut.data
        return cut.data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _encoded(self, data: bytes) -> bytes:
        """One record on several lines as one line."""
        self.encoded = True
        mark = (self.dialect.delimiter or ",") if is_usual(self.dialect) else ","
        fields = next(csv.reader(io.StringIO(data.decode(), newline=""), **csv_options(self.dialect)))
        return f"{ENCODED}{mark.join(value.encode().hex() for value in fields)}\n".encode()

    def _rewritten(self, data: bytes) -> bytes:
        """Records with the usual marks instead of their own."""
        made = io.StringIO()
        rows = csv.reader(io.StringIO(data.decode(), newline=""), **csv_options(self.dialect))
        csv.writer(made, lineterminator="\n").writerows(rows)
        return made.getvalue().encode()

    def cutter(self, chunks: Iterable[bytes], offset: int, line: int) -> Cutter:
        """Cuts the text that begins at `offset`."""
        return Cutter(
            chunks,
            self.grammar,
            self.record_bytes_max,
            encoding=self.text.encoding,
            footer=self.dialect.footer,
            offset=offset,
            line=line,
        )

    def again(self, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records with these numbers, ascending, as they stand in the text."""
        with self.text.path.open("rb", buffering=0) as file:
            cuts: Iterator[tuple[int, Cut]] = iter(())
            ordinal, cut = -_NEAR - 1, _NOTHING  # nothing is near
            for number in numbers:
                wanted = number - self.first_number
                if not 0 <= wanted < self.records:
                    raise SourceError(
                        f"there are {self.records:,} records, none of them is number {number:,}",
                        hint="the file changed while it was read; run again when nothing writes it",
                    )
                if wanted >= ordinal + cut.records:
                    at = self.places.before(wanted)
                    begins = self.places.ordinals[at]
                    if begins > ordinal + _NEAR or wanted < begins + self.places.records[at]:
                        ordinal, cut = begins, self._read(file.fileno(), at)
                        cuts = self._after(file.fileno(), ordinal, cut)
                while wanted >= ordinal + cut.records:
                    ordinal, cut = next(cuts)
                yield self._raw(number, cut, wanted - ordinal)

    def _read(self, handle: int, at: int) -> Cut:
        """A cut whose place is known."""
        places = self.places
        data = os.pread(handle, places.sizes[at], places.offsets[at])
        return Cut(places.offsets[at], places.lines[at], data, places.records[at], None)

    def _after(self, handle: int, ordinal: int, cut: Cut) -> Iterator[tuple[int, Cut]]:
        """The cuts behind one, with their ordinals, cut again."""
        ordinal += cut.records
        offset, line = cut.offset + len(cut.data), cut.line + self.grammar.lines_in(cut.data)
        for further in self.cutter(read_chunks(handle, offset, _CHUNK_BYTES), offset, line):
            yield ordinal, further
            ordinal += further.records

    def _raw(self, number: int, cut: Cut, place: int) -> RawRecord:
        """The record at a place of a cut."""
        data, offset = cut.data, cut.offset
        if cut.records > 1:
            lines = data.splitlines(keepends=True) if self.grammar.carriage else data.split(b"\n", place + 1)
            ends = 0 if self.grammar.carriage else 1
            offset += sum(len(line) + ends for line in lines[:place])
            data = lines[place]
        raw = self.text.decode(data.removesuffix(end_of(data)))
        return RawRecord(number, cut.line + place, raw, self._values(raw), offset)

    def _values(self, raw: str) -> dict[str, str]:
        """Values by header name; of a broken record as far as they can be told."""
        for strict in (True, False):
            try:
                fields = next(csv.reader([raw], **csv_options(self.dialect, strict=strict)), [])
            except csv.Error:
                continue
            return dict(zip(self.columns, fields, strict=False))
        return {}
