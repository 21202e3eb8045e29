"""Tables as destinations agree on them: names, types of columns, and what may not happen to them in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pratique.errors import ConfigurationError, DestinationError, InternalError
from pratique.model import Column, Marker, Rows, Target, Written
from pratique.schema.sql import identifier
from pratique.schema.types import STORAGE

BATCH_ROWS: Final[int] = 122_880  # Limit: one DuckDB row group, so that memory is bounded and files read well
_DATETIME: Final[str] = "TIMESTAMP WITH TIME ZONE"
_WIDENS: Final[dict[str, frozenset[str]]] = {  # storage type -> other types whose every value it holds unchanged
    "BIGINT": frozenset({"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}),
    "DOUBLE": frozenset({"FLOAT"}),
    "UUID": frozenset({"VARCHAR"}),  # as Arrow carries it
    "JSON": frozenset({"VARCHAR"}),
}


def split_name(table: str) -> tuple[str, str]:
    """Dataset and table of `table` or `dataset.table`; the dataset is `main` where none is named."""
    parts = table.split(".")
    if len(parts) > 2 or not all(parts) or parts[-1].lower().startswith("_pratique"):  # noqa: PLR2004 - dataset.table
        raise ConfigurationError(
            f"{table!r} cannot name a table in a destination",
            hint="write `table` or `dataset.table`; names that begin with _pratique are ours",
        )
    return (parts[0], parts[1]) if len(parts) > 1 else ("main", parts[0])


def stored_type(column: Column, given: str) -> str:
    """The type in which `column` is stored, for rows that carry it as the DuckDB type `given`.

    InternalError where storing would have to change values: a destination never casts in the hope that it fits.
    """
    if column.type == "datetime":
        wanted = given if given in {"TIMESTAMP", _DATETIME} else _DATETIME
    elif column.type.startswith("decimal("):
        wanted = column.type.upper()
    else:
        wanted = STORAGE[column.type]
    if given not in {wanted, '"NULL"'} and given not in _WIDENS.get(wanted, ()):
        raise InternalError(
            f"rows carry {column.name!r} as {given}, which {column.type} ({wanted}) does not hold exactly"
        )
    return wanted


def declared_type(stored: str) -> str:
    """The schema's word for a DuckDB type; other types of tables that were made by others keep their own name."""
    if stored in {"TIMESTAMP", _DATETIME}:
        return "datetime"
    words = {kind: word for word, kind in reversed(STORAGE.items())}
    return words.get(stored, stored.lower())


def check_same_columns(target: Target, there: Mapping[str, str], wanted: Mapping[str, str], where: str) -> None:
    """Raise DestinationError with the difference unless the table has these columns, in any order, with these types.

    Nothing is dropped, added or widened in silence.
    """
    old = {name.casefold(): (name, kind) for name, kind in there.items()}
    new = {name.casefold(): (name, kind) for name, kind in wanted.items()}
    added = [new[key] for key in new if key not in old]
    gone = [old[key] for key in old if key not in new]
    other = [
        f"{new[key][0]} is {old[key][1]}, not {new[key][1]}" for key in new if key in old and old[key][1] != new[key][1]
    ]
    if not (added or gone or other):
        return
    parts = [f"without {name} {kind}" for name, kind in added]
    parts += [f"with {name} {kind}, which the schema does not have" for name, kind in gone]
    table = ".".join(identifier(part) for part in split_name(target.table))
    adding = "; ".join(f"ALTER TABLE {table} ADD COLUMN {identifier(name)} {kind}" for name, kind in added)
    raise DestinationError(
        f"the table {target.table} has other columns than the schema: {'; '.join(parts + other)}",
        hint=(f"a DuckDB table takes the new columns by: {adding}" if added and not (gone or other) else "")
        or "change the schema back, or load into a new table",
        where=where,
        facts={"added": dict(added), "gone": dict(gone), "other": other},
    )


def check_superseded(marker: Marker, stored: Iterable[Marker]) -> None:
    """Raise DestinationError if rows of a file that `marker` does not hold again would go with a superseded load."""
    held = {file.name for file in marker.files}
    lost = sorted({file.name for old in stored for file in old.files} - held)
    if lost:
        raise DestinationError(
            f"replacing an earlier load would also remove the rows of {', '.join(lost)}",
            hint="read these files again in the same load",
            facts={"files": lost},
        )


def check_supersedes(target: Target, columns: Iterable[str], where: str) -> None:
    """Raise DestinationError if earlier rows are to be replaced but do not say to which load they belong."""
    if target.supersedes and "_load_id" not in columns:
        raise DestinationError(
            f"rows of {target.table} do not say to which load they belong, so a corrected file cannot replace them",
            hint="add _load_id to `lineage` of the pipeline, and load into a new table",
            where=where,
        )


def written_before(stored: Iterable[Marker], target: Target) -> Written:
    """What a load that is committed already has written into this table."""
    first, *beside = stored
    return next((one.written for one in beside if one.table.casefold() == target.table.casefold()), first.written)


def check_written(written: Written, rows: Rows, target: Target, where: str) -> None:
    """Raise unless every row was written exactly once (Invariant 6); nothing is committed then."""
    if written.inserted + written.updated + written.unchanged == rows.count:
        return
    if target.disposition == "merge":
        raise ambiguous_key(target, where)
    raise InternalError(
        f"{rows.count} rows were to be written into {target.table}, but {written} happened", where=where
    )


def ambiguous_key(target: Target, where: str) -> DestinationError:
    """The error of a merge that finds several rows of one key."""
    return DestinationError(
        f"several rows share a key, so nothing can be merged into {target.table}",
        hint=f"make ({', '.join(target.key)}) unique in {target.table}, or load into a new table",
        where=where,
    )
