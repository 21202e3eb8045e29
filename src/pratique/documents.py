"""A YAML or JSON document that remembers line and column of every value, and secrets that do not print themselves.

The YAML is a strict part of YAML 1.2: no anchors, aliases, tags or merge keys, no repeated keys. A plain scalar is
a boolean only as `true` or `false`, null only as `null`, `~` or nothing, a number only in JSON's notation; `no`, `on`,
`0123`, `1_000`, `1:30` and dates are text. Keys are always text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # the strict string scanner of json
from pathlib import Path
from typing import Any, Final, NoReturn

from pratique.errors import ConfigurationError

KeyPath = tuple[str | int, ...]

DOCUMENT_BYTES_MAX: Final = 1 << 20  # Limit: people do not write more; a parser in Python needs seconds for it
DEPTH_MAX: Final = 50  # Limit: far above any real nesting, far below Python's stack
_DIGITS_MAX: Final = 400  # Limit: longer than any double or decimal; int() of Python refuses 4,300
_SECRET_BYTES_MAX: Final = 1 << 16  # Limit: keys and certificates fit; a wrong path to a big file does not

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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

    def has(self, path: KeyPath) -> bool:
        """True if something is written at `path`."""
        return path in self._places

    def where(self, path: KeyPath = ()) -> str:
        """`file:line:column` of the value at `path`, or of its nearest parent that is written."""
        while path and path not in self._places:
            path = path[:-1]
        line, column = self._places.get(path, (1, 1))
        return f"{self.path}:{line}:{column}"

    def key_where(self, path: KeyPath) -> str:
        """`file:line:column` of the key that leads to `path`, or of the nearest value that is written."""
        if path not in self._keys:
            return self.where(path)
        line, column = self._keys[path]
        return f"{self.path}:{line}:{column}"

    def place(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - the form that specs ask with
        """`key_where` if `key`, else `where`."""
        return self.key_where(path) if key else self.where(path)

    def text(self, path: KeyPath) -> str | None:
        """The scalar at `path` as it is written (without its quotes), None if there is no scalar."""
        return self._texts.get(path)


def load_document(path: Path) -> Document:
    """The one document of a YAML or JSON file; an empty file has the value None. Errors carry file:line:column."""
    documents = load_documents(path)
    if len(documents) > 1:
        raise ConfigurationError(
            "a second document begins here, but this file must be one document",
            where=documents[1].where(),
            hint="remove the line `---`",
        )
    return documents[0] if documents else Document(_display(path), None, {}, {}, {})


def load_documents(path: Path) -> list[Document]:
    """Every document of a YAML file (separated by `---`), or the one of a JSON file; none if the file is empty."""
    name = _display(path)
    text = _read_text(path, name)
    if path.suffix == ".json":
        return [_JsonReader(name, text).document()] if text.strip() else []
    return _YamlReader(name, text).documents()


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


def _display(path: Path) -> str:
    """The path as people see it: relative to the current folder where it lies inside."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
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
    reason = error.strerror or type(error).__name__
    return ConfigurationError(f"cannot be read: {reason}", where=name, hint="check the path and its rights")


