"""One pass over the bytes of a large text file: hash, records, whether all of them are regular, a sparse index."""

from __future__ import annotations

import hashlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pratique.errors import SourceError
from pratique.sources.files.text import read_chunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Bytes = NDArray[np.uint8]
    _Positions = NDArray[np.intp]
    _Flags = NDArray[np.bool_]

# Limit: bytes per read. What is made of them stays in the cache, and so small that freed memory is used again: from
# 224 KiB on the pages of each block come from the kernel anew, which costs as much as the scan (measured).
CHUNK_BYTES: Final = 192 << 10
# Limit: entries of the sparse index of one file (16 bytes each); above it every second one is dropped.
_INDEX_ENTRIES_MAX: Final = 1 << 17
_STRIDE: Final = 64
_BOM: Final = b"\xef\xbb\xbf"
_NEWLINE, _RETURN = 10, 13


@dataclass(slots=True)
class Index:
    """Where every `stride`-th record begins: byte offset and physical line (from 1). Ordinals count from 0."""

    stride: int = _STRIDE
    offsets: array[int] = field(default_factory=lambda: array("q"))
    lines: array[int] = field(default_factory=lambda: array("q"))

    def thin(self) -> None:
        """Keep memory flat: drop every second entry while there are too many."""
        while len(self.offsets) > _INDEX_ENTRIES_MAX:
            self.stride *= 2
            self.offsets, self.lines = self.offsets[::2], self.lines[::2]


@dataclass(frozen=True, slots=True)
class Layout:
    """What regular text looks like. Without a quote every line is a record, whatever stands in it.

    `quote` and `delimiter` are bytes. `width`: fields of a record. No line from the byte offset `begin` on, where the
    first record is, has the text `header`.
    """

    record_bytes_max: int
    quote: int | None = None
    delimiter: int = 0
    width: int | None = None
    header: bytes = b""
    begin: int = 0


@dataclass(slots=True)
class Scan:
    """What one pass found so far. `records` counts every record that is not blank, header rows included.

    `irregular`: something is broken, or line ends are mixed. Then the pass has ended early, and nothing else counts.
    """

    layout: Layout
    sha256: str = ""
    size: int = 0
    records: int = 0
    blank_lines: int = 0
    multiline: bool = False
    irregular: bool = False
    index: Index = field(default_factory=Index)
    inside: int = 0  # 1 while a quoted field is open
    delimiters: int = 0  # those of the open record
    lines: int = 0  # physical lines that ended so far
    start: int = 0  # byte offset at which the open record begins
    start_line: int = 1  # and its physical line
    crlf: int = 0
    lf: int = 0


def scan(descriptor: int, layout: Layout, chunk_bytes: int = CHUNK_BYTES) -> Scan:
    """Read the open file once from its beginning to its end, in flat memory, and say what stands in it.

    Costs about as much as sha256 alone, which runs in a second thread. With a `width`, text is regular if it is UTF-8
    without NUL, if every record has that many fields and quotes as RFC 4180 has them, is no longer than allowed, and
    ends as the others do. Raises SourceError at a line that is longer than allowed (at once).
    """
    found = Scan(layout)
    unterminated, block = False, b""
    digest = hashlib.sha256()
    with ThreadPoolExecutor(1, "pratique-hash") as pool:
        for base, block in _blocks(descriptor, found, digest, pool, chunk_bytes):
            start = len(_BOM) if base == 0 and layout.width is not None and block.startswith(_BOM) else 0
            if base == 0:
                found.start = start
            unterminated = not block.endswith(b"\n")
            whole = block + b"\n" if unterminated else block
            if layout.width is not None and _looks_broken(whole, base, layout):
                found.irregular = True
                return found
            _feed(found, whole[start:] if start else whole, base + start)
            if layout.width is not None and found.irregular:
                return found
            found.index.thin()
    if unterminated and not found.inside:
        found.lf -= 1  # the line end that was added to the last record is of neither kind
    mixed = (found.crlf > 0 and found.lf > 0) or (unterminated and block.endswith(b"\r"))
    found.irregular = layout.width is not None and (found.inside == 1 or mixed)
    found.sha256 = digest.hexdigest()
    return found


