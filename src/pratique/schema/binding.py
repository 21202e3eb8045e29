"""Which column of a header feeds which field, and how a header differs from what its schema expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pratique.schema.fields import Field, Schema


@dataclass(frozen=True, slots=True)
class Binding:
    """`columns`: field -> header name. `near` gives, for a missing field, header names that look like it."""

    columns: Mapping[str, str]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    near: Mapping[str, tuple[str, ...]] | None = None

    @property
    def exact(self) -> bool:
        """The header holds every field once, and nothing else."""
        return not (self.missing or self.extra or self.duplicates)

    def difference(self) -> str:
        """One line for people: what is missing, what is new, and which new name may be the missing one."""
        near = self.near or {}
        missing = [
            f"{name} ({'perhaps ' + ', '.join(near[name]) if near.get(name) else 'nothing like it'})"
            for name in self.missing
        ]
        parts = (("missing", missing), ("not in the schema", self.extra), ("more than once", self.duplicates))
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts if names)


def bind(schema: Schema, header: Sequence[str]) -> Binding:
    """Bind each field to the first of its aliases that `header` has; names are compared exactly."""
    present = set(header)
    expected = [item for item in schema.fields if item.capture is None and item.expression is None]
    columns = {
        item.name: name
        for item in expected
        for name in [next((h for h in item.headers if h in present), None)]
        if name is not None
    }
    used = set(columns.values())
    extra = tuple(name for name in dict.fromkeys(header) if name not in used)
    missing = tuple(item.name for item in expected if item.name not in columns)
    by_case = {name.casefold().strip(): name for name in extra}
    near = {}
    for item in expected:
        if item.name in missing:
            words = [
                word
                for alias in (*item.headers, item.name)
                for word in get_close_matches(alias.casefold().strip(), by_case, n=2)
            ]
            near[item.name] = tuple(by_case[word] for word in dict.fromkeys(words))
    # The engine's names ignore case, so `Id` beside `id` is a double name there.
    folded = Counter(name.casefold() for name in header)
    duplicates = tuple(dict.fromkeys(name for name in header if folded[name.casefold()] > 1))
    return Binding(columns, missing, extra, duplicates, near)


def reader_of(schema: Schema, header: str) -> Field | None:
    """The field that reads what stands under `header`; None if none does."""
    read = (item for item in schema.fields if item.capture is None and item.expression is None)
    return next((item for item in read if header in item.headers), None)
