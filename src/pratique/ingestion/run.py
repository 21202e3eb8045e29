"""One run of one pipeline: everything is opened, the story told, the report written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pratique import accounting
from pratique.alerts import utc_now
from pratique.destinations import open_destination
from pratique.destinations.base import Destination
from pratique.engines import open_engine
from pratique.engines.base import Engine
from pratique.errors import InterruptedRunError, PratiqueError, stack_trace
from pratique.events import Emit, ErrorRaised, Event, RunFinished, RunStarted, untold
from pratique.ingestion.alerting import Alerting, Clock, alert_of_error
from pratique.ingestion.story import Gate, PipelineRun, ask_gate, now, problem_of
from pratique.ingestion.telling import Telling
from pratique.ledger import open_ledger
from pratique.ledger.base import Ledger
from pratique.monitoring.outward import tellers
from pratique.planning import Pipeline
from pratique.project import Project
from pratique.quarantine import Quarantine
from pratique.reports import Problem, RunOutcome, RunReport, SourceReport
from pratique.secrets import hide_secrets
from pratique.sources import ReadLimits, Retries, clear_outdated
from pratique.specs.settings import LimitsSpec
from pratique.workspace import workspace


def silent(_: Event) -> None:
    """Nobody listens."""


def _outcome(reports: Sequence[SourceReport], *, strict: bool) -> tuple[RunOutcome, int]:
    """The run's outcome and exit code out of its sources': partial as soon as some failed and some did not."""
    bad = [report for report in reports if report.outcome in {"failed", "gated"}]
    good = [report for report in reports if report.outcome in {"loaded", "unchanged"}]
    held = any(report.held for report in good)
    if bad and not good:
        gated = all(report.outcome == "gated" for report in bad)
        first = bad[0].problem
        return ("gated" if gated else "failed"), (first.exit_code if first else 5)
    if bad or held:
        return "partial", 8
    if strict and accounting.total(reports).quarantined:
        return "gated", 1
    return "done", 0


def run_pipeline(
    project: Project,
    name: str,
    *,
    emit: Emit = silent,
    dry_run: bool = False,
    strict: bool = False,
    destination: Destination | None = None,
    clock: Clock = utc_now,
) -> RunReport:
    """Run pipelines/NAME.yaml once and say what became of every record; the report carries failures and the exit code.

    Raises ConfigurationError for a mistake in what people wrote, AlreadyRunningError while another process runs this
    pipeline, StateError if the state folder cannot be used: before there is a run. `dry_run` reads and judges, and
    leaves no trace. `strict` makes quarantined records exit code 1. Stopped by KeyboardInterrupt, it reports what was
    committed, exit code 7. `destination` stands in for the one that the pipeline names (for connectors under test);
    alerts are judged by `clock`.
    """
    telling = Telling(emit)
    try:
        alerting = None if dry_run else partial(Alerting, project, clock=clock)
        return _run(project, name, telling, alerting, dry_run=dry_run, strict=strict, destination=destination)
    except PratiqueError as error:  # there is no run that could tell of it
        told = ErrorRaised(
            pipeline=name, run_id="", source="", problem=problem_of(error), trace=hide_secrets(stack_trace(error))
        )
        telling.bus.emit(told)
        if not dry_run:
            telling.bus.attempt("telling the alert of it", partial(alert_of_error, project, told, clock))
        raise


def _run(
    project: Project,
    name: str,
    telling: Telling,
    alerting: Callable[[Ledger], Alerting] | None,
    *,
    dry_run: bool,
    strict: bool,
    destination: Destination | None,
) -> RunReport:
    """The run, with everybody listening."""
    pipeline = project.pipeline(name)
    settings = project.config.settings
    limits = settings.limits
    state = project.config.root / settings.state.path
    destination = destination or open_destination(
        pipeline.destination.type,
        pipeline.destination.path,
        lock_timeout_seconds=limits.lock_timeout_seconds,
        name=pipeline.destination.name,
    )
    with closing(open_ledger(state / "ledger.sqlite")) as ledger, closing(telling), ExitStack() as around:
        around.enter_context(telling.alerting(alerting(ledger) if alerting else None))
        textfile = settings.monitoring.textfile
        if not dry_run:
            telling.join(tellers(project.config, pipeline, state, lambda: (telling.totals(ledger), ledger.first())))
        return run_planned(
            pipeline,
            destination,
            ledger,
            state,
            limits,
            telling=telling,
            textfile=project.config.root / textfile if textfile else None,
            dry_run=dry_run,
            strict=strict,
        )


def run_planned(
    pipeline: Pipeline,
    destination: Destination,
    ledger: Ledger,
    state: Path,
    limits: LimitsSpec,
    *,
    telling: Telling | None = None,
    textfile: Path | None = None,
    dry_run: bool = False,
    strict: bool = False,
    asked: Gate = ask_gate,
) -> RunReport:
    """Run a checked pipeline once, as `run_pipeline` does, with its state in `state` and its gate asked by `asked`.

    Without `telling` nobody hears of it, the log neither.
    """
    telling = telling or Telling(silent, logged=False)
    with ExitStack() as stack:
        folder = stack.enter_context(workspace(state / "tmp"))
        handle = (
            None
            if dry_run
            else stack.enter_context(
                ledger.begin(pipeline.name, pipeline.environment, sources=[plan.name for plan in pipeline.sources])
            )
        )
        run = PipelineRun(
            pipeline,
            destination,
            _engine(limits, folder, destination),
            Quarantine(state / "quarantine", ledger),
            read_limits(limits),
            folder,
            state / "landed",
            telling.bus.emit,
            handle.run_id if handle else uuid.uuid4().hex,
            handle.started_at if handle else datetime.now(UTC),
            handle,
            asked,
        )
        if handle:
            clear_outdated(run.landing, limits.landed_hours_max)
        report = _told_run(run, strict=strict)
        if handle:
            handle.finish(report)
        finished = RunFinished(pipeline=pipeline.name, run_id=run.run_id, report=report)
        failures, reasons = telling.ended(finished, ledger if handle else None, textfile)
        if failures:
            report = replace(report, notices=(*report.notices, "; ".join((untold(failures), *reasons))))
            if handle:
                handle.finish(report)
        return report


def read_limits(limits: LimitsSpec) -> ReadLimits:
    """What one input may cost."""
    return ReadLimits(
        record_bytes_max=limits.record_bytes_max,
        columns_max=limits.columns_max,
        files_per_load_max=limits.files_per_load_max,
        unpacked_bytes_max=limits.unpacked_bytes_max,
        expansion_max=limits.expansion_max,
        response_bytes_max=limits.response_bytes_max,
        pages_max=limits.pages_max,
        read_seconds_max=limits.read_seconds_max,
        landed_hours_max=limits.landed_hours_max,
        retries=Retries(limits.retries_max, limits.retries_per_run_max),
    )


def _engine(limits: LimitsSpec, folder: Path, destination: Destination) -> Engine:
    """The engine within the limits that people set; it spills into `folder`."""
    return open_engine(
        folder,
        memory_limit=limits.memory,
        threads=limits.threads,
        max_temp_directory_size=limits.temporary_disk,
        record_bytes_max=limits.record_bytes_max,
        paths=destination.paths(),
    )


def _told_run(run: PipelineRun, *, strict: bool) -> RunReport:
    """Run every source and write the report, also when an error or a signal ends the run early."""
    pipeline = run.pipeline
    run.tell(
        RunStarted,
        environment=pipeline.environment,
        started_at=run.started_at.isoformat(timespec="milliseconds"),
        sources=tuple(plan.name for plan in pipeline.sources),
        dry_run=run.handle is None,
    )
    problem: Problem | None = None
    outcome: RunOutcome | None = None
    code = 0
    try:
        run.sources()
    except PratiqueError as error:
        problem, outcome, code = problem_of(error), "failed", error.exit_code
        run.tell(ErrorRaised, source="", problem=problem, trace=hide_secrets(stack_trace(error)))
    except KeyboardInterrupt:
        stopped = InterruptedRunError(
            "the run was told to stop; what was committed stays",
            hint=f"pratique run {pipeline.name} --env {pipeline.environment} goes on from there",
        )
        problem, outcome, code = problem_of(stopped), "interrupted", stopped.exit_code
    except Exception as error:
        unforeseen = Problem("internal", f"unexpected {type(error).__name__}", gravity="critical")
        run.tell(ErrorRaised, source="", problem=unforeseen, trace=hide_secrets(stack_trace(error)))
        raise
    reports = tuple(run.reports[plan.name] for plan in pipeline.sources if plan.name in run.reports)
    if outcome is None:
        outcome, code = _outcome(reports, strict=strict)
    return RunReport(
        run_id=run.run_id,
        pipeline=pipeline.name,
        environment=pipeline.environment,
        outcome=outcome,
        exit_code=code,
        started_at=run.started_at.isoformat(timespec="milliseconds"),
        ended_at=now(),
        sources=reports,
        problem=problem,
        notices=(*pipeline.notices, *run.notices),
        dry_run=run.handle is None,
        destination=pipeline.destination.name,
    )
