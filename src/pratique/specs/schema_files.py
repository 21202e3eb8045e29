"""Schema files on disk: every version in them, with defaults merged in and everything checked that needs no data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pratique.documents import Document, KeyPath, load_documents, shown_path
from pratique.errors import ConfigurationError
from pratique.mistakes import Mistake, Mistakes
from pratique.model import LINEAGE_COLUMNS
from pratique.schema import Dialect, Reference, Schema
from pratique.schema.rules import FORMATS
from pratique.specs.base import nearest, parse
from pratique.specs.schema import READING_WORDS, TEXT_WORDS, WORD_TYPES, FieldSpec, SchemaSpec, split_names

_RESERVED_CHECKS = frozenset({"malformed"})


def load_schemas(path: Path, found: Mistakes | None = None) -> list[Schema]:
    """Every version that a schema file holds, in ascending order, checked for all that can be known without data.

    Raises one ConfigurationError with every mistake in the file; with `found` they are put there instead, and the
    schemas are what could be read of the file. `NAME.yaml` holds versions of the schema NAME, `NAME@2.yaml` its
    version 2 alone; `schema:` and `version:` may be left out where the file's name says them.
    """
    from pratique.schema.checking import check  # noqa: PLC0415 - the SQL parser

    mistakes = Mistakes()
    schemas: dict[int, Schema] = {}
    with mistakes.caught():
        name, version = _named(path)
        documents = load_documents(path, mistakes)
        if not documents:
            raise ConfigurationError(
                "the schema file is empty",
                where=_place(path),
                hint="begin with `fields:`",
                facts={"code": "missing-key"},
            )
        for document in documents:
            schema = read_schema(document, name, version, mistakes)
            if schema is None:
                continue
            if schema.version in schemas:
                message = f"version {schema.version} of {name} stands twice in this file"
                hint = "give each document its `version:`"
                mistakes.add([Mistake(document.where(("version",)), message, hint, "duplicate")])
            schemas[schema.version] = schema
    if not mistakes.errors:  # only what is right in itself can be right together
        for schema in schemas.values():
            with mistakes.caught():
                check(schema)
    if found is None:
        mistakes.refuse()
    else:
        found.add(mistakes)
    return [schemas[number] for number in sorted(schemas)]


def _place(path: Path) -> str:
    return f"{shown_path(path)}:1:1"


def _named(path: Path) -> tuple[str, int | None]:
    """The name and version that a file's name says."""
    name, at, version = path.stem.partition("@")
    if at and not (version.isdecimal() and int(version)):
        hint = f"a file of one version is called {name}@2.yaml"
        raise ConfigurationError(f'"{version}" is no version', where=_place(path), hint=hint, facts={"code": "file"})
    return name, int(version) if at else None


def read_schema(document: Document, name: str, version: int | None, found: Mistakes) -> Schema | None:
    """What could be read of the schema that `document` declares; `name` and `version` are what its file is called."""
    from pratique.schema.checking import mistakes  # noqa: PLC0415 - the SQL parser

    document = replace(document, heirs="fields")
    if isinstance(document.value, dict) and "sources" in document.value and "fields" not in document.value:
        hint = "move it to pipelines/"
        found.add([Mistake(document.where(), "this is a pipeline, but it stands among the schemas", hint, "file")])
        return None
    parsed = parse(SchemaSpec, _merged(document), document.place, entries="fields")
    found.add(parsed.mistakes)
    spec = parsed.spec
    if spec is None:
        return None
    checks = (_identity, _fields, _keys, _required, _names, _later)
    schema = _schema(spec, document, name, version)
    own = [mistake for look in checks for mistake in look(spec, document, name, version)]
    found.add(_sure(own, document, parsed.wrong))
    own = mistakes(schema)
    found.add(_sure(own or list(_uncovered(spec, schema)), document, parsed.wrong))
    return schema


