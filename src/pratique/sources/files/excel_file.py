"""Excel workbooks: the table of one sheet, as text that the schema judges as it judges CSV.

The sheet is read once, into a fair copy that the engine reads: sound records as CSV, and a placeholder for each one
that holds a cell whose value cannot be told.
"""

from __future__ import annotations

import csv
import io
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.model import CsvForm, RawRecord
from pratique.schema import Dialect, Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.excel_cut import SheetRows
from pratique.sources.files.excel_parts import Package, Sheet, Texts, Workbook, check_workbook, open_workbook
from pratique.sources.files.excel_table import Record, Table
from pratique.sources.files.fair_copy import BROKEN
from pratique.sources.files.scratch import Scratch, scratch_file
from pratique.sources.files.survey import Survey, fingerprint

# Limit: lines that are written together, and the bytes of one from which on it does not wait.
_LINES: Final = 256
_LONG_BYTES: Final = 64 << 10


def survey_excel(handle: int, schema: Schema, dialect: Dialect, limits: ReadLimits, workspace: Path) -> Survey:
    """Hash, count and describe a workbook. SourceError, its hash in `facts`, if it is damaged or does not fit."""
    csv.field_size_limit(max(csv.field_size_limit(), limits.record_bytes_max))
    sha256, size = fingerprint(handle)
    try:
        check_workbook(handle)
        with closing(Package(handle, limits)) as package:
            book = open_workbook(package)
            sheet, notices = _choose(book, dialect, limits)
            with (
                Texts(book, workspace, limits) as texts,
                scratch_file(workspace, "a workbook cannot be copied") as copy,
                scratch_file(workspace, "a workbook cannot be copied") as beside,
            ):
                table = Table(book, sheet, texts, schema, dialect, limits)
                made = _Copy(copy, beside, sheet.name, table.head.names)
                for record in table.records():
                    made.add(record)
                made.flush()
    except SourceError as error:
        facts = {**error.facts, "sha256": sha256, "size": size}
        raise SourceError(error.message, hint=error.hint, facts=facts) from error
    form = CsvForm(table.head.names, multiline=made.multiline, broken=BROKEN)
    return Survey(
        sha256=sha256,
        size=size,
        records=len(made.rows),
        form=form,
        records_of=lambda numbers: made.again([number - table.first_number for number in numbers], table.first_number),
        first_number=table.first_number,
        blank_lines=table.blank_rows,
        path=copy.path,
        scratch=(copy.path, beside.path),
        notices=(*notices, *table.notices()),
    )


def _choose(book: Workbook, dialect: Dialect, limits: ReadLimits) -> tuple[Sheet, list[str]]:
    """The sheet that is declared, or the only visible one that holds data; what to tell of the others."""
    if dialect.sheet is not None:
        return _declared(book, dialect.sheet), []
    full = full_sheets(book, limits)
    shown = [sheet for sheet in full if not sheet.hidden]
    if len(shown) == 1:
        return shown[0], [
            f"its hidden sheet {sheet.name!r} holds data, too, and is not read" for sheet in full if sheet.hidden
        ]
    if len(shown) > 1:
        raise SourceError(f"{len(shown)} of its sheets hold data: {_names(shown)}", hint="say which one: dialect.sheet")
    if full:
        raise SourceError(f"only hidden sheets hold data: {_names(full)}", hint="say which one: dialect.sheet")
    raise SourceError("it holds no data", hint="not even a header: ask the sender")


def full_sheets(book: Workbook, limits: ReadLimits) -> list[Sheet]:
    """The sheets with at least one cell that holds more than an empty text."""
    return [sheet for sheet in book.sheets if sheet.part is not None and _holds_data(book, sheet.part, limits)]


def _declared(book: Workbook, wanted: str | int) -> Sheet:
    found = [sheet for number, sheet in enumerate(book.sheets, 1) if wanted in (number, sheet.name)]
    if not found:
        raise SourceError(
            f"it has no sheet {wanted!r}", hint=f"its sheets are {_names(book.sheets)}; see dialect.sheet"
        )
    if found[0].part is None:
        raise SourceError(f"its sheet {found[0].name!r} is a chart", hint="see dialect.sheet")
    return found[0]


