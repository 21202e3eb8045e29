"""What stands in a file that nobody has described yet: its format, its dialect, the names of its columns."""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.schema import Dialect
from pratique.sources.base import ReadLimits
from pratique.sources.files.cutter import Cut, Cutter
from pratique.sources.files.grammar import grammar
from pratique.sources.files.head import HEADER_LINES_MAX, by_carriage_return, names_of
from pratique.sources.files.header import check_names, check_width, wrong_delimiter
from pratique.sources.files.json_cut import JsonText
from pratique.sources.files.survey import check_kind, check_regular, open_inside
from pratique.sources.files.text import Text, read_chunks, utf8_text
from pratique.sources.files.unpack import unpacked

_BINARY: Final = frozenset({"excel", "parquet"})
_MARKS: Final = (",", ";", "\t", "|")
_CHUNK_BYTES: Final = 64 << 10
_ROWS: Final = 200  # Limit: records at the top from which the dialect is told; the run looks at all of them
_LIKELY: Final = 0.6  # of the records at the top must have as many fields as the header
_DATUM: Final = re.compile(
    r"[+-]?[0-9][0-9.,]*(e[+-]?[0-9]+)?|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}\b.*", re.IGNORECASE
)

_YEAR: Final = re.compile("(19|20)[0-9]{2}")  # years head the columns of many tables


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: `columns` in the order of the file (of JSON: in which they first occur)."""

    format: str
    columns: tuple[str, ...]
    dialect: Dialect
    notices: tuple[str, ...] = ()


def look(path: Path, form: str, limits: ReadLimits, workspace: Path) -> tuple[list[Look], list[str]]:
    """Look at a file: the table in it, of a workbook those of all sheets, and a line about each sheet without one.

    SourceError if it is empty, is no text where text is expected, or its header cannot be used. Delimiter and header
    are told from the records at the top, the encoding of a text and the keys of JSON from all of the file. What is
    written on the way goes into `workspace`.
    """
    with _opened(path, form, limits, workspace) as (handle, real):
        if os.fstat(handle).st_size == 0:
            raise SourceError("it is empty", hint="not even a header: ask the sender")
        if form == "excel":
            from pratique.sources.files.excel_look import look_at_sheets  # noqa: PLC0415 - most files are no workbooks

            sheets, left_out = look_at_sheets(handle, limits, workspace)
            return [Look(form, sheet.columns, sheet.dialect, sheet.notices) for sheet in sheets], left_out
        if form == "csv":
            return [_csv(handle, real, limits, workspace)], []
        columns = _parquet(real) if form == "parquet" else _keys(handle, form, limits)
        return [Look(form, columns, Dialect())], []


def _keys(handle: int, form: str, limits: ReadLimits) -> tuple[str, ...]:
    """The keys of all JSON objects, in the order in which they first occur."""
    keys: dict[str, None] = {}
    for element in _objects(handle, form, limits):
        try:
            value = json.loads(element)
        except (ValueError, RecursionError):  # it is held when it is judged
            continue
        if isinstance(value, dict):
            keys.update(dict.fromkeys(value))
    if not keys:
        raise SourceError("it holds no JSON object", hint='a record is an object such as {"id": 1}')
    check_names(tuple(keys), limits.columns_max)
    return tuple(keys)


@contextmanager
def _opened(path: Path, form: str, limits: ReadLimits, workspace: Path) -> Iterator[tuple[int, Path]]:
    """The file, or what is packed in it, open for reading."""
    handle, real = open_inside(path, path.parent)
    inner: Path | None = None
    try:
        check_regular(handle)
        inner = None if form in _BINARY else unpacked(handle, workspace, limits)
        if inner is not None:
            os.close(handle)
            handle, real = os.open(inner, os.O_RDONLY | os.O_CLOEXEC), inner
        if form not in _BINARY:
            check_kind(handle)
        yield handle, real
    except OSError as error:
        raise SourceError(f"it cannot be read: {error.strerror}", hint="check that it is there and readable") from error
    finally:
        os.close(handle)
        if inner is not None:
            inner.unlink(missing_ok=True)


def _parquet(path: Path) -> tuple[str, ...]:
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s
    import pyarrow.parquet as pq  # noqa: PLC0415 - the same

    try:
        return tuple(str(name) for name in pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"it is no complete Parquet file: {reason}", hint="send it again") from error


def _objects(handle: int, form: str, limits: ReadLimits) -> Iterator[bytes]:
    """The text of each record."""
    if form == "json":
        yield from (element.text for element in JsonText(handle, limits.record_bytes_max).elements())
        return
    with os.fdopen(os.dup(handle), "rb") as file:
        while line := file.readline(limits.record_bytes_max):
            yield line.removeprefix(codecs.BOM_UTF8)


def _csv(handle: int, path: Path, limits: ReadLimits, workspace: Path) -> Look:
    encoding, notices = _encoding(handle)
    csv.field_size_limit(max(csv.field_size_limit(), limits.record_bytes_max))
    text = utf8_text(handle, path, encoding, workspace)
    try:
        return _table(text, Dialect(encoding=encoding), limits, notices)
    finally:
        if text.copied:
            text.path.unlink()


def _encoding(handle: int) -> tuple[str, tuple[str, ...]]:
    """The encoding of a text, told by its marks and bytes; SourceError if it is no text."""
    head = os.pread(handle, _CHUNK_BYTES, 0)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32", ()
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", ()
    if b"\0" in head:
        odd, even = head[1::2].count(0), head[::2].count(0)
        half = len(head) // 2
        if max(odd, even) < half * 0.4 or min(odd, even) > half * 0.1:
            raise SourceError(
                "it is not text: it has NUL bytes",
                hint="files of text are CSV, JSON and JSON Lines; others need their suffix",
            )
        encoding = "utf-16-le" if odd > even else "utf-16-be"
        return encoding, (f"it looks like {encoding}, without a byte order mark",)
    good, bad = _utf8_lines(handle)
    if not bad or good:  # a few bad bytes among sound UTF-8 are broken records, not another encoding
        return "utf-8", ()
    return "windows-1252", (
        f"{bad:,} lines are not UTF-8: they are read as windows-1252; look at letters with accents",
    )


def _utf8_lines(handle: int) -> tuple[int, int]:
    """How many pieces of text that are not ASCII are UTF-8, and how many are not."""
    good = bad = 0
    rest = b""
    for chunk in read_chunks(handle):
        data = rest + chunk
        cut = data.rfind(b"\n") + 1 or len(data)
        rest = data[cut:]
        if not data[:cut].isascii():
            marks = [_is_utf8(line) for line in data[:cut].split(b"\n") if not line.isascii()]
            good, bad = good + sum(marks), bad + len(marks) - sum(marks)
    if rest and not rest.isascii():
        good, bad = good + _is_utf8(rest), bad + (not _is_utf8(rest))
    return good, bad


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Cutting:
    """The records at the top as one delimiter cuts them."""

    dialect: Dialect
    rows: tuple[tuple[str, ...], ...]  # of those that have the usual number of fields, the header first
    width: int
    share: float  # of the records from the header on that have so many fields
    whole: float  # the same of all records
    line: int  # physical, of the header
    broken: Cut | None  # above it a line with as many delimiters that cannot be read: that is the header


def _table(text: Text, plain: Dialect, limits: ReadLimits, notices: tuple[str, ...]) -> Look:
    carriage = by_carriage_return(text, limits)
    cuttings = [_cutting(text, replace(plain, delimiter=mark), limits, carriage=carriage) for mark in _MARKS]
    wide = [cutting for cutting in cuttings if cutting.width > 1 and cutting.share >= _LIKELY]
    found = max(wide, key=lambda cutting: (round(cutting.whole, 1), cutting.width), default=cuttings[0])
    dialect = found.dialect if found.dialect.delimiter != "," else replace(found.dialect, delimiter=None)
    names = found.rows[0]
    check_width(names, limits.columns_max)
    if hint := wrong_delimiter(names):
        raise SourceError(f"it has one column, named {names[0][:64]!r}", hint=hint)
    if len(found.rows) > 1 and found.line == 1 and _is_datum(names, found.rows[1:]):
        columns = tuple(f"column_{number}" for number in range(1, len(names) + 1))
        told = "its first line holds values: it has no header, and its columns are named here"
        return Look("csv", columns, replace(dialect, header=False), (*notices, told))
    if found.broken is not None:
        raise SourceError(
            f"its header in line {found.broken.line} cannot be read: {found.broken.problem}",
            hint="correct this line: a name that holds a quote stands in quotes as a whole, its own quotes doubled",
        )
    check_names(names, limits.columns_max)
    if found.line > 1:
        notices = (*notices, f"its header stands in line {found.line}: the lines above it are left out")
    return Look("csv", names, dialect, notices)


def _cutting(text: Text, dialect: Dialect, limits: ReadLimits, *, carriage: bool) -> _Cutting:
    cutter = Cutter(
        text.chunks(size=_CHUNK_BYTES),
        grammar(dialect, None, carriage=carriage),
        limits.record_bytes_max,
        encoding=text.encoding,
        offset=text.begin,
    )
    cuts: list[Cut] = []
    for cut in cutter:
        cuts.append(cut)
        if len(cuts) == _ROWS:
            break
    rows = [(cut.line, names_of(text, cut, dialect)) for cut in cuts if cut.problem is None]
    if not rows:
        problem = f": {cuts[0].problem}" if cuts else ""
        raise SourceError(f"it holds no record that can be read{problem}", hint="is it a text, and complete?")
    widths = Counter(len(row) for _, row in rows)
    width = max(widths, key=lambda size: (widths[size], size))
    fitting = [(line, row) for line, row in rows if len(row) == width]
    if fitting[0][0] > HEADER_LINES_MAX:
        raise SourceError(f"no header stands in its first {HEADER_LINES_MAX} lines", hint="remove what stands above it")
    header = next(index for index, (_, row) in enumerate(rows) if len(row) == width)
    share = len(fitting) / (len(cuts) - header)
    above = (cut for cut in cuts if cut.problem is not None and cut.line < fitting[0][0])
    broken = next(
        (cut for cut in above if 1 < width <= text.decode(cut.data).count(dialect.delimiter or ",") + 1), None
    )
    rows_fitting = tuple(row for _, row in fitting)
    return _Cutting(dialect, rows_fitting, width, share, len(fitting) / len(cuts), fitting[0][0], broken)


def _is_datum(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line holds values: it has one that is a number or a date, as all others of that column."""
    for place, value in enumerate(first):
        below = [row[place] for row in rows if row[place].strip()]
        numbers = bool(below) and all(_DATUM.fullmatch(other.strip()) for other in below)
        if numbers and not _DATUM.fullmatch(value.strip()):
            return False
    data = [value for value in first if _DATUM.fullmatch(value.strip())]
    return any(not _YEAR.fullmatch(value.strip()) for value in data)
