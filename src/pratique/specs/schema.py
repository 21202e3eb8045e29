"""Schema files: what good data is, as people write it, turned into `pratique.schema.Schema`."""

from __future__ import annotations

import codecs
import difflib
import re
import zoneinfo
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pratique.model import Severity
from pratique.schema import Check, Dialect, FieldType
from pratique.schema import Field as SchemaField
from pratique.schema.cells import cell_range
from pratique.specs.base import Name, Share, Spec, Texts, one_or_more

TYPES: Final = (
    "string", "integer", "number", "boolean", "date", "time", "datetime", "uuid", "json", "array", "object",
)  # fmt: skip
DECIMAL_PATTERN: Final = r"decimal\(\s*([0-9]+)\s*,\s*([0-9]+)\s*\)"
_DECIMAL_DIGITS_MAX: Final = 38  # Limit: DuckDB's widest decimal
ENCODINGS: Final = ("utf-8", "windows-1252", "iso-8859-1", "utf-16")
_NAMED: Final = re.compile(r"\s*([^()]+?)\s*\(([^()]*)\)\s*")

_ORDERED: Final = frozenset({"integer", "number", "decimal", "date", "time", "datetime"})
_NUMERIC: Final = frozenset({"integer", "number", "decimal"})
WORD_TYPES: Final[dict[str, frozenset[str]]] = {  # words that make sense for some types only
    "minimum": _ORDERED,
    "maximum": _ORDERED,
    "exclusiveMinimum": _ORDERED,
    "exclusiveMaximum": _ORDERED,
    "multipleOf": _NUMERIC,
    "minLength": frozenset({"string"}),
    "maxLength": frozenset({"string"}),
    "pattern": frozenset({"string"}),
    "enum": _ORDERED | {"string", "uuid"},
    "format": frozenset({"string", "date", "time", "datetime"}),
    "decimalChar": frozenset({"number", "decimal"}),
    "groupChar": _NUMERIC,
    "trueValues": frozenset({"boolean"}),
    "falseValues": frozenset({"boolean"}),
    "round": frozenset({"decimal"}),
    "unique": frozenset(TYPES) - {"json", "array", "object"} | {"decimal"},
}
_OTHER_NAMES: Final[dict[str, str]] = {  # what other languages call our types, where the nearest name misleads
    **dict.fromkeys(("text", "str", "varchar", "char"), "string"),
    **dict.fromkeys(("int", "bigint", "smallint", "int64", "int32", "long"), "integer"),
    **dict.fromkeys(("float", "float64", "double", "real"), "number"),
    **dict.fromkeys(("numeric", "money"), "decimal(12,2)"),
    **dict.fromkeys(("timestamp", "timestamptz", "datetime64"), "datetime"),
    **dict.fromkeys(("list",), "array"),
    **dict.fromkeys(("dict", "struct", "map"), "object"),
}
READING_WORDS: Final = frozenset({"missingValues", "decimalChar", "groupChar", "trueValues", "falseValues", "trim"})
TEXT_WORDS: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum"}
    | {"missingValues", "trueValues", "falseValues"}
)


def field_type(text: str) -> FieldType:
    """The type that `text` names; ValueError with the nearest known one otherwise."""
    if text in TYPES:
        return FieldType(text)  # type: ignore[arg-type]  # one of TypeName by the line above
    match = re.fullmatch(DECIMAL_PATTERN, text)
    if match:
        precision, scale = int(match[1]), int(match[2])
        if not 1 <= precision <= _DECIMAL_DIGITS_MAX or scale > precision:
            message = f"{text}: a decimal has 1 to 38 digits, and no more of them behind the point"
            raise ValueError(message, 'such as "decimal(12,2)"')
        return FieldType("decimal", precision, scale)
    if text.startswith("decimal"):
        raise ValueError(f'"{text}" is no type', 'digits and places, inside { } in quotes: type: "decimal(12,2)"')
    meant = _OTHER_NAMES.get(text.lower()) or next(iter(difflib.get_close_matches(text, TYPES, n=1, cutoff=0.5)), None)
    hint = f'did you mean "{meant}"?' if meant else f"types: {', '.join(TYPES)}, decimal(p,s)"
    raise ValueError(f'there is no type "{text}"', hint)


def split_names(text: str) -> tuple[str, ...]:
    """The names of a list such as `a, b`."""
    return tuple(name.strip() for name in text.split(","))


def _valid_type(text: str) -> str:
    field_type(text)
    return text


def _one_character(text: str) -> str:
    if len(text) != 1:
        hint = 'write a tab as "\\t" in double quotes' if text in ("\\t", "tab") else "such as ; or |, in quotes"
        raise ValueError("expected exactly one character", hint)
    return text


