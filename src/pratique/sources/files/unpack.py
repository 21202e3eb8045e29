"""Packed files: gzip, bzip2, Zstandard and zip, told by their first bytes, unpacked whole before a record is read.

Every checksum and length that the packing holds is verified: zlib, bzip2 and Zstandard check their streams as they end,
zipfile the CRC of its member. A stream that stops early, fails its check or is followed by something else is an error
of the file, and nothing of it is loaded.
"""

from __future__ import annotations

import bz2
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from pratique.errors import SourceError
from pratique.sources.base import ReadLimits
from pratique.sources.files.scratch import scratch_file

_PIECE_BYTES: Final = 1 << 20  # Limit: read and written in pieces of this size
_RATIO_FROM_BYTES: Final = 64 << 20  # Limit: below it the expansion ratio does not matter
ZIP: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x1
# What zipfile raises for damage, as found by mutating archives; an unknown method is a RuntimeError.
ZIP_ERRORS: Final = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError)


class _Stream(Protocol):
    """One compressed stream, unpacked piece by piece: `bz2` and `zstd` have this form."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Gzip:
    """One member of a gzip file; zlib verifies its CRC and length at its end (RFC 1952)."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(max_length, 0))


class _Zstd:
    """One Zstandard frame; its checksum is verified if it has one (RFC 8878). Raises ValueError as zlib and bz2 do."""

    def __init__(self) -> None:
        from backports import zstd  # noqa: PLC0415 - only where such a file is read

        self._zstd = zstd.ZstdDecompressor()
        self._error = zstd.ZstdError

    @property
    def eof(self) -> bool:
        return bool(self._zstd.eof)

    @property
    def needs_input(self) -> bool:
        return bool(self._zstd.needs_input)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._zstd.unused_data)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            return bytes(self._zstd.decompress(data, max_length))
        except self._error as error:
            raise ValueError(str(error)) from error


_STREAMS: Final[dict[bytes, tuple[str, Callable[[], _Stream]]]] = {
    b"\x1f\x8b": ("gzip", _Gzip),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\x28\xb5\x2f\xfd": ("Zstandard", _Zstd),
}


def unpacked(handle: int, workspace: Path, limits: ReadLimits) -> Path | None:
    """The content of a packed file as a new file in `workspace` (0600), whose owner removes it; None if not packed.

    SourceError if the packing is damaged, holds no or several files, or expands beyond the limits: at once, before
    more is written. StateError if the workspace cannot take it.
    """
    head = os.pread(handle, 4, 0)
    for magic, (name, make) in _STREAMS.items():
        if head.startswith(magic):
            return _written(_streams(handle, name, make), os.fstat(handle).st_size, workspace, limits)
    if head == ZIP:
        return _written(_member(handle), os.fstat(handle).st_size, workspace, limits)
    return None


def _written(pieces: Iterator[bytes], packed: int, workspace: Path, limits: ReadLimits) -> Path:
    size = 0
    with scratch_file(workspace, "a packed file cannot be unpacked") as file:
        for piece in pieces:
            size += len(piece)
            check_expansion(size, packed, limits)
            file.write(piece)
    return file.path


def check_expansion(size: int, packed: int, limits: ReadLimits) -> None:
    """Raise SourceError if so many bytes came out of so many packed ones that it is more than allowed."""
    if size > limits.unpacked_bytes_max:
        raise SourceError(
            f"it unpacks to more than {limits.unpacked_bytes_max:,} bytes",
            hint="unpack it and look; raise limits.unpacked_bytes_max if it is what it should be",
        )
    if size > max(_RATIO_FROM_BYTES, packed * limits.expansion_max):
        raise SourceError(
            f"it unpacks to more than {limits.expansion_max} times its size, as an archive bomb does",
            hint="unpack it and look; raise limits.expansion_max if it is what it should be",
        )


def _streams(handle: int, name: str, make: Callable[[], _Stream]) -> Iterator[bytes]:
    """Every stream of the file, one after the other; SourceError where one is damaged or something else follows."""
    at, data = 0, b""
    streams = 0
    while True:
        stream, fresh = make(), True
        while not stream.eof:
            if stream.needs_input and not data:
                data = os.pread(handle, _PIECE_BYTES, at)
                at += len(data)
                if not data:
                    raise SourceError(
                        f"the {name} file is cut off after {at:,} bytes", hint="ask for it to be sent anew"
                    )
            try:
                piece = stream.decompress(data, _PIECE_BYTES)
            except (zlib.error, OSError, ValueError) as error:
                what = "followed by something else" if streams and fresh else f"damaged: {error}"
                raise SourceError(
                    f"the {name} file is {what}", hint="ask for it to be sent anew; nothing of it was loaded"
                ) from error
            data = b""
            fresh = fresh and not piece
            yield piece
        streams += 1
        data = stream.unused_data
        if not data:
            data = os.pread(handle, _PIECE_BYTES, at)
            at += len(data)
        if not data:
            return


def _member(handle: int) -> Iterator[bytes]:
    """The one file in a zip; its name is not used for anything."""
    try:
        with os.fdopen(os.dup(handle), "rb") as file, zipfile.ZipFile(file) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            if any(item.filename == "[Content_Types].xml" for item in members):
                raise SourceError("it is an Excel or Office file", hint="such a file is `format: excel`")
            if len(members) != 1:
                names = ", ".join(repr(item.filename[:64]) for item in members[:5])
                raise SourceError(
                    f"the zip file holds {len(members):,} files: {names}" if members else "the zip file is empty",
                    hint="pack one file of records, or unpack it first",
                )
            if members[0].flag_bits & _ENCRYPTED:
                raise SourceError("the zip file is encrypted", hint="unpack it with its password first")
            with archive.open(members[0]) as member:
                while piece := member.read(_PIECE_BYTES):
                    yield piece
    except ZIP_ERRORS as error:
        raise SourceError(
            f"the zip file is damaged: {error}", hint="ask for it to be sent anew; nothing of it was loaded"
        ) from error
