"""What was measured: fed by events, from a pipeline or by hand, so that both give the same numbers."""

from __future__ import annotations

import json
import math
import os
import random
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pratique.errors import PratiqueError, StateError, gravity, text_of
from pratique.events import (
    ErrorRaised,
    Event,
    IngestionRecorded,
    QualityScored,
    RecordsJudged,
    RunFinished,
    RunStarted,
    seconds_of,
)
from pratique.measures import (
    BUCKETS,
    ERRORS,
    INGESTED,
    INGESTION_DURATION,
    QUALITY,
    RUNS,
    VERDICTS,
    Measurement,
    Sample,
)
from pratique.reports import Problem

BY_HAND: Final = "_manual"  # the pipeline of what is not one
_KEPT: Final = 1024  # Limit: values that percentiles come from; exact up to here, a fair sample of all beyond
_SERIES_MAX: Final = 10_000  # Limit: of all series; further ones are counted under "(other)"
_OTHER: Final = "(other)"


@dataclass(slots=True)
class Distribution:
    """Values in bounded memory: count, sum, least and greatest exactly, percentiles from at most `_KEPT` of them.

    A reservoir (Vitter's algorithm R): each value has the same chance to be kept. Up to `_KEPT` values percentiles are
    exact, as PostgreSQL's percentile_cont; beyond, p99 is off by a third of a percentile at most two times of three.
    """

    count: int = 0
    sum: float = 0.0
    least: float = float("inf")
    greatest: float = float("-inf")
    buckets: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))
    kept: list[float] = field(default_factory=list)
    _chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret: repeatable

    def add(self, value: float) -> None:
        """Take a value in."""
        self.count += 1
        self.sum += value
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)
        for place, bound in enumerate(BUCKETS):
            self.buckets[place] += value <= bound
        if len(self.kept) < _KEPT:
            self.kept.append(value)
        elif (place := self._chance.randrange(self.count)) < _KEPT:
            self.kept[place] = value


def summed(distributions: Sequence[Distribution]) -> dict[str, Any]:
    """`count`, `avg`, `min`, `max`, `p50`, `p95` and `p99` of several distributions together; None where none is."""
    found = [item for item in distributions if item.count]
    if not found:
        return {"count": 0, **dict.fromkeys(("avg", "min", "max", "p50", "p95", "p99"))}
    count = sum(item.count for item in found)
    weighted = sorted((value, item.count / len(item.kept)) for item in found for value in item.kept)
    return {
        "count": count,
        "avg": _rounded(sum(item.sum for item in found) / count),
        "min": _rounded(min(item.least for item in found)),
        "max": _rounded(max(item.greatest for item in found)),
        **{f"p{share}": _rounded(_percentile(weighted, share / 100)) for share in (50, 95, 99)},
    }


def _percentile(weighted: Sequence[tuple[float, float]], share: float) -> float:
    """The value below which this share stands, between two neighbours by proportion."""
    if all(weight == 1 for _, weight in weighted):
        at = share * (len(weighted) - 1)
        low = int(at)
        high = min(low + 1, len(weighted) - 1)
        return weighted[low][0] + (weighted[high][0] - weighted[low][0]) * (at - low)
    wanted = share * sum(weight for _, weight in weighted)
    for value, weight in weighted:
        wanted -= weight
        if wanted <= 0:
            return value
    return weighted[-1][0]


def _checked(what: str, value: float, most: float = math.inf) -> None:
    """ValueError for a number that would spoil all that is counted with it."""
    if not (0 <= value <= most and math.isfinite(value)):
        bounds = f"0 to {most:g}" if math.isfinite(most) else "0 or more"
        raise ValueError(f"{what} is {bounds}, not {value}")


def _rounded(value: float) -> float:
    return round(value, 6)


