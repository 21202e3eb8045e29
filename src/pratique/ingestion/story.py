"""The story: land, read, judge, split, load or quarantine, account, tell. The order of the steps is the guarantee."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pratique import accounting, failpoints
from pratique.destinations.base import Destination
from pratique.engines.base import Engine, Staged
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
from pratique.ingestion.beside import beside
from pratique.ingestion.parents import parent_values
from pratique.ingestion.positions import loads_before, position, replaced_loads
from pratique.ingestion.progress import Progress
from pratique.ledger.base import RunHandle
from pratique.model import (
    Account,
    Cause,
    HeldFile,
    Landed,
    Lookup,
    Marker,
    Problem,
    Segment,
    SourceReport,
    Stamp,
    Tally,
    Target,
    Written,
    load_id,
)
from pratique.planning import Pipeline, SourcePlan
from pratique.quarantine import Quarantine, held_records, masked_causes
from pratique.schema import Schema
from pratique.schema.gate import gate, warnings
from pratique.secrets import hide_secrets
from pratique.sources import ReadLimits, planned_source
from pratique.sources.base import Source

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

    def sources(self) -> None:
        """Ingest every source whose parents did not fail; an error of one never stops the others."""
        self.markers = list(self.destination.markers(self.pipeline.name))
        if self.handle:
            reconciled = self.handle.reconcile(self.markers)
            if reconciled.recovered or reconciled.abandoned:
                self.tell(RunReconciled, recovered=tuple(reconciled.recovered), abandoned=tuple(reconciled.abandoned))
        for plan in self.pipeline.sources:
            began = time.monotonic()
            failed = [name for name in plan.parents if self.reports[name].outcome in {"failed", "gated", "not run"}]
            if failed:
                problem = Problem("parent", f"its parent {failed[0]} failed", f"repair {failed[0]} and run again")
                self.reports[plan.name] = self._report(plan, "not run", problem, began)
                self.tell(SourceSkipped, source=plan.name, parent=failed[0])
                continue
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
                raise
            except PratiqueError as error:
                outcome = "gated" if isinstance(error, GateError) else "failed"
                self.reports[plan.name] = self._report(plan, outcome, problem_of(error), began)
                trace = hide_secrets(stack_trace(error))
                self.tell(SourceFailed, source=plan.name, report=self.reports[plan.name], trace=trace)
            else:
                outcome = "loaded" if self.progress[plan.name].tallies else "unchanged"
                self.reports[plan.name] = self._report(plan, outcome, None, began)
                self.tell(SourceIngested, source=plan.name, report=self.reports[plan.name])

    def _loads(self, plan: SourcePlan) -> None:
        """Ingest load after load until nothing new is left."""
        progress = self.progress.setdefault(plan.name, Progress())
        source = planned_source(
            plan,
            self.limits,
            self.workspace,
            landing=self.landing / self.pipeline.name / plan.name if self.handle else None,
            values=lambda: parent_values(self.destination, plan),
        )
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
            self._judged_again(self._described(plan, landed), progress)
        except (GateError, SourceError) as error:
            landed.release()
            if guilty := progress.refuse(landed, error, alone=plan.write != "replace"):
                self.tell(FileHeld, source=plan.name, file=guilty.version.name, reason=guilty.reason, hint=guilty.hint)
                return True
        else:
            progress.loaded.update(file.version.name for file in landed.files)
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

    def _judged_again(self, load: _Load, progress: Progress) -> None:
        """Judge and load, anew if another pipeline committed into the table meanwhile."""
        for again in range(1, JUDGED_AGAIN_MAX):
            try:
                return self._load(load, progress)
            except DestinationMovedError as error:
                problem, source = problem_of(error), load.plan.name
                self.tell(LoadRetried, source=source, load_id=load.stamp.load_id, attempt=again, problem=problem)
        return self._load(load, progress)

    def _described(self, plan: SourcePlan, landed: Landed) -> _Load:
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
        identity = load_id(self.pipeline.name, plan.name, plan.table, target.disposition, versions, after)
        return _Load(plan, landed, Stamp(plan.name, self.run_id, identity, self.started_at), target, now())

    def _load(self, load: _Load, progress: Progress) -> None:
        """Judge a load and make it true; a dry run stops before anything has an effect."""
        source = load.plan.name
        self.tell(StageProgressed, source=source, stage="judging")
        began = time.monotonic()
        lookup = self.destination.lookup()
        schema = load.plan.schema if self.handle else self._judged_dry(load.plan)
        with _closing(self.engine.stage(load.landed, schema, load.target, load.stamp, lookup)) as staged:
            failpoints.hit("rows.staged")
            tally = staged.tally
            self.tell(
                RowsStaged,
                source=source,
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
            accounting.balance(load.landed, tally)  # Invariant 6
            self._gate(load, staged, progress)  # Invariant 2
            failpoints.hit("gate.passed")
            if self.handle is None:
                progress.settled(tally, Written(tally.good), self._causes(load, staged))
                return
            began = time.monotonic()
            marker = self._commit(load, staged, lookup, self.handle.attempt(load.stamp.load_id, source))
        self.markers.append(marker)
        self.handle.record(marker)  # Invariant 3: the ledger comes after the commit
        progress.settled(tally, marker.written, marker.causes)
        self.tell(
            LoadCommitted,
            source=source,
            load_id=marker.load_id,
            attempt=marker.attempt,
            table=marker.table,
            account=marker.account,
            written=marker.written,
            seconds=_since(began),
        )

    def _judged_dry(self, plan: SourcePlan) -> Schema:
        """What a dry run can judge: no references to rows that it would have loaded just before, nor between loads."""
        if self.progress[plan.name].tallies and plan.schema.keys and plan.write == "append":
            told = f"dry run: the loads of {plan.name} are judged by what its table holds now, not by each other's keys"
            self.notices[told] = None
        new = {
            other.schema.name
            for other in self.pipeline.sources
            if other.name in plan.parents and any(tally.good for tally in self.progress[other.name].tallies)
        }
        left_out = [item.name for item in plan.schema.references if item.parent in new]
        if left_out:
            told = (
                f"dry run: {plan.name} is judged without {', '.join(left_out)}: the parents' new rows are not written"
            )
            self.notices[told] = None
        kept = tuple(item for item in plan.schema.references if item.parent not in new)
        return replace(plan.schema, references=kept)

    def _commit(self, load: _Load, staged: Staged, lookup: Lookup, attempt: int) -> Marker:
        """Rows and quarantine, side by side; when both are written the marker makes them true (Invariants 3 and 4)."""
        collector = accounting.CauseCollector(load.landed)
        source = load.plan.name
        self.tell(StageProgressed, source=source, stage="loading")
        with (
            self.destination.begin(load.stamp.load_id, lookup) as opened,
            beside(lambda go_on: self._quarantined(load, staged, collector, attempt, go_on)) as quarantined,
        ):
            written = opened.write(staged.good(), load.target)
            segment = quarantined()  # Invariant 3: durable before the commit
            if segment:
                self.tell(QuarantineWritten, source=source, load_id=load.stamp.load_id, segment=segment)
            account = accounting.settle(staged.tally, written, segment)  # Invariant 6: as both report it
            load.landed.verify()  # Invariant 1: still the input that was judged
            self.tell(StageProgressed, source=source, stage="committing")
            return opened.commit(
                Marker(
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
                    tally=_told(load.plan, staged.tally),
                    started_at=load.began,
                    cursor=load.landed.cursor,
                )
            )

    def _causes(self, load: _Load, staged: Staged) -> tuple[Cause, ...]:
        """Why records would be held, where nothing is written."""
        collector = accounting.CauseCollector(load.landed)
        for _ in collector.watch(staged.quarantined()):
            continue
        return masked_causes(collector.causes(), load.plan.schema)

    def _gate(self, load: _Load, staged: Staged, progress: Progress) -> None:
        """Refuse a load that is not good enough; what was found stays as evidence in the report."""
        reasons = self.asked(load.plan, staged.tally)
        if not reasons:
            return
        progress.evidence.append(staged.tally)
        progress.refused_causes.append(self._causes(load, staged))
        files = load.landed.files
        raise GateError(
            "; ".join(reasons),
            where=files[0].version.name if len(files) == 1 else "",
            hint=f"nothing of it was published; correct it, or the schema {load.plan.schema.name}, then run again",
            facts={"reasons": reasons},
        )

    def _quarantined(
        self,
        load: _Load,
        staged: Staged,
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
        return self.quarantine.write(self.pipeline.name, load.stamp.load_id, attempt, _while(go_on, records))

    @staticmethod
    def _account(progress: Progress, tally: Tally, written: Written, outcome: str) -> Account | None:
        if progress.tallies or outcome == "unchanged":
            return accounting.account_of(tally, written)
        return None

    def tell(self, kind: type[Event], **facts: Any) -> None:
        """Emit an event of this run (Invariant 7: whoever listens cannot fail it)."""
        self.emit(kind(pipeline=self.pipeline.name, run_id=self.run_id, **facts))

    def _report(self, plan: SourcePlan, outcome: Any, problem: Problem | None, began: float) -> SourceReport:
        progress = self.progress.get(plan.name, Progress())
        tally = accounting.summed_tally(progress.tallies)
        judged = accounting.summed_tally(progress.evidence) if progress.evidence else tally
        quality, dimensions = judged.quality()
        written = accounting.summed_written(progress.written)
        return SourceReport(
            source=plan.name,
            table=plan.table,
            outcome=outcome,
            account=self._account(progress, tally, written, outcome),
            judged=accounting.account_of(judged, Written(judged.good)) if progress.evidence else None,
            written=written if progress.tallies else None,
            disposition=plan.write,
            quality=quality,
            dimensions=dimensions,
            warnings=warnings(plan.schema, judged),
            causes=accounting.summed_causes(progress.refused_causes or progress.causes),
            sets=judged.sets,
            changed=judged.changed,
            files_loaded=len(progress.loaded),
            files_known=tuple(sorted(progress.known)),
            held=tuple(progress.held.values()),
            newest=judged.newest,
            problem=problem,
            seconds=_since(began),
        )


def _told(plan: SourcePlan, tally: Tally) -> Mapping[str, Any]:
    """What the report says of a load beyond its account, as plain values for the marker."""
    quality, dimensions = tally.quality()
    return {
        "quality": quality,
        "dimensions": dimensions,
        "warnings": [asdict(rule) for rule in warnings(plan.schema, tally)],
        "changed": dict(tally.changed),
        "newest": tally.newest,
    }


def _while(go_on: Callable[[], None], records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Pass records on until `go_on` raises."""
    for record in records:
        go_on()
        yield record


@contextmanager
def _closing(staged: Staged) -> Iterator[Staged]:
    """Free what judging took, whatever happens."""
    try:
        yield staged
    finally:
        staged.close()
