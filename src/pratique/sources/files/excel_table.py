"""The table of a sheet: its header by the schema's names, and its records with the cells that cannot be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from pratique.errors import InternalError, SourceError
from pratique.schema import Dialect, Schema
from pratique.schema.binding import bind
from pratique.schema.cells import CellRange, cell_range, column_letters
from pratique.sources.base import ReadLimits
from pratique.sources.files.excel_cut import Cell, Row, SheetRows
from pratique.sources.files.excel_parts import Sheet, Texts, Workbook
from pratique.sources.files.excel_text import (
    CellError,
    Shown,
    Spelling,
    iso_text,
    moment_text,
    number_text,
    spelling,
    unescaped,
)
from pratique.sources.files.head import HEADER_LINES_MAX, fits
from pratique.sources.files.header import check_header, expected

_PROBLEMS_MAX: Final = 5  # Limit: cells of one record of which it is told why
_INDEX: Final = re.compile("[0-9]{1,9}")
_PLAIN: Final = Spelling()


class Record(NamedTuple):
    """A record: its row in the sheet, its values in the order of the header, why it cannot be judged."""

    row: int
    values: list[str]
    problem: str | None


@dataclass(frozen=True, slots=True)
class TableHead:
    """Where the records begin: the header's names, their first column (from 1), and the row of the header (0: none)."""

    names: tuple[str, ...]
    first_column: int
    row: int
    notices: tuple[str, ...] = ()


