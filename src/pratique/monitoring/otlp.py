"""Runs as traces, and all numbers as metrics, over OTLP: by the exporters of OpenTelemetry's own SDK.

A run is one trace, and its id is that of the run; spans are the run, its sources, and their stages. The metrics are the
totals of the ledger, the same as for Prometheus: cumulative since its first run, which tells them from those of others.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pratique.events import (
    ErrorRaised,
    Event,
    FileHeld,
    LoadCommitted,
    LoadRetried,
    QuarantineWritten,
    RowsStaged,
    RunFinished,
    RunReconciled,
    RunStarted,
    SourceEvent,
    SourceFailed,
    SourceIngested,
    SourceLanded,
    SourceRetried,
    SourceSkipped,
)
from pratique.measures import ACTIVE, BUCKETS, METRICS, Sample
from pratique.model import Account
from pratique.monitoring.exporters import own_version
from pratique.monitoring.posting import shown
from pratique.monitoring.sending import PASSING, Refused, Sender
from pratique.reports import Problem, RunReport
from pratique.secrets import hide_secrets

if TYPE_CHECKING:
    from pratique.specs.settings import OpenTelemetrySpec

_SPANS_MAX: Final = 512  # Limit: of one request, as OpenTelemetry's own batches
_PASSING: Final = (requests.ConnectionError, requests.Timeout)
_BAD: Final = frozenset({"partial", "gated", "failed", "interrupted"})

# The exporters log why they failed; the report says it, and stderr need not.
logging.getLogger("opentelemetry.exporter").addHandler(logging.NullHandler())

Batch = tuple[ReadableSpan, ...] | MetricsData


class OpenTelemetry:
    """Keeps `pratique.monitoring.sending.Teller`: makes spans out of the events of a run, and sends them at its end."""

    name = "OpenTelemetry"

    def __init__(
        self,
        settings: OpenTelemetrySpec,
        environment: str,
        measured: Callable[[], tuple[list[Sample], RunReport | None]],
    ) -> None:
        self._measured = measured
        self._resource = _resource(environment)
        self._ids = _RunIds()
        self._ended: list[ReadableSpan] = []
        provider = TracerProvider(resource=self._resource, id_generator=self._ids, shutdown_on_exit=False)
        provider.add_span_processor(_Ended(self._ended))
        self._tracer = provider.get_tracer("pratique", own_version())
        self._run: Span | None = None
        self._sources: dict[str, Span] = {}
        self._sender: Sender[Batch] = Sender("OpenTelemetry", _Export(settings), settings.timeout_seconds)

    def __call__(self, event: Event) -> None:
        """Make spans and events of spans."""
        if isinstance(event, RunStarted):
            self._ids.trace_id = int(event.run_id, 16)
            parent = TraceContextTextMapPropagator().extract(_environment_carrier())
            self._run = self._tracer.start_span(
                f"run {event.pipeline}",
                context=parent,
                start_time=_nanoseconds(event.started_at),
                attributes={"pratique.pipeline": event.pipeline, "pratique.run_id": event.run_id},
            )
        elif isinstance(event, RunFinished):
            self._finished(event)
        elif isinstance(event, SourceEvent) and event.source:
            self._source(event)
        elif isinstance(event, ErrorRaised) and self._run:
            _failed(self._run, event.problem, event.trace)
        elif isinstance(event, RunReconciled) and self._run:
            self._run.add_event(event.action, {"message": event.message()})

    def end(self) -> None:
        """See `Teller.end`."""
        self._sender.end()

    def untold(self) -> tuple[int, str]:
        """See `Teller.untold`: how many requests."""
        return self._sender.untold()

    def _source(self, event: SourceEvent) -> None:
        name = event.source
        if isinstance(event, SourceSkipped):
            if self._run:
                self._run.add_event(event.action, {"pratique.source": name, "message": event.message()})
            return
        if name not in self._sources:
            attributes = {"pratique.pipeline": event.pipeline, "pratique.source": name}
            context = set_span_in_context(self._run) if self._run else None
            self._sources[name] = self._tracer.start_span(f"source {name}", context=context, attributes=attributes)
        span = self._sources[name]
        if isinstance(event, SourceLanded):
            counted = {"pratique.files": event.files, "pratique.rows.read": event.records}
            self._stage(span, "extract", event.seconds, {**counted, "pratique.read.size": event.size_bytes})
        elif isinstance(event, RowsStaged):
            counted = {"pratique.rows.read": event.read, "pratique.rows.quarantined": event.quarantined}
            self._stage(span, "validate", event.seconds, {**counted, "pratique.load_id": event.load_id})
        elif isinstance(event, LoadCommitted):
            into = {"pratique.table": event.table, "pratique.load_id": event.load_id}
            self._stage(span, "load", event.seconds, {"pratique.rows.loaded": event.account.loaded, **into})
        elif isinstance(event, FileHeld | QuarantineWritten | LoadRetried | SourceRetried):
            span.add_event(event.action, {"message": hide_secrets(event.message())})
        elif isinstance(event, SourceIngested | SourceFailed):
            report = event.report
            span.set_attributes({"pratique.outcome": report.outcome, **_rows([report.account])})
            if report.problem:
                trace = event.trace if isinstance(event, SourceFailed) else ""
                _failed(span, report.problem, trace)
            span.end()

    def _stage(self, span: Span, stage: str, seconds: float, attributes: dict[str, Any]) -> None:
        """A stage that has just ended."""
        now = _now()
        context = set_span_in_context(span)
        start = now - round(seconds * 1e9)
        self._tracer.start_span(stage, context=context, start_time=start, attributes=attributes).end(now)
        if len(self._ended) >= _SPANS_MAX:
            self._send_spans()

    def _finished(self, event: RunFinished) -> None:
        report = event.report
        for span in self._sources.values():
            if span.is_recording():  # it was stopped
                span.set_status(Status(StatusCode.ERROR, "stopped"))
                span.end()
        if self._run:
            told = _rows(source.account for source in report.sources)
            self._run.set_attributes({"pratique.outcome": report.outcome, **told})
            if report.problem:
                _failed(self._run, report.problem, "")
            elif report.outcome in _BAD:
                self._run.set_status(Status(StatusCode.ERROR, report.outcome))
            self._run.end(_nanoseconds(report.ended_at))
        self._send_spans()
        samples, first = self._measured()
        if samples:
            self._sender.put(_metrics(samples, self._resource, first or report))

    def _send_spans(self) -> None:
        for begin in range(0, len(self._ended), _SPANS_MAX):
            self._sender.put(tuple(self._ended[begin : begin + _SPANS_MAX]))
        self._ended.clear()


class _RunIds(RandomIdGenerator):
    """The trace of a run has the id of the run."""

    trace_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id or super().generate_trace_id()


class _Ended(SpanProcessor):
    """Keeps the spans that have ended, until they are sent."""

    def __init__(self, ended: list[ReadableSpan]) -> None:
        self._spans = ended

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)


class _Export:
    """Hands batches to the exporters, which know addresses, headers and certificates from variables too."""

    def __init__(self, settings: OpenTelemetrySpec) -> None:
        base = settings.endpoint.rstrip("/") if settings.endpoint else None
        self._session = _Once()
        common: dict[str, Any] = {"headers": settings.headers or None, "timeout": settings.timeout_seconds}
        common["session"] = self._session
        self._spans = OTLPSpanExporter(f"{base}/v1/traces" if base else None, **common)
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics" if base else None, **common)

    def __call__(self, batch: Batch, _: float) -> Refused | None:
        self._session.refused = Refused("it cannot be written in OTLP")
        if isinstance(batch, MetricsData):
            taken = self._metrics.export(batch) is MetricExportResult.SUCCESS
        else:
            taken = self._spans.export(batch) is SpanExportResult.SUCCESS
        return None if taken else self._session.refused


class _Once(requests.Session):
    """Asks once: when a request is made again is the sender's to say, which knows whether the run still is at work."""

    refused: Refused

    def request(self, method: str, url: str | bytes, *args: Any, **more: Any) -> requests.Response:
        """Give the answer if it is 2xx, else raise what no exporter tries again."""
        try:
            answer = super().request(method, url, *args, **more)
        except requests.RequestException as error:
            self.refused = Refused(f"{shown(str(url))}: {_cause(error)}", passing=isinstance(error, _PASSING))
        else:
            if answer.ok and not answer.is_redirect:
                return answer
            told = f"{shown(str(url))} answered {answer.status_code} {answer.reason}"
            self.refused = Refused(told, passing=answer.status_code in PASSING)
        raise requests.RequestException(self.refused.reason)


