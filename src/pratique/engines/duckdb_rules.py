"""What the engine asks of rules outside the one pass: which one cannot be bound, and what a set check says."""

from __future__ import annotations

import duckdb

from pratique.engines.duckdb_session import Session, binding_error, first_line, refused
from pratique.errors import ConfigurationError, InternalError
from pratique.model import SetVerdict
from pratique.schema import Field, Schema
from pratique.schema.compile import Rule
from pratique.schema.sql import identifier

_STORAGE = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "uuid": "UUID",
    "json": "JSON",
    "array": "JSON",
    "object": "JSON",
}


def storage(schema: Schema, field: Field) -> str:
    """The DuckDB type in which values of a field are held."""
    if field.type.name == "datetime":
        return "TIMESTAMPTZ" if schema.timezone else "TIMESTAMP"
    return _STORAGE.get(field.type.name) or str(field.type).upper()


def guilty(session: Session, schema: Schema, rules: tuple[Rule, ...], cause: duckdb.Error) -> ConfigurationError | InternalError:
    """The error that names the first rule, or the filter, that DuckDB cannot bind to the schema's types."""
    fields = ", ".join(f"NULL::{storage(schema, item)} AS {identifier(item.name)}" for item in schema.fields)
    asked = [(f"rule {rule.name}", rule.sql, _where(schema, rule)) for rule in rules if rule.scope == "row"]
    if schema.filter:
        asked.append(("filter", schema.filter, schema.path))
    for what, sql, where in asked:
        try:
            session.run(f"SELECT {sql} FROM (SELECT {fields}) WHERE false")
        except InternalError as error:
            found = error.__cause__
            if isinstance(found, duckdb.Error) and binding_error(found):
                return refused(what, found, where)
    return InternalError(f"DuckDB refuses the schema {schema.name}: {first_line(cause)}")


def set_verdict(session: Session, schema: Schema, rule: Rule, good: str) -> SetVerdict:
    """Ask a set check of the rows to be loaded. An expression that raises is unknown and says why."""
    try:
        held = session.one(f"SELECT ({rule.sql})::BOOLEAN FROM {good}")[0]
    except InternalError as error:
        cause = error.__cause__
        if isinstance(cause, duckdb.Error) and binding_error(cause):
            raise refused(f"check {rule.name}", cause, _where(schema, rule)) from cause
        message = f"could not be decided: {error.message}"
        return SetVerdict(rule.name, rule.severity, None, message, rule.dimension)
    message = "" if held else rule.text
    if held is None:
        message = f"could not be decided: {rule.text}"
    return SetVerdict(rule.name, rule.severity, held, message, rule.dimension)


def _where(schema: Schema, rule: Rule) -> str:
    for check in schema.checks:
        if check.name == rule.name:
            return check.where
    return schema.field(rule.field).where if rule.field else schema.path
