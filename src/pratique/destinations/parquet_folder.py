"""A folder of Parquet files as a destination: data files first, then one manifest that makes them true."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import duckdb

from pratique.destinations import parquet_manifest, queries, tables
from pratique.destinations.parquet_manifest import DataFile, Manifest, Table
from pratique.destinations.refusals import exists, refused
from pratique.errors import ConfigurationError, DestinationError, DestinationMovedError, InternalError
from pratique.failpoints import hit
from pratique.gauge import Amount, gauge
from pratique.interruption import interruptible
from pratique.model import DuckQuery, Lookup, Marker, Rows, Target, Written
from pratique.schema.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

FILE_ROWS: Final[int] = 32 * tables.BATCH_ROWS  # Limit: rows of one data file, about 4 million

_FILE: Final[str] = "_pratique_file"  # the column of a scan that names the file of a row
_CHANGING: Final[str] = "_pratique_changing"


class ParquetFolder:
    """A destination that is one folder, made at the first load; every table is a folder in it."""

    def __init__(self, path: str | Path, *, lock_timeout_seconds: float = 30, name: str = "") -> None:
        self._root = Path(path).resolve()
        self._timeout = lock_timeout_seconds
        self.name = name or str(path)

    def paths(self) -> tuple[Path, ...]:
        """The folder."""
        return (self._root,)

    def markers(self, pipeline: str) -> tuple[Marker, ...]:
        """Every committed marker of this pipeline, oldest first; none if the folder does not exist yet."""
        return tuple(marker for marker in parquet_manifest.markers(self._root) if marker.pipeline == pipeline)

    def lookup(self) -> Lookup:
        """Access to rows that are already there; while a context is open no load can begin."""
        return ParquetLookup(self._root, self._timeout)

    def begin(self, load_id: str, judged_against: Lookup | None = None) -> ParquetLoad:
        """The transaction of one load; the folder is held from its first `write` on."""
        return ParquetLoad(self._root, self._timeout, load_id, judged_against)


def _table_name(table: str) -> str:
    """The name of a table as its path below the root; two tables of one name are one table."""
    dataset, name = tables.split_name(table)
    for part in (dataset, name):
        if re.search(r"[/\\\0*?\[\]]", part) or part[0] in "._":
            raise ConfigurationError(f"{table!r} cannot name a folder", hint="use letters, digits, _ and -")
    return name if dataset == "main" else f"{dataset}/{name}"


def _scan(root: Path, table: Table, files: Sequence[DataFile]) -> str:
    """What stands after FROM to read these files of a table, with the types that were declared."""
    if not files:
        columns = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in table.columns.items())
        return f"(SELECT {columns}, NULL::VARCHAR AS {_FILE} WHERE false)"
    columns = ", ".join(
        f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in table.columns.items()
    )
    names = ", ".join(literal(str(root / file.name)) for file in files)
    return (
        f"(SELECT {columns}, {_FILE} FROM read_parquet([{names}], filename={literal(_FILE)}, hive_partitioning=false))"
    )


def _check_size(root: Path, files: Sequence[DataFile]) -> None:
    for file in files:
        path = root / file.name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise refused(path, error) from error
        if size != file.bytes:
            raise _damaged(path, f"{size} bytes, not {file.bytes}")


def _check_content(root: Path, files: Sequence[DataFile]) -> None:
    """Name a file that is not what was written; DuckDB verifies no checksum and stumbles, if at all, over its form."""
    for file in files:
        if _sha256(root / file.name) != file.sha256:
            raise _damaged(root / file.name, "another hash")


def _count(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)


def _damaged(path: Path, what: str) -> DestinationError:
    return DestinationError(
        f"the data file is not what was written: {what}", hint="restore it from a backup", where=str(path)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ParquetLookup:
    """Reads the live files on the engine's connection; remembers which commits the verdicts have seen."""

    def __init__(self, root: Path, timeout_seconds: float) -> None:
        self._root = root
        self._timeout = timeout_seconds
        self._seen: int | None = None
        self._tables: set[str] = set()

    @contextmanager
    def existing(self, table: str, columns: tuple[str, ...], keys: DuckQuery | None) -> Iterator[Rows | None]:
        """Give the rows of `table` as a query on the connection of `keys`; None if there is no such table."""
        name = _table_name(table)
        self._tables.add(name.casefold())
        with ExitStack() as stack:
            if not exists(self._root / parquet_manifest.FOLDER):
                self._seen = self._seen or 0
                yield None
                return
            stack.enter_context(parquet_manifest.held(self._root, exclusive=False, timeout_seconds=self._timeout))
            newest = parquet_manifest.newest(self._root)
            if self._seen is None:
                self._seen = newest.sequence if newest else 0
            if not newest or name not in newest.tables:
                yield None
                return
            connection = (
                keys.connection if keys else stack.enter_context(queries.own_connection(self._root / "_temporary"))
            )
            found = newest.tables[name]
            _check_size(self._root, found.files)
            try:
                source = _scan(self._root, found, found.files)
                rows = queries.rows_of(connection, source, columns, dict(found.columns), table)
            except duckdb.Error as error:
                _check_content(self._root, found.files)
                raise refused(self._root, error) from error
            try:
                yield rows
            except InternalError:  # of the engine, for it cannot know whose files it reads
                _check_content(self._root, found.files)
                raise

    def check_unmoved(self, table: str, newest: int) -> None:
        """Raise DestinationMovedError if a load was committed into a table that was looked at, since it was."""
        if self._seen is None:
            return
        judged = self._tables | {_table_name(table).casefold()}
        for number in range(self._seen + 1, newest + 1):
            for marker in Manifest.from_file(parquet_manifest.manifest_path(self._root, number)).markers:
                if _table_name(marker.table).casefold() in judged:
                    raise DestinationMovedError(
                        f"run {marker.run_id[:6]} committed into {marker.table} after the rows were judged",
                        hint="run again: the rows are judged against the table as it is now",
                        where=str(self._root),
                    )


