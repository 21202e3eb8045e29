"""What a run tells, and when nothing ran: also after kills, without a ledger, and when whoever listens is broken."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from receivers import Web, web
from rig import Rig
from test_telling import Astray  # type: ignore[import-not-found]

from pratique.alerts import Alert, Waiting
from pratique.errors import ConfigurationError, StateError
from pratique.ingestion import deliver_alerts, run_pipeline
from pratique.ingestion.alerting import Alerting
from pratique.ledger import Ledger, open_ledger
from pratique.project import Project
from pratique.reports import Problem, RunReport, SourceReport


@pytest.fixture
def hook() -> Iterator[Web]:
    """A web server that gets the alerts."""
    with web() as opened:
        yield opened


def rigged(root: Path, alerts: str, more: str = "") -> Rig:
    """The rig's project with these alerts, and more words in its pipeline."""
    rig = Rig(root, "duckdb")
    path = root / "config" / "default.yaml"
    path.write_text(path.read_text() + alerts)
    pipeline = root / "pipelines" / "orders.yaml"
    pipeline.write_text(more + pipeline.read_text())
    return rig


@contextmanager
def ledger_of(root: Path) -> Iterator[Ledger]:
    """The project's ledger."""
    with closing(open_ledger(root / ".pratique" / "ledger.sqlite")) as ledger:
        yield ledger


def open_alerts(root: Path) -> list[Alert]:
    """What is open."""
    with ledger_of(root) as ledger:
        return list(ledger.alerts.latest("dev"))


def test_a_dry_run_tells_nobody(tmp_path: Path, hook: Web) -> None:
    """It leaves no trace, of alerts neither, whatever is wrong."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / "x.csv").write_text("nothing,that\n1,fits\n")
    assert run_pipeline(Project(rig.root, "dev"), "orders", dry_run=True).exit_code == 3
    (tmp_path / "pipelines" / "orders.yaml").write_text("sources: 1\n")
    with pytest.raises(ConfigurationError):
        run_pipeline(Project(rig.root, "dev"), "orders", dry_run=True)
    assert hook.events == []


def test_a_fault_that_nobody_foresaw_is_told_at_once(tmp_path: Path, hook: Web) -> None:
    """A run that breaks in its own way is told as critical before its process ends, once, and by its end is over."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    rig.add_file("a.csv")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run_pipeline(Project(rig.root, "dev"), "orders", destination=Astray())
    (event,) = hook.events
    assert (event["severity"], event["data"]["context"]["error"]) == ("critical", "internal")
    assert rig.run() == 0
    assert hook.told[1:] == [("resolved", "orders")]


def test_a_mistyped_name_is_no_alert(tmp_path: Path, hook: Web) -> None:
    """A pipeline that there is not, and one that is running, are told to whoever started it, and to nobody else."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    with pytest.raises(ConfigurationError):
        run_pipeline(Project(rig.root, "dev"), "ordres")
    with ledger_of(rig.root) as ledger, ledger.begin("orders", "dev"):
        assert rig.run_command() == 6
    assert hook.events == []


def test_without_a_channel_no_ledger_is_made_for_an_error(tmp_path: Path) -> None:
    """A mistake in a file leaves nothing behind where nobody is to be told."""
    rig = rigged(tmp_path, "")
    (tmp_path / "pipelines" / "orders.yaml").write_text("sources: 1\n")
    with pytest.raises(ConfigurationError):
        run_pipeline(Project(rig.root, "dev"), "orders")
    assert not (tmp_path / ".pratique").exists()


def test_without_a_ledger_every_channel_is_told_at_once(tmp_path: Path, hook: Web) -> None:
    """A state folder that cannot be used is told though nothing can be kept; the run fails as it would have."""
    channels = (
        f"{{ops: {{url: {hook.url}}}, gone: {{url: http://127.0.0.1:9/}}, others: {{url: {hook.url}, teams: [x]}}}}"
    )
    rig = rigged(tmp_path, f"alerts: {{channels: {channels}}}\n")
    (tmp_path / ".pratique").write_text("in the way")
    with pytest.raises(StateError):
        run_pipeline(Project(rig.root, "dev"), "orders")
    (event,) = hook.events
    assert event["data"]["context"]["error"] == "state"


def test_who_listens_may_break_and_the_run_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An outbox whose table is gone fails no run: it is told on stderr, and the rows are there."""
    rig = rigged(tmp_path, "alerts: {channels: {ops: {url: http://127.0.0.1:9/}}}\n")
    rig.add_file("a.csv")
    with ledger_of(tmp_path) as ledger, ledger.transaction() as connection:  # type: ignore[attr-defined]
        connection.execute("DROP TABLE alert_messages")
    assert run_pipeline(Project(rig.root, "dev"), "orders").exit_code == 0
    assert "no such table: alert_messages" in capsys.readouterr().err
    assert len(rig.rows()) == len(rig.good)


