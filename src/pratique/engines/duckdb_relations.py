"""Landed files as FROM items: every record once, in order, with its file and with why it cannot be judged."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from pratique.engines.duckdb_parquet import read_parquet, undecodable
from pratique.engines.duckdb_session import Session, first_line
from pratique.errors import InternalError, PratiqueError, SourceError
from pratique.model import ArrowForm, CsvForm, LandedFile, ParquetForm, Part
from pratique.schema.compile import InputColumn
from pratique.schema.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "_pratique_file"
MALFORMED = "_malformed"
_ARROW = "_arrow_input"
_BACKSLASH = "\\"
_BUFFER_BYTES = 32 * 1024 * 1024  # Limit: DuckDB would take 16 x the longest record allowed, per thread


@dataclass(frozen=True, slots=True)
class Relation:
    """A FROM item: the part's columns by header name, `_pratique_file` (index in the load), perhaps `_malformed`."""

    sql: str
    inputs: tuple[InputColumn, ...]
    captures: Mapping[str, str]
    malformed: str | None


def names(part: Part) -> tuple[str, ...]:
    """The header of a part's files."""
    return tuple(part.form.columns)


def _texts(part: Part) -> tuple[InputColumn, ...]:
    return tuple(InputColumn(name) for name in names(part))


@contextmanager
def relation(session: Session, part: Part, first: int) -> Iterator[Relation]:
    """Give the FROM item of a part whose first file has index `first`; it can be read while the context is open."""
    if not part.files:
        nulls = "".join(f"NULL::VARCHAR AS {identifier(name)}, " for name in names(part))
        yield Relation(f"(SELECT {nulls}0 AS {identifier(FILE)} WHERE false)", _texts(part), {}, None)
        return
    _distinct(part)
    captures = _captures(part, first)
    if isinstance(part.form, CsvForm) and part.form.copied:
        yield Relation(_copied(session, part, part.form, first), _texts(part), captures, None)
        return
    if isinstance(part.form, CsvForm):
        yield Relation(_csv(session, part, part.form, first), _texts(part), captures, MALFORMED)
        return
    own = set(part.form.captures.values()) if isinstance(part.form, ArrowForm) else set()
    inputs = tuple(InputColumn(name, kind) for name, kind in part.form.columns.items() if name not in own)
    if isinstance(part.form, ParquetForm):
        read = read_parquet(part, part.form)
        yield Relation(f"(SELECT {_listed(part)}, {_index(part, first)} FROM {read})", inputs, captures, None)
        return
    malformed = MALFORMED if part.form.malformed else None
    captures |= {name: identifier(column) for name, column in part.form.captures.items()}
    with registered(session, _ARROW, _with_file(part.form, part.files, first)):
        yield Relation(_ARROW, inputs, captures, malformed)


