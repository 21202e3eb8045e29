"""Looking at all lines of a block at once says of each what the grammar says of it alone."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pratique.schema import Dialect
from pratique.sources.files.cutter import Cut, Cutter
from pratique.sources.files.grammar import Grammar, grammar
from pratique.sources.files.plain_lines import doubtful_lines

ATOMS = [b"a", b",", b",", b'"', b'"', b'""', b"\n", b"\n", b"\r\n", b"\r", b"a,b", b'"a","b"\n', b"h,h", b"\xc3\xa9"]


def by_grammar(block: bytes, marks: Grammar) -> list[int]:
    """Where the lines begin that are no record, asked of the regular expression line by line."""
    found, at = [], 0
    while at < len(block):
        end = block.find(b"\n", at) + 1 or len(block)
        match = marks.lines.fullmatch(block[at:end])
        if match is None or not block[at:end].endswith(b"\n"):
            found.append(at)
        at = end
    return found


@settings(max_examples=1500, deadline=None)
@example(parts=[b"\n"], width=1, quote='"', header=b"")
@example(parts=[b"a" * 63, b'"\n', b"a,b\n"], width=2, quote='"', header=b"")
@given(
    parts=st.lists(st.sampled_from(ATOMS), max_size=60),
    width=st.integers(1, 3),
    quote=st.sampled_from(['"', ""]),
    header=st.sampled_from([b"", b"h,h"]),
)
def test_each_line_is_judged_as_if_alone(parts: list[bytes], width: int, quote: str, header: bytes) -> None:
    """Whatever lines stand around it, a line is doubtful if and only if the grammar does not take it alone."""
    marks = grammar(Dialect(quote_char=quote or None), width, header=header)
    assert marks.simple
    assert doubtful_lines(b"".join(parts), marks) == by_grammar(b"".join(parts), marks)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_large_and_small_pieces_are_cut_alike(width: int) -> None:
    """The records of a broken text are the same whether it comes in pieces or as a whole."""
    chance = random.Random(width)  # noqa: S311 - a text, not a secret
    sound = b",".join([b'"a ""b"" c"', b"d", b"e f"][:width]) + b"\n"
    parts = [chance.choice([*ATOMS, b"\0", b"\xff"]) if chance.random() < 0.05 else sound for _ in range(90_000)]
    content = b"".join(parts)
    marks = grammar(Dialect(), width, header=b"h,h")

    def cut(size: int) -> tuple[list[tuple[int, int, bytes, str | None]], tuple[object, ...]]:
        chunks = (content[at : at + size] for at in range(0, len(content), size))
        cutter = Cutter(chunks, marks, 1 << 20)
        records = [record for made in cutter for record in singly(made)]
        return records, (cutter.blank_lines, cutter.multiline, cutter.ends, cutter.line)

    assert len(content) > 3 * (256 << 10)
    assert cut(1 << 20) == cut(64 << 10)


def singly(cut: Cut) -> list[tuple[int, int, bytes, str | None]]:
    """The records of a cut: offset, line, bytes, problem."""
    if cut.records == 1:
        return [(cut.offset, cut.line, cut.data, cut.problem)]
    made, offset = [], cut.offset
    for number, line in enumerate(cut.data.splitlines(keepends=True)):
        made.append((offset, cut.line + number, line, cut.problem))
        offset += len(line)
    return made
