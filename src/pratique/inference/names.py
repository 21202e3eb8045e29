"""Names of fields and files that the language takes, out of whatever a header or a file is called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pratique.schema.checking import RESERVED

_PLAIN = re.compile(r"[^\W\d]\w*")


def field_names(headers: Sequence[str]) -> list[str]:
    """A name for each column: the header's own where it is one word, else its words joined by `_`; no two alike."""
    names: list[str] = []
    taken: set[str] = set()
    for header in headers:
        name = header if _PLAIN.fullmatch(header) else _joined(header)
        if name.lower() in RESERVED or name.lower().startswith("_pratique"):
            name = f"{name.strip('_')}_"
        base, number = name, 2
        while name.lower() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _joined(text: str) -> str:
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFC", text)).strip("_").lower()
    return f"column_{name}" if not name or name[0].isdigit() else name


def file_name(text: str) -> str:
    """A name for a pipeline, a source, a schema or a check: small letters, digits, `_` and `-`, at most 50."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9-]+", "_", plain).strip("_-")[:50].strip("_-") or "data"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, no two alike: from the second on one has a number behind it."""
    taken: set[str] = set()
    made = []
    for base in names:
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        made.append(name)
    return made
