"""Killed at every named place, a load is there wholly or not at all, and repeating it makes it once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pratique.destinations import open_destination
from pratique.testing.destination_suite import visible

LOADER = Path(__file__).with_name("loader.py")
PLACES = ("destination.created", "load.opened", "load.written", "marker.written", "load.committed")


def run(kind, path, load_id, failpoint="", *options):
    """Load in another process; give how it ended."""
    environment = os.environ | {"PRATIQUE_FAILPOINT": failpoint, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, LOADER, kind, path, load_id, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def names(destination):
    """How many rows of each load are visible."""
    rows = visible(destination, "sales", ("name",)) or []
    return {name: rows.count((name,)) for (name,) in rows}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_killed_then_repeated(kind, place, tmp_path):
    """After kill -9 rows and marker agree, the rows before are there, and the same load again is once."""
    path = tmp_path / "place"
    before = {} if place == "destination.created" else {"a1": 20}
    if before:
        assert run(kind, path, "a1") == 0
    assert run(kind, path, "b2", place) == -signal.SIGKILL
    destination = open_destination(kind, path)
    committed = place == "load.committed"
    assert names(destination) == (before | {"b2": 20} if committed else before)
    assert [marker.load_id for marker in destination.markers("shop")] == [*before, *(["b2"] if committed else [])]
    assert run(kind, path, "b2") == 0
    assert names(destination) == before | {"b2": 20}
    assert [marker.load_id for marker in destination.markers("shop")] == [*before, "b2"]
    left = [
        item.name for item in tmp_path.rglob("*") if "creating" in item.name or item.name.endswith((".tmp", ".wal"))
    ]
    assert left == []
    if kind == "parquet":
        assert len(list(path.rglob("part-*.parquet"))) == len(before) + 1


def test_the_rig_sees_a_defect(tmp_path):
    """Negative control: with rows and marker in two transactions this rig finds the load twice."""
    path = tmp_path / "place"
    assert run("duckdb", path, "b2", "marker.written", "split") == -signal.SIGKILL
    destination = open_destination("duckdb", path)
    assert destination.markers("shop") == ()
    assert run("duckdb", path, "b2") == 0
    assert names(destination) == {"b2": 40}


def test_killed_reader_finds_the_log(tmp_path):
    """A reader sees a load whose writer was killed before it tidied its write-ahead log."""
    path = tmp_path / "place"
    assert run("duckdb", path, "a1", "load.committed") == -signal.SIGKILL
    assert path.with_name("place.wal").exists()
    assert names(open_destination("duckdb", path)) == {"a1": 20}
