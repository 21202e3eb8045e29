"""What runs measured: totals that only grow, and a history that is thinned as it ages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from datetime import UTC, datetime, timedelta
from itertools import groupby
from statistics import fmean
from typing import Final

from pratique.ledger.base import MetricPoint
from pratique.measures import Sample
from pratique.reports import RunReport

DAYS_WHOLE: Final = 7  # Limit: so long every run is kept; a run each minute is ten thousand points a week
DAYS_MAX: Final = 90  # Limit: so long one point a day is kept
_COLUMNS: Final = ", ".join(item.name for item in fields(MetricPoint))
_MARKS: Final = ", ".join("?" for _ in fields(MetricPoint))


def measure(connection: sqlite3.Connection, report: RunReport, samples: Iterable[Sample]) -> None:
    """Count a run once: totals and points; within the caller's transaction."""
    counted = connection.execute(
        "UPDATE runs SET measured = 1 WHERE run_id = ? AND measured = 0", (report.run_id,)
    ).rowcount
    if not counted:
        return
    for sample in samples:
        connection.execute(
            "INSERT INTO metric_totals VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value + CASE WHEN ? THEN value ELSE 0 END",
            (sample.name, json.dumps(sample.attributes), sample.part, sample.value, sample.adds),
        )
    _insert(connection, _points(report))


def _points(report: RunReport) -> Iterator[MetricPoint]:
    for source in report.sources:
        if source.outcome == "not run":
            continue
        account = source.account
        yield MetricPoint(
            pipeline=report.pipeline,
            source=source.source,
            at=datetime.fromisoformat(report.started_at).astimezone(UTC).isoformat(timespec="milliseconds"),
            span="run",
            run_id=report.run_id,
            runs=1,
            failures=int(source.outcome in {"failed", "gated"}),
            read=account.read if account else 0,
            loaded=account.loaded if account else 0,
            quarantined=account.quarantined if account else 0,
            skipped=sum(account.skipped.values()) if account else 0,
            quality=source.quality,
            **dict.fromkeys(_SECONDS, source.seconds),
        )


_SECONDS: Final = tuple(item.name for item in fields(MetricPoint) if item.name.startswith("seconds_"))


def _insert(connection: sqlite3.Connection, points: Iterable[MetricPoint]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO metric_points ({_COLUMNS}) VALUES ({_MARKS})", [astuple(point) for point in points]
    )


def thin(connection: sqlite3.Connection, now: datetime) -> None:
    """Make one point of each whole day that has become old enough, and remove what is too old.

    A run of a day that is one point already, measured late because its ledger was lost, stays a point of its own.
    """
    whole = (now - timedelta(days=DAYS_WHOLE)).date().isoformat()
    old = _found(
        connection.execute(
            f"SELECT {_COLUMNS} FROM metric_points AS point WHERE span = 'run' AND at < ? AND NOT EXISTS (SELECT * FROM"
            " metric_points AS day WHERE day.span = 'day' AND day.pipeline = point.pipeline"
            " AND day.source = point.source AND substr(day.at, 1, 10) = substr(point.at, 1, 10))"
            " ORDER BY pipeline, source, at",
            (whole,),
        )
    )
    for _, group in groupby(list(old), key=lambda point: (point.pipeline, point.source, point.at[:10])):
        runs = list(group)
        connection.executemany(
            "DELETE FROM metric_points WHERE pipeline = ? AND source = ? AND at = ? AND run_id = ?",
            [(point.pipeline, point.source, point.at, point.run_id) for point in runs],
        )
        _insert(connection, [_day(runs)])
    kept = (now - timedelta(days=DAYS_MAX)).date().isoformat()
    connection.execute("DELETE FROM metric_points WHERE at < ?", (kept,))


def _day(runs: list[MetricPoint]) -> MetricPoint:
    """The runs of one source on one day together; its percentiles come from every one of them."""
    seconds = sorted(point.seconds_avg for point in runs)
    scores = [point.quality for point in runs if point.quality is not None]
    return MetricPoint(
        pipeline=runs[0].pipeline,
        source=runs[0].source,
        at=f"{runs[0].at[:10]}T00:00:00.000+00:00",
        span="day",
        run_id="",
        runs=len(runs),
        failures=sum(point.failures for point in runs),
        read=sum(point.read for point in runs),
        loaded=sum(point.loaded for point in runs),
        quarantined=sum(point.quarantined for point in runs),
        skipped=sum(point.skipped for point in runs),
        quality=fmean(scores) if scores else None,
        seconds_avg=fmean(seconds),
        seconds_min=seconds[0],
        seconds_max=seconds[-1],
        **{f"seconds_p{share}": _percentile(seconds, share / 100) for share in (50, 95, 99)},
    )


def _percentile(ordered: list[float], share: float) -> float:
    """Between two neighbours by proportion, as PostgreSQL's percentile_cont."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def totals(connection: sqlite3.Connection) -> list[Sample]:
    """Every number of the totals. Whether they add up is a matter of `measure` alone."""
    rows = connection.execute("SELECT name, attributes, part, value FROM metric_totals ORDER BY name, attributes, part")
    return [Sample(name, tuple(json.loads(text)), part, value, adds=True) for name, text, part, value in rows]


def points(connection: sqlite3.Connection, pipeline: str | None, since: str) -> list[MetricPoint]:
    """Points from a time on, oldest first."""
    return list(
        _found(
            connection.execute(
                f"SELECT {_COLUMNS} FROM metric_points WHERE at >= :since"
                " AND (:pipeline IS NULL OR pipeline = :pipeline) ORDER BY at, pipeline, source",
                {"since": since, "pipeline": pipeline},
            )
        )
    )


def _found(rows: Iterable[tuple[object, ...]]) -> Iterator[MetricPoint]:
    return (MetricPoint(*row) for row in rows)  # type: ignore[arg-type]  # the columns are its fields, in order
