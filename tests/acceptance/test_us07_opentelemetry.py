"""US-07: a run is a trace, and its numbers are metrics, at a real receiver over OTLP; a receiver never fails a run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from collectors import receiver, waited
from project import make_project, pratique
from prometheus_client.parser import text_string_to_metric_families

from pratique.measures import BUCKETS, METRICS

CUMULATIVE = 2
ERROR = 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose runs are told to the receiver that `TOLD` names."""
    make_project(tmp_path)
    settings = "monitoring: {opentelemetry: {endpoint: '${TOLD}', timeout_seconds: 1}}\n"
    (tmp_path / "config" / "staging.yaml").write_text(settings)
    return tmp_path


def run(root: Path, told: str, pipeline: str = "users", *words: str, **variables: str) -> dict[str, Any]:
    """The report of a run that is told to this receiver."""
    words = ("run", pipeline, "--env", "staging", "--json", *words)
    return json.loads(pratique(root, *words, TOLD=told, **variables).stdout)


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def closed_port() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_run_is_one_trace_of_its_sources_and_stages(root: Path) -> None:
    """The trace has the run's id; under the run stand its sources, under each its stages, with the rows of the account."""
    with receiver() as told:
        report = run(root, told.url)
    spans = {span.name: span for span in told.spans}
    assert spans.keys() == {"run users", "source users", "extract", "validate", "load"}
    assert {span.trace_id.hex() for span in told.spans} == {report["run_id"]}
    assert spans["run users"].parent_span_id == b""
    assert spans["source users"].parent_span_id == spans["run users"].span_id
    for stage in ("extract", "validate", "load"):
        assert spans[stage].parent_span_id == spans["source users"].span_id
    attributes = values(spans["run users"].attributes)
    rows = {name: attributes[f"pratique.rows.{name}"] for name in ("read", "loaded", "quarantined", "skipped")}
    assert rows == {"read": 5, "loaded": 3, "quarantined": 2, "skipped": 0}
    assert attributes["pratique.outcome"] == "done"
    for span in told.spans:
        assert spans["run users"].start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    assert [event.name for event in spans["source users"].events] == ["row.quarantined"]
    assert all(span.status.code != ERROR for span in told.spans)


def test_the_resource_says_which_program_in_which_environment(root: Path) -> None:
    """Service, version and environment stand in the resource; the variables of OpenTelemetry add to it."""
    with receiver() as told:
        run(root, told.url, OTEL_SERVICE_NAME="loader", OTEL_RESOURCE_ATTRIBUTES="team=data")
        run(root, told.url)
    first, second = (values(found.resource.attributes) for found in told.metrics)
    assert (first["service.name"], first["team"]) == ("loader", "data")
    assert (second["service.name"], second["deployment.environment.name"]) == ("pratique", "staging")
    assert first["service.instance.id"] == second["service.instance.id"]


def test_a_run_that_fails_says_why(root: Path) -> None:
    """Run and source are errors, with the error's type, and the exception with its stack trace as an event."""
    with receiver() as told:
        report = run(root, told.url, "lost")
    spans = {span.name: span for span in told.spans}
    assert report["outcome"] == "failed"
    failed = spans["source users"] if "source users" in spans else spans["run lost"]
    assert failed.status.code == ERROR
    assert values(failed.attributes)["error.type"] == "destination"
    exception = next(event for event in failed.events if event.name == "exception")
    told_of = values(exception.attributes)
    assert told_of["exception.type"] == "destination"
    assert "Traceback" in told_of["exception.stacktrace"]
    assert spans["run lost"].status.code == ERROR


def test_the_metrics_are_those_of_prometheus(root: Path) -> None:
    """Every number of `pratique metrics` is there under its name of OpenTelemetry, cumulative since the first run."""
    with receiver() as told:
        first = run(root, told.url)
        run(root, told.url, "lost")
        run(root, told.url)
    printed = pratique(root, "metrics", "--format", "prometheus").stdout
    expected = {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(printed)
        for sample in family.samples
        if not sample.name.endswith("_info")
    }
    [scope] = told.metrics[-1].scope_metrics
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    begun = set()
    for metric in scope.metrics:
        declared = METRICS[metric.name]
        assert metric.unit == declared.unit
        kind = metric.WhichOneof("data")
        assert kind == {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}[declared.kind]
        if kind == "sum":
            assert metric.sum.is_monotonic
        if kind != "gauge":
            assert getattr(metric, kind).aggregation_temporality == CUMULATIVE
        for point in getattr(metric, kind).data_points:
            labels = tuple(sorted(values(point.attributes).values()))
            begun.add(point.start_time_unix_nano if kind != "gauge" else 0)
            if kind == "histogram":
                assert list(point.explicit_bounds) == list(BUCKETS)
                assert sum(point.bucket_counts) == point.count
                found[f"{declared.prometheus}_count", labels] = point.count
                found[f"{declared.prometheus}_sum", labels] = point.sum
            else:
                found[declared.prometheus, labels] = point.as_double
    buckets = {key for key in expected if key[0].endswith("_bucket")}
    assert found == {key: value for key, value in expected.items() if key not in buckets}
    [since] = begun - {0}
    assert since / 1e9 == pytest.approx(time.time(), abs=120)
    assert first["started_at"][:19] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since // 10**9))