class Table:
    """The table in a sheet. `records` gives its records, once, in order; SourceError if the header does not fit.

    A row is blank if no cell of it holds anything but an empty text. `blank_rows` and `notices` are complete when the
    records have been read.
    """

    def __init__(
        self, book: Workbook, sheet: Sheet, texts: Texts, schema: Schema, dialect: Dialect, limits: ReadLimits
    ) -> None:
        self._sheet, self._schema, self._dialect, self._limits = sheet, schema, dialect, limits
        self._area = cell_range(dialect.cell_range) if dialect.cell_range else CellRange()
        self._values = _Values(book, texts)
        self._sheet_rows = SheetRows(book.package, sheet.part or "", limits.record_bytes_max)
        self._rows = (row for row in self._sheet_rows if self._area.first_row <= row.number <= self._area.last_row)
        self._footer = re.compile(dialect.footer) if dialect.footer else None
        self._hidden: list[int] = []
        self._hidden_count = self.blank_rows = self._last_row = 0
        self.head, self._waiting = self._find_head()

    @property
    def first_number(self) -> int:
        """The number of the first record: that of the row below the header, or of the first row."""
        return self.head.row + 1 if self.head.row else self._area.first_row

    # --- the header ---------------------------------------------------------------------------------------------

    def _find_head(self) -> tuple[TableHead, Iterator[Row]]:
        """The header, and the rows below it that were read to find it."""
        if not self._dialect.header:
            names = expected(self._schema)
            if self._area.columns_named:
                width = self._area.last_column - self._area.first_column + 1
                check_header(self._schema, [""] * width, self._limits.columns_max, by_name=False)
            return TableHead(names, self._area.first_column, 0), iter(())
        top, count = self._top(), self._dialect.header_rows
        for end in range(count - 1, len(top)):
            if any(problem for _, _, problem in top[end - count + 1 : end + 1]):
                continue
            row, texts, _ = top[end]
            first, names = self._span(texts)
            if fits(self._schema, names, self._limits, anywhere=end >= count):
                above = top[end - count + 1][0].number
                told = (f"its header stands in row {above}: the rows above it are left out",) if end >= count else ()
                return TableHead(names, first, row.number, told), iter([item[0] for item in top[end + 1 :]])
        row, texts, problem = top[count - 1]
        if problem:
            raise SourceError(f"its header in row {row.number} cannot be read: {problem}", hint="correct it in Excel")
        check_header(self._schema, self._span(texts)[1], self._limits.columns_max)
        raise InternalError(f"no header of {self._schema.name} was found, and nothing is wrong with the first row")

    def _top(self) -> list[tuple[Row, dict[int, str], str]]:
        """The rows at the top that hold something: the header rows, and those in which a header may stand."""
        top: list[tuple[Row, dict[int, str], str]] = []
        for row in self._rows:
            texts, problem = self._texts(row)
            if problem or (texts and not self._is_comment(texts)):
                top.append((row, texts, problem))
            enough = len(top) >= self._dialect.header_rows
            if enough and row.number >= self._area.first_row + HEADER_LINES_MAX - 1:
                break
        if len(top) < self._dialect.header_rows:
            raise SourceError(
                f"its sheet {self._sheet.name!r} has {len(top)} rows, and no header below",
                hint="see dialect.headerRows, dialect.sheet and dialect.range",
            )
        return top

    def _span(self, texts: dict[int, str]) -> tuple[int, tuple[str, ...]]:
        """The first column of a header, and its names: from its first cell to its last, or those of the range."""
        if self._area.columns_named:
            first, last = self._area.first_column, self._area.last_column
        else:
            first, last = min(texts, default=1), max(texts, default=1)
        return first, tuple(texts.get(column, "") for column in range(first, last + 1))

    def _texts(self, row: Row) -> tuple[dict[int, str], str]:
        """The cells of a row that hold a text, by column, and why one of them cannot be told."""
        texts: dict[int, str] = {}
        problem = row.problem
        for cell in row.cells:
            if not self._area.first_column <= cell.column <= self._area.last_column:
                continue
            try:
                text = self._values.text(cell, _PLAIN)
            except CellError as error:
                problem = problem or f"{self._place(cell, row)}: {error}"
            else:
                if text:
                    texts[cell.column] = text
        return texts, problem

    def _is_comment(self, texts: dict[int, str]) -> bool:
        mark = self._dialect.comment_char
        return bool(mark) and texts[min(texts)].startswith(mark or "")

    # --- the records --------------------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """Yield every record; SourceError if a row stands below the footer."""
        names, first = self.head.names, self.head.first_column
        spellings = _spellings(self._schema, names)
        width = len(names)
        header = list(names) if self.head.row else None
        before, below_footer, skipped, made = self.head.row or self._area.first_row - 1, False, 0, 0
        for row in chain(self._waiting, self._rows):
            record = self._record(row, first, width, spellings)
            if record is None:
                continue
            values = [value for value in record.values if value]
            footer = bool(self._footer and self._footer.search((self._dialect.delimiter or ",").join(record.values)))
            if below_footer and not footer:
                raise SourceError(
                    f"row {row.number} stands below the footer",
                    hint="dialect.footer must match the last rows only",
                    facts={"line": row.number},
                )
            below_footer = below_footer or footer
            mark = self._dialect.comment_char
            if below_footer or (mark and values and values[0].startswith(mark)):
                skipped += 1
                continue
            if record.problem is None and record.values == header:
                record = record._replace(problem="it repeats the header")
            if row.hidden:
                self._hidden_count += 1
                self._hidden += [row.number] if self._hidden_count <= _PROBLEMS_MAX else []
            made += 1
            self._last_row = row.number
            yield record
        self.blank_rows = max(self._last_row - before - made - skipped, 0)

    def _record(self, row: Row, first: int, width: int, spellings: Sequence[Spelling]) -> Record | None:
        """The record in a row; None if the row is blank."""
        values = [""] * width
        problems: list[str] = []
        for cell in row.cells:
            at = cell.column - first
            inside = 0 <= at < width
            if not inside and self._area.columns_named:
                continue
            problem = ""
            try:
                text = self._values.text(cell, spellings[at] if inside else _PLAIN)
            except CellError as error:
                problem, text = str(error), cell.text or ""
            if inside:
                values[at] = text
            elif text and not problem:
                problem = "it stands beside the table"
            if problem:
                problems.append(f"{self._place(cell, row)}: {problem}")
        if row.problem:
            problems.insert(0, f"{self._sheet.name}: {row.problem}")
        if problems:
            return Record(row.number, values, "; ".join(problems[:_PROBLEMS_MAX]))
        return Record(row.number, values, None) if any(values) else None

    def _place(self, cell: Cell, row: Row) -> str:
        return f"{self._sheet.name}!{column_letters(cell.column)}{row.number}"

    # --- what people should know --------------------------------------------------------------------------------

    def notices(self) -> Iterator[str]:
        """What was noticed, when the records have been read."""
        yield from self.head.notices
        first, last = self.head.first_column, self.head.first_column + len(self.head.names) - 1
        if self._hidden:
            more = ", …" if self._hidden_count > len(self._hidden) else ""
            rows = ", ".join(map(str, self._hidden)) + more
            yield f"{self._hidden_count:,} of its records stand in hidden rows ({rows}), and are read like the others"
        spans = [(max(a, first), min(b, last)) for a, b in self._sheet_rows.hidden_columns]
        hidden = [name for a, b in spans for name in self.head.names[a - first : b - first + 1] if a <= b]
        if hidden:
            yield f"its columns {', '.join(map(repr, hidden[:_PROBLEMS_MAX]))} are hidden, and are read like the others"
        merged = [
            f"{column_letters(a)}{b}:{column_letters(c)}{d}"
            for a, b, c, d in self._sheet_rows.merged
            if a <= last and c >= first and d > self.head.row and b <= self._last_row
        ]
        if merged:
            more = f" and {len(merged) - _PROBLEMS_MAX:,} more" if len(merged) > _PROBLEMS_MAX else ""
            cells = ", ".join(merged[:_PROBLEMS_MAX]) + more
            yield f"cells are merged in its records ({cells}): only the first cell of each holds the value"


