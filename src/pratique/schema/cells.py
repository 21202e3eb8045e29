"""Cells of a sheet as people name them: `B3`, `B3:F200`. Columns and rows are counted from 1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# Limit: what a sheet of Excel can hold.
COLUMNS_MAX: Final = 16_384
ROWS_MAX: Final = 1_048_576
_LETTERS: Final = 26
_RANGE: Final = re.compile(r"([A-Z]{1,3})?([1-9][0-9]{0,6})?:([A-Z]{1,3})?([1-9][0-9]{0,6})?")


@dataclass(frozen=True, slots=True)
class CellRange:
    """A rectangle of cells, its edges included; what is left open reaches to the edge of the sheet.

    `columns_named`: whether the columns are said, so that those outside are left out by declaration.
    """

    first_column: int = 1
    first_row: int = 1
    last_column: int = COLUMNS_MAX
    last_row: int = ROWS_MAX
    columns_named: bool = False


def cell_range(text: str) -> CellRange:
    """The range `B3:F200`, `B3:F` (to the last row), `B:F` or `3:200`; ValueError for any other text."""
    found = _RANGE.fullmatch(text.upper())
    if found is None or bool(found[1]) != bool(found[3]) or not (found[1] or found[2]):
        raise ValueError(f'"{text}" is no range of cells: write such as B3:F200, B3:F, B:F or 3:200')
    named = CellRange(
        column_number(found[1] or "A"),
        int(found[2] or 1),
        column_number(found[3]) if found[3] else COLUMNS_MAX,
        int(found[4] or ROWS_MAX),
        columns_named=bool(found[1]),
    )
    if not named.first_column <= named.last_column <= COLUMNS_MAX or not named.first_row <= named.last_row <= ROWS_MAX:
        raise ValueError(f'the range "{text}" holds no cell: it goes from the top left to the bottom right')
    return named


def column_number(letters: str) -> int:
    """1 for `A`, 27 for `AA`."""
    number = 0
    for letter in letters:
        number = number * _LETTERS + ord(letter) - ord("A") + 1
    return number


def column_letters(number: int) -> str:
    """`A` for 1, `AA` for 27."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters
