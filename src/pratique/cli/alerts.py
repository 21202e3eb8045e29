"""`pratique alerts`: what is wrong and who was told; acknowledge, silence, test the channels, deliver."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click

from pratique.alerts import Alert, Waiting, later, stamp, utc_now
from pratique.cli.candidates import alert_ids, channel_names, silence_targets
from pratique.cli.console import Console, json_option, project_options, to_json
from pratique.cli.state import ledger_of
from pratique.cli.text import coloured, hanging, shown
from pratique.errors import ConfigurationError
from pratique.ingestion import channels_of, deliver_alerts
from pratique.monitoring.alerts import ChannelError, acknowledge, trial_event
from pratique.project import Project
from pratique.specs.base import nearest, seconds_of

_SHORT: Final = 6  # digits of an id that people see
_COLOURS: Final[Mapping[str, str]] = {"warning": "yellow", "critical": "red"}
_HISTORY_DAYS: Final = 90
_TEST_SECONDS: Final = 15.0  # Limit: of one test message
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?([+-]\d{2}:\d{2}|Z)?")


@click.group()
def alerts() -> None:
    """Show what is wrong and who was told of it; acknowledge, silence, deliver."""


@alerts.command(
    "list",
    epilog="""\b
Examples:
  pratique alerts list
  pratique alerts list --all           those of 90 days that are over, too
  pratique alerts list --json | jq '.waiting'""",
)
@click.option("--all", "everything", is_flag=True, help="Also alerts that are over, 90 days back.")
@json_option
@project_options
def list_alerts(*, everything: bool, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """List the open alerts of the environment, and what channels have not taken yet."""
    console, now = Console.choose(color), stamp(utc_now())
    name = Project(root, environment).config.environment
    with ledger_of(root, environment) as ledger:
        found = ledger.alerts.latest(name, later(now, -_HISTORY_DAYS * 86_400) if everything else "")
        silences = {target: until for target, until in ledger.alerts.silences(name).items() if until > now}
        waiting = ledger.alerts.waiting(name)
    if as_json:
        document = {"alerts": [asdict(alert) for alert in found], "silences": silences}
        console.out(to_json({**document, "waiting": [asdict(item) for item in waiting]}))
        return
    if not found:
        console.out(f"no alert is open in {name}")
    for alert in found:
        _tell(console, alert, silences)
    for target, until in silences.items():
        console.out(f"{shown(target[:_SHORT] if len(target) == 32 else target)} is silenced until {_local(until)}")  # noqa: PLR2004 - an id
    for item in waiting:
        for line in _waits(item, console.width):
            console.out(line)


def _tell(console: Console, alert: Alert, silences: Mapping[str, str]) -> None:
    finding = alert.finding
    what = shown(f"{finding.pipeline}.{finding.source}" if finding.source else finding.pipeline)
    severity = coloured(finding.severity, _COLOURS[finding.severity], on=console.color and not alert.resolved_at)
    times = f", {alert.occurrences} times" if alert.occurrences > 1 else ""
    state = _state(alert, silences)
    console.out(
        f"{alert.alert_id[:_SHORT]}  {severity}  {what}  {finding.rule}  since {_local(alert.began_at)}{times}, {state}"
    )
    for line in hanging("    ", shown(finding.summary), console.width):
        console.out(line)
    if not alert.resolved_at:
        for line in hanging("    do: ", shown(finding.action), console.width):
            console.out(line)


def _state(alert: Alert, silences: Mapping[str, str]) -> str:
    if alert.resolved_at:
        return f"over since {_local(alert.resolved_at)}"
    if alert.acknowledged_at:
        return f"acknowledged by {shown(alert.acknowledged_by)}"
    if alert.finding.pipeline in silences or alert.alert_id in silences:
        return "silenced"
    if alert.told_at:
        return f"told {_local(alert.told_at)}"
    waits = max(alert.quiet_until, alert.finding.tell_after)
    return f"told from {_local(waits)} on" if waits > alert.last_at else "nobody was told"


def _waits(item: Waiting, width: int) -> Sequence[str]:
    told = f"{item.messages} message{'s' if item.messages != 1 else ''} since {_local(item.since)}"
    tries = f"{item.attempts} {'try' if item.attempts == 1 else 'tries'}"
    why = f", {tries}: {shown(item.error)}" if item.attempts else ""
    return hanging(f"! {item.channel} ", f"has not taken {told}{why}", width)


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"


@alerts.command(
    epilog="""\b
