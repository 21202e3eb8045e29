"""One value of each type of Parquet, and what a load of it as a declared type comes to."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pratique.engines import open_engine
from pratique.errors import PratiqueError
from pratique.model import Position, Stamp, Target
from pratique.schema import Field, FieldType, Schema
from pratique.sources import open_source

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 123456)  # noqa: DTZ001 - the column has no zone
STAMP = Stamp("s", "a" * 32, "b" * 32, datetime(2026, 1, 2, tzinfo=UTC))
NANOSECONDS = 1_767_323_045_123_456_789  # the same moment, a bit later


def arrow(values: list[Any], kind: pa.DataType, **options: Any) -> tuple[pa.Array, dict[str, Any]]:
    """A column as pyarrow writes it."""
    return pa.array(values, kind), options


INT96 = {"use_deprecated_int96_timestamps": True}
ARROW = {
    "int8": arrow([-128], pa.int8()),
    "int16": arrow([-32768], pa.int16()),
    "int32": arrow([-(2**31)], pa.int32()),
    "int64": arrow([-(2**63)], pa.int64()),
    "uint8": arrow([255], pa.uint8()),
    "uint16": arrow([65535], pa.uint16()),
    "uint32": arrow([2**32 - 1], pa.uint32()),
    "uint64": arrow([2**64 - 1], pa.uint64()),
    "uint64 that fits": arrow([7], pa.uint64()),
    "float16": (pa.array([1.5], pa.float32()).cast(pa.float16()), {}),
    "float": arrow([0.1], pa.float32()),
    "double": arrow([0.1], pa.float64()),
    "double -0": arrow([-0.0], pa.float64()),
    "double NaN": arrow([float("nan")], pa.float64()),
    "double infinity": arrow([float("inf")], pa.float64()),
    "decimal32": arrow([Decimal("1.23")], pa.decimal32(5, 2)),
    "decimal64": arrow([Decimal("1.23")], pa.decimal64(15, 2)),
    "decimal128": arrow([Decimal("123456789012345678901234567890123456.78")], pa.decimal128(38, 2)),
    "decimal128 of too many digits": arrow([Decimal("1.234")], pa.decimal128(9, 3)),
    "decimal256": arrow([Decimal("1.23")], pa.decimal256(50, 2)),
    "decimal256 of 20 digits": arrow([Decimal("1.23")], pa.decimal256(20, 2)),
    "decimal as integer": arrow([Decimal("1.23")], pa.decimal128(9, 2), store_decimal_as_integer=True),
    "date": arrow([date(2026, 1, 2)], pa.date32()),
    "date64": arrow([date(2026, 1, 2)], pa.date64()),
    "date in the year 20000": arrow([6585306], pa.date32()),
    "time s": arrow([time(1, 2, 3)], pa.time32("s")),
    "time ms": arrow([time(1, 2, 3, 4000)], pa.time32("ms")),
    "time us": arrow([time(1, 2, 3, 4)], pa.time64("us")),
    "time ns": arrow([5_000], pa.time64("ns")),
    "time ns, finer": arrow([5_001], pa.time64("ns")),
    "timestamp s": arrow([1_767_323_045], pa.timestamp("s")),
    "timestamp ms": arrow([1_767_323_045_123], pa.timestamp("ms")),
    "timestamp us": arrow([MOMENT], pa.timestamp("us")),
    "timestamp ns": arrow([NANOSECONDS // 1000 * 1000], pa.timestamp("ns")),
    "timestamp ns, finer": arrow([NANOSECONDS], pa.timestamp("ns")),
    "timestamp us, UTC": arrow([MOMENT], pa.timestamp("us", "UTC")),
    "timestamp us, Berlin": arrow([MOMENT], pa.timestamp("us", "Europe/Berlin")),
    "timestamp ns, UTC": arrow([NANOSECONDS // 1000 * 1000], pa.timestamp("ns", "UTC")),
    "timestamp ns, UTC, finer": arrow([NANOSECONDS], pa.timestamp("ns", "UTC")),
    "int96": arrow([NANOSECONDS // 1000 * 1000], pa.timestamp("ns"), **INT96),
    "int96, finer": arrow([NANOSECONDS], pa.timestamp("ns"), **INT96),
    "int96 in the year 9999": arrow([253_402_225_200_000_000], pa.timestamp("us"), **INT96),
    "int96 in a list": arrow([[NANOSECONDS]], pa.list_(pa.timestamp("ns")), **INT96),
    "duration": arrow([3], pa.duration("us")),
    "duration in a list": arrow([[3]], pa.list_(pa.duration("us"))),
    "binary": arrow([b"a"], pa.binary()),
    "fixed binary": arrow([b"abcd"], pa.binary(4)),
    "binary in a list": arrow([[b"a"]], pa.list_(pa.binary())),
    "string": arrow(["é"], pa.string()),
    "string that is no UTF-8": (pa.Array.from_buffers(pa.string(), 1, pa.array([b"a\xff"]).buffers()), {}),
    "large string": arrow(["é"], pa.large_string()),
    "string view": arrow(["é"], pa.string_view()),
    "dictionary": (pa.array(["é"]).dictionary_encode(), {}),
    "uuid": arrow([b"a" * 16], pa.uuid()),
    "json": arrow(['{"a": 1.10}'], pa.json_()),
    "list": arrow([[1, None]], pa.list_(pa.int64())),
    "struct": arrow([{"a": 1, "b.c": "é"}], pa.struct({"a": pa.int64(), "b.c": pa.string()})),
    "map": arrow([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
    "double NaN in a list": arrow([[float("nan")]], pa.list_(pa.float64())),
    "decimal in a list": arrow([[Decimal("12345678901234567890.10")]], pa.list_(pa.decimal128(38, 2))),
    "null": arrow([None], pa.null()),
    "boolean": arrow([True], pa.bool_()),
}
DUCKDB = {
    "interval": "INTERVAL 1 MONTH",
    "time with zone": "TIMETZ '10:00:00+02'",
    "variant": "1::VARIANT",
    "geometry": "NULL::GEOMETRY",
    "blob": "'a'::BLOB",
    "enum": "'a'::ENUM('a')",
}


def write(path: Path, name: str) -> None:
    """A file with a column `id` (1) and a column `x` of that type."""
    if name in DUCKDB:
        duckdb.sql(f"SELECT 1 AS id, {DUCKDB[name]} AS x").write_parquet(str(path))
    else:
        column, options = ARROW[name]
        pq.write_table(pa.table({"id": pa.array([1], pa.int64()), "x": column}), path, **options)


def came_of(path: Path, kind: FieldType, timezone: str | None = None) -> str:
    """What a load comes to: `held: why`, `quarantined: why`, or the stored value as a text."""
    schema = Schema("s", 1, (Field("id"), Field("x", kind)), timezone=timezone)
    source = open_source("s", path=path.name, base=path.parent, format="parquet", schema=schema)
    landed = source.land(Position())
    if landed.held:
        return f"held: {landed.held[0].reason}"
    try:
        staged = open_engine(path.parent / "tmp").stage(landed, schema, Target("s"), STAMP, None)
    except PratiqueError as error:
        return f"{type(error).__name__}: {error}"
    try:
        for record in staged.quarantined():
            return f"quarantined: {record.failures[0].message}"
        query = staged.good().duckdb
        value = query.connection.execute(f"SELECT x::VARCHAR FROM ({query.sql})").fetchone()[0]
        return "NULL" if value is None else str(value)
    finally:
        staged.close()
