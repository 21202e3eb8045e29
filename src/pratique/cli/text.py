"""Text for a terminal: data cannot steer the screen, columns line up, long names lose their middle. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import click

from pratique.printable import shown

__all__ = ["coloured", "columns", "hanging", "left", "middle", "right", "shown", "table", "wrapped"]


def columns(text: str) -> int:
    """Count the columns that plain text takes on a terminal: wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def left(text: str, width: int) -> str:
    """Fill up with blanks on the right."""
    return text + " " * (width - columns(text))


def right(text: str, width: int) -> str:
    """Fill up with blanks on the left."""
    return " " * (width - columns(text)) + text


def middle(text: str, width: int) -> str:
    """Shorten to `width` columns by leaving out the middle: both ends of a name tell it apart from its neighbours."""
    if columns(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    return _head(text, width // 2) + "…" + _head(text[::-1], width - 1 - width // 2)[::-1]


def _head(text: str, width: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += _columns_of(char)
        if used > width:
            return text[:index]
    return text


def wrapped(text: str, width: int, *, paths: bool = False) -> list[str]:
    """Break into lines of at most `width` columns, between words where that is possible. Never fewer than one line.

    With `paths` a path stays whole even where it is longer: people copy it out of an error.
    """
    lines = [""]
    for word in text.split(" "):
        rest = word
        while True:
            joined = f"{lines[-1]} {rest}" if lines[-1] else rest
            if columns(joined) <= width:
                lines[-1] = joined
                break
            if lines[-1]:
                lines.append("")
            elif not (paths and "/" in rest) and len(head := _head(rest, width) or rest[:1]) < len(rest):
                lines[-1], rest = head, rest[len(head) :]
                lines.append("")
            else:
                lines[-1] = rest
                break
    return lines


def hanging(first: str, text: str, width: int, *, paths: bool = False) -> list[str]:
    """Put `first` before the text and wrap it; the further lines stand under where the text began."""
    indent = columns(first)
    lines = wrapped(
        text, max(width - indent, 20), paths=paths
    )  # Limit: narrower than 20 columns nothing can be read anyway
    return [first + lines[0], *(" " * indent + line for line in lines[1:])]


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    numbers: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> list[str]:
    """Lay rows out under a header so that each line fits `width`; the widest text column gives way first.

    `numbers` are the indexes of columns that stand to the right and are never shortened; those in `whole`, such as
    times, are shortened last.
    """
    widths = [max(columns(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    texts = [index for index in range(len(header)) if index not in numbers]
    first = [index for index in texts if index not in whole]
    # Limit: below eight columns a name says little, below five hardly anything, below three nothing
    for yielding, least in ((first, 8), (first, 5), (texts, 3)):
        while (over := sum(widths) + 2 * len(widths) - width) > 0:
            widest = max(yielding, key=lambda index: widths[index])
            if widths[widest] <= least:
                break
            widths[widest] -= min(over, max(1, widths[widest] // 4), widths[widest] - least)
    lines = []
    for cells in (header, *rows):
        placed = [
            right(cell, size) if index in numbers else left(middle(cell, size), size)
            for index, (cell, size) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(placed)).rstrip())
    return lines


def coloured(text: str, colour: str, *, on: bool) -> str:
    """Give the text in a colour of click, or unchanged where colour is off."""
    return click.style(text, fg=colour) if on else text
