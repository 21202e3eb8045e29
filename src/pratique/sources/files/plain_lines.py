"""Which lines of a block are records by themselves: what a grammar says of each, asked of all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pratique.sources.files import bits
from pratique.sources.files.grammar import Grammar

_NEWLINE, _RETURN = 10, 13


def doubtful_lines(block: bytes, grammar: Grammar) -> list[int]:
    """Where the lines begin that are no record by themselves, ascending. Every other line is one, in `lines`.

    Asks for marks of one byte, no escape, no comment and a width. Blank lines are doubtful, and so is what follows the
    last line end. What is not UTF-8, NUL and length are not looked at.
    """
    end = block.rfind(b"\n") + 1
    rest = [end] if end < len(block) else []
    if not end:
        return rest
    data = np.frombuffer(block, np.uint8, end)
    newlines = bits.where(data, _NEWLINE)
    ends = bits.places(newlines)
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    doubtful = _not_plain(data, newlines, starts, ends, grammar)
    if grammar.header:
        doubtful[np.searchsorted(starts, list(_repeated(block, grammar.header)))] = True
    return [*starts[doubtful].tolist(), *rest]


def _repeated(block: bytes, header: bytes) -> Iterator[int]:
    """Where lines begin that are the header. Searched as text: an expression is tried at every line."""
    at = block.find(header)
    while at >= 0:
        end = at + len(header)
        if (at == 0 or block[at - 1] == _NEWLINE) and block[end : end + 2].startswith((b"\n", b"\r\n")):
            yield at
        at = block.find(header, end)


def _not_plain(
    data: NDArray[np.uint8], newlines: bits.Bits, starts: bits.Places, ends: bits.Places, grammar: Grammar
) -> NDArray[np.bool_]:
    """Which lines have fields too many or too few, quotes out of order, or a carriage return before their end."""
    delimiters = bits.where(data, grammar.delimiter[0])
    returns = bits.where(data, _RETURN)
    wrong = returns & ~bits.ahead(newlines)
    # A first line end has the last one before it, which is no carriage return.
    doubtful: NDArray[np.bool_] = ends - starts - (data[ends - 1] == _RETURN) <= 0
    if grammar.quote:
        quotes = bits.where(data, grammar.quote[0])
        inside, odd = _inside(quotes, starts, ends)
        doubtful |= odd
        begins = bits.after(delimiters | quotes | newlines, first=True)
        stops = bits.ahead(delimiters | quotes | newlines | returns)
        wrong |= quotes & ~(inside & begins | ~inside & stops)
        delimiters &= ~inside
    counted = bits.Ranked(delimiters)
    doubtful |= counted.before(ends) - counted.before(starts) != (grammar.width or 1) - 1
    doubtful[np.searchsorted(ends, bits.places(wrong))] = True
    return doubtful


def _inside(quotes: bits.Bits, starts: bits.Places, ends: bits.Places) -> tuple[bits.Bits, NDArray[np.bool_]]:
    """The places inside of quotes, each line looked at by itself, and the lines at whose end a quote is open."""
    counted = bits.Ranked(quotes)
    before = counted.before(starts) & 1 == 1
    odd = (counted.before(ends) & 1 == 1) != before
    turns = before.copy()
    turns[1:] ^= before[:-1]
    return bits.odd(quotes, odd_before=False) ^ bits.odd(bits.those(starts[turns], quotes.size), odd_before=False), odd
