"""Alerts of a project: runs and promises are judged, what is to be told is kept first and delivered then.

Nothing of it can fail a run (Invariant 7). What a killed process did not judge or deliver, the next one does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from pratique import failpoints
from pratique.alerts import Alert, Finding, Judged, Known, Message, Waiting, later, stamp, utc_now
from pratique.errors import StateError
from pratique.events import ErrorRaised, Event, RunFinished
from pratique.expectations import Arrival, Promise
from pratique.ledger import Ledger, open_ledger
from pratique.mistakes import Mistakes, error_of
from pratique.monitoring.alerts import (
    Channel,
    ChannelError,
    Danger,
    Policy,
    Route,
    Seen,
    danger_of,
    judge,
    late_findings,
    problem_finding,
    run_findings,
    web,
)
from pratique.project import Project
from pratique.reports import Problem, RunReport
from pratique.secrets import reveal
from pratique.sources.files.pattern import PathPattern

Clock = Callable[[], datetime]

BESIDE_A_RUN_SECONDS: Final = 5.0  # Limit: how long a run waits for channels; what they do not take then waits itself
_SECONDS: Final = 60.0  # Limit: how long a delivery by itself takes
_SEND_SECONDS: Final = 10.0  # Limit: of one message
_CLAIMED_SECONDS: Final = 60.0  # Limit: a message of a process that was killed is free again after so long
_ARRIVALS_DAYS: Final = {"day": 20, "month": 500, "year": 6000}  # Limit: loads that are looked at for files of periods


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of a delivery: messages taken, channels that took none and why, what waits, and the heartbeat."""

    messages: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()
    firing: int = 0
    heartbeat: str = "none"  # none, sent, or why not


