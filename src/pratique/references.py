"""References between schemas: that the parent exists, and that the values of both sides can be equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pratique.documents import KeyPath
from pratique.mistakes import Mistake, Mistakes, refuse
from pratique.schema import Reference, Schema

SchemaOf = Callable[[str, str, Mistakes], Schema | None]  # of a reference such as `sales@2`, its place, what is found
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
