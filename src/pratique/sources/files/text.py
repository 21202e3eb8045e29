"""Records of text as Python's csv module reads them: exact and in flat memory, at a tenth of DuckDB's speed.

It serves what DuckDB would refuse or change in silence: other encodings, comments, footers, escapes, mixed line ends.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pratique.errors import SourceError
from pratique.schema import Dialect


@dataclass(frozen=True, slots=True)
class TextRecord:
    """One record, header rows included: ordinal from 1, first physical line, text without line end, fields."""

    ordinal: int
    line: int
    raw: str
    fields: list[str]


class TextReader:
    """Yields the records of one file. `blank_lines`, `skipped_lines` and `multiline` tell of what was read so far."""

    def __init__(self, path: Path, dialect: Dialect, record_bytes_max: int) -> None:
        self.path, self.dialect, self.limit = path, dialect, record_bytes_max
        self.blank_lines = 0
        self.line = 0
        self._taken: list[str] = []
        self._ended = False

    def __iter__(self) -> Iterator[TextRecord]:
        """Yield every record that is not blank; SourceError names the line at which the text cannot be read."""
        csv.field_size_limit(self.limit)
        try:
            with open_text(self.path, self.dialect.encoding) as text:
                yield from self._records(text)
        except UnicodeDecodeError as error:
            raise SourceError(
                f"it is not {self.dialect.encoding} after line {self.line}: byte 0x{error.object[error.start]:02x}",
                hint="declare the right encoding in the schema's dialect",
            ) from error
        except csv.Error as error:
            raise SourceError(
                f"the record in line {self.line - len(self._taken) + 1} cannot be read: {error}",
                hint="double a quote that belongs to a quoted text",
            ) from error
        except OSError as error:
            raise SourceError(
                f"it cannot be read: {error.strerror}", hint="check that it is there and readable"
            ) from error

    def _records(self, text: IO[str]) -> Iterator[TextRecord]:
        ordinal = 0
        for fields in csv.reader(self._lines(text), **csv_options(self.dialect)):
            taken, self._taken = self._taken, []
            if not fields:
                self.blank_lines += 1
                continue
            ordinal += 1
            raw = re.sub(r"(\r\n|\r|\n)\Z", "", "".join(taken))
            yield TextRecord(ordinal, self.line - len(taken) + 1, raw, fields)

    def _lines(self, text: IO[str]) -> Iterator[str]:
        comment = self.dialect.comment_char
        footer = re.compile(self.dialect.footer) if self.dialect.footer else None
        length = 0
        while line := text.readline(self.limit + 1):
            self.line += 1
            length = length + len(line) if self._taken else len(line)
            if length > self.limit:
                first = self.line - len(self._taken)
                raise SourceError(f"the record in line {first} is longer than {self.limit:,} bytes", hint="is it text?")
            if not self._taken:
                if comment and line.startswith(comment):
                    continue
                if footer and footer.search(line):
                    self._ended = True
                    continue
                if self._ended and line.strip():
                    raise SourceError(
                        f"line {self.line} stands after the footer",
                        hint="dialect.footer must match the last lines only",
                    )
            self._taken.append(line)
            yield line


def open_text(path: Path, encoding: str) -> IO[str]:
    """Open with line ends kept; a byte order mark is stripped."""
    name = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        return io.TextIOWrapper(io.BufferedReader(io.FileIO(os.fspath(path)), 1 << 20), encoding=name, newline="")
    except LookupError as error:
        raise SourceError(
            f"the encoding {encoding!r} is not known", hint="such as utf-8, windows-1252, utf-16"
        ) from error


def csv_options(dialect: Dialect) -> dict[str, Any]:
    """The dialect in the words of Python's csv module, strict."""
    quoting = csv.QUOTE_MINIMAL if dialect.quote_char else csv.QUOTE_NONE
    escape = dialect.escape_char if dialect.escape_char != dialect.quote_char else None
    return {
        "delimiter": dialect.delimiter,
        "quotechar": dialect.quote_char or None,
        "quoting": quoting,
        "escapechar": escape,
        "doublequote": escape is None,
        "strict": True,
    }


def malformed(fields: Sequence[str], columns: int) -> str | None:
    """Why a record cannot be judged field by field, or None."""
    if len(fields) != columns:
        return f"expected {columns} fields, found {len(fields)}"
    if any("\0" in value for value in fields):
        return "a NUL character"
    return None
