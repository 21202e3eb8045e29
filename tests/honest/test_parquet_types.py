"""What each type of Parquet comes to: stored exactly, quarantined, or refused by name before a row is read."""

import pytest
from parquet_values import ARROW, DUCKDB, came_of, write

from pratique.schema import FieldType

HELD, TEXT, DECIMAL = "held: its column 'x' ", FieldType("string"), FieldType("decimal", 38, 2)
KINDS = {"decimal": DECIMAL, **{name: FieldType(name) for name in ("integer", "number", "boolean", "date", "time")}}
KINDS |= {name: FieldType(name) for name in ("datetime", "string", "uuid", "json")}
BYTES = HELD + "is BLOB, which cannot be read as string"
DURATION, OLD = HELD + "holds durations (", HELD + "holds timestamps of 96 bits inside"

# type of the file -> (declared type, what comes of it), …
GOLDEN: dict[str, list[tuple[str, str]]] = {
    "int8": [("integer", "-128"), ("string", "-128"), ("number", "-128.0")],
    "int16": [("integer", "-32768")],
    "int32": [("integer", "-2147483648")],
    "int64": [("integer", "-9223372036854775808"), ("decimal", "-9223372036854775808.00")],
    "uint8": [("integer", "255")],
    "uint16": [("integer", "65535")],
    "uint32": [("integer", "4294967295")],
    "uint64": [("integer", "quarantined: not integer: 18446744073709551615"), ("string", "18446744073709551615")],
    "uint64 that fits": [("integer", "7")],
    "float16": [("number", "1.5")],
    "float": [("number", "0.10000000149011612"), ("string", "0.1")],
    "double": [("number", "0.1"), ("integer", "quarantined: not integer: ")],
    "double -0": [("number", "-0.0")],
    "double NaN": [("number", "quarantined: not number: nan")],
    "double infinity": [("number", "quarantined: not number: inf")],
    "decimal32": [("decimal", "1.23")],
    "decimal64": [("decimal", "1.23")],
    "decimal128": [("decimal", "123456789012345678901234567890123456.78")],
    "decimal128 of too many digits": [("decimal", 'quarantined: not decimal(38,2): "1.234"'), ("string", "1.234")],
    "decimal256": [
        ("decimal", HELD + "holds decimals of 50 digits, more than 38"),
        ("string", HELD + "holds decimals"),
    ],
    "decimal256 of 20 digits": [("decimal", "1.23")],
    "decimal as integer": [("decimal", "1.23")],
    "date": [("date", "2026-01-02"), ("string", "2026-01-02")],
    "date64": [("date", "2026-01-02")],
    "date in the year 20000": [("date", 'quarantined: not date: "19999-12-16"')],
    "time s": [("time", "01:02:03")],
    "time ms": [("time", "01:02:03.004")],
    "time us": [("time", "01:02:03.000004")],
    "time ns": [("time", "00:00:00.000005")],
    "time ns, finer": [("time", 'quarantined: not time: "00:00:00.000005001"'), ("string", "00:00:00.000005001")],
    "timestamp s": [("datetime", "2026-01-02 03:04:05"), ("datetime UTC", "2026-01-02 03:04:05+00")],
    "timestamp ms": [("datetime", "2026-01-02 03:04:05.123")],
    "timestamp us": [("datetime", "2026-01-02 03:04:05.123456"), ("datetime UTC", "2026-01-02 03:04:05.123456+00")],
    "timestamp ns": [("datetime", "2026-01-02 03:04:05.123456"), ("datetime UTC", "2026-01-02 03:04:05.123456+00")],
    "timestamp ns, finer": [
        ("datetime", 'quarantined: not datetime: "2026-01-02 03:04:05.123456789"'),
        ("datetime UTC", 'quarantined: not datetime: "2026-01-02 03:04:05.123456789"'),
        ("string", "2026-01-02 03:04:05.123456789"),
    ],
    "timestamp us, UTC": [
        ("datetime UTC", "2026-01-02 03:04:05.123456+00"),
        ("datetime", 'quarantined: not datetime: "2026-01-02 03:04:05.123456+00"'),
    ],
    "timestamp us, Berlin": [("datetime UTC", "2026-01-02 03:04:05.123456+00")],
    "timestamp ns, UTC": [("datetime UTC", "2026-01-02 03:04:05.123456+00")],
    "timestamp ns, UTC, finer": [("datetime UTC", 'quarantined: not datetime: "2026-01-02 03:04:05.123456789+00"')],
    "int96": [
        ("datetime", "2026-01-02 03:04:05.123456"),
        ("datetime UTC", "2026-01-02 03:04:05.123456+00"),
        ("string", HELD + "is a timestamp of 96 bits, which cannot be read as string"),
    ],
    "int96, finer": [("datetime", 'quarantined: not datetime: "2026-01-02 03:04:05.123456789"')],
    "int96 in the year 9999": [("datetime", "9999-12-31 03:00:00")],
    "int96 in a list": [("json", OLD)],
    "duration": [("integer", DURATION), ("string", DURATION)],
    "duration in a list": [("json", DURATION)],
    "binary": [("string", BYTES)],
    "fixed binary": [("string", BYTES)],
    "binary in a list": [("json", HELD + "holds bytes that are declared as no type")],
    "string": [("string", "é")],
    "string that is no UTF-8": [("string", "SourceError: a.parquet: it is damaged: its values do not decode: ")],
    "large string": [("string", "é")],
    "string view": [("string", "é")],
    "dictionary": [("string", "é")],
    "uuid": [("uuid", "61616161-6161-6161-6161-616161616161"), ("string", "61616161-6161-6161-6161-616161616161")],
    "json": [("json", '{"a": 1.10}'), ("string", '{"a": 1.10}')],
    "list": [("json", "[1,null]"), ("string", HELD + "is BIGINT[], which cannot be read as string")],
    "struct": [("json", '{"a":1,"b.c":"é"}'), ("string", HELD + "is STRUCT")],
    "map": [("json", '{"k":1}'), ("string", HELD + "is MAP")],
    "double NaN in a list": [("json", "quarantined: not json: [nan]")],
    "decimal in a list": [("json", "[12345678901234567890.10]")],
    "null": [("string", "NULL"), ("integer", "NULL")],
    "boolean": [("boolean", "true"), ("string", "true")],
    "interval": [("string", HELD + "is INTERVAL, which cannot be read as string")],
    "time with zone": [("time", HELD + "is TIME WITH TIME ZONE, which cannot be read as time")],
    "variant": [("json", HELD + "is VARIANT, which cannot be read as json")],
    "geometry": [("string", BYTES)],
    "blob": [("string", BYTES)],
    "enum": [("string", "a")],
}


def test_the_table_is_complete():
    """Every type that can be written has a line."""
    assert set(GOLDEN) == {*ARROW, *DUCKDB}


@pytest.mark.parametrize("name", GOLDEN)
def test_each_type(tmp_path, name):
    """A value is stored exactly as the file has it, or quarantined with its text, or its column is refused by name."""
    write(tmp_path / "a.parquet", name)
    for declared, expected in GOLDEN[name]:
        kind, _, timezone = declared.partition(" ")
        found = came_of(tmp_path / "a.parquet", KINDS[kind], timezone or None)
        whole = not expected.startswith(("held", "quarantined", "SourceError"))
        assert found == expected if whole else found.startswith(expected), declared


def test_no_value_is_quoted(tmp_path):
    """The error for a text that is no UTF-8 tells neither the text nor where the file lies."""
    write(tmp_path / "a.parquet", "string that is no UTF-8")
    found = came_of(tmp_path / "a.parquet", TEXT)
    assert "xFF" not in found
    assert str(tmp_path) not in found
