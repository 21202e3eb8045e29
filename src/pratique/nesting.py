"""How the records of one table stand inside those of another: where, and what they take over. Plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Unit = Literal["document", "row"]

# The column of a nested record that says in which document of the load it stands: its place, from 0.
DOCUMENT: Final = "_document"
POSITION: Final = "position"  # the place of a record in its array, from 1
_PATH: Final = re.compile(r"[^.\[\]\"'*\s$]+(\.[^.\[\]\"'*\s$]+)*\[\*\]")
_PARENT: Final = re.compile(r"parent\.(\S+)")


@dataclass(frozen=True, slots=True)
class Nest:
    """The records of a table that stand in an array of each document of the source `of`.

    `keys` lead to the array. `parents`: column -> column of the document whose value it takes. `positions`: columns
    that take the place in the array.
    """

    of: str
    keys: tuple[str, ...]
    parents: Mapping[str, str] = field(default_factory=dict)
    positions: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """As people write it."""
        return ".".join(self.keys) + "[*]"


def array_path(text: str) -> tuple[str, ...]:
    """The keys of a path such as `lines[*]` or `order.lines[*]`; ValueError if it is none."""
    if not _PATH.fullmatch(text):
        raise ValueError("keys, with a dot between, that lead to an array, and [*] at the end")
    return tuple(text.removesuffix("[*]").split("."))


def parent_field(text: str) -> str | None:
    """The field of `parent.FIELD`; None if it is none."""
    match = _PARENT.fullmatch(text)
    return match[1] if match else None


def array_in(value: Any, keys: tuple[str, ...]) -> list[Any]:
    """The array to which `keys` lead in a parsed document; what is missing or null is none.

    ValueError where something else stands there.
    """
    for at, key in enumerate(keys):
        if value is None:
            return []
        if not isinstance(value, dict):
            raise ValueError(f"no object at {'.'.join(keys[:at])!r}")  # noqa: TRY004 - the text is wrong
        value = value.get(key)
    if value is not None and not isinstance(value, list):
        raise ValueError(f"no array at {'.'.join(keys)!r}")
    return value or []
