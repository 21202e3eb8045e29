"""What runs measured stays on the ledger: added up once, thinned by age, and an older ledger learns it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pratique.ledger import Ledger, open_ledger
from pratique.ledger.migrations import MIGRATIONS
from pratique.measures import ROWS, RUN_DURATION, Sample
from pratique.model import Account
from pratique.reports import RunReport, SourceReport


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with open_ledger(tmp_path / "state" / "ledger.sqlite") as opened:  # type: ignore[attr-defined]
        yield opened


def ended(ledger: Ledger, seconds: float = 1.0, days_ago: float = 0, quality: float | None = 90.0) -> RunReport:
    """A run of `shop` that has ended, so long ago."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="milliseconds")
    with ledger.begin("shop", "dev", sources=["orders"]) as run:
        source = SourceReport(
            "orders", "orders", "loaded", Account(10, 7, 2, {"filter": 1}), quality=quality, seconds=seconds
        )
        report = RunReport(run.run_id, "shop", "dev", "done", 0, at, at, (source,))
        run.finish(report)
    return report


LOADED = Sample(ROWS.name, ("shop", "loaded"), "", 7, adds=True)
TOOK = Sample(RUN_DURATION.name, ("shop", "success"), "sum", 1.5, adds=True)
LAST = Sample("pratique.run.last_success.timestamp", ("shop",), "", 100, adds=False)


def test_counters_add_up_and_gauges_are_replaced(ledger: Ledger) -> None:
    """Two runs make the sum of a counter, and the later of two gauges."""
    ledger.measure(ended(ledger), [LOADED, TOOK, LAST])
    ledger.measure(ended(ledger), [LOADED, TOOK, replace(LAST, value=200)])
    assert {(item.name, item.part): item.value for item in ledger.totals()} == {
        (ROWS.name, ""): 14,
        (RUN_DURATION.name, "sum"): 3,
        (LAST.name, ""): 200,
    }


def test_a_run_counts_once(ledger: Ledger) -> None:
    """Measured twice, or never begun: nothing more is counted."""
    report = ended(ledger)
    assert [item.run_id for item in ledger.unmeasured("shop")] == [report.run_id]
    ledger.measure(report, [LOADED])
    ledger.measure(report, [LOADED])
    ledger.measure(replace(report, run_id="0" * 32), [LOADED])
    assert [item.value for item in ledger.totals()] == [7]
    assert len(ledger.history()) == 1
    assert ledger.unmeasured("shop") == []


def test_old_points_become_one_a_day_with_exact_percentiles(ledger: Ledger) -> None:
    """Sums are kept, percentiles come from every run of the day, and it stays one point when more runs are measured."""
    noon = datetime.now(UTC).hour - 12
    for number in range(1, 101):
        ledger.measure(ended(ledger, seconds=number, days_ago=10 + (noon + number / 100) / 24), [])
    ledger.measure(ended(ledger, seconds=5, quality=None), [])
    ledger.thin()
    old, new = ledger.history()
    assert (old.span, old.runs, old.read, old.loaded, old.quarantined, old.skipped) == ("day", 100, 1000, 700, 200, 100)
    assert (old.seconds_min, old.seconds_p50, old.seconds_p95, old.seconds_max) == (1, 50.5, 95.05, 100)
    assert old.quality == pytest.approx(90)
    assert (new.span, new.quality, new.seconds_p99) == ("run", None, 5)
    assert ledger.history(since=new.at) == [new]
    assert ledger.history("other") == []


def test_a_run_that_is_measured_late_takes_nothing_from_its_day(ledger: Ledger) -> None:
    """A day that is one point already keeps it; what comes later stands beside it, and both go after ninety days."""
    for days in (10, 10, 10, 100):
        ledger.measure(ended(ledger, days_ago=days), [])
        ledger.thin()
    assert sorted((point.span, point.runs) for point in ledger.history()) == [("day", 1), ("run", 1), ("run", 1)]


def test_active_runs_are_those_whose_process_lives(ledger: Ledger) -> None:
    """A run is active between its begin and its end."""
    with ledger.begin("shop", "dev") as run:
        assert [report.run_id for report in ledger.active()] == [run.run_id]
    assert ledger.active() == []


def test_a_ledger_of_the_first_form_keeps_its_runs_and_learns_to_measure(tmp_path: Path) -> None:
    """Its runs are there after the migration, and wait to be measured."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(tmp_path / "other.sqlite") as other:  # type: ignore[attr-defined]
        report = ended(other)
        text = sqlite3.connect(tmp_path / "other.sqlite")
        (document,) = text.execute("SELECT report FROM runs").fetchone()
        text.close()
    old = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute("INSERT INTO runs VALUES (?, 'shop', ?, 'done', ?)", (report.run_id, report.started_at, document))
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with open_ledger(path) as ledger:  # type: ignore[attr-defined]
        assert ledger.runs() == [report]
        assert ledger.unmeasured("shop") == [report]
