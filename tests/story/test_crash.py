"""Whatever is killed wherever: after a restart every row is there once, nothing half, and the quarantine is whole."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest
from rig import Rig

from pratique.failpoints import FAILPOINTS

KINDS = ("duckdb", "parquet")
SEED = int(os.environ.get("PRATIQUE_SEED", "20261123"))
RANDOM_KILLS = int(os.environ.get("PRATIQUE_KILLS", "75"))  # per destination; `make nightly` raises it


def arm(name: str):
    """In the child: die at this failpoint."""
    return lambda: os.environ.__setitem__("PRATIQUE_FAILPOINT", name)


@pytest.mark.parametrize("write", ["append", "merge", "replace"])
@pytest.mark.parametrize("failpoint", FAILPOINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_a_failpoint_loses_and_doubles_nothing(tmp_path: Path, kind: str, failpoint: str, write: str) -> None:
    """Killed at a named place, the next run brings exactly the state of a run without a fault; a third changes nothing."""
    rig = Rig(tmp_path, kind, write)
    rig.add_file("a.csv")
    rig.add_file("b.csv")
    assert rig.run(arm(failpoint)) == -9 or failpoint in {"destination.created", "alert.sent"}
    visible = rig.rows()
    assert len(visible) in {0, len(rig.good)}, "a part of a load is visible"
    assert rig.run() == 0
    assert rig.check() == []
    assert rig.run() == 0
    assert rig.check() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failpoint", ["load.written", "load.committed", "ledger.recorded"])
def test_a_file_that_joins_between_crash_and_restart_doubles_nothing(tmp_path: Path, kind: str, failpoint: str) -> None:
    """The restart's load has other files than the killed one; what was committed stays known by its fingerprint."""
    rig = Rig(tmp_path, kind)
    rig.add_file("a.csv")
    assert rig.run(arm(failpoint)) == -9
    rig.add_file("b.csv")
    assert rig.run() == 0
    assert rig.check() == []


@pytest.mark.parametrize("kind", KINDS)
def test_random_kills_lose_and_double_nothing(tmp_path: Path, kind: str) -> None:
    """Killed again and again at random moments while files join, every row is there once at the end."""
    chance = random.Random(SEED)  # noqa: S311 - moments, not secrets
    rig = Rig(tmp_path, kind)
    rig.add_file("f000.csv")
    began = time.monotonic()
    rig.run()
    whole = time.monotonic() - began
    killed = 0
    for number in range(1, 4 * RANDOM_KILLS + 1):
        rig.add_file(f"f{number:04}.csv", rows=40)
        killed += rig.run(kill_after=chance.uniform(0, whole)) == -9
        counted = [row[0] for row in rig.rows()]
        assert len(counted) == len(set(counted)), f"doubled after kill {killed}, seed {SEED}"
        if killed == RANDOM_KILLS:
            break
    assert killed == RANDOM_KILLS, f"only {killed} runs were killed in {number}: the rig measures nothing"
    assert rig.run() == 0
    assert rig.check() == [], f"seed {SEED}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_ledger_is_rebuilt_from_the_markers(tmp_path: Path, kind: str) -> None:
    """Without its ledger, the next run knows by the destination what is loaded and shows the quarantine again."""
    rig = Rig(tmp_path, kind)
    rig.add_file("a.csv")
    assert rig.run() == 0
    for path in (tmp_path / ".pratique").glob("ledger.sqlite*"):
        path.unlink()
    assert rig.run() == 0
    assert rig.check() == []


@pytest.mark.parametrize("kind", KINDS)
def test_two_starts_at_once_one_runs_and_the_other_is_told(tmp_path: Path, kind: str) -> None:
    """Of two runs of one pipeline started together, one runs; the other ends with exit code 6; nothing is doubled."""
    rig = Rig(tmp_path, kind)
    rig.add_file("a.csv", rows=5_000)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(rig.run_command())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) in ([0, 6], [0, 0])  # the second may start only after the first has ended
    assert rig.check() == []
