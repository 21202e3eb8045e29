"""JSON Lines: every record as text, exactly as it stands; what is no plain JSON object is one malformed record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from pathlib import Path
from typing import Any, Final, NoReturn

from pratique.errors import SourceError
from pratique.model import ArrowForm, RawRecord
from pratique.nesting import array_in
from pratique.schema import Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import expected
from pratique.sources.files.scan import Layout, blocks, scan
from pratique.sources.files.survey import Survey, fingerprint, text_batches

# Limit: nested arrays and objects; a parser's stack is not endless.
_DEPTH_MAX: Final = 100
_TEXTS: Final = frozenset({str, type(None)})
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)  # one that is not closed reaches to the end


class _MalformedError(ValueError):
    """Why a line cannot be judged."""


def survey_jsonl(handle: int, path: Path, schema: Schema, limits: ReadLimits) -> Survey:
    """Hash, count and describe a JSON Lines file; single bad lines do not hold it, one that is too long does."""
    found = scan(handle, Layout(limits.record_bytes_max))
    if not found.records:
        raise SourceError("it is empty", hint="ask the sender", facts={"sha256": fingerprint(handle)[0]})
    columns = expected(schema)
    parse = RecordParser(schema).parse

    def rows() -> Iterator[tuple[list[str | None], str | None]]:
        with path.open("rb", 1 << 20) as file:
            for number, line in enumerate(file):
                if line.rstrip(b"\r\n"):
                    values, problem = parse(_strip(line, first=number == 0))
                    yield [values.get(name) for name in columns], problem

    def records_of(numbers: Sequence[int]) -> Iterator[RawRecord]:
        with path.open("rb", buffering=0) as file:
            for wanted, first, data, begin, line in blocks(file.fileno(), found, numbers):
                split = data.split(b"\n")
                offsets = accumulate((len(raw) + 1 for raw in split), initial=begin)
                lines = [place for place in zip(count(line), offsets, split) if place[2] not in {b"", b"\r"}]
                for number in wanted:
                    at, offset, written = lines[number - first]
                    raw = _strip(written, first=at == 1)
                    yield RawRecord(number, at, raw.decode("utf-8", "backslashreplace"), parse(raw)[0], offset)

    return Survey(
        sha256=found.sha256,
        size=found.size,
        records=found.records,
        form=ArrowForm(dict.fromkeys(columns, "VARCHAR"), lambda: text_batches(columns, rows()), malformed=True),
        records_of=records_of,
        blank_lines=found.blank_lines,
    )


def _strip(line: bytes, *, first: bool) -> bytes:
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    return line.removeprefix(b"\xef\xbb\xbf") if first else line


def plain_decoder() -> json.JSONDecoder:
    """A decoder that keeps the text of each number, and refuses what no record may hold."""
    return json.JSONDecoder(
        parse_int=str, parse_float=str, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins
    )


@dataclass(slots=True)
class RecordParser:
    """Parses the text of a record: numbers, booleans, nested values keep theirs, strings are decoded, null is None."""

    schema: Schema | None
    _names: dict[str, str]
    _own_names: bool
    _texts: frozenset[str]  # columns of texts in which nothing may be nested
    _scan: Callable[[str, int], tuple[Any, int]]

    def __init__(self, schema: Schema | None, *, nested: bool = False) -> None:
        """Without a schema every key is a column.

        `nested`: the records stand in documents, and what is nested in them again is no text.
        """
        self.schema = schema
        fields = [item for item in schema.fields if item.capture is None and item.expression is None] if schema else []
        self._names = {name: item.headers[0] for item in reversed(fields) for name in reversed(item.headers)}
        self._own_names = all(name == column for name, column in self._names.items())
        others = {item.headers[0] for item in fields if item.type.name != "string"}
        strict = nested or (schema is not None and schema.nested)
        self._texts = frozenset(self._names.values()) - others if strict else frozenset()
        self._scan = strict_decoder().scan_once  # type: ignore[attr-defined] # unknown to typeshed, as `scanstring`

    @property
    def _nested(self) -> tuple[tuple[str, ...], ...]:
        return self.schema.nested if self.schema is not None else ()

    @property
    def _rejects(self) -> bool:
        return self.schema is not None and self.schema.extra_fields == "reject"

    def parse(self, line: bytes) -> tuple[dict[str, str | None], str | None]:
        """(values by column, None), or ({}, why not)."""
        try:
            return self._object(line.decode()), None
        except _MalformedError as error:
            return {}, str(error)
        except UnicodeDecodeError as error:
            return {}, f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start + 1}"
        except StopIteration as error:
            return {}, f"not JSON: no value at character {error.value + 1}"
        except json.JSONDecodeError as error:
            return {}, f"not JSON: {error.msg} at character {error.pos + 1}"

    def of(self, record: dict[str, Any], *, doubtful: bool) -> dict[str, str | None] | None:
        """What `parse` gives for a record that `plain_decoder` made, None where only its text can tell.

        `doubtful`: it may hold half a character.
        """
        if doubtful and not _is_whole(record):
            return None
        if self._own_names and _TEXTS.issuperset(map(type, record.values())) and record.keys() <= self._names.keys():
            return record
        values: dict[str, str | None] = {}
        for key, value in record.items():
            if type(value) is bool:
                value = "true" if value else "false"  # noqa: PLW2901 - as it is written
            elif type(value) not in _TEXTS:
                return None
            column = self._names.get(key) if self.schema else key
            if column is None and (self._rejects or self._nested):
                return None
            if column in values:
                return None
            if column is not None:
                values[column] = value
        return values

    def _object(self, text: str) -> dict[str, str | None]:
        refuse_depth(text)
        at = _skip(text, 0)
        if text[at : at + 1] != "{":
            value, end = self._scan(text, at)
            if _skip(text, end) != len(text):
                raise _MalformedError(f"not JSON: text after the value at character {end + 1}")
            raise _MalformedError(f"not an object but {_kind(value)}")
        values: dict[str, str | None] = {}
        seen: set[str] = set()
        at = _skip(text, at + 1)
        if text[at : at + 1] == "}":
            return self._end(text, at, values)
        while True:
            key, at = _key(text, at)
            if key in seen:
                raise _MalformedError(f"the key {key!r} stands twice")
            seen.add(key)
            value, end = self._scan(text, at)
            self._refuse_kind(key, value)
            self._put(values, key, _text(text[at:end], value))
            at = _skip(text, end)
            mark = text[at : at + 1]
            if mark == "}":
                return self._end(text, at, values)
            if mark != ",":
                raise _MalformedError(f"not JSON: expected , or }} at character {at + 1}")
            at = _skip(text, at + 1)

    def _refuse_kind(self, key: str, value: Any) -> None:
        """Refuse what is no array where another table takes one, and what is nested where a text is declared."""
        for keys in self._nested:
            if keys[0] == key:
                _refuse_no_array(value, keys)
        if isinstance(value, dict | list) and self._names.get(key) in self._texts:
            raise _MalformedError(f"{key!r} is {_kind(value)} where a text is declared")

    def _put(self, values: dict[str, str | None], key: str, value: str | None) -> None:
        column = self._names.get(key) if self.schema else key
        if column is None:
            if self._rejects and (key,) not in self._nested:
                raise _MalformedError(f"unknown field {key!r}")
        elif column in values:
            raise _MalformedError(f"the field {column!r} stands under two of its names")
        else:
            values[column] = value

    @staticmethod
    def _end(text: str, at: int, values: dict[str, str | None]) -> dict[str, str | None]:
        if _skip(text, at + 1) != len(text):
            raise _MalformedError(f"not JSON: text after the object at character {at + 2}")
        return values


def strict_decoder() -> json.JSONDecoder:
    """A decoder for the form of a text alone: numbers come as their lengths, keys that stand twice are refused."""
    return json.JSONDecoder(
        parse_int=len, parse_float=len, parse_constant=_refuse_constant, object_pairs_hook=_refuse_twins
    )


def _refuse_no_array(value: Any, keys: tuple[str, ...]) -> None:
    try:
        array_in({keys[0]: value}, keys)
    except ValueError as error:
        raise _MalformedError(str(error)) from error


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _key(text: str, at: int) -> tuple[str, int]:
    """The key at this place and where its value begins."""
    if text[at : at + 1] != '"':
        raise _MalformedError(f"not JSON: expected a key at character {at + 1}")
    key, at = json.decoder.scanstring(text, at + 1)  # type: ignore[attr-defined]
    _refuse_surrogates(key)
    at = _skip(text, at)
    if text[at : at + 1] != ":":
        raise _MalformedError(f"not JSON: expected : at character {at + 1}")
    return key, _skip(text, at + 1)


def _text(written: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        _refuse_surrogates(value)
        return value
    if written[0] in "{[" and "\\u" in written:
        _refuse_surrogates(json.dumps(value, ensure_ascii=False))
    return written


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether no half of a character stands in its keys and texts."""
    try:
        "".join(record).encode()
        "".join(value for value in record.values() if type(value) is str).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _MalformedError(f"half a character: \\u{ord(text[error.start]):04x} without its other half") from error


def _refuse_constant(name: str) -> NoReturn:
    raise _MalformedError(f"{name} is not a JSON number")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise _MalformedError(f"the key {twin!r} stands twice")
    return found


def refuse_depth(text: str) -> None:
    """Raise ValueError for a text that is nested deeper than a parser's stack should be asked to follow."""
    if text.count("[") + text.count("{") <= _DEPTH_MAX:
        return
    depth = 0
    for mark in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if mark in "[{" else -1
        if depth > _DEPTH_MAX:
            raise _MalformedError(f"nested deeper than {_DEPTH_MAX}")


def _kind(value: Any) -> str:
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )
