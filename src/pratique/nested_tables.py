"""The tables of nested records: each with its schema, where its records stand, and what they take over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pratique.documents import Document, KeyPath
from pratique.inputs import format_of
from pratique.mistakes import Code, Mistake, Mistakes, refuse
from pratique.model import Disposition
from pratique.nesting import DOCUMENT, POSITION, Nest, array_path, parent_field
from pratique.references import check_captures, check_stored_keys
from pratique.schema import Schema

if TYPE_CHECKING:
    from pratique.specs.pipeline import SourceSpec, TableSpec


@dataclass(frozen=True, slots=True)
class NestedTable:
    """A table of nested records."""

    table: str
    schema: Schema
    nest: Nest


class Written(Protocol):
    """How the documents are read and written."""

    @property
    def type(self) -> str:
        """The word of the language for this kind of source."""
        ...

    @property
    def format(self) -> str:
        """The format of files."""
        ...

    @property
    def captured(self) -> str:
        """The path with the parts that fields may be taken from."""
        ...

    @property
    def write(self) -> Disposition:
        """How rows are written."""
        ...


def documents_table(spec: SourceSpec) -> tuple[str, str] | None:
    """The table that takes the documents themselves, and its schema: the first one without `unnest`."""
    for table, written in (spec.tables or {}).items():
        if written.unnest is None:
            return table, written.schema_ or table
    return None


def check_tables(name: str, spec: SourceSpec, document: Document, named: str | None) -> Iterator[Mistake]:
    """What is wrong before any schema is looked at; `named` is the table that the destination names."""
    if spec.tables is not None and named is not None:
        place, hint = document.where(("destination", "table")), "remove it: each of the tables has its own name"
        yield Mistake(place, f"destination.table names one table for {len(spec.tables)} tables", hint, "conflict")
    if spec.tables is not None and documents_table(spec) is None:
        place, hint = document.key_where(("sources", name, "tables")), "leave unnest out at one of them"
        yield Mistake(place, f"sources.{name}: no table takes the documents themselves", hint, "missing-key")
    if spec.unit is not None and spec.tables is None:
        place, hint = document.key_where(("sources", name, "unit")), "remove it: each record stands for itself"
        yield Mistake(place, f"sources.{name}: unit stands without tables", hint, "conflict")


def records_of(name: str, spec: SourceSpec, path: str, document: Document) -> tuple[str, ...]:
    """The keys of `records`; ConfigurationError if it is no path, or stands at files that are no JSON."""
    if spec.records is None:
        return ()
    at: KeyPath = ("sources", name, "records")
    if (spec.format or format_of(path)) != "json":
        hint = "a record per line needs none; of other files a record is a row"
        refuse([Mistake(document.key_where(at), f"sources.{name}: records is for JSON files", hint, "conflict")])
    try:
        return array_path(spec.records)
    except ValueError as error:
        message, hint = f'sources.{name}: records: "{spec.records}" is not understood', f"write {error}, as data[*]"
        refuse([Mistake(document.where(at), message, hint, "value")])
        raise


def documents_schema(schema: Schema, inside: tuple[NestedTable, ...]) -> Schema:
    """The schema of documents that hold the records of these tables, and what is sensitive in, or taken by, those."""
    from pratique.schema.rules import sensitive  # noqa: PLC0415 - the SQL parser

    fields = [one.schema.field(name) for one in inside for name in sensitive(one.schema)]
    hidden = frozenset(name for field in fields for name in (field.name, *field.headers))
    keys = tuple(dict.fromkeys(one.nest.keys for one in inside))
    captured = frozenset(field.capture for one in inside for field in one.schema.fields if field.capture is not None)
    return replace(schema, nested=keys, hidden=hidden, nested_captures=captured)


def nested_tables(
    name: str,
    spec: SourceSpec,
    documents: Schema,
    schema_of: Callable[[str, KeyPath], Schema | None],
    document: Document,
    written: Written,
) -> tuple[NestedTable, ...]:
    """Every table with `unnest` of a source; ConfigurationError with every mistake in `tables`."""
    at: KeyPath = ("sources", name)
    tell = _Told(name, document)
    tell.source(spec, written)
    found = []
    for table, one in (spec.tables or {}).items():
        path: KeyPath = (*at, "tables", table)
        schema = schema_of(one.schema_ or table, (*path, "schema")) if one.unnest is not None else None
        if one.unnest is None or schema is None:
            continue
        keys = tell.keys(one.unnest, (*path, "unnest"))
        parents, positions = tell.added(one, documents, schema, (*path, "add"))
        tell.key(documents, schema, written.write, path)
        with tell.mistakes.caught():
            check_captures(name, written.captured, schema, document)
        with tell.mistakes.caught():
            merged = spec.on_new_version == "merge"
            check_stored_keys(f"{name}.{table}", schema, written.write, merged=merged)
        found.append(NestedTable(table, schema, Nest(name, keys, parents, positions)))
    tell.mistakes.refuse()
    return tuple(found)


class _Told:
    """Gathers the mistakes of one source."""

    def __init__(self, name: str, document: Document) -> None:
        self._name = name
        self._document = document
        self.mistakes = Mistakes()

    def _tell(self, path: KeyPath, message: str, hint: str, code: Code = "conflict", *, key: bool = False) -> None:
        told = Mistake(self._document.place(path, key), f"sources.{self._name}: {message}", hint, code)
        self.mistakes.add([told])

    def source(self, spec: SourceSpec, written: Written) -> None:
        """What stands beside `tables`, and that one of them takes the documents."""
        at: KeyPath = ("sources", self._name)
        for word, value in (("schema", spec.schema_), ("table", spec.table)):
            if value is not None:
                hint = "each of its tables has a name and a schema of its own"
                self._tell((*at, word), f"{word} stands beside tables", hint, key=True)
        if written.type == "files" and written.format not in {"json", "jsonl"}:
            hint = "JSON and JSON Lines are"
            self._tell((*at, "tables"), f"{written.format} files are not nested", hint, key=True)
        for table in [table for table, one in (spec.tables or {}).items() if one.unnest is None][1:]:
            hint = "say where its records stand: unnest: …"
            self._tell((*at, "tables", table), f"{table} is a second table for the documents", hint, key=True)
        for table, one in (spec.tables or {}).items():
            if one.unnest is None and one.add:
                hint = "remove it: a document has no parent and no place in an array"
                self._tell((*at, "tables", table, "add"), f"{table} takes the documents themselves", hint, key=True)

    def keys(self, text: str, path: KeyPath) -> tuple[str, ...]:
        """The keys of `unnest`."""
        try:
            return array_path(text)
        except ValueError as error:
            self._tell(path, f'unnest: "{text}" is not understood', f"write {error}, such as lines[*]", "value")
            return ("",)

    def added(
        self, one: TableSpec, documents: Schema, schema: Schema, path: KeyPath
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        """The columns that `add` fills: from the document, and with the place in the array."""
        parents: dict[str, str] = {}
        positions: list[str] = []
        for name, text in one.add.items():
            column = self._column(schema, name, (*path, name), key=True)
            wanted = parent_field(text)
            if text == POSITION and column:
                positions.append(column)
            elif wanted is not None:
                theirs = self._column(documents, wanted, (*path, name), key=False)
                parents |= {column: theirs} if column and theirs else {}
                if column and theirs and documents.field(wanted).sensitive and not schema.field(name).sensitive:
                    hint = f"add sensitive: true to {name} in {schema.path}"
                    self._tell((*path, name), f"{name} takes over {wanted}, which is sensitive", hint)
            elif text != POSITION:
                hint = "write parent.FIELD, with a field of the document, or position"
                self._tell((*path, name), f'add: "{text}" is not understood', hint, "value")
        return parents, tuple(positions)

    def _column(self, schema: Schema, name: str, path: KeyPath, *, key: bool) -> str | None:
        """The column from which a field is read."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        known = {field.name: field for field in schema.fields}
        if name not in known:
            hint = nearest(name, known, "fields")
            self._tell(path, f'add names "{name}", which is no field of {schema.name}', hint, "unknown-name", key=key)
            return None
        field = known[name]
        if field.capture is not None or field.expression is not None:
            what = "the path" if field.capture is not None else "an expression"
            hint = "name a field that is read from a column"
            self._tell(path, f"add names {name} of {schema.name}, which comes from {what}", hint, key=key)
            return None
        return field.headers[0]

    def key(self, documents: Schema, schema: Schema, write: Disposition, path: KeyPath) -> None:
        """Where documents are known again by a key, their records must be, too."""
        if any(header.casefold() == DOCUMENT for field in schema.fields for header in field.headers):
            self._tell(path, f"{schema.name} has a column {DOCUMENT}", "a name that Pratique uses itself: take another")
        if schema.primary_key or write == "replace" or not documents.keys:
            return
        message = f"records of {schema.name} could come twice: {documents.name} has a key, {schema.name} has none"
        hint = f"add primaryKey to {schema.path}, such as a field of `add` and position"
        self._tell(path, message, hint, "missing-key", key=True)
