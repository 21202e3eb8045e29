"""A DuckDB file as a destination: rows and marker in one transaction; open only while it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb

from pratique.destinations import queries, tables
from pratique.destinations.duckdb_access import attached, side_files
from pratique.destinations.refusals import exists, is_damage, refused
from pratique.errors import DestinationMovedError, InternalError
from pratique.failpoints import hit
from pratique.gauge import gauge
from pratique.interruption import interruptible
from pratique.model import DuckQuery, Lookup, Marker, Rows, Target, Written
from pratique.schema.sql import identifier

_MARKER_TABLES: Final[str] = """
CREATE TABLE IF NOT EXISTS {at}.main._pratique_loads (
    load_id VARCHAR, sequence BIGINT, pipeline VARCHAR, source VARCHAR, table_name VARCHAR, disposition VARCHAR,
    run_id VARCHAR, attempt BIGINT, read BIGINT, loaded BIGINT, quarantined BIGINT, committed_at VARCHAR, marker VARCHAR
);
CREATE TABLE IF NOT EXISTS {at}.main._pratique_files (
    source VARCHAR, pipeline VARCHAR, load_id VARCHAR, name VARCHAR, sha256 VARCHAR, size BIGINT
)"""


class DuckDBFile:
    """A destination that is one DuckDB file, made at the first load."""

    def __init__(self, path: str | Path, *, lock_timeout_seconds: float = 30, name: str = "") -> None:
        self._file = Path(path).resolve()
        self._timeout = lock_timeout_seconds
        self.name = name or str(path)

    def paths(self) -> tuple[Path, ...]:
        """The database file and what DuckDB makes beside it."""
        return (self._file, *side_files(self._file))

    def markers(self, pipeline: str) -> tuple[Marker, ...]:
        """Every committed marker of this pipeline, oldest first; none if the file does not exist yet."""
        return stored_markers(self._file, self._timeout, "pipeline = ?", pipeline)

    def lookup(self) -> Lookup:
        """Access to rows that are already there; the file is opened, for reading only, while a context is open."""
        return DuckDBLookup(self._file, self._timeout)

    def begin(self, load_id: str, judged_against: Lookup | None = None) -> DuckDBLoad:
        """The transaction of one load; the file is opened at its first `write`, on the connection of the rows."""
        return DuckDBLoad(self._file, self._timeout, load_id, judged_against)


def stored_markers(file: Path, timeout_seconds: float, condition: str, *values: object) -> tuple[Marker, ...]:
    """The markers of the file for which the condition holds, oldest first, by a connection of its own."""
    if not exists(file):
        return ()
    with (
        queries.own_connection(_temporary(file)) as connection,
        attached(file, connection, read_only=True, timeout_seconds=timeout_seconds) as at,
    ):
        try:
            return _markers(connection, at, condition, *values)
        except duckdb.Error as error:
            raise refused(file, error) from error


def _temporary(file: Path) -> Path:
    return file.with_name(file.name + ".tmp")


def _markers(connection: duckdb.DuckDBPyConnection, at: str, condition: str, *values: object) -> tuple[Marker, ...]:
    if not _columns(connection, at, ("main", "_pratique_loads")):
        return ()
    sql = f"SELECT marker FROM {at}.main._pratique_loads WHERE {condition} ORDER BY sequence"
    return tuple(Marker.from_json(text) for (text,) in connection.execute(sql, values).fetchall())


def _newest(connection: duckdb.DuckDBPyConnection, at: str) -> int:
    """The sequence of the newest commit, 0 if there was none."""
    if not _columns(connection, at, ("main", "_pratique_loads")):
        return 0
    return _one(connection, f"SELECT coalesce(max(sequence), 0) FROM {at}.main._pratique_loads")


def _columns(connection: duckdb.DuckDBPyConnection, at: str, name: tuple[str, str]) -> dict[str, str]:
    """Names and types of the columns of a table, in order; empty if there is no such table."""
    sql = """SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ?
        AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?) ORDER BY column_index"""
    return dict(connection.execute(sql, [at.strip('"'), *name]).fetchall())


class DuckDBLookup:
    """Reads the file on the engine's connection; remembers which commits the verdicts have seen."""

    def __init__(self, file: Path, timeout_seconds: float) -> None:
        self._file = file
        self._timeout = timeout_seconds
        self._at = ""  # the alias while attached: contexts on one connection may be nested
        self._seen: int | None = None
        self._tables: set[tuple[str, str]] = set()

    @contextmanager
    def existing(self, table: str, columns: tuple[str, ...], keys: DuckQuery | None) -> Iterator[Rows | None]:
        """Give the rows of `table` as a query on the connection of `keys`; None if there is no file or no table."""
        self._tables.add(_comparable(table))
        with ExitStack() as stack:
            if not exists(self._file):
                self._seen = self._seen or 0
                yield None
                return
            connection = (
                keys.connection if keys else stack.enter_context(queries.own_connection(_temporary(self._file)))
            )
            at = self._at or stack.enter_context(self._opened(connection))
            rows = self._rows(connection, at, table, columns)
            try:
                yield rows
            except InternalError as error:  # of the engine, for it cannot know whose file it reads
                if is_damage(str(error)):
                    raise refused(self._file, error) from error
                raise

    @contextmanager
    def _opened(self, connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
        with attached(self._file, connection, read_only=True, timeout_seconds=self._timeout) as at:
            if self._seen is None:
                try:
                    self._seen = _newest(connection, at)
                except duckdb.Error as error:
                    raise refused(self._file, error) from error
            self._at = at
            try:
                yield at
            finally:
                self._at = ""

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, at: str, table: str, columns: tuple[str, ...]
    ) -> Rows | None:
        name = tables.split_name(table)
        try:
            there = _columns(connection, at, name)
            if not there:
                return None
            place = f"{at}.{identifier(name[0])}.{identifier(name[1])}"
            return queries.rows_of(connection, place, columns, there, table)
        except duckdb.Error as error:
            raise refused(self._file, error) from error

    def check_unmoved(self, table: str, connection: duckdb.DuckDBPyConnection, at: str) -> None:
        """Raise DestinationMovedError if a load was committed into a table that was looked at, since it was."""
        if self._seen is None:
            return
        judged = self._tables | {_comparable(table)}
        for marker in _markers(connection, at, "sequence > ?", self._seen):
            if _comparable(marker.table) in judged:
                raise DestinationMovedError(
                    f"run {marker.run_id[:6]} committed into {marker.table} after the rows were judged",
                    hint="run again: the rows are judged against the table as it is now",
                    where=str(self._file),
                )


