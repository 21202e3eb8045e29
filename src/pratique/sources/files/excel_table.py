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
        self._book, self._shared = book, texts
        self._plain = Values(book, texts, Spelling())
        self._sheet_rows = SheetRows(book.package, sheet.part or "", limits.record_bytes_max)
        self._rows = (row for row in self._sheet_rows if self._area.first_row <= row.number <= self._area.last_row)
        self._footer = re.compile(dialect.footer) if dialect.footer else None
        self._hidden: list[int] = []
        self._hidden_count = self.blank_rows = self._last_row = 0
        self._below_footer = False
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
            if not self._area.first_column <= cell[0] <= self._area.last_column:
                continue
            try:
                text = self._plain.text(cell)
            except CellError as error:
                problem = problem or f"{self._place(cell, row)}: {error}"
            else:
                if text:
                    texts[cell[0]] = text
        return texts, problem

    def _is_comment(self, texts: dict[int, str]) -> bool:
        mark = self._dialect.comment_char
        return bool(mark) and texts[min(texts)].startswith(mark or "")

    # --- the records --------------------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """Yield every record; SourceError if a row stands below the footer."""
        columns = [Values(self._book, self._shared, wanted) for wanted in _spellings(self._schema, self.head.names)]
        header = list(self.head.names) if self.head.row else None
        before, skipped, made = self.head.row or self._area.first_row - 1, 0, 0
        for row in chain(self._waiting, self._rows):
            record = self._record(row, columns)
            if record is None:
                continue
            if (self._footer or self._dialect.comment_char) and self._is_skipped(record):
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

    def _is_skipped(self, record: Record) -> bool:
        """Whether a row is a comment, or at or below the footer."""
        footer = self._footer and self._footer.search((self._dialect.delimiter or ",").join(record.values))
        if self._below_footer and not footer:
            raise SourceError(
                f"row {record.row} stands below the footer",
                hint="dialect.footer must match the last rows only",
                facts={"line": record.row},
            )
        self._below_footer = self._below_footer or bool(footer)
        first = next(filter(None, record.values), "")
        return self._below_footer or bool(first and self._is_comment({0: first}))

    def _record(self, row: Row, columns: Sequence[Values]) -> Record | None:
        """The record in a row; None if the row is blank."""
        first, width = self.head.first_column, len(columns)
        values = [""] * width
        problems: list[str] = []
        for cell in row.cells:
            at = cell[0] - first
            inside = 0 <= at < width
            if not inside and self._area.columns_named:
                continue
            problem = ""
            try:
                text = (columns[at] if inside else self._plain).text(cell)
            except CellError as error:
                problem, text = str(error), cell[3] or ""
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
        return f"{self._sheet.name}!{column_letters(cell[0])}{row.number}"

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


class Values(dict[tuple[str, str], Callable[[str], str]]):
    """What the cells of one column hold, in the spelling of its field: by kind and style, how a text is told."""

    def __init__(self, book: Workbook, texts: Texts, wanted: Spelling) -> None:
        self._book, self._texts, self._wanted = book, texts, wanted

    def text(self, cell: Cell) -> str:
        """The value of a cell; CellError if it cannot be told."""
        _, kind, style, text, formula = cell
        if formula and (self._book.uncomputed or text is None or (text == "" and kind != "str")):
            raise CellError("its formula was not computed: open the workbook in Excel, and save it")
        if text or kind == "e":
            return self[kind, style](text or "")
        return ""

    def __missing__(self, key: tuple[str, str]) -> Callable[[str], str]:
        self[key] = self._teller(*key)
        return self[key]

    def _teller(self, kind: str, style: str) -> Callable[[str], str]:
        if kind == "n":
            return self._numbers(style)
        kinds = {"s": self._shared, "str": unescaped, "inlineStr": unescaped, "b": self._boolean, "e": _error}
        kinds["d"] = lambda text: iso_text(text, self._wanted)
        if kind not in kinds:
            raise CellError(f"{kind[:20]!r} is no kind of a value")
        return kinds[kind]

    def _numbers(self, style: str) -> Callable[[str], str]:
        number = int(style) if _INDEX.fullmatch(style) else 0 if style == "" else -1
        known = self._book.shown or [Shown.NUMBER]
        if not 0 <= number < len(known):
            raise CellError(f"there is no style {style[:20]!r}")
        shown, mark = known[number], self._wanted.decimal
        if shown is not Shown.NUMBER:
            return lambda text: moment_text(text, shown, self._wanted, since_1904=self._book.since_1904)
        return number_text if mark == "." else lambda text: number_text(text).replace(".", mark)

    def _shared(self, text: str) -> str:
        try:
            return self._texts[int(text) if _INDEX.fullmatch(text) else -1]
        except IndexError:
            raise CellError(f"there is no shared text {text[:20]!r}") from None

    def _boolean(self, text: str) -> str:
        if text not in {"0", "1", "true", "false"}:
            raise CellError(f"{text[:40]!r} is neither true nor false")
        return self._wanted.true if text in {"1", "true"} else self._wanted.false


def _error(text: str) -> str:
    raise CellError(f"it holds the error {text}")
