"""What is found wrong in a run, and of what a run can say that it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pratique.alerts import Alert, Finding
from pratique.config_manager import ConfigManager
from pratique.expectations import Promise
from pratique.model import Account, FileVersion, HeldFile
from pratique.monitoring.alerts import late_findings, problem_finding, run_findings
from pratique.monitoring.alerts.rules import Seen
from pratique.reports import Problem, RunReport, SourceReport

AT = "2026-11-01T08:00:00.000+00:00"
GONE = Problem("source", "there is no file", "ask for it", "in/a.csv", 3)
BUSY = Problem("source_unreachable", "no answer", gravity="transient", exit_code=3)


def source(name: str = "orders", outcome: str = "failed", **more: object) -> SourceReport:
    """What a report says of one source."""
    return SourceReport(name, name, outcome, **more)  # type: ignore[arg-type]


def report(*sources: SourceReport, outcome: str = "failed", **more: object) -> RunReport:
    """A run of `shop`."""
    return RunReport("7f3a91" + "0" * 26, "shop", "dev", outcome, 3, AT, AT, sources, **more)  # type: ignore[arg-type]


def seen(run: RunReport, danger: str = "", root: Path | None = None) -> Seen:
    """What is found in a run."""
    return run_findings(run, ConfigManager("dev", root or Path("/nowhere")), lambda _: danger)


def test_a_failed_source_is_critical_with_what_is_known_of_it() -> None:
    """Its message, its hint, where, and what of it is loaded."""
    account = Account(50, 49, 1)
    (found,) = seen(report(source(problem=GONE, account=account))).findings
    assert (found.rule, found.source, found.code, found.severity) == ("run_failed", "orders", "source", "critical")
    assert (found.summary, found.action, found.context["where"]) == ("there is no file", "ask for it", "in/a.csv")
    assert found.context["effect"] == "49 records of it were loaded before"


@pytest.mark.parametrize(
    "run",
    [
        report(source(outcome="loaded"), outcome="done"),
        report(source(problem=Problem("interrupted", "stopped", gravity="transient")), outcome="interrupted", problem=Problem("interrupted", "x")),
        report(source(outcome="not run", problem=Problem("parent", "its parent failed")), outcome="partial"),
    ],
    ids=["done", "stopped by somebody", "its parent failed"],
)  # fmt: skip
def test_nothing_is_wrong(run: RunReport) -> None:
    """A run that is done, one that somebody stopped, and a source that waits for its parent, are no failures."""
    assert seen(run).findings == ()


def test_a_killed_run_is_a_failure_that_can_pass() -> None:
    """At once a warning; with a deadline critical, when that is near."""
    run = report(outcome="interrupted")
    (found,) = seen(run).findings
    assert (found.code, found.severity, found.tell_after) == ("killed", "warning", "")
    (found,) = seen(run, danger=AT).findings
    assert (found.code, found.severity, found.tell_after) == ("killed", "critical", AT)


def test_strict_says_why_it_failed() -> None:
    """A run that --strict refuses has no source that failed."""
    (found,) = seen(report(source(outcome="loaded", account=Account(90, 89, 1)), outcome="gated")).findings
    assert (found.code, found.summary) == ("strict", "1 records are in quarantine, and --strict allows none")


def test_held_files_are_one_warning() -> None:
    """The first three are named, with the reason of the first; a source that failed because of it tells nothing twice."""
    held = tuple(HeldFile(FileVersion(f"{n}.csv", "", 0), "its header does not fit", "rename it") for n in range(5))
    (found,) = seen(report(source(outcome="loaded", held=held), outcome="partial")).findings
    assert (found.rule, found.severity, found.action) == ("file_held", "warning", "rename it")
    assert found.summary == "held, not loaded: 0.csv, 1.csv, 2.csv and 2 more: its header does not fit"
    (found,) = seen(report(source(held=held, problem=GONE))).findings
    assert found.rule == "run_failed"
    bare = (replace(held[0], hint=""),)
    assert seen(report(source(outcome="loaded", held=bare))).findings[0].action == "pratique runs show 7f3a91"


def test_what_all_sources_share_is_one_cause() -> None:
    """A destination that refuses each of them is one alert of the pipeline."""
    refused = Problem("destination", "no space left", exit_code=4)
    (found,) = seen(report(source("a", problem=refused), source("b", problem=refused))).findings
    assert (found.source, found.code) == ("", "destination")


def test_a_storm_is_one_alert() -> None:
    """More than five sources that fail alike are one, with the first three names."""
    few = report(*(source(f"s{n}", problem=GONE) for n in range(5)))
    assert len(seen(few).findings) == 5
    many = report(*(source(f"s{n}", problem=GONE) for n in range(200)))
    (found,) = seen(many).findings
    assert (found.source, found.summary) == ("", "200 sources (s0, s1, s2 and 197 more): there is no file")
    busy = replace(GONE, code="destination")
    (found,) = seen(report(*(source(f"s{n}", problem=busy) for n in range(9)))).findings
    assert found.summary == "9 sources: there is no file"


def test_numbers_beyond_thresholds(tmp_path: Path) -> None:
    """Quality and slowness have rules; what failed is not told again by its numbers, nor what the gate told."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dev.yaml").write_text(
        "monitoring: {thresholds: {unhealthy: {ingestion_p95_seconds: 10}}}\n"
    )
    slow = source(outcome="loaded", account=Account(100, 80, 20), quality=80.0, seconds=11.0)
    found = seen(report(slow, source("other", problem=GONE), outcome="partial"), root=tmp_path).findings
    assert [(item.rule, item.severity) for item in found] == [
        ("run_failed", "critical"),
        ("quality", "critical"),
        ("slow", "critical"),
    ]
    assert found[1].context["success_rate_percent"] == {"value": 80.0, "threshold": 90.0}
    gated = source(outcome="gated", judged=Account(10, 5, 5), quality=50.0, problem=replace(GONE, code="gate"))
    assert [item.rule for item in seen(report(gated), root=tmp_path).findings] == ["gate_failed"]