def _read_text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(error, name) from error
    if len(data) > DOCUMENT_BYTES_MAX:
        raise ConfigurationError(
            "the file is larger than 1 MiB", where=name, hint="split it: one file per schema or pipeline"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = f"{name}:{before.count(10) + 1}:{error.start - before.rfind(10)}"
        raise ConfigurationError("this byte is not UTF-8", where=place, hint="save the file as UTF-8") from error


class _Reader:
    """Collects places and texts while a document is read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[KeyPath, tuple[int, int]] = {}
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.texts: dict[KeyPath, str] = {}

    def fail(self, message: str, place: tuple[int, int], hint: str) -> NoReturn:
        raise ConfigurationError(message, where=f"{self.name}:{place[0]}:{place[1]}", hint=hint)

    def enter(self, path: KeyPath, place: tuple[int, int]) -> None:
        self.places[path] = place
        if len(path) > DEPTH_MAX:
            self.fail(f"nested deeper than {DEPTH_MAX} levels", place, "write it flatter")

    def key(self, path: KeyPath, key: str, place: tuple[int, int]) -> KeyPath:
        inner = (*path, key)
        if inner in self.keys:
            line, column = self.keys[inner]
            self.fail(
                f'the key "{key}" stands twice',
                place,
                f"it stands first at {self.name}:{line}:{column}; keep one of them",
            )
        self.keys[inner] = place
        return inner

    def finish(self, value: Any) -> Document:
        document = Document(self.name, value, self.places, self.keys, self.texts)
        self.places, self.keys, self.texts = {}, {}, {}
        return document


class _YamlReader(_Reader):
    """Reads the events of a YAML parser."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name)
        self._events = self._parse(text)

    def _parse(self, text: str) -> Iterator[Any]:
        import yaml  # noqa: PLC0415 - 20 ms that only a command that reads a project pays

        try:  # events only: no loader of the library turns them into values
            yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.fail(f"not valid YAML: {error.problem or error.context}", place, _yaml_hint(str(error.problem)))
        except yaml.YAMLError as error:
            self.fail(f"not valid YAML: {str(error).splitlines()[0]}", (1, 1), "remove control characters")

    def documents(self) -> list[Document]:
        starts = (event for event in self._events if type(event).__name__ == "DocumentStartEvent")
        found = [self.finish(self._node((), next(self._events))) for _ in starts]
        return [document for document in found if document.value is not None or document.text(())]

    def _node(self, path: KeyPath, event: Any) -> Any:
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        kind = type(event).__name__
        if kind == "AliasEvent":
            self.fail("aliases (*name) are not read", place, "write the value out; begin a text with * in quotes")
        if event.anchor is not None:
            self.fail("anchors (&name) are not read", place, "write the value out; begin a text with & in quotes")
        if event.tag is not None:
            self.fail("tags (!name) are not read", place, "write the plain value; begin a text with ! in quotes")
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
                self.fail("merge keys (<<) are not read", place, "write the values out, or use `defaults:`")
            value[event.value] = self._node(self.key(path, event.value, place), next(self._events))
        return value

    def _until(self, end: str) -> Iterator[Any]:
        for event in self._events:
            if type(event).__name__ == end:
                return
            yield event


def _yaml_hint(problem: str) -> str:
    """What most often stands behind a message of the parser."""
    if "\\t" in problem:
        return "indent with blanks, not with tabs"
    if "mapping values" in problem:
        return 'put a value that contains ": " in quotes, and check the indentation'
    if "cannot start any token" in problem:
        return "put a value that begins with this character in quotes"
    return "check indentation, quotes and brackets here and on the line before"


class _JsonReader(_Reader):
    """Reads JSON (RFC 8259) with positions; but repeated keys are errors and numbers keep their text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name)
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
            self._wrong(f"expected {' or '.join(expected)}, found {char or 'the end of the file'}")
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


class Secret:
    """A text that prints as `***` everywhere; only `reveal()` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: hand it to a driver, never to a log or a message."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def reveal(value: Any) -> Any:
    """`value` with every Secret in it replaced by its text, for those who must connect with it."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    return [reveal(item) for item in value] if isinstance(value, list) else value


# Every value that a reference of this process stood for: whatever an error of a driver or of the system quotes, it is
# hidden before anybody reads it.
_resolved: set[str] = set()
_HIDDEN_CHARACTERS_MIN: Final = 4  # Limit: a shorter value protects nothing, and hiding it would garble every message


def hide_secrets(value: Any) -> Any:
    """`value` (text, or texts in lists and mappings) with what references stood for as `***`: for all that is told."""
    if isinstance(value, str):
        for text in sorted(_resolved, key=len, reverse=True):
            value = value.replace(text, "***")
        return value
    if isinstance(value, Mapping):
        return {key: hide_secrets(item) for key, item in value.items()}
    return [hide_secrets(item) for item in value] if isinstance(value, (list, tuple)) else value


def resolve_secrets(
    value: Any, environ: Mapping[str, str], *, root: Path, where: Callable[[KeyPath], str], path: KeyPath = ()
) -> Any:
    """`value` with every text that holds `${NAME}` or `${file:PATH}` resolved into a Secret, the others unchanged.

    A file's path is relative to `root`, and one line end at its end is dropped. What a variable holds is not expanded
    again. A reference to nothing raises ConfigurationError at its place, naming the variable, never a value.
    """
    if isinstance(value, dict):
        return {
            key: resolve_secrets(item, environ, root=root, where=where, path=(*path, key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            resolve_secrets(item, environ, root=root, where=where, path=(*path, index))
            for index, item in enumerate(value)
        ]
    if not isinstance(value, str) or "${" not in value:
        return value
    place = where(path)
    return Secret(_REFERENCE.sub(lambda match: remembered(_resolve(match[1], environ, root, place)), value))


def remembered(text: str) -> str:
    """`text`, hidden from here on in everything that is told: it is a secret."""
    if len(text) >= _HIDDEN_CHARACTERS_MIN:
        _resolved.add(text)
    return text


def _resolve(reference: str, environ: Mapping[str, str], root: Path, where: str) -> str:
    if reference.startswith("file:"):
        return _secret_file(root / reference.removeprefix("file:"), where)
    if not _VARIABLE.fullmatch(reference):
        raise ConfigurationError(
            f"${{{reference}}} is not a reference",
            where=where,
            hint="write ${NAME} for a variable or ${file:PATH} for a file",
        )
    if reference not in environ:
        raise ConfigurationError(
            f"the environment variable {reference} is not set",
            where=where,
            hint=f"set it: export {reference}=…, or write a line {reference}=… into the file .env",
            facts={"variable": reference},
        )
    return environ[reference]


def _secret_file(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_SECRET_BYTES_MAX + 1)
        if len(data) > _SECRET_BYTES_MAX:
            raise ConfigurationError(
                f"the secret file {path} is larger than 64 KiB", where=where, hint="check the path"
            )
        return data.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(
            f"the secret file {path} cannot be read: {reason}", where=where, hint="check the path and its rights"
        ) from error
