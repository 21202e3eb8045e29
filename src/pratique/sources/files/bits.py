"""Sets of places in a block of bytes, a bit for each: what would be a step per byte is one per 64.

The way of finding which bytes stand inside of quotes is that of Langdale and Lemire, "Parsing Gigabytes of JSON per
Second" (2019), section 3.1.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.intp]

_LAST: Final = 63  # place in a word
_PLACE_IN_OCTET: Final = np.array([max(octet.bit_length() - 1, 0) for octet in range(256)], np.intp)


def where(data: NDArray[np.uint8], byte: int) -> Bits:
    """The places at which a byte stands."""
    words = np.zeros(-(-data.size // 64), "<u8")
    octets = np.packbits(data == byte, bitorder="little")
    words.view(np.uint8)[: octets.size] = octets
    return words


def after(bits: Bits, *, first: bool) -> Bits:
    """The places behind those that are set; the first one of all if `first`."""
    moved = bits << np.uint64(1)
    moved[1:] |= bits[:-1] >> np.uint64(_LAST)
    moved[0] |= first
    return moved


def ahead(bits: Bits) -> Bits:
    """The places right before those that are set."""
    moved = bits >> np.uint64(1)
    moved[:-1] |= bits[1:] << np.uint64(_LAST)
    return moved


def odd(bits: Bits, *, odd_before: bool) -> Bits:
    """The places up to which, themselves counted, an odd number is set; `odd_before`: one more was set before all."""
    found = bits.copy()
    for shift in (1, 2, 4, 8, 16, 32):
        found ^= found << shift
    carried = np.bitwise_xor.accumulate(found >> _LAST)
    found[1:] ^= np.negative(carried[:-1])  # 1 becomes a word of ones
    return ~found if odd_before else found


def count(bits: Bits) -> int:
    """How many are set."""
    return int(np.bitwise_count(bits).sum(dtype=np.intp))


def places(bits: Bits) -> Places:
    """The places that are set, ascending."""
    octets = bits.view(np.uint8)
    some = (octets != 0).nonzero()[0]
    held = octets[some]
    if (held & (held - 1)).any():  # two in one octet
        return np.unpackbits(octets, bitorder="little").nonzero()[0]
    found: Places = some * 8 + _PLACE_IN_OCTET[held]
    return found


class Ranked:
    """Bits of which is asked how many are set before a place."""

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self._totals: Places = np.bitwise_count(bits).cumsum(dtype=np.intp)
        self.total = int(self._totals[-1])

    def before(self, at: Places) -> Places:
        """How many are set before each of some places."""
        words = at >> 6
        beyond = np.bitwise_count(self._bits[words] >> (at & _LAST).view(np.uint64))
        found: Places = self._totals[words] - beyond
        return found
