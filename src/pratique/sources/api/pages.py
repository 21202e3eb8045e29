"""The records in a page: counted when it lands, cut out and parsed when they are judged; no digit takes a detour.

The two ways know nothing of each other, so that the balance of a load means something: a page that lands is parsed by
one parser and its arrays are counted; the records that are judged are cut out of the text by another one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from pratique.apis import EACH, JsonPath, kind_of
from pratique.errors import SourceError
from pratique.schema import Schema
from pratique.sources.files.header import expected
from pratique.sources.files.jsonl import RecordParser, plain_decoder

_DIGITS_MAX: Final = 4000  # Limit: Python refuses to make more of them a number
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_BOM: Final = b"\xef\xbb\xbf"
_LOOK: Final = "look at what it answers: a page for people, or an error?"


@dataclass(frozen=True, slots=True)
class Counted:
    """A page as it lands: its parsed value for what leads on, how many records it holds, and their hash."""

    value: Any
    records: int
    content: str


def counted(body: bytes, records: JsonPath) -> Counted:
    """Count the records of a page; SourceError says why it is none."""
    value = parsed(body)
    _refuse_twins(body, records)
    try:
        found = records.records(value)
    except ValueError as error:
        told = f"there are no records at {records.text or 'its top'!r}: {error}"
        raise SourceError(told, hint="correct `records`, such as data[*]") from error
    try:
        text = orjson.dumps(found)
    except orjson.JSONEncodeError:  # half a character, or more nesting than it writes
        try:
            text = repr(found).encode("utf-8", "surrogatepass")
        except RecursionError as error:
            raise SourceError("it is not JSON: nested too deep", hint=_LOOK) from error
    return Counted(value, len(found), hashlib.sha256(text).hexdigest() if found else "")


def _refuse_twins(body: bytes, records: JsonPath) -> None:
    """Raise SourceError where a key on the way to the records stands twice in one object: which of them is meant?"""
    keys = [step for step in records.steps if isinstance(step, str)]
    if b"\\u" in body or any(body.count(json.dumps(key, ensure_ascii=False).encode()) > 1 for key in keys):
        PageReader(None, records).refuse_twins(body)


def parsed(body: bytes) -> Any:
    """The value of a JSON text, leniently: what is wrong inside a record is that record's verdict. SourceError."""
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(decoded(body), strict=False, parse_int=_int)
    except (ValueError, RecursionError) as error:
        told = (
            f"{error.msg} at character {error.pos + 1}"
            if isinstance(error, json.JSONDecodeError)
            else "nested too deep"
        )
        raise SourceError(f"it is not JSON: {told}", hint=_LOOK) from error


def _int(text: str) -> int | float:
    """A number that leads somewhere; one of thousands of digits is a record's own matter, and no error of its page."""
    return int(text) if len(text) < _DIGITS_MAX else float(text)


def _shown_int(text: str) -> int | str:
    return int(text) if len(text) < _DIGITS_MAX else text


def shown_records(body: bytes, path: JsonPath, most: int) -> tuple[dict[str, Any], ...]:
    """The first records of a page that was counted, for people: what is wrong in one is not judged."""
    value = json.loads(decoded(body), strict=False, parse_float=str, parse_int=_shown_int)
    return tuple(item for item in path.records(value)[:most] if isinstance(item, dict))


def exact(body: bytes, path: JsonPath) -> str | None:
    """What stands at a path along keys as the text that it is; None for nothing, an empty text, false and zero.

    Raises SourceError for what is neither a text nor a number, and so leads nowhere.
    """
    value = path.one(parsed(body))
    if value is True or (value and isinstance(value, dict | list)):
        told = f"what leads to the next page, at {path.text!r}, is {kind_of(value)}, no text and no number"
        raise SourceError(told, hint="correct the path at `cursor` of `paginate`")
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        found = path.one(json.loads(decoded(body), parse_float=str, parse_int=str, strict=False))
        return str(found) if value else None
    return value if isinstance(value, str) and value else None


def decoded(body: bytes) -> str:
    """The text of a page; what is no UTF-8 in it is kept, and seen when it is judged."""
    return body.removeprefix(_BOM).decode("utf-8", "surrogateescape")