def _comparable(table: str) -> tuple[str, str]:
    dataset, name = tables.split_name(table)
    return dataset.casefold(), name.casefold()


class DuckDBLoad:
    """One transaction in the file; leaving it without `commit` leaves no trace."""

    def __init__(self, file: Path, timeout_seconds: float, load_id: str, judged_against: Lookup | None) -> None:
        self._file = file
        self._timeout = timeout_seconds
        self._load_id = load_id
        self._judged_against = judged_against
        self._stack = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._at = ""
        self._stored: tuple[Marker, ...] = ()
        self._superseded: tuple[str, ...] = ()
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, rows: Rows, target: Target) -> Written:
        """Write all rows in the open transaction; nothing is visible yet.

        If this load is already committed nothing is written, and what it wrote then is returned.
        """
        try:
            connection = self._open(rows.duckdb.connection if rows.duckdb else None)
            if self._stored:
                return tables.written_before(self._stored, target)
            self._broken = True
            if isinstance(self._judged_against, DuckDBLookup):
                self._judged_against.check_unmoved(target.table, connection, self._at)
            with (
                queries.arrived(rows, connection) as (sql, types),
                gauge.statement(rows.count, connection.query_progress),
            ):
                written = self._write(connection, sql, types, target)
        except duckdb.Error as error:
            raise refused(self._file, error) from error
        tables.check_written(written, rows, target, str(self._file))
        self._broken = False
        hit("load.written")
        return written

    def commit(self, marker: Marker, *beside: Marker) -> Marker:
        """Make rows and markers true in the same instant (Invariant 4); return the marker as stored."""
        if marker.load_id != self._load_id:
            raise InternalError(f"the marker of load {marker.load_id} was given to load {self._load_id}")
        if self._broken:
            raise InternalError("a write of this load failed, so it cannot be committed")
        try:
            connection = self._open(None)
            if self._stored:
                return self._stored[0]
            if self._superseded:
                which = queries.is_one_of("load_id", self._superseded)
                tables.check_superseded(marker, _markers(connection, self._at, which))
            sequence = _newest(connection, self._at) + 1
            marker = replace(marker, committed_at=datetime.now(UTC).isoformat(), sequence=sequence)
            for one in (marker, *(replace(one, committed_at=marker.committed_at, sequence=sequence) for one in beside)):
                self._write_marker(connection, one)
        except duckdb.Error as error:
            raise refused(self._file, error) from error
        hit("marker.written")
        try:
            connection.execute("COMMIT")
        except duckdb.Error as error:
            return self._ask(error)
        hit("load.committed")
        with suppress(duckdb.Error):  # the rows are safe in the write-ahead log: the next opening replays it
            connection.execute(f"CHECKPOINT {self._at}")
        return marker

    def _ask(self, error: duckdb.Error) -> Marker:
        """After an error at COMMIT nobody knows: look for the marker before anything else."""
        self._stack.close()
        for marker in stored_markers(self._file, self._timeout, "load_id = ?", self._load_id):
            return marker
        raise refused(self._file, error) from error

    def _open(self, given: duckdb.DuckDBPyConnection | None) -> duckdb.DuckDBPyConnection:
        if self._connection is not None:
            if given is not None and given is not self._connection:
                raise InternalError("the tables of one load must come over one connection")
            return self._connection
        connection = given or self._stack.enter_context(queries.own_connection(_temporary(self._file)))
        self._stack.enter_context(interruptible(connection.interrupt))
        self._at = self._stack.enter_context(
            attached(self._file, connection, read_only=False, timeout_seconds=self._timeout)
        )
        connection.execute("BEGIN")
        self._stack.callback(_roll_back, connection)
        self._connection = connection
        for statement in _MARKER_TABLES.format(at=self._at).split(";"):
            connection.execute(statement)
        for stored in _markers(connection, self._at, "load_id = ?", self._load_id):
            committed = _markers(connection, self._at, "sequence = ?", stored.sequence)
            self._stored = (stored, *(other for other in committed if other.load_id != self._load_id))
        hit("load.opened")
        return connection

    def _write_marker(self, connection: duckdb.DuckDBPyConnection, marker: Marker) -> None:
        account = marker.account
        row = [marker.load_id, marker.sequence, marker.pipeline, marker.source, marker.table, marker.disposition]
        row += [marker.run_id, marker.attempt, account.read, account.loaded, account.quarantined]
        row += [marker.committed_at, marker.to_json()]
        places = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO {self._at}.main._pratique_loads VALUES ({places})", row)
        for file in marker.files:
            connection.execute(
                f"INSERT INTO {self._at}.main._pratique_files VALUES (?, ?, ?, ?, ?, ?)",
                [marker.source, marker.pipeline, marker.load_id, file.name, file.sha256, file.size],
            )

    def _write(self, connection: duckdb.DuckDBPyConnection, sql: str, types: dict[str, str], target: Target) -> Written:
        name = tables.split_name(target.table)
        place = f"{self._at}.{identifier(name[0])}.{identifier(name[1])}"
        there = _columns(connection, self._at, name)
        if there:
            tables.check_same_columns(target, there, types, str(self._file))
        else:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._at}.{identifier(name[0])}")
            columns = ", ".join(f"{identifier(column)} {kind}" for column, kind in types.items())
            connection.execute(f"CREATE TABLE {place} ({columns})")
        if target.disposition == "replace":
            connection.execute(f"DELETE FROM {place}")
        elif target.supersedes:
            tables.check_supersedes(target, types, str(self._file))
            self._superseded += target.supersedes
            connection.execute(f"DELETE FROM {place} WHERE {queries.is_one_of('_load_id', target.supersedes)}")
        if target.disposition == "merge":
            written, unique = _merge(connection, place, sql, types, target)
            if not unique:
                raise tables.ambiguous_key(target, str(self._file))
            return written
        names = queries.column_list(tuple(types))
        # Where some rows are left out, DuckDB would copy all others once more to keep their order.
        connection.execute("SET preserve_insertion_order = false")
        written = Written(_one(connection, f"INSERT INTO {place} ({names}) SELECT {names} FROM ({sql})"))
        connection.execute("SET preserve_insertion_order = true")
        return written


