"""Runs as OpenLineage 2-0-2 events: one job for a pipeline, one for each of its sources, with the tables between them.

Each run has a START and one of COMPLETE, FAIL and ABORT. A run that was killed gets both from the next run of its
pipeline: what it had told may be told twice then, of the same run and with the same meaning.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pratique.events import (
    Event,
    RowsStaged,
    RunFinished,
    RunRecovered,
    RunStarted,
    SourceEvent,
    SourceFailed,
    SourceIngested,
    SourceLanded,
    SourceSkipped,
)
from pratique.monitoring.exporters import own_version
from pratique.monitoring.lineage_facets import (
    EVENT_SCHEMA,
    PRODUCER,
    Document,
    Named,
    Seen,
    column_lineage,
    facet,
    held_of,
    input_schema,
    inputs_of,
    output_of,
    output_schema,
    quality,
)
from pratique.monitoring.sending import Sender
from pratique.planning import Pipeline, SourcePlan
from pratique.reports import Problem, RunReport, SourceReport
from pratique.secrets import hide_secrets

_OVER: Final[Mapping[str, str]] = {"loaded": "COMPLETE", "unchanged": "COMPLETE", "failed": "FAIL", "gated": "FAIL"}


def run_uuid(run_id: str, source: str = "") -> str:
    """The id of a run, or of one of its sources: always the same, so that it can be told again."""
    run = uuid.UUID(run_id)
    return str(uuid.uuid5(run, source) if source else run)


class OpenLineage:
    """Keeps `pratique.monitoring.sending.Teller`: makes events out of those of a run, and hands them to the senders."""

    name = "OpenLineage"

    def __init__(self, pipeline: Pipeline, state: Path, namespace: str, senders: list[Sender[Document]]) -> None:
        self._pipeline = pipeline
        self._plans = {plan.name: plan for plan in pipeline.sources}
        self._state = state
        self._namespace = namespace
        self._senders = senders
        self._parent = _parent_of_all(os.environ)
        self._seen: dict[str, Seen] = {}
        self._over: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Tell what the event means for jobs and tables."""
        if isinstance(event, RunStarted):
            self._tell("START", event.run_id, at=event.started_at)
        elif isinstance(event, SourceEvent) and not isinstance(event, SourceSkipped):
            self._source(event)
        elif isinstance(event, RunRecovered):
            self._recovered(event.report)
        elif isinstance(event, RunFinished):
            reports = {source.source: source for source in event.report.sources}
            for name in self._seen.keys() - self._over:  # stopped before anything of it was loaded
                stopped, seen = event.report.problem, self._seen[name]
                self._ended(event.run_id, name, reports.get(name), seen=seen, stopped=stopped)
            self._finished(event.report)

    def end(self) -> None:
        """See `Teller.end`."""
        for sender in self._senders:
            sender.end()

    def untold(self) -> tuple[int, str]:
        """See `Teller.untold`."""
        found = [sender.untold() for sender in self._senders]
        return sum(number for number, _ in found), "; ".join(reason for _, reason in found if reason)

    def _source(self, event: SourceEvent) -> None:
        name = event.source
        if not name:
            return
        if name not in self._seen:
            self._seen[name] = Seen()
            self._tell("START", event.run_id, name, *self._tables(name))
        seen = self._seen[name]
        if isinstance(event, SourceLanded):
            seen.rows += event.records
            seen.size += event.size_bytes
            seen.files += event.files
        elif isinstance(event, RowsStaged):
            seen.judged(event.rules, event.sets)
        elif isinstance(event, SourceIngested | SourceFailed):
            self._over.add(name)
            trace = event.trace if isinstance(event, SourceFailed) else ""
            self._ended(event.run_id, name, event.report, seen=seen, trace=trace)

    def _ended(
        self,
        run_id: str,
        name: str,
        report: SourceReport | None,
        *,
        seen: Seen | None = None,
        stopped: Problem | None = None,
        trace: str = "",
        at: str = "",
    ) -> None:
        """Tell how a source ended; without an outcome of its own it was stopped."""
        problem = (report.problem if report else None) or stopped
        kind = _OVER.get(report.outcome, "ABORT") if report else "ABORT"
        if problem and problem.code == "interrupted":
            kind = "ABORT"
        tables = self._tables(name, seen, report)
        self._tell(kind, run_id, name, *tables, problem=problem, trace=trace, at=at)

    def _finished(self, report: RunReport) -> None:
        failed = [source.source for source in report.sources if source.outcome in {"failed", "gated", "not run"}]
        kind = {"done": "COMPLETE", "interrupted": "ABORT"}.get(report.outcome, "FAIL" if failed else "COMPLETE")
        if report.outcome in {"gated", "failed"}:
            kind = "FAIL"
        said = f"{report.outcome}: {', '.join(failed)}" if failed else report.outcome
        problem = report.problem or (Problem("run", said) if kind == "FAIL" else None)
        self._tell(kind, report.run_id, problem=problem, at=report.ended_at)

    def _recovered(self, report: RunReport) -> None:
        """Tell a run again that was killed, or is known by its markers only: its beginning and its end."""
        self._tell("START", report.run_id, at=report.started_at)
        for source in report.sources:
            name = source.source
            self._tell("START", report.run_id, name, *self._tables(name), at=report.started_at)
            self._ended(report.run_id, name, source, at=report.ended_at)
        self._finished(report)

    def _tables(
        self, name: str, seen: Seen | None = None, report: SourceReport | None = None
    ) -> tuple[list[Document], list[Document]]:
        """Inputs and outputs of a source, with their statistics once it is over; none if the pipeline has lost it."""
        plan = self._plans.get(name)
        if plan is None:
            return [], []
        schema = plan.schema
        read = inputs_of(plan)
        alone = len(read) == 1  # numbers of a join belong to none of its tables
        inputs = []
        for item in read:
            facets = {"dataSource": _source_of(item)}
            if alone:
                facets["schema"] = input_schema(schema)
            inputs.append(item.described(facets))
        table = output_of(self._pipeline, plan)
        facets = {"dataSource": _source_of(table), "schema": output_schema(schema)}
        if alone:
            facets["columnLineage"] = column_lineage(schema, read[0])
        if report and report.written and plan.write == "replace":
            change = {"lifecycleStateChange": "OVERWRITE"}
            facets["lifecycleStateChange"] = facet("LifecycleStateChangeDatasetFacet", **change)
        held = held_of(self._pipeline.name, self._state)
        outputs = [table.described(facets), held.described({"dataSource": _source_of(held)})]
        if report:
            if seen and alone:
                inputs[0]["inputFacets"] = dict(quality(schema, seen))
            account = report.account
            written = (account.loaded, account.quarantined) if account else ()
            for output, rows in zip(outputs, written, strict=False):
                statistics = facet("OutputStatisticsOutputDatasetFacet", rowCount=rows)
                output["outputFacets"] = {"outputStatistics": statistics}
        return inputs, outputs

    def _tell(
        self,
        kind: str,
        run_id: str,
        source: str = "",
        inputs: list[Document] | None = None,
        outputs: list[Document] | None = None,
        *,
        problem: Problem | None = None,
        trace: str = "",
        at: str = "",
    ) -> None:
        """Hand one event to the senders; no secret is in it."""
        event = {
            "eventType": kind,
            "eventTime": at or datetime.now(UTC).isoformat(timespec="milliseconds"),
            "producer": PRODUCER,
            "schemaURL": EVENT_SCHEMA,
            "run": {
                "runId": run_uuid(run_id, source),
                "facets": dict(self._run_facets(run_id, source, problem, trace)),
            },
            "job": {**self._job(source), "facets": dict(self._job_facets(source))},
            "inputs": inputs or [],
            "outputs": outputs or [],
        }
        told = hide_secrets(event)
        for sender in self._senders:
            sender.put(told)

    def _job(self, source: str) -> Document:
        name = self._pipeline.name
        return {"namespace": self._namespace, "name": f"{name}.{source}" if source else name}

    def _job_facets(self, source: str) -> Iterator[tuple[str, Document]]:
        kind = "SOURCE" if source else "PIPELINE"
        yield "jobType", facet("JobTypeJobFacet", processingType="BATCH", integration="PRATIQUE", jobType=kind)
        if not source and self._pipeline.description:
            yield "documentation", facet("DocumentationJobFacet", description=self._pipeline.description)
        plan: SourcePlan | None = self._plans.get(source)
        if plan and plan.database and plan.database.query:
            yield "sql", facet("SQLJobFacet", query=plan.database.query, dialect=plan.database.server.kind)

    def _run_facets(
        self, run_id: str, source: str, problem: Problem | None, trace: str
    ) -> Iterator[tuple[str, Document]]:
        engine = {"name": "duckdb", "version": version("duckdb"), "openlineageAdapterVersion": own_version()}
        yield "processing_engine", facet("ProcessingEngineRunFacet", **engine)
        if source:
            mine = {"run": {"runId": run_uuid(run_id)}, "job": self._job("")}
            root = self._parent.get("root", mine)
            yield "parent", facet("ParentRunFacet", **mine, root=root)
        elif self._parent:
            yield "parent", facet("ParentRunFacet", **self._parent)
        if problem:
            said = f"{problem.where}: {problem.message}" if problem.where else problem.message
            error = {"message": said, "programmingLanguage": "PYTHON", "stackTrace": trace or None}
            yield "errorMessage", facet("ErrorMessageRunFacet", **error)


def _source_of(item: Named) -> Document:
    uri = f"file://{quote(item.name)}" if item.namespace == "file" else item.namespace
    return facet("DatasourceDatasetFacet", name=item.namespace, uri=uri)


def _parent_of_all(environ: Mapping[str, str]) -> dict[str, Any]:
    """The run that started this one, as orchestrators say it: NAMESPACE/JOB/RUN-ID in two variables."""
    found: dict[str, Any] = {}
    parent = _named_run(environ.get("OPENLINEAGE_PARENT_ID", ""))
    if parent:
        found = {**parent, "root": _named_run(environ.get("OPENLINEAGE_ROOT_PARENT_ID", "")) or parent}
    return found


def _named_run(text: str) -> Document | None:
    namespace, _, rest = text.partition("/")
    name, _, run_id = rest.rpartition("/")
    try:
        return {"run": {"runId": str(uuid.UUID(run_id))}, "job": {"namespace": namespace, "name": name}}
    except ValueError:
        return None
