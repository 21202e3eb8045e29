"""What is asked of a database: where it is, which rows, and from where on. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DatabaseKind = Literal["postgres", "mysql", "sqlite"]
Tls = Literal["verify-full", "verify-ca", "require", "prefer", "disable"]


@dataclass(frozen=True, slots=True)
class CursorSpan:
    """What a load has read of a table that grows: the rows whose `field` lies after `start`, up to and with `end`.

    Both are texts of values of the database's `type`, at its precision; None: from the beginning, or no row yet.
    """

    field: str
    type: str
    start: str | None
    end: str | None


@dataclass(frozen=True, slots=True)
class Lookback:
    """How far before the last position is read again: seconds of a moment or day, or units of a number."""

    amount: int
    seconds: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """The column by which new rows are told from known ones; the first read begins with `start`."""

    field: str
    start: str | None = None
    lookback: Lookback | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """How a database is reached. `password` is a Secret or None; a `host` that begins with / is a socket's place.

    For SQLite `path` is the file, and nothing else counts.
    """

    kind: DatabaseKind
    name: str  # of the connection
    host: str = ""
    port: int | None = None
    user: str | None = None
    password: Any = None
    database: str = ""
    path: Path = Path()
    tls: Tls = "prefer"
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    connect_timeout_seconds: int = 10
    statement_timeout_seconds: int = 3600

    @property
    def shown(self) -> str:
        """Where it is, as people may read it."""
        if self.kind == "sqlite":
            return str(self.path)
        port = f":{self.port}" if self.port else ""
        return f"{self.database} on {self.host or 'localhost'}{port}"


@dataclass(frozen=True, slots=True)
class DatabaseInput:
    """The rows that a source reads: of a `table` or of a `query`; `columns` None means all of them."""

    server: Server
    table: str | None = None
    query: str | None = None
    columns: tuple[str, ...] | None = None
    cursor: Cursor | None = None

    @property
    def name(self) -> str:
        """What stands for the file's name in reports, lineage and quarantine."""
        return self.table or "query"