class Alerting:
    """Judges and delivers for one project, with its ledger; `clock` says what time it is."""

    def __init__(self, project: Project, ledger: Ledger, *, clock: Clock = utc_now) -> None:
        self._project = project
        self._config = project.config
        self._environment = project.config.environment
        self._ledger = ledger
        self._clock = clock
        self._policy = policy_of(project)

    def _now(self) -> str:
        return stamp(self._clock())

    # --- what is wrong ---

    def observe(self, event: Event) -> None:
        """Judge what cannot wait for the end of a run, and the run when it has ended."""
        if isinstance(event, RunFinished):
            self.judge_runs()
            self.judge_promises([event.pipeline])
        elif isinstance(event, ErrorRaised) and event.problem.gravity == "critical":
            self.judge_problem(event.pipeline, event.problem, event.run_id)

    def judge_problem(self, pipeline: str, problem: Problem, run_id: str = "") -> None:
        """Judge one error, by which nothing can be over."""
        self._judge(Seen((problem_finding(pipeline, run_id, "", problem, self._danger(pipeline)),)))

    def judge_runs(self) -> None:
        """Judge each pipeline by its newest run that ended, if that was not judged yet; the runs before it are past."""
        by_pipeline: dict[str, list[RunReport]] = {}
        for report in self._ledger.unalerted(self._environment):
            by_pipeline.setdefault(report.pipeline, []).append(report)
        for reports in by_pipeline.values():
            self._judge(self._seen(reports[-1]), [report.run_id for report in reports])
            failpoints.hit("alerts.judged")

    def _seen(self, report: RunReport) -> Seen:
        """What is wrong after a run; nothing after one that only markers know of, or that told why it broke off."""
        if report.environment != self._environment:
            return Seen()
        told = (alert.finding.run_id for alert in self._ledger.alerts.latest(self._environment))
        if report.outcome == "interrupted" and report.run_id in told:
            return Seen()
        return run_findings(report, self._config, self._danger(report.pipeline))

    def judge_promises(self, names: Sequence[str]) -> None:
        """Judge by the clock what these pipelines promise."""
        found: list[Finding] = []
        for name in names:
            promise = self._project.promise(name)
            if promise.timed:
                found += self._late(promise)
        self._judge(Seen(tuple(found), lambda alert: alert.finding.rule == "late" and alert.finding.pipeline in names))

    def judge_project(self) -> None:
        """Judge what is promised of all pipelines, and whether their files can be read at all."""
        names = self._project.pipeline_names()
        found = []
        for name in names:
            mistakes = Mistakes()
            self._project.read_pipeline(name, mistakes)
            if mistakes.errors:
                error = error_of(mistakes.errors)
                problem = Problem(error.code, error.message, error.hint, error.where, error.exit_code)
                found.append(problem_finding(name, "", "", problem, self._danger(name)))

        def settles(alert: Alert) -> bool:
            found = alert.finding
            in_a_file = found.code == "configuration" and not found.run_id and "where" in found.context
            return in_a_file or found.pipeline not in names

        self._judge(Seen(tuple(found), settles))
        self.judge_promises(names)

    def _late(self, promise: Promise) -> Iterator[Finding]:
        now = self._clock()
        opened = [alert for alert in self._ledger.alerts.latest(self._environment) if alert.told_at]
        told = {alert.finding.rule for alert in opened if alert.finding.pipeline == promise.pipeline}
        return late_findings(
            promise,
            self._last_success(promise),
            self._since(promise),
            self._loaded(promise),
            now,
            failing=bool(told & {"run_failed", "gate_failed"}) and "late" not in told,
        )

    def _loaded(self, promise: Promise) -> Callable[[str, Arrival], Iterable[Mapping[str, str]]]:
        """The captures of the files of a source that are loaded."""

        def loaded(source: str, arrival: Arrival) -> Iterable[Mapping[str, str]]:
            pattern = PathPattern(arrival.path, self._config.root)
            since = stamp(self._clock() - timedelta(days=_ARRIVALS_DAYS[arrival.unit]))
            loads = self._ledger.loads(promise.pipeline, since=since)
            names = (file.name for marker in loads if marker.source == source for file in marker.files)
            return (found for name in names if (found := pattern.captures(name)))

        return loaded

    def _danger(self, pipeline: str) -> Danger:
        promise = self._project.promise(pipeline)
        return danger_of(promise, self._last_success(promise), self._since(promise), self._clock())

    def _last_success(self, promise: Promise) -> str:
        return self._ledger.last_success(promise.pipeline, self._environment)

    def _since(self, promise: Promise) -> str:
        if not promise.timed:
            return self._now()
        return self._ledger.alerts.watched_since(f"{self._environment}/{promise.pipeline}", self._now())

    def _judge(self, seen: Seen, runs: Sequence[str] = ()) -> Judged:
        now, policy = self._now(), self._policy
        owned = [replace(item, owner=self._project.promise(item.pipeline).owner) for item in seen.findings]
        return self._ledger.alerts.judge(
            self._environment,
            later(now, -policy.cooldown_seconds),
            lambda known: judge(known, owned, seen.settles, policy, now),
            runs,
        )

    # --- who is told ---

    def deliver(self, seconds: float = BESIDE_A_RUN_SECONDS) -> Delivered:
        """Give the channels what waits for them, all at a time, one message after the other, for so long at most."""
        ends = time.monotonic() + seconds
        open_channels, taken, refused = channels_of(self._project), 0, {}
        while open_channels and time.monotonic() < ends:
            sendings = list(self._sendings(open_channels, ends))
            for sending in sendings:
                message, error = sending.message, sending.wait(ends)
                if error:
                    self._ledger.alerts.refused(message, self._now(), error)
                    refused[message.channel] = error
                    del open_channels[message.channel]
                else:
                    failpoints.hit("alert.sent")
                    self._ledger.alerts.delivered(message, self._now())
                    taken += 1
        firing = len(self._ledger.alerts.latest(self._environment))
        return Delivered(taken, refused, tuple(self._ledger.alerts.waiting(self._environment)), firing)

    def _sendings(self, open_channels: dict[str, Channel], ends: float) -> Iterator[_Sending]:
        """One message of each channel on its way; a channel without any is done."""
        for name in list(open_channels):
            message = self._ledger.alerts.claim(self._environment, name, self._now(), _CLAIMED_SECONDS)
            if message is None:
                del open_channels[name]
            else:
                yield _Sending(open_channels[name], message, min(_SEND_SECONDS, ends - time.monotonic()))

    def catch_up(self) -> None:
        """Judge what earlier runs left behind, and deliver what waits."""
        self.judge_runs()
        self.deliver()


