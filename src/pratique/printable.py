"""Text that steers nothing: no terminal, no log line and no reading order, whatever data it holds. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

# What moves the cursor, hides or reorders text: control, format (bidi), surrogate, line and paragraph separators.
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT: Final = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def shown(value: object) -> str:
    r"""Give the value as one line of text that steers nothing: control and bidi marks as `\n`, `\x1b`, `\u202e`."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _STEERING else char for char in text)


def _escaped(char: str) -> str:
    number = ord(char)
    if number <= 0xFF:  # noqa: PLR2004 - the widest number that two hexadecimal digits hold
        return _SHORT.get(char, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - as Python writes it
