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

    from pratique.sources.files.bits import Bits, Places, Ranked

# Limit: bytes per read. What is made of them is an eighth as large and stays in the cache; larger ones gain nothing.
CHUNK_BYTES: Final = 384 << 10
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
    return bool(layout.header) and _repeats_header(block, layout.begin - base, layout.header)


def _repeats_header(block: bytes, begin: int, header: bytes) -> bool:
    """Whether a line from `begin` on has the text of the header."""
    if begin <= 0 and block.startswith((header + b"\n", header + b"\r")):
        return True
    line = b"\n" + header
    at = block.find(line, max(begin - 1, 0))
    while at >= 0:
        if block[at + len(line)] in b"\r\n":
            return True
        at = block.find(line, at + len(line))
    return False


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
        raise SourceError(
            f"there are {found.records:,} records, none of them is number {numbers[-1]:,}",
            hint="the file changed while it was read; run again when nothing writes it",
        )
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

    from pratique.sources.files import bits  # noqa: PLC0415 - so does this

    layout, data = found.layout, np.frombuffer(block, np.uint8)
    newlines = bits.where(data, _NEWLINE)
    ending, delimiters = newlines, None
    if layout.width is not None:
        delimiters = bits.where(data, layout.delimiter)
    returns = bits.where(data, _RETURN) if b"\r" in block else None
    if layout.quote is not None and (found.inside or layout.quote in block):
        quotes = bits.where(data, layout.quote)
        inside = bits.odd(quotes, odd_before=found.inside == 1)
        ending = newlines & ~inside
        found.multiline |= bool((newlines & inside).any())
        found.inside = int(inside[(data.size - 1) >> 6] >> ((data.size - 1) & 63)) & 1
        if delimiters is not None:
            found.irregular |= _has_broken_quote(quotes, inside, delimiters | quotes | newlines, returns)
            delimiters &= ~inside
        if returns is not None:
            returns &= ~inside
    crlf = 0
    if returns is not None:
        paired = returns & bits.ahead(ending)
        crlf = bits.count(paired)
        found.irregular |= bool((returns ^ paired).any())
    ends, lines = bits.places(ending), bits.Ranked(newlines)
    found.crlf, found.lf = found.crlf + crlf, found.lf + ends.size - crlf
    blank = _records(found, data, base, ends, lines) if ends.size else np.zeros(0, bool)
    if delimiters is not None:
        found.irregular |= not _all_as_wide(found, ends, bits.Ranked(delimiters), blank)
    found.lines += lines.total


def _has_broken_quote(quotes: Bits, inside: Bits, marks: Bits, returns: Bits | None) -> bool:
    """Whether a quote opens after text, or closes before text (RFC 4180 allows neither); a doubled quote is both."""
    from pratique.sources.files import bits  # noqa: PLC0415 - is loaded already

    begins = bits.after(marks, first=True)  # a block begins behind a line end
    stops = bits.ahead(marks if returns is None else marks | returns)
    return bool((quotes & ~(inside & begins | ~inside & stops)).any())


def _records(found: Scan, data: NDArray[np.uint8], base: int, ends: Places, lines: Ranked) -> NDArray[np.bool_]:
    """Count the records that end here, and put every `stride`-th of them into the index; which of all are blank."""
    import numpy as np  # noqa: PLC0415 - is loaded already

    starts = np.empty_like(ends)
    starts[0], starts[1:] = found.start - base, ends[:-1] + 1
    lengths = ends - starts
    blank: NDArray[np.bool_] = lengths == 0
    if int(lengths.min()) <= 1:
        blank |= (lengths == 1) & (data[ends - 1] == _RETURN)
        starts = starts[~blank]
    index = found.index
    chosen = starts[-found.records % index.stride :: index.stride]
    numbers = lines.before(chosen.clip(0)) + (found.lines + 1)
    if chosen.size and chosen[0] < 0:
        numbers[0] = found.start_line
    index.offsets.frombytes((chosen + base).astype("int64").tobytes())
    index.lines.frombytes(numbers.astype("int64").tobytes())
    found.records += starts.size
    found.blank_lines += ends.size - starts.size
    longest = int(lengths.argmax())
    if lengths[longest] > found.layout.record_bytes_max:
        if found.layout.width is None:
            check_length(int(lengths[longest]), _line_after(found, lines, ends[:longest]), found.layout)
        found.irregular = True
    found.start, found.start_line = base + int(ends[-1]) + 1, _line_after(found, lines, ends)
    return blank


def _all_as_wide(found: Scan, ends: Places, delimiters: Ranked, blank: NDArray[np.bool_]) -> bool:
    """Whether each record that ends here and is not blank has the right number of delimiters."""
    passed = delimiters.before(ends)
    counts = passed.copy()
    counts[1:] -= passed[:-1]
    counts[:1] += found.delimiters
    found.delimiters += delimiters.total - int(counts.sum())
    return bool((counts == (found.layout.width or 1) - 1)[~blank].all())


def _line_after(found: Scan, lines: Ranked, ends: Places) -> int:
    """The physical line that follows the last of `ends`; that of the open record if there is none."""
    return found.lines + 2 + int(lines.before(ends[-1:])[0]) if ends.size else found.start_line
