"""Cuts the XML of a sheet into its rows, in flat memory; what the cells hold is told by `excel_text`.

Rows that are written as nearly all programs write them are taken out by a regular expression that allows nothing else,
three times as fast; whatever stands between them, and every other row, is read by expat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pratique.errors import SourceError
from pratique.schema.cells import COLUMNS_MAX, ROWS_MAX, column_number
from pratique.sources.files.excel_parts import Package, Xml

_NAMESPACES: Final = frozenset(
    {"http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main"}
)
_ROOT: Final = re.compile(rb"<(?:([A-Za-z_][\w.-]*):)?worksheet[\s>]")
_MERGED: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})")
# Limit: merged cells, and stretches of hidden columns, that are remembered to be told.
_TOLD_MAX: Final = 1000
_WHOLE: Final = re.compile("[0-9]{1,9}")
_LETTERS: Final = re.compile("[A-Z]{1,3}")
_TRUE: Final = frozenset({"1", "true"})
# Limit: bytes in which the rows must begin, or a row that is no usual one must end; else expat reads all of the sheet.
_AHEAD_BYTES: Final = 1 << 20

_TEXT: Final = rb"[ -%'-;=?-~\x80-\xff]"
_ATTRIBUTE: Final = rb"[\w:]++=\"[ !#-%'-;=?-~\x80-\xff]*+\""
_FORMULA: Final = (
    rb"<f(?: " + _ATTRIBUTE + rb")*+(?:/>|>(?:" + _TEXT + rb"|&(?:amp|lt|gt|quot|apos);)*+</f>)"
)  # fmt: skip
_CELL: Final = (
    rb'<c r="[A-Z]{1,3}[0-9]{1,7}"(?: s="[0-9]{1,9}")?+(?: t="(?:n|s|str|b|e|inlineStr)")?+(?:/>|>(?:'
    + _FORMULA
    + rb")?+"
    rb"(?:<v>" + _TEXT + rb'++</v>|<is><t(?: xml:space="preserve")?+>' + _TEXT + rb"++</t></is>)?+</c>)"
)
_USUAL_ROW: Final = re.compile(
    rb'<row r="([0-9]{1,7})"(?: (?!hidden="(?:1|true)"|xmlns|r=)'
    + _ATTRIBUTE
    + rb")*+(?:/>|>((?:"
    + _CELL
    + rb")*+)</row>)\s*+"
)
# The parts of a cell in such a row: column, row, style, kind, formula, value, text.
_PARTS: Final = re.compile(
    r'<c r="([A-Z]+)([0-9]+)"(?: s="([0-9]+)")?(?: t="([a-zA-Z]+)")?(?:/>|>(<f[^>]*(?:/>|>[^<]*</f>))?'
    r"(?:<v>([^<]*)</v>|<is><t[^>]*>([^<]*)</t></is>)?</c>)"
)
_DEPTH_MAX: Final = 100  # Limit: nested elements of which we know nothing


# A cell that holds something: its column (from 1), kind, style, text, and whether it has a formula. The text is None
# where a formula, or an error, has no value beside it. (A plain tuple: there are ten of them in a row.)
Cell = tuple[int, str, str, str | None, bool]


class Row(NamedTuple):
    """A row of the sheet, by its number there, with the cells that hold something; `problem`: why it is damaged."""

    number: int
    cells: list[Cell]
    hidden: bool
    problem: str  # empty: none


class SheetRows:
    """One reading of a sheet: yields its rows in order. What stands beside them is known at the end.

    Raises SourceError where the XML is damaged, where rows are out of order, and at the end where another count of the
    rows, in the bytes before they are parsed, disagrees.
    """

    def __init__(self, package: Package, part: str, record_bytes_max: int) -> None:
        self._package, self._part, self._limit = package, part, record_bytes_max
        self.made: list[Row] = []
        self.held: list[str] = []  # pieces of a text in the making
        self._rows = 0
        self.hidden_columns: list[tuple[int, int]] = []
        self.merged: list[tuple[int, int, int, int]] = []  # first column, first row, last column, last row

    def __iter__(self) -> Iterator[Row]:
        reading = Xml(self._part, self._limit)
        handlers = _Handlers(reading, self)
        counter = _RowCounter()
        window = b""
        for piece in self._package.pieces(self._part):
            counter.add(piece)
            window = _taken(window + piece, reading, handlers)
            if sum(map(len, self.held)) > self._limit:
                reading.broken(f"the text of a cell is longer than {self._limit:,} bytes")
            yield from self._new_rows()
        reading.feed(window, last=True)
        yield from self._new_rows()
        if counter.rows != self._rows:
            raise SourceError(
                f"{self._part} has {counter.rows:,} rows by one count, and {self._rows:,} by another",
                hint="open it in Excel and save it again; nothing of it was loaded",
            )

    def _new_rows(self) -> Iterator[Row]:
        self._rows += len(self.made)
        yield from self.made
        self.made.clear()


def _taken(window: bytes, reading: Xml, handlers: _Handlers) -> bytes:
    """Read as much of the window as ends where a row ends, and give the rest; all of it if no row is to come."""
    at = 0
    if not handlers.begun:
        found = window.find(b"<sheetData>")
        if found < 0 and len(window) < _AHEAD_BYTES:
            return window
        handlers.begun = True
        handlers.usual = handlers.usual and found >= 0
        at = found + len(b"<sheetData>") if found >= 0 else len(window)
        reading.feed(window[:at])
    while handlers.between_rows:
        if (usual := _USUAL_ROW.match(window, at)) and handlers.take(usual[1], usual[2] or b""):
            at = usual.end()
            continue
        end = window.find(b"</row>", at) + len(b"</row>")
        if end < len(b"</row>"):
            if window.startswith(b"</sheetData>", at) or len(window) - at > _AHEAD_BYTES:
                break
            return window[at:]
        unusual = window[at:end]
        if b"<!" in unusual or b"<?" in unusual:  # then </row> may stand in a comment, and mean nothing
            break
        reading.feed(unusual)
        at = end
    handlers.between_rows = handlers.usual = False
    reading.feed(window[at:])
    return b""


class _RowCounter:
    """Counts the beginnings of rows in bytes, without parsing."""

    def __init__(self) -> None:
        self.rows = 0
        self._rest = b""
        self._pattern: re.Pattern[bytes] | None = None

    def add(self, piece: bytes) -> None:
        """Count on."""
        data = self._rest + piece
        if self._pattern is None:
            root = _ROOT.search(data)
            if root is None:
                self._rest = data[-4096:]
                return
            prefix = root[1] + b":" if root[1] else b""
            self._pattern = re.compile(b"<" + re.escape(prefix) + rb"row[\s/>]")
        end = 0
        for found in self._pattern.finditer(data):
            end = found.end()
            self.rows += 1
        self._rest = data[max(end, len(data) - 64) :]


class _Handlers:
    """What happens at each element of a sheet; the names are made when the root tells their namespace."""

    def __init__(self, reading: Xml, out: SheetRows) -> None:
        self._reading, self._out = reading, out
        self._held = out.held
        self._columns: dict[str, int] = {}
        self._depth = 0
        self._in_data = self._in_text = self._phonetic = False
        self._cells: list[Cell] | None = None  # of the row that is open
        self._number, self._number_text, self._last_column = 0, "", 0
        self._hidden, self._problem = False, ""
        self._cell: dict[str, str] | None = None  # the attributes of the cell that is open
        self._formula, self._value = False, ""
        self._valued = False
        self._starts: dict[str, Callable[[dict[str, str]], None]] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self.begun = self.between_rows = False
        self.usual = True  # whether rows may be taken without expat: not in another encoding, nor behind a comment
        reading.parser.XmlDeclHandler = self._declaration
        reading.parser.StartElementHandler = self._root

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.usual = encoding is None or encoding.casefold() == "utf-8"

    def _root(self, name: str, _attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if local != "worksheet" or namespace not in _NAMESPACES:
            self._reading.broken(f"it is no sheet but {local[:40]!r}")
        starts = {"c": self._start_cell, "v": self._start_text, "t": self._start_text, "f": self._start_formula}
        ends = {"c": self._end_cell, "v": self._end_value, "t": self._end_string, "f": self._end_text}
        starts |= {"row": self._start_row, "col": self._hidden_column, "mergeCell": self._merged}
        starts |= {"sheetData": self._start_data, "rPh": self._start_phonetic}
        ends |= {"row": self._end_row, "sheetData": self._end_data, "rPh": self._end_phonetic}
        self._starts = {f"{namespace} {local}": call for local, call in starts.items()}
        self._ends = {f"{namespace} {local}": call for local, call in ends.items()}
        parser = self._reading.parser
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._held.append

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._reading.broken("its elements nest too deep")
        if call := self._starts.get(name):
            call(attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if call := self._ends.get(name):
            call()

    def _start_data(self, _: dict[str, str]) -> None:
        self._in_data = True
        self.between_rows = self.usual and self._depth == 1  # a child of the root

    def _end_data(self) -> None:
        self._in_data = self.between_rows = False

    def take(self, written: bytes, content: bytes) -> bool:
        """Add a row of the usual form; False if something is wrong with it after all, so that expat must read it."""
        number_text, number, last = written.decode(), int(written), 0
        if not self._number < number <= ROWS_MAX or written.startswith(b"0"):
            return False
        cells: list[Cell] = []
        try:
            found = _PARTS.findall(content.decode())
        except UnicodeDecodeError:
            return False
        known = self._columns
        for letters, row, style, kind, formula, value, text in found:
            column = known.get(letters) or known.setdefault(letters, column_number(letters))
            if row != number_text or column <= last or column > COLUMNS_MAX:
                return False
            last = column
            if value or text or formula or kind == "e":
                cells.append((column, kind or "n", style, value or text or None, bool(formula)))
        self._number = number
        self._out.made.append(Row(number, cells, hidden=False, problem=""))
        return True

    def _start_row(self, attributes: dict[str, str]) -> None:
        if self._cells is not None or not self._in_data:
            self._reading.broken("a row stands at a wrong place")
        written, before = attributes.get("r"), self._number
        if written is not None and _WHOLE.fullmatch(written) is None:
            self._reading.broken(f"{written[:20]!r} is no number of a row")
        self._number = before + 1 if written is None else int(written)
        if not before < self._number <= ROWS_MAX:
            self._reading.broken(f"row {self._number} stands behind row {before}")
        self._number_text = str(self._number)
        self._cells, self._last_column, self._problem = [], 0, ""
        self._hidden = attributes.get("hidden") in _TRUE

    def _end_row(self) -> None:
        if self._cells is not None:
            self._out.made.append(Row(self._number, self._cells, self._hidden, self._problem))
        self._cells = None

    def _start_cell(self, attributes: dict[str, str]) -> None:
        if self._cells is None or self._cell is not None:
            self._reading.broken("a cell stands outside of a row")
        self._cell, self._formula, self._value, self._valued = attributes, False, "", False

    def _end_cell(self) -> None:
        cell, cells = self._cell or {}, self._cells
        column = self._column(cell.get("r"))
        if column > COLUMNS_MAX:
            self._reading.broken(f"row {self._number} has more cells than a sheet can hold")
        kind = cell.get("t", "n")
        if cells is not None and (self._valued or self._formula or kind == "e"):
            text = self._value if self._valued else None
            cells.append((column, kind, cell.get("s", ""), text, self._formula))
        self._cell = None

    def _column(self, reference: str | None) -> int:
        """The column of the cell that ends; a cell at a wrong place makes its row a damaged one."""
        last = self._last_column
        if reference is None:
            self._last_column = last + 1
            return self._last_column
        letters = reference.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            if _LETTERS.fullmatch(letters) is None:
                self._problem = self._problem or f"{reference[:20]!r} is no cell"
                return last
            column = self._columns[letters] = column_number(letters)
        if reference[len(letters) :] != self._number_text:
            self._problem = self._problem or f"the cell {reference[:20]} stands in row {self._number}"
        if column <= last:
            self._problem = self._problem or f"the cell {reference[:20]} stands twice, or behind its place"
        else:
            self._last_column = column
        return column

    def _start_text(self, _: dict[str, str]) -> None:
        if self._in_text:
            self._reading.broken("a value stands inside of a value")
        self._in_text = True
        self._held.clear()

    def _start_formula(self, attributes: dict[str, str]) -> None:
        self._formula = True
        self._start_text(attributes)

    def _end_text(self) -> None:
        self._in_text = False

    def _end_value(self) -> None:
        self._in_text, self._valued, self._value = False, True, "".join(self._held)

    def _end_string(self) -> None:
        self._in_text = False
        if not self._phonetic:
            self._valued, self._value = True, self._value + "".join(self._held)

    def _start_phonetic(self, _: dict[str, str]) -> None:
        self._phonetic = True

    def _end_phonetic(self) -> None:
        self._phonetic = False

    def _hidden_column(self, attributes: dict[str, str]) -> None:
        ends = [attributes.get("min", ""), attributes.get("max", "")]
        known = self._out.hidden_columns
        if attributes.get("hidden") in _TRUE and all(map(_WHOLE.fullmatch, ends)) and len(known) < _TOLD_MAX:
            known.append((int(ends[0]), int(ends[1])))

    def _merged(self, attributes: dict[str, str]) -> None:
        found = _MERGED.fullmatch(attributes.get("ref", ""))
        if found and len(self._out.merged) < _TOLD_MAX:
            self._out.merged.append((column_number(found[1]), int(found[2]), column_number(found[3]), int(found[4])))
