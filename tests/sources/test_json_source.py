"""JSON files: an array of records or one record; a broken structure costs the file, a broken element itself."""

import json
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pratique.errors import SourceError
from pratique.model import Position
from pratique.schema import Field, FieldType, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.json_cut import JsonText

SCHEMA = Schema("s", 1, (Field("a"), Field("b", FieldType("json"))))
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def landed(folder: Path, content: bytes, schema: Schema = SCHEMA, **words):
    """Land a.json with this content."""
    (folder / "a.json").write_bytes(content)
    return open_source("s", path="a.json", base=folder, format="json", schema=schema, **words).land(Position())


def rows(result) -> list[dict[str, str | None]]:
    """The records as the engine gets them."""
    return pa.Table.from_batches(list(result.parts[0].form.batches())).to_pylist()


def cut(content: bytes, piece_bytes: int = 1 << 20) -> list[bytes]:
    """The elements of a JSON text."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return [element.text for element in JsonText(file.fileno(), 1 << 20, piece_bytes=piece_bytes).elements()]


def told(call):
    """What a call gives, or why it refuses."""
    try:
        return call()
    except SourceError as error:
        return error.message


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b'[{"a": "x"}, {"a": "y"}]', ["x", "y"]),
        (b'{"a": "x"}', ["x"]),
        (b'\xef\xbb\xbf [\r\n {"a":\r\n 12345678901234567890123}\r\n,{"a": 1E5},\t{"a": -0}, {"a": 1.10} ] \r\n',
         ["12345678901234567890123", "1E5", "-0", "1.10"]),
        (b'[{"a": 1e400, "b": {"x": [1.10, {"y": "]}"}]}}]', ["1e400"]),
        (b'[{"a": "[{\\"}, "}, {"a": "\\\\"}]', ['[{"}, ', "\\"]),
        (b'[{"a": { "x":\r\n 1.10,"\\u00e9" :[ ]}}, {"a": [1E5 , -0]}]',
         ['{ "x":\r\n 1.10,"\\u00e9" :[ ]}', "[1E5 , -0]"]),
        (b"[]", []),
        (b" [ ] ", []),
    ],
)  # fmt: skip
def test_records_and_their_exact_text(tmp_path, content, values):
    """An array of objects, or one object; numbers keep their digits, whatever the blanks around them."""
    result = landed(tmp_path, content)
    assert result.held == ()
    assert result.count == len(values)
    assert [row["a"] for row in rows(result)] == values if values else list(result.parts[0].form.batches()) == []


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"a": 01}', "not JSON"),
        (b'{"a": 1 2}', "expected , or }"),
        (b'{"a", "b": 1}', "expected :"),
        (b'{"a": 1,}', "expected a key"),
        (b"7", "not an object but a number"),
        (b'"x"', "not an object but a string"),
        (b"[1]", "not an object but an array"),
        (b"null", "not an object but null"),
        (b"nonsense", "not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1, "a": 1}', "stands twice"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "x\ny"}', "not JSON"),
        (b'{"a": "x\0"}', "not JSON"),
        (b'{"a": 1 /* one */}', "not JSON"),
        (b'{"b": ' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper than 100"),
        (b"[" * 50_000 + b"]" * 50_000, "nested deeper than 100"),
    ],
)
def test_a_damaged_element_is_one_malformed_record(tmp_path, element, reason):
    """As long as its ends are certain it costs itself: its neighbours are read, its text and line come back."""
    result = landed(tmp_path, b'[{"a": 1},\n' + element + b',\n{"a": 3}]')
    found = rows(result)
    assert [row["a"] for row in found] == ["1", None, "3"]
    assert [row["_malformed"] is None for row in found] == [True, False, True]
    assert reason in found[1]["_malformed"]
    second, third = result.reader.records(result.parts[0], result.files[0], [2, 3])
    assert (second.line, second.raw) == (2, element.decode("utf-8", "backslashreplace"))
    assert third.values["a"] == "3"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b" \n\t", "it is empty"),
        (b'[{"a": 1}, {"a": 2}', "byte offset 19 (line 1): the array is not closed"),
        (b'[{"a": 1},\n {"a": 2', "byte offset 12 (line 2): the array or object that begins here is not closed"),
        (b'[{"a": 1},', "is not closed"),
        (b"[", "is not closed"),
        (b'[{"a": 1},]', "byte offset 10 (line 1): a value is missing"),
        (b'[{"a": 1},,{"a": 2}]', "byte offset 10 (line 1): a value is missing"),
        (b'[{"a": 1}\n{"a": 2}]', "byte offset 10 (line 2): a comma or ] is missing"),
        (b'[{"a": [1}]', "byte offset 9 (line 1): } closes what another bracket opened"),
        (b'[{"a": "x}]', "byte offset 7 (line 1): a string begins that is never closed"),
        (b'[{"a": "x"y"}]', "byte offset 10 (line 1): a string is followed by something else"),
        (b'[{"a": x"}, {"a": "y"}]', "byte offset 8 (line 1): a string begins where none can"),
        (b'[{"a" 1}]', "byte offset 5 (line 1): a string is followed by something else"),
        (b'[{"a": 1 "b": 2}]', "byte offset 9 (line 1): a string begins where none can"),
        (b'["x" y]', "byte offset 5 (line 1): a string is followed by something else"),
        (b"[" * 4_000_000, "byte offset 100,001 (line 1): more than 100,000 brackets are open at once"),
        (b"[nul{}]", "byte offset 4 (line 1): a value is followed by something else"),
        (b"[1]]", "byte offset 3 (line 1): something follows the array"),
        (b"[1] x", "byte offset 4 (line 1): something follows the array"),
        (b"7", "neither an array nor an object begins here"),
        (b"nonsense", "neither an array nor an object begins here"),
        ("[1]".encode("utf-16"), "it is not UTF-8 but perhaps UTF-16"),
        ("[1]".encode("utf-16-be"), "it is not UTF-8 but perhaps UTF-16"),
    ],
)
def test_a_broken_structure_holds_the_file(tmp_path, content, reason):
    """Where nobody can say where an element ends, nothing is loaded, and the reason names the byte and the line."""
    (held,) = landed(tmp_path, content).held
    assert reason in held.reason
    assert held.hint


def test_a_stray_quote_makes_up_no_record(tmp_path):
    """Two stray quotes turn the inside of strings out: the `{}` inside of one is no record, and the file is held."""
    content = b'[{"a":"x"y"},{"a":"},{},{"},{"a":"z"w"}]'
    assert "is a quote missing, or one too many?" in landed(tmp_path, content).held[0].reason


def test_json_lines_under_the_wrong_name(tmp_path):
    """Objects line by line are no JSON file; the hint says what they are."""
    (held,) = landed(tmp_path, b'{"a": 1}\n{"a": 2}\n').held
    assert held.hint == "a record per line is `format: jsonl`"


def test_records_by_number_across_the_sparse_index(tmp_path):
    """Records come back by number with their line, from anywhere in a long array."""
    content = "[\n" + ",\n".join(json.dumps({"a": str(number)}) for number in range(1, 1001)) + "\n]"
    result = landed(tmp_path, content.encode())
    numbers = [1, 64, 65, 66, 640, 1000]
    given_back = list(result.reader.records(result.parts[0], result.files[0], numbers))
    assert [(item.number, item.line, item.values["a"]) for item in given_back] == [(n, n + 1, str(n)) for n in numbers]
    with pytest.raises(SourceError, match="none of them is number 1,001"):
        list(result.reader.records(result.parts[0], result.files[0], [1001]))


def test_a_record_beyond_the_limit_holds_the_file_at_once(tmp_path):
    """An element longer than allowed is named by its offset, and no more of the file is read than the limit twice."""
    content = b'[{"a": 1},\n{"a": "' + b"x" * 5000 + b'"}]'
    (held,) = landed(tmp_path, content, limits=ReadLimits(record_bytes_max=1000)).held
    assert held.reason == "the record at byte offset 11 (line 2) is longer than 1,000 bytes"
    endless = tmp_path / "endless.json"
    with endless.open("wb") as file:
        file.write(b'[{"a": "')
        file.truncate(1 << 40)
    handle = os.open(endless, os.O_RDONLY)
    text = JsonText(handle, 1 << 20)
    with pytest.raises(SourceError, match="longer than"):
        list(text.elements())
    os.close(handle)
    assert text.size < 4 << 20


@settings(max_examples=60, deadline=None)
@given(values=st.lists(ANY_VALUE, max_size=6), indent=st.sampled_from([None, 1]), piece=st.integers(1, 40))
def test_the_cut_finds_the_elements_that_json_has(values, indent, piece):
    """Whatever an array holds, and wherever reading stops between two pieces, each element is cut out whole."""
    content = json.dumps(values, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert [json.loads(text) for text in cut(content, piece)] == values


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_is_read_otherwise_than_json_reads_it(tmp_path, data):
    """Bytes changed anywhere: no other exception, and where nothing is malformed the records are those of the text."""
    content = bytearray(b'[{"a": "x, {y", "b": [1, "}", {"c": 2}]},\n {"a": "\\"", "b": "]"}, {"a": 1.5, "b": {}}]')
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        inserted = data.draw(st.lists(st.sampled_from(list(b'"\\{}[],: \n1x\0\xff')), max_size=2))
        content[at : at + data.draw(st.integers(0, 2))] = bytes(inserted)
    result = landed(tmp_path, bytes(content), Schema("s", 1, SCHEMA.fields, extra_fields="drop"))
    if result.held:
        return
    found = rows(result) if result.count else []
    assert len(found) == result.count
    if any(row["_malformed"] for row in found):
        with pytest.raises(ValueError, match=r".*"):
            _all_objects(json.loads(bytes(content), parse_constant=int, object_pairs_hook=_strict))
        return
    truth = json.loads(bytes(content).removeprefix(b"\xef\xbb\xbf"))
    assert len(truth if isinstance(truth, list) else [truth]) == len(found)


def _all_objects(value):
    """Refuse what stands for a record and is no object."""
    if not all(isinstance(item, dict) for item in (value if isinstance(value, list) else [value])):
        raise ValueError(value)


def _strict(pairs):
    """An object as we take it: of different keys."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError(pairs)
    return dict(pairs)


@settings(max_examples=200, deadline=None)
@given(content=st.lists(st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"1", b"x"]), max_size=14).map(b"".join), piece=st.integers(1, 5))  # fmt: skip
@example(content=b'["x', piece=1)
def test_the_cut_does_not_depend_on_how_it_is_read(content, piece):
    """Read byte by byte or at once, the same elements come out, or the file is refused both times."""
    outcomes = [told(lambda size=size: cut(b"[" + content, size)) for size in (piece, 1 << 20)]
    assert outcomes[0] == outcomes[1] or {type(outcome) for outcome in outcomes} == {str}
