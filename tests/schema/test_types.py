"""What a text becomes, type by type: the golden table, and typed columns."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pratique.documents import load_document
from pratique.errors import ConfigurationError
from pratique.schema import Field, FieldType, Schema
from pratique.schema.compile import InputColumn, compile_schema
from pratique.schema.types import valid_literal

TABLE = load_document(Path(__file__).parents[1] / "golden" / "types.yaml").value


def kind(text: str) -> FieldType:
    """`decimal(9,2)` and the like as a type."""
    name, _, digits = text.partition("(")
    precision, scale = (int(item) for item in digits.rstrip(")").split(",")) if digits else (0, 0)
    return FieldType(name, precision, scale)


def connection() -> duckdb.DuckDBPyConnection:
    """As the engine sets it up: times in UTC."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    return con


def judged(schema: Schema, kinds: dict[str, str], rows: str) -> list[tuple]:
    """Fields as text, then `_failed`, of `rows`, SQL of a FROM item."""
    judge = compile_schema(schema, [InputColumn(name, word) for name, word in kinds.items()])
    fields = ", ".join(f'CAST("{item.name}" AS VARCHAR)' for item in schema.fields)
    with connection() as con:
        return con.execute(f"SELECT {fields}, _failed FROM ({judge.select(rows)})").fetchall()


@pytest.mark.parametrize("group", TABLE, ids=lambda group: group["group"])
def test_a_text_is_stored_exactly_or_fails(group: dict) -> None:
    """Every text of the golden table gets the verdict and the stored value that stand beside it."""
    options = {name: tuple(item) if isinstance(item, list) else item for name, item in group.get("options", {}).items()}
    schema = Schema("s", 1, (Field("v", kind(group["type"]), **options),), timezone=group.get("timezone"))
    judge = compile_schema(schema, [InputColumn("v")])
    with connection() as con:
        con.execute("CREATE TABLE t (n INTEGER, v VARCHAR)")
        con.executemany("INSERT INTO t VALUES (?, ?)", [(at, row[0]) for at, row in enumerate(group["rows"])])
        found = con.execute(
            f"SELECT CAST(v AS VARCHAR), _failed, _held, _raw FROM ({judge.select('t', ['n'])}) ORDER BY n"
        ).fetchall()
    shown = [
        (row[0], "fail" if failed else "null" if value is None else "pass", value)
        for row, (value, failed, _, _) in zip(group["rows"], found, strict=True)
    ]
    expected = [
        (row[0], row[1], row[2] if len(row) > 2 else row[0] if row[1] == "pass" else None) for row in group["rows"]
    ]
    assert shown == expected
    for row, (_, failed, held, raw) in zip(group["rows"], found, strict=True):
        assert held == bool(failed)
        assert raw == ({"v": row[0]} if failed else None)


def test_the_golden_table_is_large() -> None:
    """At least 200 texts are judged, so that a table cut short is noticed."""
    assert sum(len(group["rows"]) for group in TABLE) >= 200


