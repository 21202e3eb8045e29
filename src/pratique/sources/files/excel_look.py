"""The tables in a workbook that nobody has described yet: on which sheets they stand, and where their headers are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.schema import Dialect
from pratique.schema.cells import column_letters
from pratique.sources.base import ReadLimits
from pratique.sources.files.excel_cut import Row, SheetRows
from pratique.sources.files.excel_file import full_sheets
from pratique.sources.files.excel_parts import Package, Sheet, Texts, Workbook, check_workbook, open_workbook
from pratique.sources.files.excel_table import Values
from pratique.sources.files.excel_text import CellError, Spelling
from pratique.sources.files.head import HEADER_LINES_MAX
from pratique.sources.files.header import check_names

_ROWS: Final = 200  # Limit: rows at the top from which the header is told; the run looks at all of them
_LIKELY: Final = 0.6  # of the rows below a header stand under it
_TEXTS: Final = frozenset({"s", "str", "inlineStr"})
_YEAR: Final = re.compile("(19|20)[0-9]{2}")  # years head the columns of many tables


@dataclass(frozen=True, slots=True)
class SheetLook:
    """The table of one sheet: its names, how it is declared, what to tell of it."""

    columns: tuple[str, ...]
    dialect: Dialect
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Top:
    """A row that holds something: its number, its cells by column, and whether all of them could be names."""

    number: int
    cells: dict[int, str]
    names: bool

    @property
    def whole(self) -> bool:
        """Whether no cell between its first and its last one is empty."""
        return max(self.cells) - min(self.cells) + 1 == len(self.cells)


def look_at_sheets(handle: int, limits: ReadLimits, workspace: Path) -> tuple[list[SheetLook], list[str]]:
    """The table of every visible sheet that holds one, and a line about each sheet that holds something else.

    SourceError if it is no workbook, or none of its sheets holds a table.
    """
    check_workbook(handle)
    with closing(Package(handle, limits)) as package:
        book = open_workbook(package)
        sheets = full_sheets(book, limits)
        shown = [sheet for sheet in sheets if not sheet.hidden] or sheets
        found: list[SheetLook] = []
        left_out = [f"sheet {sheet.name!r}: it is hidden" for sheet in sheets if sheet not in shown]
        with Texts(book, workspace, limits) as texts:
            for sheet in shown:
                try:
                    found.append(_look(book, sheet, texts, limits, only=len(sheets) == 1))
                except SourceError as error:
                    if len(shown) == 1:
                        raise
                    left_out.append(f"sheet {sheet.name!r}: {error.message}")
    if not found:
        told = "; ".join(left_out) or "it holds no data"
        raise SourceError(told, hint="give a workbook with a table: names in one row, and records below it")
    return found, left_out


def _look(book: Workbook, sheet: Sheet, texts: Texts, limits: ReadLimits, *, only: bool) -> SheetLook:
    plain = Dialect() if only else Dialect(sheet=sheet.name)
    top = _top(book, sheet, texts, limits)
    head = _header(top)
    if head is None:
        return _without_header(top, plain)
    first, last = min(head.cells), max(head.cells)
    names = tuple(head.cells.get(column, "") for column in range(first, last + 1))
    check_names(names, limits.columns_max)
    below = [row for row in top if row.number > head.number]
    under = sum(first <= min(row.cells) and max(row.cells) <= last for row in below)
    if under < len(below) * _LIKELY:
        raise SourceError(
            f"{len(below) - under} rows hold cells beside the names in row {head.number}",
            hint="name every column, or declare the table: dialect.range",
        )
    above = f"its header stands in row {head.number}: the rows above it are left out"
    return SheetLook(names, plain, (above,) if top[0] is not head else ())


def _top(book: Workbook, sheet: Sheet, texts: Texts, limits: ReadLimits) -> list[_Top]:
    """The rows at the top that hold something."""
    values = Values(book, texts, Spelling())
    top: list[_Top] = []
    for row in SheetRows(book.package, sheet.part or "", limits.record_bytes_max):
        cells, names = _cells(row, values)
        if cells:
            top.append(_Top(row.number, cells, names))
        if len(top) == _ROWS:
            break
    return top


def _cells(row: Row, values: Values) -> tuple[dict[int, str], bool]:
    """The texts of a row by column, and whether each of them could be a name: a text, or a year."""
    cells: dict[int, str] = {}
    names = True
    for cell in row.cells:
        try:
            text = values.text(cell)
        except CellError:
            cells[cell[0]], names = "?", False
            continue
        if text:
            cells[cell[0]] = text
            names = names and (cell[1] in _TEXTS or _YEAR.fullmatch(text) is not None)
    return cells, names and any(cell[1] in _TEXTS for cell in row.cells)


def _header(top: Sequence[_Top]) -> _Top | None:
    """The first of the widest rows that could hold the names, unless a wider row of values stands above it."""
    near = [row for row in top if row.number < top[0].number + HEADER_LINES_MAX]
    candidates = [row for row in near if row.names and row.whole]
    if not candidates:
        return None
    found = max(candidates, key=lambda row: (len(row.cells), -row.number))
    values = [row for row in near if row.number < found.number and not row.names]
    return None if any(len(row.cells) >= len(found.cells) for row in values) else found


def _without_header(top: Sequence[_Top], plain: Dialect) -> SheetLook:
    """A sheet that begins with its first record."""
    first, last = min(min(row.cells) for row in top), max(max(row.cells) for row in top)
    begins = f"{column_letters(first)}{top[0].number}"
    columns = tuple(f"column_{number}" for number in range(1, last - first + 2))
    dialect = replace(plain, header=False, cell_range=f"{begins}:{column_letters(last)}")
    told = "its first row holds values: it has no header, and its columns are named here"
    return SheetLook(columns, dialect, (told,))
