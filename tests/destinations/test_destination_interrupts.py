"""A signal while a destination works: the load ends at once, in all of DuckDB's threads, and leaves no trace."""

import os
import subprocess
import sys

import pytest

from pratique.destinations import open_destination
from pratique.testing.destination_suite import visible

CODE = """
import os, signal, sys, threading
import duckdb
from pratique.destinations import open_destination
from pratique.model import Column, DuckQuery, Target
from pratique.testing.destination_suite import SuiteRows
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in range(8):
    connection = duckdb.connect()
    sql = "SELECT sum(a.range * b.range)::BIGINT AS id FROM range(10000000) a, range(1000000) b"
    rows = SuiteRows(DuckQuery(connection, "SELECT 1 AS id"), (Column("id", "integer"),))
    rows.duckdb = DuckQuery(connection, sql)
    try:
        with open_destination(sys.argv[1], sys.argv[2]).begin(f"a{number}") as opened:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            opened.write(rows, Target("sales"))
    except KeyboardInterrupt:
        print("interrupted")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_interrupted(kind, tmp_path):
    """Eight loads that would take for ever end as KeyboardInterrupt; none is seen, no file of theirs stays."""
    command = [sys.executable, "-c", CODE, kind, str(tmp_path / "w")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["interrupted"] * 8
    destination = open_destination(kind, tmp_path / "w")
    assert destination.markers("shop") == ()
    assert visible(destination, "sales", ("id",)) is None
    assert list(tmp_path.rglob("part-*")) == []
