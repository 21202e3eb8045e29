"""Connections that lead to databases, and what a source asks of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field

from pratique.databases import Cursor, DatabaseInput, DatabaseKind, Server, Tls
from pratique.documents import KeyPath
from pratique.mistakes import Mistake, refuse
from pratique.secrets import Secret, remembered, reveal
from pratique.specs.base import Spec, Where, nearest, parse
from pratique.specs.pipeline import SourceSpec

SCHEMES: Final[Mapping[str, DatabaseKind]] = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
}
_LOOPBACK: Final = frozenset({"", "localhost", "127.0.0.1", "::1"})
Seconds = Annotated[int, Field(ge=1, le=86_400)]


class DatabaseConnectionSpec(Spec):
    """How a database is reached: `postgres://user@host:port/database`, `mysql://…`, or `sqlite://file`.

    `tls` is verify-full by default, and prefer towards this machine itself.
    """

    url: Annotated[str, Field(min_length=1)]
    user: str | None = None
    password: str | None = None
    tls: Tls | None = None
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    connect_timeout_seconds: Seconds = 10
    statement_timeout_seconds: Seconds = 3600


def kind_of(name: str, connection: Mapping[str, Any], where: Callable[[KeyPath], str]) -> DatabaseKind:
    """The kind of database that the url of a connection names; ConfigurationError if it names none."""
    scheme = str(reveal(connection.get("url", ""))).partition("://")[0].lower()
    if scheme not in SCHEMES:
        hint = "begin its url with one of " + ", ".join(f"{known}://" for known in SCHEMES)
        refuse([Mistake(where(("url",)), f"connection {name} does not lead to a database", hint)])
    return SCHEMES[scheme]


def server(
    name: str,
    connection: Mapping[str, Any],
    kind: DatabaseKind,
    root: Path,
    where: Where,
) -> Server:
    """The server that a connection leads to. Secrets come by reference only; ConfigurationError says what is wrong."""
    parsed = parse(DatabaseConnectionSpec, reveal(connection), where, shown=connection)
    refuse(parsed.mistakes)
    spec = parsed.spec
    assert spec is not None  # noqa: S101 - `refuse` raised otherwise
    scheme, _, rest = spec.url.partition("://")
    if SCHEMES.get(scheme.lower()) != kind:
        hint = "such as " + {"postgres": "postgres://user@host/database", "mysql": "mysql://user@host/database"}.get(
            kind, "sqlite://data/shop.sqlite"
        )
        refuse([Mistake(where(("url",)), f"connection {name} does not lead to a database of type {kind}", hint)])
    if kind == "sqlite":
        if not rest or "\0" in rest:
            refuse([Mistake(where(("url",)), "url names no file", "such as sqlite://data/shop.sqlite")])
        refuse(
            Mistake(where((key,)), f"{key} means nothing for a file", "remove it")
            for key in connection
            if key not in {"url", "connect_timeout_seconds"}
        )
        path = root / Path(rest).expanduser()
        return Server(kind, name, path=path, connect_timeout_seconds=spec.connect_timeout_seconds)
    return _over_network(name, connection, spec, kind, where)


def _over_network(
    name: str,
    connection: Mapping[str, Any],
    spec: DatabaseConnectionSpec,
    kind: DatabaseKind,
    where: Where,
) -> Server:
    try:
        url = urlsplit(spec.url)
        port = url.port
    except ValueError:
        refuse(
            [Mistake(where(("url",)), "the url of this connection is not one", f"such as {kind}://user@host:5432/db")]
        )
        raise
    mistakes = []
    if (url.password and not isinstance(connection["url"], Secret)) or (
        spec.password and not isinstance(connection["password"], Secret)
    ):
        key = "password" if spec.password else "url"
        hint = "write password: ${NAME} and set that variable, or ${file:PATH}"
        mistakes.append(Mistake(where((key,)), "a password stands in the file itself", hint))
    options = parse_qs(url.query)
    mistakes += [
        Mistake(where(("url",)), f'unknown option "{option}" in the url', nearest(option, ["host"]))
        for option in options
        if option != "host"
    ]
    refuse(mistakes)
    password = spec.password or unquote(url.password or "")
    host = options.get("host", [unquote(url.hostname or "")])[0]
    near = host in _LOOPBACK or host.startswith("/")
    return Server(
        kind,
        name,
        host=host,
        port=port,
        user=spec.user or unquote(url.username or "") or None,
        password=Secret(remembered(password)) if password else None,
        database=unquote(url.path.removeprefix("/")),
        tls=spec.tls or ("prefer" if near else "verify-full"),
        tls_ca=spec.tls_ca,
        tls_certificate=spec.tls_certificate,
        tls_key=spec.tls_key,
        connect_timeout_seconds=spec.connect_timeout_seconds,
        statement_timeout_seconds=spec.statement_timeout_seconds,
    )


def database_input(name: str, spec: SourceSpec, asked: Server, where: Callable[[KeyPath], str]) -> DatabaseInput:
    """What a source asks of its database; ConfigurationError where table and query, or cursor and key, do not agree."""
    mistakes = []
    if (spec.table is None) == (spec.query is None):
        what = "neither a table nor a query" if spec.table is None else "a table and a query"
        place = where(()) if spec.table is None else where(("query",))
        mistakes.append(Mistake(place, f"sources.{name} names {what}", "write one of table: and query:"))
    for word, text in (("table", spec.table), ("query", spec.query)):
        if text is not None and "\0" in text:
            mistakes.append(Mistake(where((word,)), f"{word} holds a NUL character", "remove it"))
    refuse(mistakes)
    cursor = Cursor(spec.cursor.field, spec.cursor.start, spec.cursor.lookback) if spec.cursor else None
    query = spec.query.strip().rstrip(";").rstrip() if spec.query else None
    return DatabaseInput(asked, spec.table, query, tuple(spec.columns) if spec.columns else None, cursor)