@contextmanager
def registered(session: Session, name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[None]:
    """Make batches readable under `name`, once, while the context is open; at least one batch must come.

    An error of ours that `batches` raises while DuckDB pulls comes out as it is, not as DuckDB retells it.
    """
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s where no Arrow is read

    raised: list[PratiqueError] = []
    first = next(batches)

    def pulled() -> Iterator[pa.RecordBatch]:
        yield first
        try:
            yield from batches
        except PratiqueError as error:
            raised.append(error)
            raise

    with session.guarded():
        session.connection.register(name, pa.RecordBatchReader.from_batches(first.schema, pulled()))
    try:
        yield
    except PratiqueError:
        if raised:
            raise raised[0] from None
        raise
    finally:
        session.connection.unregister(name)


def _distinct(part: Part) -> None:
    """Refuse columns that DuckDB could not tell apart: its names ignore case."""
    seen: dict[str, str] = {}
    for name in names(part):
        other = seen.setdefault(name.casefold(), name)
        if other != name or name.casefold() in {FILE, MALFORMED}:
            clash = "a name that Pratique uses itself" if other == name else f"the same name as {other!r} but for case"
            raise SourceError(
                f"column {name!r} has {clash}",
                where=part.files[0].version.name,
                hint="rename the column where the file is written",
            )


def _captures(part: Part, first: int) -> dict[str, str]:
    """SQL for the parts of the path that the pattern names, one value per file."""
    found: dict[str, str] = {}
    for name in part.files[0].captures:
        values = [literal(file.captures[name]) for file in part.files]
        chosen = f"([{', '.join(values)}])[{identifier(FILE)} - {first - 1}]"
        found[name] = values[0] if len(values) == 1 else chosen
    return found


def _listed(part: Part) -> str:
    return ", ".join(identifier(name) for name in part.form.columns)


def _paths(part: Part) -> str:
    return "[" + ", ".join(literal(str(file.path)) for file in part.files) + "]"


def _csv(session: Session, part: Part, form: CsvForm, first: int) -> str:
    """Read text with one column to spare, so that a record with a field too many or too few shows.

    DuckDB drops a surplus empty last field in silence unless there is a column for it. Padding gives NULL, an empty
    field gives ''; nothing else can be NULL, because `nullstr` cannot be guessed by whoever wrote the file.
    """
    width = len(form.columns)
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(width + 1))
    quote = form.quote or ""
    options = {
        "columns": "{" + columns + "}",
        "skip": str(form.skip),
        "delim": literal(form.delimiter),
        "quote": literal(quote),
        "escape": literal(quote),
        "comment": "''",
        "encoding": "'utf-8'",
        "nullstr": literal("\x01" + secrets.token_hex(8)),
        "max_line_size": str(session.settings.record_bytes_max),
        "buffer_size": str(max(_BUFFER_BYTES, 2 * session.settings.record_bytes_max)),
        "auto_detect": "false",
        "header": "false",
        "strict_mode": "true",
        "null_padding": "true",
        "allow_quoted_nulls": "false",
        # Upstream: a parallel scan with null_padding refuses line ends inside quotes
        "parallel": "false" if form.multiline else "true",
    }
    named = ", ".join(f"{_value(form, number)} AS {identifier(name)}" for number, name in enumerate(form.columns))
    found = "list_count([" + ", ".join(f"c{number}" for number in range(width)) + "])"  # a long sum nests too deep
    reason = f"decode(unhex(substr(c0, {len(form.broken or '') + 1})))"
    broken = f"WHEN starts_with(c0, {literal(form.broken)}) THEN {reason} " if form.broken else ""
    wrong = (
        f"CASE {broken}WHEN c{width} IS NOT NULL THEN {literal(f'expected {width} fields, found {width + 1}')} "
        f"WHEN c{width - 1} IS NULL THEN {literal(f'expected {width} fields, found ')} || {found} END"
    )
    arguments = ", ".join(f"{name} = {value}" for name, value in options.items())
    return (
        f"(SELECT {named}, {_index(part, first)}, {wrong} AS {identifier(MALFORMED)} "
        f"FROM read_csv({_paths(part)}, {arguments}))"
    )


def _copied(session: Session, part: Part, form: CsvForm, first: int) -> str:
    """Read the lines that a database source lands: a tab after each text, NULL apart from an empty one."""
    width = len(form.columns)
    options = {
        "columns": "{" + ", ".join(f"'c{number}': 'VARCHAR'" for number in range(width + 1)) + "}",
        "delim": "'\t'",
        "quote": "''",
        "escape": "''",
        "comment": "''",
        "encoding": "'utf-8'",
        "nullstr": r"'\N'",
        "new_line": r"'\n'",
        "max_line_size": str(session.settings.record_bytes_max),
        "buffer_size": str(max(_BUFFER_BYTES, 2 * session.settings.record_bytes_max)),
        "auto_detect": "false",
        "header": "false",
        "strict_mode": "true",
    }
    named = ", ".join(f"{_plain(f'c{number}')} AS {identifier(name)}" for number, name in enumerate(form.columns))
    arguments = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"(SELECT {named}, {_index(part, first)} FROM read_csv({_paths(part)}, {arguments}))"


