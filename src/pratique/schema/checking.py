"""Everything that can be known of a schema without data, found before a run starts."""

from __future__ import annotations

import re
import warnings
from typing import NoReturn

from pratique.errors import ConfigurationError
from pratique.model import LINEAGE_COLUMNS
from pratique.schema.expression import near
from pratique.schema.fields import Field, Schema
from pratique.schema.rules import FORMATS, read, rules
from pratique.schema.sql import identifier
from pratique.schema.types import DIRECTIVES, NUMERIC, TEMPORAL, valid_literal

FIELD_WORDS = (
    *("type", "required", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "format", "unique"),
)
# DuckDB's own number of a row is called `rowid`, and a column of that name would hide it.
RESERVED = frozenset({*LINEAGE_COLUMNS, "_failed", "_held", "_out", "_changed", "_raw", "_malformed", "rowid"})
# Limit: DuckDB's widest decimal.
PRECISION_MAX = 38
# Limit: rounding needs digits beyond those of the field, within the widest decimal.
ROUND_PRECISION_MAX = 30


def check(schema: Schema) -> None:
    """Raise ConfigurationError, with its place, for the first thing that cannot be right whatever the data."""
    _names(schema)
    for item in schema.fields:
        _field(item, schema)
    ordered(schema)
    for rule in schema.checks:
        for text in filter(None, (rule.rule, rule.condition)):
            scope = rule.scope if text is rule.rule else "row"
            _condition(schema, text, rule.where, read(schema, text, rule.where, scope).sql)
        if rule.condition and rule.scope == "set":
            _refuse(
                rule.where,
                f"`where` in the check `{rule.name}`, which looks at the whole load",
                "count_if(…) asks of some rows",
            )
    if schema.filter:
        _condition(schema, schema.filter, schema.path, read(schema, schema.filter, "", "row").sql)
    rules(schema)


def ordered(schema: Schema) -> tuple[Field, ...]:
    """The fields with expressions, each after those that it names; ConfigurationError if they name each other."""
    needs = {
        item.name: [
            name for name in read(schema, item.expression, item.where, "value").inputs if schema.field(name).expression
        ]
        for item in schema.fields
        if item.expression
    }
    done: list[Field] = []
    while len(done) < len(needs):
        known = {item.name for item in done}
        ready = [name for name in needs if name not in known and known.issuperset(needs[name])]
        if not ready:
            stuck = [name for name in needs if name not in known]
            _refuse(schema.field(stuck[0]).where, f"the fields {', '.join(stuck)} are computed from each other")
        done += [schema.field(name) for name in ready]
    return tuple(done)


def _refuse(where: str, message: str, hint: str = "") -> NoReturn:
    raise ConfigurationError(message, hint=hint, where=where)


def _condition(schema: Schema, text: str, where: str, sql: str) -> None:
    for item in schema.fields:
        if sql == identifier(item.name) and item.type.name != "boolean":
            _refuse(where, f"`{text}` is a {item.type}, not a condition", f"compare it with something: {item.name} > 0")


def _names(schema: Schema) -> None:
    where = schema.path or schema.name
    seen: dict[str, str] = {}
    for item in schema.fields:
        if not item.name or "\0" in item.name or item.name.lower() in RESERVED:
            _refuse(
                item.where,
                f"a field cannot be named `{item.name}`",
                "choose another name, with `from:` if the header has it",
            )
        if item.name.lower() in seen:
            _refuse(
                item.where,
                f"two fields `{seen[item.name.lower()]}` and `{item.name}`",
                "names differ by more than case",
            )
        seen[item.name.lower()] = item.name
    if not seen:
        _refuse(where, f"the schema `{schema.name}` has no fields", "declare at least one under `fields:`")
    groups = [("primaryKey", schema.primary_key, where), *(("uniqueKeys", key, where) for key in schema.unique_keys)]
    groups += [(f"the reference `{item.name}`", item.fields, item.where or where) for item in schema.references]
    for group, fields, place in groups:
        for name in fields:
            if name not in seen.values():
                _refuse(place, f"{group} names `{name}`, which is no field", near(name, list(seen.values())))
    for reference in schema.references:
        counts = len(reference.fields), len(reference.parent_fields)
        if counts[0] != counts[1]:
            message = f"the reference `{reference.name}` pairs {counts[0]} fields with {counts[1]}"
            _refuse(reference.where or where, message, "name one field of the parent for each")
    _check_names(schema)
    _timezone(schema)


def _check_names(schema: Schema) -> None:
    taken = {"primaryKey", "filter", "malformed", *(name for name, _ in schema.keys)}
    taken |= {"reference." + "+".join(item.fields) for item in schema.references}
    taken |= {f"{item.name}.{word}" for item in schema.fields for word in FIELD_WORDS}
    for rule in schema.checks:
        if rule.name in taken:
            _refuse(rule.where, f"the name `{rule.name}` of a check is taken", "give the check another name")
        taken.add(rule.name)


def _timezone(schema: Schema) -> None:
    from zoneinfo import available_timezones  # noqa: PLC0415 - reads folders

    zones = available_timezones() if schema.timezone else set()
    if zones and schema.timezone not in zones:
        _refuse(
            schema.path or schema.name,
            f"the time zone `{schema.timezone}` is not known",
            near(schema.timezone or "", sorted(zones)),
        )


