"""PostgreSQL: rows through COPY, which is the fastest way there is, and exact."""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import pq

from pratique.databases import DatabaseInput
from pratique.errors import SourceError
from pratique.schema.sql import identifier, literal
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
from pratique.sources.database.postgres_types import (
    CONSTRAINTS_QUERY,
    PARTS_QUERY,
    TABLES_QUERY,
    TYPES_QUERY,
    PgType,
    bounded,
    described,
    selected,
)

_READY_SECONDS: Final = 1.0
# SQLSTATE, as classes or whole, of what may go better a moment later: connection, resources, deadlock, shutdown.
_PASSING: Final = ("08", "53", "40", "57P01", "57P02", "57P03", "55P03")
_ASIDES: Final = ("\t", "DETAIL:", "HINT:")  # lines that do not say what happened
_REFUSALS: Final = (
    "password",
    "authentication",
    "pg_hba.conf",
    "does not exist",
    "certificate",
    "SSL",
    "permitted",
)
_HINTS: Final = {
    "42501": "grant it: GRANT SELECT ON … TO this user",
    "57014": "read less at a time, or raise statement_timeout_seconds of the connection",
    "25006": "a source only reads: write a query that changes nothing",
    "42601": "a query is one SELECT",
    "28P01": "check user and password of the connection",
}


class Postgres:
    """The kind of database; connects when a snapshot is asked for."""

    def __init__(self, asked: DatabaseInput) -> None:
        self._asked = asked

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        """A connection of its own, and one read-only transaction in it that sees one state."""
        server = self._asked.server
        with _told(server.shown):
            connection = _Connection.connect(**self._parameters(), autocommit=True)
        connection.answer_seconds = server.statement_timeout_seconds + GRACE_SECONDS
        try:
            with _told(server.shown):
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                for name, value in self._settings().items():
                    connection.execute("SELECT set_config(%s, %s, true)", (name, value))
                yield PostgresSnapshot(connection, self._asked)
        except BaseException:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=2.0)  # or the server goes on with what nobody waits for
            raise
        finally:
            connection.close()

    def _parameters(self) -> dict[str, Any]:
        server = self._asked.server
        named = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": reveal(server.password),
            "dbname": server.database,
            "sslmode": server.tls,
            "sslrootcert": server.tls_ca,
            "sslcert": server.tls_certificate,
            "sslkey": server.tls_key,
        }
        if server.tls.startswith("verify") and not server.tls_ca:
            named["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
        return {
            **{name: value for name, value in named.items() if value},
            "connect_timeout": server.connect_timeout_seconds,
            "application_name": APPLICATION,
            "client_encoding": "UTF8",
        }

    def _settings(self) -> dict[str, str]:
        """Settings of the transaction; the first ones make texts exact."""
        return {
            "DateStyle": "ISO, MDY",
            "IntervalStyle": "iso_8601",
            "TimeZone": "UTC",
            "extra_float_digits": "1",
            "xmloption": "content",
            "statement_timeout": f"{self._asked.server.statement_timeout_seconds}s",
            "idle_in_transaction_session_timeout": f"{self._asked.server.statement_timeout_seconds}s",
        }


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """Waits for an answer no longer than so many seconds, also where a network swallows it."""

    answer_seconds: float = 3600
    _waited: float = 0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """What the driver waits for; OperationalError if it does not come in time."""
        return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)

    def heard(self) -> None:
        """Take what the server said, waited for in Python, where a signal is heard.

        Raises OperationalError if it says nothing for too long.
        """
        ready = select.select([self.pgconn.socket], [], [], _READY_SECONDS)[0]
        self._waited = 0 if ready else self._waited + _READY_SECONDS
        if self._waited > self.answer_seconds:
            raise psycopg.OperationalError(f"it said nothing for {self._waited:g} seconds")
        self.pgconn.consume_input()


