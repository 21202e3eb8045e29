"""Everybody who hears of a run: the log, the metrics, the history, and whoever asked; none of them can fail it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pratique.events import Emit, Event, RunFinished, events_of
from pratique.ingestion.alerting import Alerting
from pratique.ledger import Ledger
from pratique.logging_config import EventLog
from pratique.measures import ACTIVE, ALERTS_FIRING, ALERTS_UNDELIVERED, Sample
from pratique.model import RunReport
from pratique.monitoring import MetricsCollector
from pratique.monitoring.bus import Bus


class Telling:
    """A bus with the log and the metrics on it, and whoever asked; the history joins when there is a ledger."""

    def __init__(self, emit: Emit, *, logged: bool = True) -> None:
        self.bus = Bus()
        self.metrics = MetricsCollector()
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
            self.bus.attempt("telling the alerts of this run", alerting.deliver)

    def remember(self, ledger: Ledger, textfile: Path | None) -> None:
        """From now on the end of a run puts its numbers on the ledger, and all of them into the textfile."""

        def measured(event: Event) -> None:
            assert isinstance(event, RunFinished)  # noqa: S101 - nothing else happens from now on
            for report in ledger.unmeasured():  # killed before it was told, or rebuilt from markers
                if report.run_id != event.run_id:
                    ledger.measure(report, replayed([report]).samples())
            ledger.measure(event.report, self.metrics.samples())
            ledger.thin()
            if textfile:
                from pratique.monitoring.exporters import prometheus_text  # noqa: PLC0415 - 0.1 s that only it pays
                from pratique.monitoring.metrics import write_whole  # noqa: PLC0415

                write_whole(textfile, prometheus_text(current(ledger)))

        self.bus.subscribe(measured)


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
    undelivered = {(item.channel,): item.messages for item in ledger.alerts.waiting() if item.attempts}
    return [
        *ledger.totals(),
        *(Sample(ACTIVE.name, (name,), "", count, adds=False) for name, count in active.items()),
        *(Sample(ALERTS_FIRING.name, key, "", count, adds=False) for key, count in firing.items()),
        *(Sample(ALERTS_UNDELIVERED.name, key, "", count, adds=False) for key, count in undelivered.items()),
    ]
