"""One list of everything that a schema promises, each promise a named rule with what a person reads when it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Literal

from pratique.documents import KeyPath
from pratique.errors import ConfigurationError
from pratique.model import Severity
from pratique.schema.expression import Expression, parse
from pratique.schema.fields import Check, Field, Schema
from pratique.schema.sql import identifier
from pratique.schema.types import matches, typed_literal

# Limit: a message is one line; the whole value stands in the quarantined record.
_SHOWN_MAX = 80
_LISTED = 2  # Limit: values of a long enum that a message names


@dataclass(frozen=True, slots=True)
class Format:
    """A named form of a text: what `format:` may say, the pattern (RE2) of the whole value, and what it promises."""

    name: str
    pattern: str
    doc: str


_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_H = "[0-9A-Fa-f]{1,4}"
_IPV4 = rf"({_BYTE}[.]){{3}}{_BYTE}"
_IPV6 = "|".join(
    [
        f"({_H}:){{7}}{_H}",
        f"({_H}:){{1,7}}:",
        *(f"({_H}:){{1,{7 - tail}}}(:{_H}){{1,{tail}}}" for tail in range(1, 7)),
        f":(:{_H}){{1,7}}",
        "::",
        f"::([Ff]{{4}}:)?{_IPV4}",
        f"({_H}:){{6}}{_IPV4}",
    ]
)
_LOCAL = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+([.][A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"

FORMATS: dict[str, Format] = {
    name: Format(name, pattern, doc)
    for name, pattern, doc in (
        (
            "email",
            f"{_LOCAL}@({_LABEL}[.])+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]",
            "an address as mail servers take it, with a domain that has a dot",
        ),
        (
            "phone",
            r"[+]?[(]?[0-9]([ ().-]{0,2}[0-9]){6,14}[)]?",
            "7 to 15 digits, with blanks, dots, dashes, parentheses between, perhaps + before",
        ),
        ("uri", r"[A-Za-z][A-Za-z0-9+.-]*:(//[^\s/?#]+)?[^\s]*[^\s:/]/?", "a scheme, a colon, and no white space"),
        ("uuid", "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "8-4-4-4-12 hexadecimal digits"),
        ("ipv4", _IPV4, "four numbers from 0 to 255"),
        ("ipv6", _IPV6, "eight groups of hexadecimal digits, or fewer around ::"),
        ("hostname", rf"({_LABEL}[.])*{_LABEL}", "labels of letters, digits and dashes, with dots between"),
        ("country", "[A-Z]{2}", "two capital letters, as in ISO 3166-1 alpha-2"),
        ("currency", "[A-Z]{3}", "three capital letters, as in ISO 4217"),
        ("iban", "[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", "an account number in electronic form, without its checksum"),
    )
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise about rows, keys, parents or the whole load.

    `sql` (row and set scope) is true for good rows, over quoted fields. `decided` is true for rows about which the rule
    says anything; for `….type` it counts the values, to which the failures have to be added.
    """

    number: int
    name: str
    field: str | None
    scope: Literal["row", "key", "reference", "set"]
    severity: Severity
    dimension: str
    sql: str
    text: str
    at_most: float | None = None
    inputs: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    decided: str = "TRUE"
    sensitive: bool = False

    @property
    def holds(self) -> bool:
        """A record that fails it is quarantined."""
        return self.severity != "warn"

    def message(self, value: Any = None, *, unknown: bool = False) -> str:
        """What a person reads about one record: the text and the value, unless it is sensitive."""
        text = f"could not be decided: {self.text}" if unknown else self.text
        return text if value is None or self.sensitive else f"{text}: {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    text = f'"{value}"' if isinstance(value, str) else "missing" if value is None else str(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _listed(values: tuple[str, ...]) -> str:
    """All values, or the first few and how many there are: a person who needs all of them reads the schema."""
    whole = ", ".join(values)
    if len(whole) <= _SHOWN_MAX:
        return whole
    first = (
        value if len(value) <= _SHOWN_MAX // 2 else f"{value[: _SHOWN_MAX // 2 - 1]}…" for value in values[:_LISTED]
    )
    return f"{', '.join(first)}, … ({len(values)} values)"


