"""Schema files on disk: every version in them, with defaults merged in and everything checked that needs no data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pratique.documents import Document, KeyPath, load_documents
from pratique.errors import ConfigurationError
from pratique.model import LINEAGE_COLUMNS
from pratique.schema import Dialect, Reference, Schema
from pratique.specs.base import Mistake, nearest, not_served, parse, refuse
from pratique.specs.schema import FORMATS, READING_WORDS, TEXT_WORDS, WORD_TYPES, FieldSpec, SchemaSpec, split_names

_RESERVED_CHECKS = frozenset({"malformed"})


def load_schemas(path: Path) -> list[Schema]:
    """Every version that a schema file holds, in ascending order; every mistake in it as one ConfigurationError.

    `NAME.yaml` holds versions of the schema NAME, `NAME@2.yaml` its version 2 alone; `schema:` and `version:` may be
    left out where the file's name says them.
    """
    documents = load_documents(path)
    if not documents:
        raise ConfigurationError("the schema file is empty", where=str(path), hint="begin with `fields:`")
    name, at, version = path.stem.partition("@")
    if at and not (version.isdecimal() and int(version)):
        raise ConfigurationError(
            f'"{version}" is no version', where=str(path), hint=f"a file of one version is called {name}@2.yaml"
        )
    schemas: dict[int, Schema] = {}
    for document in documents:
        schema = read_schema(document, name, int(version) if at else None)
        if schema.version in schemas:
            message = f"version {schema.version} of {name} stands twice in this file"
            raise ConfigurationError(
                message, where=document.where(("version",)), hint="give each document its `version:`"
            )
        schemas[schema.version] = schema
    return [schemas[number] for number in sorted(schemas)]


def read_schema(document: Document, name: str, version: int | None = None) -> Schema:
    """The schema that `document` declares; `name` and `version` are what its file is called."""
    raw = _merged(document)

    def where(path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
        inherited = path[:1] == ("fields",) and len(path) > 2 and not document.has(path[:3])  # noqa: PLR2004
        return document.place(
            ("defaults", *path[2:]) if inherited and document.has(("defaults", path[2])) else path, key
        )

    spec, mistakes = parse(SchemaSpec, raw, where)
    if spec is None:
        refuse(mistakes)
        raise AssertionError(name)
    refuse(
        [
            *_identity(spec, document, name, version),
            *_fields(spec, document),
            *_keys(spec, document),
            *_names(spec, document),
        ]
    )
    if spec.extra_fields in ("keep", "evolve"):
        not_served(f"extraFields: {spec.extra_fields}", document.where(("extraFields",)), "use reject or drop")
    return _schema(spec, document, name, version)


def _merged(document: Document) -> Any:
    """The document's value with bounds as they are written, and `defaults` merged into each field.

    A word of `defaults` reaches only fields for whose type it makes sense; null in a field takes it away again.
    """
    raw = document.value
    if not isinstance(raw, dict) or not isinstance(raw.get("fields"), dict):
        return raw
    defaults = _as_written(raw.get("defaults"), document, ("defaults",))
    fields = {name: _as_written(value, document, ("fields", name)) for name, value in raw["fields"].items()}
    if isinstance(defaults, dict):
        fields = {name: _with_defaults(field, defaults) for name, field in fields.items()}
    return {**raw, "fields": fields, **({"defaults": defaults} if "defaults" in raw else {})}


def _with_defaults(field: Any, defaults: dict[str, Any]) -> Any:
    field = {"type": field} if isinstance(field, str) else {} if field is None else field
    if not isinstance(field, dict):
        return field
    kind = str(field.get("type", defaults.get("type", "string"))).partition("(")[0]
    fitting = {word: value for word, value in defaults.items() if kind in WORD_TYPES.get(word, {kind})}
    return {word: value for word, value in {**fitting, **field}.items() if value is not None or word not in defaults}


def _as_written(field: Any, document: Document, path: KeyPath) -> Any:
    """Numbers and booleans under words that take values of the field, as text exactly as they are written."""
    if not isinstance(field, dict):
        return field

    def text(value: Any, place: KeyPath) -> Any:
        return document.text(place) if isinstance(value, bool | int | float) else value

    return {
        word: value
        if word not in TEXT_WORDS
        else [text(item, (*path, word, index)) for index, item in enumerate(value)]
        if isinstance(value, list)
        else text(value, (*path, word))
        for word, value in field.items()
    }


def _identity(spec: SchemaSpec, document: Document, name: str, version: int | None) -> Iterator[Mistake]:
    if spec.name not in (None, name):
        hint = f"write schema: {name}, or rename the file to {spec.name}.yaml"
        yield Mistake(document.where(("schema",)), f'the file is called "{name}", but says schema: {spec.name}', hint)
    if version is not None and "version" in spec.model_fields_set and spec.version != version:
        message = f"the file is called {name}@{version}, but says version: {spec.version}"
        yield Mistake(document.where(("version",)), message, "let the name of the file and the version agree")


def _fields(spec: SchemaSpec, document: Document) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for name, field in spec.fields.items():
        path: KeyPath = ("fields", name)
        place = document.key_where(path)
        if not name.strip() or name != name.strip() or "\0" in name:
            yield Mistake(place, f'"{name}" cannot be the name of a field', "give it a name without blanks around it")
        if name.lower() in LINEAGE_COLUMNS or name.lower().startswith("_pratique"):
            yield Mistake(
                place, f'"{name}" is a name of Pratique itself', "choose another name, and `from:` the header's"
            )
        if name.lower() in seen:
            message = f'the fields "{seen[name.lower()]}" and "{name}" are one column: names differ by more than case'
            yield Mistake(place, message, "rename one of them")
        seen[name.lower()] = name
        yield from _words(field, document, path)


def _words(field: FieldSpec, document: Document, path: KeyPath) -> Iterator[Mistake]:
    """Words that are written at this field although they make no sense for it."""
    kind = field.type.partition("(")[0]
    for word, types in WORD_TYPES.items():
        if kind not in types and document.has((*path, word)):
            hint = f"{word} is for {', '.join(sorted(types))}"
            yield Mistake(document.key_where((*path, word)), f"{path[-1]}: {word} makes no sense for type {kind}", hint)
    if field.format is not None and kind == "string" and field.format not in FORMATS:
        message = f'{path[-1]}: there is no format "{field.format}" for text'
        yield Mistake(document.where((*path, "format")), message, nearest(field.format, FORMATS, "formats"))
    if field.format is not None and kind in {"date", "time", "datetime"} and "%" not in field.format:
        message = f'{path[-1]}: format is a pattern such as "%d.%m.%Y" for a {kind}, not "{field.format}"'
        yield Mistake(document.where((*path, "format")), message, "leave it out for ISO 8601")
    yield from _origin(field, document, path)


def _origin(field: FieldSpec, document: Document, path: KeyPath) -> Iterator[Mistake]:
    """`from` and the words that depend on it."""
    sources = field.from_ or []
    special = [item for item in sources if item.startswith(("path.", "="))]
    if special and len(sources) > 1:
        yield Mistake(document.where((*path, "from")), f'{path[-1]}: "{special[0]}" cannot be one of several names')
    if field.expression == "" or sources == ["path."]:
        yield Mistake(
            document.where((*path, "from")), f"{path[-1]}: `from` names nothing", 'such as "= a + b" or path.month'
        )
    for word in sorted(READING_WORDS) if field.expression is not None else ():
        if document.has((*path, word)):
            message = f"{path[-1]}: {word} is for text that is read, but this field is an expression"
            yield Mistake(document.key_where((*path, word)), message, f"remove {word}")
    if field.round and field.expression is None:
        message = f"{path[-1]}: round is for expressions; a value that is read is held exactly or not at all"
        yield Mistake(document.key_where((*path, "round")), message, "remove round")


def _keys(spec: SchemaSpec, document: Document) -> Iterator[Mistake]:
    """Keys and references that name fields which do not exist, or twice."""
    lists: list[tuple[KeyPath, list[str] | tuple[str, ...]]] = [(("primaryKey",), spec.primary_key)]
    lists += [(("uniqueKeys", index), key) for index, key in enumerate(spec.unique_keys)]
    lists += [(("references", name), split_names(name)) for name in spec.references]
    for path, names in lists:
        if not names and document.has(path):
            yield Mistake(document.where(path), f"{path[0]} names no field", "name one or more fields")
        for index, name in enumerate(names):
            place = document.place((*path, index) if path[0] != "references" else path, path[0] == "references")
            if name not in spec.fields:
                message = f'{path[0]} names "{name}", which is no field of this schema'
                yield Mistake(place, message, nearest(name, spec.fields, "fields"))
            elif name in names[:index]:
                yield Mistake(place, f'{path[0]} names "{name}" twice', "name each field once")
            elif path[0] != "references" and spec.fields[name].type in ("json", "array", "object"):
                yield Mistake(place, f'{path[0]}: "{name}" is {spec.fields[name].type}, which cannot be a key')


def _names(spec: SchemaSpec, document: Document) -> Iterator[Mistake]:
    """References that do not fit their parents' fields in number, and checks with a name that is taken."""
    for name, reference in spec.references.items():
        count, expected = len(reference.parent()[1]), len(split_names(name))
        if count != expected:
            message = f"references.{name}: {expected} field(s) here, but {count} in {reference.to}"
            yield Mistake(document.where(("references", name)), message, 'name as many: {"a, b": "parent(x, y)"}')
    for name in spec.checks:
        if name in _RESERVED_CHECKS:
            yield Mistake(
                document.key_where(("checks", name)), f'"{name}" is a name of Pratique itself', "rename the check"
            )


def _schema(spec: SchemaSpec, document: Document, name: str, version: int | None) -> Schema:
    references = []
    for child, reference in spec.references.items():
        parent, theirs = reference.parent()
        own = split_names(child)
        place = document.where(("references", child))
        title = f"reference.{'+'.join(own)}"
        references.append(Reference(title, own, parent, theirs, reference.severity, reference.at_most, place))
    required = set(spec.primary_key)
    specs = {
        key: field.model_copy(update={"required": True}) if key in required else field
        for key, field in spec.fields.items()
    }
    return Schema(
        name=name,
        version=version or spec.version,
        fields=tuple(field.to_field(key, document.where(("fields", key))) for key, field in specs.items()),
        primary_key=tuple(spec.primary_key),
        unique_keys=tuple(tuple(key) for key in spec.unique_keys),
        extra_fields=spec.extra_fields,
        dialect=spec.dialect.over(Dialect()),
        timezone=spec.timezone,
        filter=spec.filter,
        checks=tuple(check.to_check(key, document.where(("checks", key))) for key, check in spec.checks.items()),
        references=tuple(references),
        description=spec.description,
        path=document.path,
    )
