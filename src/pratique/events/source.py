"""What happens to one source of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pratique.events.event import (
    Level,
    SourceEvent,
    Stage,
    account_facts,
    counted,
    error_measured,
    level_of,
    problem_facts,
    said,
    size,
    took,
)
from pratique.measures import (
    ERRORS,
    HTTP_RETRIES,
    INGESTED,
    INGESTION_DURATION,
    QUALITY,
    QUARANTINE_FAILURES,
    READ_SIZE,
    RETRIES,
    ROWS,
    STAGE_DURATION,
    VERDICTS,
    Measurement,
    score,
)
from pratique.model import Account, RuleTally, Segment, SetVerdict, Written
from pratique.reports import Problem, SourceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgressed(SourceEvent):
    """A stage began or came further. `rows` are those done so far, `fraction` (0 to 1) only where it is known."""

    level: ClassVar[Level] = "debug"
    action: ClassVar[str] = "stage.progress"

    stage: Stage
    rows: int | None = None
    fraction: float | None = None

    def message(self) -> str:
        """Which stage."""
        return f"{self.stage} …"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLanded(SourceEvent):
    """The input of one load is described, fingerprinted and counted."""

    action: ClassVar[str] = "source.land"

    files: int
    records: int
    size_bytes: int
    files_known: int = 0
    files_held: int = 0
    seconds: float = 0.0
    source_type: str = "files"

    def message(self) -> str:
        """How much there is, and how much of it was known."""
        files = f"{self.files:,} file{'s' if self.files != 1 else ''}"
        known = f", {self.files_known:,} loaded before" if self.files_known else ""
        return f"landed {files}, {self.records:,} records, {size(self.size_bytes)}{known}{took(self.seconds)}"

    def facts(self) -> Mapping[str, Any]:
        """Counts."""
        return {"files": self.files, "records": self.records, "size_bytes": self.size_bytes}

    def measurements(self) -> Iterator[Measurement]:
        """Bytes read, and the time it took to find and describe them."""
        yield Measurement(READ_SIZE, self.size_bytes, (self.pipeline, self.source_type))
        yield Measurement(STAGE_DURATION, self.seconds, (self.pipeline, "extract"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRetried(SourceEvent):
    """What could pass was tried again while a source was read, whatever became of it; told once, when it is over.

    `retries` counts by class of HTTP status, such as `5xx`, and `none` without one.
    """

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "source.retry"

    retries: Mapping[str, int]
    source_type: str = "files"

    def message(self) -> str:
        """How often."""
        made = sum(self.retries.values())
        return f"tried again {made} time{'s' if made != 1 else ''}"

    def facts(self) -> Mapping[str, Any]:
        """How often, by what was answered."""
        return {"retries": dict(self.retries)}

    def measurements(self) -> Iterator[Measurement]:
        """Each of them once, and those of an API by what was answered."""
        yield Measurement(RETRIES, sum(self.retries.values()), (self.pipeline, self.source_type))
        for status, made in self.retries.items() if self.source_type == "api" else ():
            yield Measurement(HTTP_RETRIES, made, (self.pipeline, status))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeld(SourceEvent):
    """One file was not loaded at all; the other files go on."""

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "file.hold"

    file: str
    reason: str
    hint: str = ""

    def message(self) -> str:
        """Which file and why."""
        return f"held {self.file}: {self.reason}"

    def facts(self) -> Mapping[str, Any]:
        """The file."""
        return {"file": self.file, "hint": self.hint}

    def measurements(self) -> Iterator[Measurement]:
        """An error."""
        yield Measurement(ERRORS, 1, (self.pipeline, self.source, "file_held", "permanent"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsStaged(SourceEvent):
    """Every record of a load was read once and judged; nobody can see anything of it yet."""

    action: ClassVar[str] = "rows.judge"

    load_id: str
    read: int
    good: int
    quarantined: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    warnings: int = 0
    quality: float | None = None
    rules: tuple[RuleTally, ...] = ()
    sets: tuple[SetVerdict, ...] = ()
    seconds: float = 0.0

    def message(self) -> str:
        """The split."""
        skipped = sum(self.skipped.values())
        split = f"{self.good:,} good, {self.quarantined:,} to quarantine, {skipped:,} skipped"
        return f"judged {self.read:,}: {split}{took(self.seconds)}"

    def facts(self) -> Mapping[str, Any]:
        """Counts."""
        return {"rows_read": self.read, "rows_good": self.good, "rows_held": self.quarantined}

    def measurements(self) -> Iterator[Measurement]:
        """The time that reading and judging took."""
        yield Measurement(STAGE_DURATION, self.seconds, (self.pipeline, "validate"))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineWritten(SourceEvent):
    """The quarantined records of a load are durable; they become visible with its commit only."""

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "row.quarantined"

    load_id: str
    segment: Segment
    seconds: float = 0.0

    def message(self) -> str:
        """How many."""
        return f"quarantined {counted(self.segment.records)}{took(self.seconds)}"

    def facts(self) -> Mapping[str, Any]:
        """Counts."""
        return {"rows_quarantined": self.segment.records, "load_id": self.load_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRetried(SourceEvent):
    """An attempt left no trace and is made again, because its error can pass."""

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "load.retry"

    load_id: str
    attempt: int
    problem: Problem

    def message(self) -> str:
        """Which attempt, and why."""
        return f"attempt {self.attempt} left no trace, again: {self.problem.message}"

    def facts(self) -> Mapping[str, Any]:
        """The error."""
        return {"attempt": self.attempt, **problem_facts(self.problem, "")}

    def measurements(self) -> Iterator[Measurement]:
        """An error."""
        yield error_measured(self.pipeline, self.source, self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCommitted(SourceEvent):
    """Rows and marker of a load became true in the same instant."""

    action: ClassVar[str] = "load.commit"

    load_id: str
    attempt: int
    table: str
    account: Account
    written: Written
    seconds: float = 0.0

    def message(self) -> str:
        """How many rows, and into which table."""
        return f"loaded {counted(self.account.loaded)} into {self.table}{took(self.seconds)}"

    def facts(self) -> Mapping[str, Any]:
        """Counts, and which load."""
        return {"rows_loaded": self.account.loaded, "table": self.table, "load_id": self.load_id}

    def measurements(self) -> Iterator[Measurement]:
        """The time from the first row written to the commit."""
        yield Measurement(STAGE_DURATION, self.seconds, (self.pipeline, "load"))


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionRecorded(SourceEvent):
    """A source was ingested, or failed to be; the one measure of both, for pipelines and by hand."""

    level: ClassVar[Level] = "debug"
    action: ClassVar[str] = "source.measure"

    success: bool
    records: int
    seconds: float
    lost: int = 0

    def measurements(self) -> Iterator[Measurement]:
        """How long it took, and how many records it was."""
        outcome = "success" if self.success else "failure"
        yield Measurement(INGESTION_DURATION, self.seconds, (self.pipeline, self.source, outcome))
        yield Measurement(INGESTED, self.records, (self.pipeline, self.source, "read"))
        yield Measurement(INGESTED, self.lost, (self.pipeline, self.source, "lost"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsJudged(SourceEvent):
    """Records were found valid or not."""

    level: ClassVar[Level] = "debug"
    action: ClassVar[str] = "records.judge"

    valid: int
    invalid: int

    def measurements(self) -> Iterator[Measurement]:
        """How many of each."""
        yield Measurement(VERDICTS, self.valid, (self.pipeline, self.source, "valid"))
        yield Measurement(VERDICTS, self.invalid, (self.pipeline, self.source, "invalid"))


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityScored(SourceEvent):
    """The quality of a source's records was scored, 0 to 100."""

    level: ClassVar[Level] = "debug"
    action: ClassVar[str] = "quality.score"

    score: float

    def measurements(self) -> Iterator[Measurement]:
        """The score as a share."""
        yield Measurement(QUALITY, self.score / 100, (self.pipeline, self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRaised(SourceEvent):
    """An error, with where it came from; it stopped what it says, and nothing else."""

    action: ClassVar[str] = "error"

    problem: Problem
    trace: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def loudness(self) -> Level:
        """As grave as the error."""
        return level_of(self.problem.gravity)

    def message(self) -> str:
        """What the error says, and where."""
        return said(self.problem)

    def facts(self) -> Mapping[str, Any]:
        """The error, and what was known around it."""
        return {**self.context, **problem_facts(self.problem, self.trace)}

    def measurements(self) -> Iterator[Measurement]:
        """An error."""
        yield error_measured(self.pipeline, self.source, self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIngested(SourceEvent):
    """A source is done: all of its loads are committed, or nothing was new."""

    action: ClassVar[str] = "source.ingest"

    report: SourceReport

    def message(self) -> str:
        """Its account."""
        account = self.report.account
        if self.report.outcome == "unchanged" or account is None:
            return "unchanged: nothing new"
        quality = f", quality {score(self.report.quality)}" if self.report.quality is not None else ""
        return (
            f"done: {account.read:,} read = {account.loaded:,} loaded + {account.quarantined:,} quarantined"
            f" + {sum(account.skipped.values()):,} skipped{quality}"
        )

    def facts(self) -> Mapping[str, Any]:
        """Its account."""
        return {"event.outcome": "success", **account_facts(self.report.account)}

    def measurements(self) -> Iterator[Measurement]:
        """Everything that its report says in numbers."""
        yield from _source_measures(self, success=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailed(SourceEvent):
    """A source failed or did not pass its gate; loads that it committed before stay, the other sources go on."""

    action: ClassVar[str] = "source.fail"

    report: SourceReport
    trace: str = ""

    @property
    def loudness(self) -> Level:
        """As grave as the error."""
        return level_of(self.report.problem.gravity if self.report.problem else "permanent")

    def message(self) -> str:
        """What the error says, and where."""
        return f"{self.report.outcome.upper()}{': ' + said(self.report.problem) if self.report.problem else ''}"

    def facts(self) -> Mapping[str, Any]:
        """The error, and what had been loaded."""
        return {**account_facts(self.report.account), **problem_facts(self.report.problem, self.trace)}

    def measurements(self) -> Iterator[Measurement]:
        """Everything that its report says in numbers, and an error."""
        yield from _source_measures(self, success=False)
        if self.report.problem:
            yield error_measured(self.pipeline, self.source, self.report.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSkipped(SourceEvent):
    """A source was not run, because the source of its parent table failed."""

    level: ClassVar[Level] = "warning"
    action: ClassVar[str] = "source.skip"

    parent: str

    def message(self) -> str:
        """Which parent."""
        return f"not run: its parent {self.parent} failed"


def _source_measures(event: SourceIngested | SourceFailed, *, success: bool) -> Iterator[Measurement]:
    """What the report of a source says in numbers."""
    report = event.report
    common: dict[str, Any] = {"pipeline": event.pipeline, "run_id": event.run_id, "source": event.source}
    judged = [account for account in (report.account, report.judged) if account]
    read, invalid = sum(account.read for account in judged), sum(account.quarantined for account in judged)
    skipped = sum(sum(account.skipped.values()) for account in judged)
    yield from IngestionRecorded(**common, success=success, records=read, seconds=report.seconds).measurements()
    if read:
        yield from RecordsJudged(**common, valid=read - invalid - skipped, invalid=invalid).measurements()
    if report.quality is not None:
        yield from QualityScored(**common, score=report.quality).measurements()
    if report.account:
        yield Measurement(ROWS, report.account.loaded, (event.pipeline, "loaded"))
        yield Measurement(ROWS, report.account.quarantined, (event.pipeline, "quarantined"))
        yield Measurement(ROWS, sum(report.account.skipped.values()), (event.pipeline, "skipped"))
        for cause in report.causes if not report.judged else ():
            series = (event.pipeline, f"{event.source}.{cause.rule}", "quarantine")
            yield Measurement(QUARANTINE_FAILURES, cause.records, series)
    for rule in report.warnings:
        yield Measurement(QUARANTINE_FAILURES, rule.failed, (event.pipeline, f"{event.source}.{rule.name}", "warn"))