class MetricsCollector:
    """Counts what happens, in memory that does not grow with it; safe with threads.

    `observe` takes the events of a pipeline; `record_…` makes the same events by hand. `get_metrics` gives the numbers.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._turn:
            self._series: dict[tuple[str, tuple[str, ...]], tuple[Measurement, float | Distribution]] = {}
            self._status, self._began, self._ended = "idle", "", ""
            self._seconds: float | None = None
            self._pipeline, self._run_id = BY_HAND, ""

    # --- by hand ---

    def start_pipeline(self, name: str = BY_HAND) -> None:
        """A pipeline begins now; what was measured before stays."""
        self._run_id = uuid.uuid4().hex
        self.observe(RunStarted(pipeline=name, run_id=self._run_id, environment="", started_at=_now()))

    def end_pipeline(self) -> None:
        """The pipeline that was started is over."""
        with self._turn:
            if self._status == "running":
                self._ended, self._status = _now(), "done"
                began, ended = datetime.fromisoformat(self._began), datetime.fromisoformat(self._ended)
                self._seconds = (ended - began).total_seconds()

    def record_ingestion(self, source: str, success: bool, duration: float, records: int = 1) -> None:  # noqa: FBT001
        """A source was ingested, or failed to be, in `duration` seconds; it was so many records.

        Raises ValueError, as all of these do, for a number that would spoil every sum: negative, infinite, or none.
        """
        _checked("a duration in seconds", duration)
        _checked("a number of records", records)
        split: dict[str, Any] = {"records": records, "lost": 0} if success else {"records": 0, "lost": records}
        self.observe(IngestionRecorded(**self._common(), source=source, success=success, seconds=duration, **split))

    def record_validation(self, valid: bool, records: int = 1, source: str = "") -> None:  # noqa: FBT001
        """So many records were found valid, or not."""
        _checked("a number of records", records)
        split: dict[str, Any] = {"valid": records if valid else 0, "invalid": 0 if valid else records}
        self.observe(RecordsJudged(**self._common(), source=source, **split))

    def record_quality_score(self, score: float, source: str = "") -> None:
        """The quality of records was scored, 0 to 100; the newest score of each source counts."""
        _checked("a score", score, 100)
        self.observe(QualityScored(**self._common(), source=source, score=score))

    def record_error(self, error: BaseException | str, source: str = "") -> None:
        """An error happened: counted under its type and source."""
        if isinstance(error, str):
            problem = Problem(error, "")
        else:
            code = error.code if isinstance(error, PratiqueError) else type(error).__name__
            problem = Problem(code, text_of(error), gravity=gravity(error))
        self.observe(ErrorRaised(**self._common(), source=source, problem=problem))

    def _common(self) -> dict[str, Any]:
        return {"pipeline": self._pipeline, "run_id": self._run_id}

    # --- from events ---

    def observe(self, event: Event) -> None:
        """Count what an event says."""
        with self._turn:
            if isinstance(event, RunStarted):
                self._pipeline, self._run_id = event.pipeline, event.run_id
                self._status, self._began, self._ended = "running", event.started_at, ""
                self._seconds = None
            elif isinstance(event, RunFinished):
                report = event.report
                self._status, self._began, self._ended = report.outcome, report.started_at, report.ended_at
                self._seconds = seconds_of(report)
            for measurement in event.measurements():
                self._add(measurement)

    def _add(self, measured: Measurement) -> None:
        metric, attributes = measured.metric, measured.attributes
        key = (metric.name, attributes)
        if key not in self._series and len(self._series) >= _SERIES_MAX:
            attributes = tuple(_OTHER for _ in attributes)
            key, measured = (metric.name, attributes), Measurement(metric, measured.value, attributes)
        known = self._series.get(key)
        if metric.kind == "histogram":
            distribution = known[1] if known else Distribution()
            assert isinstance(distribution, Distribution)  # noqa: S101 - of one metric all series are of one kind
            distribution.add(measured.value)
            self._series[key] = (measured, distribution)
        else:
            before = known[1] if known and metric.kind == "counter" else 0.0
            assert not isinstance(before, Distribution)  # noqa: S101 - the same
            self._series[key] = (measured, before + measured.value)

    # --- what came of it ---

    def samples(self) -> list[Sample]:
        """Every number of every series, in the order in which they were first measured."""
        with self._turn:
            return [sample for measured, state in self._series.values() for sample in _samples(measured, state)]

    def get_metrics(self) -> dict[str, Any]:
        """What people ask for: `pipeline`, `runs`, `records`, `ingestion`, `validation`, `quality`, `errors`.

        Durations are seconds. `records.processed` are those read (or judged, if that is more by hand) and those lost
        with failed ingestions; `failed` are the lost and the invalid ones. Rates are None where nothing was measured,
        and `pipeline.running_seconds` is None but while a run is at work.
        """
        with self._turn:
            return {
                "pipeline": {
                    "name": self._pipeline,
                    "status": self._status,
                    "started_at": self._began or None,
                    "ended_at": self._ended or None,
                    "duration_seconds": self._seconds,
                    "running_seconds": _seconds_since(self._began) if self._status == "running" else None,
                },
                "runs": self._runs(),
                "records": self._records(),
                "ingestion": self._ingestion(),
                "validation": self._validation(),
                "quality": self._quality(),
                "errors": self._errors(),
            }

    def _of(self, name: str) -> Iterator[tuple[tuple[str, ...], Any]]:
        return ((key[1], state) for key, (_, state) in self._series.items() if key[0] == name)

    def _total(self, name: str, last: str) -> int:
        return int(sum(state for attributes, state in self._of(name) if attributes[-1] == last))

    def _runs(self) -> dict[str, Any]:
        told = {outcome: self._total(RUNS.name, outcome) for outcome in ("success", "partial", "failure", "aborted")}
        ended = sum(told.values()) - told["aborted"]
        return {**told, "success_rate_percent": _percent(ended - told["failure"], ended)}

    def _records(self) -> dict[str, Any]:
        read, lost = self._total(INGESTED.name, "read"), self._total(INGESTED.name, "lost")
        valid, invalid = self._total(VERDICTS.name, "valid"), self._total(VERDICTS.name, "invalid")
        processed, failed = max(read, valid + invalid) + lost, lost + invalid
        seconds = sum(state.sum for _, state in self._of(INGESTION_DURATION.name))
        return {
            "processed": processed,
            "succeeded": processed - failed,
            "failed": failed,
            "success_rate_percent": _percent(processed - failed, processed),
            "per_second": _rounded(processed / seconds) if seconds else None,
        }

    def _ingestion(self) -> dict[str, Any]:
        by_source: dict[str, dict[str, list[Distribution]]] = {}
        for (_, source, outcome), state in self._of(INGESTION_DURATION.name):
            by_source.setdefault(source, {"success": [], "failure": []})[outcome].append(state)
        every = {
            outcome: [item for found in by_source.values() for item in found[outcome]]
            for outcome in ("success", "failure")
        }
        return {**_ingested(every), "by_source": {source: _ingested(found) for source, found in by_source.items()}}

    def _validation(self) -> dict[str, Any]:
        passed, failed = self._total(VERDICTS.name, "valid"), self._total(VERDICTS.name, "invalid")
        return {"passed": passed, "failed": failed, "pass_rate_percent": _percent(passed, passed + failed)}

    def _quality(self) -> dict[str, Any]:
        scores = {source: _rounded(100 * state) for (_, source), state in self._of(QUALITY.name)}
        return {
            "score": _rounded(sum(scores.values()) / len(scores)) if scores else None,
            "min": min(scores.values(), default=None),
            "by_source": {source: score for source, score in scores.items() if source},
        }

    def _errors(self) -> dict[str, Any]:
        told: dict[str, Any] = {"total": 0, "by_type": {}, "by_source": {}, "by_gravity": {}}
        for (_, source, code, grave), state in self._of(ERRORS.name):
            told["total"] += int(state)
            for kind, name in (("by_type", code), ("by_source", source), ("by_gravity", grave)):
                told[kind][name] = told[kind].get(name, 0) + int(state)
        return told

    def export_metrics(self, path: str | Path) -> Path:
        """Write all numbers as JSON, or for Prometheus if the name ends in `.prom`; a file is complete or not there.

        Missing folders are made. Raises StateError if it cannot be written.
        """
        from pratique.monitoring.exporters import described, prometheus_text  # noqa: PLC0415 - only who exports pays

        if Path(path).suffix == ".prom":
            return write_whole(Path(path), prometheus_text(self.samples()))
        document = {"exported_at": _now(), **self.get_metrics(), "metrics": described(self.samples())}
        return write_whole(Path(path), json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def merged(totals: Iterable[Sample], samples: Iterable[Sample]) -> list[Sample]:
    """Totals with further samples on top, as the ledger adds them: sums grow, gauges are the newest."""
    found = {(item.name, item.attributes, item.part): item for item in totals}
    for item in samples:
        key = (item.name, item.attributes, item.part)
        before = found[key].value if item.adds and key in found else 0
        found[key] = replace(item, value=before + item.value)
    return list(found.values())


def write_whole(path: Path, text: str) -> Path:
    """Write beside and rename, so that nobody reads half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StateError(f"cannot write {path}: {error.strerror}", hint="choose another path") from error
    return path


