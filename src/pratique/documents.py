"""A YAML or JSON document that remembers line and column of every value.

The YAML is a strict part of YAML 1.2: no anchors, aliases, tags or merge keys, no repeated keys. A plain scalar is
a boolean only as `true` or `false`, null only as `null`, `~` or nothing, a number only in JSON's notation; `no`, `on`,
`0123`, `1_000`, `1:30` and dates are text. Keys are always text.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # the strict string scanner of json
from pathlib import Path
from typing import Any, Final, NoReturn

from pratique.errors import ConfigurationError
from pratique.mistakes import Code, Mistake, Mistakes, mistakes_of
from pratique.positions import inside

KeyPath = tuple[str | int, ...]

DOCUMENT_BYTES_MAX: Final = 1 << 20  # Limit: people do not write more; a parser in Python needs seconds for it
DEPTH_MAX: Final = 50  # Limit: far above any real nesting, far below Python's stack
_NOTES_MAX: Final = 100  # Limit: nobody mends more at once, and looking behind each costs time
_DIGITS_MAX: Final = 400  # Limit: longer than any double or decimal; int() of Python refuses 4,300

_RIGHTS: Final = "check the path and its rights"
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_JSON_WORD: Final = re.compile(r"[^\s,:\[\]{}\"]+")
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Document:
    """One document: plain values, and where each of them stands. A key path is a tuple of keys and list indexes."""

    path: str
    value: Any
    _places: Mapping[KeyPath, tuple[int, int]] = field(repr=False)
    _keys: Mapping[KeyPath, tuple[int, int]] = field(repr=False)
    _texts: Mapping[KeyPath, str] = field(repr=False)
    _lines: Sequence[str] = field(repr=False)
    heirs: str = ""  # what is not written in an entry under this key may stand in `defaults`

    def has(self, path: KeyPath) -> bool:
        """True if something is written at `path` itself."""
        return path in self._places

    def where(self, path: KeyPath = ()) -> str:
        """`file:line:column` of the value at `path`, or of its nearest parent that is written."""
        path = self._written(path)
        while path and path not in self._places:
            path = path[:-1]
        return self._told(self._places.get(path, (1, 1)))

    def key_where(self, path: KeyPath) -> str:
        """`file:line:column` of the key that leads to `path`, or of the nearest value that is written."""
        path = self._written(path)
        return self._told(self._keys[path]) if path in self._keys else self.where(path)

    def place(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - the form that specs ask with
        """`key_where` if `key`, else `where`."""
        return self.key_where(path) if key else self.where(path)

    def inside(self, path: KeyPath, text: str, offset: int = 0) -> str:
        """`file:line:column` of the character `offset` of `text`, which is (a part of) the scalar at `path`.

        Where no such scalar is written, it is the place of `path`.
        """
        path = self._written(path)
        while path and path not in self._places:
            path = path[:-1]
        path = path if path in self._texts else (*path, 0)
        whole = self._texts.get(path, "")
        begin = whole.find(text)
        if not text or begin < 0:
            return self.where(path)
        return self._told(inside(self._lines, self._places[path], whole, begin + offset))

    def key_inside(self, path: KeyPath, offset: int) -> str:
        """`file:line:column` of the character `offset` of the key that leads to `path`."""
        place = self._keys.get(path)
        return self.where(path) if place is None else self._told(inside(self._lines, place, str(path[-1]), offset))

    def owners(self) -> Callable[[str], KeyPath]:
        """What gives the key path of the last key or value that begins at a `file:line:column` or before it."""
        known = [(place, path) for places in (self._keys, self._places) for path, place in places.items()]
        known.sort(key=lambda item: (item[0], len(item[1])))
        starts = [place for place, _ in known]

        def owner(where: str) -> KeyPath:
            line, column = (int(part) for part in where.rsplit(":", 2)[1:])
            at = bisect_right(starts, (line, column))
            return known[at - 1][1] if at else ()

        return owner

    def _written(self, path: KeyPath) -> KeyPath:
        """`path`, or the place in `defaults` from which an entry has it."""
        if self.heirs and path[:1] == (self.heirs,) and path not in self._places:
            for length in range(len(path), 2, -1):
                if path[:length] in self._places:
                    break
                if ("defaults", *path[2:length]) in self._places:
                    return ("defaults", *path[2:])
        return path

    def _told(self, place: tuple[int, int]) -> str:
        return f"{self.path}:{place[0]}:{place[1]}"

    def text(self, path: KeyPath) -> str | None:
        """The scalar at `path` as it is written (without its quotes), None if there is no scalar."""
        return self._texts.get(path)


def load_document(path: Path, found: Mistakes | None = None) -> Document:
    """The one document of a YAML or JSON file; an empty file has the value None.

    Raises ConfigurationError with file:line:column of every mistake; mistakes after which the file can be read on are
    put into `found` instead, if that is given.
    """
    documents = load_documents(path, found)
    if len(documents) > 1:
        raise ConfigurationError(
            "a second document begins here, but this file must be one document",
            where=documents[1].where(),
            hint="remove the line `---`",
            facts={"code": "syntax"},
        )
    return documents[0] if documents else Document(shown_path(path), None, {}, {}, {}, ())


def load_documents(path: Path, found: Mistakes | None = None) -> list[Document]:
    """Every document of a YAML file (separated by `---`), or the one of a JSON file; none if the file is empty.

    Raises as `load_document` does.
    """
    name = shown_path(path)
    text = _read_text(path, name)
    mistakes = Mistakes() if found is None else found
    try:
        if path.suffix != ".json":
            documents = _YamlReader(name, text, mistakes).documents()
        else:
            documents = [_JsonReader(name, text, mistakes).document()] if text.strip() else []
    except ConfigurationError as error:
        mistakes.add(mistakes_of(error))
        mistakes.refuse()
        raise
    if found is None:
        mistakes.refuse()
    return documents


def read_scalar(text: str) -> Any:
    """What a plain scalar means: true, false, null, a number in JSON's notation, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.fullmatch(text)
    if match is None or len(text) > _DIGITS_MAX:
        return text
    if match.group(1) is None and match.group(2) is None:
        return int(text)
    number = float(text)
    return number if number - number == 0 else text  # 1e999 is no double: it stays text


