"""How a text is cut into records, as regular expressions over its bytes: RFC 4180 with declared marks."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import Any

from pratique.schema import Dialect

Bytes = re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The marks of a UTF-8 text and what its records look like.

    `width`: fields of a record (None: any number). `header`: text of a line that is none of them. `carriage`: a
    carriage return ends a line too. A field is quoted as a whole or holds no quote; whatever matches is sound but for
    undecodable bytes and NUL.
    """

    delimiter: bytes
    quote: bytes | None
    escape: bytes | None
    width: int | None
    header: bytes = b""
    comment: bytes = b""
    carriage: bool = False
    lines: Bytes = field(init=False)  # whole records of one line each, as many as there are; none for any width
    record: Bytes = field(init=False)  # one record of any number of lines, with its line end or at the end of the text
    any_width: Bytes = field(init=False)  # one record, however many fields it has
    opened: Bytes = field(init=False)  # a record that ends inside of quotes
    line_end: Bytes = field(init=False)
    _quoted: Bytes = field(init=False)

    def __post_init__(self) -> None:
        mark, end = re.escape(self.delimiter), rb"(?:\r\n|\n|\r)" if self.carriage else rb"\r?\n"
        last = rb"(?:" + end + rb"|\r?\Z)"
        more = rb"*+" if self.width is None else rb"{%d}+" % (self.width - 1)
        quoted, one_line = self._quoted_field(b""), self._quoted_field(rb"\r\n")
        escaped = rb"|" + re.escape(self.escape) + rb"[^\r\n]" if self.escape else b""
        free = _none_of((self.delimiter, self.quote, self.escape), rb"\r\n")
        free = rb"(?:" + free + rb"++" + escaped + rb")*+" if escaped else free + rb"*+"
        cell, short_cell = rb"(?:" + quoted + rb"|" + free + rb")", rb"(?:" + one_line + rb"|" + free + rb")"
        start = rb"(?!\r?\n|\r)" if self.width in {1, None} else b""
        start += rb"(?!" + re.escape(self.comment) + rb")" if self.comment else b""
        start += rb"(?!" + re.escape(self.header) + rb"(?:\r|\n|\Z))" if self.header else b""
        patterns = {
            "lines": rb"(?!)"
            if self.width is None
            else rb"(?:" + start + short_cell + rb"(?:" + mark + short_cell + rb")" + more + end + rb")*+",
            "record": start + cell + rb"(?:" + mark + cell + rb")" + more + last,
            "any_width": cell + rb"(?:" + mark + cell + rb")*+" + last,
            "opened": rb"(?:" + cell + mark + rb")*+" + quoted[: -len(re.escape(self.quote))]
            if self.quote
            else rb"(?!)",
            "line_end": end,
            "_quoted": quoted,
        }
        for name, pattern in patterns.items():
            object.__setattr__(self, name, re.compile(pattern, re.DOTALL))

    def _quoted_field(self, never: bytes) -> bytes:
        """The pattern of a quoted field that holds none of the bytes `never`."""
        if not self.quote:
            return rb"(?!)"
        quote = re.escape(self.quote)
        other = re.escape(self.escape) + rb"[^\r\n]" if self.escape else quote * 2
        return quote + rb"(?:" + _none_of((self.quote, self.escape), never) + rb"++|" + other + rb")*+" + quote

    @property
    def simple(self) -> bool:
        """Whether a line shows by its marks alone if it is a record."""
        one_byte = len(self.delimiter) == 1 and len(self.quote or b"") <= 1
        return one_byte and self.width is not None and not (self.escape or self.comment or self.carriage)

    def lines_in(self, data: bytes) -> int:
        """How many lines end in `data`; a carriage return before a line feed is no line of its own."""
        lines = data.count(b"\n")
        return lines + data.count(b"\r") - data.count(b"\r\n") if self.carriage else lines

    def fields_of(self, record: bytes) -> int:
        """How many fields a record has whose quotes are in order."""
        plain = self._quoted.sub(b"", record)
        if self.escape:
            plain = re.sub(re.escape(self.escape) + rb"[^\r\n]", b"", plain)
        return plain.count(self.delimiter) + 1


def grammar(dialect: Dialect, width: int | None, *, header: bytes = b"", carriage: bool = False) -> Grammar:
    """The grammar of a text in UTF-8 that is written in this dialect."""
    quote = dialect.quote_char.encode() if dialect.quote_char else None
    escape = dialect.escape_char.encode() if dialect.escape_char not in {None, dialect.quote_char} else None
    comment = (dialect.comment_char or "").encode()
    return Grammar((dialect.delimiter or ",").encode(), quote, escape, width, header, comment, carriage)


def is_usual(dialect: Dialect) -> bool:
    """Whether every reader of CSV cuts such a text alike: nothing is escaped but by doubling, marks are ASCII.

    Letters, digits and control characters other than a tab could stand in a placeholder of a fair copy.
    """
    marks = (dialect.delimiter or ",") + (dialect.quote_char or "")
    plain = all(mark == "\t" or (mark.isascii() and mark.isprintable() and not mark.isalnum()) for mark in marks)
    return plain and dialect.escape_char in {None, dialect.quote_char}


def csv_options(dialect: Dialect, *, strict: bool = True) -> dict[str, Any]:
    """The dialect in the words of Python's csv module."""
    quoting = csv.QUOTE_MINIMAL if dialect.quote_char else csv.QUOTE_NONE
    escape = dialect.escape_char if dialect.escape_char != dialect.quote_char else None
    return {
        "delimiter": dialect.delimiter or ",",
        "quotechar": dialect.quote_char or None,
        "quoting": quoting,
        "escapechar": escape,
        "doublequote": escape is None,
        "strict": strict,
    }


def _none_of(marks: tuple[bytes | None, ...], never: bytes) -> bytes:
    """The pattern of one character (or byte) that begins none of `marks` and is none of `never`."""
    there = [mark for mark in marks if mark]
    if all(len(mark) == 1 for mark in there):
        return rb"[^" + b"".join(map(re.escape, there)) + never + rb"]"
    other = rb"[^" + never + rb"]" if never else rb"."
    return rb"(?:(?!" + b"|".join(map(re.escape, there)) + rb")" + other + rb")"
