"""Records deeper down in a JSON file: keys lead to their array, whatever stands beside it."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from pratique.model import Landed, Position
from pratique.schema import Field, Schema
from pratique.sources import ReadLimits, open_source

SCHEMA = Schema("s", 1, (Field("a"),))


def landed(folder, content: bytes, keys=("data", "orders"), **limits) -> Landed:
    """One file, landed."""
    (folder / "a.json").write_bytes(content)
    source = open_source(
        "s", path="a.json", base=folder, format="json", schema=SCHEMA, records=keys, limits=ReadLimits(**limits)
    )
    return source.land(Position())


def values(result: Landed) -> list[str | None]:
    """The field of each record, as the engine gets it; the count of the landing agrees."""
    batches = list(result.parts[0].form.batches())
    rows = pa.Table.from_batches(batches).to_pylist() if batches else []
    assert [row["_malformed"] for row in rows] == [None] * len(rows)
    assert result.count == len(rows)
    return [row["a"] for row in rows]


@pytest.mark.parametrize(
    "content",
    [
        '{"data": {"orders": [{"a": 1.10}, {"a": "x"}]}}',
        '\ufeff { "page" : 1 , "data":\n{"orders":[{"a": 1.10},\n{"a": "x"}], "total": 2}, "next": null } ',
        '{"a": [[{"orders": [1]}], "]"], "b": "}", "c": {"data": {"orders": 7}}, "data": {"o": [], "orders": [{"a": 1.10}, {"a": "x"}]}}',
        '{"\\u0064ata": {"orders": [{"a": 1.10}, {"a": "x"}], "é": true}}',
    ],
)
def test_keys_lead_to_the_records(tmp_path, content: str) -> None:
    """The array at the keys is read, every digit as it stands; all else is passed over."""
    result = landed(tmp_path, content.encode())
    assert values(result) == ["1.10", "x"]
    (part,) = result.parts
    (second,) = result.reader.records(part, part.files[0], [2])
    assert second.offset is not None
    assert content.encode()[second.offset :].startswith(b'{"a": "x"}')
    assert second.line == content.encode()[: second.offset].count(b"\n") + 1


@pytest.mark.parametrize(
    "content", ['{"data": null}', '{"data": {"orders": null}}', '{"data": {"orders": []}, "x": 1}']
)
def test_no_records_are_none(tmp_path, content: str) -> None:
    """Null on the way, or an empty array, holds no record."""
    assert values(landed(tmp_path, content.encode())) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "there is no 'data' in it; there are no keys at all"),
        ('{"date": 1, "x": {}}', "there is no 'data' in it; there are 'date', 'x'"),
        ('{"data": {"order": []}}', "there is no 'data.orders' in it; there are 'order'"),
        ('[{"a": 1}]', "an object is expected at 'its top'"),
        ("7", "an object is expected at 'its top'"),
        ('{"data": [1]}', "an object is expected at 'data'"),
        ('{"data": {"orders": {"a": 1}}}', "an array is expected at 'data.orders'"),
        ('{"data": {"orders": []}, "data": {"orders": []}}', "the key 'data' stands twice"),
        ('{"data": {"orders": [] "x": 1}}', "a comma or } is missing"),
        ('{"data": {"orders": []}', "the object is not closed"),
        ('{"data": {"orders": [{"a": 1}', "the array is not closed"),
        ('{"x": 1', "the object is not closed"),
        ('{"x', "a string begins that is never closed"),
        ('{"x" 1}', "a colon is missing"),
        ("{x: 1}", "a key is expected"),
        ('{"\\x": 1}', "a key is no JSON string"),
        ('{"data": {"orders": []}} {}', "something follows the object"),
    ],
)
def test_where_no_records_can_be_found_the_file_is_held(tmp_path, content: str, reason: str) -> None:
    """A file whose structure is broken, or in which the keys lead nowhere, is held with the reason."""
    (held,) = landed(tmp_path, content.encode()).held
    assert reason in held.reason
    assert held.hint


def test_what_stands_beside_may_be_long_in_flat_memory(tmp_path) -> None:
    """An array that is passed over may be longer than a record may be; a single value may not."""
    beside = json.dumps([{"x": "y" * 100}] * 2000)
    content = f'{{"beside": {beside}, "data": {{"orders": [{{"a": 1}}]}}}}'.encode()
    assert values(landed(tmp_path, content, record_bytes_max=1000)) == ["1"]
    (held,) = landed(
        tmp_path, content.replace(b"[{", b'{"z": [{', 1).replace(b"}]", b"}]}", 1), record_bytes_max=1000
    ).held
    assert "is longer than 1,000 bytes" in held.reason


def test_no_file_is_found_broken_in_another_way_than_said(tmp_path) -> None:
    """Cut off anywhere, the file is held: no record of it is lost in silence."""
    content = b'{"p": "a\\"]}", "data": {"o": [1, {"b": "]"}], "orders": [{"a": 1}, {"a": 2}]}, "q": -1.5}'
    assert values(landed(tmp_path, content)) == ["1", "2"]
    for end in range(1, len(content)):
        assert landed(tmp_path, content[:end]).held, content[:end]
