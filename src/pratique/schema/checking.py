"""Everything that can be known of a schema without data, found before a run starts."""

from __future__ import annotations

import itertools
import operator
import re
import warnings
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pratique.documents import KeyPath
from pratique.errors import ConfigurationError
from pratique.mistakes import Code, Mistake, Mistakes, mistakes_of, refuse
from pratique.model import LINEAGE_COLUMNS
from pratique.schema.expression import near
from pratique.schema.fields import Field, Reference, Schema
from pratique.schema.rules import FORMATS, computed, read, rules
from pratique.schema.sql import identifier
from pratique.schema.types import DIRECTIVES, NUMERIC, TEMPORAL, literal_value, valid_literal

Wrong = Callable[..., Mistake]

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
    """Raise one ConfigurationError with everything that cannot be right whatever the data, each at its place."""
    refuse(mistakes(schema))
    ordered(schema)
    rules(schema)


def mistakes(schema: Schema) -> list[Mistake]:
    """Everything in single fields, keys and checks that cannot be right whatever the data, each at its place."""
    found = Mistakes()
    found.add(_names(schema))
    for item in schema.fields:
        found.add(_field(item, schema))
    found.add(_expressions(schema))
    return list(found)


def ordered(schema: Schema) -> tuple[Field, ...]:
    """The fields with expressions, each after those that it names; ConfigurationError if they name each other."""
    needs = {
        item.name: [name for name in computed(schema, item).inputs if schema.field(name).expression]
        for item in schema.fields
        if item.expression
    }
    done: list[Field] = []
    while len(done) < len(needs):
        known = {item.name for item in done}
        ready = [name for name in needs if name not in known and known.issuperset(needs[name])]
        if not ready:
            stuck = [name for name in needs if name not in known]
            message = f"the fields {', '.join(stuck)} are computed from each other"
            place = schema.place(("fields", stuck[0], "from"))
            refuse([Mistake(place, message, "read one of them from the input", "conflict")])
        done += [schema.field(name) for name in ready]
    return tuple(done)


def _expressions(schema: Schema) -> Iterator[Mistake]:
    """What is wrong in the expressions of fields, checks and the filter, each by itself."""
    asked: list[tuple[str, KeyPath, Literal["row", "set", "value"]]] = [
        (item.expression, ("fields", item.name, "from"), "value") for item in schema.fields if item.expression
    ]
    for rule in schema.checks:
        asked.append((rule.rule, ("checks", rule.name, "rule"), rule.scope))
        if rule.condition and rule.scope == "set":
            place, hint = schema.place(("checks", rule.name, "where"), key=True), "count_if(…) asks of some rows"
            message = f"`where` in the check `{rule.name}`, which looks at the whole load"
            yield Mistake(place, message, hint, "conflict")
        elif rule.condition:
            asked.append((rule.condition, ("checks", rule.name, "where"), "row"))
    if schema.filter:
        asked.append((schema.filter, ("filter",), "row"))
    for text, path, scope in asked:
        try:
            sql = read(schema, text, path, scope).sql
        except ConfigurationError as error:
            yield from mistakes_of(error)
            continue
        for item in schema.fields if scope != "value" else ():
            if sql == identifier(item.name) and item.type.name != "boolean":
                hint = f"compare it with something: {item.name} > 0"
                yield Mistake(schema.place(path), f"`{text}` is of type {item.type}, not a condition", hint, "rule")


def _names(schema: Schema) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for item in schema.fields:
        place = schema.place(("fields", item.name), key=True)
        if not item.name or "\0" in item.name or item.name.lower() in RESERVED:
            hint = "choose another name, with `from:` if the header has it"
            yield Mistake(place, f"a field cannot be named `{item.name}`", hint)
        if item.name.lower() in seen:
            message = f"two fields `{seen[item.name.lower()]}` and `{item.name}`"
            yield Mistake(place, message, "names differ by more than case", "duplicate")
        seen[item.name.lower()] = item.name
    if not seen:
        message = f"the schema `{schema.name}` has no fields"
        yield Mistake(schema.place(()), message, "declare at least one under `fields:`", "missing-key")
    names = [item.name for item in schema.fields]
    groups: list[tuple[str, tuple[str, ...], str]] = [
        ("primaryKey", schema.primary_key, schema.place(("primaryKey",))),
        *(("uniqueKeys", key, schema.place(("uniqueKeys", at))) for at, key in enumerate(schema.unique_keys)),
        *((f"the reference `{item.name}`", item.fields, _place(item, schema)) for item in schema.references),
    ]
    for group, fields, place in groups:
        for name in set(fields).difference(names) if schema.document is None else ():  # a file's names are checked
            yield Mistake(place, f"{group} names `{name}`, which is no field", near(name, names), "unknown-name")
    for reference in schema.references:
        counts = len(reference.fields), len(reference.parent_fields)
        if counts[0] != counts[1]:
            message = f"the reference `{reference.name}` pairs {counts[0]} fields with {counts[1]}"
            yield Mistake(_place(reference, schema), message, "name one field of the parent for each", "reference")
    yield from _check_names(schema)
    yield from _timezone(schema)


