"""A first project out of a database: its tables out of one snapshot, with its own types, keys and references."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pratique.config_manager import ConfigManager
from pratique.databases import DatabaseInput, Server
from pratique.documents import KeyPath
from pratique.errors import ConfigurationError, SourceError
from pratique.inference.names import distinct, file_name
from pratique.inference.profile import Read
from pratique.model import Position
from pratique.schema import Dialect, Field, FieldType, Schema
from pratique.secrets import Secret, remembered
from pratique.sources import ReadLimits
from pratique.sources.database.base import KnownTable, SourceColumn, no_table
from pratique.sources.database.source import DatabaseSource, land_together, open_database
from pratique.sources.retry import Retries
from pratique.specs.databases import SCHEMES, kind_of, server

_SQLITE: Final = b"SQLite format 3\x00"
_PASSWORD: Final = re.compile(r"^([A-Za-z]+://[^/?#:@]*):([^/?#]*)@")
_TABLES_MAX: Final = 100  # Limit: tables that are looked at without being named
_INTEGERS: Final = frozenset(
    {"smallint", "integer", "bigint", "oid", "tiny", "short", "int24", "long", "longlong", "year"}
)
_WIDE: Final = (FieldType("decimal", 20, 0),)
_NUMERIC: Final = (FieldType("decimal", 38, 0), FieldType("decimal", 38, 19), FieldType("number"))
_NAMED: Final[Mapping[str, FieldType]] = {
    "real": FieldType("number"),
    "double precision": FieldType("number"),
    "float": FieldType("number"),
    "double": FieldType("number"),
    "boolean": FieldType("boolean"),
    "date": FieldType("date"),
    "time": FieldType("time"),
    "time without time zone": FieldType("time"),
    "datetime": FieldType("datetime"),
    "timestamp": FieldType("datetime"),
    "timestamp without time zone": FieldType("datetime"),
    "timestamp with time zone": FieldType("datetime"),
    "uuid": FieldType("uuid"),
    "json": FieldType("json"),
    "jsonb": FieldType("json"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and how the configuration leads to it.

    `words` are those of the connection, `known` says that the configuration has it already; `variable` is what has to
    stand in `.env` for it, with its value.
    """

    server: Server
    name: str
    words: Mapping[str, str]
    known: bool
    variable: tuple[str, Secret] | None = None


def is_database(target: str) -> bool:
    """Whether something names a database: by the scheme of its address, or as a file of SQLite."""
    if target.partition("://")[0].lower() in SCHEMES and "://" in target:
        return True
    try:
        if not Path(target).is_file():  # to open a pipe is to wait for whoever writes into it
            return False
        with Path(target).open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def place_of(target: str, root: Path, config: ConfigManager) -> Place:
    """Where an address, or a file of SQLite, leads to; by the connection of the configuration that leads there too.

    ConfigurationError if it is none, or its password stands in it and `.env` is there already.
    """
    if "://" not in target:
        path = Path(os.path.abspath(target))  # noqa: PTH100 - links stay
        inside = path.is_relative_to(root)
        target = f"sqlite://{path.relative_to(root).as_posix() if inside else path}"
    found = _PASSWORD.match(target)
    url, password = (target, "") if found is None else (target.replace(found[0], f"{found[1]}@", 1), found[2])
    for name in config.settings.connections:
        known = config.connection(name, "pratique init")
        if str(known.get("url", "")) == url:
            return Place(_server(name, known, root), name, {"url": url}, known=True)
    name = _name(url)
    words, variable = {"url": url}, None
    if password.startswith("${"):
        words["password"] = password
    elif password:
        variable = (f"{re.sub('[^A-Z0-9]', '_', name.upper())}_PASSWORD", Secret(remembered(password)))
        words["password"] = f"${{{variable[0]}}}"
        if (root / ".env").exists():
            raise ConfigurationError(
                "a password stands in the address, and .env, where it would be kept, is there already",
                hint=f"add {variable[0]}=… to .env, and write ${{{variable[0]}}} in its place",
            )
    resolved = {"url": url, "password": variable[1]} if variable else config.resolved(words, lambda _: "the address")
    return Place(_server(name, resolved, root), name, words, known=False, variable=variable)


def _name(url: str) -> str:
    rest = url.partition("://")[2].partition("?")[0]
    last = rest.rpartition("/")[2] or rest.rpartition("@")[2].partition(":")[0]
    name = file_name(last.rpartition(".")[0] or last if url.startswith("sqlite") else last)
    return f"{name}_source" if name == "warehouse" else name


