"""Everything that is measured; one declaration gives a name for OpenTelemetry, one for Prometheus, and the reference.

Events say which of them they change (`Event.measurements`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

# Limit: durations from a tenth of a second to two hours; a longer one is above the last.
BUCKETS: Final[tuple[float, ...]] = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)

PERFECT: Final = 100  # the quality of records of which every one passed every rule

_UNITS: Final = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}


def score(value: float) -> str:
    """Give a quality with one decimal, rounded down: 100 is said of nothing that is not perfect."""
    return "100" if value == PERFECT else f"{int(value * 10) / 10:.1f}"


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is measured. `unit` is UCUM's; `attributes` are the names that tell its series apart."""

    name: str
    kind: Kind
    unit: str
    attributes: tuple[str, ...]
    meaning: str

    @property
    def prometheus(self) -> str:
        """Its name for Prometheus: with its unit, and `_total` if it only grows."""
        total = "_total" if self.kind == "counter" else ""
        return self.name.replace(".", "_") + _UNITS.get(self.unit, "") + total


@dataclass(frozen=True, slots=True)
class Measurement:
    """A counter grows by `value`, a gauge becomes it, a histogram takes it in. `attributes` in the metric's order."""

    metric: Metric
    value: float
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of a series at some time. `part` is empty, or a histogram's `sum`, `count` or `le=BOUND`.

    A sample that `adds` is a sum over all that was measured, so that two of them can be added.
    """

    name: str
    attributes: tuple[str, ...]
    part: str
    value: float
    adds: bool


ROWS: Final = Metric(
    "pratique.rows",
    "counter",
    "{row}",
    ("pipeline", "disposition"),
    "records read, by what became of them: loaded, quarantined, skipped",
)
QUARANTINE_FAILURES: Final = Metric(
    "pratique.quarantine.failures",
    "counter",
    "{failure}",
    ("pipeline", "rule", "severity"),
    "records that failed a rule, by `source.rule`: quarantine or warn",
)
READ_SIZE: Final = Metric(
    "pratique.read.size", "counter", "By", ("pipeline", "source_type"), "bytes of the inputs that were read"
)
RUNS: Final = Metric(
    "pratique.runs", "counter", "{run}", ("pipeline", "outcome"), "runs: success, partial, failure, aborted"
)
RUN_DURATION: Final = Metric(
    "pratique.run.duration", "histogram", "s", ("pipeline", "outcome"), "how long runs took, by outcome"
)
STAGE_DURATION: Final = Metric(
    "pratique.stage.duration",
    "histogram",
    "s",
    ("pipeline", "stage"),
    "how long a stage took: extract, validate (reading is part of it), load",
)
LAST_SUCCESS: Final = Metric(
    "pratique.run.last_success.timestamp", "gauge", "s", ("pipeline",), "when the last run succeeded"
)
LAST_COMPLETION: Final = Metric(
    "pratique.run.last_completion.timestamp", "gauge", "s", ("pipeline",), "when the last run ended, however"
)
NEWEST_RECORD: Final = Metric(
    "pratique.source.newest_record.timestamp",
    "gauge",
    "s",
    ("pipeline",),
    "time of the newest record that the last run read; without a zone taken as UTC",
)
ACTIVE: Final = Metric("pratique.run.active", "gauge", "{run}", ("pipeline",), "runs that are at work")
INGESTION_DURATION: Final = Metric(
    "pratique.ingestion.duration",
    "histogram",
    "s",
    ("pipeline", "source", "outcome"),
    "how long a source took in a run: success, failure",
)
INGESTED: Final = Metric(
    "pratique.ingestion.records",
    "counter",
    "{record}",
    ("pipeline", "source", "fate"),
    "records of sources: read, or lost with a failed ingestion before they were read",
)
VERDICTS: Final = Metric(
    "pratique.verdicts", "counter", "{record}", ("pipeline", "source", "verdict"), "records judged: valid, invalid"
)
QUALITY: Final = Metric(
    "pratique.quality", "gauge", "1", ("pipeline", "source"), "quality score of the last run, as a share of 100"
)
RETRIES: Final = Metric(
    "pratique.source.retries",
    "counter",
    "{retry}",
    ("pipeline", "source_type"),
    "what could pass and was tried again while a source was read",
)
HTTP_RETRIES: Final = Metric(
    "pratique.http.retries",
    "counter",
    "{retry}",
    ("pipeline", "status_class"),
    "requests to APIs that were tried again, by what was answered: 4xx, 5xx, none",
)
ERRORS: Final = Metric(
    "pratique.errors",
    "counter",
    "{error}",
    ("pipeline", "source", "error.type", "gravity"),
    "errors by type: transient, permanent or critical",
)
OBSERVER_FAILURES: Final = Metric(
    "pratique.observer.failures",
    "counter",
    "{failure}",
    ("pipeline",),
    "events that somebody who listens could not take",
)
ALERTS_FIRING: Final = Metric(
    "pratique.alerts.firing", "gauge", "{alert}", ("pipeline", "severity"), "alerts that are open"
)
ALERTS_UNDELIVERED: Final = Metric(
    "pratique.alerts.undelivered", "gauge", "{message}", ("channel",), "messages that a channel has not taken yet"
)
BUILD: Final = Metric(
    "pratique.build.info", "gauge", "", ("version", "revision", "python"), "1; the version that is at work"
)

METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        ROWS,
        QUARANTINE_FAILURES,
        READ_SIZE,
        RUNS,
        RUN_DURATION,
        STAGE_DURATION,
        LAST_SUCCESS,
        LAST_COMPLETION,
        NEWEST_RECORD,
        ACTIVE,
        INGESTION_DURATION,
        INGESTED,
        VERDICTS,
        QUALITY,
        RETRIES,
        HTTP_RETRIES,
        ERRORS,
        OBSERVER_FAILURES,
        ALERTS_FIRING,
        ALERTS_UNDELIVERED,
        BUILD,
    )
}
