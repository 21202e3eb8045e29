"""JSON Lines: exact text of every value, and one verdict per line that is no plain object."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.model import Position
from pratique.schema import Field, FieldType, Schema
from pratique.sources import ReadLimits, open_source

SCHEMA = Schema("s", 1, (Field("a"), Field("b", FieldType("json"), aliases=("B", "b"))))


def landed(folder: Path, schema: Schema = SCHEMA, **words):
    """Land a.jsonl."""
    return open_source("s", path="a.jsonl", base=folder, format="jsonl", schema=schema, **words).land(Position())


def rows(result) -> list[dict[str, str | None]]:
    """The records as the engine gets them."""
    return pa.Table.from_batches(list(result.parts[0].form.batches())).to_pylist()


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('{"a": "x", "b": "y"}', ("x", "y")),
        ('{"a": 12345678901234567890123, "b": 1.10}', ("12345678901234567890123", "1.10")),
        ('{"a": 1e400, "B": -0}', ("1e400", "-0")),
        ('{"a": ' + "9" * 5000 + "}", ("9" * 5000, None)),
        ('{"a": true, "b": false}', ("true", "false")),
        ('{"a": null}', (None, None)),
        ("{}", (None, None)),
        (' {"a" :\t"x" } ', ("x", None)),
        ('{"b": {"x": [1.10, {"y": null}]}}', (None, '{"x": [1.10, {"y": null}]}')),
        ('{"a": "\\u00e9\\n\\"", "b": [1e2]}', ('é\n"', "[1e2]")),
        ('{"a": "\\ud83d\\ude00"}', ("😀", None)),
        ('{"a": "' + "[" * 300 + '"}', ("[" * 300, None)),
    ],
)
def test_values_keep_their_text(tmp_path, line, values):
    """Numbers, nested values and booleans stand as written; strings are decoded; null and a missing key are NULL."""
    (tmp_path / "a.jsonl").write_text(line + "\n")
    row = rows(landed(tmp_path))[0]
    assert (row["a"], row["B"], row["_malformed"]) == (*values, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not JSON: expected , or } at character 8"),
        (b'{"a": }', "not JSON: no value at character 7"),
        (b'{"a": 1} x', "not JSON: text after the object"),
        (b'{"a": 1}{"a": 2}', "not JSON: text after the object"),
        (b'{"a": 01}', "not JSON"),
        (b'{"a": 1,}', "not JSON: expected a key"),
        (b"{a: 1}", "not JSON: expected a key"),
        (b'{"a" 1}', "not JSON: expected :"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "x\ty"}', "not JSON"),
        (b'{"a": "x', "not JSON"),
        (b"   ", "not JSON"),
        (b"nonsense", "not JSON"),
        (b"[1, 2]", "not an object but an array"),
        (b"7", "not an object but a number"),
        (b'"x"', "not an object but a string"),
        (b"null", "not an object but null"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"b": [Infinity]}', "Infinity is not a JSON number"),
        (b'{"a": 1, "a": 1}', "the key 'a' stands twice"),
        (b'{"b": {"x": 1, "x": 1}}', "the key 'x' stands twice"),
        (b'{"b": 1, "B": 1}', "the field 'B' stands under two of its names"),
        (b'{"a": 1, "zz": 1}', "unknown field 'zz'"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"b": ["\\udc00"]}', "half a character"),
        (b'{"\\ud800": 1}', "half a character"),
        (b'{"a": "\xff"}', "not UTF-8: byte 0xff at 8"),
        (b'{"b": ' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper than 100"),
        (b"[" * 100_000, "nested deeper than 100"),
        (b'{"b":' * 100_000, "nested deeper than 100"),
        (b'{"a": "' + b"[" * 101 + b'\\"' * 1_000_000, "Unterminated string"),
        (b'{"a": "\0"}', "not JSON"),
        (b'{"a": 1}\0', "not JSON: text after the object"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8: byte 0xed at 8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON: no value at character 1"),
        (b'{"b": {"x": 1, "\\u0078": 2}}', "the key 'x' stands twice"),
    ],
)
def test_a_bad_line_is_one_malformed_record(tmp_path, line, reason):
    """It has a reason; the lines around it are read."""
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    result = landed(tmp_path)
    found = rows(result)
    assert [row["a"] for row in found] == ["1", None, "3"]
    assert [row["_malformed"] is None for row in found] == [True, False, True]
    assert reason in found[1]["_malformed"]
    record = next(result.reader.records(result.parts[0], result.files[0], [2]))
    assert record.raw == line.decode("utf-8", "backslashreplace")


def test_unknown_fields_may_be_dropped(tmp_path):
    """Under `extraFields: drop` an unknown key is ignored."""
    (tmp_path / "a.jsonl").write_text('{"a": 1, "zz": [1]}')
    found = rows(landed(tmp_path, Schema("s", 1, SCHEMA.fields, extra_fields="drop")))
    assert [(row["a"], row["_malformed"]) for row in found] == [("1", None)]


def test_lines_and_numbers(tmp_path):
    """Blank lines are no records; CRLF, a byte order mark and a missing last line end change nothing."""
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\r\n\n{"a":2}\r\n{"a":3}')
    result = landed(tmp_path)
    assert (result.count, result.files[0].blank_lines, result.files[0].first_number) == (3, 2, 1)
    assert [row["a"] for row in rows(result)] == ["1", "2", "3"]
    given_back = list(result.reader.records(result.parts[0], result.files[0], [1, 2, 3]))
    assert [(item.number, item.line, item.raw, item.values["a"]) for item in given_back] == [
        (1, 1, '{"a":1}', "1"), (2, 4, '{"a":2}', "2"), (3, 5, '{"a":3}', "3"),
    ]  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8), max_size=8), plain=st.booleans())  # fmt: skip
def test_any_value_comes_back(tmp_path, values, plain):
    """Whatever JSON can hold: strings come back decoded, null as NULL, all else as JSON text of the same value."""
    lines = [json.dumps({"a": value}, ensure_ascii=plain) for value in values]
    (tmp_path / "a.jsonl").write_bytes("\n".join([*lines, "{}"]).encode())
    found = [row["a"] for row in rows(landed(tmp_path))][:-1]
    expected = [
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=plain) for value in values
    ]
    assert found == expected


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_a_line_is_read_otherwise_than_json_reads_it(tmp_path, data):
    """Bytes changed anywhere: as many records as lines; good ones are what JSON says, no other line is hurt."""
    content = bytearray(b'{"a": "x, {y", "b": [1, "}", {"c": 2}]}\n{"a": "\\"", "b": "]"}\r\n{"a": 1.5, "b": {}}\n')
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        inserted = data.draw(st.lists(st.sampled_from(list(b'"\\{}[],: \n1x\0\xff')), max_size=2))
        content[at : at + data.draw(st.integers(0, 2))] = bytes(inserted)
    (tmp_path / "a.jsonl").write_bytes(bytes(content))
    lines = [line for line in bytes(content).split(b"\n") if line not in {b"", b"\r"}]
    found = rows(landed(tmp_path, Schema("s", 1, SCHEMA.fields, extra_fields="drop")))
    assert len(found) == len(lines)
    for line, row in zip(lines, found, strict=True):
        if row["_malformed"] is None:
            value = json.loads(line)
            assert isinstance(value, dict)
            text = value.get("a")
            assert row["a"] == text if text is None or isinstance(text, str) else json.loads(row["a"]) == text


def test_batches_are_bounded(tmp_path):
    """No batch has more than 8192 records, and together they have all."""
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n' * 20_000)
    result = landed(tmp_path)
    assert [batch.num_rows for batch in result.parts[0].form.batches()] == [8192, 8192, 3616]
    assert result.count == 20_000


def test_files_that_are_held(tmp_path):
    """An empty file and a line beyond the limit hold the file."""
    (tmp_path / "a.jsonl").write_text("\n")
    assert landed(tmp_path).held[0].reason == "it is empty"
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": "' + "x" * 2000 + '"}\n')
    held = landed(tmp_path, limits=ReadLimits(record_bytes_max=1000)).held[0]
    assert held.reason == "the record in line 2 is longer than 1,000 bytes"
