"""YAML as people like to read it: a line for each thing, the reason beside it. Pure text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from pratique.documents import read_scalar

_PLAIN: Final = re.compile(r"[^\W\d][\w./-]*")
_OTHERS: Final = frozenset({"y", "n", "yes", "no", "on", "off"})  # which other readers of YAML take for true and false
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_BESIDE_MAX: Final = 88  # Limit: a longer line has its comment above
_WIDTH: Final = 120
_SHOWN: Final = 40  # characters of a value in a comment


@dataclass(frozen=True, slots=True)
class Line:
    """A line of YAML and why it says what it says; without text the comment has the line to itself."""

    text: str
    comment: str = ""


def scalar(value: Any) -> str:
    """A value as YAML writes it, also inside of braces: text without quotes only where nothing else could be meant."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.isprintable() and value.lower() not in _OTHERS
        if plain and read_scalar(value.lower()) == value.lower():
            return value
        return _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """In double quotes, with escapes that YAML has: JSON's pairs of surrogates are none."""
    return (
        '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _code(ord(char))) for char in text) + '"'
    )


def _code(number: int) -> str:
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"


def flow(value: Any) -> str:
    """A mapping, a list or a scalar in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def quoted(text: str) -> str:
    """A value of the data as a comment shows it: in quotes, on one line, not too long."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return _quoted(short)


def listed(values: Iterable[str], most: int = 6) -> str:
    """The first few of some words."""
    words = list(values)
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def laid_out(lines: Sequence[Line]) -> str:
    """The lines with their comments in one column for each section, or above a line that is too long for that."""
    made: list[str] = []
    for begin, section in groupby(lines, lambda line: not line.text.startswith(" ")):
        block = list(section)
        column = 0 if begin else max((len(line.text) for line in block if len(line.text) <= _BESIDE_MAX), default=0)
        for line in block:
            made += _placed(line, column)
    return "\n".join(made) + "\n"


def _placed(line: Line, column: int) -> list[str]:
    comment = "".join(char if char.isprintable() else " " for char in line.comment)
    beside = f"{line.text:<{column}}  # {comment}"
    if not comment:
        return [line.text]
    if not line.text.strip():
        return [f"{line.text}# {part}" for part in _wrapped(comment, _WIDTH - len(line.text) - 2)]
    if len(beside) <= _WIDTH and len(line.text) <= max(column, _BESIDE_MAX):
        return [beside]
    indent = " " * (len(line.text) - len(line.text.lstrip()))
    return [*(f"{indent}# {part}" for part in _wrapped(comment, _WIDTH - len(indent) - 2)), line.text]


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
