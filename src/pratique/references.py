"""References between schemas, and keys: that the parent exists, and that values can be compared with those stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pratique.documents import Document, KeyPath
from pratique.mistakes import Mistake, Mistakes, refuse
from pratique.model import Disposition
from pratique.schema import Reference, Schema

SchemaOf = Callable[[str, str, Mistakes], Schema | None]  # of a reference such as `sales@2`, its place, what is found
CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::[^{}]*)?\}")
_NUMERIC: Final = frozenset({"integer", "number", "decimal"})


def parent_of(child: Schema, reference: Reference, schema_of: SchemaOf, found: Mistakes) -> Schema | None:
    """The schema that a reference names, if it is there and the reference can hold."""
    place = child.inside(_path(child, reference), reference.parent, 0) if child.document else reference.where
    own = Mistakes()
    parent = schema_of(reference.parent, place, own)
    found.add(own)
    if parent is not None and not own.errors:
        with found.caught():
            check_reference(child, parent, reference)
    return parent


def _path(child: Schema, reference: Reference) -> KeyPath:
    """Where the parent of a reference is written: it names its fields in a key as people separate them."""
    raw = child.document.value.get("references", {}) if child.document else {}
    key = next((key for key in raw if tuple(part.strip() for part in key.split(",")) == reference.fields), "")
    return ("references", key, "to")


def check_reference(child: Schema, parent: Schema, reference: Reference) -> None:
    """Both sides of a reference exist and can be equal."""
    from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

    known = {field.name: field.type for field in parent.fields}
    wrong: list[Mistake] = []
    for own, theirs in zip(reference.fields, reference.parent_fields, strict=True):
        if theirs not in known:
            message, hint = f'schema {parent.name} has no field "{theirs}"', nearest(theirs, known, "fields")
            where = child.inside(_path(child, reference), theirs, 0) if child.document else reference.where
            wrong.append(Mistake(where, message, hint, "unknown-name", length=len(theirs)))
            continue
        left, right = child.field(own).type, known[theirs]
        if left.name != right.name and not {left.name, right.name} <= _NUMERIC:
            message = f"{own} is {left}, but {parent.name}.{theirs} is {right}: they can never be equal"
            wrong.append(Mistake(reference.where, message, "give both fields the same type", "reference"))
        stores = (child.field(own).store, parent.field(theirs).store)
        if set(stores) not in ({"keep"}, {"hash"}) or ("hash" in stores and left != right):
            message = f"{own} and {parent.name}.{theirs} cannot be compared: they are stored as {' and '.join(stores)}"
            hint = "keep both, or hash both with the same type: a hash tells nothing of other values"
            wrong.append(Mistake(reference.where, message, hint, "reference"))
    refuse(wrong)


def check_captures(source: str, path: str, schema: Schema, document: Document) -> None:
    """Every part of the path that a field is taken from is named by the path of its source."""
    captures = CAPTURE.findall(path)
    for field in schema.fields:
        if field.capture is not None and field.capture not in captures:
            told = f"schema {schema.name} takes {field.name} from path.{field.capture}, which the path does not name"
            where = document.where(("sources", source, "path"))
            refuse([Mistake(where, told, f"write {{{field.capture}}} at its place in the path", "unknown-name")])


def check_stored_keys(source: str, schema: Schema, write: Disposition, *, merged: bool) -> None:
    """Fields by which rows in the table are known again stand there as they are, or hashed."""
    keys = dict(schema.keys) if write == "append" else {}
    if write == "merge" or merged:
        keys["primaryKey"] = schema.primary_key
    for key, names in keys.items():
        for field in (schema.field(name) for name in names):
            if field.store in {"mask", "drop"}:
                message = f"{key} cannot be judged against the rows in the table of sources.{source}: {field.name}"
                hint = f"use `store: hash` instead of `store: {field.store}`, or another key"
                where = schema.place(("fields", field.name, "store"))
                refuse([Mistake(where, f"{message} is not stored there", hint, "conflict")])