def test_runs_that_only_markers_know_of_are_no_news(tmp_path: Path, hook: Web) -> None:
    """After a lost ledger nobody is told of the quality of old runs."""
    rig = rigged(
        tmp_path,
        f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n"
        "monitoring: {thresholds: {degraded: {quality_score: 100, success_rate_percent: 100}}}\n",
    )
    rig.add_file("a.csv")
    assert rig.run() == 0
    assert hook.told == [("raised", "orders")]
    for path in (tmp_path / ".pratique").glob("ledger.sqlite*"):
        path.unlink()
    assert rig.run() == 0
    assert len(hook.events) == 1
    with ledger_of(tmp_path) as ledger:
        assert ledger.unalerted("dev") == []


def test_an_old_run_that_only_markers_know_is_past(tmp_path: Path, hook: Web) -> None:
    """Where no newer run is known, what markers tell is still not judged."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    rig.add_file("a.csv")
    assert rig.run() == 0
    with ledger_of(tmp_path) as ledger:
        with ledger.transaction() as connection:  # type: ignore[attr-defined]
            connection.execute("UPDATE runs SET alerted = 0, report = json_set(report, '$.environment', '')")
        assert [report.environment for report in ledger.unalerted("dev")] == [""]
        Alerting(Project(rig.root, "dev"), ledger).judge_runs()
        assert ledger.unalerted("dev") == []


def test_a_broken_pipeline_is_found_by_the_timer(tmp_path: Path, hook: Web) -> None:
    """A file that cannot be read stops its runs: it is told before one is tried, and its end as well; so is its removal."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    path = tmp_path / "pipelines" / "orders.yaml"
    right = path.read_text()
    for text in ("sources: 1\n", "sources: 1\n", right, "sources: 2\n"):
        path.write_text(text)
        deliver_alerts(Project(rig.root, "dev"))
    assert [status for status, _ in hook.told] == ["raised", "resolved"], "the second time it is quiet for a while"
    path.unlink()
    done = deliver_alerts(Project(rig.root, "dev"))
    assert (done.firing, done.heartbeat) == (0, "none")
    assert len(hook.events) == 2


def test_late_is_not_told_beside_the_failure_that_makes_it_late(tmp_path: Path, hook: Web) -> None:
    """While a failure is told, that there is no success is no news; what was late before stays told."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n", "expect: {success_within: 1h}\n")
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / "x.csv").write_text("nothing,that\n1,fits\n")

    def look(hours: float, code: int | None = None) -> None:
        def clock() -> datetime:
            return datetime.now(UTC) + timedelta(hours=hours)

        if code is not None:
            assert run_pipeline(Project(rig.root, "dev"), "orders", clock=clock).exit_code == code
        deliver_alerts(Project(rig.root, "dev"), clock=clock)

    look(0, code=3)
    look(2)
    assert hook.told == [("raised", "orders.orders")]
    (tmp_path / "in" / "x.csv").unlink()
    rig.add_file("a.csv")
    look(0.5, code=0)
    look(2)
    (tmp_path / "in" / "x.csv").write_text("nothing,that\n1,fits\n")
    (tmp_path / "in" / "a.csv").unlink()
    look(3, code=3)
    assert hook.told[1:] == [
        ("resolved", "orders.orders"),
        ("raised", "orders"),
        ("raised", "orders.orders"),
    ]


def test_a_heartbeat_that_fails_is_said(tmp_path: Path) -> None:
    """The delivery is done; that nobody takes its heartbeat is told beside it."""
    rig = rigged(tmp_path, "alerts: {heartbeat: http://127.0.0.1:9/}\n")
    assert deliver_alerts(Project(rig.root, "dev")).heartbeat.startswith("it cannot be reached")


def test_a_delivery_ends_in_its_time(tmp_path: Path, hook: Web) -> None:
    """A channel that never answers is given up when the time is over; the message waits."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n", "expect: {success_within: 1h}\n")
    hook.pause = 5
    deliver_alerts(Project(rig.root, "dev"))
    began = time.monotonic()
    done = deliver_alerts(Project(rig.root, "dev"), clock=lambda: datetime.now(UTC) + timedelta(hours=2), seconds=0.3)
    assert time.monotonic() - began < 3
    assert done.refused.keys() == {"ops"}
    assert [(item.channel, item.messages, item.attempts) for item in done.waiting] == [("ops", 1, 1)]
    assert isinstance(done.waiting[0], Waiting)
    assert [alert.finding.rule for alert in open_alerts(tmp_path)] == ["late"]


