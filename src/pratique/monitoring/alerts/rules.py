"""What is wrong: found in the events of a run, in its numbers, and by the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from pratique.alerts import Alert, Finding, Severity, later, stamp
from pratique.config_manager import ConfigManager
from pratique.events import events_of
from pratique.expectations import DANGER, Arrival, Promise, named
from pratique.model import HeldFile
from pratique.monitoring.health import PipelineMonitor
from pratique.monitoring.metrics import MetricsCollector
from pratique.reports import Problem, RunReport, SourceReport

Danger = Callable[[str], str]
"""When the next deadline is near that a source (or "", the whole run) has to meet, as a stamp; "" if it has none."""

_SHOWN: Final = 3  # Limit: of many names; the others are counted
_EACH_MAX: Final = 5  # Limit: sources that fail alike with an alert each; more of them are one
_SHORT: Final = 6  # digits of a run id that people see
_OF_ALL: Final = frozenset({"destination", "destination_locked", "destination_moved", "state", "internal"})
_MEASURED: Final = {"success_rate_percent": "quality", "quality_score": "quality", "ingestion_p95_seconds": "slow"}
_KILLED: Final = Problem(
    "killed",
    "the process of the run was killed, or its machine stopped",
    "start the run again: it goes on after what is committed",
    gravity="transient",
)
_STOPPED: Final = "interrupted"  # code of a run that somebody told to stop: no failure


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a run, or at the clock, found, and of which alerts it can say that they are over."""

    findings: tuple[Finding, ...] = ()
    settles: Callable[[Alert], bool] = lambda _: False


def source_finding(pipeline: str, run_id: str, report: SourceReport, danger: Danger) -> Finding | None:
    """What is wrong with a source that failed, or that its gate did not let through."""
    problem, account = report.problem, report.judged or report.account
    if problem is None or problem.code == _STOPPED or report.outcome not in {"failed", "gated"}:
        return None
    numbers = {} if account is None else {"rows_read": account.read, "rows_quarantined": account.quarantined}
    if report.outcome == "gated":
        told = replace(_of(pipeline, run_id, report.source, problem), rule="gate_failed", severity="critical")
        return replace(told, context={**told.context, **numbers, "effect": "nothing of it was published"})
    found = problem_finding(pipeline, run_id, report.source, problem, danger)
    effect = f"{account.loaded:,} records of it were loaded before" if account else "nothing of it was loaded"
    return replace(found, context={**found.context, **numbers, "effect": effect})


def problem_finding(pipeline: str, run_id: str, source: str, problem: Problem, danger: Danger) -> Finding:
    """What is wrong after an error: what can pass by itself is told when its deadline is near, else as a warning."""
    found = _of(pipeline, run_id, "" if problem.code in _OF_ALL else source, problem)
    if problem.gravity != "transient":
        return found
    near = danger(source)
    return replace(found, tell_after=near) if near else replace(found, severity="warning")


def _of(pipeline: str, run_id: str, source: str, problem: Problem) -> Finding:
    context: dict[str, Any] = {"error": problem.code, "gravity": problem.gravity, "exit_code": problem.exit_code}
    if problem.where:
        context["where"] = problem.where
    hint = problem.hint or f"pratique runs show {run_id[:_SHORT]}"
    return Finding("run_failed", pipeline, source, problem.code, "critical", problem.message, hint, context, run_id)


def run_findings(report: RunReport, config: ConfigManager, danger: Danger) -> Seen:
    """Everything that is wrong after a run, by its report; a run that somebody told to stop has not failed."""
    pipeline, run_id = report.pipeline, report.run_id
    found = [source_finding(pipeline, run_id, source, danger) for source in report.sources]
    failed = _grouped([finding for finding in found if finding])
    problem = _KILLED if report.outcome == "interrupted" and report.problem is None else report.problem
    if problem is not None and problem.code != _STOPPED:
        failed.append(problem_finding(pipeline, run_id, "", problem, danger))
    if report.outcome == "gated" and not failed:
        failed.append(_strict(report))
    held = [
        _held(report, source.source, source.held)
        for source in report.sources
        if source.held and source.outcome in {"loaded", "unchanged"}
    ]
    gated = any(source.outcome == "gated" for source in report.sources)
    measured = [] if gated else list(_breaches(report, config))
    return Seen((*failed, *held, *measured), _settled_by(report, measured=not gated))


def _settled_by(report: RunReport, *, measured: bool) -> Callable[[Alert], bool]:
    """Which alerts a run can end: of the sources that are well, and of all if it came to its end and one is."""
    well = {source.source for source in report.sources if source.outcome in {"loaded", "unchanged"}}
    whole = bool(well) and report.problem is None and report.outcome != "interrupted"
    read = any(source.account and source.account.read for source in report.sources)

    def settles(alert: Alert) -> bool:
        found = alert.finding
        if found.pipeline != report.pipeline or found.rule == "late":
            return False
        if found.rule in {"quality", "slow"}:
            return measured and read
        return found.source in well if found.source else whole

    return settles


