"""Cuts a text into records: what is sound in runs, what is broken one by one."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pratique.errors import SourceError
from pratique.sources.files.grammar import Bytes, Grammar

# Limit: bytes of a run of records; what is searched again around a broken record.
_RUN_BYTES: Final = 16 << 10
# Limit: from so many bytes on, looking at all lines of a buffer at once is faster than a regular expression.
_MANY_BYTES: Final = 256 << 10


class Cut(NamedTuple):
    """`records` sound records as they stand in the text, or one (`problem` says why it cannot be read)."""

    offset: int  # in bytes from the beginning of the text
    line: int  # physical line, from 1
    data: bytes  # with line ends
    records: int
    problem: str | None


def end_of(record: bytes) -> bytes:
    """The line end of a record, empty if it has none."""
    for end in (b"\r\n", b"\n", b"\r"):
        if record.endswith(end):
            return end
    return b""


class Cutter:
    """Yields every record of a UTF-8 text once, in order; the counters tell of what was passed so far.

    A record that fits the grammar is sound, on however many lines. Else its first line alone is broken, and the next
    one is looked at as the beginning of a record: a stray quote costs a line, not the rest of the text. Only where the
    quotes of a longer record are in order and the number of its fields is not, the whole record is broken, unless
    every line inside of it is a record by itself. Time is linear, memory a few times `record_bytes_max` at worst.
    Raises SourceError at a line that is longer than that, and at text below a footer.

    `encoding`: what the text was written in, for messages. `footer`: a pattern of lines that end the records.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        grammar: Grammar,
        record_bytes_max: int,
        *,
        encoding: str = "utf-8",
        footer: str | None = None,
        offset: int = 0,
        line: int = 1,
    ) -> None:
        self.blank_lines = self.skipped_lines = 0
        self.multiline = False
        self.ends: set[bytes] = set()  # by which records and lines between them end
        self._grammar, self._limit, self._encoding = grammar, record_bytes_max, encoding
        self._footer = re.compile(footer) if footer else None
        self._below_footer = False
        self._chunks = iter(chunks)
        self.offset, self.line = offset, line
        # Whole lines, all of the text if it is over; what follows the last line end; where the next record begins.
        self._buffer, self._tail, self._at, self._over = b"", b"", 0, False
        self._nul = self._invalid = -1  # where the next one stands in the buffer; its length if there is none
        self._doubtful: list[int] | None = None  # where lines begin that are no record by themselves, if that is known

    def __iter__(self) -> Iterator[Cut]:
        """Yield runs of sound records and broken records."""
        while self._at < len(self._buffer) or self._more():
            self._look_for_damage()
            end = self._run_end()
            if end > self._at:
                yield self._take(end, None, None)
            elif (cut := self._one()) is not None:
                yield cut

    def _run_end(self) -> int:
        """Where the sound records of one line each end that begin here."""
        if self._footer is not None:
            return self._at
        stop = min(self._at + min(_RUN_BYTES, self._limit), self._nul, self._invalid)
        if self._doubtful is None:
            found = self._grammar.lines.match(self._buffer, self._at, stop)
            return found.end() if found else self._at
        next_one = bisect_left(self._doubtful, self._at)
        if next_one < len(self._doubtful):
            stop = min(stop, self._doubtful[next_one])
        return self._buffer.rfind(b"\n", self._at, stop) + 1 or self._at

    def _one(self) -> Cut | None:
        """One record, sound or broken; None for a line that holds none."""
        line = self._physical_line()
        if self._is_noise(line):
            self._take(self._at + len(line), 0, None)
            return None
        found = self._whole(self._grammar.record)
        if found is not None:
            end, problem = found.end(), None
            self.multiline |= end - self._at > len(line)
        else:
            end, problem = self._broken(line)
        if min(self._nul, self._invalid) < end:
            problem = self._damage()
        return self._take(end, 1, problem)

    def _take(self, end: int, records: int | None, problem: str | None) -> Cut:
        """Cut up to `end`; `records` None: every line is one."""
        data = self._buffer[self._at : end]
        lines = self._grammar.lines_in(data)
        made = Cut(self.offset, self.line, data, lines if records is None else records, problem)
        if records is not None:  # whatever is inside of a record on several lines
            self.ends |= {end_of(data)} - {b""}
        elif b"\r" not in data:
            self.ends.add(b"\n")
        else:
            self.ends |= {found[0] for found in self._grammar.line_end.finditer(data)}
        self._at = end
        self.offset += len(data)
        self.line += lines
        return made

    def _physical_line(self) -> bytes:
        found = self._grammar.line_end.search(self._buffer, self._at)
        line = self._buffer[self._at : found.end() if found else len(self._buffer)]
        if len(line) > self._limit:
            raise self._too_long(self.line)
        return line

    def _is_noise(self, line: bytes) -> bool:
        """Whether a line is blank, a comment, or at or below the footer; counts it if so."""
        if line == end_of(line):
            self.blank_lines += 1
            return True
        footer = self._footer is not None and self._footer.search(line.decode(errors="replace"))
        if self._below_footer and not footer and line.strip():
            hint = "dialect.footer must match the last lines only"
            raise SourceError(f"line {self.line} stands after the footer", hint=hint, facts={"line": self.line})
        self._below_footer |= bool(footer)
        comment = bool(self._grammar.comment) and line.startswith(self._grammar.comment)
        self.skipped_lines += comment or self._below_footer
        return comment or self._below_footer

    # --- what is broken -----------------------------------------------------------------------------------------

    def _whole(self, pattern: Bytes) -> re.Match[bytes] | None:
        """The record that begins here, however many lines it takes within the limit."""
        while True:
            found = pattern.match(self._buffer, self._at)
            if found is not None:
                return found if found.end() - self._at <= self._limit else None
            if len(self._buffer) - self._at > self._limit or not self._is_open() or not self._more():
                return None

    def _is_open(self) -> bool:
        """Whether a quote is open at the end of the buffer."""
        return self._grammar.opened.fullmatch(self._buffer, self._at) is not None

    def _broken(self, line: bytes) -> tuple[int, str]:
        """Where a record ends that does not fit, and what is wrong with it."""
        grammar, end = self._grammar, self._at + len(line)
        if grammar.header and line.rstrip(b"\r\n") == grammar.header:
            return end, "it repeats the header"
        whole = self._whole(grammar.any_width)
        if whole is not None and not self._swallows_records(whole[0], line):
            return whole.end(), f"expected {grammar.width} fields, found {grammar.fields_of(whole[0])}"
        if whole is not None:
            return end, f"the quote opened in line {self.line} is closed only behind other records"
        if grammar.opened.fullmatch(line) and self._is_open():
            within = "" if self._over else f" within {self._limit:,} bytes"
            return end, f"the quote opened in line {self.line} is never closed{within}"
        if not grammar.carriage and b"\r" in line.rstrip(b"\r\n") and (not grammar.quote or grammar.quote not in line):
            return end, "a carriage return stands alone in it"
        return end, "its quotes are broken: one stands inside an unquoted field, or text stands after a closing one"

    def _swallows_records(self, record: bytes, line: bytes) -> bool:
        """Whether every line between the first and the last one of a record is a record by itself."""
        body = record.rstrip(b"\r\n")
        last = max(body.rfind(b"\n"), body.rfind(b"\r") if self._grammar.carriage else -1) + 1
        inside = record[len(line) : last]
        return bool(inside) and self._grammar.lines.fullmatch(inside) is not None

    def _damage(self) -> str:
        """What stands at the first damaged byte."""
        if self._nul < self._invalid:
            return "a NUL character"
        if self._encoding == "utf-8":
            return f"byte 0x{self._buffer[self._invalid]:02x} is not UTF-8"
        half = ord(self._buffer[self._invalid : self._invalid + 3].decode("utf-8", "surrogatepass"))
        if self._encoding.startswith("utf"):
            return f"half of a surrogate pair: not {self._encoding}"
        return f"byte 0x{half & 0xFF:02x} is not {self._encoding}"

    def _look_for_damage(self) -> None:
        """Find the next NUL and the next byte that is not UTF-8."""
        if self._nul < self._at:
            found = self._buffer.find(b"\0", self._at)
            self._nul = found if found >= 0 else len(self._buffer)
        if self._invalid < self._at:
            self._invalid = self._next_invalid(self._at)

    def _next_invalid(self, at: int) -> int:
        while at < len(self._buffer):
            window = self._buffer[at : at + _RUN_BYTES]  # an error holds a copy of all that was to be decoded
            try:
                at += codecs.utf_8_decode(window, "strict", at + len(window) == len(self._buffer))[1]
            except UnicodeDecodeError as error:
                return at + error.start
        return at

    # --- the buffer ---------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        """Take further whole lines into the buffer, at least one; False if the text is over."""
        rest = self._buffer[self._at :]
        parts, size = [self._tail], len(self._tail)
        while not self._over:
            chunk = next(self._chunks, b"")
            self._over = not chunk
            parts.append(chunk)
            size += len(chunk)
            if self._over or self._last_line_end(chunk):
                taken = b"".join(parts)
                cut = len(taken) if self._over else self._last_line_end(taken)
                self._buffer, self._tail, self._at = rest + taken[:cut], taken[cut:], 0
                self._nul = self._invalid = -1
                self._look_for_damage()
                self._look_for_doubt()
                return bool(cut)
            if size > self._limit:
                raise self._too_long(self.line + self._grammar.lines_in(rest))
        return False

    def _look_for_doubt(self) -> None:
        """Look at all lines of a large buffer at once, where the marks are simple."""
        self._doubtful = None
        if len(self._buffer) >= _MANY_BYTES and self._grammar.simple:
            from pratique.sources.files.plain_lines import doubtful_lines  # noqa: PLC0415 - numpy costs 0.1 s

            self._doubtful = doubtful_lines(self._buffer, self._grammar)

    def _last_line_end(self, text: bytes) -> int:
        """Behind the last line end; a carriage return at the very end may be the first half of one."""
        found = text.rfind(b"\n")
        return (max(found, text.rfind(b"\r", 0, -1)) if self._grammar.carriage else found) + 1

    def _too_long(self, line: int) -> SourceError:
        return SourceError(
            f"the record in line {line} is longer than {self._limit:,} bytes",
            hint="is this text with a record per line?",
            facts={"line": line},
        )