def test_a_thousand_failures_of_one_cause_are_one_alert(tmp_path: Path, hook: Web) -> None:
    """On the ledger, run after run: one message, one when it is over, and every failure counted."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    gone = Problem("source", "there is no file", "ask for it", exit_code=3)
    with ledger_of(tmp_path) as ledger:
        alerting = Alerting(Project(rig.root, "dev"), ledger)

        def ended(problem: Problem | None) -> None:
            with ledger.begin("orders", "dev") as run:
                at = run.started_at.isoformat()
                source = SourceReport("orders", "orders", "failed" if problem else "loaded", problem=problem)
                outcome = "failed" if problem else "done"
                run.finish(RunReport(run.run_id, "orders", "dev", outcome, 3, at, at, (source,)))  # type: ignore[arg-type]
            alerting.judge_runs()
            alerting.deliver()

        for number in range(1000):
            ended(replace(gone, message=f"there is no file, try {number}"))
        assert [alert.occurrences for alert in ledger.alerts.latest("dev")] == [1000]
        ended(None)
    assert hook.told == [("raised", "orders.orders"), ("resolved", "orders.orders")]
    assert hook.events[1]["data"]["occurrences"] == 1000


def test_a_delivery_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path, hook: Web) -> None:
    """Twenty messages, deliveries killed again and again: each arrives, and what arrives twice has one id."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n")
    at = datetime.now(UTC)
    with ledger_of(tmp_path) as ledger:
        alerting = Alerting(Project(rig.root, "dev"), ledger, clock=lambda: at)
        for number in range(20):
            alerting.judge_problem("orders", Problem(f"code{number}", "gone", "look"))
    hook.pause = 0.02
    chance = random.Random(20261127)  # noqa: S311 - moments, not secrets
    program = (
        "import sys; from datetime import *; from pratique.ingestion.alerting import *\n"
        "from pratique.ledger import open_ledger; from pratique.project import Project\n"
        "ledger = open_ledger(Project('.', 'dev').root / '.pratique' / 'ledger.sqlite')\n"
        "now = datetime.fromisoformat(sys.argv[1]); print('ready', flush=True)\n"
        "Alerting(Project('.', 'dev'), ledger, clock=lambda: now).deliver(60)\n"
    )
    killed = 0
    for number in range(1, 40):
        command = [sys.executable, "-c", program, (at + timedelta(minutes=2 * number)).isoformat()]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                assert process.wait(chance.uniform(0.05, 0.25)) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
            else:
                break
    assert killed > 1, "the kills came too late: nothing was measured"
    ids = [event["id"] for event in hook.events]
    assert len(set(ids)) == 20
    assert len(ids) - 20 <= killed
    with ledger_of(tmp_path) as ledger:
        assert ledger.alerts.waiting("dev") == []


def test_a_failure_ends_with_a_success_and_not_with_another_failure(tmp_path: Path, hook: Web) -> None:
    """A file that is held back, then a destination that is locked, then all is well: two alerts, two ends, in that order."""
    rig = rigged(tmp_path, f"alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\nlimits: {{lock_timeout_seconds: 0}}\n")
    (tmp_path / "in" / "x.csv").write_text("nothing,that\n1,fits\n")
    assert rig.run() == 3
    (tmp_path / "in" / "x.csv").unlink()
    rig.add_file("a.csv")
    code = f"import duckdb; c = duckdb.connect({str(tmp_path / 'out.duckdb')!r}); print('held', flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert rig.run() == 4
        holder.communicate("\n")
    assert hook.told == [("raised", "orders.orders"), ("raised", "orders")]
    assert rig.run() == 0
    assert hook.told[2:] == [("resolved", "orders.orders"), ("resolved", "orders")]