def _encoding(text: str) -> str:
    try:
        codecs.lookup(text)
    except (LookupError, ValueError) as error:
        near = difflib.get_close_matches(text, ENCODINGS, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"common ones: {', '.join(ENCODINGS)}"
        raise ValueError(f'there is no encoding "{text}"', hint) from error
    return text


def _zone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(text, zoneinfo.available_timezones(), n=1, cutoff=0.5)
        meant = f'did you mean "{near[0]}"?' if near else "write a name such as Europe/Berlin"
        raise ValueError(f'there is no time zone "{text}"', meant) from error
    return text


Zone = Annotated[str, AfterValidator(_zone)]


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(
            f"not a regular expression: {error}", "put \\ before a mark that is meant as itself"
        ) from error
    return text


def _range(text: str) -> str:
    cell_range(text)
    return text


def _check(value: Any) -> Any:
    return {"rule": value} if isinstance(value, str) else value


def _field(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else {} if value is None else value


def _reference(value: Any) -> Any:
    return {"to": value} if isinstance(value, str) else value


def _keys(value: Any) -> Any:
    return [one_or_more(item) for item in value] if isinstance(value, list) else value


Character = Annotated[str, AfterValidator(_one_character)]
Scalar = Annotated[str, Field(json_schema_extra={"type": ["string", "number", "boolean"]})]
Expression = Annotated[str, Field(min_length=1)]


class DialectSpec(Spec):
    """How a file is cut into records and fields, in the words of Table Dialect."""

    delimiter: Character = ","
    quote_char: Character | None = Field('"', alias="quoteChar")
    escape_char: Character | None = Field(None, alias="escapeChar")
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    header: bool = True
    header_rows: int = Field(1, alias="headerRows", ge=1, le=100)
    comment_char: Character | None = Field(None, alias="commentChar")
    footer: Annotated[str, AfterValidator(_regex)] | None = None
    sheet: Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=1)] | None = None
    cell_range: Annotated[str, AfterValidator(_range)] | None = Field(None, alias="range")

    @model_validator(mode="after")
    def _distinct(self) -> DialectSpec:
        marks = {"delimiter": self.delimiter, "quoteChar": self.quote_char, "commentChar": self.comment_char}
        characters = [char for char in marks.values() if char]
        if len(set(characters)) < len(characters) or self.escape_char == self.delimiter:
            written = [word for word, char in marks.items() if characters.count(str(char)) > 1]
            word = "escapeChar" if not written else written[-1]
            message = "delimiter, quoteChar, escapeChar and commentChar must be different characters"
            raise ValueError(message, "choose another character", word)
        if not self.header and "header_rows" in self.model_fields_set:
            raise ValueError("headerRows needs a header", "leave it out, or header: true", "headerRows")
        return self

    def over(self, base: Dialect) -> Dialect:
        """`base` with the words that are written here."""
        return replace(base, **{name: getattr(self, name) for name in self.model_fields_set})


class FieldSpec(Spec):
    """One field. Bounds and lists of values are kept as text, exactly as they are written."""

    type: Annotated[str, AfterValidator(_valid_type)] = "string"
    from_: Texts | None = Field(None, alias="from")
    required: bool = False
    unique: bool = False
    minimum: Scalar | None = None
    maximum: Scalar | None = None
    exclusive_minimum: Scalar | None = Field(None, alias="exclusiveMinimum")
    exclusive_maximum: Scalar | None = Field(None, alias="exclusiveMaximum")
    multiple_of: Scalar | None = Field(None, alias="multipleOf")
    min_length: int | None = Field(None, alias="minLength", ge=0)
    max_length: int | None = Field(None, alias="maxLength", ge=0)
    pattern: Expression | None = None
    enum: Annotated[list[Scalar], Field(min_length=1)] | None = None
    format: str | None = None
    missing_values: list[Scalar] = Field([""], alias="missingValues")
    decimal_char: Character = Field(".", alias="decimalChar")
    group_char: Character | None = Field(None, alias="groupChar")
    true_values: list[Scalar] = Field(["true", "True", "TRUE", "1"], alias="trueValues")
    false_values: list[Scalar] = Field(["false", "False", "FALSE", "0"], alias="falseValues")
    trim: bool = False
    round: Literal["half_even", "half_up"] | None = None
    sensitive: bool = False
    store: Literal["keep", "hash", "mask", "drop"] = "keep"
    description: str = ""
    severity: Severity = "quarantine"

    @model_validator(mode="after")
    def _sensible(self) -> FieldSpec:
        if self.decimal_char == self.group_char and self.type != "integer":  # an integer has no decimal character
            hint = "such as decimalChar: ',' with groupChar: '.'"
            raise ValueError("decimalChar and groupChar must be different characters", hint, "groupChar")
        both = set(self.true_values) & set(self.false_values)
        if both:
            raise ValueError(f'"{min(both)}" stands in trueValues and in falseValues', "keep one", "falseValues")
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ValueError("minLength is greater than maxLength", "swap them, or correct one", "minLength")
        if self.from_ == []:
            raise ValueError("`from` names no column", "leave it out for the field's own name", "from")
        return self

    @property
    def expression(self) -> str | None:
        """The expression of `from: "= …"`, without its sign."""
        first = self.from_[0].strip() if self.from_ and len(self.from_) == 1 else ""
        return first[1:].strip() if first.startswith("=") else None

    def to_field(self, name: str, where: str) -> SchemaField:
        """The field as the other rooms know it."""
        origin = self.from_ or []
        capture = origin[0].removeprefix("path.") if len(origin) == 1 and origin[0].startswith("path.") else None
        plain = capture is None and self.expression is None
        return SchemaField(
            name=name,
            type=field_type(self.type),
            aliases=tuple(origin) if plain else (),
            capture=capture,
            expression=self.expression,
            round=self.round,
            required=self.required,
            unique=self.unique,
            minimum=self.minimum,
            maximum=self.maximum,
            exclusive_minimum=self.exclusive_minimum,
            exclusive_maximum=self.exclusive_maximum,
            multiple_of=self.multiple_of,
            min_length=self.min_length,
            max_length=self.max_length,
            pattern=self.pattern,
            enum=tuple(self.enum) if self.enum is not None else None,
            format=self.format,
            missing_values=tuple(self.missing_values),
            decimal_char=self.decimal_char,
            group_char=self.group_char,
            true_values=tuple(self.true_values),
            false_values=tuple(self.false_values),
            trim=self.trim,
            sensitive=self.sensitive,
            store=self.store,
            description=self.description,
            severity=self.severity,
            where=where,
        )


