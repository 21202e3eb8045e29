"""How an error reads: what happened, where (with the line itself), what to do. Nothing of Python in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pratique.cli.text import coloured, columns, hanging, shown
from pratique.errors import ConfigurationError, PratiqueError
from pratique.mistakes import Mistake, mistakes_of
from pratique.positions import word_length
from pratique.secrets import hide_secrets

# Only files that hold no secrets are quoted: `.env` and secret files never are.
_QUOTED_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_QUOTED_BYTES_MAX: Final = 1024 * 1024  # Limit: no larger file is a document of ours


def render_error(error: PratiqueError, *, width: int = 80, color: bool = False) -> str:
    """Give the error as lines: what happened, where with the line itself, what to do.

    Mistakes in files are told one after the other, as `pratique lint` tells them.
    """
    lines = []
    if isinstance(error, ConfigurationError) and any(mistake.line for mistake in mistakes_of(error)):
        for mistake in mistakes_of(error):
            lines += one_mistake(mistake, width, color=color)
    else:
        message, where, hint = (hide_secrets(text) for text in (error.message, error.where, error.hint))
        lines = hanging_parts(f"{coloured('error:', 'red', on=color)} ", "       ", message, width)
        lines += [f"  at {shown(where)}"] if where else []
        lines += _do(hint, width)
    return "\n".join(line.rstrip() for line in lines)


def one_mistake(mistake: Mistake, width: int, *, color: bool) -> list[str]:
    """Give `file:line:column: error code: message`, the line with the wrong part underlined, and what to do."""
    colour = "red" if mistake.level == "error" else "yellow"
    message, where, hint = (hide_secrets(text) for text in (mistake.message, mistake.where, mistake.hint))
    told = hanging("", shown(f"{where}: {mistake.level} {mistake.code}: {message}"), width, paths=True)
    told = [told[0], *(f"    {line}" for part in told[1:] for line in hanging("", part, width - 4, paths=True))]
    head = f"{mistake.level} {mistake.code}:"
    told[0] = told[0].replace(head, coloured(head, colour, on=color), 1)
    return [*told, *_quote(mistake, width, colour, color=color), *_do(hint, width)]


def hanging_parts(first: str, indent: str, text: str, width: int) -> list[str]:
    """Wrap a text of several lines under `indent`, with `first`, of the same width on the screen, before it."""
    lines = [line for part in text.split("\n") for line in hanging(indent, shown(part), width, paths=True)]
    return [first + lines[0][len(indent) :], *lines[1:]]


def _do(hint: str, width: int) -> list[str]:
    return hanging_parts("  do: ", "      ", hint, width) if hint else []


def extent(mistake: Mistake) -> int:
    """Give the number of characters that are wrong, from the mistake's column on; 1 if the file cannot be read."""
    if mistake.length:
        return mistake.length
    line = _line(mistake)
    return word_length(line, mistake.column, flow=mistake.file.endswith(".json")) if line and mistake.column else 1


def problem(error: PratiqueError, **more: str) -> Mapping[str, Any]:
    """Give the error as a problem of RFC 9457 with everything that it says; `more` are further members."""
    return {
        "type": f"urn:pratique:problem:{error.code}",
        "title": error.code.replace("_", " "),
        "detail": hide_secrets(error.message),
        "code": error.code,
        "where": hide_secrets(error.where),
        "hint": hide_secrets(error.hint),
        "exit_code": error.exit_code,
        "retryable": error.retryable,
        "facts": hide_secrets(error.facts),
        **more,
    }


def _line(mistake: Mistake) -> str | None:
    """Give the line in which a mistake stands; None if it cannot be read, or may hold secrets."""
    path = Path(mistake.file)
    if path.suffix not in _QUOTED_SUFFIXES or not mistake.line:
        return None
    try:
        status = path.stat()
        lines = _lines(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return None
    return lines[mistake.line - 1] if mistake.line <= len(lines) else ""


@lru_cache(maxsize=1)  # mistakes come file by file
def _lines(path: Path, _changed: int, size: int) -> list[str]:
    """Give the lines of a file as it is now; none if it is no document of ours."""
    return [] if size > _QUOTED_BYTES_MAX else path.read_text(encoding="utf-8-sig", errors="replace").splitlines()


def _quote(mistake: Mistake, width: int, colour: str, *, color: bool) -> list[str]:
    """Give the line of a mistake with what is wrong underlined; nothing if it cannot be read."""
    whole = _line(mistake)
    if not whole:
        return []
    column = mistake.column
    gutter = f"  {mistake.line:>5} | "
    start = max(0, column - (width - len(gutter)) * 2 // 3)
    text = shown(("…" if start else "") + whole[start + bool(start) :])
    if columns(text) > width - len(gutter):
        while columns(text) > width - len(gutter) - 1:
            text = text[:-1]
        text += "…"
    if not column:
        return [gutter + text]
    before = columns(shown(whole[start : column - 1]))
    wrong = columns(shown(whole[column - 1 : column - 1 + extent(mistake)]))
    marks = "^" * max(min(wrong, width - len(gutter) - before), 1)
    return [gutter + text, " " * (len(gutter) - 2) + "| " + " " * before + coloured(marks, colour, on=color)]
