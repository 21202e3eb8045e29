"""What a destination says when something below it fails: whose turn it is, where, and what to do."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from pratique.destinations.parquet_manifest import FOLDER, manifest_path, newest, numbers
from pratique.destinations.queries import merge_conditions
from pratique.destinations.refusals import locked, refused
from pratique.destinations.tables import check_supersedes, check_written
from pratique.errors import DestinationError, InternalError, StateError
from pratique.model import Column, DuckQuery, Target, Written

PLACE = Path("/nowhere/warehouse.duckdb")


class Ten:
    """Ten rows that never come."""

    columns = (Column("a", "string"),)
    count = 10
    duckdb: DuckQuery | None = None


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (duckdb.OutOfMemoryException("failed to allocate"), StateError, "not enough memory"),
        (OSError(errno.ENOSPC, "No space left on device"), DestinationError, "no space left to write"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), DestinationError, "no space left to write"),
        (duckdb.IOException("Could not write: No space left on device"), DestinationError, "no space left to write"),
        (OSError(errno.EIO, "Input/output error", "x"), DestinationError, r"cannot be used: Input/output error \(x\)"),
        (OSError(errno.EIO, "Input/output error"), DestinationError, "cannot be used: Input/output error$"),
        (OSError("of no number"), DestinationError, "of no number"),
        (duckdb.IOException("Failure while replaying WAL file"), DestinationError, "replaying WAL"),
        (duckdb.IOException("the file is not a valid DuckDB database file"), DestinationError, "not a valid DuckDB"),
        (duckdb.IOException(""), DestinationError, "IOException"),
    ],
)
def test_each_failure_has_its_class_and_a_next_step(error: Exception, kind: type, words: str) -> None:
    """Memory is the machine's, space and files are the destination's; each says where and what to do."""
    told = refused(PLACE, error)
    assert isinstance(told, kind)
    with pytest.raises(kind, match=words):
        raise told
    assert (told.where, bool(told.hint)) == (str(PLACE), True)


def test_an_interrupted_statement_is_an_interrupt() -> None:
    """Who presses Ctrl-C while DuckDB works is not told of a failure of the destination."""
    with pytest.raises(KeyboardInterrupt):
        refused(PLACE, duckdb.InterruptException("INTERRUPT Error: Interrupted!"))


def test_a_holder_is_named_as_far_as_it_is_known() -> None:
    """With its command if it can be seen, by its number if it has gone, as another process if nothing is known."""
    assert f"process {os.getpid()} (" in locked(PLACE, f"held by PID {os.getpid()}", 1.0).message
    assert "held by process 4194305; waited" in locked(PLACE, "PID 4194305", 1.0).message
    assert "held by another process" in locked(PLACE, "", 1.0).message


def test_rows_are_counted_before_they_are_true() -> None:
    """Fewer rows than were given are an error of ours; of a merge, an error of keys that are not unique."""
    check_written(Written(7, 2, 1), Ten(), Target("t"), "w")
    with pytest.raises(InternalError, match="10 rows were to be written into t"):
        check_written(Written(9), Ten(), Target("t"), "w")
    with pytest.raises(DestinationError, match="several rows share a key"):
        check_written(Written(9), Ten(), Target("t", "merge", ("a",)), "w")
    with pytest.raises(InternalError, match="a merge needs a key"):
        merge_conditions(Target("t", "merge"), ("a",))


def test_a_corrected_file_replaces_its_own_rows_only() -> None:
    """Rows that say nothing of their load, or of files that are not there again, are never replaced."""
    with pytest.raises(DestinationError, match="do not say to which load they belong"):
        check_supersedes(Target("t", supersedes=("x",)), ["a"], "w")
    check_supersedes(Target("t", supersedes=("x",)), ["a", "_load_id"], "w")


def test_a_folder_of_manifests_that_cannot_be_read(tmp_path: Path) -> None:
    """A file where the folder should be, a folder where a manifest should be, and no manifest at all."""
    assert numbers(tmp_path) == []
    assert newest(tmp_path) is None
    (tmp_path / FOLDER).write_text("no folder")
    with pytest.raises(DestinationError, match="cannot be used: Not a directory"):
        numbers(tmp_path)
    (tmp_path / FOLDER).unlink()
    manifest_path(tmp_path, 1).mkdir(parents=True)
    with pytest.raises(DestinationError, match="cannot be used: Is a directory"):
        newest(tmp_path)
    manifest_path(tmp_path, 1).rmdir()
    for content in ("{}", "[]", "no JSON", '{"sha256": "x", "state": {}}'):
        manifest_path(tmp_path, 1).write_text(content)
        with pytest.raises(DestinationError, match="the manifest is damaged"):
            newest(tmp_path)


LOCK = """
import resource, sys
from pathlib import Path
from pratique.errors import PratiqueError
from pratique.ledger.lock import PipelineLock
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
try:
    PipelineLock(Path(sys.argv[1]), "p", "r", "now")
except PratiqueError as error:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    print(error.message, "|", error.hint)
"""


def test_a_lock_that_cannot_be_written_or_made(tmp_path: Path) -> None:
    """A full disk, and a folder that is none, are told with the path; nothing is held then."""
    for folder, words in ((tmp_path / "locks", "cannot lock"), (tmp_path / "file" / "locks", "cannot make the lock")):
        (tmp_path / "file").write_text("no folder")
        done = subprocess.run([sys.executable, "-c", LOCK, str(folder)], capture_output=True, text=True, check=True)
        assert words in done.stdout
        assert str(folder) in done.stdout