@pytest.mark.parametrize(
    ("rule", "pipeline", "named", "run", "over"),
    [
        ("run_failed", "shop", "orders", report(source(outcome="loaded"), outcome="done"), True),
        ("run_failed", "shop", "orders", report(source(outcome="not run"), outcome="failed", problem=GONE), False),
        ("gate_failed", "shop", "orders", report(source(problem=BUSY), outcome="failed"), False),
        ("run_failed", "shop", "", report(source(outcome="loaded"), outcome="done"), True),
        ("run_failed", "shop", "", report(source(problem=GONE), outcome="failed"), False),
        ("run_failed", "shop", "", report(outcome="interrupted"), False),
        ("run_failed", "other", "orders", report(source(outcome="loaded"), outcome="done"), False),
        ("late", "shop", "", report(source(outcome="loaded"), outcome="done"), False),
        ("quality", "shop", "", report(source(outcome="unchanged"), outcome="done"), False),
        ("quality", "shop", "", report(source(outcome="loaded", account=Account(1, 1, 0)), outcome="done"), True),
        ("quality", "shop", "", report(source(outcome="gated", account=Account(1, 1, 0), problem=GONE)), False),
    ],
)
def test_what_a_run_can_end(rule: str, pipeline: str, named: str, run: RunReport, over: bool) -> None:  # noqa: FBT001
    """Alerts of sources that are well, and of the whole if one is; numbers only if it read something."""
    alert = Alert("a", "dev", Finding(rule, pipeline, named), AT, AT)  # type: ignore[arg-type]
    assert seen(run).settles(alert) is over


def test_an_error_without_a_hint_says_where_to_look() -> None:
    """Whoever is told always learns what to do."""
    found = problem_finding("shop", "7f3a91" + "0" * 26, "orders", BUSY, lambda _: "")
    assert (found.action, found.severity) == ("pratique runs show 7f3a91", "warning")


@pytest.mark.parametrize(
    ("seconds", "said"), [(30, "30 s"), (90, "90 s"), (120, "2 min"), (7200, "2 h"), (86_400, "1 d")]
)
def test_a_promise_is_told_as_people_write_it(seconds: int, said: str) -> None:
    """In the largest unit that fits."""
    promise = Promise("shop", success_within_seconds=seconds)
    now = datetime(2026, 11, 3, tzinfo=UTC)
    (found,) = late_findings(promise, AT, AT, lambda *_: (), now, failing=False)
    assert found.summary == f"no success within {said}: the last one ended 2026-11-01 08:00 UTC"
