"""What all events share, and the words and numbers that several of them tell alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from pratique.errors import Gravity
from pratique.measures import ERRORS, Measurement
from pratique.model import Account
from pratique.reports import Problem

Stage = Literal["landing", "judging", "writing quarantine", "loading", "committing"]
Level = Literal["debug", "info", "warning", "error", "critical"]

SHORT: Final = 6  # digits of a run id that people see


def level_of(gravity: Gravity) -> Level:
    """How loud an error is told that stopped something; one that did not is no more than a warning (`LoadRetried`)."""
    return "critical" if gravity == "critical" else "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened in a run."""

    level: ClassVar[Level] = "info"
    action: ClassVar[str] = ""  # ECS `event.action`

    pipeline: str
    run_id: str

    @property
    def loudness(self) -> Level:
        """The level of its log line."""
        return self.level

    def message(self) -> str:
        """Its log line, for people; nothing for mere steps on the way."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """The fields of its log line beside those that all have; a name with a dot is one of ECS, for machines."""
        return {}

    def measurements(self) -> Iterator[Measurement]:
        """What it changes of what is measured."""
        yield from ()

    def fields(self) -> dict[str, Any]:
        """All fields of its log line."""
        named = {name: getattr(self, name) for name in ("pipeline", "run_id", "source") if getattr(self, name, "")}
        seconds = getattr(self, "seconds", 0.0)
        took = {"event.duration": round(seconds * 1e9)} if seconds else {}  # ECS counts nanoseconds
        return {"event.action": self.action, **named, **took, **self.facts()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvent(Event):
    """Something happened to one source of a run."""

    source: str


def said(problem: Problem) -> str:
    """What an error says, and where."""
    return f"{problem.where}: {problem.message}" if problem.where else problem.message


def error_measured(pipeline: str, source: str, problem: Problem) -> Measurement:
    """One error more."""
    return Measurement(ERRORS, 1, (pipeline, source, problem.code, problem.gravity))


def problem_facts(problem: Problem | None, trace: str) -> dict[str, Any]:
    """An error as fields of a log line."""
    if problem is None:
        return {}
    told = {"event.outcome": "failure", "error.type": problem.code, "error.message": said(problem)}
    told |= {"error.stack_trace": trace} if trace else {}
    return {**told, "gravity": problem.gravity, **({"hint": problem.hint} if problem.hint else {})}


def account_facts(account: Account | None) -> dict[str, Any]:
    """An account as fields of a log line."""
    if account is None:
        return {}
    return {
        "rows_read": account.read,
        "rows_loaded": account.loaded,
        "rows_quarantined": account.quarantined,
        "rows_skipped": sum(account.skipped.values()),
    }


def counted(number: int) -> str:
    """So many rows, with the noun."""
    return f"{number:,} row{'s' if number != 1 else ''}"


def took(seconds: float) -> str:
    """How long it took, in brackets; nothing where that is next to nothing."""
    return f" ({seconds:.1f} s)" if seconds >= 0.05 else ""  # noqa: PLR2004 - less would be shown as 0.0


def size(number: int) -> str:
    """A number of bytes in the largest decimal unit that leaves a digit before the point."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 - from one decimal unit to the next
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
