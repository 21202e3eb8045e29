"""Rows as a query on an open DuckDB connection, whoever made them; a query as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pratique.destinations.tables import BATCH_ROWS, declared_type, stored_type
from pratique.errors import DestinationError, InternalError
from pratique.model import LINEAGE_COLUMNS, Column, DuckQuery, Rows, Target
from pratique.schema.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

_ARRIVED = "_pratique_arrived"


@contextmanager
def own_connection(temporary: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection without extensions that spills into `temporary`, closed at the end."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "temp_directory": str(temporary),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }
    connection = duckdb.connect(config=settings)
    try:
        yield connection
    finally:
        connection.close()


def described(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Names and DuckDB types of the columns of a query, in order."""
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {sql}").fetchall()}


@contextmanager
def arrived(rows: Rows, connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, dict[str, str]]]:
    """`rows` as a query on `connection` with exactly the stored types, and these types by column name.

    Rows that are no query on it are copied into a temporary table, which may spill to disk and is dropped at the end.
    """
    if rows.duckdb is not None and rows.duckdb.connection is connection:
        yield _typed(rows.columns, connection, rows.duckdb.sql)
        return
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s

    batches = rows.batches()
    first = next(batches, None)
    if first is None:  # no rows and thus no schema: the words of the columns are enough
        nothing = ", ".join(f"NULL AS {identifier(column.name)}" for column in rows.columns)
        yield _typed(rows.columns, connection, f"SELECT {nothing} WHERE false")
        return
    reader = pa.RecordBatchReader.from_batches(first.schema, _chain(first, batches))
    connection.register(_ARRIVED + "_batches", reader)
    try:
        connection.execute(f"CREATE TEMP TABLE {_ARRIVED} AS FROM {_ARRIVED}_batches")
    finally:
        connection.unregister(_ARRIVED + "_batches")
    try:
        yield _typed(rows.columns, connection, f"FROM {_ARRIVED}")
    finally:
        connection.execute(f"DROP TABLE IF EXISTS temp.{_ARRIVED}")


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _typed(columns: Sequence[Column], connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[str, dict[str, str]]:
    given = described(connection, sql)
    types = {column.name: stored_type(column, given[column.name]) for column in columns}
    casts = ", ".join(f"CAST({identifier(name)} AS {kind}) AS {identifier(name)}" for name, kind in types.items())
    return f"SELECT {casts} FROM ({sql})", types


def column_list(names: Sequence[str]) -> str:
    """Quoted names."""
    return ", ".join(identifier(name) for name in names)


def merge_conditions(target: Target, names: Sequence[str]) -> tuple[str, str]:
    """The conditions that `old` and `new` have the same key, and that they differ in a field (not in lineage)."""
    if not target.key:
        raise InternalError("a merge needs a key")
    fields = [name for name in names if name not in target.key and name not in LINEAGE_COLUMNS]
    same = " AND ".join(f"old.{identifier(name)} IS NOT DISTINCT FROM new.{identifier(name)}" for name in target.key)
    differ = " OR ".join(f"old.{identifier(name)} IS DISTINCT FROM new.{identifier(name)}" for name in fields)
    return f"({same})", f"({differ or 'false'})"


def is_one_of(name: str, values: Sequence[str]) -> str:
    """The condition that a column holds one of these texts; false for NULL."""
    return f"coalesce({identifier(name)} IN ({', '.join(literal(value) for value in values)}), false)"


class QueriedRows:
    """Rows of a table as a query; valid while the context that gave them is open."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, sql: str, columns: tuple[Column, ...], count: int
    ) -> None:
        self._query = DuckQuery(connection, sql)
        self.duckdb: DuckQuery | None = self._query
        self.columns = columns
        self.count = count

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow record batches of at most `BATCH_ROWS` rows."""
        yield from self._query.connection.sql(self._query.sql).to_arrow_reader(BATCH_ROWS)


def rows_of(
    connection: duckdb.DuckDBPyConnection, sql: str, names: Sequence[str], there: dict[str, str], table: str
) -> QueriedRows:
    """The rows of a table with the columns `there`, reduced to `names`; `sql` stands after FROM.

    DestinationError if the table lacks one of the columns.
    """
    known = {name.casefold(): kind for name, kind in there.items()}
    missing = [name for name in names if name.casefold() not in known]
    if missing:
        raise DestinationError(
            f"the table {table} has no column {', '.join(missing)}",
            hint=f"its columns are: {', '.join(there)}",
            facts={"missing": missing},
        )
    columns = tuple(Column(name, declared_type(known[name.casefold()])) for name in names)
    counted = connection.execute(
        f"SELECT count(*) FROM {sql}"
    ).fetchall()  # a result not read to its end blocks the next
    return QueriedRows(connection, f"SELECT {column_list(names)} FROM {sql}", columns, int(counted[0][0]))
