"""What every source promises: it lands an immutable input, described, fingerprinted and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, Protocol

from pratique.errors import SourceError, SourceUnreachableError, stack_trace
from pratique.model import Landed, Position
from pratique.schema import Schema
from pratique.sources.retry import Retries

Step = Literal["address", "credentials", "permissions", "records"]
STEPS: Final[tuple[Step, ...]] = ("address", "credentials", "permissions", "records")
SHOWN_RECORDS: Final = 5  # Limit: a person looks at a few
_STRANGERS: Final = frozenset(  # codes of clouds and databases that say: we do not know who you are
    {
        401,
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "AuthenticationFailed",
        "NoCredentials",
    }
    | {"28000", "28P01", 1045, 1698}
)


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether something can be reached, and what was seen there: a few records, or why not and at which of `STEPS`."""

    reachable: bool
    detail: str
    records: tuple[Mapping[str, Any], ...] = ()
    failed: Step = "address"  # where it is not reachable
    hint: str = ""
    trace: str = ""  # where the error came from

    @classmethod
    def of(cls, error: SourceError, step: Step, records: tuple[Mapping[str, Any], ...] = ()) -> Probe:
        """What went wrong at this step, or before it as the error says."""
        if isinstance(error, SourceUnreachableError):
            step = "address"
        elif not _STRANGERS.isdisjoint(value for value in error.facts.values() if isinstance(value, int | str)):
            step = "credentials"
        elif error.facts.get("status") == HTTPStatus.FORBIDDEN:
            step = "permissions"
        told = f"{error.where}: {error.message}" if error.where else error.message
        return cls(False, told, records, step, error.hint, stack_trace(error, foreign=True))


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What one input may cost; beyond it a file is held before memory is spent on it. A run's `retries` are one."""

    record_bytes_max: int = 16 << 20
    columns_max: int = 2000
    files_per_load_max: int = 1000
    unpacked_bytes_max: int = 20 << 30
    expansion_max: int = 200
    response_bytes_max: int = 32 << 20
    pages_max: int = 100_000
    read_seconds_max: float = 21_600
    landed_hours_max: float = 24
    retries: Retries = field(default_factory=Retries, compare=False)


class Source(Protocol):
    """Where records come from."""

    name: str
    schema: Schema

    def probe(self) -> Probe:
        """Look whether the source can be read, and at a few of its records; without any effect."""
        ...

    def land(self, since: Position) -> Landed:
        """Describe what is new since `since`. Repeating it on an unchanged source gives an equal description."""
        ...
