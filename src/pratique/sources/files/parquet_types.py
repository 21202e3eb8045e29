"""Which types of Parquet map exactly; the others are refused by name before a row is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.errors import SourceError
from pratique.schema import Schema
from pratique.schema.binding import bind
from pratique.schema.types import NESTED, TEMPORAL

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ColumnSchema, ParquetFile

# DuckDB types whose text, or whose value, is the value of the file. All others are refused.
_EXACT: Final = re.compile(
    "BOOLEAN|U?(TINYINT|SMALLINT|INTEGER|BIGINT)|FLOAT|DOUBLE|DECIMAL[(][0-9]+,[0-9]+[)]|VARCHAR|DATE|TIME(_NS)?"
    '|TIMESTAMP(_NS)?|TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ_NS|UUID|JSON|"NULL"'
)
_FAR_MICROSECONDS: Final = 9_223_286_400_000_000  # a day less than 64 bits of nanoseconds
_DIGITS_MAX: Final = 38  # Limit: DuckDB reads a decimal of more digits as a double
_WRITE: Final = "have it written as"


def check_types(file: ParquetFile, schema: Schema, columns: Mapping[str, str]) -> list[str]:
    """The names of the columns of old timestamps (96 bits) among `columns` (name -> DuckDB type).

    SourceError, by name, if a column holds, at any depth, values that no reading would give back exactly.
    """
    int96 = []
    fields = {header: name for name, header in bind(schema, tuple(columns)).columns.items()}
    for name, kind, leaves in _columns(file):
        if name not in columns:
            continue
        if leaves[0].physical_type == "INT96":
            int96.append(name)
        if name in fields:
            _check_kind(schema, fields[name], name, columns[name], old=name in int96)
        for leaf in leaves:
            what, hint = _problem(leaf, nested=len(leaves) > 1 or leaf.path != name)
            if what:
                raise SourceError(f"its column {name!r} holds {what}", hint=f"{hint}, or leave the column out")
        if _has_duration(kind):
            raise SourceError(
                f"its column {name!r} holds durations ({kind}), which no type of a schema holds",
                hint=f"{_WRITE} an integer whose unit is in its name, or leave the column out",
            )
    return int96


def _check_kind(schema: Schema, name: str, header: str, kind: str, *, old: bool) -> None:
    """Refuse a column that, by its DuckDB type, cannot be read exactly as the type of its field."""
    field = schema.field(name)
    nested = kind.startswith(("STRUCT", "MAP")) or kind.endswith("]")
    if nested and field.type.name in NESTED:
        return
    if old and field.type.name not in TEMPORAL:  # far years have no text
        kind, hint = "a timestamp of 96 bits", f"declare `{name}: datetime`"
    elif nested:
        hint = f"declare `{name}: json`"
    elif not _EXACT.fullmatch(kind):
        hint = f"{_WRITE} another type"
    else:
        return
    raise SourceError(
        f"its column {header!r} is {kind[:80]}, which cannot be read as {field.type}",
        hint=f"{hint}, or leave the column out",
    )


def finer_than_microseconds(path: Path, columns: Sequence[str]) -> bool:
    """Whether timestamps of 96 bits have digits below a microsecond. Reads these columns only, and only if any.

    SourceError if they also have moments before 1678 or after 2261: no type of the engine holds both.
    """
    if not columns:
        return False
    import pyarrow.compute as pc  # noqa: PLC0415 - costs 0.3 s where no such column is read
    import pyarrow.parquet as pq  # noqa: PLC0415

    finer = farther = False
    with (
        pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as coarse,
        pq.ParquetFile(path, coerce_int96_timestamp_unit="ns") as fine,
    ):
        pairs = zip(coarse.iter_batches(columns=columns), fine.iter_batches(columns=columns), strict=True)
        for batch, same in pairs:
            for name in columns:
                microseconds = batch.column(name).cast("int64")
                # Both wrap around alike where 64 bits are too few, so that only the last three digits can differ.
                differs = pc.not_equal(pc.multiply(microseconds, 1000), same.column(name).cast("int64"))
                finer |= bool(pc.any(differs).as_py())
                far = pc.greater(pc.abs(microseconds), _FAR_MICROSECONDS)
                farther |= bool(pc.any(far).as_py())
    if finer and farther:
        raise SourceError(
            "its timestamps of 96 bits have nanoseconds, and years that only microseconds reach",
            hint=f"{_WRITE} timestamps of 64 bits",
        )
    return finer


def _columns(file: ParquetFile) -> Iterator[tuple[str, pa.DataType, list[ColumnSchema]]]:
    """Name, Arrow type and leaves of every column of the first level."""
    at = 0
    for field in file.schema_arrow:
        count = _leaves(field.type)
        yield field.name, field.type, [file.schema.column(place) for place in range(at, at + count)]
        at += count
    if at != len(file.schema):
        raise SourceError("its columns are nested in a way that is not understood", hint="have it written again")


def _leaves(kind: Any) -> int:
    kind = getattr(kind, "storage_type", kind)
    return sum(_leaves(kind.field(at).type) for at in range(kind.num_fields)) if kind.num_fields else 1


def _has_duration(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - whoever has a file has loaded it

    kind = getattr(kind, "storage_type", kind)
    return pa.types.is_duration(kind) or any(_has_duration(kind.field(at).type) for at in range(kind.num_fields))


def _problem(leaf: ColumnSchema, *, nested: bool) -> tuple[str, str]:
    """What keeps the values of a leaf from being read exactly, and what would help; empty if nothing does."""
    logical = leaf.logical_type.type
    if leaf.physical_type == "INT96":
        return (
            ("timestamps of 96 bits inside of nested values", f"{_WRITE} timestamps of 64 bits") if nested else ("", "")
        )
    if logical == "DECIMAL" and leaf.precision > _DIGITS_MAX:
        return f"decimals of {leaf.precision} digits, more than {_DIGITS_MAX}", f"{_WRITE} a string"
    if logical == "INTERVAL" or leaf.converted_type == "INTERVAL":
        return "intervals, which no type of a schema holds", f"{_WRITE} an integer whose unit is in its name"
    if leaf.physical_type in {"BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"} and logical in {"NONE", "UNKNOWN"}:
        return "bytes that are declared as no type (binary)", f"{_WRITE} a string"
    return "", ""