TYPED = [
    ("integer", "DOUBLE", "5.0", "5"),
    ("integer", "DOUBLE", "5.5", "fail"),
    ("integer", "DOUBLE", "1e18", "1000000000000000000"),
    ("integer", "DOUBLE", "1e19", "fail"),
    ("integer", "DOUBLE", "'nan'", "fail"),
    ("integer", "DOUBLE", "1e-300", "fail"),
    ("integer", "HUGEINT", "9223372036854775807", "9223372036854775807"),
    ("integer", "HUGEINT", "9223372036854775808", "fail"),
    ("integer", "DECIMAL(9,2)", "12.00", "12"),
    ("integer", "DECIMAL(9,2)", "12.50", "fail"),
    ("integer", "BOOLEAN", "true", "fail"),
    ("integer", "BIGINT", "7", "7"),
    ("integer", "BIGINT", "NULL", None),
    ("integer", "VARCHAR", "NULL", None),
    ("decimal(12,2)", "DOUBLE", "0.1", "0.10"),
    ("decimal(12,2)", "DOUBLE", "0.125", "fail"),
    ("decimal(38,2)", "DOUBLE", "-1.5e20", "-150000000000000000000.00"),
    ("decimal(38,10)", "DOUBLE", "1.5e-7", "0.0000001500"),
    ("decimal(12,2)", "DOUBLE", "1e-7", "fail"),
    ("decimal(12,2)", "DOUBLE", "'inf'", "fail"),
    ("decimal(12,2)", "FLOAT", "0.1", "0.10"),
    ("decimal(12,2)", "DECIMAL(9,4)", "1.5000", "1.50"),
    ("decimal(12,2)", "DECIMAL(9,4)", "1.5001", "fail"),
    ("decimal(12,2)", "INTEGER", "7", "7.00"),
    ("number", "DOUBLE", "1.5", "1.5"),
    ("number", "DOUBLE", "'nan'", "fail"),
    ("number", "DOUBLE", "'-inf'", "fail"),
    ("number", "FLOAT", "0.5", "0.5"),
    ("number", "FLOAT", "0.1", "0.10000000149011612"),
    ("number", "BIGINT", "9007199254740993", "fail"),
    ("number", "BIGINT", "9007199254740992", "9007199254740992.0"),
    ("string", "BIGINT", "7", "7"),
    ("string", "VARCHAR", "''", None),
    ("date", "DATE", "'2024-01-05'", "2024-01-05"),
    ("date", "DATE", "'infinity'", "fail"),
    ("date", "DATE", "'10000-01-01'", "fail"),
    ("date", "TIMESTAMP", "'2024-01-05 00:00:00'", "2024-01-05"),
    ("date", "TIMESTAMP", "'2024-01-05 00:00:01'", "fail"),
    ("datetime", "TIMESTAMP", "'2024-01-05 10:00:00'", "2024-01-05 10:00:00"),
    ("datetime", "TIMESTAMP_NS", "'2024-01-05 10:00:00.123456'", "2024-01-05 10:00:00.123456"),
    ("datetime", "TIMESTAMP_NS", "'2024-01-05 10:00:00.123456789'", "fail"),
    ("datetime", "TIMESTAMP WITH TIME ZONE", "'2024-01-05 10:00:00+00'", "fail"),
    ("boolean", "BOOLEAN", "true", "true"),
    ("boolean", "INTEGER", "1", "true"),
    ("json", "INTEGER[]", "[1, 2]", "[1,2]"),
    ("array", "INTEGER[]", "[1, 2]", "[1,2]"),
    ("object", "STRUCT(a INTEGER)", "{'a': 1}", '{"a":1}'),
    ("object", "INTEGER[]", "[1]", "fail"),
    ("json", "JSON", "'{\"a\": 1}'", '{"a": 1}'),
    ("uuid", "UUID", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
]


@pytest.mark.parametrize(("declared", "given", "value", "expected"), TYPED)
def test_a_typed_value_passes_unchanged_or_fails(declared: str, given: str, value: str, expected: str | None) -> None:
    """A column that has a type already is taken as it is, or judged as the exact text of its value."""
    schema = Schema("s", 1, (Field("v", kind(declared)),))
    [(stored, failed)] = judged(schema, {"v": given}, f"(SELECT CAST({value} AS {given}) AS v)")
    assert ("fail" if failed else stored) == expected


def test_typed_datetimes_follow_the_zone_of_the_schema() -> None:
    """Zone-less typed values are read in the schema's zone, with its gaps; instants pass."""
    schema = Schema("s", 1, (Field("v", FieldType("datetime")),), timezone="Europe/Berlin")
    rows = "(SELECT unnest([TIMESTAMP '2024-07-05 10:00:00', TIMESTAMP '2024-03-31 02:30:00']) AS v)"
    assert judged(schema, {"v": "TIMESTAMP"}, rows) == [("2024-07-05 08:00:00+00", None), (None, [1])]
    rows = "(SELECT TIMESTAMPTZ '2024-07-05 10:00:00+00' AS v)"
    assert judged(schema, {"v": "TIMESTAMP WITH TIME ZONE"}, rows) == [("2024-07-05 10:00:00+00", None)]


def test_coded_missing_values_hold_for_typed_columns() -> None:
    """A declared -99 means missing in an integer column of a Parquet file, too."""
    schema = Schema("s", 1, (Field("v", FieldType("integer"), missing_values=("", "-99"), required=True),))
    assert judged(schema, {"v": "BIGINT"}, "(SELECT unnest([1, -99]::BIGINT[]) AS v)") == [("1", None), (None, [2])]


@pytest.mark.parametrize("given", ["BLOB", "INTEGER[]", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)"])
def test_a_nested_or_binary_column_is_refused_for_a_text_field(given: str) -> None:
    """There is no text of a list or of bytes that would not be an invention."""
    schema = Schema("s", 1, (Field("v", where="s.yaml:4:3"),))
    with pytest.raises(ConfigurationError, match=r"s\.yaml:4:3: .*cannot be read as string"):
        compile_schema(schema, [InputColumn("v", given)])


@pytest.mark.parametrize(
    ("text", "declared", "valid"),
    [
        ("5", "integer", True),
        ("0.5", "integer", False),
        ("9223372036854775808", "integer", False),
        ("1.5", "decimal(3,1)", True),
        ("1.55", "decimal(3,1)", False),
        ("1e2", "decimal(5,1)", False),
        ("x", "decimal(5,1)", False),
        ("1e400", "number", False),
        ("2024-02-30", "date", False),
        ("2024-02-29", "date", True),
        ("10:00", "time", True),
        ("25:00", "time", False),
        ("2024-01-01T10:00:00Z", "datetime", True),
        ("2024-01-01", "datetime", False),
        ("maybe", "boolean", False),
        ("{", "json", False),
        ("x", "uuid", False),
    ],
)
def test_literals_of_a_schema_are_values_of_their_type(text: str, declared: str, *, valid: bool) -> None:
    """A bound or an enum that is no value of its type is found before any data."""
    assert valid_literal(text, kind(declared)) is valid
