"""Several processes at one ledger, and processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pratique.errors import AlreadyRunningError, StateError
from pratique.ledger import open_ledger
from pratique.ledger.base import Ledger
from pratique.ledger.lock import holder

_HEAD = """
import sys, time
from pathlib import Path
from pratique.errors import AlreadyRunningError, StateError
from pratique.ledger import open_ledger
from pratique.model import Account, Marker, Written
from pratique.reports import RunReport
path = Path(sys.argv[1])
def marker(run):
    return Marker("a" * 32, 1, run.run_id, "p", "s", "t", "append", "x", 1, (), Account(1, 1, 0), Written(1), None, (),
                  {}, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00")
"""

_WHOLE_RUN = """
ledger = open_ledger(path)
with ledger.begin("p", "dev", sources=("s",)) as run:
    run.reconcile([])
    run.attempt("a" * 32, "s")
    run.record(marker(run))
    run.finish(RunReport(run.run_id, "p", "dev", "done", 0, run.started_at.isoformat(), "2026-01-01T00:00:02+00:00"))
"""


def _start(path: Path, code: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HEAD + code, str(path)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _told(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


def test_eight_starts_at_once_have_one_winner(tmp_path: Path) -> None:
    """One process holds the pipeline; the seven others are told its process id and its run."""
    path = tmp_path / "state" / "ledger.sqlite"
    code = """
sys.stdin.readline()
try:
    with open_ledger(path).begin("p", "dev") as run:
        print("won", run.run_id[:6], flush=True)
        sys.stdin.readline()
except AlreadyRunningError as error:
    print("lost", error, flush=True)
"""
    processes = [_start(path, code) for _ in range(8)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [process.stdout.readline().split(maxsplit=1) for process in processes]
    [(winner, run)] = [(process, text) for process, (word, text) in zip(processes, lines, strict=True) if word == "won"]
    lost = [text for word, text in lines if word == "lost"]
    assert len(lost) == 7
    assert all(f"process {winner.pid} on " in text and f"(run {run.strip()})" in text for text in lost)
    for process in processes:
        process.communicate("end\n", timeout=60)


def test_a_killed_holder_frees_the_pipeline(tmp_path: Path) -> None:
    """After kill -9 the next run begins at once, although the lock file still names the dead one."""
    path = tmp_path / "ledger.sqlite"
    process = _start(path, 'run = open_ledger(path).begin("p", "dev"); print(run.run_id, flush=True); time.sleep(60)')
    held = process.stdout.readline().strip()
    with open_ledger(path) as ledger:
        with pytest.raises(AlreadyRunningError, match=str(process.pid)) as caught:
            ledger.begin("p", "dev")
        assert caught.value.exit_code == 6
        assert f"kill {process.pid}" in caught.value.hint
        with ledger.begin("another", "dev"):
            assert [report.outcome for report in ledger.runs("p")] == ["running"]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert [report.outcome for report in ledger.runs("p")] == ["interrupted"]
        with ledger.begin("p", "dev") as run:
            assert run.unfinished == (held,)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"[]", b'{"pid": 1', b'{"host": "elsewhere"}', b'{"host": "h", "pid": 1e999}', b"{}"],
)
def test_a_lock_file_that_cannot_be_read_is_tolerated(tmp_path: Path, content: bytes) -> None:
    """Who holds the lock without saying so is still respected, and a second start still gets a clear error."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        with ledger.begin("p", "dev"):
            (tmp_path / "locks" / "p.lock").write_bytes(content)
            with pytest.raises(AlreadyRunningError, match="another process runs p"):
                ledger.begin("p", "dev")
        with ledger.begin("p", "dev") as run:
            assert len(run.unfinished) == 1


@pytest.mark.parametrize("host", ["elsewhere", socket.gethostname()])
def test_a_holder_that_cannot_be_asked_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A process on another host, or of another user of this one, counts as alive: it is named, and nobody cuts in."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger, ledger.begin("p", "dev"):
        lock = tmp_path / "locks" / "p.lock"
        lock.write_text(json.dumps({"pid": 1, "host": host, "since": "noon", "run_id": "7f3a91"}))
        with pytest.raises(AlreadyRunningError, match=f"process 1 on {host} runs p since noon") as caught:
            ledger.begin("p", "dev")
        assert caught.value.facts["pid"] == 1
        monkeypatch.chdir(lock.parent)
        for name in (lock, lock.parent):
            name.chmod(0o777)
        users = os.getresuid()
        try:
            os.setresuid(users[0] or 65534, users[1] or 65534, -1)  # no simple user may signal process 1
            assert holder(Path(lock.name)) is not None
        finally:
            os.setresuid(*users)


def test_eight_writers_at_once_meet_no_busy_error(tmp_path: Path) -> None:
    """Eight processes write a hundred times each into one new ledger; every write is there afterwards."""
    path = tmp_path / "state" / "ledger.sqlite"
    code = """
name = sys.stdin.readline().strip()
with open_ledger(path).begin(name, "dev") as run:
    print([run.attempt("a" * 32, name) for _ in range(100)])
"""
    processes = [_start(path, code) for _ in range(8)]
    for number, process in enumerate(processes):
        process.stdin.write(f"p{number}\n")
        process.stdin.flush()
    numbers = [int(text) for process in processes for text in _told(process).strip("[]").split(",")]
    assert sorted(numbers) == list(range(1, 801))


def test_a_ledger_that_is_held_too_long_is_told(tmp_path: Path) -> None:
    """A writer that finds the file locked gives up with an error that says how to find out by whom."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger, open_ledger(path) as other, ledger.begin("p", "dev") as run:
        other._connection.execute("BEGIN IMMEDIATE")  # type: ignore[attr-defined]
        ledger._connection.execute("PRAGMA busy_timeout = 50")  # type: ignore[attr-defined]
        with pytest.raises(StateError, match="held by another process") as caught:
            run.attempt("a" * 32, "s")
        assert "fuser" in caught.value.hint
        other._connection.execute("ROLLBACK")  # type: ignore[attr-defined]
        assert run.attempt("a" * 32, "s") == 1


def _killed(path: Path, failpoint: str) -> Ledger:
    process = _start(path, _WHOLE_RUN, PRATIQUE_FAILPOINT=failpoint)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    return open_ledger(path)


@pytest.mark.parametrize(
    ("failpoint", "unfinished", "outcome"),
    [("run.begun", 1, "interrupted"), ("ledger.recorded", 1, "done"), ("run.finished", 0, "done")],
)
def test_after_a_kill_the_next_run_settles_what_was_left(
    tmp_path: Path, failpoint: str, unfinished: int, outcome: str
) -> None:
    """Killed at each place of the ledger, the run ends in the state that its commits justify, and is settled once."""
    with _killed(tmp_path / "ledger.sqlite", failpoint) as ledger:
        with ledger.begin("p", "dev") as run:
            assert len(run.unfinished) == unfinished
            run.reconcile(ledger.loads())
        assert ledger.runs()[1].outcome == outcome
        with ledger.begin("p", "dev") as last:
            assert last.unfinished == (run.run_id,)
