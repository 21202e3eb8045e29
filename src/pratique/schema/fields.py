"""What a schema declares: fields, keys, references, checks. Plain values, already checked by `specs`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pratique.documents import Document, KeyPath
from pratique.model import Severity

TypeName = Literal[
    "string",
    "integer",
    "number",
    "decimal",
    "boolean",
    "date",
    "time",
    "datetime",
    "uuid",
    "json",
    "array",
    "object",
]
ExtraFields = Literal["reject", "drop", "keep", "evolve"]
Store = Literal["keep", "hash", "mask", "drop"]


@dataclass(frozen=True, slots=True)
class FieldType:
    """A type in the language's words; precision and scale for decimals only."""

    name: TypeName = "string"
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.name == "decimal" else self.name


@dataclass(frozen=True, slots=True)
class Field:
    """One column of the table and all that its schema promises about it.

    It comes from the first of `aliases` that the header has (its own name if none are given), or from `capture` (a
    named part of the path), or from `expression` over the other fields. Bounds are text as written in the schema, and
    compared as values of `type`.
    """

    name: str
    type: FieldType = FieldType()
    aliases: tuple[str, ...] = ()
    capture: str | None = None
    expression: str | None = None
    round: Literal["half_even", "half_up"] | None = None
    required: bool = False
    unique: bool = False
    minimum: str | None = None
    maximum: str | None = None
    exclusive_minimum: str | None = None
    exclusive_maximum: str | None = None
    multiple_of: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    format: str | None = None
    missing_values: tuple[str, ...] = ("",)
    decimal_char: str = "."
    group_char: str | None = None
    true_values: tuple[str, ...] = ("true", "True", "TRUE", "1")
    false_values: tuple[str, ...] = ("false", "False", "FALSE", "0")
    trim: bool = False
    sensitive: bool = False
    store: Store = "keep"
    description: str = ""
    severity: Severity = "quarantine"
    where: str = ""  # file:line:column in the schema file, for errors

    @property
    def headers(self) -> tuple[str, ...]:
        """Names under which the column may stand in a header."""
        return self.aliases or (self.name,)


@dataclass(frozen=True, slots=True)
class Check:
    """A named rule that a person wrote: true for good rows (scope row) or for a good load (scope set).

    `at_most` is the share (0..1) of rows that may fail before the check fails as a whole: a `warn` says nothing below
    it, a `quarantine` or `fail` holds the rows in any case and stops the run above it (`fail` without it: at the
    first).
    """

    name: str
    rule: str
    scope: Literal["row", "set"] = "row"
    severity: Severity = "quarantine"
    at_most: float | None = None
    condition: str | None = None  # `where:` the check is asked only of rows for which this is true
    where: str = ""  # file:line:column


@dataclass(frozen=True, slots=True)
class Reference:
    """Values of `fields` must occur in `parent_fields` of the table of the schema `parent`; NULL passes."""

    name: str
    fields: tuple[str, ...]
    parent: str
    parent_fields: tuple[str, ...]
    severity: Severity = "quarantine"
    at_most: float | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the text of a file is cut into fields (the words of Table Dialect).

    `delimiter` None: a comma, unless exactly one other usual mark makes the header fit the schema. `sheet` is the name
    of a workbook's sheet, or its number from 1; None: the only one that holds data.
    """

    delimiter: str | None = None
    quote_char: str | None = '"'
    escape_char: str | None = None
    encoding: str = "utf-8"
    header: bool = True
    header_rows: int = 1
    comment_char: str | None = None
    footer: str | None = None
    sheet: str | int | None = None
    cell_range: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """What good data is. `fields` is the order of the table."""

    name: str
    version: int
    fields: tuple[Field, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    extra_fields: ExtraFields = "reject"
    dialect: Dialect = Dialect()
    timezone: str | None = None
    filter: str | None = None
    checks: tuple[Check, ...] = ()
    references: tuple[Reference, ...] = ()
    nested: tuple[tuple[str, ...], ...] = ()  # where in its JSON records arrays stand that other tables take
    hidden: frozenset[str] = frozenset()  # what is sensitive in those arrays
    nested_captures: frozenset[str] = frozenset()  # the parts of the path that those tables take
    description: str = ""
    path: str = ""
    document: Document | None = field(default=None, repr=False, compare=False)  # where it was read from, for places

    def place(self, path: KeyPath, *, key: bool = False) -> str:
        """`file:line:column` of what is declared at `path` (or of its key), else of its entry, else the file."""
        if self.document is not None:
            return self.document.place(path, key)
        entries: tuple[Field | Check, ...] = ()
        if len(path) > 1:
            entries = self.fields if path[0] == "fields" else self.checks
        own = next((entry.where for entry in entries if entry.name == path[1]), "")
        return own or self.path or self.name

    def inside(self, path: KeyPath, text: str, offset: int) -> str:
        """The place of the character `offset` of `text`, which is written at `path`."""
        return self.place(path) if self.document is None else self.document.inside(path, text, offset)

    def field(self, name: str) -> Field:
        """The field of this name; KeyError if there is none."""
        for item in self.fields:
            if item.name == name:
                return item
        raise KeyError(name)

    @property
    def keys(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Every key with its rule name: the primary key, unique keys, unique fields."""
        named: list[tuple[str, tuple[str, ...]]] = []
        if self.primary_key:
            named.append(("primaryKey", self.primary_key))
        named += [("uniqueKeys." + "+".join(key), key) for key in self.unique_keys]
        named += [(f"{item.name}.unique", (item.name,)) for item in self.fields if item.unique]
        return tuple(named)