def _samples(measured: Measurement, state: float | Distribution) -> Iterator[Sample]:
    name, attributes = measured.metric.name, measured.attributes
    if not isinstance(state, Distribution):
        yield Sample(name, attributes, "", state, measured.metric.kind == "counter")
        return
    for bound, count in zip(BUCKETS, state.buckets, strict=True):
        yield Sample(name, attributes, f"le={bound}", count, adds=True)
    yield Sample(name, attributes, "count", state.count, adds=True)
    yield Sample(name, attributes, "sum", state.sum, adds=True)


def _ingested(found: Mapping[str, Sequence[Distribution]]) -> dict[str, Any]:
    succeeded, failed = (sum(item.count for item in found[outcome]) for outcome in ("success", "failure"))
    return {
        "total": succeeded + failed,
        "succeeded": succeeded,
        "failed": failed,
        "success_rate_percent": _percent(succeeded, succeeded + failed),
        "duration_seconds": summed([*found["success"], *found["failure"]]),
    }


def _percent(part: int, whole: int) -> float | None:
    """A share in percent; what is not all is never rounded up to it."""
    if not whole:
        return None
    return 100.0 if part == whole else min(round(100 * part / whole, 2), 99.99)


def _seconds_since(began: str) -> float:
    return round((datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds(), 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
