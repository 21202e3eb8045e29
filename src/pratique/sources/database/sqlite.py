"""SQLite files: a type belongs to each value, so each value is looked at."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import quote

from pratique.databases import DatabaseInput
from pratique.errors import SourceError, SourceUnreachableError
from pratique.interruption import interruptible
from pratique.schema.sql import identifier
from pratique.sources.database.base import Bounds, KnownTable, SourceColumn, Window, no_table
from pratique.sources.database.lines import line

_ISO: Final = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"  # how a date or a time with a date begins
_FETCH_ROWS: Final = 1000
_ORDERS: Final[dict[str, Literal["moment", "number"]]] = {"integer": "number", "text": "moment"}


class SQLite:
    """The kind of database; opens the file when a snapshot is asked for."""

    def __init__(self, asked: DatabaseInput) -> None:
        self._asked = asked

    @contextmanager
    def snapshot(self) -> Iterator[SQLiteSnapshot]:
        """The file, opened for reading only, in one transaction that sees one state."""
        server = self._asked.server
        if not server.path.is_file():
            raise SourceError(f"there is no file {server.path}", hint="check the url of the connection")
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(server.path))}?mode=ro",
                uri=True,
                timeout=server.connect_timeout_seconds,
                isolation_level=None,
            )
            connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
            connection.set_authorizer(_reading_only)
            try:
                with interruptible(connection.interrupt):
                    connection.execute("BEGIN")
                    yield SQLiteSnapshot(connection, self._asked)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise _explained(error, self._asked) from error


class SQLiteSnapshot:
    """One read transaction."""

    def __init__(self, connection: sqlite3.Connection, asked: DatabaseInput) -> None:
        self._connection = connection
        self._asked = asked
        if asked.query is None:
            self._rows = ".".join(identifier(part) for part in (asked.table or "").split("."))
        else:
            self._rows = f"(\n{asked.query}\n)"
        self._dated = False

    def beside(self, asked: DatabaseInput) -> SQLiteSnapshot:
        """What another source asks, in the same transaction."""
        return SQLiteSnapshot(self._connection, asked)

    def tables(self) -> tuple[KnownTable, ...]:
        """What its own list of tables says."""
        found = self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        ).fetchall()
        return tuple(self._known(str(name)) for (name,) in found)

    def _known(self, name: str) -> KnownTable:
        columns = self._connection.execute(f"PRAGMA table_info({identifier(name)})").fetchall()
        key = sorted((place, str(column)) for _, column, *_, place in columns if place)
        links: dict[int, list[tuple[str, str, str]]] = {}
        for at, _, table, ours, theirs, *_ in self._connection.execute(f"PRAGMA foreign_key_list({identifier(name)})"):
            links.setdefault(at, []).append((ours, table, theirs or ""))  # without a column it leads to the key there
        single = [columns[0] for _, columns in sorted(links.items()) if len(columns) == 1]
        return KnownTable(name, tuple(column for _, column in key), tuple(single))

    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns; those of a cursor by the type of its greatest value, because a column has none.

        Where texts of a cursor are dates and times in ISO form, any other text has no place among them: it would be
        greater than all that come.
        """
        if self._asked.query is None:
            self._check_table()
        else:
            self._connection.execute(f"EXPLAIN {self._asked.query}")  # refuses more than one statement
        found = self._connection.execute(f"SELECT * FROM {self._rows} LIMIT 0").description
        names = [str(name) for name, *_ in found]
        cursor = self._asked.cursor
        kinds = dict.fromkeys(names, "any")
        if cursor is not None and cursor.field in kinds:
            name = identifier(cursor.field)
            newest = self._connection.execute(
                f"SELECT typeof(max({name})) FROM {self._rows} WHERE typeof({name}) IN ('integer', 'text')"
            ).fetchone()[0]
            kind = str(newest)
            if kind == "null":  # no row yet
                kind = "integer" if isinstance(cursor.start, str) and cursor.start.lstrip("-").isdigit() else "text"
            kinds[cursor.field] = kind
            found = self._connection.execute(
                f"SELECT 1 FROM {self._rows} WHERE {name} GLOB ? LIMIT 1", (_ISO,)
            ).fetchone()
            self._dated = kind == "text" and found is not None
        return tuple(SourceColumn(name, kinds[name], _ORDERS.get(kinds[name])) for name in names)

    def _check_table(self) -> None:
        table = self._asked.table or ""
        found = self._connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
        names = [str(name) for (name,) in found]
        if table.removeprefix("main.").casefold() not in {name.casefold() for name in names}:
            raise no_table(table, names, self._asked.server.shown)

    def check(self, column: SourceColumn, value: str) -> None:
        """An integer column begins with an integer."""
        if column.order == "number":
            try:
                int(value)
            except ValueError as error:
                raise SourceError(
                    f"the cursor's start {value!r} is no integer", hint="write it as the column does"
                ) from error

    def bounds(self, column: SourceColumn, last: str | None) -> Bounds:
        """Only values of the cursor's one type have a place in its order."""
        name = identifier(column.name)
        newest, missing = self._connection.execute(
            f"SELECT max({name}) FILTER (WHERE {_placed(name, dated=self._dated)}), "
            f"count(*) FILTER (WHERE NOT coalesce({_placed(name, dated=self._dated)}, false)) FROM {self._rows}",
            {"kind": column.type, "dated": _ISO},
        ).fetchone()
        text = None if newest is None else _text(newest, column.name)
        behind = text is not None and last is not None and _value(column, text) < _value(column, last)
        return Bounds(text, missing, behind)

    def copy(
        self,
        columns: Sequence[SourceColumn],
        nested: frozenset[str],
        window: Window | None,
        write: Callable[[bytes], None],
    ) -> int:
        """Write the rows; counted as they are fetched."""
        del nested
        names = [column.name for column in columns]
        where, values = _condition(window, dated=self._dated) if window else ("", {})
        cursor = self._connection.execute(
            f"SELECT {', '.join(map(identifier, names))} FROM {self._rows}{where}", values
        )
        count = 0
        while rows := cursor.fetchmany(_FETCH_ROWS):
            count += len(rows)
            write(_lines(rows, names))
        return count


