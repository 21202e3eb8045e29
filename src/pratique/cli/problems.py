"""How an error reads: what happened, where (with the line itself), what to do. Nothing of Python in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pratique.cli.text import coloured, columns, hanging, shown
from pratique.errors import PratiqueError
from pratique.secrets import hide_secrets

_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+)(?::(?P<column>[0-9]+))?")
# Only files that hold no secrets are quoted: `.env` and secret files never are.
_QUOTED_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_QUOTED_BYTES_MAX: Final = 1024 * 1024  # Limit: no larger file is a document of ours


def render_error(error: PratiqueError, *, width: int = 80, color: bool = False) -> str:
    """Give the error as lines: `error:` what, `at` where with a caret, `do:` what to do; further mistakes likewise."""
    first = {"message": error.message, "where": error.where, "hint": error.hint}
    lines = []
    for said in (first, *error.facts.get("more", ())):
        message, where, hint = (hide_secrets(said.get(name, "")) for name in ("message", "where", "hint"))
        lines += _one(message, where, hint, width, color=color)
    return "\n".join(line.rstrip() for line in lines)


def error_as_json(error: PratiqueError) -> Mapping[str, Any]:
    """Give the error as one JSON object with everything that it says."""
    return {
        "error": {
            "code": error.code,
            "message": hide_secrets(error.message),
            "where": hide_secrets(error.where),
            "hint": hide_secrets(error.hint),
            "exit_code": error.exit_code,
            "retryable": error.retryable,
            "facts": hide_secrets(error.facts),
        }
    }


def _one(message: str, where: str, hint: str, width: int, *, color: bool) -> list[str]:
    said = [line for part in message.split("\n") for line in hanging("       ", shown(part), width)]
    lines = [coloured("error:", "red", on=color) + said[0][6:], *said[1:]]
    if where:
        lines += [f"  at {shown(where)}", *_quote(where, width)]
    if hint:
        lines += [
            line
            for place, part in enumerate(hint.split("\n"))
            for line in hanging("      " if place else "  do: ", shown(part), width)
        ]
    return lines


def _quote(where: str, width: int) -> list[str]:
    """Give the line that `where` names and a caret under its column; nothing if it cannot be read."""
    place = _PLACE.fullmatch(where)
    if place is None:
        return []
    path = Path(place["file"])
    if path.suffix not in _QUOTED_SUFFIXES:
        return []
    try:
        if path.stat().st_size > _QUOTED_BYTES_MAX:
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    number, column = int(place["line"]), int(place["column"] or 0)
    if not 1 <= number <= len(lines):
        return []
    gutter = f"  {number:>5} | "
    start = max(0, column - (width - len(gutter)) * 2 // 3)
    line = lines[number - 1][start:]
    before = columns(shown(line[: max(column - 1 - start, 0)]))
    text = shown(line)
    while columns(text) > width - len(gutter):
        text = text[:-1]
    quoted = [gutter + text]
    return [*quoted, " " * (len(gutter) - 2) + "| " + " " * before + "^"] if column else quoted