class PostgresSnapshot:
    """One read-only transaction of isolation REPEATABLE READ."""

    def __init__(self, connection: _Connection, asked: DatabaseInput) -> None:
        self._connection = connection
        self._asked = asked
        if asked.query is None:
            self._rows = ".".join(identifier(part) for part in (asked.table or "").split("."))
        else:
            self._rows = f"(\n{asked.query}\n) AS asked"

    def beside(self, asked: DatabaseInput) -> PostgresSnapshot:
        """What another source asks, in the same transaction."""
        return PostgresSnapshot(self._connection, asked)

    def tables(self) -> tuple[KnownTable, ...]:
        """What the catalog says; a table that a plain name does not reach has its schema's before it."""
        rows = self._connection.execute(TABLES_QUERY).fetchall()
        names = {oid: name if visible else f"{space}.{name}" for oid, space, name, visible in rows}
        keys: dict[int, tuple[str, ...]] = {}
        links: dict[int, list[tuple[str, str, str]]] = {}
        for kind, oid, parent, own, there in self._connection.execute(CONSTRAINTS_QUERY):
            if kind == "p":
                keys[oid] = tuple(own)
            elif len(own) == 1 and parent in names:
                links.setdefault(oid, []).append((own[0], names[parent], there[0]))
        return tuple(KnownTable(name, keys.get(oid, ()), tuple(links.get(oid, ()))) for oid, name in names.items())

    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns with their types, down to what domains, arrays and rows are made of."""
        connection = self._connection
        if self._asked.query is None:
            self._check_table()
        else:
            # As a prepared statement it is one statement or an error; and alone, its brackets match.
            prepared = connection.pgconn.prepare(b"", self._asked.query.encode())
            if prepared.status != pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(prepared, encoding="utf-8")
        found = connection.execute(f"SELECT * FROM {self._rows} LIMIT 0").pgresult
        assert found is not None  # noqa: S101 - it was executed
        given = [((found.fname(at) or b"").decode(), found.ftype(at), found.fmod(at)) for at in range(found.nfields)]
        types: dict[int, PgType] = {}
        parts: dict[int, list[int]] = {}
        asked = [oid for _, oid, _ in given]
        while asked:
            rows = connection.execute(TYPES_QUERY, (asked,)).fetchall()
            new = [PgType(*row) for row in rows if row[0] not in types]
            types |= {item.oid: item for item in new}
            asked = []
            for item in new:
                if item.kind == "c" and item.relation not in parts:
                    parts[item.relation] = [oid for (oid,) in connection.execute(PARTS_QUERY, (item.relation,))]
                    asked += [oid for oid in parts[item.relation] if oid not in types]
        return tuple(described(name, oid, self._shown(oid, modifier), types, parts) for name, oid, modifier in given)

    def _shown(self, oid: int, modifier: int) -> str:
        """The type as the database writes it, such as `numeric(12,2)`."""
        row = self._connection.execute("SELECT format_type(%s, %s)", (oid, modifier)).fetchone()
        return str(row[0]) if row else ""

    def _check_table(self) -> None:
        table = self._asked.table or ""
        found = self._connection.execute("SELECT to_regclass(%s)", (self._rows,)).fetchone()
        if found and found[0] is not None:
            return
        known = self._connection.execute(
            "SELECT n.nspname, c.relname, pg_table_is_visible(c.oid) FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') "
            "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'"
        )
        names = [name if visible and "." not in table else f"{space}.{name}" for space, name, visible in known]
        raise no_table(table, names, self._asked.server.shown)

    def check(self, column: SourceColumn, value: str) -> None:
        """Let the database read `value` as one of this column."""
        try:
            self._connection.execute(f"SELECT {literal(value)}::{column.type}")
        except psycopg.DataError as error:
            raise SourceError(
                f"the cursor's start {value!r} is no {column.type}", hint="write it as the column does"
            ) from error

    def bounds(self, column: SourceColumn, last: str | None) -> Bounds:
        """Two looks that an index on the cursor answers."""
        name, rows, finite = identifier(column.name), self._rows, bounded(column)
        before = "false" if last is None else f"newest < {literal(last)}::{column.type}"
        ahead = "newest > now() + interval '1 day'" if column.order == "moment" else "false"
        row = self._connection.execute(
            f"SELECT newest::text, {before}, {ahead}, missing FROM (SELECT "
            f"(SELECT max({name}) FROM {rows} WHERE {finite}) AS newest, "
            f"(SELECT count(*) FROM {rows} WHERE ({finite}) IS NOT TRUE) AS missing) AS found"
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate is one row
        return Bounds(row[0], row[3], bool(row[1]), bool(row[2]))

    def copy(
        self,
        columns: Sequence[SourceColumn],
        nested: frozenset[str],
        window: Window | None,
        write: Callable[[bytes], None],
    ) -> int:
        """COPY the rows; their number is that of the command tag."""
        wanted = ", ".join(selected(column, nested) for column in columns)
        where = f" WHERE {_condition(window)}" if window else ""
        sql = f"COPY (SELECT {wanted}, '' FROM {self._rows}{where}) TO STDOUT"
        wire = self._connection.pgconn
        wire.send_query(sql.encode())
        while wire.is_busy():
            self._connection.heard()
        started = wire.get_result()
        if started is None or started.status != pq.ExecStatus.COPY_OUT:
            raise _failed(started)
        while True:
            size, data = wire.get_copy_data(1)
            if size > 0:
                write(bytes(data))
            elif size == 0:
                self._connection.heard()
            else:
                break
        done = wire.get_result()
        if done is None or done.status != pq.ExecStatus.COMMAND_OK:
            raise _failed(done)
        wire.get_result()
        return done.command_tuples or 0


def _failed(result: pq.abc.PGresult | None) -> psycopg.Error:
    return psycopg.errors.error_from_result(result, encoding="utf-8") if result else psycopg.OperationalError("lost")


def _condition(window: Window) -> str:
    column = window.column
    name, kind = identifier(column.name), column.type
    if window.high is None:
        return "false"
    parts = [bounded(column), f"{name} <= {literal(window.high)}::{kind}"]
    if window.low is not None:
        low = f"{literal(window.low)}::{kind}"
        if window.lookback:
            back = f"interval '{window.lookback.amount} seconds'" if window.lookback.seconds else window.lookback.amount
            low = f"({low} - {back})"
        parts.append(f"{name} {'>=' if window.inclusive else '>'} {low}")
    return " AND ".join(parts)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Errors of the driver as ours: what may pass by itself, and what somebody must mend."""
    try:
        yield
    except psycopg.Error as error:
        raise _explained(error, where) from error


def _explained(error: psycopg.Error, where: str) -> SourceError:
    state = error.sqlstate or ""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(_ASIDES)]
    text = error.diag.message_primary or (lines or ["no answer"])[-1]
    if state.startswith(_PASSING) or (not state and not any(word in str(error) for word in _REFUSALS)):
        return unreachable(where, text)
    hint = _HINTS.get(state, "")
    if not state and "password" in str(error):
        hint = "check user and password of the connection"
    if not state and any(word in str(error) for word in ("SSL", "certificate")):
        hint = "name the certificate of its authority in `tls_ca`, or say `tls: require | disable` if you accept that"
    return refused(where, text, hint, {"sqlstate": state} if state else {})
