"""Where a character of a value stands in its file, in every style of YAML, and how far a word reaches."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.documents import load_document
from pratique.positions import inside, word_length

WORDS = st.lists(st.text("abcXYZ09é売'\"\\:#-,{}", min_size=1, max_size=9), min_size=1, max_size=30)
JOINTS = st.sampled_from([" ", "  ", "\n", "\n\n"])


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=WORDS,
    joint=JOINTS,
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    wide=st.booleans(),
)
def test_each_letter_of_a_value_is_found_in_the_file(
    tmp_path: Path, words: list[str], joint: str, style: str | None, *, wide: bool
) -> None:
    """Folded, quoted, escaped or in a block: the place of a letter is where this letter stands, or its escape begins."""
    text = joint.join(words)
    path = tmp_path / "x.yaml"
    dumped = yaml.dump({"a": {"b": text}}, default_style=style, width=400 if wide else 30, allow_unicode=wide)
    path.write_text(dumped, encoding="utf-8")
    document = load_document(path)
    assert document.value == {"a": {"b": text}}
    lines = dumped.splitlines()
    for offset, char in enumerate(text):
        if char.isalnum():
            line, column = (int(part) for part in document.inside(("a", "b"), text, offset).rsplit(":", 2)[1:])
            assert lines[line - 1][column - 1] in {char, "\\"}, (dumped, offset)


def test_a_text_that_is_not_there_is_placed_at_the_value() -> None:
    """Where the file says something else than the value, the place is the beginning of the value."""
    assert inside(["a: xyz"], (1, 4), "other", 3) == (1, 4)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("a: «value» # why", "value"),
        ("«key»: value", "key"),
        ("a: «two words»", "two words"),
        ("a: «with:colon»", "with:colon"),
        ("a: {b: «c», d: e}", "c"),
        ("a: {b: «'it''s, }'»}", "'it''s, }'"),
        ('a: {b: «"\\", }"», c}', '"\\", }"'),
        ("a: «{b: [c, '}'], d: e}» # x", "{b: [c, '}'], d: e}"),
        ("a: «[b, c]»", "[b, c]"),
        ("a: «{»b: c,", "{"),
        ("a: «'open", "'open"),
        ("a: «»", ""),
    ],
)
def test_a_word_reaches_to_its_end(line: str, word: str) -> None:
    """A key, a plain or quoted value, a mapping or list up to its bracket, in this line."""
    bare = line.replace("«", "").replace("»", "")
    assert word_length(bare, line.index("«") + 1) == max(len(word), 1)
