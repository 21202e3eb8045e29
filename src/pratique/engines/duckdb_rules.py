"""What the engine asks of rules outside the one pass: which one cannot be bound, and what a set check says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from pratique.engines.duckdb_session import Session, binding_error, refused
from pratique.errors import ConfigurationError, InternalError
from pratique.model import Failure, SetVerdict
from pratique.schema import Schema
from pratique.schema.compile import Judge, Rule
from pratique.schema.rules import computed, rules
from pratique.schema.sql import identifier, literal
from pratique.schema.types import storage


def refusals(schema: Schema) -> list[ConfigurationError]:
    """What DuckDB refuses of the rules and expressions of a schema, before any data: types, patterns. Reads nothing."""
    fields = ", ".join(
        f"NULL::{storage(item.type, schema.timezone)} AS {identifier(item.name)}" for item in schema.fields
    )
    asked = [
        (f"{'rule' if rule.scope == 'row' else 'check'} {rule.name}", _condition(rule), _where(schema, rule))
        for rule in rules(schema)
        if rule.sql
    ]
    asked += [
        (f"field {item.name}", computed(schema, item).sql, item.where) for item in schema.fields if item.expression
    ]
    found = []
    with duckdb.connect(":memory:", config={"enable_external_access": False, "threads": 1}) as connection:
        for what, sql, where in asked:
            try:
                connection.execute(f"SELECT {sql} FROM (SELECT {fields} FROM range(0))")
            except duckdb.Error as error:
                found.append(refused(what, error, where))
    return found


def _condition(rule: Rule) -> str:
    return f"coalesce({rule.sql}, TRUE)" if rule.scope == "row" else rule.sql  # a text is no condition


def row_failure(
    rule: Rule, bindings: Mapping[str, str], raw: Mapping[str, Any], known: Mapping[str, Any], *, unknown: bool
) -> Failure:
    """The failure of a row rule, with the raw text it judged, or the typed values where no header holds one."""
    names = rule.inputs if rule.field is None else (rule.field,)
    values = {name: raw.get(bindings[name]) if name in bindings else known.get(name) for name in names}
    value: Any = next(iter(values.values())) if len(values) == 1 else values
    return Failure(rule.name, rule.field, value, rule.message(value, unknown=unknown), rule.severity)


def shown_values(schema: Schema, judges: Sequence[Judge], late: str) -> str:
    """SQL (alias `s`) for the typed values that messages need, as JSON.

    Those are the fields of keys and references where one failed (`late`), and fields that have no header whose text
    could be shown.
    """
    keyed = {name for rule in judges[0].rules for name in rule.fields}
    bound = set.intersection(*(set(judge.bindings) for judge in judges))
    unbound = {name for rule in judges[0].rules for name in (*rule.inputs, rule.field)} - bound - {None}
    shown = [item.name for item in schema.fields if item.name in keyed | unbound]
    if not shown:
        return "NULL"
    typed = ", ".join(f"{literal(name)}: s.{identifier(name)}::VARCHAR" for name in shown)
    return f"CASE WHEN {'true' if unbound else late} THEN to_json({{{typed}}})::VARCHAR END"


def set_verdict(session: Session, schema: Schema, rule: Rule, rows: str) -> SetVerdict:
    """Ask a set check of `rows`, a FROM item with its condition. An expression that raises is unknown and says why."""
    try:
        held = session.one(f"SELECT ({rule.sql})::BOOLEAN FROM {rows}")[0]
    except InternalError as error:
        cause = error.__cause__
        if isinstance(cause, duckdb.Error) and binding_error(cause):
            raise refused(f"check {rule.name}", cause, _where(schema, rule)) from cause
        reason = "it fails on a sensitive value" if rule.sensitive else error.message  # DuckDB quotes the value
        return SetVerdict(rule.name, rule.severity, None, f"{rule.text}: {reason}", rule.dimension)
    message = "" if held else f"{rule.text} is {'NULL' if held is None else 'false'}"
    return SetVerdict(rule.name, rule.severity, held, message, rule.dimension)


def _where(schema: Schema, rule: Rule) -> str:
    for check in schema.checks:
        if check.name == rule.name:
            return schema.place(("checks", check.name, "rule"))
    return schema.field(rule.field).where if rule.field else schema.place(("filter",))