def _uncovered(spec: SchemaSpec, schema: Schema) -> Iterator[Mistake]:
    """Fields that show in the table what another field does not, without a word on it."""
    from pratique.schema.rules import made_of  # noqa: PLC0415 - the SQL parser

    for covered in (field for field in schema.fields if field.store != "keep"):
        for name in sorted(made_of(schema, {covered.name}) - {covered.name}):
            if "store" not in spec.fields[name].model_fields_set:
                message = (
                    f"`{name}` is computed from `{covered.name}`, which the table must not show, and is shown as it is"
                )
                hint = f"say `store: {covered.store}`, or `store: keep` if people may see it"
                yield Mistake(schema.place(("fields", name), key=True), message, hint, "conflict", "warning")


def _sure(mistakes: list[Mistake], document: Document, wrong: frozenset[KeyPath]) -> list[Mistake]:
    """Those that do not stand in an entry of which a part was left out as wrong: they may only follow from that."""
    if not wrong:
        return mistakes
    owner, doubted = document.owners(), {path[:2] for path in wrong}
    return [
        mistake
        for mistake in mistakes
        if not mistake.column or doubted.isdisjoint({owner(mistake.where)[:1], owner(mistake.where)[:2]})
    ]


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
        message = f'the file is called "{name}", but says schema: {spec.name}'
        yield Mistake(document.where(("schema",)), message, hint, "file")
    if version is not None and "version" in spec.model_fields_set and spec.version != version:
        message = f"the file is called {name}@{version}, but says version: {spec.version}"
        yield Mistake(document.where(("version",)), message, "let the name of the file and the version agree", "file")


def _later(spec: SchemaSpec, document: Document, *_: object) -> Iterator[Mistake]:
    if spec.extra_fields in ("keep", "evolve"):
        message = f"extraFields: {spec.extra_fields} is not served yet"
        yield Mistake(document.where(("extraFields",)), message, "use reject or drop", "not-served")


def _fields(spec: SchemaSpec, document: Document, *_: object) -> Iterator[Mistake]:
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
            yield Mistake(place, message, "rename one of them", "duplicate")
        seen[name.lower()] = name
        yield from _words(field, document, path)


def _words(field: FieldSpec, document: Document, path: KeyPath) -> Iterator[Mistake]:
    """Words that are written at this field although they make no sense for it."""
    kind = field.type.partition("(")[0]
    for word, types in WORD_TYPES.items():
        if kind not in types and document.has((*path, word)):
            hint = f"{word} is for {', '.join(sorted(types))}"
            message = f"{path[-1]}: {word} makes no sense for type {kind}"
            yield Mistake(document.key_where((*path, word)), message, hint, "conflict")
    if field.format is not None and kind == "string" and field.format not in FORMATS:
        message = f'{path[-1]}: there is no format "{field.format}" for text'
        yield Mistake(document.where((*path, "format")), message, nearest(field.format, FORMATS, "formats"), "pattern")
    if field.format is not None and kind in {"date", "time", "datetime"} and "%" not in field.format:
        message = f'{path[-1]}: format is a pattern such as "%d.%m.%Y" for a {kind}, not "{field.format}"'
        yield Mistake(document.where((*path, "format")), message, "leave it out for ISO 8601", "pattern")
    yield from _origin(field, document, path)


def _origin(field: FieldSpec, document: Document, path: KeyPath) -> Iterator[Mistake]:
    """`from` and the words that depend on it."""
    sources = field.from_ or []
    special = [item for item in sources if item.startswith(("path.", "="))]
    if special and len(sources) > 1:
        message, hint = f'{path[-1]}: "{special[0]}" cannot be one of several names', "let it stand alone"
        yield Mistake(document.where((*path, "from", sources.index(special[0]))), message, hint, "conflict")
    if field.expression == "" or sources == ["path."]:
        yield Mistake(
            document.where((*path, "from")), f"{path[-1]}: `from` names nothing", 'such as "= a + b" or path.month'
        )
    for word in sorted(READING_WORDS) if field.expression is not None else ():
        if document.has((*path, word)):
            message = f"{path[-1]}: {word} is for text that is read, but this field is an expression"
            yield Mistake(document.key_where((*path, word)), message, f"remove {word}", "conflict")
    if field.round and field.expression is None:
        message = f"{path[-1]}: round is for expressions; a value that is read is held exactly or not at all"
        yield Mistake(document.key_where((*path, "round")), message, "remove round", "conflict")