def _placed(name: str, *, dated: bool) -> str:
    """What says that a value has a place in the order of a cursor."""
    return f"typeof({name}) = :kind" + (f" AND {name} GLOB :dated" if dated else "")


def _condition(window: Window, *, dated: bool) -> tuple[str, dict[str, Any]]:
    column = window.column
    if window.high is None:
        return " WHERE false", {}
    name = identifier(column.name)
    parts = [_placed(name, dated=dated), f"{name} <= :high"]
    values: dict[str, Any] = {"kind": column.type, "dated": _ISO, "high": _value(column, window.high)}
    if window.low is not None:
        parts.append(f"{name} {'>=' if window.inclusive else '>'} :low")
        values["low"] = _lowered(window)
    return f" WHERE {' AND '.join(parts)}", values


def _value(column: SourceColumn, text: str) -> Any:
    return int(text) if column.order == "number" else text


def _lowered(window: Window) -> Any:
    """Where reading begins; a text is a moment in ISO form, and gets its look-back in the form in which it stands."""
    low, back = window.low or "", window.lookback
    if back is None or back.amount == 0:
        return _value(window.column, low)
    if window.column.order == "number":
        return int(low) - back.amount
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f"):
        for end in ("", "Z", "+00:00"):
            try:
                moment = datetime.strptime(low, form + end)  # noqa: DTZ007 - no zone is meant
            except ValueError:
                continue
            if moment.strftime(form + end) == low:
                return (moment - timedelta(seconds=back.amount)).strftime(form + end)
    raise SourceError(
        f"the look-back cannot be taken from {low!r}",
        hint="a text is looked back from if it is a date or time in ISO form: 2026-01-31, 2026-01-31 23:59:59",
    )


def _text(value: Any, name: str) -> str | None:
    """The exact text of a value; bytes have none."""
    if isinstance(value, bytes):
        raise SourceError(
            f"the column {name} holds bytes (a BLOB), which are no text",
            hint="leave it out of `columns`, or turn it into text in a `query`: hex(…)",
        )
    return repr(value) if isinstance(value, float) else None if value is None else str(value)


def _lines(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> bytes:
    try:
        return b"".join(line(map(_text, row, names)) for row in rows)
    except UnicodeEncodeError as error:
        name = next(name for row in rows for value, name in zip(row, names, strict=True) if not _sound(value))
        raise SourceError(f"the column {name} holds a text that is not UTF-8", hint="mend it there") from error


def _sound(value: Any) -> bool:
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def _reading_only(action: int, what: str | None, *_: object) -> int:
    """Whether a query may do this: read, compute, ask what a table is, and nothing else."""
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
    if action == sqlite3.SQLITE_PRAGMA and what in {"table_info", "foreign_key_list"}:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in {*allowed, sqlite3.SQLITE_TRANSACTION} else sqlite3.SQLITE_DENY


def _explained(error: sqlite3.Error, asked: DatabaseInput) -> SourceError:
    where = asked.server.shown
    if getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return SourceUnreachableError(f"the database {where} is held by another process", hint="run again later")
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
        return SourceError(f"the database {where} refuses: the query does more than read", hint="write one SELECT")
    return SourceError(f"the database {where} refuses: {error}", hint="see the source's table or query")
