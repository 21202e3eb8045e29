"""MySQL and MariaDB: rows of the text protocol, cut in bulk and landed as they come."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import FIELD_TYPE, FLAG

from pratique.databases import DatabaseInput
from pratique.errors import SourceError
from pratique.schema.sql import backticked
from pratique.secrets import reveal
from pratique.sources.database.base import (
    APPLICATION,
    GRACE_SECONDS,
    Bounds,
    KnownTable,
    SourceColumn,
    Window,
    no_table,
    refused,
    unreachable,
)
from pratique.sources.database.lines import line

_BINARY: Final = 63  # the character set of bytes
_NAMES: Final = {number: name.lower() for name, number in reversed(vars(FIELD_TYPE).items()) if isinstance(number, int)}
_MOMENTS: Final = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP})
_INTEGERS: Final = frozenset(
    {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR}
)
_DECIMALS: Final = frozenset({FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL})
_FLOATS: Final = frozenset({FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE})
_TEXTS: Final = frozenset(
    {FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.ENUM, FIELD_TYPE.SET}
    | {FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.BLOB}
)
_EXACT: Final = _MOMENTS | _INTEGERS | _DECIMALS | {FIELD_TYPE.TIME, FIELD_TYPE.JSON, FIELD_TYPE.NULL}
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?")
_MARKED: Final = re.compile(rb"[\\\n\r\x00\x08\x0b\x0c]")
_FLUSH_ROWS: Final = 1000
# What may go better a moment later: connecting, a lost connection, locks, deadlocks, many users, a server that stops.
_PASSING: Final = frozenset({1040, 1053, 1080, 1152, 1159, 1161, 1203, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055})
_HINTS: Final = {
    1045: "check user and password of the connection",
    1142: "grant it: GRANT SELECT ON … TO this user",
    1143: "grant it: GRANT SELECT ON … TO this user",
    1064: "a query is one SELECT",
    1792: "a source only reads: write a query that changes nothing",
    1969: "read less at a time, or raise statement_timeout_seconds of the connection",
    3024: "read less at a time, or raise statement_timeout_seconds of the connection",
    2026: "name the certificate of its authority in `tls_ca`, or say `tls: require | disable` if you accept that",
}


class MySQL:
    """The kind of database; connects when a snapshot is asked for."""

    def __init__(self, asked: DatabaseInput) -> None:
        self._asked = asked

    @contextmanager
    def snapshot(self) -> Iterator[MySQLSnapshot]:
        """A connection of its own, and one read-only transaction in it that sees one state."""
        server = self._asked.server
        with _told(server.shown):
            connection = pymysql.connect(**self._parameters())
            try:
                self._begin(connection)
                yield MySQLSnapshot(connection, self._asked)
            finally:
                connection._force_close()  # noqa: SLF001 - a polite end would first read all rows that are still to come

    def _begin(self, connection: Any) -> None:
        seconds = self._asked.server.statement_timeout_seconds
        limit = f"max_execution_time = {seconds * 1000}"
        if "MariaDB" in connection.get_server_info():
            limit = f"max_statement_time = {seconds}"
        connection._read_timeout = seconds + GRACE_SECONDS  # noqa: SLF001 - it is read before each wait
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION time_zone = '+00:00', {limit}, net_write_timeout = {seconds}")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def _parameters(self) -> dict[str, Any]:
        server = self._asked.server
        named: dict[str, Any] = {
            "user": server.user,
            "password": reveal(server.password),
            "database": server.database or None,
            "port": server.port,
            "unix_socket" if server.host.startswith("/") else "host": server.host or "localhost",
        }
        if server.tls == "disable":
            named["ssl_disabled"] = True
        elif server.tls != "prefer":
            named["ssl"] = self._tls()
        return {
            **{name: value for name, value in named.items() if value is not None},
            "charset": "utf8mb4",
            "connect_timeout": server.connect_timeout_seconds,
            "read_timeout": server.connect_timeout_seconds,  # of the greeting; `_begin` sets that of statements
            "program_name": APPLICATION,
            "autocommit": True,
        }

    def _tls(self) -> ssl.SSLContext:
        server = self._asked.server
        try:
            context = ssl.create_default_context(cafile=server.tls_ca)
            if server.tls_certificate:
                context.load_cert_chain(server.tls_certificate, server.tls_key)
        except OSError as error:
            raise SourceError(f"a certificate cannot be read: {error}", hint="check tls_ca and its like") from error
        context.check_hostname = server.tls == "verify-full"
        if server.tls == "require":
            context.verify_mode = ssl.CERT_NONE
        return context


class MySQLSnapshot:
    """One read-only transaction of isolation REPEATABLE READ."""

    def __init__(self, connection: Any, asked: DatabaseInput) -> None:
        self._connection = connection
        self._asked = asked
        if asked.query is None:
            self._rows = ".".join(backticked(part) for part in (asked.table or "").split("."))
        else:
            self._rows = f"(\n{asked.query}\n) AS asked"

    def beside(self, asked: DatabaseInput) -> MySQLSnapshot:
        """What another source asks, in the same transaction."""
        return MySQLSnapshot(self._connection, asked)

    def _one(self, sql: str) -> tuple[Any, ...]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return tuple(cursor.fetchone())

    def tables(self) -> tuple[KnownTable, ...]:
        """What the information schema says of the database of the connection."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
                "AND table_type = 'BASE TABLE' ORDER BY table_name"
            )
            names = [name for (name,) in cursor.fetchall()]
            cursor.execute(
                "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name "
                "FROM information_schema.key_column_usage WHERE table_schema = DATABASE() "
                "AND (constraint_name = 'PRIMARY' OR referenced_table_schema = DATABASE()) "
                "ORDER BY table_name, constraint_name, ordinal_position"
            )
            used: dict[str, dict[str, list[tuple[str, str, str]]]] = {}
            for table, constraint, *columns in cursor.fetchall():
                used.setdefault(table, {}).setdefault(constraint, []).append(tuple(columns))
        return tuple(_known(name, used.get(name, {})) for name in names)

    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns with their types, as the protocol describes a result without rows."""
        with self._connection.cursor() as cursor:
            if self._asked.query is None:
                self._check_table(cursor)
            else:  # prepared by itself it is one whole statement, so that its brackets match
                cursor.execute("PREPARE asked FROM %s", (self._asked.query,))
                cursor.execute("DEALLOCATE PREPARE asked")
            cursor.execute(f"SELECT * FROM {self._rows} LIMIT 0")
            return tuple(_described(item) for item in cursor._result.fields)  # noqa: SLF001 - flags stand nowhere else

    def _check_table(self, cursor: Any) -> None:
        cursor.execute("SELECT table_schema, table_name, table_schema <=> DATABASE() FROM information_schema.tables")
        table = self._asked.table or ""
        names = {f"{space}.{name}" if "." in table or not own else name for space, name, own in cursor.fetchall()}
        if table not in names and table.casefold() not in {name.casefold() for name in names}:
            users = {name for name in names if not name.startswith(("information_schema.", "mysql.", "sys.", "perf"))}
            raise no_table(table, users, self._asked.server.shown)

    def check(self, column: SourceColumn, value: str) -> None:
        """A number, or a date with or without a time."""
        form = _NUMBER if column.order == "number" else _MOMENT
        if not form.fullmatch(value):
            raise SourceError(f"the cursor's start {value!r} is no {column.type}", hint="write it as the column does")

    def bounds(self, column: SourceColumn, last: str | None) -> Bounds:
        """Two looks that an index on the cursor answers."""
        name, rows = backticked(column.name), self._rows
        before = "0" if last is None else f"newest < {_literal(column, last)}"
        ahead = "newest > NOW() + INTERVAL 1 DAY" if column.order == "moment" else "0"
        newest, behind, later, missing = self._one(
            f"SELECT CAST(newest AS CHAR), {before}, {ahead}, missing FROM (SELECT "
            f"(SELECT max({name}) FROM {rows}) AS newest, "
            f"(SELECT count(*) FROM {rows} WHERE {name} IS NULL) AS missing) AS found"
        )
        return Bounds(newest, missing, bool(behind), bool(later))

    def copy(
        self,
        columns: Sequence[SourceColumn],
        nested: frozenset[str],
        window: Window | None,
        write: Callable[[bytes], None],
    ) -> int:
        """Write the rows as the protocol brings them; counted as they come."""
        del nested
        wanted = ", ".join(_selected(column) for column in columns)
        where = f" WHERE {_condition(window)}" if window else ""
        connection = self._connection
        connection.query(f"SELECT {wanted} FROM {self._rows}{where}", unbuffered=True)
        result: MySQLResult = connection._result  # noqa: SLF001 - packets, not rows: ten times as fast
        result._read_row_from_packet = _row_line  # noqa: SLF001
        read = result._read_rowdata_packet_unbuffered  # noqa: SLF001
        count, held = 0, []
        try:
            while (row := read()) is not None:
                count += 1
                held.append(row)
                if len(held) == _FLUSH_ROWS:
                    write(b"".join(held))
                    held = []
        finally:
            result.unbuffered_active = False  # or its end would read what is still to come
        write(b"".join(held))
        return count


def _known(name: str, used: dict[str, list[tuple[str, str, str]]]) -> KnownTable:
    key = tuple(column for column, *_ in used.get("PRIMARY", ()))
    links = [columns[0] for constraint, columns in used.items() if constraint != "PRIMARY" and len(columns) == 1]
    return KnownTable(name, key, tuple(links))


def _row_line(packet: Any) -> bytes:
    """A row of the text protocol as a line: each value has its length before it, 251 stands for NULL."""
    data = packet.get_all_data()
    values: list[bytes] = []
    nulls = []
    at, end = 0, len(data)
    while at < end:
        size = data[at]
        at += 1
        if size > 250:  # noqa: PLR2004 - the protocol: 251 is NULL, 252 to 254 say how long the length is
            if size == 251:  # noqa: PLR2004
                nulls.append(len(values))
                values.append(b"")
                continue
            width = {252: 2, 253: 3, 254: 8}[size]
            size = int.from_bytes(data[at : at + width], "little")
            at += width
        values.append(data[at : at + size])
        at += size
    joined = b"\t".join(values)
    if joined.count(b"\t") == len(values) - 1 and not _MARKED.search(joined):
        if not nulls:
            return joined + b"\t\n"
        for place in nulls:
            values[place] = b"\\N"
        return b"\t".join(values) + b"\t\n"
    texts: list[str | None] = [value.decode("utf-8", "surrogateescape") for value in values]
    for place in nulls:
        texts[place] = None
    return line(texts)


def _described(item: Any) -> SourceColumn:
    """The column with what can be done with its type."""
    code, flags = item.type_code, item.flags
    shown = _NAMES.get(code, str(code)) + (" unsigned" if flags & FLAG.UNSIGNED else "")
    refusal, form = "", ""
    if code in _FLOATS:
        form = "float"
    elif code == FIELD_TYPE.BIT:
        form = "bit"
    elif code == FIELD_TYPE.TIMESTAMP:
        form = "instant"
    elif code in _TEXTS and item.charsetnr == _BINARY:
        shown, refusal = f"binary {shown}", "bytes are no text (hex(…), to_base64(…) or convert(… using utf8mb4) is)"
    elif code not in _EXACT | _TEXTS:
        refusal = f"the text of {shown} is not known to be exact"
    order: Any = "moment" if code in _MOMENTS else "number" if code in _INTEGERS | _DECIMALS else None
    return SourceColumn(item.name, shown, order, refusal, form, form == "instant")


def _selected(column: SourceColumn) -> str:
    """SQL whose text is exact: a FLOAT by itself shows six digits, a BIT bytes, a TIMESTAMP no zone."""
    name = backticked(column.name)
    forms = {"float": f"{name} * 1e0", "bit": f"{name} + 0", "instant": f"CONCAT({name}, '+00:00')"}
    return forms.get(column.form, name)


def _literal(column: SourceColumn, text: str) -> str:
    """SQL of a position; it came from the database or was checked, so that it holds digits and marks between them."""
    return text if column.order == "number" else f"'{text}'"


def _condition(window: Window) -> str:
    column = window.column
    if window.high is None:
        return "FALSE"
    name = backticked(column.name)
    parts = [f"{name} <= {_literal(column, window.high)}"]
    if window.low is not None:
        low = _literal(column, window.low)
        if window.lookback:
            back = window.lookback
            moved = f"CAST({low} AS DATETIME(6)) - INTERVAL {back.amount} SECOND"
            low = moved if back.seconds else f"({low} - {back.amount})"
        parts.append(f"{name} {'>=' if window.inclusive else '>'} {low}")
    return " AND ".join(parts)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Errors of the driver as ours: what may pass by itself, and what somebody must mend."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise _explained(error, where) from error


def _explained(error: pymysql.MySQLError, where: str) -> SourceError:
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[-1]) if error.args else "no answer"
    if code in _PASSING and not isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return unreachable(where, text)
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        code = 2026
    return refused(where, text, _HINTS.get(code, ""), {"code": code})