class ParquetLoad:
    """One load into the folder; leaving it without `commit` leaves no trace."""

    def __init__(self, root: Path, timeout_seconds: float, load_id: str, judged_against: Lookup | None) -> None:
        self._root = root
        self._timeout = timeout_seconds
        self._load_id = load_id
        self._judged_against = judged_against
        self._stack = ExitStack()
        self._newest = 0  # sequence of the state on which this load builds
        self._tables: dict[str, Table] = {}
        self._stored: tuple[Marker, ...] = ()
        self._superseded: set[str] = set()
        self._parts: list[Path] = []
        self._opened = False
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What became of it is asked of the disk: an interrupt may come between publishing and knowing it.
        if self._parts and not exists(parquet_manifest.manifest_path(self._root, self._newest + 1)):
            for path in self._parts:
                with suppress(OSError):  # the next load removes what is left
                    path.unlink(missing_ok=True)
        self._stack.close()

    def write(self, rows: Rows, target: Target) -> Written:
        """Write all rows into new data files, durably; nothing is visible yet.

        If this load is already committed nothing is written, and what it wrote then is returned.
        """
        import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s

        try:
            self._open()
            if self._stored:
                return tables.written_before(self._stored, target)
            self._broken = True
            if isinstance(self._judged_against, ParquetLookup):
                self._judged_against.check_unmoved(target.table, self._newest)
            with ExitStack() as stack:
                given = rows.duckdb.connection if rows.duckdb else None
                connection = given or stack.enter_context(queries.own_connection(self._root / "_temporary"))
                stack.enter_context(interruptible(connection.interrupt))
                sql, types = stack.enter_context(queries.arrived(rows, connection))
                written = self._write(connection, sql, types, target)
        except (OSError, duckdb.Error, pa.ArrowException) as error:
            raise refused(self._root, error) from error
        tables.check_written(written, rows, target, str(self._root))
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
            self._open()
            if self._stored:
                return self._stored[0]
            if self._superseded:
                old = (other for other in parquet_manifest.markers(self._root) if other.load_id in self._superseded)
                tables.check_superseded(marker, old)
            marker = replace(marker, committed_at=datetime.now(UTC).isoformat(), sequence=self._newest + 1)
            others = (replace(one, committed_at=marker.committed_at, sequence=marker.sequence) for one in beside)
            self._write_marker(marker, tuple(others))
        except OSError as error:
            raise refused(self._root, error) from error
        hit("load.committed")
        return marker

    def _open(self) -> None:
        if self._opened:
            return
        folder = self._root / parquet_manifest.FOLDER
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            hit("destination.created")
            parquet_manifest.sync(self._root)
            parquet_manifest.sync(self._root.parent)
        self._stack.enter_context(parquet_manifest.held(self._root, exclusive=True, timeout_seconds=self._timeout))
        if newest := parquet_manifest.newest(self._root):
            self._newest, self._tables = newest.sequence, dict(newest.tables)
        states = parquet_manifest.states(self._root)
        self._stored = next((state.markers for state in states if state.marker.load_id == self._load_id), ())
        if not self._stored:
            parquet_manifest.tidy(self._root)
        self._opened = True
        hit("load.opened")

    def _write_marker(self, marker: Marker, beside: tuple[Marker, ...]) -> None:
        manifest = Manifest(marker.sequence, self._tables, marker, beside=beside)
        parquet_manifest.publish(self._root, manifest, lambda: hit("marker.written"))

    def _write(self, connection: duckdb.DuckDBPyConnection, sql: str, types: dict[str, str], target: Target) -> Written:
        name = _table_name(target.table)
        there = self._tables.get(name)
        if there and there.files:
            tables.check_same_columns(target, there.columns, types, str(self._root))
        table = Table(types, there.files if there and target.disposition != "replace" else ())
        if target.supersedes and target.disposition != "replace":
            tables.check_supersedes(target, types, str(self._root))
            self._superseded |= set(target.supersedes)
            table = self._without_loads(connection, name, table, target.supersedes)
        before = table
        written = None
        if target.disposition == "merge":
            table, sql, written = self._merge(connection, name, table, sql, target)
        added = self._put(connection, name, sql)
        self._tables[name] = Table(types, (*table.files, *added))
        if written is None:
            return Written(_count(added))
        growth = _count(self._tables[name].files) - _count(before.files)
        if growth != written.inserted or _count(added) != written.inserted + written.updated:
            raise tables.ambiguous_key(target, str(self._root))
        return written

    def _merge(
        self, connection: duckdb.DuckDBPyConnection, name: str, table: Table, sql: str, target: Target
    ) -> tuple[Table, str, Written]:
        """The table without the rows that change, the query of the rows to write, and what becomes of all."""
        old = _scan(self._root, table, table.files)
        on, differ = queries.merge_conditions(target, tuple(table.columns))
        total, matched, updated = connection.execute(
            f"SELECT count(*), count(old.{_FILE}), count(old.{_FILE}) FILTER ({differ}) "
            f"FROM ({sql}) AS new LEFT JOIN {old} AS old ON {on}"
        ).fetchall()[0]
        key = ", ".join(f"new.{identifier(column)}" for column in target.key)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {_CHANGING} AS "
            f"SELECT {key}, old.{_FILE} FROM ({sql}) AS new JOIN {old} AS old ON {on} WHERE {differ}"
        )
        try:
            touched = connection.execute(f"SELECT DISTINCT {_FILE} FROM {_CHANGING}").fetchall()
            staying = f"ANTI JOIN {_CHANGING} AS new ON {on}"
            kept = self._rewritten(connection, name, table, {path for (path,) in touched}, staying)
        finally:
            connection.execute(f"DROP TABLE IF EXISTS temp.{_CHANGING}")
        to_write = f"SELECT new.* FROM ({sql}) AS new ANTI JOIN {_scan(self._root, kept, kept.files)} AS old ON {on}"
        return kept, to_write, Written(total - matched, updated, matched - updated)

    def _without_loads(
        self, connection: duckdb.DuckDBPyConnection, name: str, table: Table, load_ids: Sequence[str]
    ) -> Table:
        gone = queries.is_one_of("_load_id", load_ids)
        source = _scan(self._root, table, table.files)
        touched = connection.execute(f"SELECT DISTINCT {_FILE} FROM {source} WHERE {gone}").fetchall()
        return self._rewritten(connection, name, table, {path for (path,) in touched}, f"WHERE NOT {gone}")

    def _rewritten(
        self, connection: duckdb.DuckDBPyConnection, name: str, table: Table, paths: set[str], staying: str
    ) -> Table:
        """The table with the files of `paths` replaced by those of their rows that stay; others stay as they are."""
        _check_size(self._root, table.files)
        touched = [file for file in table.files if str(self._root / file.name) in paths]
        if not touched:
            return table
        _check_content(self._root, touched)  # what is copied must be what was written
        columns = ", ".join(f"old.{identifier(column)}" for column in table.columns)
        rest = f"SELECT {columns} FROM {_scan(self._root, table, touched)} AS old {staying}"
        stays = tuple(file for file in table.files if file not in touched)
        return replace(table, files=(*stays, *self._put(connection, name, rest)))

    def _put(self, connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> tuple[DataFile, ...]:
        """Write the rows of a query into new data files of a table, on the disk when this returns."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - costs 0.3 s

        folder = self._root / name
        folder.mkdir(parents=True, exist_ok=True)
        first = len(self._parts)
        reader = connection.sql(sql).to_arrow_reader(tables.BATCH_ROWS)
        rows: list[int] = []
        writer: pq.ParquetWriter | None = None
        try:
            with gauge.measuring(lambda: Amount("rows", sum(rows), 0)):
                for batch in _whole_groups(reader):
                    if writer is None or rows[-1] + batch.num_rows > FILE_ROWS:
                        if writer is not None:
                            writer.close()
                        load = re.sub("[^0-9A-Za-z]", "", self._load_id)[:8] or "0"
                        number = f"{self._newest + 1:012d}-{len(self._parts)}"
                        self._parts.append(folder / f"part-{load}-{number}.parquet")
                        rows.append(0)
                        writer = pq.ParquetWriter(
                            self._parts[-1], reader.schema, compression="zstd", write_page_checksum=True
                        )
                    writer.write_table(batch)
                    rows[-1] += batch.num_rows
        finally:
            if writer is not None:
                writer.close()
        return self._described(self._parts[first:], rows)

    def _described(self, parts: Sequence[Path], rows: Sequence[int]) -> tuple[DataFile, ...]:
        files = []
        for path, count in zip(parts, rows, strict=True):
            parquet_manifest.sync(path)
            name = path.relative_to(self._root).as_posix()
            files.append(DataFile(name, count, _sha256(path), path.stat().st_size))
        for folder in {folder for path in parts for folder in path.parents if folder.is_relative_to(self._root)}:
            parquet_manifest.sync(folder)
        return tuple(files)


def _whole_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather small batches, so that no file consists of tiny row groups."""
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s

    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(item.num_rows for item in waiting) >= tables.BATCH_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
