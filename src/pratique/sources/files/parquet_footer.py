"""The footer of a Parquet file: where its columns stand and how many values they hold, checked for contradictions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pratique.errors import SourceError
from pratique.sources.files.thrift import CompactReader, TooManyEntriesError

AGAIN: Final = "have it sent again"
DAMAGED: Final = "it is damaged: "
MAGIC: Final = b"PAR1"
_TAIL_BYTES: Final = 8  # the length of the footer, and the magic
_FOOTER_BYTES_MAX: Final = 32 << 20  # Limit: a footer is parsed as a whole, 1 s for 2 MB, into some times its size
_ENTRIES_MAX: Final = 10_000  # Limit: of row groups the engine takes about 1 ms for each, however small it is
_REPEATED: Final = 2
_DECIMAL, _CONVERTED_DECIMAL = 5, 5  # the logical type's field, and the converted type


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column in a row group. `begin` and `end`: its bytes in the file; `rows` is None in a repeated column."""

    where: str
    begin: int
    end: int
    values: int
    rows: int | None
    encodings: frozenset[int]


@dataclass(frozen=True, slots=True)
class Footer:
    """What a footer says."""

    rows: int
    chunks: tuple[Chunk, ...]


def read_footer(handle: int, size: int) -> Footer:
    """The footer of a file of `size` bytes; SourceError if there is none, or it contradicts itself."""
    begin = _begin(handle, size)
    reader = CompactReader(os.pread(handle, size - _TAIL_BYTES - begin, begin), _ENTRIES_MAX)
    try:
        footer = _footer(reader.struct(), begin)
    except TooManyEntriesError as error:
        raise SourceError(
            f"it has {error.args[0]:,} row groups or columns, more than {_ENTRIES_MAX:,}",
            hint="have it written with more rows in each group, or as several files",
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged("its footer is not readable") from error
    if reader.at != len(reader.data):
        raise damaged("its footer has another length than it says")
    return footer


def _footer(found: Mapping[int, Any], begin: int) -> Footer:
    if 8 in found:  # noqa: PLR2004 - the field of the encryption
        raise SourceError("it is encrypted", hint="have it written without encryption")
    rows, groups = int(found[3]), found[4]
    leaves = list(_leaves(found[2]))
    chunks = tuple(chunk for at, group in enumerate(groups, 1) for chunk in _chunks(group, at, leaves, begin))
    held = sum(int(group[3]) for group in groups)
    if held != rows:
        raise damaged(f"its footer says {rows:,} rows, and {held:,} in its row groups")
    return Footer(rows, chunks)


def damaged(message: str) -> SourceError:
    """The error of a file that was not written so."""
    return SourceError(DAMAGED + message, hint=AGAIN)


def _begin(handle: int, size: int) -> int:
    """Where the footer begins."""
    head, tail = os.pread(handle, len(MAGIC), 0), os.pread(handle, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    if b"PARE" in {head, tail[4:]}:
        raise SourceError("it is encrypted", hint="have it written without encryption")
    if size == 0:
        raise SourceError("it is no complete Parquet file: it is empty", hint=AGAIN)
    if head != MAGIC:
        raise SourceError(
            f"it is no complete Parquet file: it begins with {head!r}", hint="check what was sent, and `format`"
        )
    footer = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or footer > size - _TAIL_BYTES - len(MAGIC):
        raise SourceError("it is no complete Parquet file: its end is missing or damaged", hint=AGAIN)
    if footer > _FOOTER_BYTES_MAX:
        raise SourceError(
            f"its footer has {footer:,} bytes, more than {_FOOTER_BYTES_MAX:,}", hint="have it written as several files"
        )
    return size - _TAIL_BYTES - footer


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: tuple[bytes, ...]
    type: int
    repeated: bool


def _leaves(elements: list[dict[int, Any]]) -> Iterator[_Leaf]:
    """The columns of a schema, which is a tree written from its root on: an element says how many follow below it."""
    below: list[list[Any]] = [[(), False, int(elements[0][5])]]
    for element in elements[1:]:
        while below and below[-1][2] == 0:
            below.pop()
        path, repeated, _ = below[-1]
        below[-1][2] -= 1
        path = (*path, element[4])
        repeated = repeated or element.get(3) == _REPEATED
        if children := int(element.get(5, 0)):
            below.append([path, repeated, children])
            continue
        _agreeing(element)
        yield _Leaf(path, element[1], repeated)
    if any(left for _, _, left in below):
        raise damaged("the schema in its footer is not complete")


def _agreeing(element: Mapping[int, Any]) -> None:
    """Refuse a type that is written in its old and in its new way, and differs."""
    decimal = element.get(10, {}).get(_DECIMAL)
    if decimal is not None and element.get(6) == _CONVERTED_DECIMAL:
        new, old = (decimal.get(1), decimal.get(2)), (element.get(7, 0), element.get(8))
        if new != old:
            raise damaged(f"its footer says a scale and precision of {new}, and of {old}")


def _chunks(group: Mapping[int, Any], number: int, leaves: list[_Leaf], end: int) -> Iterator[Chunk]:
    rows, columns = int(group[3]), group[1]
    if len(columns) != len(leaves):
        raise damaged(f"its footer says {len(leaves):,} columns, and {len(columns):,} in row group {number:,}")
    for leaf, column in zip(leaves, columns, strict=True):
        chunk = column[3]
        name = ".".join(part.decode(errors="replace") for part in leaf.path)
        where = f"column {name!r}, row group {number:,}"
        if column.get(1):
            raise SourceError(f"{where}: it stands in another file", hint="have it written as one file")
        if chunk[1] != leaf.type or tuple(chunk[3]) != leaf.path:
            raise damaged(f"{where}: its footer describes it in two ways")
        offsets = (chunk.get(11), chunk[9])  # some writers give 0 where there is no such page
        begin = min(offset for offset in (*offsets, end) if offset)
        beyond = begin + int(chunk[7])
        if not len(MAGIC) <= begin <= beyond <= end:
            raise damaged(f"{where}: it stands at the bytes {begin:,} to {beyond:,}, where no data can be")
        values = int(chunk[5])
        if not leaf.repeated and values != rows:
            raise damaged(f"{where}: its footer says {values:,} values in {rows:,} rows")
        yield Chunk(where, begin, beyond, values, None if leaf.repeated else rows, frozenset(chunk.get(2, ())))