def _grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of one kind, if they are many, as one; those of one cause are one in any case."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.rule, finding.code), []).append(finding)
    told: list[Finding] = []
    for alike in kinds.values():
        if len(alike) <= _EACH_MAX:
            told += {finding.cause: finding for finding in alike}.values()
            continue
        first, names = alike[0], [finding.source for finding in alike if finding.source]
        which = f" ({_names(names)})" if names else ""
        told.append(replace(first, source="", summary=f"{len(alike)} sources{which}: {first.summary}"))
    return told


def _names(names: Collection[str]) -> str:
    """The first names of many, and how many more."""
    first = ", ".join(list(names)[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{first} and {len(names) - _SHOWN} more"


def _strict(report: RunReport) -> Finding:
    held = sum(source.account.quarantined for source in report.sources if source.account)
    return Finding(
        "gate_failed",
        report.pipeline,
        code="strict",
        summary=f"{held:,} records are in quarantine, and --strict allows none",
        action=f"pratique quarantine list --run {report.run_id[:_SHORT]}",
        context={"rows_quarantined": held},
        run_id=report.run_id,
    )


def _held(report: RunReport, source: str, held: Sequence[HeldFile]) -> Finding:
    first = held[0]
    return Finding(
        "file_held",
        report.pipeline,
        source,
        severity="warning",
        summary=f"held, not loaded: {_names([file.version.name for file in held])}: {first.reason}",
        action=first.hint or f"pratique runs show {report.run_id[:_SHORT]}",
        context={"files_held": len(held)},
        run_id=report.run_id,
    )


def _breaches(report: RunReport, config: ConfigManager) -> Iterator[Finding]:
    """Numbers of the run beyond the thresholds of the environment; those of failures are told by the failures."""
    metrics = MetricsCollector()
    for event in events_of(report):
        metrics.observe(event)
    by_rule: dict[Any, list[Mapping[str, Any]]] = {}
    for issue in PipelineMonitor(config, metrics).check_health()["issues"]:
        if issue["metric"] in _MEASURED:
            by_rule.setdefault(_MEASURED[issue["metric"]], []).append(issue)
    for rule, issues in by_rule.items():
        grave: Severity = "critical" if any(issue["severity"] == "unhealthy" for issue in issues) else "warning"
        yield Finding(
            rule,
            report.pipeline,
            severity=grave,
            summary="; ".join(issue["message"] for issue in issues),
            action=issues[0]["action"],
            context={issue["metric"]: {"value": issue["value"], "threshold": issue["threshold"]} for issue in issues},
            run_id=report.run_id,
        )


# --- by the clock -------------------------------------------------------------------------------------------------


def late_findings(
    promise: Promise,
    last_success: str,
    since: str,
    loaded: Callable[[str, Arrival], Iterable[Mapping[str, str]]],
    now: datetime,
    *,
    failing: bool,
) -> Iterator[Finding]:
    """What is promised of a pipeline and not there in time; `since` is when it was first judged.

    While it is `failing` and that is told, that it has no success is no news.
    """
    within, began = promise.success_within_seconds, max(last_success, since)
    if within is not None and later(began, within) <= stamp(now) and not failing:
        last = f"the last one ended {_shown(last_success)}" if last_success else "there was none yet"
        yield Finding(
            "late",
            promise.pipeline,
            code="success",
            summary=f"no success within {_span(within)}: {last}",
            action=f"see whether it is started, and what it waits for: pratique runs --pipeline {promise.pipeline}",
            context={"success_within_seconds": within, "last_success": last_success},
        )
    for source, arrival in promise.arrivals.items():
        gone = arrival.missing(loaded(source, arrival), now, datetime.fromisoformat(since))
        for start, names in gone.items():
            yield _missing(promise.pipeline, source, arrival, start, names)


def _missing(pipeline: str, source: str, arrival: Arrival, start: date, names: Sequence[str]) -> Finding:
    known = [name for name in names if name]
    due = arrival.deadline(start)
    return Finding(
        "late",
        pipeline,
        source,
        code=named(start, arrival.unit),
        summary=f"no file of {named(start, arrival.unit)}{' from ' if known else ''}{_names(known)}"
        f" is loaded; promised by {_shown(stamp(due))}",
        action="ask whoever sends it, then run the pipeline: the next run takes what is new",
        context={"missing": list(known), "promised_by": stamp(due)},
    )


def danger_of(promise: Promise, last_success: str, since: str, now: datetime) -> Danger:
    """When the deadlines of a pipeline are near."""

    def danger(source: str) -> str:
        near = []
        if promise.success_within_seconds is not None:
            near.append(later(max(last_success, since), DANGER * promise.success_within_seconds))
        near += [stamp(item.danger(now)) for name, item in promise.arrivals.items() if source in {"", name}]
        return min(near, default="")

    return danger


def _span(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _shown(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"
