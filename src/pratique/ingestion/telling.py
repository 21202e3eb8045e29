"""Everybody who hears of a run: the log, the metrics, the history, alerts, other programs, and whoever asked.

None of them can fail it (Invariant 7).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pratique.events import Emit, ObserversFailed, RunFinished, RunRecovered, events_of
from pratique.ingestion.alerting import Alerting
from pratique.ledger import Ledger
from pratique.logging_config import EventLog
from pratique.measures import ACTIVE, ALERTS_FIRING, ALERTS_UNDELIVERED, Sample
from pratique.monitoring import MetricsCollector
from pratique.monitoring.bus import Bus
from pratique.monitoring.metrics import merged
from pratique.monitoring.sending import Teller
from pratique.reports import RunReport
from pratique.secrets import hide_secrets


class Telling:
    """A bus with the log, the metrics and whoever asked on it; the history and other programs join with a ledger."""

    def __init__(self, emit: Emit, *, logged: bool = True) -> None:
        self.bus = Bus()
        self.metrics = MetricsCollector()
        self._tellers: list[Teller] = []
        self._reasons: tuple[str, ...] = ()
        if logged:
            self.bus.subscribe(EventLog())
        self.bus.subscribe(self.metrics.observe)
        self.bus.subscribe(emit)

    @contextmanager
    def alerting(self, alerting: Alerting | None) -> Iterator[None]:
        """Around a run: tell what earlier ones left to tell, judge this one as it goes, and deliver at its end."""
        if alerting is None:
            yield
            return
        self.bus.attempt("telling the alerts of earlier runs", alerting.catch_up)
        self.bus.subscribe(alerting.observe)
        try:
            yield
        finally:
            self.bus.unsubscribe(alerting.observe)
            self.bus.attempt("telling the alerts of this run", alerting.deliver)

    def join(self, tellers: Iterable[Teller]) -> None:
        """From now on these hear of the run too."""
        for teller in tellers:
            self._tellers.append(teller)
            self.bus.subscribe(teller)

    def ended(self, event: RunFinished, ledger: Ledger | None, textfile: Path | None) -> tuple[int, tuple[str, ...]]:
        """Tell everybody that a run is over; give how many events were not told to somebody, and why.

        Waits for those who tell other programs as long as they may take. With a ledger the run's numbers join the
        history, and all numbers the textfile; so do those of earlier runs that were killed before they could.
        """
        if ledger:
            self.bus.attempt("telling of earlier runs", partial(self._catch_up, ledger, event))
        self.bus.emit(event)
        lost = self._settle()
        if failures := self.bus.failures + lost:
            told: dict[str, Any] = {"failures": failures, "reasons": self._reasons}
            self.bus.emit(ObserversFailed(pipeline=event.pipeline, run_id=event.run_id, **told))
        if ledger:
            self.bus.attempt("remembering the numbers of this run", partial(self._remember, ledger, textfile, event))
        return self.bus.failures + lost, self._reasons

    def close(self) -> None:
        """Let go of those who tell other programs, without waiting. Harmless when repeated."""
        for teller in self._tellers:
            teller.end()

    def _settle(self) -> int:
        self.close()
        untold = [teller.untold() for teller in self._tellers]
        self._reasons = tuple(dict.fromkeys(hide_secrets(reason) for _, reason in untold if reason))
        return sum(number for number, _ in untold)

    def _catch_up(self, ledger: Ledger, event: RunFinished) -> None:
        """Runs of this pipeline that were killed before they were told, or rebuilt from markers, are told now."""
        for report in ledger.unmeasured(event.pipeline):
            if report.run_id != event.run_id:
                self.bus.emit(RunRecovered(pipeline=report.pipeline, run_id=report.run_id, report=report))
                ledger.measure(report, replayed([report]).samples())

    def _remember(self, ledger: Ledger, textfile: Path | None, event: RunFinished) -> None:
        ledger.measure(event.report, self.metrics.samples())
        ledger.thin()
        if textfile:
            from pratique.monitoring.exporters import prometheus_text  # noqa: PLC0415 - 0.1 s that only it pays
            from pratique.monitoring.metrics import write_whole  # noqa: PLC0415

            write_whole(textfile, prometheus_text(current(ledger)))

    def totals(self, ledger: Ledger) -> list[Sample]:
        """What all runs measured together, this one included."""
        return merged(current(ledger), self.metrics.samples())


def replayed(reports: Iterable[RunReport]) -> MetricsCollector:
    """The metrics of runs that are over, told again by their reports."""
    metrics = MetricsCollector()
    for report in reports:
        for event in events_of(report):
            metrics.observe(event)
    return metrics


def current(ledger: Ledger) -> list[Sample]:
    """What all runs measured together, which are at work, and which alerts are open or could not be delivered."""
    active = Counter(report.pipeline for report in ledger.active())
    firing = Counter((alert.finding.pipeline, alert.finding.severity) for alert in ledger.alerts.latest(None))
    undelivered = {(item.channel,): item.messages for item in ledger.alerts.waiting(None) if item.attempts}
    return [
        *ledger.totals(),
        *(Sample(ACTIVE.name, (name,), "", float(count), adds=False) for name, count in active.items()),
        *(Sample(ALERTS_FIRING.name, key, "", float(count), adds=False) for key, count in firing.items()),
        *(Sample(ALERTS_UNDELIVERED.name, key, "", float(count), adds=False) for key, count in undelivered.items()),
    ]
