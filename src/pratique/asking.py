"""What a source asks of a server: its connection and its own words, resolved together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pratique.apis import ApiInput
from pratique.config_manager import ConfigManager
from pratique.databases import Cursor, DatabaseInput
from pratique.documents import Document, KeyPath
from pratique.inputs import PythonInput
from pratique.mistakes import Mistake, refuse
from pratique.model import Disposition
from pratique.schema import Schema
from pratique.schema.binding import reader_of

if TYPE_CHECKING:
    from pratique.specs.base import Where
    from pratique.specs.pipeline import SourceSpec

# Types of fields whose texts can be put in order, by how a look-back is told.
_ORDERED: Final = {"integer": "number", "decimal": "number", "date": "moment", "datetime": "moment"}
_KEYS: Final = frozenset({"string", "integer", "uuid"})  # whose values stand in a path as they stand in a table


Asked = DatabaseInput | ApiInput | PythonInput


def asked_of(config: ConfigManager, name: str, spec: SourceSpec, document: Document) -> Asked | None:
    """What the source `name` asks of a program, or of the server of its connection; None where it asks none."""
    at: KeyPath = ("sources", name)
    if spec.type == "python":
        return _program(config, spec, lambda path: document.where((*at, *path)))
    if spec.connection is None or spec.type == "files":
        return None
    if spec.type == "api":
        return api_of(config, name, spec, lambda path, key=False: document.place((*at, *path), key))
    from pratique.specs import databases  # noqa: PLC0415 - pydantic

    found = config.connection(spec.connection, document.where((*at, "connection")))
    there = databases.server(spec.connection, found, spec.type, config.root, _places(config, spec.connection))
    return databases.database_input(name, spec, there, lambda path: document.where((*at, *path)))


def _program(config: ConfigManager, spec: SourceSpec, where: Callable[[KeyPath], str]) -> PythonInput | None:
    from pratique.specs.python_sources import python_input  # noqa: PLC0415 - pydantic

    if spec.use is None:
        return None
    given = config.connection(spec.connection, where(("connection",))) if spec.connection else {}
    return python_input(spec, config.root, given, where)


def api_of(config: ConfigManager, name: str, spec: SourceSpec, where: Where) -> ApiInput:
    """What the source `name` asks of its API; `where` places its words. ConfigurationError says what is wrong."""
    from pratique.specs.apis import api_input, api_server  # noqa: PLC0415 - pydantic

    connection = spec.connection or ""
    found = config.connection(connection, where(("connection",)))
    server = api_server(connection, found, config.root, _places(config, connection))
    params = config.resolved(spec.params, lambda path: where(("params", *path)))
    body = config.resolved(spec.body, lambda path: where(("body", *path)))
    return api_input(name, spec, server, params, body, where)


def _places(config: ConfigManager, connection: str) -> Where:
    place: KeyPath = ("connections", connection)

    def where(path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
        return config.where((*place, *path), key)

    return where


def check_cursor(name: str, asked: Asked, schema: Schema, write: Disposition, document: Document) -> None:
    """Refuse a cursor with which rows would be lost or come twice; ConfigurationError."""
    cursor, path = asked.cursor, ("sources", name, "cursor")
    if cursor is None:
        return
    if write == "replace":
        hint = "write cursor: null to read all rows each time, or write: merge"
        _refuse(document, path, f"sources.{name}: write: replace would keep the new rows only", hint)
    if isinstance(asked, ApiInput):
        _check_api_cursor(name, cursor, schema, document)
    elif cursor.lookback and not schema.primary_key:
        message = f"sources.{name}: a look-back reads rows again, and schema {schema.name} has no key to tell them"
        _refuse(document, (*path, "lookback"), message, "give the schema a primaryKey, or remove lookback")


def _check_api_cursor(name: str, cursor: Cursor, schema: Schema, document: Document) -> None:
    """An API answers rows at the last position again: a key tells them, and the schema says how they are ordered."""
    path: KeyPath = ("sources", name, "cursor")
    if not schema.primary_key:
        message = f"sources.{name}: an API sends rows at the last position again, and schema {schema.name} has no key"
        _refuse(document, path, message, "give the schema a primaryKey, or remove cursor")
    reader = reader_of(schema, cursor.field)
    kind = reader.type.name if reader else ""
    if kind not in _ORDERED:
        what = f"is {kind}" if kind else f"is read by no field of schema {schema.name}"
        hint = "a cursor is a field of type integer, decimal, date or datetime"
        _refuse(document, (*path, "field"), f"sources.{name}: the cursor {cursor.field} {what}", hint)
    if cursor.lookback and cursor.lookback.seconds != (_ORDERED[kind] == "moment"):
        message = f"sources.{name}: the look-back does not fit the cursor {cursor.field}, which is {kind}"
        hint = "write a time (10m, 1h, 2d) for a date or datetime, a whole number for a number"
        _refuse(document, (*path, "lookback"), message, hint)


def check_parent(name: str, asked: ApiInput, schema: Schema | None, document: Document) -> None:
    """Refuse fields of a parent that its table does not hold as they are; ConfigurationError."""
    parent = asked.parent
    assert parent is not None  # noqa: S101 - asked for children only
    if schema is None:
        message = f"sources.{name}: there is no other source {parent.source} in this pipeline"
        _refuse(document, ("sources", name, "parent"), message, "name a source of the same pipeline", "unknown-name")
        return
    fields = {item.name: item for item in schema.fields}
    for field in parent.fields:
        found: Any = fields.get(field)
        if found is None:
            message = f"sources.{name}: schema {schema.name} of its parent has no field {field}"
            _refuse(document, ("sources", name, "get"), message, f"fields: {', '.join(fields)}", "unknown-name")
        elif found.type.name not in _KEYS or found.store != "keep":
            what = f"is {found.type.name}" if found.type.name not in _KEYS else f"is stored as {found.store}"
            message = f"sources.{name}: {parent.source}.{field} cannot stand in a path: it {what}"
            _refuse(document, ("sources", name, "get"), message, "a string, integer or uuid that is kept as it is")


def _refuse(document: Document, path: KeyPath, message: str, hint: str, code: Any = "conflict") -> None:
    refuse([Mistake(document.where(path), message, hint, code)])
