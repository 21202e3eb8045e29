"""The story: land, read, judge, split, load or quarantine, account, tell. The order of the steps is the guarantee."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pratique import accounting, failpoints
from pratique.destinations.base import Destination
from pratique.destinations.base import Load as OpenedLoad
from pratique.engines.base import Engine, Split, TableInput
from pratique.errors import (
    DestinationMovedError,
    GateError,
    PratiqueError,
    SourceError,
    gravity,
    stack_trace,
)
from pratique.events import (
    Emit,
    Event,
    FileHeld,
    LoadCommitted,
    LoadRetried,
    QuarantineWritten,
    RowsStaged,
    RunReconciled,
    SourceFailed,
    SourceIngested,
    SourceLanded,
    SourceSkipped,
    StageProgressed,
)
from pratique.ingestion.beside import beside, passed_on
from pratique.ingestion.dry_run import judged_dry
from pratique.ingestion.held_before import without_known
from pratique.ingestion.parents import parent_values
from pratique.ingestion.positions import loads_before, position, replaced_loads
from pratique.ingestion.progress import Progress
from pratique.ingestion.reporting import retried, source_report, told
from pratique.ledger.base import RunHandle
from pratique.model import Cause, HeldFile, Landed, Lookup, Marker, Segment, Stamp, Tally, Target, Written, load_id
from pratique.planning import Pipeline, SourcePlan
from pratique.quarantine import Quarantine, held_records, masked_causes
from pratique.reports import Problem, SourceOutcome, SourceReport
from pratique.schema import Schema
from pratique.schema.gate import gate
from pratique.secrets import hide_secrets
from pratique.sources import ReadLimits, land_together, planned_source
from pratique.sources.base import Source
from pratique.sources.nested import nested

Gate = Callable[[SourcePlan, Tally], tuple[str, ...]]

# Limit: how often a load is judged anew because another pipeline committed into its table meanwhile.
JUDGED_AGAIN_MAX: Final = 5


def now() -> str:
    """UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def ask_gate(plan: SourcePlan, tally: Tally) -> tuple[str, ...]:
    """Every reason why a load of this source must not be published."""
    return gate(plan.schema, tally, plan.max_share)


def problem_of(error: PratiqueError) -> Problem:
    """The error as the report, the ledger and whoever listens may keep it."""
    message, hint, where = hide_secrets([error.message, error.hint, error.where])
    return Problem(error.code, message, hint, where, error.exit_code, gravity(error))


def _since(began: float) -> float:
    """Seconds since then."""
    return round(time.monotonic() - began, 3)


@dataclass(frozen=True, slots=True)
class _Load:
    """One load of one source: what is read, where it goes, what its lineage says, when it began."""

    plan: SourcePlan
    landed: Landed
    stamp: Stamp
    target: Target
    began: str


_Judged = tuple[tuple[_Load, Split], ...]


