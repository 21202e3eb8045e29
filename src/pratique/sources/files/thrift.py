"""Thrift's compact protocol, as far as Parquet uses it. Bytes of any kind give a value or an error, never more.

Upstream: pyarrow 26 ends the process (std::terminate) at some damaged column descriptions in a footer.
"""

from __future__ import annotations

from typing import Any, Final

_NESTING_MAX: Final = 32  # Limit: a footer nests six deep
_BITS_MAX: Final = 64
_LONG_LIST: Final = 15
_TRUE, _FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _SET, _STRUCT = 1, 2, 3, 6, 7, 8, 10, 12
_KINDS: Final = frozenset(range(_TRUE, _SET + 1)) | {_STRUCT}  # all but maps, which Parquet does not use


class TooManyEntriesError(ValueError):
    """A list is longer than allowed; its argument is its length."""


class CompactReader:
    """Reads `data` from `at` on. IndexError where the bytes end too early, ValueError where they make no sense.

    A list of more than `entries_max` is a TooManyEntriesError as soon as its length is read.
    """

    def __init__(self, data: bytes, entries_max: int = 1000) -> None:
        self.data = data
        self.entries_max = entries_max
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Field number -> value: a number, bytes, a list, or a dict for a struct."""
        found: dict[int, Any] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._signed()
            kind &= 15
            found[field] = kind == _TRUE if kind <= _FALSE else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _NESTING_MAX or kind not in _KINDS:
            raise ValueError("no such type")
        if kind <= _BYTE:  # in a list a truth value takes a byte
            found: Any = self._byte()
        elif kind <= _I64:
            found = self._signed()
        elif kind <= _BINARY:
            found = self._bytes(8 if kind == _DOUBLE else self._number())
        elif kind <= _SET:
            size = self._byte()
            count = size >> 4 if size >> 4 < _LONG_LIST else self._number()
            if count > self.entries_max:
                raise TooManyEntriesError(count)
            found = [self._value(size & 15, depth + 1) for _ in range(count)]
        else:
            found = self.struct(depth + 1)
        return found

    def _byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7
            if shift >= _BITS_MAX:
                raise ValueError("a number of more than 64 bits")

    def _signed(self) -> int:
        value = self._number()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise IndexError
        found = self.data[self.at : end]
        self.at = end
        return found