def _place(reference: Reference, schema: Schema) -> str:
    return reference.where or schema.place(())


def _check_names(schema: Schema) -> Iterator[Mistake]:
    taken = {"primaryKey", "filter", "malformed", *(name for name, _ in schema.keys)}
    taken |= {"reference." + "+".join(item.fields) for item in schema.references}
    taken |= {f"{item.name}.{word}" for item in schema.fields for word in FIELD_WORDS}
    for rule in schema.checks:
        if rule.name in taken:
            place = schema.place(("checks", rule.name), key=True)
            message = f"the name `{rule.name}` of a check is taken"
            yield Mistake(place, message, "give the check another name", "duplicate")
        taken.add(rule.name)


def _timezone(schema: Schema) -> Iterator[Mistake]:
    if schema.timezone is None:
        return
    try:
        zoneinfo.ZoneInfo(schema.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = near(schema.timezone, sorted(zoneinfo.available_timezones()))
        yield Mistake(schema.place(("timezone",)), f"the time zone `{schema.timezone}` is not known", hint)


def _field(item: Field, schema: Schema) -> Iterator[Mistake]:
    kind = item.type.name

    def wrong(
        word: str, message: str, hint: str = "", code: Code = "conflict", *, key: bool = False, index: int | None = None
    ) -> Mistake:
        path: KeyPath = ("fields", item.name, word, *([] if index is None else [index]))
        return Mistake(schema.place(path, key=key), f"`{item.name}`: {message}", hint, code)

    if kind == "decimal" and not (
        1 <= item.type.precision <= PRECISION_MAX and 0 <= item.type.scale <= item.type.precision
    ):
        hint = f"decimal(p,s) with 1 ≤ p ≤ {PRECISION_MAX} and s ≤ p"
        yield wrong("type", f"{item.type} has no such digits", hint, "value")
    if item.expression and (item.capture or item.aliases):
        yield wrong("from", "comes from an expression and from elsewhere", "keep one of them")
    if item.round and (
        not item.expression or kind not in {"integer", "decimal"} or item.type.precision > ROUND_PRECISION_MAX
    ):
        message = f"round needs an expression, and an integer or decimal of {ROUND_PRECISION_MAX} digits"
        yield wrong("round", message, "remove round, or change the `type`", key=True)
    marks = {"decimalChar": item.decimal_char, "groupChar": item.group_char or " "}
    same = item.decimal_char == item.group_char and kind != "integer"
    odd = [word for word, mark in marks.items() if len(mark) != 1 or mark in "0123456789+-eE"]
    if same or odd:
        message = "decimalChar and groupChar are two different single characters, and no digits or signs"
        yield wrong(odd[0] if odd else "groupChar", message, "such as , and .")
    both = set(item.true_values) & set(item.false_values)
    if kind == "boolean" and both:
        yield wrong("falseValues", f"{', '.join(sorted(both))} cannot mean true and false", "keep one of them")
    yield from _literals(item, wrong)
    yield from _lengths(item, wrong)
    yield from _format(item, schema, wrong)


def _literals(item: Field, wrong: Wrong) -> Iterator[Mistake]:
    bounds = {
        "minimum": item.minimum,
        "maximum": item.maximum,
        "exclusiveMinimum": item.exclusive_minimum,
        "exclusiveMaximum": item.exclusive_maximum,
    }
    values: dict[str, Any] = {}
    for word, text in bounds.items():
        if text is None:
            continue
        if item.type.name not in NUMERIC | TEMPORAL:
            yield wrong(word, f"{word} needs a number or a date, not {item.type}", "declare its `type`", key=True)
        elif not valid_literal(text, item.type):
            hint = "write it as a plain number or an ISO date"
            yield wrong(word, f"{word} `{text}` is no {item.type}", hint, "value")
        else:
            values[word] = literal_value(text, item.type)
    yield from _empty_range(values, bounds, wrong)
    yield from _values(item, values, bounds, wrong)


def _values(
    item: Field, values: Mapping[str, Any], bounds: Mapping[str, str | None], wrong: Wrong
) -> Iterator[Mistake]:
    """What `enum` and `multipleOf` say, beside the bounds."""
    for index, text in enumerate(item.enum or ()):
        if not valid_literal(text, item.type):
            yield wrong(
                "enum", f"`{text}` of enum is no {item.type}", "quote texts, or change the `type`", "value", index=index
            )
        elif (beyond := _beyond(literal_value(text, item.type), values)) is not None:
            hint = "remove it, or move the bound"
            yield wrong("enum", f"`{text}` of enum is never allowed: {beyond} is {bounds[beyond]}", hint, index=index)
    if item.enum == ():
        yield wrong("enum", "an empty enum allows no value", "name the values that are allowed", "value")
    if item.multiple_of is not None:
        plain = re.fullmatch(r"[0-9]{1,18}([.][0-9]{1,18})?", item.multiple_of)
        if item.type.name not in NUMERIC or not plain or float(item.multiple_of) == 0:
            message = f"multipleOf `{item.multiple_of}` is a plain number above 0, for numbers only"
            yield wrong("multipleOf", message, "such as 0.01", "value")


def _empty_range(values: Mapping[str, Any], bounds: Mapping[str, str | None], wrong: Wrong) -> Iterator[Mistake]:
    """Two bounds between which there is no value."""
    for low, high in itertools.product(("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if low in values and high in values:
            touching = (low, high) != ("minimum", "maximum") and values[low] == values[high]
            if values[low] > values[high] or touching:
                message = f"no value is allowed: {low} is {bounds[low]}, and {high} is {bounds[high]}"
                yield wrong(low, message, "swap them, or correct one")


def _beyond(value: Any, values: Mapping[str, Any]) -> str | None:
    """The bound that does not allow a value."""
    wrong = {
        "minimum": operator.lt,
        "maximum": operator.gt,
        "exclusiveMinimum": operator.le,
        "exclusiveMaximum": operator.ge,
    }
    return next((word for word, bound in values.items() if wrong[word](value, bound)), None)


def _lengths(item: Field, wrong: Wrong) -> Iterator[Mistake]:
    limits = {"minLength": item.min_length, "maxLength": item.max_length, "pattern": item.pattern}
    for word, limit in limits.items():
        if item.type.name != "string" and limit is not None:
            message = f"minLength, maxLength and pattern need a string, not {item.type}"
            yield wrong(word, message, "remove it, or change the `type`", key=True)
    if item.min_length is not None and item.max_length is not None and item.min_length > item.max_length:
        message = f"no value is allowed: minLength is {item.min_length}, and maxLength is {item.max_length}"
        yield wrong("minLength", message, "swap them, or correct one")
    for index, text in enumerate(item.enum or ()):
        if item.max_length is not None and len(text) > item.max_length:
            message = f"`{text}` of enum is never allowed: maxLength is {item.max_length}"
            yield wrong("enum", message, "remove it, or raise maxLength", index=index)
    if item.pattern is None:
        return
    # The engine's expressions are RE2; Python's are near enough to find what is broken.
    bare = re.sub(r"\\\\", "", item.pattern)
    if re.search(r"\(\?([=!]|<[=!]|P=|>|\()|\\[1-9]", bare):
        hint = "say it as a check with two patterns"
        yield wrong("pattern", "the pattern looks around or back, which RE2 cannot", hint, "pattern")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(re.sub(r"\\([pP](\{\^?\w+\}|\w)|[zCQE])|\[:\^?\w+:\]", "x", bare))
    except (re.error, OverflowError, RecursionError) as error:
        hint = "put \\ before a mark that is meant as itself"
        yield wrong("pattern", f"the pattern `{item.pattern}` cannot be read: {error}", hint, "pattern")


def _format(item: Field, schema: Schema, wrong: Wrong) -> Iterator[Mistake]:
    kind, text = item.type.name, item.format
    if text is None:
        return
    if kind == "string":
        if text not in FORMATS:
            dated = "a date pattern needs `type: date`, `time` or `datetime`"
            hint = dated if "%" in text else near(text, list(FORMATS))
            yield wrong("format", f"the format `{text}` is not known", hint, "pattern")
        return
    if kind not in TEMPORAL or "%" not in text:
        hint = 'dates are described as "%d.%m.%Y"'
        yield wrong("format", f"the format `{text}` does not fit {item.type}", hint, "pattern")
        return
    directives = re.findall("%(-?.?)", text.replace("%%", ""))
    for directive in directives:
        if directive.removeprefix("-") not in set(DIRECTIVES[kind]):
            hint = f"known: {' '.join('%' + c for c in DIRECTIVES[kind])}"
            yield wrong("format", f"`%{directive}` in a format of a {kind}", hint, "pattern")
    if kind != "time" and not {"Y", "y"} & {word.removeprefix("-") for word in directives}:
        yield wrong("format", f"the format `{text}` has no year", "add %Y", "pattern")
    if "%z" in text and not schema.timezone:
        yield wrong("format", "%z needs a `timezone` of the schema", "timezone: UTC", "conflict")
