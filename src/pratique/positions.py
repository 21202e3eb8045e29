"""Where in the text of a file a character of a value stands, and how far a word reaches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

Position = tuple[int, int]  # line and column, counted from 1 in characters

_ESCAPE_LENGTHS: Final = {"x": 4, "u": 6, "U": 10}
_PLAIN_END: Final = re.compile(r":(?=\s|$)|\s+#|\s*$")
_FLOW_END: Final = re.compile(r"\s*[,\]}]|:(?=\s|$)|\s+#|\s*$")
_CLOSING: Final = {"{": "}", "[": "]"}


def inside(lines: Sequence[str], start: Position, value: str, offset: int) -> Position:
    """The position of the character `offset` of a scalar that begins at `start` and means `value`.

    Quotes, escapes, folded lines and the indentation of blocks are walked over. Where the text is not what `value`
    says, it is `start`.
    """
    text = "\n".join(lines[start[0] - 1 :])[start[1] - 1 :]
    style = text[:1]
    at = text.find("\n") + 1 if style in {"|", ">"} else int(style in {"'", '"'})
    for char in value[:offset]:
        begin = _begin(text, at, char, style)
        if begin is None:
            return start
        at = begin + _width(text, begin, char, style)
    at = _begin(text, at, value[offset], style) or at if offset < len(value) else at
    before = text[:at]
    return (start[0] + before.count("\n"), at - before.rfind("\n")) if "\n" in before else (start[0], start[1] + at)


def _begin(text: str, at: int, char: str, style: str) -> int | None:
    """Where `char` begins: here, or behind the white space of a line break; None if something else stands here."""
    if style == '"':
        while text[at : at + 2] == "\\\n":  # the text goes on in the next line
            at += 2 + len(text[at + 2 :]) - len(text[at + 2 :].lstrip(" \t"))
        if text[at : at + 1] == "\\":
            return at
    begin = at
    while text[begin : begin + 1] != char:
        if not text[begin : begin + 1].isspace():
            return at if char == " " and begin > at else None  # a folded line break
        begin += 1
    return begin


def _width(text: str, at: int, char: str, style: str) -> int:
    """The number of characters that stand for `char` at `at`."""
    if style == '"' and text[at] == "\\":
        return _ESCAPE_LENGTHS.get(text[at + 1 : at + 2], 2)
    return 2 if style == "'" == char else 1


def word_length(line: str, column: int, *, flow: bool = False) -> int:
    """The characters of the key or value that begins at `column` of a line of YAML or JSON, at least 1.

    A quoted text counts with its quotes, a mapping or list in brackets up to its end, if that stands in this line.
    `flow` says that the line stands in brackets that were opened above it.
    """
    rest = line[column - 1 :]
    first = rest[:1]
    if first in {"'", '"'}:
        pattern = r"'(?:[^']|'')*'" if first == "'" else r'"(?:[^"\\]|\\.)*"'
        found = re.match(pattern, rest)
        return len(found[0]) if found else max(len(rest.rstrip()), 1)
    if first in _CLOSING:
        return _bracket_length(rest)
    opened = _depth(line[: column - 1])
    end = (_FLOW_END if flow or opened > 0 else _PLAIN_END).search(rest)
    return max(end.start() if end else len(rest), 1)


def _bracket_length(rest: str) -> int:
    depth = 0
    for found in re.finditer(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[\[\]{}]""", rest):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
        if depth == 0 and found[0] in "]}":
            return found.end()
    return 1


def _depth(text: str) -> int:
    bare = re.sub(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", "", text)
    return sum({"{": 1, "[": 1, "}": -1, "]": -1}.get(char, 0) for char in bare)