def captures(schema: Schema) -> dict[str, str]:
    """Capture of the path -> field that holds it."""
    return {item.capture: item.name for item in schema.fields if item.capture}


def read(schema: Schema, text: str, path: KeyPath, scope: Literal["row", "set", "value"]) -> Expression:
    """The expression `text`, written at `path`, over the fields of `schema`; ConfigurationError where it is none."""
    names = tuple(item.name for item in schema.fields)
    try:
        return parse(text, names, captures(schema), scope=scope)
    except ConfigurationError as error:
        error.where = schema.inside(path, text, error.facts.pop("offset"))
        raise


def computed(schema: Schema, item: Field) -> Expression:
    """The expression of a field that is computed."""
    return read(schema, item.expression or "", ("fields", item.name, "from"), "value")


def sensitive(schema: Schema) -> frozenset[str]:
    """Names of the fields whose values people must not see: declared so, or computed from one that is."""
    return made_of(schema, {item.name for item in schema.fields if item.sensitive})


def made_of(schema: Schema, names: AbstractSet[str]) -> frozenset[str]:
    """These fields, and all that are computed from one of them."""
    needs = {item.name: computed(schema, item).inputs for item in schema.fields if item.expression}
    found = set(names)
    while more := {name for name, inputs in needs.items() if name not in found and not found.isdisjoint(inputs)}:
        found |= more
    return frozenset(found)


def rules(schema: Schema) -> tuple[Rule, ...]:
    """Every rule of `schema`, row rules first, numbered from 1; the same for every input."""
    found = [rule for item in schema.fields for rule in _field_rules(item, schema)]
    found += [_check(item, schema) for item in schema.checks if item.scope == "row"]
    if schema.filter:
        found.append(_filter(schema))
    for name, fields in schema.keys:
        severity = schema.field(fields[0]).severity if name.endswith(".unique") else "quarantine"
        text = f"{'+'.join(fields)} occurs more than once"
        decided = " AND ".join(f"{identifier(item)} IS NOT NULL" for item in fields)
        owner = fields[0] if len(fields) == 1 else None
        found.append(
            Rule(0, name, owner, "key", severity, "uniqueness", "", text, inputs=fields, fields=fields, decided=decided)
        )
    for item in schema.references:
        text = f"{'+'.join(item.fields)} not in {item.parent}.{'+'.join(item.parent_fields)}"
        decided = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in item.fields)
        name, owner = "reference." + "+".join(item.fields), item.fields[0] if len(item.fields) == 1 else None
        found.append(
            Rule(
                0,
                name,
                owner,
                "reference",
                item.severity,
                "consistency",
                "",
                text,
                item.at_most,
                item.fields,
                item.fields,
                decided,
            )
        )
    found += [_check(item, schema) for item in schema.checks if item.scope == "set"]
    secret = sensitive(schema)
    return tuple(
        replace(rule, number=number, sensitive=not secret.isdisjoint(rule.inputs))
        for number, rule in enumerate(found, 1)
    )


def _field_rules(field: Field, schema: Schema) -> Iterator[Rule]:
    for word, sql, text in _promises(field, schema):
        dimension, decided = (
            ("completeness", "TRUE") if word == "required" else ("validity", f"{identifier(field.name)} IS NOT NULL")
        )
        # A warning must not load a null in place of what was written, nor a row that its key cannot tell from others.
        must_hold = word == "type" or (word == "required" and field.name in schema.primary_key)
        severity = "quarantine" if must_hold and field.severity == "warn" else field.severity
        name = f"{field.name}.{word}"
        yield Rule(0, name, field.name, "row", severity, dimension, sql, text, inputs=(field.name,), decided=decided)