def _looks_broken(block: bytes, base: int, layout: Layout) -> bool:
    """Whether a block of whole lines holds a NUL, bytes that are not UTF-8, or the header again."""
    if b"\0" in block:
        return True
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError:
            return True
    ended = layout.header + b"\n", layout.header + b"\r"
    begin = layout.begin - base
    return bool(layout.header) and (
        (begin <= 0 and block.startswith(ended))
        or any(block.find(b"\n" + line, max(begin - 1, 0)) >= 0 for line in ended)
    )


def _blocks(
    descriptor: int, found: Scan, digest: hashlib._Hash, pool: ThreadPoolExecutor, chunk_bytes: int
) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) that end with a line end, hashing beside; what follows the last line end comes last."""
    base, tail = 0, b""
    hashing: Future[None] | None = None
    for chunk in read_chunks(descriptor, size=chunk_bytes):
        if hashing is not None:
            hashing.result()
        hashing = pool.submit(digest.update, chunk)
        found.size += len(chunk)
        cut = chunk.rfind(b"\n") + 1
        if cut:
            block = tail + memoryview(chunk)[:cut]
            yield base, block
            base += len(block)
            tail = chunk[cut:]
        else:
            tail += chunk
        check_length(len(tail), found.lines + 1, found.layout)
    if hashing is not None:
        hashing.result()
    if tail:
        yield base, tail


def check_length(length: int, line: int, layout: Layout) -> None:
    """Refuse a line that is longer than a record may be."""
    if length > layout.record_bytes_max:
        raise SourceError(
            f"the record in line {line} is longer than {layout.record_bytes_max:,} bytes",
            hint="is this text with a record per line?",
            facts={"line": line},
        )


def blocks(
    descriptor: int, found: Scan, numbers: Sequence[int]
) -> Iterator[tuple[Sequence[int], int, bytes, int, int]]:
    """Yield (numbers asked for, first number, bytes, their offset, first physical line) of blocks that hold them.

    `numbers` are ascending ordinals from 1; other blocks are not read. SourceError if there is no such record.
    """
    index, at = found.index, 0
    if numbers and not 1 <= numbers[0] <= numbers[-1] <= found.records:
        raise SourceError(f"there are {found.records:,} records, none of them is number {numbers[-1]:,}")
    while at < len(numbers):
        block = (numbers[at] - 1) // index.stride
        first = block * index.stride + 1
        beyond = bisect_left(numbers, first + index.stride, at)
        begin = index.offsets[block]
        end = index.offsets[block + 1] if block + 1 < len(index.offsets) else found.size
        yield numbers[at:beyond], first, os.pread(descriptor, end - begin, begin), begin, index.lines[block]
        at = beyond


def _feed(found: Scan, block: bytes, base: int) -> None:
    """Go through a block of whole lines by its marks: line ends, quotes and, where records have a width, delimiters."""
    import numpy as np  # noqa: PLC0415 - costs 0.1 s where all files are small

    layout, data = found.layout, np.frombuffer(block, np.uint8)
    there = data == _NEWLINE
    for mark in (layout.quote, layout.delimiter if layout.width is not None else None):
        there |= data == mark if mark is not None else False
    marks = there.nonzero()[0]
    kinds = data.take(marks)
    newlines = marks[kinds == _NEWLINE]
    outside = np.ones(kinds.size, bool)
    if layout.quote is not None and (layout.quote in block or found.inside):
        quotes = kinds == layout.quote
        outside = np.bitwise_xor.accumulate(quotes.view(np.uint8)) == found.inside
        if _has_broken_quote(found, data, marks[quotes]):
            found.irregular = True
            return
    last = ((kinds == _NEWLINE) & outside).nonzero()[0]  # of the marks of a record
    ends = marks[last]
    found.multiline |= ends.size < newlines.size
    before_end = data[ends - 1] == _RETURN  # the last byte of a block is a line end: -1 is never a return
    crlf = int(before_end.sum())
    found.crlf, found.lf = found.crlf + crlf, found.lf + ends.size - crlf
    if crlf < block.count(b"\r"):
        found.irregular |= _has_lone_return(data, marks, outside ^ (kinds == layout.quote), crlf)
    blank = np.zeros(0, bool)
    if ends.size:
        starts = np.append(found.start - base, ends[:-1] + 1)
        lengths = ends - starts
        blank = (lengths == 0) | ((lengths == 1) & before_end)
        _records(found, base, newlines, starts, blank)
        longest = int(lengths.argmax())
        if lengths[longest] > layout.record_bytes_max:
            if layout.width is None:
                check_length(int(lengths[longest]), _line_after(found, newlines, ends[:longest]), layout)
            found.irregular = True
        found.start, found.start_line = base + int(ends[-1]) + 1, _line_after(found, newlines, ends)
    if layout.width is not None:
        found.irregular |= not _all_as_wide(found, (kinds == layout.delimiter) & outside, last, blank)
    found.inside = int(not outside[-1])
    found.lines += newlines.size


def _all_as_wide(found: Scan, delimiters: _Flags, last: _Positions, blank: _Flags) -> bool:
    """Whether each record that ends here has the right number of delimiters; flags and `last` count marks."""
    import numpy as np  # noqa: PLC0415 - is loaded already

    starts = np.append(0, last + 1)
    counts = np.add.reduceat(np.append(delimiters, False), starts, dtype=np.intp)  # of the open record, too
    counts[0] += found.delimiters
    found.delimiters = int(counts[-1])
    full = counts[:-1][~blank] if blank.any() else counts[:-1]
    return bool((full == (found.layout.width or 1) - 1).all())


def _line_after(found: Scan, newlines: _Positions, ends: _Positions) -> int:
    """The physical line that follows the last of `ends`; that of the open record if there is none."""
    if not ends.size:
        return found.start_line
    return found.lines + 2 + int(newlines.searchsorted(ends[-1]))


def _has_lone_return(data: _Bytes, marks: _Positions, outside_before: _Flags, crlf: int) -> bool:
    """Whether there are more carriage returns outside of quotes than those that belong to a line end."""
    returns = (data == _RETURN).nonzero()[0]
    return int(outside_before[marks.searchsorted(returns)].sum()) > crlf


def _has_broken_quote(found: Scan, data: _Bytes, quotes: _Positions) -> bool:
    """Whether a quote opens after text, or closes before text (RFC 4180 allows neither); a doubled quote is both."""
    delimiter, quote = found.layout.delimiter, found.layout.quote
    opening, closing = quotes[found.inside :: 2], quotes[1 - found.inside :: 2]
    before = data[opening - 1]  # at the first byte this is the last one, a line end: right, for so does a block begin
    after = data[closing + 1]
    opens = (before == delimiter) | (before == quote) | (before == _NEWLINE)
    closes = (after == delimiter) | (after == quote) | (after == _NEWLINE) | (after == _RETURN)
    return not (opens.all() and closes.all())


def _records(found: Scan, base: int, newlines: _Positions, starts: _Positions, blank: _Flags) -> None:
    """Count the records that begin at `starts`, and put every `stride`-th of them into the index."""
    full = starts[~blank] if blank.any() else starts
    index = found.index
    chosen = full[-found.records % index.stride :: index.stride]
    lines = newlines.searchsorted(chosen) + (found.lines + 1)
    if chosen.size and chosen[0] < 0:
        lines[0] = found.start_line
    index.offsets.frombytes((chosen + base).astype("int64").tobytes())
    index.lines.frombytes(lines.astype("int64").tobytes())
    found.records += full.size
    found.blank_lines += starts.size - full.size
