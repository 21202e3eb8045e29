"""US-07: what runs do is measured, kept, exported and judged; from a pipeline or by hand, the numbers are the same."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest
from project import make_project, pratique
from prometheus_client.parser import text_string_to_metric_families

from pratique.config_manager import ConfigManager
from pratique.errors import StateError
from pratique.events import Event
from pratique.ingestion import CSVDataSource, DataIngestionPipeline, run_pipeline
from pratique.monitoring import MetricsCollector, PipelineMonitor
from pratique.project import Project


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project as the working directory."""
    monkeypatch.chdir(make_project(tmp_path))
    monkeypatch.setenv("GONE", "/proc/nowhere")
    return tmp_path


def families(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Every sample by its name and labels, as Prometheus' own parser reads it."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_rates_throughput_latency_and_quality_of_a_run(root: Path) -> None:
    """A collector that hears a run's events knows records, rates, durations, percentiles, verdicts and scores."""
    collector = MetricsCollector()
    report = run_pipeline(Project(root), "users", emit=collector.observe)
    metrics = collector.get_metrics()
    assert metrics["pipeline"]["status"] == "done"
    assert metrics["pipeline"]["duration_seconds"] > 0
    assert metrics["records"] == {
        "processed": 5,
        "succeeded": 3,
        "failed": 2,
        "success_rate_percent": 60.0,
        "per_second": metrics["records"]["per_second"],
    }
    assert metrics["records"]["per_second"] == pytest.approx(5 / report.sources[0].seconds, rel=0.01)
    took = metrics["ingestion"]["duration_seconds"]
    assert took.keys() == {"count", "avg", "min", "max", "p50", "p95", "p99"}
    assert took["avg"] == took["p99"] == report.sources[0].seconds
    assert metrics["ingestion"]["by_source"]["users"]["succeeded"] == 1
    assert (metrics["validation"]["passed"], metrics["validation"]["failed"]) == (3, 2)
    assert metrics["quality"]["score"] == pytest.approx(report.sources[0].quality, abs=1e-5)


def test_by_hand_and_by_pipeline_the_numbers_are_the_same(root: Path) -> None:
    """Who records by hand what a pipeline did gets the pipeline's numbers: records, rates, durations, errors, quality."""
    heard = MetricsCollector()
    good = run_pipeline(Project(root), "users", emit=heard.observe).sources[0]
    failed = run_pipeline(Project(root), "lost", emit=heard.observe).sources[0]
    by_hand = MetricsCollector()
    by_hand.start_pipeline()
    by_hand.record_ingestion("users", success=True, duration=good.seconds, records=5)
    by_hand.record_validation(valid=True, records=3)
    by_hand.record_validation(valid=False, records=2)
    assert good.quality is not None
    by_hand.record_quality_score(good.quality, "users")
    by_hand.record_ingestion("users", success=False, duration=failed.seconds, records=0)
    assert failed.problem is not None
    by_hand.record_error(failed.problem.code, "users")
    by_hand.end_pipeline()
    for part in ("records", "ingestion", "validation", "quality"):
        assert by_hand.get_metrics()[part] == heard.get_metrics()[part], part
    for part in ("total", "by_type", "by_source"):
        assert by_hand.get_metrics()["errors"][part] == heard.get_metrics()["errors"][part]


def test_a_pipeline_without_a_destination_feeds_the_collector_too(root: Path) -> None:
    """Sources that are read into memory are counted as others are, a missing one as a failure."""
    collector = MetricsCollector()
    config = ConfigManager(root=root)
    pipeline = DataIngestionPipeline(config, emit=collector.observe)
    pipeline.add_source(CSVDataSource(config, "in/users.csv"))
    pipeline.add_source(CSVDataSource(config, "in/missing.csv"))
    assert len(pipeline.run()) == 5
    metrics = collector.get_metrics()
    assert metrics["records"]["processed"] == 5
    assert {name: found["succeeded"] for name, found in metrics["ingestion"]["by_source"].items()} == {
        "users": 1,
        "missing": 0,
    }
    assert metrics["errors"]["by_source"] == {"missing": 1}


def test_errors_by_type_and_source(root: Path) -> None:
    """A run that fails is counted under the type of its error and the source that it stopped."""
    collector = MetricsCollector()
    run_pipeline(Project(root), "lost", emit=collector.observe)
    collector.record_error(StateError("disk full"), "elsewhere")
    errors = collector.get_metrics()["errors"]
    assert errors["by_type"] == {"destination": 1, "state": 1}
    assert errors["by_source"] == {"users": 1, "elsewhere": 1}
    assert errors["by_gravity"]["critical"] == 1


def test_metrics_are_kept_ninety_days_and_thinned(root: Path) -> None:
    """Of the last week each run is there, before that one point a day, and nothing after ninety days.

    The runs are made older in the ledger, as if time had passed.
    """
    assert pratique(root, "run", "users").returncode == 0
    now = datetime.now(UTC)
    with sqlite3.connect(root / ".pratique" / "ledger.sqlite") as ledger:
        columns = [row[1] for row in ledger.execute("PRAGMA table_info(metric_points)")]
        row = dict(zip(columns, ledger.execute("SELECT * FROM metric_points").fetchone(), strict=True))
        for days, number in ((2, 3), (20, 3), (89, 1), (95, 2)):
            for again in range(number):
                at = (now - timedelta(days=days)).replace(hour=again).isoformat(timespec="milliseconds")
                seconds = {name: again + 1 for name in columns if name.startswith("seconds_")}
                made = {**row, **seconds, "at": at, "run_id": f"{days}-{again}"}
                ledger.execute(f"INSERT INTO metric_points VALUES ({', '.join('?' * len(made))})", [*made.values()])
    ledger.close()
    assert pratique(root, "run", "users").returncode == 0
    history = json.loads(pratique(root, "metrics").stdout)["history"]
    ages = [(now.date() - datetime.fromisoformat(point["at"]).date()).days for point in history]
    assert ages == [89, 20, 2, 2, 2, 0, 0]
    day = history[1]
    assert (day["span"], day["runs"], day["read"], day["seconds_p50"], day["seconds_avg"]) == ("day", 3, 15, 2.0, 2.0)
    assert day["quality"] == pytest.approx(row["quality"])


def test_export_as_json(root: Path) -> None:
    """`export_metrics` writes summary and series as one JSON document, making its folder."""
    collector = MetricsCollector()
    collector.start_pipeline()
    collector.record_ingestion("csv", success=True, duration=0.5)
    collector.end_pipeline()
    path = collector.export_metrics("metrics/run_20260210.json")
    document = json.loads((root / "metrics" / "run_20260210.json").read_text())
    assert path == Path("metrics/run_20260210.json")
    assert document["ingestion"]["by_source"]["csv"]["duration_seconds"]["avg"] == 0.5
    assert {series["name"] for series in document["metrics"]} >= {"pratique.ingestion.duration"}
    with pytest.raises(StateError, match="cannot write"):
        collector.export_metrics("/proc/nowhere/metrics.json")


def test_a_number_that_would_spoil_every_sum_is_refused() -> None:
    """NaN, infinite, below nothing, a score beyond its scale: told to whoever records it; nothing of it is counted."""
    collector = MetricsCollector()
    nan = float("nan")
    for wrong in ({"duration": nan}, {"duration": -0.5}, {"duration": 1, "records": -1}, {"duration": float("inf")}):
        with pytest.raises(ValueError, match="is a number from 0 on"):
            collector.record_ingestion("csv", success=True, **wrong)
    for score in (nan, -1, 100.5):
        with pytest.raises(ValueError, match="score is a number from 0 to 100"):
            collector.record_quality_score(score)
    with pytest.raises(ValueError, match="records is"):
        collector.record_validation(valid=True, records=-2)
    assert collector.samples() == []


def test_export_for_prometheus(root: Path) -> None:
    """The text is valid for Prometheus' parser, its names are the published ones, and counters grow over all runs."""
    (root / "config" / "staging.yaml").write_text("monitoring: {textfile: metrics/pratique.prom}\n")
    assert pratique(root, "run", "users", "--env", "staging").returncode == 0
    assert pratique(root, "run", "users", "--env", "staging").returncode == 0
    assert pratique(root, "run", "lost", "--env", "staging").returncode == 4
    printed = families(pratique(root, "metrics", "--format", "prometheus").stdout)
    assert families((root / "metrics" / "pratique.prom").read_text()) == printed
    assert list((root / "metrics").iterdir()) == [root / "metrics" / "pratique.prom"]
    rows = {labels[0][1]: value for labels, value in printed["pratique_rows_total"].items() if labels[1][1] == "users"}
    assert rows == {"loaded": 3, "quarantined": 2, "skipped": 0}
    assert printed["pratique_runs_total"][("outcome", "success"), ("pipeline", "users")] == 2
    assert printed["pratique_runs_total"][("outcome", "failure"), ("pipeline", "lost")] == 1
    failures = printed["pratique_quarantine_failures_total"]
    assert failures[("pipeline", "users"), ("rule", "users.name.minLength"), ("severity", "quarantine")] == 1
    assert printed["pratique_run_duration_seconds_count"][("outcome", "success"), ("pipeline", "users")] == 2
    assert printed.keys() >= {
        "pratique_read_size_bytes_total",
        "pratique_stage_duration_seconds_bucket",
        "pratique_run_last_success_timestamp_seconds",
        "pratique_run_last_completion_timestamp_seconds",
        "pratique_errors_total",
        "pratique_build_info",
    }
    assert all(name.startswith("pratique_") for name in printed)


def test_a_run_that_was_killed_is_measured_by_the_next(root: Path) -> None:
    """A run that dies between its commit and its last word is counted once, when it is settled."""
    assert pratique(root, "run", "users", PRATIQUE_FAILPOINT="ledger.recorded").returncode == -9
    assert pratique(root, "run", "users").returncode == 0
    printed = families(pratique(root, "metrics", "--format", "prometheus").stdout)
    assert printed["pratique_rows_total"][("disposition", "loaded"), ("pipeline", "users")] == 3
    assert sum(printed["pratique_runs_total"].values()) == 2
    assert pratique(root, "run", "users").returncode == 0
    printed = families(pratique(root, "metrics", "--format", "prometheus").stdout)
    assert sum(printed["pratique_runs_total"].values()) == 3


def test_four_processes_at_once_lose_no_number(root: Path) -> None:
    """Four pipelines run three times each, side by side: the totals are the sums, the history has every run."""
    text = (root / "pipelines" / "users.yaml").read_text().replace("write: append", "write: append, table: TABLE")
    for number in range(4):
        connection = f'connections:\n  warehouse: {{url: "duckdb://out{number}.duckdb"}}\n'
        (root / "config" / f"env{number}.yaml").write_text(connection)
        (root / "pipelines" / f"side{number}.yaml").write_text(text.replace("TABLE", f"users{number}"))

    def runs(number: int) -> list[int]:
        words = ("run", f"side{number}", "--env", f"env{number}", "--quiet")
        return [pratique(root, *words).returncode for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(runs, range(4))) == [[0, 0, 0]] * 4
    printed = families(pratique(root, "metrics", "--format", "prometheus").stdout)
    assert sum(printed["pratique_runs_total"].values()) == 12
    assert sum(printed["pratique_rows_total"].values()) == 4 * 5
    assert sum(printed["pratique_run_duration_seconds_count"].values()) == 12
    assert len(json.loads(pratique(root, "metrics").stdout)["history"]) == 12


def test_health_from_python(root: Path) -> None:
    """Healthy, degraded or unhealthy by the thresholds of the environment; an issue says what, how far, and what to do."""
    (root / "config" / "prod.yaml").write_text(
        "monitoring: {thresholds: {unhealthy: {success_rate_percent: 99}, degraded: {ingestion_p95_seconds: 1}}}\n"
    )

    def checked(environment: str, *steps: Callable[[MetricsCollector], Any]) -> dict[str, Any]:
        monitor = PipelineMonitor(ConfigManager(environment))
        for step in steps:
            step(monitor.metrics_collector)
        return monitor.check_health()

    def good(collector: MetricsCollector) -> None:
        collector.record_validation(valid=True, records=98)

    def bad(collector: MetricsCollector) -> None:
        collector.record_validation(valid=False, records=2)

    assert checked("dev")["status"] == "healthy"
    assert checked("dev", good, bad)["status"] == "healthy"
    health = checked("prod", good, bad)
    assert health["status"] == "unhealthy"
    [issue] = health["issues"]
    assert (issue["metric"], issue["value"], issue["threshold"]) == ("success_rate_percent", 98.0, 99.0)
    assert issue["severity"] == "unhealthy"
    assert issue["action"]
    assert "98" in issue["message"]
    slow = checked("prod", lambda collector: collector.record_ingestion("api", success=True, duration=1.2))
    assert (slow["status"], slow["issues"][0]["metric"]) == ("degraded", "ingestion_p95_seconds")
    grave = checked("dev", lambda collector: collector.record_error(StateError("full"), "s"))
    assert grave["status"] == "unhealthy"
    assert health["summary"]["records"]["success_rate_percent"] == 98.0


def test_health_from_the_command_line(root: Path) -> None:
    """Exit code 0 for healthy and degraded, 1 for unhealthy; --strict makes degraded 1; --json is health+json."""
    assert pratique(root, "health").returncode == 0
    assert "no run has ended yet" in pratique(root, "health").stdout
    assert pratique(root, "health", "nosuch").returncode == 2
    assert pratique(root, "run", "users").returncode == 0
    done = pratique(root, "health")
    assert done.returncode == 1
    assert "unhealthy" in done.stdout
    assert "do: " in done.stdout
    document = json.loads(pratique(root, "health", "--json").stdout)
    assert document["status"] == "fail"
    assert document["checks"]["pipeline:users"][0]["status"] == "fail"
    assert document["checks"]["ledger:responseTime"][0]["status"] == "pass"
    assert document["output"]
    (root / "config" / "dev.yaml").write_text("monitoring: {thresholds: {unhealthy: {success_rate_percent: 50}}}\n")
    assert pratique(root, "health").returncode == 0
    assert pratique(root, "health", "--strict").returncode == 1
    assert json.loads(pratique(root, "health", "--json").stdout)["status"] == "warn"


def test_a_run_that_hangs_is_unhealthy(root: Path) -> None:
    """Health turns while a run is at work longer than the threshold, before it ends, and is well again after its end."""
    (root / "config" / "dev.yaml").write_text(
        "monitoring: {thresholds: {unhealthy: {success_rate_percent: 50, running_seconds: 1.5}}}\n"
        "limits: {lock_timeout_seconds: 600}\n"
    )
    assert pratique(root, "run", "users").returncode == 0
    assert pratique(root, "health").returncode == 0
    (root / "in" / "more.csv").write_text("id,name,SSN\n6,Fay,6\n")
    command = [sys.executable, "-m", "pratique", "run", "users"]
    with duckdb.connect(str(root / "warehouse.duckdb")):  # the run waits for its destination
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while (hung := pratique(root, "health")).returncode == 0:
            assert process.poll() is None
            assert time.monotonic() < deadline
    assert hung.returncode == 1
    assert "running_seconds: the run is at work for" in hung.stdout
    assert process.wait(60) == 0
    assert pratique(root, "health").returncode == 0


_CHECK = {
    "type": "object",
    "properties": {
        **{key: {"type": "string"} for key in ("componentId", "componentType", "observedUnit", "output")},
        "status": {"enum": ["pass", "warn", "fail"]},
        "time": {"type": "string", "format": "date-time"},
        "observedValue": True,
        "affectedEndpoints": {"type": "array", "items": {"type": "string"}},
        "links": {"type": "object"},
        "issues": {"type": "array"},  # further members are allowed by the draft; this one is ours
    },
    "additionalProperties": False,
}
HEALTH_DRAFT = {  # draft-inadarei-api-health-check-06, sections 3 and 4, which has no schema of its own
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"enum": ["pass", "warn", "fail"]},
        **{key: {"type": "string"} for key in ("version", "releaseId", "output", "serviceId", "description")},
        "notes": {"type": "array", "items": {"type": "string"}},
        "links": {"type": "object"},
        "checks": {
            "type": "object",
            "propertyNames": {"pattern": "^[^:]+(:[^:]+)?$"},
            "additionalProperties": {"type": "array", "items": _CHECK, "minItems": 1},
        },
    },
    "additionalProperties": False,
}