def _promises(field: Field, schema: Schema) -> Iterator[tuple[str, str, str]]:
    """What a field declares, in the order in which it is told: word, SQL, text."""
    column = identifier(field.name)
    if field.type.name != "string" or field.expression:  # a text is a text: that rule could not fail
        yield "type", f"{column} IS NOT NULL", f"not {field.type}"
    if field.required or field.name in schema.primary_key:
        yield "required", f"{column} IS NOT NULL", "required, but missing"
    if field.enum is not None:
        listed = ", ".join(typed_literal(item, field.type, schema.timezone) for item in field.enum)
        yield "enum", f"{column} IN ({listed})", f"not one of {_listed(field.enum)}"
    for word, operator, bound, text in (
        ("minimum", ">=", field.minimum, "below minimum"),
        ("maximum", "<=", field.maximum, "above maximum"),
        ("exclusiveMinimum", ">", field.exclusive_minimum, "not above"),
        ("exclusiveMaximum", "<", field.exclusive_maximum, "not below"),
    ):
        if bound is not None:
            yield word, f"{column} {operator} {typed_literal(bound, field.type, schema.timezone)}", f"{text} {bound}"
    if field.multiple_of is not None:
        yield "multipleOf", _multiple(column, field), f"not a multiple of {field.multiple_of}"
    yield from _text_promises(field, column)


def _text_promises(field: Field, column: str) -> Iterator[tuple[str, str, str]]:
    if field.min_length is not None:
        yield "minLength", f"length({column}) >= {field.min_length}", f"shorter than {field.min_length} characters"
    if field.max_length is not None:
        yield "maxLength", f"length({column}) <= {field.max_length}", f"longer than {field.max_length} characters"
    if field.pattern is not None:
        yield "pattern", matches(column, field.pattern), f"does not match {field.pattern}"
    if field.format and field.type.name == "string":
        # Limit: 254 characters, what SMTP carries as an address.
        limit = f" AND length({column}) <= 254" if field.format == "email" else ""
        article = "an" if field.format[0] in "aei" else "a"
        yield "format", matches(column, FORMATS[field.format].pattern) + limit, f"not {article} {field.format}"


def _multiple(column: str, field: Field) -> str:
    """Judged on decimal digits: as doubles, 0.3 is no multiple of 0.1."""
    if field.type.name != "number":
        return f"{column} % {field.multiple_of} = 0"
    # Limit: 20 digits after the point leave 18 before it; beyond them the rule is undecided, never wrong.
    value = f"TRY_CAST(CAST({column} AS VARCHAR) AS DECIMAL(38,20))"
    same = f"CAST({value} AS DOUBLE) = {column}"
    return f"CASE WHEN {same} THEN TRY({value} % {field.multiple_of}) = 0 ELSE {same} END"


def _check(check: Check, schema: Schema) -> Rule:
    expression = read(schema, check.rule, ("checks", check.name, "rule"), check.scope)
    sql, inputs, decided = expression.sql, expression.inputs, "TRUE"
    if check.condition:
        asked = read(schema, check.condition, ("checks", check.name, "where"), "row")
        sql = f"CASE WHEN {asked.sql} THEN {sql} ELSE TRUE END"
        inputs = tuple(dict.fromkeys((*inputs, *asked.inputs)))
        decided = f"coalesce(TRY(coalesce({asked.sql}, FALSE)), TRUE)"
    if check.scope == "set":
        return Rule(
            0,
            check.name,
            None,
            "set",
            check.severity,
            "consistency",
            expression.sql,
            check.rule,
            check.at_most,
            expression.inputs,
        )
    text, field = f"does not hold: {check.rule}", inputs[0] if len(inputs) == 1 else None
    return Rule(
        0,
        check.name,
        field,
        "row",
        check.severity,
        "consistency",
        f"TRY({sql})",
        text,
        check.at_most,
        inputs,
        decided=decided,
    )


def _filter(schema: Schema) -> Rule:
    """Never false: leaving a row out is no failure, but not knowing whether to leave it out is."""
    expression = read(schema, schema.filter or "", ("filter",), "row")
    missing = " OR ".join(f"{identifier(name)} IS NULL" for name in expression.inputs) or "FALSE"
    undecided = f"TRY({expression.sql}) IS NULL AND NOT ({missing})"
    return Rule(
        0, "filter", None, "row", "quarantine", "consistency", f"CASE WHEN {undecided} THEN NULL ELSE TRUE END",
        f"filter: {schema.filter}", inputs=expression.inputs, decided=undecided,
    )  # fmt: skip
