"""Documents: what a scalar means, where it stands, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pratique.documents import load_document, load_documents
from pratique.errors import ConfigurationError
from pratique.secrets import Secret, resolve_secrets, reveal


def _load(folder: Path, text: str, name: str = "a.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_document(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("True", "True"), ("NULL", "NULL"),
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
        ("7", 7), ("-7", -7), ("0", 0), ("0.10", 0.1), ("1e2", 100.0), ("-0.5", -0.5),
        ("0123", "0123"), ("+7", "+7"), ("1_000", "1_000"), ("1:30", "1:30"), ("0x1F", "0x1F"), ("0o17", "0o17"),
        (".5", ".5"), ("1.", "1."), (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"),
        ("2024-01-31", "2024-01-31"), ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"), ("=", "="),
        ("12345678901234567890123", 12345678901234567890123),
        ('"7"', "7"), ("'true'", "true"), ('"null"', "null"), ("0.1 %", "0.1 %"), ('"\\t"', "\t"),
    ],
)  # fmt: skip
def test_a_plain_scalar_means_only_what_json_means(tmp_path: Path, text: str, value: object) -> None:
    """Booleans, null and numbers are those of JSON; every other plain scalar and every quoted one is text."""
    found = _load(tmp_path, f"a: {text}\n").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_value_and_key_knows_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`where` gives file:line:column of a value, `key_where` of its key, and both fall back to what is written."""
    monkeypatch.chdir(tmp_path)
    document = _load(tmp_path, "a:\n  b: [1, {c: 0.10}]\nd: x\n")
    assert document.where(("a", "b", 1, "c")) == "a.yaml:2:14"
    assert document.key_where(("a", "b", 1, "c")) == "a.yaml:2:11"
    assert document.where(("a", "b", 7, "z")) == "a.yaml:2:6"
    assert document.key_where(("a", "z")) == "a.yaml:2:3"
    assert document.where() == "a.yaml:1:1"
    assert document.text(("a", "b", 1, "c")) == "0.10"
    assert document.text(("a",)) is None
    assert document.has(("d",))
    assert not document.has(("e",))


def test_json_has_places_and_texts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSON file, indented by tabs, is read with the same promises; surrogate pairs are one character."""
    monkeypatch.chdir(tmp_path)
    document = _load(
        tmp_path, '{\n\t"a": [1, 2.50],\n\t"b": "\\ud83d\\ude00", "c": {}, "d": [], "e": null\n}\n', "a.json"
    )
    assert document.value == {"a": [1, 2.5], "b": "😀", "c": {}, "d": [], "e": None}
    assert document.where(("a", 1)) == "a.json:2:11"
    assert document.key_where(("b",)) == "a.json:3:2"
    assert document.text(("a", 1)) == "2.50"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=_JSON, indent=st.sampled_from([None, 1, "\t"]), escaped=st.sampled_from([True, False]))
def test_json_is_read_as_python_reads_it(
    tmp_path_factory: pytest.TempPathFactory, value: object, indent: int | str | None, escaped: object
) -> None:
    """Whatever `json` writes, `load_document` reads as the same value."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(
        json.dumps(value, indent=indent, ensure_ascii=bool(escaped)), encoding="utf-8", errors="surrogatepass"
    )
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    assert load_document(path).value == value


