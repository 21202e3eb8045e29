"""`pratique health`: whether the latest runs are good, for people, for orchestrators and as health+json."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from pratique.cli.account import count
from pratique.cli.console import Console, json_option, project_options, to_json, typed_options
from pratique.cli.report import SHORT_ID
from pratique.cli.state import ledger_of
from pratique.cli.text import coloured, columns, hanging, left, shown
from pratique.cli.version import own_version
from pratique.errors import ConfigurationError
from pratique.events import RunStarted
from pratique.ingestion import replayed
from pratique.ledger import Ledger
from pratique.monitoring import MetricsCollector, PipelineMonitor
from pratique.monitoring.health import HEALTH_JSON, Health, worst
from pratique.project import Project
from pratique.reports import RunReport

_COLOURS: Final[Mapping[str, str]] = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}
_RUNS_LOOKED_AT: Final = 3  # Limit: one may be at work, the one before it has ended


@click.command(
    epilog="""\b
Examples:
  pratique health
  pratique health --strict          degraded is exit code 1 too
  pratique health --json | jq .status

Exit codes: 0 healthy or degraded, 1 unhealthy, 2 configuration, 5 the ledger
cannot be used. The latest run of each pipeline counts, against the thresholds
monitoring.thresholds of the environment."""
)
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@click.option("--strict", is_flag=True, help="Exit 1 if degraded.")
@json_option
@project_options
def health(
    *,
    pipelines: tuple[str, ...],
    strict: bool,
    environment: str | None,
    root: Path | None,
    color: str,
    as_json: bool,
) -> None:
    """Say whether the latest run of each pipeline is healthy, and what to do if not.

    It is the one that ended last; one that is at work counts by how long it takes.
    With --json it is a document of media type application/health+json.
    """
    console = Console.choose(color)
    project = Project(root, environment)
    config = project.config
    names = sorted(set(pipelines)) or project.pipeline_names()
    for name in set(names) - set(project.pipeline_names()):
        known = ", ".join(project.pipeline_names())
        raise ConfigurationError(f'there is no pipeline "{name}"', hint=f"known pipelines: {known}")
    began = time.monotonic()
    with ledger_of(root, environment) as ledger:
        seen = [found for name in names if (found := _latest(ledger, name))]
    took = time.monotonic() - began
    checked = {found.told.pipeline: PipelineMonitor(config, found.measured()).check_health() for found in seen}
    status = worst([document["status"] for document in checked.values()])
    latest = [found.told for found in seen]
    if as_json:
        console.out(to_json(_document(status, latest, checked, took)))
    elif not latest:
        console.out(f"no run has ended yet; the first one: pratique run{typed_options(environment, root)}")
    else:
        _tell(console, latest, checked)
    raise click.exceptions.Exit(1 if status == "unhealthy" or (strict and status == "degraded") else 0)


@dataclass(frozen=True)
class _Latest:
    """The latest run of a pipeline that ended, and the one that is at work; one of them is there."""

    ended: RunReport | None
    at_work: RunReport | None

    @property
    def told(self) -> RunReport:
        """The run that people are told of."""
        found = self.ended or self.at_work
        assert found is not None  # noqa: S101 - one of them is there
        return found

    def measured(self) -> MetricsCollector:
        """What the run that ended measured, and since when the other is at work."""
        metrics = replayed([self.ended] if self.ended else [])
        if run := self.at_work:
            started = RunStarted(
                pipeline=run.pipeline, run_id=run.run_id, environment=run.environment, started_at=run.started_at
            )
            metrics.observe(started)
        return metrics


def _latest(ledger: Ledger, pipeline: str) -> _Latest | None:
    runs = ledger.runs(pipeline, _RUNS_LOOKED_AT)
    ended = next((report for report in runs if report.outcome != "running"), None)
    at_work = next((report for report in runs if report.outcome == "running"), None)
    return _Latest(ended, at_work) if runs else None


def _tell(console: Console, latest: Sequence[RunReport], checked: Mapping[str, Mapping[str, Any]]) -> None:
    widest = max(columns(shown(report.pipeline)) for report in latest)
    for report in latest:
        document = checked[report.pipeline]
        status, records = document["status"], document["summary"]["records"]
        began = datetime.fromisoformat(report.started_at).astimezone()
        said = f"run {report.run_id[:SHORT_ID]} {report.outcome}, {began:%Y-%m-%d %H:%M}"
        if records["success_rate_percent"] is not None:
            said += f", {records['success_rate_percent']:g} % of {count(records['processed'])} records good"
        name = left(shown(report.pipeline), widest)
        console.out(f"{name}  {coloured(left(status, 9), _COLOURS[status], on=console.color)}  {said}")
        for issue in document["issues"]:
            mark = "✗" if issue["severity"] == "unhealthy" else "!"
            for line in hanging(f"  {mark} ", f"{issue['metric']}: {issue['message']}", console.width):
                console.out(line)
            for line in hanging("    do: ", issue["action"], console.width):
                console.out(line)


def _document(
    status: Health, latest: Sequence[RunReport], checked: Mapping[str, Mapping[str, Any]], took: float
) -> dict[str, Any]:
    """The answer in the form of draft-inadarei-api-health-check-06."""
    checks: dict[str, list[dict[str, Any]]] = {
        "ledger:responseTime": [
            {
                "componentType": "datastore",
                "observedValue": round(1000 * took, 1),
                "observedUnit": "ms",
                "status": "pass",
                "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            }
        ]
    }
    for report in latest:
        document = checked[report.pipeline]
        outcome: dict[str, Any] = {
            "componentId": report.run_id,
            "componentType": "component",
            "observedValue": report.outcome,
            "status": HEALTH_JSON[document["status"]],
            "time": report.ended_at or report.started_at,
        }
        if document["issues"]:
            outcome["output"] = "; ".join(issue["message"] for issue in document["issues"])
            outcome["issues"] = document["issues"]
        checks[f"pipeline:{report.pipeline}"] = [outcome]
    told = [f"{name}: {item['message']}" for name, document in checked.items() for item in document["issues"]]
    return {
        "status": HEALTH_JSON[status],
        "version": own_version(),
        "serviceId": "pratique",
        "description": "the latest run of each pipeline",
        **({"output": "; ".join(told)} if told else {}),
        "checks": checks,
    }