def _keys(spec: SchemaSpec, document: Document, *_: object) -> Iterator[Mistake]:
    """Keys and references that name fields which do not exist, or twice."""
    lists: list[tuple[KeyPath, list[str] | tuple[str, ...]]] = [(("primaryKey",), spec.primary_key)]
    lists += [(("uniqueKeys", index), key) for index, key in enumerate(spec.unique_keys)]
    lists += [(("references", name), split_names(name)) for name in spec.references]
    for path, names in lists:
        if not names and document.has(path):
            yield Mistake(document.where(path), f"{path[0]} names no field", "name one or more fields", "missing-key")
        for index, name in enumerate(names):
            if path[0] == "references":  # the names stand in the key itself
                place, length = document.key_inside(path, str(path[1]).find(name)), len(name)
            else:
                place, length = document.where((*path, index)), 0
            if name not in spec.fields:
                message = f'{path[0]} names "{name}", which is no field of this schema'
                yield Mistake(place, message, nearest(name, spec.fields, "fields"), "unknown-name", length=length)
            elif name in names[:index]:
                yield Mistake(
                    place, f'{path[0]} names "{name}" twice', "name each field once", "duplicate", length=length
                )
            elif path[0] != "references" and spec.fields[name].type in ("json", "array", "object"):
                message = f'{path[0]}: "{name}" is {spec.fields[name].type}, which cannot be a key'
                yield Mistake(place, message, "name fields that hold one value", "conflict")


def _required(spec: SchemaSpec, document: Document, *_: object) -> Iterator[Mistake]:
    """Fields of the primary key that say they may be missing."""
    for name in spec.primary_key:
        path: KeyPath = ("fields", name, "required")
        if document.text(path) == "false":
            message = f"{name} is in the primaryKey, so it is required"
            yield Mistake(document.where(path), message, "remove required", "conflict")


def _names(spec: SchemaSpec, document: Document, *_: object) -> Iterator[Mistake]:
    """References that do not fit their parents' fields in number, and checks with a name that is taken."""
    for name, reference in spec.references.items():
        count, expected = len(reference.parent()[1]), len(split_names(name))
        if count != expected:
            message = f"references.{name}: {expected} field(s) here, but {count} in {reference.to}"
            yield Mistake(
                document.where(("references", name)), message, 'name as many: {"a, b": "parent(x, y)"}', "reference"
            )
    for name in spec.checks:
        if name in _RESERVED_CHECKS:
            message = f'"{name}" is a name of Pratique itself'
            yield Mistake(document.key_where(("checks", name)), message, "rename the check")


def _schema(spec: SchemaSpec, document: Document, name: str, version: int | None) -> Schema:
    references = []
    for child, reference in spec.references.items():
        parent, theirs = reference.parent()
        own = split_names(child)
        if len(own) != len(theirs) or not spec.fields.keys() >= set(own):
            continue  # told already
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
        primary_key=tuple(key for key in spec.primary_key if key in spec.fields),
        unique_keys=tuple(tuple(key) for key in spec.unique_keys if spec.fields.keys() >= set(key)),
        extra_fields=spec.extra_fields,
        dialect=spec.dialect.over(Dialect()),
        timezone=spec.timezone,
        filter=spec.filter,
        checks=tuple(check.to_check(key, document.where(("checks", key))) for key, check in spec.checks.items()),
        references=tuple(references),
        description=spec.description,
        path=document.path,
        document=document,
    )
