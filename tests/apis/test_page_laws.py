"""Laws of a page: two parsers agree on how many records it holds, and the quick way gives what the exact one gives."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pratique.apis import JsonPath
from pratique.errors import SourceError
from pratique.schema import Field, Schema
from pratique.sources.api.pages import PageReader, counted
from pratique.sources.files.jsonl import RecordParser

SCHEMA = Schema("x", 1, (Field("a"), Field("b", aliases=("b", "é")), Field("c")), extra_fields="drop")
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=5)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=4)  # fmt: skip
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "é"]), VALUES, max_size=4) | PLAIN
PATHS = [("[*]", []), ("data[*]", ["data"]), ("x.y[*]", ["x", "y"]), ('["o d"]["data"][*]', ["o d", "data"])]


@given(
    records=st.lists(RECORDS, max_size=6),
    path=st.sampled_from(PATHS),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    marked=st.booleans(),
)
def test_the_quick_way_and_the_exact_one_agree(
    records: list[Any], path: tuple[str, list[str]], *, ascii_only: bool, indent: int | None, marked: bool
) -> None:
    """Whatever a page holds, wherever its records stand and however it is written."""
    value: Any = records
    for key in reversed(path[1]):
        value = {"before": [1, {"data": [2]}], key: value, "after": {"x": None}}
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    body = b"\xef\xbb\xbf" * marked + body + b" \n" * marked
    where = JsonPath.parse(path[0])
    reader, parser = PageReader(SCHEMA, where), RecordParser(SCHEMA)
    found = list(reader.records(body))
    assert counted(body, where).records == len(found) == len(records)
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    exact = [parser.parse(text[one.begin : one.end].encode("utf-8", "surrogateescape")) for one in found]
    assert [(one.values, one.problem) for one in found] == exact
    assert PageReader(SCHEMA, where).table(body) == exact
    given_back = list(reader.texts(body, range(1, len(found) + 1)))
    assert [text.encode("utf-8", "surrogateescape") for _, text, _, _ in given_back if text.isascii()] == [
        body[offset : offset + len(text)] for _, text, _, offset in given_back if text.isascii()
    ]


@given(st.binary(max_size=40) | st.text(st.sampled_from('{}[]:,"\\ 1ena\ud800'), max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")))  # fmt: skip
def test_a_page_that_lands_can_be_read(body: bytes) -> None:
    """Whatever bytes are answered: they are refused when they land, or both parsers read as many records."""
    for path in ("[*]", "a[*]", "a", ""):
        where = JsonPath.parse(path)
        try:
            count = counted(body, where).records
        except SourceError:
            continue
        assert len(PageReader(SCHEMA, where).table(body)) == count
