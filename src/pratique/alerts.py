"""Alerts as values: what was found wrong, since when it is so, who was told. The ledger keeps them, rules make them.

Times are texts, UTC, ISO 8601 with milliseconds: they sort as the moments do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

Severity = Literal["warning", "critical"]
Rule = Literal["run_failed", "gate_failed", "file_held", "quality", "slow", "late"]
Kind = Literal["raised", "again", "resolved", "test"]

RULES: Final[Mapping[Rule, tuple[str, str]]] = {  # what each finds, and the type of its CloudEvent
    "run_failed": ("a run, or a source of it, failed", "run.failed.v1"),
    "gate_failed": ("the gate let nothing of a source through", "quarantine.threshold_exceeded.v1"),
    "file_held": ("files were held; the others are loaded", "file.held.v1"),
    "quality": ("less of the records is good than monitoring.thresholds ask for", "quality.breached.v1"),
    "slow": ("sources take longer than monitoring.thresholds allow", "duration.breached.v1"),
    "late": ("what `expect` promises is not there in time", "freshness.breached.v1"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose pipeline it is, how much hangs on it (1 is most), and where it stands what to do."""

    team: str = ""
    tier: int | None = None
    runbook: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong now. Rule, pipeline, source and code name the cause; what else it says may change.

    `run_id` is empty where the clock found it. Nobody is told before `tell_after`.
    """

    rule: Rule
    pipeline: str
    source: str = ""
    code: str = ""
    severity: Severity = "critical"
    summary: str = ""
    action: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""
    tell_after: str = ""
    owner: Owner = field(default_factory=Owner)

    @property
    def cause(self) -> tuple[str, str, str, str]:
        """Two findings of one cause are one alert."""
        return self.rule, self.pipeline, self.source, self.code


@dataclass(frozen=True, slots=True)
class Alert:
    """A cause from its first finding to its end; `finding` is the newest. An empty time is one that did not come.

    `quiet_until`: it came back so soon after its last message that it waits. `told_at` and `told_severity` are those
    of the newest message; `messages` counts them, so that each has an id of its own.
    """

    alert_id: str
    environment: str
    finding: Finding
    began_at: str
    last_at: str
    occurrences: int = 1
    quiet_until: str = ""
    told_at: str = ""
    told_severity: Severity = "warning"
    messages: int = 0
    resolved_at: str = ""
    acknowledged_at: str = ""
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell one channel of an environment, as a CloudEvent. The same id twice is the same message."""

    message_id: str
    alert_id: str
    environment: str
    channel: str
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one channel has not taken yet: how many messages, since when, after how many tries, and why not."""

    channel: str
    messages: int
    since: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows when it is judged: alerts that are open or ended lately, and silences with their ends."""

    alerts: tuple[Alert, ...]
    silences: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Judged:
    """What judging changed, and what is to be told: both become durable together."""

    alerts: tuple[Alert, ...] = ()
    messages: tuple[Message, ...] = ()


def utc_now() -> datetime:
    """The time, as whoever judges by the clock asks for it."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A moment as alerts and their messages write it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def later(at: str, seconds: float) -> str:
    """So many seconds after a stamp."""
    return stamp(datetime.fromisoformat(at) + timedelta(seconds=seconds))
