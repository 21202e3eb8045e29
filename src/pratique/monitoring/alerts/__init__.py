"""Alerts: rules find what is wrong, judging says who is to be told of it once, channels tell."""

from pratique.monitoring.alerts.channels import Channel, ChannelError, web
from pratique.monitoring.alerts.judging import Policy, Route, acknowledge, judge
from pratique.monitoring.alerts.rules import (
    Danger,
    Seen,
    danger_of,
    late_findings,
    problem_finding,
    run_findings,
)
from pratique.monitoring.alerts.wording import trial_event

__all__ = [
    "Channel",
    "ChannelError",
    "Danger",
    "Policy",
    "Route",
    "Seen",
    "acknowledge",
    "danger_of",
    "judge",
    "late_findings",
    "problem_finding",
    "run_findings",
    "trial_event",
    "web",
]
