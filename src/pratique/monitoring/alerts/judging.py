"""Who is to be told of what, and when: one message for a cause, none again while it cools down, one when it is over."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from pratique.alerts import Alert, Finding, Judged, Kind, Known, Message, Severity, later
from pratique.monitoring.alerts.wording import about

_GRAVITY: Final[Mapping[Severity, int]] = {"warning": 0, "critical": 1}


@dataclass(frozen=True, slots=True)
class Route:
    """A channel, and which alerts go there."""

    channel: str
    severity: Severity = "warning"
    teams: tuple[str, ...] = ()
    tiers: tuple[int, ...] = ()

    def takes(self, finding: Finding) -> bool:
        """Whether somebody there wants to know of it."""
        owner = finding.owner
        return (
            _GRAVITY[finding.severity] >= _GRAVITY[self.severity]
            and (not self.teams or owner.team in self.teams)
            and (not self.tiers or owner.tier in self.tiers)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for all alerts of an environment."""

    environment: str
    routes: tuple[Route, ...] = ()
    severities: Mapping[str, Literal["auto", "warning", "critical", "none"]] = field(default_factory=dict)
    cooldown_seconds: float = 1_800
    repeat_seconds: float = 43_200


def judge(
    known: Known, findings: Iterable[Finding], settles: Callable[[Alert], bool], policy: Policy, now: str
) -> Judged:
    """Alerts as they are after a look that gave `findings`, and what is to be told.

    Open alerts without a finding that `settles` names are over. Whoever is not told now, because of a silence, a
    cool-down or a deadline that is not near, is told by a later look.
    """
    newest = {alert.finding.cause: alert for alert in known.alerts}
    found = {finding.cause: finding for finding in _weighed(findings, policy)}
    alerts: list[Alert] = []
    for cause, finding in found.items():
        before = newest.get(cause)
        alerts.append(
            _again(before, finding, now) if before and not before.resolved_at else _new(before, finding, policy, now)
        )
    alerts += [
        replace(alert, resolved_at=now) if settles(alert) else alert
        for alert in known.alerts
        if not alert.resolved_at and alert.finding.cause not in found
    ]
    told = [_told(alert, known.silences, policy, now) for alert in alerts]
    as_known = {alert.alert_id: alert for alert in known.alerts}
    changed = tuple(alert for alert, _ in told if alert != as_known.get(alert.alert_id))
    return Judged(changed, tuple(message for _, messages in told for message in messages))


def _weighed(findings: Iterable[Finding], policy: Policy) -> Iterator[Finding]:
    """Findings as grave as the settings say; those of which nobody is to be told are left out."""
    for finding in findings:
        word = policy.severities.get(finding.rule, "auto")
        if word != "none":
            yield finding if word == "auto" else replace(finding, severity=word)


def _again(alert: Alert, finding: Finding, now: str) -> Alert:
    once_more = finding.run_id != alert.finding.run_id  # what the clock finds lasts, and is no further occurrence
    return replace(alert, finding=finding, last_at=now, occurrences=alert.occurrences + once_more)


def _new(before: Alert | None, finding: Finding, policy: Policy, now: str) -> Alert:
    quiet = later(before.told_at, policy.cooldown_seconds) if before and before.told_at else ""
    return Alert(uuid.uuid4().hex, policy.environment, finding, now, now, quiet_until=quiet)


def _told(alert: Alert, silences: Mapping[str, str], policy: Policy, now: str) -> tuple[Alert, tuple[Message, ...]]:
    """The alert after whoever is to be told of it now was told, and the messages."""
    kind = _kind(alert, silences, policy, now)
    routes = [route for route in policy.routes if route.takes(_as_told(alert))] if kind else []
    if kind is None or not routes:
        return alert, ()
    number = alert.messages + 1
    after = replace(alert, told_at=now, told_severity=alert.finding.severity, messages=number)
    event = about(after, kind, now)
    return after, tuple(
        Message(str(event["id"]), alert.alert_id, alert.environment, route.channel, event) for route in routes
    )


def _as_told(alert: Alert) -> Finding:
    """Who heard of an alert hears of its end, whatever became of it in between."""
    severity = alert.told_severity if alert.resolved_at else alert.finding.severity
    return replace(alert.finding, severity=severity)


def _kind(alert: Alert, silences: Mapping[str, str], policy: Policy, now: str) -> Kind | None:
    """Which message is due now, if one is."""
    if alert.resolved_at:
        return "resolved" if alert.told_at else None
    finding = alert.finding
    if any(silences.get(name, "") > now for name in (finding.pipeline, alert.alert_id)):
        return None
    if not alert.told_at:
        return "raised" if max(alert.quiet_until, finding.tell_after) <= now else None
    if _GRAVITY[finding.severity] > _GRAVITY[alert.told_severity]:
        return "again"
    lasts = alert.last_at == now and later(alert.told_at, policy.repeat_seconds) <= now
    return "again" if lasts and not alert.acknowledged_at else None


def acknowledge(known: Known, alert_id: str, by: str, now: str) -> Judged:
    """Somebody looks after an open alert: it is not told again unless it gets graver; its end is told."""
    return Judged(
        tuple(
            replace(alert, acknowledged_at=now, acknowledged_by=by)
            for alert in known.alerts
            if alert.alert_id == alert_id and not alert.resolved_at
        )
    )