def _server(name: str, connection: Mapping[str, Any], root: Path) -> Server:
    def where(path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002, ARG001 - see specs.base.Where
        return "the address"

    return server(name, connection, kind_of(name, connection, where), root, where)


def read_tables(place: Place, wanted: Sequence[str], limits: ReadLimits, folder: Path) -> list[Read]:
    """Land the tables that are wanted, or all, out of one snapshot; what no text gives back is left out and told.

    SourceError where the database refuses, a table is not there, or there is none.
    """
    asked = [_asked(place, table, columns) for table, columns in Retries().of(lambda: _known(place, wanted))]
    names = distinct([file_name(item.table.name) for item in asked])
    sources = [item.source(name, limits, folder) for item, name in zip(asked, names, strict=True)]
    land_together([(source, Position()) for source in sources])
    return [item.read(source) for item, source in zip(asked, sources, strict=True)]


def _known(place: Place, wanted: Sequence[str]) -> list[tuple[KnownTable, tuple[SourceColumn, ...]]]:
    """The tables with their columns."""
    with open_database(DatabaseInput(place.server, table="")).snapshot() as snapshot:
        tables = {table.name: table for table in snapshot.tables()}
        for name in wanted:
            if name not in tables:
                raise no_table(name, tables, place.server.shown)
        if not tables:
            raise SourceError(f"there is no table in {place.server.shown}", hint="check what its user may read")
        if not wanted and len(tables) > _TABLES_MAX:
            raise SourceError(
                f"there are {len(tables):,} tables in {place.server.shown}, more than {_TABLES_MAX}",
                hint=f"name those that you want: --table {next(iter(tables))} --table …",
            )
        chosen = [tables[name] for name in dict.fromkeys(wanted or tables)]
        return [(table, snapshot.beside(DatabaseInput(place.server, table.name)).columns()) for table in chosen]


@dataclass(frozen=True, slots=True)
class _Asked:
    place: Place
    table: KnownTable
    columns: tuple[SourceColumn, ...]
    refused: tuple[SourceColumn, ...]

    def source(self, name: str, limits: ReadLimits, folder: Path) -> DatabaseSource:
        fields = tuple(Field(f"f{at}", aliases=(column.name,)) for at, column in enumerate(self.columns))
        names = tuple(column.name for column in self.columns)
        asked = DatabaseInput(self.place.server, self.table.name, columns=names)
        zone = "UTC" if any(column.zoned for column in self.columns) else None
        return DatabaseSource(name, Schema(name, 1, fields, timezone=zone), asked, "replace", limits, folder)

    def read(self, source: DatabaseSource) -> Read:
        landed = source.land(Position())
        for held in landed.held:
            raise SourceError(held.reason, hint=held.hint, where=held.version.name)
        notices = [f"{column.name} is {column.type}, and left out: {column.refusal}" for column in self.refused]
        return Read(
            source.name,
            self.table.name,
            self.place.server.kind,
            Dialect(),
            landed,
            (*landed.notices, *notices),
            types={column.name: types for column in self.columns if (types := declared(column.type)) is not None},
            left_out=tuple(column.name for column in self.refused),
            key=self.table.key,
            references=self.table.references,
            timezone=source.schema.timezone,
        )


def _asked(place: Place, table: KnownTable, columns: tuple[SourceColumn, ...]) -> _Asked:
    exact = tuple(column for column in columns if not column.refusal)
    if not exact:
        raise SourceError(
            f"the table {table.name} has no column that can be read", hint="name other tables: --table NAME"
        )
    return _Asked(place, table, exact, tuple(column for column in columns if column.refusal))


def declared(kind: str) -> tuple[FieldType, ...] | None:
    """The types of the language that hold what a column of this type of a database holds, the narrowest first.

    None where the database says nothing of its values (SQLite); nothing where they are texts.
    """
    if kind == "any":
        return None
    plain = re.sub(r"\(\d+\)", "", kind)  # the precision of a time
    if plain.removesuffix(" unsigned") in _INTEGERS:
        wide = plain.endswith("unsigned") and plain.startswith("longlong")
        return (FieldType("integer"), *(_WIDE if wide else ()))
    if sized := re.fullmatch(r"numeric\((\d+),(\d+)\)", kind):
        precision, scale = int(sized[1]), int(sized[2])
        return (FieldType("decimal", precision, scale),) if precision <= 38 else _NUMERIC  # noqa: PLR2004 - digits
    if plain.removesuffix(" unsigned") in {"numeric", "decimal", "newdecimal"}:
        return _NUMERIC
    if kind.endswith("[]"):
        return (FieldType("array"),)
    return (_NAMED[plain],) if plain in _NAMED else ()


def declared_links(reads: Sequence[Read]) -> set[tuple[str, str, str, str]]:
    """Child, its column, parent and the column there, by names of sources, of references that a database declares."""
    by_table = {read.path: read for read in reads}
    found = set()
    for read in reads:
        for ours, table, theirs in read.references:
            parent = by_table.get(table)
            column = theirs or (parent.key[0] if parent and len(parent.key) == 1 else "")
            if parent and column:
                found.add((read.name, ours, parent.name, column))
    return found
