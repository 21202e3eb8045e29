"""One pass over the bytes of a text file: hash, record count, structure, and a sparse index. No value is parsed."""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from pratique.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Bytes = NDArray[np.uint8]
    _Positions = NDArray[np.intp]
    _Flags = NDArray[np.bool_]

# Limit: below this size plain Python is faster than importing numpy (0.1 s once per process).
_NUMPY_FROM_BYTES: Final = 1 << 20
# Limit: bytes per read; a few of them are in memory at once, and they stay in the second-level cache.
CHUNK_BYTES: Final = 1 << 20
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
    """What the scan must know of the text: the byte that quotes (None: nothing does) and the one that delimits."""

    quote: int | None
    delimiter: int
    utf8: bool
    record_bytes_max: int


@dataclass(slots=True)
class Scan:
    """What one pass found so far. `records` counts every record that is not blank, header rows included.

    `irregular`: line ends are mixed or there are NUL bytes; DuckDB would refuse or misread it.
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
    lines: int = 0  # physical lines that ended so far
    start: int = 0  # byte offset at which the open record begins
    start_line: int = 1  # and its physical line
    last_quote_line: int = 0
    broken_line: int = 0  # where the first record with broken quotes begins
    crlf: int = 0
    lf: int = 0
    open_bytes: bytearray = field(default_factory=bytearray)  # what `_feed_lines` has seen of the open record

    def check_length(self, line: int, length: int) -> None:
        """Refuse a record that is longer than the limit, naming where it begins."""
        limit = self.layout.record_bytes_max
        if length <= limit:
            return
        if self.broken_line:
            raise self._broken_quotes()
        hint = (
            f"perhaps a quote in line {line} is never closed" if self.inside else "is this text with a record per line?"
        )
        raise SourceError(f"the record in line {line} is longer than {limit:,} bytes", hint=hint)

    def _broken_quotes(self) -> SourceError:
        return SourceError(
            f"the quotes of the record in line {self.broken_line} are broken: a quote stands inside an unquoted field, "
            "or text stands after a closing quote",
            hint="double a quote that belongs to a quoted text; set dialect.quoteChar if another character quotes",
        )

    def finish(self, *, unterminated: bool) -> None:
        """Close the books at the end of the file; broken and open quotes are errors that name their line."""
        if unterminated and not self.inside:
            self.lf -= 1  # the line end that was added to the last record is of neither kind
        self.irregular |= bool(self.crlf and self.lf > 0)
        if self.broken_line and (self.inside or not self.irregular):
            raise self._broken_quotes()
        if self.inside:
            raise SourceError(
                f"the quote opened in line {self.last_quote_line} is never closed",
                hint="close it, or double it if it belongs to the text",
            )


def scan(descriptor: int, layout: Layout, chunk_bytes: int = CHUNK_BYTES, *, vectorised: bool | None = None) -> Scan:
    """Read the open file once from its beginning to its end, in flat memory, and say what stands in it.

    Costs about as much as sha256 alone, which runs in a second thread. Raises SourceError at a record that is longer
    than allowed (at once), at broken quotes and at bytes that are not UTF-8. `vectorised` chooses one of two ways
    that find the same; by default the size does.
    """
    found = Scan(layout)
    if vectorised is None:
        vectorised = os.fstat(descriptor).st_size >= _NUMPY_FROM_BYTES
    feed = _feed_vectors if vectorised else _feed_lines
    unterminated = False
    for base, block in _blocks(descriptor, found, chunk_bytes):
        start = len(_BOM) if base == 0 and layout.utf8 and block.startswith(_BOM) else 0
        if base == 0:
            found.start = start
        if layout.utf8:
            _check_utf8(block, found)
        found.irregular |= b"\0" in block
        unterminated = not block.endswith(b"\n")
        whole = block + b"\n" if unterminated else block
        feed(found, whole[start:] if start else whole, base + start)
        found.index.thin()
    found.finish(unterminated=unterminated)
    return found


def _check_utf8(block: bytes, found: Scan) -> None:
    """Refuse bytes that are not UTF-8, naming the line. A block ends at a line end, so never inside a character."""
    if block.isascii():
        return
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = found.lines + 1 + block.count(b"\n", 0, error.start)
        raise SourceError(
            f"line {line} is not UTF-8: byte 0x{block[error.start]:02x}",
            hint="declare the encoding in the schema's dialect, such as `encoding: windows-1252`",
        ) from error


def _blocks(descriptor: int, found: Scan, chunk_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) that end with a line end, hashing beside; what follows the last line end comes last."""
    digest = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    base, tail = 0, b""
    with ThreadPoolExecutor(1, "pratique-hash") as pool:
        hashing: Future[None] | None = None
        while chunk := os.read(descriptor, chunk_bytes):
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
            found.check_length(found.start_line, found.size - found.start)
        if hashing is not None:
            hashing.result()
    if tail:
        yield base, tail
    found.sha256 = digest.hexdigest()