def _is_doubtful(text: str) -> bool:
    """Whether half a character, or a byte that is no UTF-8, may stand in a record."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return "\\u" in text


class CutRecord(NamedTuple):
    """A record in the text of its page: where it stands, and its values by column, or why it has none."""

    begin: int
    end: int
    values: dict[str, str | None]
    problem: str | None


class PageReader:
    """Cuts the records out of pages and parses them, as those of JSON files are parsed."""

    def __init__(self, schema: Schema | None, records: JsonPath) -> None:
        self.columns = expected(schema) if schema else ()
        self._path = records
        self._parser = RecordParser(schema)
        self._decoder = plain_decoder()
        self._lenient = json.JSONDecoder(strict=False)
        self._flat = True  # until a record has values with parts: their text is cut out

    def table(self, body: bytes) -> list[tuple[dict[str, str | None], str | None]]:
        """Values by column, and why there are none, of every record of a page, in order."""
        if self._flat:
            text = decoded(body)
            try:
                found = self._path.records(self._decoder.decode(text))
            except (ValueError, RecursionError):
                found = [None]  # something is wrong in one of them: which one?
            doubtful = _is_doubtful(text)
            made = [self._parser.of(record, doubtful=doubtful) if type(record) is dict else None for record in found]
            if all(values is not None for values in made):
                return [(values, None) for values in made if values is not None]
            self._flat = False
        return [(record.values, record.problem) for record in self.records(body)]

    def records(self, body: bytes) -> Iterator[CutRecord]:
        """Yield every record of a page, in order, with its place in the text."""
        text = decoded(body)
        plain = True
        try:
            found = self._cut(text, self._decoder)
        except (ValueError, StopIteration, RecursionError):
            found, plain = self._cut(text, self._lenient), False
        doubtful = _is_doubtful(text)
        for begin, end, value in found:
            values = self._parser.of(value, doubtful=doubtful) if plain and type(value) is dict else None
            if values is not None:
                yield CutRecord(begin, end, values, None)
            else:
                raw = text[begin:end].encode("utf-8", "surrogateescape")
                yield CutRecord(begin, end, *self._parser.parse(raw))

    def texts(self, body: bytes, numbers: Sequence[int]) -> Iterator[tuple[int, str, dict[str, str | None], int]]:
        """Yield number, raw text, values and offset in bytes of the records with these numbers, counted from 1."""
        text = decoded(body)
        skipped = len(body) - len(body.removeprefix(_BOM))
        wanted = set(numbers)
        offset, at = skipped, 0  # of the record before: the text is gone through once, however many are asked for
        for number, record in enumerate(self.records(body), 1):
            if number in wanted:
                raw = text[record.begin : record.end].encode("utf-8", "surrogateescape")
                offset += len(text[at : record.begin].encode("utf-8", "surrogateescape"))
                at = record.begin
                yield number, raw.decode("utf-8", "backslashreplace"), record.values, offset

    def refuse_twins(self, body: bytes) -> None:
        """Raise SourceError where a key on the way to the records stands twice in one object."""
        with suppress(ValueError, StopIteration, RecursionError):  # what is wrong inside a record is that one's verdict
            self._cut(decoded(body), self._lenient)

    def _cut(self, text: str, decoder: json.JSONDecoder) -> list[tuple[int, int, Any]]:
        """Begin, end and decoded value of every record; ValueError or StopIteration where the text is broken."""
        found: list[tuple[int, int, Any]] = []
        scan = decoder.scan_once  # type: ignore[attr-defined] # typeshed does not know it
        end = self._walk(text, _skip(text, 0), self._path.steps, scan, found)
        if _skip(text, end) != len(text):
            raise ValueError(text)
        return found

    def _walk(self, text: str, at: int, steps: tuple[str | int, ...], scan: Any, found: list[Any]) -> int:
        """Where the value that begins here ends; the records in it are put into `found`."""
        if not steps:
            value, end = scan(text, at)
            found.append((at, end, value))
            return int(end)
        mark, step = text[at : at + 1], steps[0]
        if step == EACH and mark == "[":
            return self._elements(text, at, steps[1:], scan, found)
        if step != EACH and mark == "{":
            return self._members(text, at, steps, scan, found)
        value, end = scan(text, at)
        if value is not None:
            raise ValueError(kind_of(value))
        if EACH not in steps:
            found.append((at, end, None))
        return int(end)

    def _elements(self, text: str, at: int, steps: tuple[str | int, ...], scan: Any, found: list[Any]) -> int:
        at = _skip(text, at + 1)
        if text[at : at + 1] == "]":
            return at + 1
        while True:
            at = _skip(text, self._walk(text, at, steps, scan, found))
            mark = text[at : at + 1]
            if mark == "]":
                return at + 1
            if mark != ",":
                raise ValueError(mark)
            at = _skip(text, at + 1)

    def _members(self, text: str, begin: int, steps: tuple[str | int, ...], scan: Any, found: list[Any]) -> int:
        """Walk through an object. SourceError if two of its members have the name of the next step."""
        at = _skip(text, begin + 1)
        chosen: list[Any] | None = None
        if text[at : at + 1] == "}":
            at += 1
        else:
            while True:
                key, at = json.decoder.scanstring(text, at + 1, False)  # type: ignore[attr-defined] # typeshed
                at = _skip(text, at)
                if text[at : at + 1] != ":":
                    raise ValueError(key)
                at = _skip(text, at + 1)
                if key == steps[0]:
                    if chosen is not None:
                        told = f"the key {key!r} stands twice, again at character {at + 1}"
                        raise SourceError(told, hint="which one is meant? have the API repaired")
                    chosen = []
                    at = self._walk(text, at, steps[1:], scan, chosen)
                else:
                    at = scan(text, at)[1]
                at = _skip(text, at)
                mark = text[at : at + 1]
                at += 1
                if mark == "}":
                    break
                if mark != ",":
                    raise ValueError(mark)
                at = _skip(text, at)
        if chosen is None and EACH not in steps:
            chosen = [(begin, at, None)]
        found.extend(chosen or ())
        return at


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