def _cause(error: BaseException) -> str:
    """What the system said, which stands at the end of a long chain."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        found = found.__cause__ or found.__context__
    return type(error).__name__


def _resource(environment: str) -> Resource:
    own = {"service.version": own_version(), "deployment.environment.name": environment}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        own["service.name"] = "pratique"
    return Resource.create(own)


def _environment_carrier() -> dict[str, str]:
    """The trace of whoever started this process, if it said so."""
    return {name: os.environ[name.upper()] for name in ("traceparent", "tracestate") if name.upper() in os.environ}


def _failed(span: Span, problem: Problem, trace: str) -> None:
    """The error as a span says it: its status, and an exception as an event."""
    said = f"{problem.where}: {problem.message}" if problem.where else problem.message
    span.set_status(Status(StatusCode.ERROR, said))
    span.set_attributes({"error.type": problem.code, "pratique.gravity": problem.gravity})
    told = {"exception.type": problem.code, "exception.message": said}
    span.add_event("exception", {**told, **({"exception.stacktrace": trace} if trace else {})})


def _rows(accounts: Iterable[Account | None]) -> dict[str, int]:
    found = [account for account in accounts if account]
    if not found:
        return {}
    told = {
        f"pratique.rows.{name}": sum(getattr(item, name) for item in found)
        for name in ("read", "loaded", "quarantined")
    }
    return {**told, "pratique.rows.skipped": sum(sum(item.skipped.values()) for item in found)}


def _metrics(samples: Sequence[Sample], resource: Resource, first: RunReport) -> MetricsData:
    """All samples as cumulative points, counted from the first run on."""
    begin, now = _nanoseconds(first.started_at), _now()
    series: dict[str, dict[tuple[str, ...], dict[str, float]]] = {}
    for sample in samples:
        series.setdefault(sample.name, {}).setdefault(sample.attributes, {})[sample.part] = sample.value
    found = [_metric(name, parts, begin, now) for name, parts in series.items()]
    mine = resource.merge(Resource({"service.instance.id": str(uuid.UUID(first.run_id))}))
    scope = ScopeMetrics(InstrumentationScope("pratique", own_version()), found, "")
    return MetricsData([ResourceMetrics(mine, [scope], "")])


def _metric(name: str, series: dict[tuple[str, ...], dict[str, float]], begin: int, now: int) -> Metric:
    metric = METRICS[name]
    points: list[Any] = []
    for values, parts in series.items():
        attributes = dict(zip(metric.attributes, values, strict=True))
        if metric.kind == "histogram":
            upto = [int(parts[f"le={bound}"]) for bound in BUCKETS] + [int(parts["count"])]
            each = [high - low for low, high in zip([0, *upto], upto, strict=False)]
            extremes: Any = None  # the totals do not hold them
            points.append(
                HistogramDataPoint(attributes, begin, now, upto[-1], parts["sum"], each, BUCKETS, extremes, extremes)
            )
        else:
            points.append(NumberDataPoint(attributes, begin, now, parts[""]))
    cumulative = AggregationTemporality.CUMULATIVE
    data: Any
    if metric.kind == "histogram":
        data = Histogram(points, cumulative)
    elif metric.kind == "counter" or metric is ACTIVE:
        data = Sum(points, cumulative, is_monotonic=metric.kind == "counter")
    else:
        data = Gauge(points)
    return Metric(metric.name, metric.meaning, metric.unit, data)


def _nanoseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1e9)


def _now() -> int:
    return round(datetime.now(UTC).timestamp() * 1e9)
