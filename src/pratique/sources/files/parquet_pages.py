"""The pages of a Parquet file: every checksum verified and every count compared, without decoding a value.

Upstream: DuckDB 2.0 reads no page checksum, and pyarrow verifies them only by decoding the whole file, without saying
which pages have none.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pratique.errors import SourceError
from pratique.sources.base import ReadLimits

if TYPE_CHECKING:
    from pyarrow.parquet import ColumnChunkMetaData, FileMetaData

AGAIN: Final = "have it sent again"
_HEADER_BYTES: Final = 512  # most headers are shorter; a longer one is read again
_PIECE_BYTES: Final = 1 << 20
_NESTING_MAX: Final = 16  # Limit: page headers nest three deep
_EXPANSION_FROM_BYTES: Final = 64 << 20  # Limit: as for packed files: smaller pages may expand as they like
_DATA, _INDEX, _DICTIONARY, _DATA_V2 = range(4)
_DETAIL: Final = {_DATA: 5, _INDEX: 6, _DICTIONARY: 7, _DATA_V2: 8}  # page type -> the field that describes it
_ENCODINGS: Final = {
    0: "PLAIN",
    2: "PLAIN_DICTIONARY",
    3: "RLE",
    4: "BIT_PACKED",
    5: "DELTA_BINARY_PACKED",
    6: "DELTA_LENGTH_BYTE_ARRAY",
    7: "DELTA_BYTE_ARRAY",
    8: "RLE_DICTIONARY",
    9: "BYTE_STREAM_SPLIT",
}
_KINDS: Final = frozenset(range(1, 11)) | {12}  # of Thrift's values: all but maps, which no page header has
_BY_REFERENCE: Final = frozenset({"PLAIN_DICTIONARY", "RLE_DICTIONARY"})


@dataclass(slots=True)
class Pages:
    """What was found: how many pages there are, how many of them have a checksum, how large they are unpacked."""

    count: int = 0
    with_checksum: int = 0
    unpacked_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Page:
    type: int
    unpacked: int
    packed: int
    checksum: int | None
    detail: Mapping[int, Any]
    offset: int  # of its content

    @property
    def values(self) -> int:
        """How many it says that it holds, -1 if it does not say; an index holds none."""
        return 0 if self.type == _INDEX else int(self.detail.get(1, -1))

    @property
    def encoding(self) -> str | None:
        """How its values are encoded, in the words of the footer."""
        return _ENCODINGS.get(self.detail.get(4 if self.type == _DATA_V2 else 2, -1))


def check_pages(handle: int, metadata: FileMetaData, end: int, limits: ReadLimits) -> Pages:
    """Walk along all pages below the offset `end` in flat memory; SourceError if one is damaged or too large.

    Every page that has a checksum has the right one; the pages of a column fill the place that the footer gives it and
    hold as many values as it says. Values are not decoded: a damage in a page without checksum may pass.
    """
    walk = _Walk(handle, end, limits)
    rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows += group.num_rows
        for index in range(group.num_columns):
            chunk = group.column(index)
            nested = metadata.schema.column(index).max_repetition_level > 0
            try:
                walk.chunk(chunk, chunk.num_values if nested else group.num_rows)
            except SourceError as error:
                where = f"column {chunk.path_in_schema!r}, row group {number + 1:,}"
                raise SourceError(f"{where}: {error.message}", hint=error.hint or AGAIN) from error
    if rows != metadata.num_rows:
        raise SourceError(
            f"it is damaged: its footer says {metadata.num_rows:,} rows, and {rows:,} in its row groups", hint=AGAIN
        )
    return walk.pages


@dataclass(slots=True)
class _Walk:
    """Along the pages of one column in one row group after another."""

    handle: int
    end: int
    limits: ReadLimits
    pages: Pages = field(default_factory=Pages)
    entry_bytes: float = 0.0  # mean length of a value in the dictionary at hand

    def chunk(self, chunk: ColumnChunkMetaData, expected: int) -> None:
        """Check the pages of a column in a row group, which must hold as many values as are expected."""
        offsets = (chunk.dictionary_page_offset, chunk.data_page_offset, self.end)
        begin = min(offset for offset in offsets if offset)  # some writers give 0 where there is no such page
        beyond = begin + chunk.total_compressed_size
        if not 4 <= begin <= beyond <= self.end:  # noqa: PLR2004 - the length of the magic
            raise _damaged(f"it stands at the bytes {begin:,} to {beyond:,}, where no data can be")
        self.entry_bytes = 0.0
        values, encodings = 0, set(chunk.encodings)
        for page in _pages(self.handle, begin, beyond):
            self._page(page)
            encoding = page.encoding
            if page.type not in {_DATA, _DATA_V2}:
                continue
            values += page.values
            if encodings and encoding not in encodings:  # some writers name none
                raise _damaged(f"the page at byte {page.offset:,} is encoded otherwise than the footer says")
            if encoding in _BY_REFERENCE:  # a value is as long as its entry in the dictionary, however small the page
                self._add(int(self.entry_bytes * page.values))
        if not values == chunk.num_values == expected:
            counts = f"{chunk.num_values:,} values in {expected:,} rows"
            raise _damaged(f"the footer says {counts}, and its pages hold {values:,}")

    def _page(self, page: _Page) -> None:
        self.pages.count += 1
        self._add(page.unpacked)
        most = self.limits.expansion_max
        if page.unpacked > max(_EXPANSION_FROM_BYTES, most * page.packed):
            raise SourceError(
                f"a page of {page.packed:,} bytes unpacks to {page.unpacked:,}, more than {most} times",
                hint="raise limits.expansion_max if it is meant to be that large",
            )
        if page.values < 0:
            raise _damaged(f"the page at byte {page.offset:,} does not say how many values it holds")
        if page.checksum is not None:
            self.pages.with_checksum += 1
            if _checksum(self.handle, page) != page.checksum:
                raise _damaged(f"the page at byte {page.offset:,} has a wrong checksum")
        if page.type == _DICTIONARY:
            self.entry_bytes = page.unpacked / max(page.values, 1)
            if self.entry_bytes > self.limits.record_bytes_max:
                raise SourceError(
                    f"its values are longer than {self.limits.record_bytes_max:,} bytes",
                    hint="raise limits.record_bytes_max if they are meant to be that long",
                )

    def _add(self, size: int) -> None:
        self.pages.unpacked_bytes += size
        if self.pages.unpacked_bytes > self.limits.unpacked_bytes_max:
            raise SourceError(
                f"the file unpacks to more than {self.limits.unpacked_bytes_max:,} bytes",
                hint="raise limits.unpacked_bytes_max if it is meant to be that large",
            )


def _damaged(message: str) -> SourceError:
    return SourceError(f"it is damaged: {message}", hint=AGAIN)


def _pages(handle: int, at: int, end: int) -> Iterator[_Page]:
    while at < end:
        header, length = _header(handle, at, end)
        kind, unpacked, packed = (_number(header, place) for place in (1, 2, 3))
        detail = header.get(_DETAIL.get(kind, -1))
        if min(unpacked, packed) < 0 or not isinstance(detail, dict) or at + length + packed > end:
            raise _no_page(at)
        checksum = None if header.get(4) is None else _number(header, 4) & 0xFFFFFFFF
        yield _Page(kind, unpacked, packed, checksum, detail, at + length)
        at += length + packed


def _number(header: Mapping[int, Any], place: int) -> int:
    """A number of a header; -1 if it has none there."""
    found = header.get(place)
    return found if isinstance(found, int) else -1


def _no_page(at: int) -> SourceError:
    return _damaged(f"at byte {at:,} stands no page")


def _checksum(handle: int, page: _Page) -> int:
    found, at, end = 0, page.offset, page.offset + page.packed
    while at < end:
        piece = os.pread(handle, min(_PIECE_BYTES, end - at), at)
        if not piece:
            break
        found = zlib.crc32(piece, found)
        at += len(piece)
    return found


def _header(handle: int, at: int, end: int) -> tuple[dict[int, Any], int]:
    """The header of a page and its length in bytes."""
    size = _HEADER_BYTES
    while True:
        reader = _Compact(os.pread(handle, min(size, end - at), at))
        try:
            return reader.struct(), reader.at
        except IndexError:
            if size >= end - at:
                raise _no_page(at) from None
            size *= 16


class _Compact:
    """Thrift's compact protocol, as far as page headers use it. IndexError where the bytes end too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def _byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the mark of the last byte
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004 - 64 bits are the longest number
                raise _damaged("a number in a page header is too long")

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Field number -> value; structs are dicts, texts are left out."""
        found: dict[int, Any] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._signed()
            found[field] = self._value(kind & 15, depth)
        return found

    def _signed(self) -> int:
        value = self._number()
        return (value >> 1) ^ -(value & 1)

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _NESTING_MAX or kind not in _KINDS:
            raise _damaged("a page header is not readable")
        found: Any = None
        if kind in {1, 2}:  # the kind is the value
            found = kind == 1
        elif kind == 3:  # noqa: PLR2004 - a byte
            found = self._byte()
        elif kind <= 6:  # noqa: PLR2004 - 16, 32 or 64 bits
            found = self._signed()
        elif kind <= 8:  # noqa: PLR2004 - a double; a text
            self._skip(8 if kind == 7 else self._number())  # noqa: PLR2004
        elif kind <= 10:  # noqa: PLR2004 - a list, a set
            size = self._byte()
            for _ in range(size >> 4 if size < 0xF0 else self._number()):  # noqa: PLR2004 - a long one has a number
                self._byte() if size & 15 in {1, 2} else self._value(size & 15, depth + 1)
        else:
            found = self.struct(depth + 1)
        return found
