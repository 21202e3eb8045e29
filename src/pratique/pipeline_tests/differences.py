"""Where what became of a test is not what it expects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SHOWN_MAX: Final = 10  # Limit: records of one list that are told; nobody reads more


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected: its place in the test, what it is about, both sides, and what explains it.

    `values` compares a record field by field: name, expected, got. Sensitive values are masked.
    """

    where: str
    what: str
    expected: str
    got: str
    values: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()


def counted(number: int, noun: str) -> str:
    """Such as `1 record`, `2 records`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shortened(found: list[Difference]) -> list[Difference]:
    """The first of a long list, and how many there are beside them."""
    if len(found) <= SHOWN_MAX:
        return found
    last = found[SHOWN_MAX]
    more = Difference(last.where, last.what, "", f"{counted(len(found) - SHOWN_MAX, 'more difference')}")
    return [*found[:SHOWN_MAX], more]


def listed(items: Iterable[str]) -> str:
    """Names with commas between, or `none`."""
    return ", ".join(items) or "none"