Examples:
  pratique alerts ack 3f9a2c
  pratique alerts ack 3f9a2c --by anna"""
)
@click.argument("alert", shell_complete=alert_ids)
@click.option("--by", metavar="NAME", help="Who looks after it. Default: your login name.")
@json_option
@project_options
def ack(*, alert: str, by: str | None, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Say that you look after an alert: it is not told again, unless it gets graver; its end is told."""
    with ledger_of(root, environment) as ledger:
        found = ledger.alerts.find(alert)
        if found.resolved_at:
            raise ConfigurationError(f"alert {alert} is over since {_local(found.resolved_at)}", hint="nothing to do")
        name, now = by or _login(), stamp(utc_now())
        ledger.alerts.judge(found.environment, now, lambda known: acknowledge(known, found.alert_id, name, now))
        found = ledger.alerts.find(found.alert_id)
    console = Console.choose(color)
    console.out(to_json(asdict(found)) if as_json else f"{found.alert_id[:_SHORT]} acknowledged by {shown(name)}")


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "somebody"


@alerts.command(
    epilog="""\b
Examples:
  pratique alerts silence shop_daily --until 8h
  pratique alerts silence 3f9a2c --until "2026-11-30 08:00"
  pratique alerts silence shop_daily --until now    not any more

Alerts are found and listed all the same; what lasts is told when it is over."""
)
@click.argument("name", metavar="PIPELINE|ALERT", shell_complete=silence_targets)
@click.option("--until", required=True, metavar="TIME", help="A time, or so long from now: 30m, 8h, 2d.")
@json_option
@project_options
def silence(*, name: str, until: str, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Tell nothing of a pipeline, or of one alert, until a time."""
    ends = _moment(until)
    project = Project(root, environment)
    with ledger_of(root, environment) as ledger:
        target, where = name, project.config.environment
        if name not in project.pipeline_names():
            found = ledger.alerts.find(name)
            target, where = found.alert_id, found.environment
        ledger.alerts.silence(where, target, ends)
    now = stamp(utc_now())
    told = f"is silenced until {_local(ends)}" if ends > now else "is not silenced"
    document = {"target": target, "until": ends}
    Console.choose(color).out(to_json(document) if as_json else f"{shown(name)} {told}")


def _moment(text: str) -> str:
    """A time that was typed: from now on, or of the local clock."""
    if text == "now":
        return stamp(utc_now())
    try:
        if _TIME.fullmatch(text):
            return stamp(datetime.fromisoformat(text).astimezone())
        return stamp(utc_now() + timedelta(seconds=seconds_of(text)))
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"--until {text!r} is no time", hint='such as --until 8h, or --until "2026-11-30 08:00"'
        ) from None


@alerts.command(
    epilog="""\b
Examples:
  pratique alerts test
  pratique alerts test ops --env prod

Exit codes: 0 every channel took it, 1 one did not, 2 configuration."""
)
@click.argument("channels", nargs=-1, metavar="[CHANNEL]...", shell_complete=channel_names)
@json_option
@project_options
def test(*, channels: tuple[str, ...], environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Send a test message to channels, at once, and say whether they took it."""
    console, project = Console.choose(color), Project(root, environment)
    known = channels_of(project)
    if not known:
        where = str(project.root / "config")
        hint = "write alerts: {channels: {ops: {url: …}}} into the settings of this environment"
        raise ConfigurationError(f"environment {project.config.environment} has no channel", where=where, hint=hint)
    results: dict[str, str] = {}
    for name in channels or tuple(known):
        if name not in known:
            raise ConfigurationError(f'there is no channel "{name}"', hint=nearest(name, known, "channels"))
        results[name] = ""
        try:
            known[name].send(trial_event(project.config.environment, stamp(utc_now())), _TEST_SECONDS)
        except ChannelError as refused:
            results[name] = str(refused)
    if as_json:
        console.out(to_json({name: {"delivered": not error, "error": error} for name, error in results.items()}))
    for name, error in () if as_json else results.items():
        mark = coloured("✗", "red", on=console.color) if error else coloured("✓", "green", on=console.color)
        console.out(f"{mark} {name}{': ' + shown(error) if error else ''}")
    raise click.exceptions.Exit(1 if any(results.values()) else 0)


@alerts.command(
    epilog="""\b
Examples:
  pratique alerts deliver --env prod      by a timer, every minute
  pratique alerts deliver --json

Exit codes: 0 nothing waits, 1 a channel or the heartbeat did not take what it
was to take (the next delivery tries again), 2 configuration, 5 the ledger
cannot be used."""
)
@json_option
@project_options
def deliver(*, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Judge runs and promises by the clock, and deliver what is to be told.

    Runs deliver at their start and end; a timer does it also when nothing runs.
    """
    console = Console.choose(color)
    done = deliver_alerts(Project(root, environment))
    if as_json:
        console.out(to_json(asdict(done)))
    else:
        told = f"{done.messages} message{'s' if done.messages != 1 else ''} delivered"
        console.out(
            f"{told}, {done.firing} alert{'s' if done.firing != 1 else ''} open, heartbeat: {shown(done.heartbeat)}"
        )
        for item in done.waiting:
            for line in _waits(item, console.width):
                console.out(line)
    failed = bool(done.waiting) or done.heartbeat not in {"none", "sent"}
    raise click.exceptions.Exit(1 if failed else 0)