def shown_path(path: Path) -> str:
    """The path as people see it: relative to the current folder where it lies inside."""
    try:
        return Path(os.path.realpath(path)).relative_to(Path.cwd()).as_posix()  # `resolve` raises where links go round
    except ValueError:
        return str(path)


def folder_of(folder: Path) -> list[Path]:
    """What stands in a folder that people write, by name; nothing if there is no folder."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(error, str(folder)) from error


def _unreadable(error: OSError, name: str) -> ConfigurationError:
    reason, facts = error.strerror or type(error).__name__, {"code": "unreadable"}
    return ConfigurationError(f"cannot be read: {reason}", where=name, hint=_RIGHTS, facts=facts)


def _read_text(path: Path, name: str) -> str:
    facts = {"code": "unreadable"}
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ConfigurationError("cannot be read: it is no regular file", where=name, hint=_RIGHTS, facts=facts)
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(error, name) from error
    if len(data) > DOCUMENT_BYTES_MAX:
        raise ConfigurationError(
            "the file is larger than 1 MiB",
            where=name,
            hint="split it: one file per schema or pipeline",
            facts=facts,
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = f"{name}:{before.count(10) + 1}:{error.start - before.rfind(10)}"
        raise ConfigurationError(
            "this byte is not UTF-8", where=place, hint="save the file as UTF-8", facts=facts
        ) from error


class _Reader:
    """Collects places and texts while a document is read."""

    def __init__(self, name: str, text: str, found: Mistakes) -> None:
        self.name = name
        self.found = found
        self.notes = 0
        self.lines = text.splitlines()
        self.places: dict[KeyPath, tuple[int, int]] = {}
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.texts: dict[KeyPath, str] = {}

    def fail(self, message: str, place: tuple[int, int], hint: str, code: Code = "syntax") -> NoReturn:
        """Refuse the file: nothing that follows can be understood."""
        where = f"{self.name}:{place[0]}:{place[1]}"
        raise ConfigurationError(message, where=where, hint=hint, facts={"code": code})

    def note(self, message: str, place: tuple[int, int], hint: str, code: Code = "syntax") -> None:
        """Note a mistake after which the file can be read on."""
        self.found.add([Mistake(f"{self.name}:{place[0]}:{place[1]}", message, hint, code)])
        self.notes += 1
        if self.notes == _NOTES_MAX:
            self.fail("so many mistakes that the file is read no further", place, "mend those that are told")

    def enter(self, path: KeyPath, place: tuple[int, int]) -> None:
        self.places[path] = place
        if len(path) > DEPTH_MAX:
            self.fail(f"nested deeper than {DEPTH_MAX} levels", place, "write it flatter")

    def key(self, path: KeyPath, key: str, place: tuple[int, int]) -> KeyPath:
        inner = (*path, key)
        if inner in self.keys:
            line, column = self.keys[inner]
            hint = f"it stands first at {self.name}:{line}:{column}; keep one of them"
            self.note(f'the key "{key}" stands twice', place, hint, "duplicate")
            for known in (self.places, self.keys, self.texts):  # the second counts, as far as the file is read on
                for old in [old for old in known if old[: len(inner)] == inner]:
                    del known[old]
        self.keys[inner] = place
        return inner

    def finish(self, value: Any) -> Document:
        document = Document(self.name, value, self.places, self.keys, self.texts, self.lines)
        self.places, self.keys, self.texts = {}, {}, {}
        return document


class _YamlReader(_Reader):
    """Reads the events of a YAML parser."""

    def __init__(self, name: str, text: str, found: Mistakes) -> None:
        super().__init__(name, text, found)
        self._events = self._parse(text)

    def _parse(self, text: str) -> Iterator[Any]:
        import yaml  # noqa: PLC0415 - 20 ms that only a command that reads a project pays

        try:  # events only: no loader of the library turns them into values
            yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            quoted = error.context == "while scanning a quoted scalar"
            opened = error.context_mark if quoted or str(error.context).startswith("while parsing a flow") else None
            if opened is not None and (quoted or opened.line + 1 < place[0]):
                bracket = self.lines[opened.line][opened.column]
                close = {"{": "}", "[": "]"}.get(bracket, bracket)
                place = (opened.line + 1, opened.column + 1)
                self.fail(f"not valid YAML: this {bracket} is not closed", place, f"close it with {close}")
            line = self.lines[place[0] - 1] if place[0] <= len(self.lines) else ""
            hint = _yaml_hint(str(error.problem), line[place[1] - 1 :])
            self.fail(f"not valid YAML: {error.problem or error.context}", place, hint)
        except yaml.reader.ReaderError as error:
            before = text[: text.find(chr(error.character))]
            place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
            told = f"not valid YAML: the character U+{error.character:04X} may not stand in a file"
            self.fail(told, place, "remove it; a text in double quotes may say it, as \\x07 or \\u2028")

    def documents(self) -> list[Document]:
        starts = (event for event in self._events if type(event).__name__ == "DocumentStartEvent")
        found = [self.finish(self._node((), next(self._events))) for _ in starts]
        return [document for document in found if document.value is not None or document.text(())]

    def _node(self, path: KeyPath, event: Any) -> Any:
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        kind = type(event).__name__
        if kind == "AliasEvent":
            self.note("aliases (*name) are not read", place, "write the value out; begin a text with * in quotes")
            return None
        if event.anchor is not None:
            self.note("anchors (&name) are not read", place, "write the value out; begin a text with & in quotes")
        if event.tag is not None:
            self.note("tags (!name) are not read", place, "write the plain value; begin a text with ! in quotes")
        self.enter(path, place)
        if kind == "ScalarEvent":
            self.texts[path] = event.value
            return read_scalar(event.value) if event.implicit[0] else event.value
        if kind == "SequenceStartEvent":
            return [self._node((*path, index), item) for index, item in enumerate(self._until("SequenceEndEvent"))]
        return self._mapping(path)

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for event in self._until("MappingEndEvent"):
            place = (event.start_mark.line + 1, event.start_mark.column + 1)
            if type(event).__name__ != "ScalarEvent" or event.anchor is not None or event.tag is not None:
                self.fail("a key must be plain text", place, "keys are single words or quoted texts")
            if event.value == "<<" and event.implicit[0]:
                self.note("merge keys (<<) are not read", place, "write the values out, or use `defaults:`")
                self._node((*path, "<<"), next(self._events))
                continue
            value[event.value] = self._node(self.key(path, event.value, place), next(self._events))
        return value

    def _until(self, end: str) -> Iterator[Any]:
        for event in self._events:
            if type(event).__name__ == end:
                return
            yield event


def _yaml_hint(problem: str, rest: str) -> str:
    """What most often stands behind a message of the parser, which stopped before `rest`."""
    if "\\t" in problem or "tab character" in problem or rest.startswith("\t"):
        return "indent with blanks, not with tabs"
    if "mapping values" in problem:
        return 'put a value that contains ": " in quotes, and check the indentation'
    if "cannot start any token" in problem:
        return "put a value that begins with this character in quotes"
    return "check indentation, quotes and brackets here and on the line before"


class _JsonReader(_Reader):
    """Reads JSON (RFC 8259) with positions; but repeated keys are errors and numbers keep their text."""

    def __init__(self, name: str, text: str, found: Mistakes) -> None:
        super().__init__(name, text, found)
        self._text = text
        self._at = 0
        self._starts = [0] + [index + 1 for index, char in enumerate(text) if char == "\n"]

    def document(self) -> Document:
        value = self._node(())
        if self._peek():
            self._wrong("nothing may follow the document")
        return self.finish(value)

    def _place(self) -> tuple[int, int]:
        line = bisect_right(self._starts, self._at)
        return line, self._at - self._starts[line - 1] + 1

    def _wrong(self, message: str) -> NoReturn:
        self.fail(
            f"not valid JSON: {message}", self._place(), "check commas, quotes and brackets here and on the line before"
        )

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _take(self, expected: str) -> str:
        char = self._peek()
        if not char or char not in expected:
            wanted = " or ".join(expected).replace('"', "a key in quotes")
            self._wrong(f"expected {wanted}, found {char or 'the end of the file'}")
        self._at += 1
        return char

    def _string(self) -> str:
        start = self._place()
        self._take('"')
        try:
            text, self._at = scanstring(self._text, self._at, True)
        except JSONDecodeError as error:
            self.fail(f"not valid JSON: {error.msg}", start, "check the quotes and backslashes of this text")
        return str(text)

    def _node(self, path: KeyPath) -> Any:
        char = self._peek()
        self.enter(path, self._place())
        if char == "{":
            return self._object(path)
        if char == "[":
            return self._array(path)
        if char == '"':
            self.texts[path] = self._string()
            return self.texts[path]
        word = _JSON_WORD.match(self._text, self._at)
        if word is None or not (word[0] in ("true", "false", "null") or _NUMBER.fullmatch(word[0])):
            self._wrong(f"expected a value, found {word[0] if word else char or 'the end of the file'}")
        self._at = word.end()
        self.texts[path] = word[0]
        return read_scalar(word[0])

    def _object(self, path: KeyPath) -> dict[str, Any]:
        value: dict[str, Any] = {}
        self._take("{")
        if self._peek() == "}":
            self._at += 1
            return value
        while True:
            self._peek()
            place = self._place()
            inner = self.key(path, self._string(), place)
            self._take(":")
            value[str(inner[-1])] = self._node(inner)
            if self._take(",}") == "}":
                return value

    def _array(self, path: KeyPath) -> list[Any]:
        value: list[Any] = []
        self._take("[")
        if self._peek() == "]":
            self._at += 1
            return value
        while True:
            value.append(self._node((*path, len(value))))
            if self._take(",]") == "]":
                return value