def test_headers_and_addresses_of_the_field_are_known(root: Path) -> None:
    """Without settings the variables of OpenTelemetry name the receiver; OTEL_SDK_DISABLED switches all off."""
    with receiver() as told:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": told.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-scope=blue"}
        assert pratique(root, "run", "users", **variables).returncode == 0
        assert {headers["x-scope"] for _, headers, _ in told.bodies} == {"blue"}
        count = len(told.bodies)
        assert pratique(root, "run", "users", OTEL_SDK_DISABLED="true", **variables).returncode == 0
        assert len(told.bodies) == count


def test_a_run_joins_the_trace_of_whoever_started_it(root: Path) -> None:
    """TRACEPARENT in the environment makes the run a span of that trace."""
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with receiver() as told:
        run(root, told.url, TRACEPARENT=f"00-{trace}-{span}-01")
    spans = {item.name: item for item in told.spans}
    assert {item.trace_id.hex() for item in told.spans} == {trace}
    assert spans["run users"].parent_span_id.hex() == span


def untold(report: dict[str, Any]) -> str:
    """The notice that something could not be told."""
    return next((notice for notice in report["notices"] if "could not be told" in notice), "")


def test_a_receiver_that_hangs_costs_its_limit_and_no_more(root: Path) -> None:
    """The run is done and whole; its end waits for the time that the settings give; what was lost is counted and said."""
    words = ("run", "users", "--env", "staging", "--json")
    with receiver(hanging=True) as told:
        done = pratique(root, *words, TOLD=told.url, PRATIQUE__LOGGING__FORMAT="json")
    report = json.loads(done.stdout)
    assert report["exit_code"] == 0
    assert "OpenTelemetry" in untold(report)
    assert waited(done.stderr) < 3
    assert untold(report) in pratique(root, "runs", "show", report["run_id"], "--json").stdout
    printed = pratique(root, "metrics", "--format", "prometheus").stdout
    assert 'pratique_observer_failures_total{pipeline="users"} 2.0' in printed


@pytest.mark.parametrize(("status", "says"), [(400, "400 Bad Request"), (503, "503 Service"), (302, "302 Found")])
def test_a_receiver_that_refuses_costs_nothing(root: Path, status: int, says: str) -> None:
    """It is told in the report, with what the receiver said; a redirect is not followed."""
    with receiver(status) as told:
        report = run(root, told.url)
    assert report["exit_code"] == 0
    assert says in untold(report)


def test_a_receiver_that_is_not_there_is_told(root: Path) -> None:
    """Nobody listens: the report says so, the log has a warning, the run is done."""
    report = run(root, closed_port())
    assert report["outcome"] == "done"
    assert "Connection refused" in untold(report)
    assert "could not be told" in (root / "logs" / "pipeline.log").read_text()


def test_a_dry_run_tells_nobody(root: Path) -> None:
    """It leaves no trace, there neither."""
    with receiver() as told:
        run(root, told.url, "users", "--dry-run")
    assert told.bodies == []


def test_without_the_library_the_run_is_whole_and_says_what_to_install(root: Path) -> None:
    """`pip install pratique` has no OpenTelemetry; a run that should tell it says how to get it."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None; from pratique.project import Project;"
        "from pratique.ingestion import run_pipeline; report = run_pipeline(Project('.', 'staging'), 'users');"
        "print(report.outcome, report.notices)"
    )
    environment = {"TOLD": closed_port(), "GONE": "x"}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, cwd=root, env={**environment}, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("done")
    assert "pip install 'pratique[otel]'" in printed


def test_secrets_are_nowhere_in_what_is_sent(root: Path) -> None:
    """A destination whose path is secret fails with an error that names it: the spans have it masked."""
    with receiver() as told:
        run(root, told.url, "lost")
    sent = b"".join(body for _, _, body in told.bodies)
    assert told.bodies
    assert b"canary-secret" not in sent
    assert b"99870" not in sent


def test_a_header_that_is_secret_comes_by_reference_only(root: Path) -> None:
    """In plain text it is a mistake with its place; by reference it is sent."""
    plain = "monitoring:\n  opentelemetry:\n    headers: {authorization: Bearer x42}\n"
    (root / "config" / "prod.yaml").write_text(plain)
    refused = pratique(root, "lint", "--env", "prod")
    assert refused.returncode == 2
    assert "config/prod.yaml:3" in refused.stdout
    assert "x42" not in refused.stdout.replace("headers: {authorization: Bearer x42}", "")
    (root / "config" / "prod.yaml").write_text(
        "monitoring: {opentelemetry: {endpoint: '${TOLD}', headers: {authorization: 'Bearer ${KEY}'}}}\n"
    )
    with receiver() as told:
        assert pratique(root, "run", "users", "--env", "prod", TOLD=told.url, KEY="k-1234567").returncode == 0
        assert {headers["authorization"] for _, headers, _ in told.bodies} == {"Bearer k-1234567"}