def _merge(
    connection: duckdb.DuckDBPyConnection, place: str, sql: str, types: dict[str, str], target: Target
) -> tuple[Written, bool]:
    """Put rows that differ in a field anew, add new ones, leave the same untouched; False if a key is not unique.

    Joins, which spill to disk, do the work: an index or an UPDATE holds all that it changes in memory.
    """
    on, differ = queries.merge_conditions(target, tuple(types))
    total, matched, updated = connection.execute(
        f"SELECT count(*), count(old.rowid), count(old.rowid) FILTER ({differ}) "
        f"FROM ({sql}) AS new LEFT JOIN {place} AS old ON {on}"
    ).fetchall()[0]
    changing = f"SELECT old.rowid FROM ({sql}) AS new JOIN {place} AS old ON {on} WHERE {differ}"
    removed = _one(connection, f"DELETE FROM {place} WHERE rowid IN ({changing})")
    names = queries.column_list(tuple(types))
    added = _one(
        connection,
        f"INSERT INTO {place} ({names}) SELECT {names} FROM ({sql}) AS new ANTI JOIN {place} AS old ON {on}",
    )
    written = Written(total - matched, updated, matched - updated)
    return written, removed == updated and added == written.inserted + updated


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # after a commit or a fatal error there is nothing to roll back
        connection.execute("ROLLBACK")