def _field(item: Field, schema: Schema) -> None:
    kind, where = item.type.name, item.where or schema.path or schema.name
    if kind == "decimal" and not (
        1 <= item.type.precision <= PRECISION_MAX and 0 <= item.type.scale <= item.type.precision
    ):
        _refuse(
            where,
            f"`{item.name}`: {item.type} has no such digits",
            f"decimal(p,s) with 1 ≤ p ≤ {PRECISION_MAX} and s ≤ p",
        )
    if item.expression and (item.capture or item.aliases):
        _refuse(where, f"`{item.name}` comes from an expression and from elsewhere", "keep one of them")
    if item.round and (
        not item.expression or kind not in {"integer", "decimal"} or item.type.precision > ROUND_PRECISION_MAX
    ):
        _refuse(
            where,
            f"`{item.name}`: round needs an expression, and an integer or decimal of {ROUND_PRECISION_MAX} digits",
        )
    marks = [item.decimal_char, item.group_char or " "]
    same = item.decimal_char == item.group_char and kind != "integer"
    if same or any(len(mark) != 1 or mark in "0123456789+-eE" for mark in marks):
        _refuse(
            where,
            f"`{item.name}`: decimalChar and groupChar are two different single characters, and no digits or signs",
        )
    both = set(item.true_values) & set(item.false_values)
    if kind == "boolean" and both:
        _refuse(where, f"`{item.name}`: {', '.join(sorted(both))} cannot mean true and false")
    _literals(item, where)
    _lengths(item, where)
    _format(item, schema, where)
    if item.expression:
        read(schema, item.expression, item.where, "value")


def _literals(item: Field, where: str) -> None:
    bounds = {
        "minimum": item.minimum,
        "maximum": item.maximum,
        "exclusiveMinimum": item.exclusive_minimum,
        "exclusiveMaximum": item.exclusive_maximum,
    }
    for word, text in bounds.items():
        if text is None:
            continue
        if item.type.name not in NUMERIC | TEMPORAL:
            _refuse(where, f"`{item.name}`: {word} needs a number or a date, not {item.type}", "declare its `type`")
        if not valid_literal(text, item.type):
            _refuse(
                where, f"`{item.name}`: {word} `{text}` is no {item.type}", "write it as a plain number or an ISO date"
            )
    for text in item.enum or ():
        if not valid_literal(text, item.type):
            _refuse(where, f"`{item.name}`: `{text}` of enum is no {item.type}", "quote texts, or change the `type`")
    if item.enum == ():
        _refuse(where, f"`{item.name}`: an empty enum allows no value")
    if item.multiple_of is not None:
        plain = re.fullmatch(r"[0-9]{1,18}([.][0-9]{1,18})?", item.multiple_of)
        if item.type.name not in NUMERIC or not plain or float(item.multiple_of) == 0:
            _refuse(
                where, f"`{item.name}`: multipleOf `{item.multiple_of}` is a plain number above 0, for numbers only"
            )


def _lengths(item: Field, where: str) -> None:
    limits = (item.min_length, item.max_length, item.pattern)
    if item.type.name != "string" and any(limit is not None for limit in limits):
        _refuse(where, f"`{item.name}`: minLength, maxLength and pattern need a string, not {item.type}")
    if item.pattern is None:
        return
    # The engine's expressions are RE2; Python's are near enough to find what is broken.
    bare = re.sub(r"\\\\", "", item.pattern)
    if re.search(r"\(\?([=!]|<[=!]|P=|>|\()|\\[1-9]", bare):
        _refuse(
            where,
            f"`{item.name}`: the pattern looks around or back, which RE2 cannot",
            "say it as a check with two patterns",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(re.sub(r"\\([pP](\{\^?\w+\}|\w)|[zCQE])|\[:\^?\w+:\]", "x", bare))
    except (re.error, OverflowError, RecursionError) as error:
        _refuse(where, f"`{item.name}`: the pattern `{item.pattern}` cannot be read: {error}")


def _format(item: Field, schema: Schema, where: str) -> None:
    kind, text = item.type.name, item.format
    if text is None:
        return
    if kind == "string":
        if text not in FORMATS:
            hint = (
                "a date pattern needs `type: date`, `time` or `datetime`" if "%" in text else near(text, list(FORMATS))
            )
            _refuse(where, f"`{item.name}`: the format `{text}` is not known", hint)
        return
    if kind not in TEMPORAL or "%" not in text:
        _refuse(
            where, f"`{item.name}`: the format `{text}` does not fit {item.type}", 'dates are described as "%d.%m.%Y"'
        )
    directives = re.findall("%(-?.?)", text.replace("%%", ""))
    for directive in directives:
        if directive.removeprefix("-") not in set(DIRECTIVES[kind]):
            _refuse(
                where,
                f"`{item.name}`: `%{directive}` in a format of a {kind}",
                f"known: {' '.join('%' + c for c in DIRECTIVES[kind])}",
            )
    if kind != "time" and not {"Y", "y"} & {word.removeprefix("-") for word in directives}:
        _refuse(where, f"`{item.name}`: the format `{text}` has no year", "add %Y")
    if "%z" in text and not schema.timezone:
        _refuse(where, f"`{item.name}`: %z needs a `timezone` of the schema", "timezone: UTC")
