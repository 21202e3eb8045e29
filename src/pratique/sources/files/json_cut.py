"""Cuts a JSON array into the text of its elements, in flat memory; what an element holds is judged elsewhere.

The array is the whole text, or what keys lead to; of what stands beside it only the brackets and strings are looked at.

The cut follows brackets, and strings that stand where JSON allows one: after a bracket, a comma or a colon, and before
one. So a damage inside of an element that leaves its ends certain costs that element; any other one is a fault of the
file, for nobody could say where the elements behind it begin.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, NoReturn

from pratique.errors import SourceError

# Limit: bytes per read; the window grows only where one element is longer.
_PIECE_BYTES: Final = 1 << 20
# Limit: brackets that are open at once; beyond it the file is held before time is spent on looking for their ends.
_OPEN_MAX: Final = 100_000
_BOM: Final = b"\xef\xbb\xbf"

_BLANK: Final = rb"[ \t\r\n]*+"
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BEFORE: Final = rb'(?:[^"\[\]{}]*[,:])?' + _BLANK  # what may stand between a bracket and the first string after it
_RUN: Final = (
    rb"(?>" + _BEFORE + _STRING + rb"(?:" + _BLANK + rb"[,:]" + _BEFORE + _STRING + rb")*+"
    rb"(?:" + _BLANK + rb'[,:][^"\[\]{}]*+|' + _BLANK + rb')|[^"\[\]{}]*+)'
)  # fmt: skip
_TO_BRACKET: Final = re.compile(_RUN + rb"(?=[\[\]{}])", re.DOTALL)
_LEAF: Final = rb"(?:\[" + _RUN + rb"\]|\{" + _RUN + rb"\})"
# What most records are: an object that holds values and perhaps objects or arrays of values; one step of C for each.
_SHALLOW: Final = re.compile(rb"\{" + _RUN + rb"(?:" + _LEAF + _RUN + rb")*+\}", re.DOTALL)
_SCALAR: Final = re.compile(rb"(?:" + _STRING + _BLANK + rb'|[^"\[\]{},]++)(?=[,\]])', re.DOTALL)
_MEMBER: Final = re.compile(rb"(?:" + _STRING + _BLANK + rb'|[^"\[\]{},]++)(?=[,}])', re.DOTALL)
_ONE_STRING: Final = re.compile(_STRING, re.DOTALL)
_BLANKS: Final = re.compile(_BLANK)
_MARK: Final = re.compile(rb'["\[\]{}]')
_MARK_OR_COMMA: Final = re.compile(rb'["\[\]{},]')
_OPENING: Final = b"{["
_LEAD: Final = "correct `records`, such as data[*]"
# Limit: keys that an error names, and the length of a value that is passed over is that of a record.
_SHOWN_KEYS: Final = 8


class Element(NamedTuple):
    """The text of one element, where it begins, and its first physical line (from 1)."""

    offset: int
    line: int
    text: bytes


class JsonText:
    """One reading of a JSON file from `offset` on, which is the first byte or that of an element. Flat memory.

    At the end, `sha256` and `size` are those of everything that was read.
    """

    def __init__(
        self, handle: int, record_bytes_max: int, offset: int = 0, line: int = 1, *, piece_bytes: int = _PIECE_BYTES
    ) -> None:
        self._handle, self._limit, self._piece = handle, record_bytes_max, piece_bytes
        self._window, self._base, self._at, self._line = b"", offset, 0, line
        self._digest = hashlib.sha256()
        self._ended = False
        self.blank = False  # nothing but blanks stands in the file
        self.size = offset

    @property
    def sha256(self) -> str:
        """The hash of what was read."""
        return self._digest.hexdigest()

    def elements(self, keys: Sequence[str] = ()) -> Iterator[Element]:
        """Yield every element of the array, or the one object; SourceError says where the text is broken.

        `keys` lead to the array through objects; null there is no element. SourceError if they lead nowhere.
        """
        self._more()
        self._refuse_other_text()
        if self._window.startswith(_BOM):
            self._at = len(_BOM)
        first = self._next()
        if first and keys:
            yield from self._inside(tuple(keys), 0)
            if self._next():
                self._refuse_more("object")
        elif first == b"{":
            yield self._element()
            if self._next():
                self._refuse_more("object")
        elif first == b"[":
            yield from self._array()
            if self._next():
                self._refuse_more("array")
        elif first:
            self._broken("neither an array nor an object begins here")
        else:
            self.blank = True

    def _array(self) -> Iterator[Element]:
        """Yield the elements of the array that begins here."""
        self._at += 1
        if self._next() == b"]":
            self._at += 1
        else:
            yield from self.rest()

    def _inside(self, keys: tuple[str, ...], depth: int) -> Iterator[Element]:
        """Yield what the keys from `depth` on lead to from the value that begins here."""
        first = self._next()
        if depth == len(keys) and first == b"[":
            yield from self._array()
        elif depth < len(keys) and first == b"{":
            yield from self._members(keys, depth)
        elif depth == 0 or self._value().strip() != b"null":
            what = "an array" if depth == len(keys) else "an object"
            self._broken(f"{what} is expected at {'.'.join(keys[:depth]) or 'its top'!r}", hint=_LEAD)

    def _members(self, keys: tuple[str, ...], depth: int) -> Iterator[Element]:
        """Yield what the key at `depth` leads to in the object that begins here, and pass over its other members."""
        wanted, seen = keys[depth], list[str]()
        self._at += 1
        mark = self._next()
        self._at += mark == b"}"
        while mark != b"}":
            key = self._key()
            if key == wanted and key in seen:
                self._broken(f"the key {key!r} stands twice")
            if key == wanted or len(seen) < _SHOWN_KEYS:
                seen.append(key)
            yield from self._inside(keys, depth + 1) if key == wanted else self._passed_over()
            mark = self._next()
            if mark not in (b",", b"}"):
                self._broken("a comma or } is missing" if mark else "the object is not closed")
            self._at += 1
        if wanted not in seen:
            there = ", ".join(map(repr, seen)) or "no keys at all"
            raise SourceError(f"there is no {'.'.join(keys[: depth + 1])!r} in it; there are {there}", hint=_LEAD)

    def _passed_over(self) -> Iterator[Element]:
        """Yield nothing of the value that begins here; an array may be as long as it likes."""
        if self._next() != b"[":
            self._value()
            return
        for _ in self._array():
            yield from ()

    def _key(self) -> str:
        """The key that begins here; behind it, its value begins."""
        if self._next() != b'"':
            self._broken("a key is expected")
        while (text := _ONE_STRING.match(self._window, self._at)) is None:
            if not self._more():
                self._broken("a string begins that is never closed")
        try:
            key = str(json.loads(text[0]))
        except ValueError:  # not UTF-8 either
            self._broken("a key is no JSON string")
        self._at = text.end()
        if self._next() != b":":
            self._broken("a colon is missing")
        self._at += 1
        self._next()
        return key

    def _value(self) -> bytes:
        """The value of a member, which begins here; nothing but its end is looked at."""
        while self._next() not in (b"{", b"["):
            if scalar := _MEMBER.match(self._window, self._at):
                self._at = scalar.end()
                return scalar[0]
            if not self._more():
                self._broken("the object is not closed")
        return self._element().text

    def rest(self) -> Iterator[Element]:
        """Yield the elements from here on to the end of the array."""
        while True:
            self._next()
            yield self._element()
            mark = self._next()
            if mark not in (b",", b"]"):
                self._broken("a comma or ] is missing" if mark else "the array is not closed")
            self._at += 1
            if mark == b"]":
                return

    def _element(self) -> Element:
        while (end := self._end()) is None:
            if self._ended:
                self._broken("the array or object that begins here is not closed")
            self._more()
        text = self._window[self._at : end]
        if len(text) > self._limit:
            self._refuse_length()
        element = Element(self._base + self._at, self._line, text)
        self._line += text.count(b"\n")
        self._at = end
        return element

    def _end(self) -> int | None:
        """Where the value that begins here ends; None if that lies beyond the window."""
        window, at = self._window, self._at
        if shallow := _SHALLOW.match(window, at):
            return shallow.end()
        if window[at : at + 1] and window[at] in _OPENING:
            return self._bracketed(window, at)
        if scalar := _SCALAR.match(window, at):
            return scalar.end()
        text = _ONE_STRING.match(window, at)
        if text:
            beyond = _BLANKS.match(window, text.end())
            if beyond and beyond.end() < len(window):
                self._broken("a string is followed by something else", beyond.end())
            return None
        mark = _MARK_OR_COMMA.search(window, at)
        if mark and mark.start() == at and mark[0] != b'"':
            self._broken("a value is missing")
        if mark and mark.start() > at:
            self._broken("a value is followed by something else", mark.start())
        return None

    def _bracketed(self, window: bytes, at: int) -> int | None:
        closing = bytearray()
        while True:
            mark = window[at]
            if mark in _OPENING:
                closing.append(mark + 2)
                if len(closing) > _OPEN_MAX:
                    self._broken(f"more than {_OPEN_MAX:,} brackets are open at once", at)
            elif closing.pop() != mark:
                self._broken(f"{chr(mark)} closes what another bracket opened", at)
            at += 1
            if not closing:
                return at
            run = _TO_BRACKET.match(window, at)
            if run is None:
                self._find_fault(window, at)
                return None
            at = run.end()

    def _find_fault(self, window: bytes, at: int) -> None:
        """Refuse a string that stands where none can; return if only the rest of the value is missing."""
        after_string = False
        while True:
            mark = _MARK.search(window, at)
            gap = window[at : mark.start() if mark else None].strip(b" \t\r\n")
            if after_string and gap and gap[:1] not in b",:":
                self._broken("a string is followed by something else: is a quote missing, or one too many?", at)
            if mark is None or mark[0] != b'"':
                return
            if (gap and gap[-1:] not in b",:") or (after_string and not gap):
                self._broken("a string begins where none can: is a quote missing, or one too many?", mark.start())
            text = _ONE_STRING.match(window, mark.start())
            if text is None:
                if self._ended:
                    self._broken("a string begins that is never closed", mark.start())
                return
            at, after_string = text.end(), True

    def _next(self) -> bytes:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            blanks = _BLANKS.match(self._window, self._at)
            end = blanks.end() if blanks else self._at
            self._line += self._window.count(b"\n", self._at, end)
            self._at = end
            if end < len(self._window):
                return self._window[end : end + 1]
            if not self._more():
                return b""

    def _more(self) -> bool:
        """Read on, keeping what is not cut yet; twice as much each time, so that a long element costs no square."""
        kept = self._window[self._at :]
        if len(kept) > self._limit:
            self._refuse_length()
        piece = os.pread(self._handle, max(self._piece, len(kept)), self.size)
        self._digest.update(piece)
        self.size += len(piece)
        self._ended = not piece
        self._base += self._at
        self._window, self._at = kept + piece, 0
        return bool(piece)

    def _refuse_length(self) -> NoReturn:
        raise SourceError(
            f"the record at byte offset {self._base + self._at:,} (line {self._line:,}) is longer than "
            f"{self._limit:,} bytes",
            hint="is this an array of records? raise limits.record_bytes_max if it is",
        )

    def _refuse_other_text(self) -> None:
        head = self._window[:4]
        if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
            raise SourceError("it is not UTF-8 but perhaps UTF-16", hint="JSON is UTF-8: have it written anew")

    def _refuse_more(self, what: str) -> NoReturn:
        lines = what == "object" and self._window[self._at : self._at + 1] == b"{"
        hint = "a record per line is `format: jsonl`" if lines else ""
        self._broken(f"something follows the {what}", hint=hint)

    def _broken(self, why: str, at: int | None = None, *, hint: str = "") -> NoReturn:
        at = self._at if at is None else at
        line = self._line + self._window.count(b"\n", self._at, at)
        raise SourceError(
            f"the JSON is broken at byte offset {self._base + at:,} (line {line:,}): {why}",
            hint=hint or "repair it there, or ask for it to be sent anew; nothing of it was loaded",
        )