class _Sending(threading.Thread):
    """One message on its way to one channel: nobody waits for it longer than it may take."""

    def __init__(self, channel: Channel, message: Message, seconds: float) -> None:
        super().__init__(name=f"pratique-alert-{channel.name}", daemon=True)
        self.message = message
        self._channel = channel
        self._seconds = max(seconds, 0.1)
        self._error = "it failed in a way that nobody foresaw"
        self.start()

    def run(self) -> None:
        """Send it."""
        try:
            self._channel.send(self.message.event, self._seconds)
            self._error = ""
        except ChannelError as error:
            self._error = str(error)

    def wait(self, ends: float) -> str:
        """Why it was not taken until then; empty if it was."""
        self.join(max(ends - time.monotonic(), 0))
        return "it gave no answer in time" if self.is_alive() else self._error


def channels_of(project: Project) -> dict[str, Channel]:
    """The channels of the environment by name."""
    written = project.config.settings.alerts.channels
    return {name: Channel(name, spec.url, spec.headers) for name, spec in written.items()}


def policy_of(project: Project) -> Policy:
    """What the settings of the environment say of alerts."""
    from pratique.specs.base import seconds_of  # noqa: PLC0415 - pydantic

    written = project.config.settings.alerts
    return Policy(
        project.config.environment,
        tuple(
            Route(name, spec.severity, tuple(spec.teams), tuple(spec.tiers)) for name, spec in written.channels.items()
        ),
        dict(written.rules),
        seconds_of(written.cooldown),
        seconds_of(written.repeat),
    )


def deliver_alerts(project: Project, *, clock: Clock = utc_now, seconds: float = _SECONDS) -> Delivered:
    """Judge every run that was not judged and every promise by `clock`, and deliver what is to be told.

    For a timer. What a channel does not take is kept and tried again by the next delivery, also after a crash: a
    message arrives at least once, each with an id of its own. Raises StateError if the ledger cannot be used.
    """
    with closing(open_ledger(project.config.root / project.config.settings.state.path / "ledger.sqlite")) as ledger:
        alerting = Alerting(project, ledger, clock=clock)
        alerting.judge_runs()
        alerting.judge_project()
        done = alerting.deliver(seconds)
        ledger.alerts.thin(stamp(clock()))
    return replace(done, heartbeat=_heartbeat(project))


def _heartbeat(project: Project) -> str:
    url = reveal(project.config.settings.alerts.heartbeat)
    if url is None:
        return "none"
    try:
        web(url, _SEND_SECONDS)
    except ChannelError as error:
        return str(error)
    return "sent"


def alert_of_error(project: Project, event: ErrorRaised, clock: Clock) -> None:
    """Tell of an error that stopped a run before it began, also where there is no ledger to keep it in."""
    if event.problem.code == "already_running" or event.pipeline not in project.pipeline_names():
        return
    if not project.config.settings.alerts.channels:
        return
    path = project.config.root / project.config.settings.state.path / "ledger.sqlite"
    try:
        with closing(open_ledger(path)) as ledger:
            alerting = Alerting(project, ledger, clock=clock)
            alerting.judge_problem(event.pipeline, event.problem)
            alerting.deliver()
    except StateError:
        _told_at_once(project, event, clock)


def _told_at_once(project: Project, event: ErrorRaised, clock: Clock) -> None:
    """Without a ledger nothing can be kept: every channel is told once, now, as far as it takes it."""
    found = problem_finding(event.pipeline, "", "", event.problem, lambda _: "")
    owned = replace(found, owner=project.promise(event.pipeline).owner)
    judged = judge(Known((), {}), [owned], lambda _: False, policy_of(project), stamp(clock()))
    channels, ends = channels_of(project), time.monotonic() + BESIDE_A_RUN_SECONDS
    for sending in [_Sending(channels[item.channel], item, BESIDE_A_RUN_SECONDS) for item in judged.messages]:
        sending.wait(ends)
