"""An alert in words: as a CloudEvent for machines, and as title and text for people, made from the same event."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from pratique.alerts import RULES, Alert, Finding, Kind
from pratique.printable import shown
from pratique.secrets import hide_secrets

EVENT_TYPE: Final = "application/cloudevents+json"
_TYPES: Final = "org.example.pratique."
_SHORT: Final = 6  # digits of an id that people see
_MARKS: Final[Mapping[str, str]] = {"raised": "", "again": "STILL ", "resolved": "RESOLVED ", "test": "TEST "}


def about(alert: Alert, kind: Kind, now: str) -> dict[str, Any]:
    """The CloudEvent 1.0 of a message: the same id, whoever sends it how often; `data` says all that is known."""
    finding = alert.finding
    over = {"resolved_at": alert.resolved_at} if alert.resolved_at else {}
    taken = {"acknowledged_by": alert.acknowledged_by} if alert.acknowledged_by else {}
    owner = {"owner": finding.owner.team, "tier": finding.owner.tier, "runbook": finding.owner.runbook}
    event = {
        "specversion": "1.0",
        "id": f"{alert.alert_id}-{alert.messages}",
        "source": f"/pratique/{alert.environment}/{finding.pipeline}",
        "type": _TYPES + ("alert.resolved.v1" if kind == "resolved" else RULES[finding.rule][1]),
        "subject": _subject(finding),
        "time": now,
        "datacontenttype": "application/json",
        "severity": finding.severity,
        "pipelinename": finding.pipeline,
        "data": {
            "status": kind,
            "alert_id": alert.alert_id,
            "rule": finding.rule,
            "environment": alert.environment,
            "pipeline": finding.pipeline,
            "source": finding.source,
            "severity": finding.severity,
            "summary": finding.summary,
            "action": finding.action,
            "context": dict(finding.context),
            "run_id": finding.run_id,
            "began_at": alert.began_at,
            "last_at": alert.last_at,
            "occurrences": alert.occurrences,
            **{name: value for name, value in owner.items() if value},
            **over,
            **taken,
        },
    }
    return dict(hide_secrets(event))


def trial_event(environment: str, now: str) -> dict[str, Any]:
    """A CloudEvent by which people see that a channel works."""
    finding = Finding("run_failed", "test", severity="warning", summary="a test: the channel works", action="nothing")
    alert = Alert(uuid.uuid4().hex, environment, finding, now, now, messages=1)
    event = about(alert, "test", now)
    return {**event, "type": f"{_TYPES}test.v1"}


def _subject(finding: Finding) -> str:
    return f"{finding.pipeline}.{finding.source}" if finding.source else finding.pipeline


def text_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """Title and text of an event for people; what data holds steers nothing."""
    data = event["data"]
    title = f"{_MARKS[data['status']]}{data['severity'].upper()}: {event['subject']} ({data['environment']})"
    lines = [shown(line) for line in _lines(data)]
    return shown(title), "\n".join(lines)


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"{RULES[data['rule']][0]}: {data['summary']}"
    if data["status"] != "resolved":
        yield f"do: {data['action']}"
    times = f", {data['occurrences']} times" if data["occurrences"] > 1 else ""
    until = f", over at {_moment(data['resolved_at'])}" if data["status"] == "resolved" else ""
    yield f"since {_moment(data['began_at'])}{times}{until}"
    if data.get("runbook"):
        yield f"runbook: {data['runbook']}"
    if data.get("owner"):
        tier = f", tier {data['tier']}" if data.get("tier") else ""
        yield f"owner: {data['owner']}{tier}"
    for name, value in data["context"].items():
        yield f"{name.replace('_', ' ')}: {_value(value)}"
    if data["run_id"]:
        yield f"run: pratique runs show {data['run_id'][:_SHORT]}"
    if data["status"] in {"raised", "again"}:
        yield f"seen: pratique alerts ack {data['alert_id'][:_SHORT]}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _moment(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"
