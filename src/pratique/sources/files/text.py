"""The text of a file as UTF-8: the file itself, or a copy that was decoded without losing what cannot be decoded."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.gauge import gauge
from pratique.sources.files.scratch import scratch_file

_CHUNK_BYTES: Final = 1 << 20
_UTF8: Final = frozenset({"utf-8", "utf8", "utf-8-sig"})
_NEED_A_MARK: Final = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8 text in a file. `begin`: offset of its first character, behind a byte order mark.

    `encoding` is the one that the file was written in. If it is another than UTF-8, `path` is a copy in which an
    undecodable byte stands as U+DC00 + byte and half of a surrogate pair as itself, in the bytes that UTF-8 would
    give them (Python's `surrogatepass`); no UTF-8 holds such bytes.
    """

    path: Path
    begin: int
    encoding: str

    @property
    def copied(self) -> bool:
        """Whether `path` is a copy."""
        return self.encoding != "utf-8"

    def chunks(self, offset: int | None = None, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
        """Yield the bytes from `offset` on."""
        with self.path.open("rb", buffering=0) as file:
            yield from read_chunks(file.fileno(), self.begin if offset is None else offset, size)

    def decode(self, data: bytes) -> str:
        """Bytes of this text as a text from which they can be made again."""
        return data.decode("utf-8", "surrogatepass" if self.copied else "surrogateescape")


def read_chunks(handle: int, offset: int = 0, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the bytes of an open file from `offset` on, wherever its own position is."""
    while chunk := os.pread(handle, size, offset):
        yield chunk
        offset += len(chunk)
        gauge.position = offset


def utf8_text(handle: int, path: Path, encoding: str, folder: Path) -> Text:
    """The text of an open file; a copy is made in `folder` if it is in another encoding. SourceError if it is none."""
    name = encoding.lower().replace("_", "-")
    if name in _UTF8:
        return Text(path, len(codecs.BOM_UTF8) if os.pread(handle, 3, 0) == codecs.BOM_UTF8 else 0, "utf-8")
    marks = _NEED_A_MARK.get(name)
    if marks and not os.pread(handle, 4, 0).startswith(marks):
        raise SourceError(f"it has no byte order mark of {name}", hint=f"declare `encoding: {name}-le` or `{name}-be`")
    with scratch_file(folder, "a file cannot be decoded") as file:
        for chunk in decoded(read_chunks(handle), encoding):
            file.write(chunk)
    return Text(file.path, 0, encoding)


def decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Bytes in another encoding as UTF-8, as `Text` describes it; a byte order mark is taken away."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)(errors="pratique.keep")
    except LookupError as error:
        raise SourceError(
            f"the encoding {encoding!r} is not known", hint="such as utf-8, windows-1252, utf-16"
        ) from error
    first = encoding.lower().replace("_", "-") not in _NEED_A_MARK  # those codecs take it away themselves
    for chunk in chunks:
        text = decoder.decode(chunk)
        yield (text.removeprefix("\ufeff") if first else text).encode("utf-8", "surrogatepass")
        first = first and not text
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _keep(error: UnicodeError) -> tuple[str, int]:
    """Stand for what cannot be decoded: half of a surrogate pair as itself, else one byte after the other."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding.startswith(("utf-16", "utf-32", "utf16", "utf32")):
        try:
            found, end = codecs.lookup_error("surrogatepass")(error)
            return str(found), end
        except UnicodeDecodeError:
            pass
    return chr(0xDC00 + error.object[error.start]), error.start + 1


codecs.register_error("pratique.keep", _keep)
