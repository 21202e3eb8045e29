"""A full disk: nothing of the load is visible, what was there stays, and the next load works."""

import resource
import subprocess
from contextlib import contextmanager

import duckdb
import pytest

from pratique.destinations import open_destination
from pratique.errors import DestinationError
from pratique.model import Column, DuckQuery, Target
from pratique.testing.destination_suite import SuiteRows, marker_of, visible

T = Target("sales")
SMALL = 6_000_000


@contextmanager
def small_files():
    """Let no file of this process grow beyond a limit: what a quota does, without any right."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder):
    """Make `folder` a disk of a few megabytes; where mounting is not allowed, limit the size of files instead."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        with small_files() as grow:
            yield grow
        return
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=64m", folder], capture_output=True, check=True)
    finally:
        subprocess.run(["umount", folder], capture_output=True, check=True)


def load_many(destination, load_id, count):
    """Load rows that do not compress."""
    with duckdb.connect() as connection, destination.begin(load_id) as opened:
        sql = f"SELECT i AS id, sha256(i::VARCHAR) AS name FROM range({count}) r(i)"
        rows = SuiteRows(DuckQuery(connection, sql), (Column("id", "integer"), Column("name", "string")))
        opened.commit(marker_of(load_id, opened.write(rows, T), T))


@pytest.mark.parametrize("limit", [small_disk, lambda _: small_files()], ids=["disk", "file size"])
@pytest.mark.parametrize(
    ("kind", "counts"), [("duckdb", (400_000, 120_000, 100_000)), ("parquet", (400_000, 250_000, 200_000))]
)
def test_no_space(kind, counts, limit, tmp_path):
    """Loads of several sizes that do not fit, in the rows or in the log, are refused with the place and free space."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with limit(folder) as grow:
        destination = open_destination(kind, folder / "w")
        load_many(destination, "a1", 1000)
        for number, count in enumerate(counts):
            with pytest.raises(DestinationError, match="no space left") as caught:
                load_many(destination, f"b{number}", count)
            assert caught.value.exit_code == 4
            assert caught.value.where.startswith(str(folder))
            assert "free_bytes" in caught.value.facts
            assert [marker.load_id for marker in destination.markers("shop")] == ["a1"]
            assert len(visible(destination, "sales", ("id",))) == 1000
        grow()
        load_many(destination, "c3", 1000)
        assert len(visible(destination, "sales", ("id",))) == 2000


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_no_space_to_be_born(kind, tmp_path):
    """A place that could not be made leaves nothing that blocks the next load."""
    destination = open_destination(kind, tmp_path / "w")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 1, 5000, 9000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with pytest.raises(DestinationError, match="no space left"):
                load_many(destination, "a1", 10_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert destination.markers("shop") == ()
        assert not list(tmp_path.glob(".w.creating*"))
    load_many(destination, "a1", 10)
    assert len(visible(destination, "sales", ("id",))) == 10