def _spellings(schema: Schema, names: Sequence[str]) -> list[Spelling]:
    """How each column wants its values to be written."""
    columns = bind(schema, names).columns
    return [spelling([item for item in schema.fields if columns.get(item.name) == name], name) for name in names]


class _Values:
    """What the cells of a workbook hold."""

    def __init__(self, book: Workbook, texts: Texts) -> None:
        self._texts, self._since_1904, self._uncomputed = texts, book.since_1904, book.uncomputed
        self._shown = {str(number): shown for number, shown in enumerate(book.shown)}
        self._shown[""] = book.shown[0] if book.shown else Shown.NUMBER
        self._kinds: dict[str, Callable[[str, str, Spelling], str]] = {
            "n": self._number,
            "s": self._shared,
            "str": lambda text, _style, _wanted: unescaped(text),
            "inlineStr": lambda text, _style, _wanted: unescaped(text),
            "b": _boolean,
            "d": lambda text, _style, wanted: iso_text(text, wanted),
        }

    def text(self, cell: Cell, wanted: Spelling) -> str:
        """The value of a cell in this spelling; CellError if it cannot be told."""
        _, kind, style, text, formula = cell
        if formula and (self._uncomputed or text is None or (text == "" and kind != "str")):
            raise CellError("its formula was not computed: open the workbook in Excel, and save it")
        if kind == "e":
            raise CellError(f"it holds the error {text or ''}")
        if not text:
            return ""
        told = self._kinds.get(kind)
        if told is None:
            raise CellError(f"{kind[:20]!r} is no kind of a value")
        return told(text, style, wanted)

    def _number(self, text: str, style: str, wanted: Spelling) -> str:
        shown = self._shown.get(style)
        if shown is None:
            raise CellError(f"there is no style {style[:20]!r}")
        if shown is not Shown.NUMBER:
            return moment_text(text, shown, wanted, since_1904=self._since_1904)
        number = number_text(text)
        return number if wanted.decimal == "." else number.replace(".", wanted.decimal)

    def _shared(self, text: str, _style: str, _wanted: Spelling) -> str:
        try:
            return self._texts[int(text) if _INDEX.fullmatch(text) else -1]
        except IndexError:
            raise CellError(f"there is no shared text {text[:20]!r}") from None


def _boolean(text: str, _style: str, wanted: Spelling) -> str:
    if text not in {"0", "1", "true", "false"}:
        raise CellError(f"{text[:40]!r} is neither true nor false")
    return wanted.true if text in {"1", "true"} else wanted.false