@pytest.mark.parametrize(
    ("name", "text", "place", "message"),
    [
        ("a.yaml", "a: 1\nb: *x\n", "2:4", "aliases"),
        ("a.yaml", "a: &x 1\n", "1:4", "anchors"),
        ("a.yaml", "a: &x {b: 1}\n", "1:4", "anchors"),
        ("a.yaml", "a: !!int 1\n", "1:4", "tags"),
        ("a.yaml", "a: !python/object:os.system {}\n", "1:4", "tags"),
        ("a.yaml", "<<: {a: 1}\n", "1:1", "merge keys"),
        ("a.yaml", "a: 1\n\na: 2\n", "3:1", 'the key "a" stands twice'),
        ("a.yaml", "x: {a: 1, 'a': 2}\n", "1:11", 'the key "a" stands twice'),
        ("a.yaml", "? [a]\n: 1\n", "1:3", "a key must be plain text"),
        ("a.yaml", "a: b: c\n", "1:5", "not valid YAML"),
        ("a.yaml", "a:\n\t- x\n", "2:1", "not valid YAML"),
        ("a.yaml", "a: [1\n", "1:4", "not valid YAML"),
        ("a.yaml", "a: \x01\n", "1:4", "U\\+0001 may not stand"),
        ("a.yaml", "é: 1\nb: \x00\n", "2:4", "U\\+0000 may not stand"),
        ("a.yaml", "a:\n  b: 'x\n  c: y\nd: 1\n", "2:6", "this ' is not closed"),
        ("a.yaml", "a: 1\n---\nb: 2\n", "3:1", "a second document"),
        ("a.yaml", "[" * 60 + "]" * 60, "1:52", "nested deeper than 50"),
        ("a.json", '{"a": 1, "a": 2}', "1:10", "stands twice"),
        ("a.json", '{"a": 1,}', "1:9", "not valid JSON"),
        ("a.json", "[1 2]", "1:4", "not valid JSON"),
        ("a.json", '{"a": 01}', "1:7", "not valid JSON"),
        ("a.json", '{"a": NaN}', "1:7", "not valid JSON"),
        ("a.json", '{"a": "x', "1:7", "not valid JSON"),
        ("a.json", "{} x", "1:4", "nothing may follow"),
        ("a.json", "[" * 60 + "]" * 60, "1:52", "nested deeper than 50"),
    ],
)
def test_what_could_surprise_is_refused_at_its_place(
    tmp_path: Path, name: str, text: str, place: str, message: str
) -> None:
    """Aliases, tags, merge keys, repeated keys and broken text are errors with line, column and a hint."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        _load(tmp_path, text, name)
    assert caught.value.where.endswith(f"{name}:{place}")
    assert caught.value.hint


def test_several_documents_of_one_file_are_read_and_empty_ones_are_none(tmp_path: Path) -> None:
    """`---` separates documents; a file of comments holds none; a trailing `---` adds none."""
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n---\na: 2\n---\n")
    assert [document.value for document in load_documents(path)] == [{"a": 1}, {"a": 2}]
    path.write_text("# nothing\n")
    assert load_documents(path) == []
    assert load_document(path).value is None


@pytest.mark.parametrize(
    ("data", "message"), [(b"a: 1\nb: \xff\n", "not UTF-8"), (b"a: " + b"x" * (1 << 20), "larger than 1 MiB")]
)
def test_a_file_that_is_not_small_utf8_text_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """Bytes that are no UTF-8 are named by line and column, files over 1 MiB are not read."""
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_document(path)
    assert caught.value.where.endswith("a.yaml:2:4" if "UTF" in message else "a.yaml")


def test_a_missing_file_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    """A file that cannot be opened is named with the reason of the system."""
    with pytest.raises(ConfigurationError, match="No such file"):
        load_document(tmp_path / "none.yaml")


def test_a_secret_never_prints_itself(tmp_path: Path) -> None:
    """repr, str, format and containers of a Secret show ***; reveal alone gives the text."""
    value = resolve_secrets(
        {"url": "pg://u:${PW}@h", "n": 1, "list": ["${PW}", "plain"]}, {"PW": "hunter2"}, root=tmp_path, where=str
    )
    printed = f"{value} {value!r} {value['url']:>9} {value['url']}"
    assert "hunter2" not in printed
    assert "***" in printed
    assert value["list"][1] == "plain"
    assert reveal(value) == {"url": "pg://u:hunter2@h", "n": 1, "list": ["hunter2", "plain"]}
    assert value["list"][0] == Secret("hunter2")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_secret_file_is_read_relative_to_the_root_without_its_line_end(tmp_path: Path) -> None:
    """`${file:PATH}` gives the file's text; what it holds is not expanded again."""
    (tmp_path / "key").write_text("s3cr${X}et\n")
    assert resolve_secrets("${file:key}", {"X": "no"}, root=tmp_path, where=str).reveal() == "s3cr${X}et"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOPE}", "NOPE is not set"),
        ("${a b}", "is not a reference"),
        ("${file:nope}", "nope cannot be read"),
        ("${}", "reference"),
    ],
)
def test_a_reference_to_nothing_names_what_is_missing_and_where(tmp_path: Path, text: str, message: str) -> None:
    """A missing variable or file is an error at the place of the text that refers to it."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        resolve_secrets({"a": [text]}, {}, root=tmp_path, where=lambda path: f"f:{path}")
    assert caught.value.where == "f:('a', 0)"
    assert caught.value.hint


def test_an_error_keeps_its_place_when_it_is_pickled(tmp_path: Path) -> None:
    """A ConfigurationError of a document survives pickling with place and hint."""
    with pytest.raises(ConfigurationError) as caught:
        _load(tmp_path, "a: *x\n")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (again.where, again.hint, str(again)) == (caught.value.where, caught.value.hint, str(caught.value))