def blocks(descriptor: int, found: Scan, numbers: Sequence[int]) -> Iterator[tuple[Sequence[int], int, bytes, int]]:
    """Yield (numbers asked for, number of the first record, bytes, first physical line) of the blocks that hold them.

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
        yield numbers[at:beyond], first, os.pread(descriptor, end - begin, begin), index.lines[block]
        at = beyond


# --- plain Python, line by line: for small files -----------------------------------------------------------------


def _feed_lines(found: Scan, block: bytes, base: int) -> None:
    layout = found.layout
    quote = b"" if layout.quote is None else bytes([layout.quote])
    pattern = None if layout.quote is None else _record_pattern(layout.quote, layout.delimiter)
    end = base - 1
    for line in block.split(b"\n")[:-1]:
        end += len(line) + 1
        found.lines += 1
        if quote and (quotes := line.count(quote)):
            found.last_quote_line = found.lines
            found.inside ^= quotes & 1
        if found.inside:
            found.open_bytes += line
            found.open_bytes += b"\n"
            found.multiline = True
            continue
        record = line
        if found.open_bytes:
            record = bytes(found.open_bytes + line)
            found.open_bytes.clear()
        found.check_length(found.start_line, len(record))
        if record.endswith(b"\r"):
            found.crlf += 1
        else:
            found.lf += 1
        if pattern and quote in record and not found.broken_line and not pattern.fullmatch(record):
            found.broken_line = found.start_line
        inner = record.removesuffix(b"\r")
        if b"\r" in inner:
            outside = inner.split(quote)[::2] if quote else [inner]
            found.irregular |= any(b"\r" in part for part in outside)
        if record in (b"", b"\r"):
            found.blank_lines += 1
        else:
            if found.records % found.index.stride == 0:
                found.index.offsets.append(found.start)
                found.index.lines.append(found.start_line)
            found.records += 1
        found.start, found.start_line = end + 1, found.lines + 1


@cache
def _record_pattern(quote: int, delimiter: int) -> re.Pattern[bytes]:
    """RFC 4180: a field is quoted as a whole or holds no quote."""
    field_ = b"(?:Q(?:[^Q]++|QQ)*+Q|[^QD]*+)"
    record = field_ + b"(?:D" + field_ + b")*+\\r?"
    marks = {b"Q": re.escape(bytes([quote])), b"D": re.escape(bytes([delimiter]))}
    return re.compile(re.sub(rb"[QD]", lambda match: marks[match[0]], record), re.DOTALL)


# --- whole blocks at once: for large files -----------------------------------------------------------------------


def _feed_vectors(found: Scan, block: bytes, base: int) -> None:
    import numpy as np  # noqa: PLC0415 - costs 0.1 s where all files are small

    data = np.frombuffer(block, np.uint8)
    newlines = np.flatnonzero(data == _NEWLINE)
    ends, quotes = newlines, None
    if found.layout.quote is not None:
        quotes = np.flatnonzero(data == found.layout.quote)
        if quotes.size:
            ends = newlines[(np.searchsorted(quotes, newlines) + found.inside) & 1 == 0]
            found.last_quote_line = found.lines + 1 + int(np.searchsorted(newlines, quotes[-1]))
        elif found.inside:
            ends = newlines[:0]
        found.multiline |= ends.size < newlines.size
        if quotes.size and not found.broken_line:
            at = _first_broken_quote(found, data, quotes)
            if at is not None:
                before = ends[: int(np.searchsorted(ends, at))]
                found.broken_line = _line_after(found, newlines, before)
    before_end = data[ends - 1] == _RETURN  # the last byte of a block is a line end: -1 is never a return
    _line_ends(found, data, quotes, before_end)
    if ends.size:
        starts = np.empty_like(ends)
        starts[0] = found.start - base
        starts[1:] = ends[:-1] + 1
        lengths = ends - starts
        _records(found, base, newlines, starts, (lengths == 0) | ((lengths == 1) & before_end))
        longest = int(lengths.argmax())
        found.check_length(_line_after(found, newlines, ends[:longest]), int(lengths[longest]))
        found.start, found.start_line = base + int(ends[-1]) + 1, _line_after(found, newlines, ends)
    found.inside = (found.inside + (0 if quotes is None else quotes.size)) & 1
    found.lines += newlines.size


def _line_after(found: Scan, newlines: _Positions, ends: _Positions) -> int:
    """The physical line that follows the last of `ends`; that of the open record if there is none."""
    if not ends.size:
        return found.start_line
    return found.lines + 2 + int(newlines.searchsorted(ends[-1]))


def _line_ends(found: Scan, data: _Bytes, quotes: _Positions | None, before_end: _Flags) -> None:
    """Count both kinds of line ends, and notice a return that stands alone outside of quotes."""
    crlf = int(before_end.sum())
    found.crlf += crlf
    found.lf += before_end.size - crlf
    returns = (data == _RETURN).nonzero()[0]
    if returns.size and quotes is not None and (quotes.size or found.inside):
        returns = returns[(quotes.searchsorted(returns) + found.inside) & 1 == 0]
    found.irregular |= returns.size > crlf


def _first_broken_quote(found: Scan, data: _Bytes, quotes: _Positions) -> int | None:
    """Where a quote opens after text, or closes before text (RFC 4180 allows neither); a doubled quote is both."""
    delimiter, quote = found.layout.delimiter, found.layout.quote
    opening, closing = quotes[found.inside :: 2], quotes[1 - found.inside :: 2]
    before = data[opening - 1]  # at the first byte this is the last one, a line end: right, for so does a block begin
    after = data[closing + 1]
    opens = (before == delimiter) | (before == quote) | (before == _NEWLINE)
    closes = (after == delimiter) | (after == quote) | (after == _NEWLINE) | (after == _RETURN)
    places = [int(at[~good][0]) for at, good in ((opening, opens), (closing, closes)) if not good.all()]
    return min(places, default=None)


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
