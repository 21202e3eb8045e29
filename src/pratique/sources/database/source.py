"""Rows of a database as a source: landed out of one snapshot, fingerprinted, counted; new ones told by a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pratique.databases import Cursor, CursorSpan, DatabaseInput
from pratique.errors import ConfigurationError, SourceError
from pratique.model import CsvForm, Disposition, FileVersion, HeldFile, Landed, LandedFile, Part, Position
from pratique.schema import Schema
from pratique.schema.binding import bind
from pratique.sources.base import SHOWN_RECORDS, Probe, ReadLimits, Step
from pratique.sources.database.base import Bounds, Database, Snapshot, SourceColumn, Window
from pratique.sources.database.lines import LineReader, Sink, values_of
from pratique.sources.files.scratch import check_landed, scratch_file

_NESTED = frozenset({"json", "array", "object"})


@dataclass(slots=True)
class DatabaseSource:
    """The rows of a table or query. Holds nothing open between two calls."""

    name: str
    schema: Schema
    input: DatabaseInput
    disposition: Disposition = "append"
    limits: ReadLimits = field(default_factory=ReadLimits)
    workspace: Path = Path()
    _database: Database = field(init=False, repr=False)
    _landed: Path | None = field(default=None, init=False, repr=False)
    _ahead: Landed | None = field(default=None, init=False, repr=False)  # out of a snapshot of several sources

    def __post_init__(self) -> None:
        self._database = open_database(self.input)

    def probe(self) -> Probe:
        """Look whether the database answers, has these columns, and gives rows."""
        step: Step = "address" if self.input.server.kind == "sqlite" else "credentials"
        lines: list[bytes] = []
        names: list[str] = []
        try:
            with self._database.snapshot() as snapshot:
                step = "permissions"
                columns = snapshot.columns()
                step = "records"
                wanted = chosen(columns, self.schema, self.input, self.limits.columns_max)
                names = [column.name for column in wanted]
                snapshot.copy(wanted, frozenset(), None, _first(lines))
        except _EnoughError:
            pass
        except SourceError as error:
            return Probe.of(error, "permissions" if step == "records" and not isinstance(error, MisfitError) else step)
        rows = b"".join(lines).split(b"\n")[:-1][:SHOWN_RECORDS]
        records = tuple(dict(zip(names, values_of(row.decode()), strict=True)) for row in rows)
        return Probe(True, f"{self.input.name} in {self.input.server.shown} has {len(names)} columns", records)

    def land(self, since: Position) -> Landed:
        """Copy what is new since `since` out of one snapshot into a file of its own, and describe that.

        What the newest load has read already, byte by byte, is `skipped`. Columns that do not fit the schema, or whose
        values no text gives back, hold the input before a row is read. Raises SourceUnreachableError after the
        last retry, SourceError where the database refuses.
        """
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, Landed(self.name, (), LineReader())
            return ahead
        return self.limits.retries.of(lambda: self._land(since))

    def _land(self, since: Position) -> Landed:
        with self._database.snapshot() as snapshot:
            return self._land_in(snapshot, since)

    def _land_in(self, snapshot: Snapshot, since: Position) -> Landed:
        if self._landed is not None:
            self._landed.unlink(missing_ok=True)
            self._landed = None
        name, reader = self.input.name, LineReader()
        try:
            columns = chosen(snapshot.columns(), self.schema, self.input, self.limits.columns_max)
        except MisfitError as error:
            held = HeldFile(FileVersion(name, "", 0), error.message, error.hint)
            return Landed(self.name, (), reader, held=(held,))
        span, window, notices = self._window(snapshot, columns, since.cursor)
        version, count, path = self._copied(snapshot, columns, window)
        known = next((item for item in reversed(since.known) if item.name == name), None)
        again = known is not None and known.sha256 == version.sha256
        nothing = span is not None and known is not None and count == 0
        if again or nothing:
            path.unlink()
            return Landed(self.name, (), reader, skipped=(version,) if again else (), notices=notices)
        self._landed = path
        form = CsvForm(tuple(column.name for column in columns), "\t", None, 0, copied=True)
        part = Part(form, (LandedFile(path, version, count),))
        # The load before this one is part of this load's id: a table that returns to an earlier state is loaded again.
        supersedes = (name,) if known else ()
        verify = partial(check_landed, path, version.size)
        return Landed(self.name, (part,), reader, supersedes=supersedes, notices=notices, verify=verify, cursor=span)

    def _copied(
        self, snapshot: Snapshot, columns: Sequence[SourceColumn], window: Window | None
    ) -> tuple[FileVersion, int, Path]:
        nested = frozenset(
            header
            for name, header in bind(self.schema, [column.name for column in columns]).columns.items()
            if self.schema.field(name).type.name in _NESTED
        )
        with scratch_file(self.workspace, "the rows of a database cannot be landed") as file:
            sink = Sink(file, self.limits.unpacked_bytes_max)
            count = snapshot.copy(columns, nested, window, sink.write)
            sha256 = sink.finish()
        return FileVersion(self.input.name, sha256, sink.size), count, file.path

    def _window(
        self, snapshot: Snapshot, columns: Sequence[SourceColumn], before: CursorSpan | None
    ) -> tuple[CursorSpan | None, Window | None, tuple[str, ...]]:
        """Which rows are read: from the last position on, up to the greatest value in this snapshot."""
        cursor = self.input.cursor
        if cursor is None:
            return None, None, ()
        column = next(item for item in columns if item.name == cursor.field)
        last = _position(before, column, self.name)
        if last is None and cursor.start is not None:
            snapshot.check(column, cursor.start)
        found = snapshot.bounds(column, last)
        low = last or cursor.start
        # With a key, rows at the border are read again and known again; without one they would come twice.
        inclusive = last is None or bool(self.schema.primary_key)
        window = Window(column, low, inclusive, cursor.lookback if last else None, found.newest)
        end = last if found.behind or found.newest is None else found.newest
        span = CursorSpan(column.name, column.type, low, end)
        return span, window, tuple(_notices(self.name, column, found, moved=end != last))


def land_together(sources: Sequence[tuple[DatabaseSource, Position]]) -> None:
    """Land all sources of one database out of one snapshot; the next `land` of each gives what was landed here.

    Raises as `land` does; nothing is landed then.
    """

    def landed() -> None:
        with sources[0][0]._database.snapshot() as snapshot:  # noqa: SLF001 - of this module
            for source, since in sources:
                source._ahead = source._land_in(snapshot.beside(source.input), since)  # noqa: SLF001

    sources[0][0].limits.retries.of(landed)


class _EnoughError(Exception):
    """As many rows were given as a person looks at."""


def _first(lines: list[bytes]) -> Callable[[bytes], None]:
    """Take lines, or parts of them, until there are enough."""

    def write(data: bytes) -> None:
        lines.append(data)
        if sum(piece.count(b"\n") for piece in lines) >= SHOWN_RECORDS:
            raise _EnoughError

    return write


class MisfitError(SourceError):
    """The columns are not what the schema asks for, or cannot be read exactly."""


def open_database(asked: DatabaseInput) -> Database:
    """The kind of database that is asked; ConfigurationError if the package for it is missing. Connects to nothing."""
    try:
        if asked.server.kind == "postgres":
            from pratique.sources.database.postgres import Postgres  # noqa: PLC0415 - loads a driver

            return Postgres(asked)
        if asked.server.kind == "mysql":
            from pratique.sources.database.mysql import MySQL  # noqa: PLC0415 - loads a driver

            return MySQL(asked)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"to read a database of type {asked.server.kind} the package {error.name} is missing",
            hint=f"python -m pip install 'pratique[{asked.server.kind}]'",
        ) from error
    from pratique.sources.database.sqlite import SQLite  # noqa: PLC0415 - loads a driver

    return SQLite(asked)


def chosen(
    columns: tuple[SourceColumn, ...], schema: Schema, asked: DatabaseInput, columns_max: int
) -> tuple[SourceColumn, ...]:
    """The columns to read: those that are asked for, less what the schema drops; MisfitError says what is wrong."""
    if asked.columns is not None:
        columns = named(columns, asked)
    if len(columns) > columns_max:
        raise MisfitError(f"it has {len(columns):,} columns, more than {columns_max:,}", hint="name some in `columns`")
    binding = bind(schema, [column.name for column in columns])
    extra = binding.extra if schema.extra_fields == "reject" else ()
    if binding.missing or extra or binding.duplicates:
        meant = [(names[0], name) for name, names in (binding.near or {}).items() if names]
        near = [f"is {there} the field {name}? then add it to its `from`" for there, name in meant]
        hint = "; ".join(near) or "change the schema, or name the columns to read in `columns`"
        raise MisfitError(f"its columns do not fit the schema {schema.name}: {binding.difference()}", hint=hint)
    used = set(binding.columns.values())
    field = asked.cursor.field if asked.cursor else None
    if field is not None and field not in {column.name for column in columns}:
        raise MisfitError(f"it has no column {field}, which is its cursor", hint="add it to `columns`, or correct it")
    if schema.extra_fields == "drop":
        columns = tuple(column for column in columns if column.name in used or column.name == field)
    check_exact(columns)
    if asked.cursor:
        _check_cursor(next(column for column in columns if column.name == field), asked.cursor)
    _check_zones(columns, schema, binding.columns)
    return columns


def _check_cursor(column: SourceColumn, cursor: Cursor) -> None:
    if column.order is None:
        raise MisfitError(
            f"the cursor {column.name} is {column.type}, which does not tell new rows from known ones",
            hint="a cursor is an integer, an exact number, a date or a time with a date",
        )
    if cursor.lookback and cursor.lookback.seconds != (column.order == "moment"):
        raise MisfitError(
            f"the look-back of the cursor {column.name} does not fit its type {column.type}",
            hint="write a time (10m, 1h, 2d) for a date or a moment, a whole number for a number",
        )


def check_exact(columns: Sequence[SourceColumn]) -> None:
    """Raise MisfitError for a column whose values no text gives back."""
    for column in columns:
        if column.refusal:
            raise MisfitError(
                f"the column {column.name} is {column.type}: {column.refusal}",
                hint="leave it out of `columns`, or turn it into text in a `query`",
            )


def named(columns: tuple[SourceColumn, ...], asked: DatabaseInput) -> tuple[SourceColumn, ...]:
    """The columns that are asked for by name; MisfitError if one does not exist."""
    by_name = {column.name: column for column in columns}
    missing = [name for name in asked.columns or () if name not in by_name]
    if missing:
        raise MisfitError(f"it has no column {', '.join(missing)}", hint=f"there are {', '.join(by_name)}")
    return tuple(by_name[name] for name in asked.columns or ())


def _check_zones(columns: Sequence[SourceColumn], schema: Schema, bound: Mapping[str, str]) -> None:
    zoned = {column.name for column in columns if column.zoned}
    for name, header in bound.items():
        if header in zoned and schema.field(name).type.name == "datetime" and schema.timezone is None:
            raise MisfitError(
                f"the column {header} has moments with a time zone, the schema {schema.name} has none",
                hint="add `timezone: UTC` to the schema",
            )


def _position(before: CursorSpan | None, column: SourceColumn, source: str) -> str | None:
    """Where the last load ended. What was said of another column, or of another type, says nothing of this one."""
    if before is None or before.end is None:  # where no row was yet, no type is known either
        return None
    if (before.field, before.type) != (column.name, column.type):
        raise SourceError(
            f"the position of {source} is of {before.field} ({before.type}), the cursor is now {column.name} "
            f"({column.type})",
            hint="change it back, or begin anew: give the source another name, and its table too",
        )
    return before.end


def _notices(source: str, column: SourceColumn, found: Bounds, *, moved: bool) -> Iterator[str]:
    if found.without:
        yield f"{source}: {found.without:,} rows are not read: their {column.name} is NULL, or has no place in an order"
    if found.ahead and moved:
        yield (
            f"{source}: its greatest {column.name} lies in the future: rows with a lesser one that come later are not "
            "read"
        )
    if found.behind:
        yield (
            f"{source}: its greatest {column.name} is less than at the last run: rows were deleted, or this server is "
            "a copy that is behind; the position stays"
        )
