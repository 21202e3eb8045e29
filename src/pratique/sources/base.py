"""What every source promises: it lands an immutable input, described, fingerprinted and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pratique.model import Landed, Position
from pratique.schema import Schema


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether something can be reached, and what was seen there."""

    reachable: bool
    detail: str


class Source(Protocol):
    """Where records come from."""

    name: str
    schema: Schema

    def probe(self) -> Probe:
        """Look whether the source can be read, without reading records."""
        ...

    def land(self, since: Position) -> Landed:
        """Describe what is new since `since`. Repeating it on an unchanged source gives an equal description."""
        ...