def test_the_health_document_has_the_form_of_its_draft(root: Path) -> None:
    """Healthy, degraded or unhealthy: every member is one of the draft's, with its type; `output` only where it is bad."""
    for pipeline in ("users", "lost"):
        pratique(root, "run", pipeline)
        document = json.loads(pratique(root, "health", pipeline, "--json").stdout)
        jsonschema.validate(document, HEALTH_DRAFT, format_checker=jsonschema.FormatChecker())
        assert ("output" in document) == (document["status"] != "pass")


def test_a_run_in_full(root: Path) -> None:
    """`pratique runs show RUN` tells a run with its account, quality and times."""
    assert pratique(root, "run", "users").returncode == 0
    run_id = json.loads(pratique(root, "runs", "--json").stdout)["run_id"]
    shown = pratique(root, "runs", "show", run_id[:6]).stdout
    assert "3 +" in shown
    assert "quality" in shown


def test_an_observer_that_fails_costs_nothing_and_is_reported(root: Path) -> None:
    """The run is done, all records are loaded; the failures are counted in the report and in the metrics."""

    def breaks(_: Event) -> None:
        raise LookupError("no such channel")

    report = run_pipeline(Project(root), "users", emit=breaks)
    assert report.outcome == "done"
    assert report.sources[0].account is not None
    assert report.sources[0].account.loaded == 3
    assert any("could not be told" in notice for notice in report.notices)
    printed = families(pratique(root, "metrics", "--format", "prometheus").stdout)
    assert printed["pratique_observer_failures_total"][("pipeline", "users"),] > 3
    assert "could not be told" in pratique(root, "runs", "show", report.run_id).stdout