def _names(sheets: Sequence[Sheet]) -> str:
    shown = ", ".join(repr(sheet.name) for sheet in sheets[:10])
    return shown + (f" and {len(sheets) - 10} more" if len(sheets) > 10 else "")  # noqa: PLR2004 - what fits a line


def _holds_data(book: Workbook, part: str, limits: ReadLimits) -> bool:
    rows = SheetRows(book.package, part, limits.record_bytes_max)
    return any(text != "" for row in rows for _, _, _, text, _ in row.cells)


@dataclass(slots=True)
class _Copy:
    """The fair copy of a table, and where each of its records stands: 16 bytes each, of at most 1,048,576 rows.

    What can be told of a broken record is written beside it.
    """

    copy: Scratch
    beside: Scratch
    sheet: str
    columns: tuple[str, ...]
    multiline: bool = False
    rows: array[int] = field(default_factory=lambda: array("I"))  # of the sheet
    places: array[int] = field(default_factory=lambda: array("q"))  # in the copy, or ~ beside it
    sizes: array[int] = field(default_factory=lambda: array("I"))
    _lines: list[bytes] = field(default_factory=list)
    _end: int = 0
    _end_beside: int = 0

    def __post_init__(self) -> None:
        line = f"{BROKEN}\n".encode()  # a mark at the very beginning would be taken for one of byte order
        self._lines.append(line)
        self._end = len(line)

    def add(self, record: Record) -> None:
        """Append a record."""
        if record.problem is None and (problem := self._add_sound(record)):
            record = record._replace(problem=problem)
        if record.problem is not None:
            self._add_broken(record, record.problem)
        self.rows.append(record.row)

    def _add_sound(self, record: Record) -> str:
        """Write a record, or say why it cannot be written."""
        text = '","'.join(record.values)
        if text.count('"') != 2 * len(record.values) - 2:
            text = '","'.join(value.replace('"', '""') for value in record.values)
        try:
            line = f'"{text}"\n'.encode()
        except UnicodeEncodeError:
            return f"{self.sheet}, row {record.row}: a text holds half of a surrogate pair"
        if b"\0" in line:
            return f"{self.sheet}, row {record.row}: a text holds a NUL character"
        self.multiline = self.multiline or "\n" in text or "\r" in text
        self.places.append(self._end)
        self.sizes.append(len(line))
        self._write(line)
        return ""

    def _add_broken(self, record: Record, problem: str) -> None:
        line = f"{BROKEN}{problem.encode('utf-8', 'backslashreplace').hex()}\n".encode()
        known = json.dumps(record.values).encode()
        self.beside.write(known)
        self.places.append(~self._end_beside)
        self.sizes.append(len(known))
        self._end_beside += len(known)
        self._write(line)

    def _write(self, line: bytes) -> None:
        self._lines.append(line)
        self._end += len(line)
        if len(self._lines) > _LINES or len(line) > _LONG_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        self.copy.write(b"".join(self._lines))
        self._lines.clear()

    def again(self, wanted: Sequence[int], first_number: int) -> Iterator[RawRecord]:
        """Yield the records at these places, ascending, from 0."""
        with self.copy.path.open("rb", buffering=0) as copy, self.beside.path.open("rb", buffering=0) as beside:
            for at in wanted:
                if not 0 <= at < len(self.rows):
                    raise SourceError(
                        f"there are {len(self.rows):,} records, none of them is number {at + first_number:,}",
                        hint="the file changed while it was read; run again when nothing writes it",
                    )
                place = self.places[at]
                data = os.pread(
                    (copy if place >= 0 else beside).fileno(), self.sizes[at], place if place >= 0 else ~place
                )
                if place >= 0:
                    values = next(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
                else:
                    values = json.loads(data)
                yield RawRecord(
                    at + first_number,
                    self.rows[at],
                    None,
                    dict(zip(self.columns, values, strict=True)),
                    sheet=self.sheet,
                )
