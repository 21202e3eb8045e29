"""The pages of a Parquet file: every checksum verified and every count compared, without decoding a value.

Upstream: DuckDB 2.0 reads no page checksum, and pyarrow verifies them only by decoding the whole file, without saying
which pages have none.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pratique.errors import SourceError
from pratique.sources.base import ReadLimits
from pratique.sources.files.parquet_footer import DAMAGED, Chunk, Footer, damaged
from pratique.sources.files.thrift import CompactReader

_HEADER_BYTES: Final = 512  # most headers are shorter; a longer one is read again
_PIECE_BYTES: Final = 1 << 20
_EXPANSION_FROM_BYTES: Final = 64 << 20  # Limit: as for packed files: smaller pages may expand as they like
_DATA, _INDEX, _DICTIONARY, _DATA_V2 = range(4)
_DETAIL: Final = {_DATA: 5, _INDEX: 6, _DICTIONARY: 7, _DATA_V2: 8}  # page type -> the field that describes it
_BY_REFERENCE: Final = frozenset({2, 8})  # the encodings by a dictionary


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
        return 0 if self.type == _INDEX else _number(self.detail, 1)

    @property
    def encoding(self) -> int:
        """How its values are encoded, as the footer counts the ways."""
        return _number(self.detail, 4 if self.type == _DATA_V2 else 2)


def check_pages(handle: int, footer: Footer, limits: ReadLimits) -> Pages:
    """Walk along all pages in flat memory; SourceError if one is damaged or too large.

    Every page that has a checksum has the right one; the pages of a column fill the place that the footer gives it and
    hold as many values as it says. Values are not decoded: a damage in a page without checksum may pass.
    """
    walk = _Walk(handle, limits)
    for chunk in footer.chunks:
        try:
            walk.chunk(chunk)
        except SourceError as error:
            what = error.message.removeprefix(DAMAGED)
            begin = DAMAGED if what != error.message else ""
            raise SourceError(f"{begin}{chunk.where}: {what}", hint=error.hint) from error
    return walk.pages


@dataclass(slots=True)
class _Walk:
    """Along the pages of one column in one row group after another."""

    handle: int
    limits: ReadLimits
    pages: Pages = field(default_factory=Pages)
    entry_bytes: float = 0.0  # mean length of a value in the dictionary at hand

    def chunk(self, chunk: Chunk) -> None:
        """Check the pages of a column in a row group."""
        self.entry_bytes = 0.0
        values = 0
        for page in _pages(self.handle, chunk.begin, chunk.end):
            self._page(page)
            if page.type not in {_DATA, _DATA_V2}:
                continue
            values += page.values
            if chunk.encodings and page.encoding not in chunk.encodings:  # some writers name none
                raise damaged(f"the page at byte {page.offset:,} is encoded otherwise than the footer says")
            if page.encoding in _BY_REFERENCE:  # a value is as long as its entry, however small the page
                self._add(int(self.entry_bytes * page.values))
        if values != chunk.values:
            raise damaged(f"the footer says {chunk.values:,} values, and its pages hold {values:,}")

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
            raise damaged(f"the page at byte {page.offset:,} does not say how many values it holds")
        if page.checksum is not None:
            self.pages.with_checksum += 1
            if _checksum(self.handle, page) != page.checksum:
                raise damaged(f"the page at byte {page.offset:,} has a wrong checksum")
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
    return damaged(f"at byte {at:,} stands no page")


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
        reader = CompactReader(os.pread(handle, min(size, end - at), at))
        try:
            return reader.struct(), reader.at
        except ValueError:
            raise _no_page(at) from None
        except IndexError:
            if size >= end - at:
                raise _no_page(at) from None
            size *= 16
