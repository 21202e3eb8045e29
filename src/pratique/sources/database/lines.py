r"""The landed form of a database's rows: lines as PostgreSQL's COPY writes them, and how they are read again.

A line is a record: texts with a tab after each, so that no line is ever empty. NULL is `\N`; a backslash stands before
what would end a field or a line. The engine reads the same form by `CsvForm(copied=True)`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.model import CsvForm, LandedFile, Part, RawRecord
from pratique.sources.files.scratch import Scratch

_FLUSH_BYTES: Final = 1 << 20
_MARKS: Final = {"\\": "\\", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r", "\0": "0"}
_ESCAPES: Final = str.maketrans({character: f"\\{mark}" for character, mark in _MARKS.items()})
_PLAIN: Final = {mark: character for character, mark in _MARKS.items()}
_ESCAPED: Final = re.compile(r"\\(.)")


def line(values: Iterable[str | None]) -> bytes:
    """A record as one line."""
    texts = ("\\N" if value is None else value.translate(_ESCAPES) for value in values)
    return "".join(f"{text}\t" for text in texts).encode() + b"\n"


def values_of(text: str) -> list[str | None]:
    """The values of a line without its line end."""
    return [None if field == "\\N" else _plain(field) for field in text.split("\t")[:-1]]


def _plain(field: str) -> str:
    return _ESCAPED.sub(lambda found: _PLAIN[found[1]], field) if "\\" in field else field


class Sink:
    """Takes lines and keeps hash and size; SourceError beyond `bytes_max`."""

    def __init__(self, file: Scratch, bytes_max: int) -> None:
        self.size = 0
        self._file, self._bytes_max = file, bytes_max
        self._digest = hashlib.sha256()
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        """Append one line, or a part of one."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._held)
        self._held, self._held_bytes = [], 0
        self.size += len(data)
        if self.size > self._bytes_max:
            raise SourceError(
                f"its rows take more than {self._bytes_max:,} bytes",
                hint="read fewer with `cursor` or `columns`, or raise limits.unpacked_bytes_max",
            )
        self._digest.update(data)
        self._file.write(data)

    def finish(self) -> str:
        """Write what is held back; the hash of everything."""
        self._flush()
        return self._digest.hexdigest()


@dataclass(slots=True)
class LineReader:
    """Gives landed records back; what is asked for in ascending order is read once."""

    _path: Path | None = None
    _number: int = 0
    _offset: int = 0

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records of `file` with these numbers, ascending, each once."""
        assert isinstance(part.form, CsvForm)  # noqa: S101 - for the type checker: this source lands no other
        columns = part.form.columns
        if self._path != file.path or (numbers and numbers[0] <= self._number):
            self._path, self._number, self._offset = file.path, 0, 0
        wanted = iter(numbers)
        number = next(wanted, None)
        with file.path.open("rb") as lines:
            lines.seek(self._offset)
            for data in lines:
                if number is None:
                    return
                offset, self._number, self._offset = self._offset, self._number + 1, self._offset + len(data)
                if self._number == number:
                    text = data[:-1].decode("utf-8", "surrogateescape")
                    values = dict(zip(columns, values_of(text), strict=True))
                    yield RawRecord(number, number, text, values, offset)
                    number = next(wanted, None)
