"""What a plan may not ask of a schema: keys that are not stored, references that can never hold."""

from __future__ import annotations

from typing import Final

from pratique.errors import ConfigurationError
from pratique.model import Disposition
from pratique.schema import Reference, Schema

_NUMERIC: Final = frozenset({"integer", "number", "decimal"})


def check_stored_keys(source: str, schema: Schema, write: Disposition, *, merged: bool) -> None:
    """Fields by which rows in the table are known again stand there as they are, or hashed."""
    keys = dict(schema.keys) if write == "append" else {}
    if write == "merge" or merged:
        keys["primaryKey"] = schema.primary_key
    for key, names in keys.items():
        for field in (schema.field(name) for name in names):
            if field.store in {"mask", "drop"}:
                raise ConfigurationError(
                    f"{key} cannot be judged against the rows in the table of sources.{source}: {field.name} "
                    "is not stored there",
                    where=field.where,
                    hint=f"use `store: hash` instead of `store: {field.store}`, or another key",
                )


def check_reference(child: Schema, parent: Schema, reference: Reference) -> None:
    """Both sides of a reference exist and can be equal."""
    from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

    known = {field.name: field.type for field in parent.fields}
    for own, theirs in zip(reference.fields, reference.parent_fields, strict=True):
        if theirs not in known:
            message = f'schema {parent.name} has no field "{theirs}"'
            raise ConfigurationError(message, where=reference.where, hint=nearest(theirs, known, "fields"))
        left, right = child.field(own).type, known[theirs]
        if left.name != right.name and not {left.name, right.name} <= _NUMERIC:
            message = f"{own} is {left}, but {parent.name}.{theirs} is {right}: they can never be equal"
            raise ConfigurationError(message, where=reference.where, hint="give both fields the same type")
        stores = (child.field(own).store, parent.field(theirs).store)
        if set(stores) not in ({"keep"}, {"hash"}) or ("hash" in stores and left != right):
            message = f"{own} and {parent.name}.{theirs} cannot be compared: they are stored as {' and '.join(stores)}"
            hint = "keep both, or hash both with the same type: a hash tells nothing of other values"
            raise ConfigurationError(message, where=reference.where, hint=hint)