def _plain(column: str) -> str:
    """SQL: the text that was written with a backslash before what would end a field or a line.

    A doubled backslash is set aside as one before an s, which is never written: no step finds what an earlier one made.
    """
    text = f"replace({column}, {literal(2 * _BACKSLASH)}, {literal(_BACKSLASH + 's')})"
    for mark, character in (("b", 8), ("t", 9), ("n", 10), ("v", 11), ("f", 12), ("r", 13), ("0", 0)):
        text = f"replace({text}, {literal(_BACKSLASH + mark)}, chr({character}))"
    text = f"replace({text}, {literal(_BACKSLASH + 's')}, {literal(_BACKSLASH)})"
    return f"CASE WHEN contains({column}, {literal(_BACKSLASH)}) THEN {text} ELSE {column} END"


def _value(form: CsvForm, number: int) -> str:
    """SQL for a field, which may stand there in hex."""
    if form.encoded is None:
        return f"c{number}"
    digits = f"substr(c0, {len(form.encoded) + 1})" if number == 0 else f"c{number}"
    return f"CASE WHEN starts_with(c0, {literal(form.encoded)}) THEN decode(unhex({digits})) ELSE c{number} END"


def _index(part: Part, first: int) -> str:
    found = str(first) if len(part.files) == 1 else f"file_index + {first}"
    return f"({found})::INTEGER AS {identifier(FILE)}"


def _with_file(form: ArrowForm, files: tuple[LandedFile, ...], first: int) -> Iterator[pa.RecordBatch]:
    """Add the file's index to every record: batches come file after file, so the files' own counts tell where one ends.

    Records beyond the last count belong to the last file: the balance of the load finds them.
    """
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s where no Arrow is read

    ends: list[int] = []
    for file in files:
        ends.append((ends[-1] if ends else 0) + file.records)
    at = index = 0
    empty = True
    for batch in form.batches():
        done = 0
        while done < batch.num_rows:
            while index < len(files) - 1 and at >= ends[index]:
                index += 1
            last = index >= len(files) - 1
            size = batch.num_rows - done if last else min(batch.num_rows - done, ends[index] - at)
            yield _numbered(batch.slice(done, size), first + index)
            empty = False
            done += size
            at += size
    if empty:
        fields = [pa.field(name, pa.string()) for name in form.columns]
        fields += [pa.field(MALFORMED, pa.string())] if form.malformed else []
        yield _numbered(pa.RecordBatch.from_pylist([], schema=pa.schema(fields)), first)


def _numbered(batch: pa.RecordBatch, index: int) -> pa.RecordBatch:
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s where no Arrow is read

    return batch.append_column(FILE, pa.repeat(pa.scalar(index, pa.int32()), batch.num_rows))


def unreadable(error: duckdb.Error, part: Part) -> SourceError | InternalError:
    """The error for a part that DuckDB's reader gave up on, with file and line where DuckDB tells them."""
    text = str(error)
    if isinstance(part.form, ParquetForm):
        return undecodable(error, part, part.form)
    if not (isinstance(error, (duckdb.IOException, duckdb.InvalidInputException)) or "CSV Error" in text):
        return InternalError(f"DuckDB: {first_line(error)}")
    found = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    by_path = {str(file.path): file.version.name for file in part.files}
    name = by_path.get(found.group(1).strip() if found else "", part.files[0].version.name)
    return SourceError(
        f"the file cannot be read as declared: {_reason(text)}",
        where=f"{name}:{line.group(1)}" if line else name,
        hint="repair the file there, or declare its delimiter, quoting and encoding in the schema's `dialect`",
        facts={"file": name, "line": int(line.group(1)) if line else None},
    )


def _reason(text: str) -> str:
    """What DuckDB says is wrong, without its advice and without the line's content."""
    for pattern in (
        r"Value with unterminated quote found",
        r"Invalid unicode[^.]*",
        r"Expected Number of Columns: \d+ Found: \d+",
        r"Maximum line size of \d+ bytes exceeded",
        r"does not support the encoding: \S+",
    ):
        if match := re.search(pattern, text):
            return match.group(0)
    return text.strip().splitlines()[0]
