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


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What one input may cost; beyond it a file is held before memory is spent on it."""

    record_bytes_max: int = 16 << 20
    columns_max: int = 2000
    files_per_load_max: int = 1000
    unpacked_bytes_max: int = 20 << 30
    expansion_max: int = 200
    response_bytes_max: int = 32 << 20
    pages_max: int = 100_000
    read_seconds_max: float = 21_600
    landed_hours_max: float = 24


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