class CheckSpec(Spec):
    """A rule that a person wrote, with its scope, severity and tolerance."""

    rule: Expression
    scope: Literal["row", "set"] = "row"
    severity: Severity = "quarantine"
    at_most: Share | None = None
    where: Expression | None = None

    @model_validator(mode="after")
    def _sensible(self) -> CheckSpec:
        if self.scope == "set":
            if self.at_most is not None:
                raise ValueError(
                    "at_most is a share of rows: a check of scope set has none", "remove at_most", "at_most"
                )
            if "severity" in self.model_fields_set and self.severity == "quarantine":
                message = "a check of scope set has no row to quarantine"
                raise ValueError(message, "severity is warn or fail", "severity")
        return self

    def to_check(self, name: str, where: str) -> Check:
        """The check as the other rooms know it; a check of scope set fails the run if nothing else is said."""
        severity = "fail" if self.scope == "set" and self.severity == "quarantine" else self.severity
        return Check(name, self.rule, self.scope, severity, self.at_most, self.where, where)


class ReferenceSpec(Spec):
    """Values that must occur in another schema's table: `to: parent.field` or `to: "parent(a, b)"`."""

    to: Expression
    severity: Severity = "quarantine"
    at_most: Share | None = None

    @model_validator(mode="after")
    def _sensible(self) -> ReferenceSpec:
        self.parent()
        return self

    def parent(self) -> tuple[str, tuple[str, ...]]:
        """The schema that is referred to, and its fields."""
        match = _NAMED.fullmatch(self.to)
        if match:
            return match[1], split_names(match[2])
        schema, dot, name = self.to.strip().partition(".")
        if not dot or not schema or not name:
            hint = 'write parent.field, or "parent(a, b)" for several fields'
            raise ValueError(f'"{self.to}" is no reference', hint)
        return schema, (name,)


class SchemaSpec(Spec):
    """A schema: fields in the order of the table, keys, checks, references, and how text is read."""

    name: Name | None = Field(None, alias="schema")
    version: int = Field(1, ge=1)
    description: str = ""
    primary_key: Texts = Field(default_factory=list, alias="primaryKey")
    unique_keys: Annotated[list[list[str]], BeforeValidator(_keys, json_schema_input_type=list[str | list[str]])] = (
        Field(default_factory=list, alias="uniqueKeys")
    )
    extra_fields: Literal["reject", "drop", "keep", "evolve"] = Field("reject", alias="extraFields")
    dialect: DialectSpec = DialectSpec()
    timezone: Zone | None = None
    defaults: FieldSpec = FieldSpec()
    fields: Annotated[
        dict[str, Annotated[FieldSpec, BeforeValidator(_field, json_schema_input_type=str | FieldSpec)]],
        Field(min_length=1),
    ]
    filter: Expression | None = None
    checks: dict[Name, Annotated[CheckSpec, BeforeValidator(_check, json_schema_input_type=str | CheckSpec)]] = Field(
        default_factory=dict
    )
    references: dict[
        str, Annotated[ReferenceSpec, BeforeValidator(_reference, json_schema_input_type=str | ReferenceSpec)]
    ] = Field(default_factory=dict)