@dataclass(slots=True)
class PipelineRun:
    """One run of one pipeline: its sources in order, each told from the others."""

    pipeline: Pipeline
    destination: Destination
    engine: Engine
    quarantine: Quarantine
    limits: ReadLimits
    workspace: Path  # of this run alone: for what it writes in passing
    landing: Path  # of all runs: for what is kept until it is loaded
    emit: Emit
    run_id: str
    started_at: datetime
    handle: RunHandle | None  # None: a dry run, which leaves no trace
    asked: Gate = ask_gate  # a test of a pipeline asks in its own way
    markers: list[Marker] = field(default_factory=list)
    progress: dict[str, Progress] = field(default_factory=dict)
    reports: dict[str, SourceReport] = field(default_factory=dict)
    notices: dict[str, None] = field(default_factory=dict)  # what people should know
    opened: dict[str, Source] = field(default_factory=dict)  # landed already, together
    unlanded: PratiqueError | None = None  # why they could not be

    def sources(self) -> None:
        """Ingest every source whose parents did not fail; an error of one never stops the others."""
        self.markers = list(self.destination.markers(self.pipeline.name))
        if self.handle:
            reconciled = self.handle.reconcile(self.markers)
            if reconciled.recovered or reconciled.abandoned:
                self.tell(RunReconciled, recovered=tuple(reconciled.recovered), abandoned=tuple(reconciled.abandoned))
        if self.pipeline.one_snapshot:
            self._land_together()
        for plan in self.pipeline.sources:
            if plan.nest is None:  # or it is loaded with its documents
                self._source(plan, time.monotonic())

    def _source(self, plan: SourcePlan, began: float) -> None:
        """Ingest a source, and say what became of it."""
        failed = [name for name in plan.parents if self.reports[name].outcome in {"failed", "gated", "not run"}]
        if failed:
            problem = Problem("parent", f"its parent {failed[0]} failed", f"repair {failed[0]} and run again")
            self.reports[plan.name] = self._report(plan, "not run", problem, began)
            self.tell(SourceSkipped, source=plan.name, parent=failed[0])
            self._settle_nested(plan, began)
            return
        try:
            self._loads(plan)
        except KeyboardInterrupt:
            if self.progress.get(
                plan.name, Progress()
            ).tallies:  # what it has loaded so far stays, and stands on the account
                told = "stopped before all of its files were loaded"
                problem = Problem("interrupted", told, exit_code=7, gravity="transient")
                self.reports[plan.name] = self._report(plan, "failed", problem, began)
                self.tell(SourceFailed, source=plan.name, report=self.reports[plan.name])
                self._settle_nested(plan, began)
            raise
        except PratiqueError as error:
            outcome: SourceOutcome = "gated" if isinstance(error, GateError) else "failed"
            self.reports[plan.name] = self._report(plan, outcome, problem_of(error), began)
            trace = hide_secrets(stack_trace(error))
            self.tell(SourceFailed, source=plan.name, report=self.reports[plan.name], trace=trace)
        else:
            outcome = "loaded" if self.progress[plan.name].tallies else "unchanged"
            self.reports[plan.name] = self._report(plan, outcome, None, began)
            self.tell(SourceIngested, source=plan.name, report=self.reports[plan.name])
        self._settle_nested(plan, began)

    def _nested(self, plan: SourcePlan) -> tuple[SourcePlan, ...]:
        """The tables of the records that stand in the documents of a source."""
        return tuple(other for other in self.pipeline.sources if other.nest and other.nest.of == plan.name)

    def _settle_nested(self, plan: SourcePlan, began: float) -> None:
        """Report on nested records as on their documents; where those were not loaded, they were not run."""
        documents = self.reports[plan.name]
        problem = Problem("parent", f"its parent {plan.name} failed", f"repair {plan.name} and run again")
        for other in self._nested(plan):
            if documents.problem is None:
                self.reports[other.name] = self._report(other, documents.outcome, None, began)
                self.tell(SourceIngested, source=other.name, report=self.reports[other.name])
                continue
            gated = bool(self._progress(other).evidence)
            self.reports[other.name] = self._report(other, "gated" if gated else "not run", problem, began)
            self.tell(SourceSkipped, source=other.name, parent=plan.name)

    def _progress(self, plan: SourcePlan) -> Progress:
        return self.progress.setdefault(plan.name, Progress())

    def _loads(self, plan: SourcePlan) -> None:
        """Ingest load after load until nothing new is left."""
        progress = self._progress(plan)
        if self.unlanded:
            raise self.unlanded
        source = self.opened.get(plan.name) or self._open(plan)
        while self._ingest(plan, source, progress):
            continue
        for landed, error in progress.refused[1:]:
            for file in landed.files:
                self._hold(plan, progress, HeldFile(file.version, error.message, error.hint))
        for _, error in progress.refused[:1]:
            raise error
        if progress.held and not progress.tallies and not progress.known:
            first = next(iter(progress.held.values()))
            raise SourceError(first.reason, where=first.version.name, hint=first.hint)

    def _land_together(self) -> None:
        """Land all sources out of one snapshot, which is given up before any of them is judged."""
        plans = [plan for plan in self.pipeline.sources if plan.database]
        self.opened = {plan.name: self._open(plan) for plan in plans}
        try:
            land_together([(self.opened[plan.name], position(self.markers, plan, ())) for plan in plans])
        except SourceError as error:
            self.unlanded = error

    def _open(self, plan: SourcePlan) -> Source:
        return planned_source(
            plan,
            self.limits,
            self.workspace,
            landing=self.landing / self.pipeline.name / plan.name if self.handle else None,
            values=lambda: parent_values(self.destination, plan),
        )

    def _ingest(self, plan: SourcePlan, source: Source, progress: Progress) -> bool:
        """Bring one load from its source to its destination, once; True if further files wait.

        A load that the gate or its own files refuse blocks itself only (Invariant 5): it is set aside for this run.
        The order is the delivery guarantee: nothing has an effect before gate and balance (Invariant 2), quarantine is
        durable before the commit, the commit before the ledger (Invariant 3).
        """
        self.tell(StageProgressed, source=plan.name, stage="landing")
        began = time.monotonic()
        landed = source.land(
            position(self.markers, plan, progress.aside)
        )  # Invariant 1: immutable, fingerprinted, counted
        failpoints.hit("source.landed")
        mine = progress.loaded.union(version.name for version in progress.aside)
        progress.known.update((version.name, None) for version in landed.skipped if version.name not in mine)
        for held in landed.held:
            self._hold(plan, progress, held)
        self.notices.update(dict.fromkeys(landed.notices))
        if not landed.files:
            return False
        self.tell(
            SourceLanded,
            source=plan.name,
            files=len(landed.files),
            records=landed.count,
            size_bytes=sum(file.version.size for file in landed.files),
            files_known=len(landed.skipped),
            files_held=len(landed.held),
            seconds=_since(began),
            source_type=plan.type,
        )
        try:
            self._judged_again(self._described(plan, landed))
        except (GateError, SourceError) as error:
            landed.release()
            if guilty := progress.refuse(landed, error, alone=plan.write != "replace"):
                self.tell(FileHeld, source=plan.name, file=guilty.version.name, reason=guilty.reason, hint=guilty.hint)
                return True
        else:
            for one in (plan, *self._nested(plan)):
                self._progress(one).loaded.update(file.version.name for file in landed.files)
            if self.handle:
                landed.release()
                return landed.more
        progress.aside += [file.version for file in landed.files]
        return landed.more

    def _hold(self, plan: SourcePlan, progress: Progress, file: HeldFile) -> None:
        """Set a file aside, and tell of it once."""
        held = replace(file, reason=hide_secrets(file.reason), hint=hide_secrets(file.hint))
        if progress.held.setdefault(held.version.name, held) is held:
            self.tell(FileHeld, source=plan.name, file=held.version.name, reason=held.reason, hint=held.hint)

    def _judged_again(self, loads: tuple[_Load, ...]) -> None:
        """Judge and load, anew if another pipeline committed into a table meanwhile."""
        for again in range(1, JUDGED_AGAIN_MAX):
            try:
                return self._load(loads)
            except DestinationMovedError as error:
                problem, load_id = problem_of(error), loads[0].stamp.load_id
                self.tell(LoadRetried, source=loads[0].plan.name, load_id=load_id, attempt=again, problem=problem)
        return self._load(loads)

    def _described(self, plan: SourcePlan, landed: Landed) -> tuple[_Load, ...]:
        """The load of a source, and those of the records that stand in its documents: they are committed together."""
        documents = self._described_one(plan, landed)
        inside = (
            self._described_one(other, nested(landed, other.nest, other.schema), documents.stamp.load_id)
            for other in self._nested(plan)
            if other.nest
        )
        return (documents, *inside)

    def _described_one(self, plan: SourcePlan, landed: Landed, *within: str) -> _Load:
        replaced = replaced_loads(self.markers, plan, landed)
        corrected = plan.on_new_version if replaced else None
        target = Target(
            table=plan.table,
            disposition="merge" if corrected == "merge" else plan.write,
            key=plan.schema.primary_key,
            keep=plan.keep,
            lineage=self.pipeline.lineage,
            supersedes=replaced if corrected == "replace" else (),
            parents=plan.reference_tables,
        )
        versions = (file.version for file in landed.files)
        after = replaced or loads_before(self.markers, plan)  # part of its id, so that A, B, A are three loads
        described = (*after, *within)
        identity = load_id(self.pipeline.name, plan.name, plan.table, target.disposition, versions, described)
        return _Load(plan, landed, Stamp(plan.name, self.run_id, identity, self.started_at), target, now())

    def _load(self, loads: tuple[_Load, ...]) -> None:
        """Judge a load and make it true, with those in its documents; a dry run stops before anything has an effect."""
        self.tell(StageProgressed, source=loads[0].plan.name, stage="judging")
        began = time.monotonic()
        lookup = self.destination.lookup()
        tables = [TableInput(load.landed, self._judged_by(load.plan), load.target, load.stamp) for load in loads]
        staged = self.engine.stage_nested(tables, loads[0].plan.unit, lookup)
        with closing(staged[0]):  # and with it all others
            failpoints.hit("rows.staged")
            judged = self._known(loads, staged)
            for load, one in judged:
                self._told_staged(load, one.tally, began)
                accounting.balance(load.landed, one.tally)  # Invariant 6
            self._gate(judged)  # Invariant 2
            failpoints.hit("gate.passed")
            if self.handle is None:
                for load, one in judged:
                    tally = one.tally
                    self._progress(load.plan).settled(tally, Written(tally.good), self._causes(load, one))
                return
            began = time.monotonic()
            attempts = [self.handle.attempt(load.stamp.load_id, load.plan.name) for load in loads]
            markers = self._commit(judged, lookup, attempts)
        for (load, one), marker in zip(judged, markers, strict=True):
            self.markers.append(marker)
            self.handle.record(marker)  # Invariant 3: the ledger comes after the commit
            self._progress(load.plan).settled(one.tally, marker.written, marker.causes)
            self.tell(
                LoadCommitted,
                source=load.plan.name,
                load_id=marker.load_id,
                attempt=marker.attempt,
                table=marker.table,
                account=marker.account,
                written=marker.written,
                seconds=_since(began),
            )

    def _known(self, loads: tuple[_Load, ...], staged: Sequence[Split]) -> _Judged:
        """The judged tables; of one alone without the records that earlier loads hold already."""
        if len(staged) > 1:  # what falls with a document is told by the document
            return tuple(zip(loads, staged, strict=True))
        load = loads[0]
        anew, notice = without_known(staged[0], load.landed, load.plan, load.stamp, self.markers, self.quarantine)
        self.notices.update(dict.fromkeys([notice] if notice else []))
        return ((load, anew),)

    def _judged_by(self, plan: SourcePlan) -> Schema:
        if self.handle:
            return plan.schema
        schema, notices = judged_dry(plan, self._progress(plan), self.pipeline.sources, self.progress)
        self.notices.update(dict.fromkeys(notices))
        return schema

    def _told_staged(self, load: _Load, tally: Tally, began: float) -> None:
        self.tell(
            RowsStaged,
            source=load.plan.name,
            load_id=load.stamp.load_id,
            read=tally.read,
            good=tally.good,
            quarantined=tally.quarantined,
            skipped=tally.skipped,
            quality=tally.quality()[0],
            rules=tally.rules,
            sets=tally.sets,
            seconds=_since(began),
        )

    def _commit(self, judged: _Judged, lookup: Lookup, attempts: Sequence[int]) -> tuple[Marker, ...]:
        """Rows and quarantine, table after table; when all is written the markers make it true (Invariants 3 and 4)."""
        first = judged[0][0]
        with self.destination.begin(first.stamp.load_id, lookup) as opened:
            markers = [
                self._written(opened, load, staged, attempt)
                for (load, staged), attempt in zip(judged, attempts, strict=True)
            ]
            first.landed.verify()  # Invariant 1: still the input that was judged
            self.tell(StageProgressed, source=first.plan.name, stage="committing")
            stored = opened.commit(*markers)
        run_id, at, sequence = stored.run_id, stored.committed_at, stored.sequence
        return (stored, *(replace(one, run_id=run_id, committed_at=at, sequence=sequence) for one in markers[1:]))

    def _written(self, opened: OpenedLoad, load: _Load, staged: Split, attempt: int) -> Marker:
        """Write rows and quarantine of one table, side by side; the marker that will make them true."""
        collector = accounting.CauseCollector(load.landed)
        source = load.plan.name
        self.tell(StageProgressed, source=source, stage="loading")
        with beside(lambda go_on: self._quarantined(load, staged, collector, attempt, go_on)) as quarantined:
            written = opened.write(staged.good(), load.target)
            segment = quarantined()  # Invariant 3: durable before the commit
        if segment:
            self.tell(QuarantineWritten, source=source, load_id=load.stamp.load_id, segment=segment)
        account = accounting.settle(staged.tally, written, segment)  # Invariant 6: as both report it
        return Marker(
            load_id=load.stamp.load_id,
            attempt=attempt,
            run_id=self.run_id,
            pipeline=self.pipeline.name,
            source=source,
            table=load.plan.table,
            disposition=load.target.disposition,
            schema=load.plan.schema.name,
            schema_version=load.plan.schema.version,
            files=tuple(file.version for file in load.landed.files),
            account=account,
            written=written,
            segment=segment,
            causes=masked_causes(collector.causes(), load.plan.schema),
            tally=told(load.plan, staged.tally),
            started_at=load.began,
            cursor=load.landed.cursor,
        )

    def _causes(self, load: _Load, staged: Split) -> tuple[Cause, ...]:
        """Why records would be held, where nothing is written."""
        collector = accounting.CauseCollector(load.landed)
        for _ in collector.watch(staged.quarantined()):
            continue
        return masked_causes(collector.causes(), load.plan.schema)

    def _gate(self, judged: _Judged) -> None:
        """Refuse a load that is not good enough; what was found stays as evidence in the report."""
        refused = [(load, self.asked(load.plan, staged.tally)) for load, staged in judged]
        reasons = [
            reason if load is judged[0][0] else f"{load.plan.name}: {reason}"
            for load, told in refused
            for reason in told
        ]
        if not reasons:
            return
        for load, staged in judged:
            progress = self._progress(load.plan)
            progress.evidence.append(staged.tally)
            progress.refused_causes.append(self._causes(load, staged))
        files = judged[0][0].landed.files
        schema = next(load.plan.schema for load, told in refused if told)
        raise GateError(
            "; ".join(reasons),
            where=files[0].version.name if len(files) == 1 else "",
            hint=f"nothing of it was published; correct it, or the schema {schema.name}, then run again",
            facts={"reasons": reasons},
        )

    def _quarantined(
        self,
        load: _Load,
        staged: Split,
        collector: accounting.CauseCollector,
        attempt: int,
        go_on: Callable[[], None],
    ) -> Segment | None:
        """Write the segment, in a thread of its own: it emits nothing."""
        records = held_records(
            load.landed,
            collector.watch(staged.quarantined()),
            pipeline=self.pipeline.name,
            table=load.plan.table,
            schema=load.plan.schema,
            stamp=load.stamp,
            attempt=attempt,
        )
        return self.quarantine.write(self.pipeline.name, load.stamp.load_id, attempt, passed_on(records, go_on))

    def tell(self, kind: type[Event], **facts: Any) -> None:
        """Emit an event of this run (Invariant 7: whoever listens cannot fail it)."""
        self.emit(kind(pipeline=self.pipeline.name, run_id=self.run_id, **facts))

    def _report(self, plan: SourcePlan, outcome: SourceOutcome, problem: Problem | None, began: float) -> SourceReport:
        if again := retried(plan, self._progress(plan), self.pipeline.name, self.run_id, self.limits.retries):
            self.emit(again)
            self.notices[f"{plan.name}: {again.message()}"] = None
        return source_report(plan, self._progress(plan), outcome, problem, _since(began))
