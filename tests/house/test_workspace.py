"""What runs write in passing goes away with them, also when they are killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from pratique.errors import StateError
from pratique.workspace import workspace

HOLDER = """
import sys, time
from pathlib import Path
from pratique.workspace import workspace
with workspace(Path(sys.argv[1])) as folder:
    (folder / "spilled").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    time.sleep(600)
"""


def _holder(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    """A workspace is 0700, and nothing of it is left."""
    with workspace(tmp_path / "state" / "tmp") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
    assert list((tmp_path / "state" / "tmp").iterdir()) == []


def test_a_killed_process_leaves_its_folder_to_the_next_one_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    """Disk space does not leak, however often a run is killed."""
    killed, left = _holder(tmp_path)
    living, kept = _holder(tmp_path)
    try:
        killed.kill()
        killed.communicate()
        assert (left / "spilled").exists()
        with workspace(tmp_path) as mine:
            assert sorted(tmp_path.iterdir()) == sorted([kept, mine])
        assert (kept / "spilled").exists()
    finally:
        living.kill()
        living.communicate()


def test_files_and_links_beside_the_folders_stay(tmp_path: Path) -> None:
    """The sweep removes folders only, and follows no link."""
    parent, other = tmp_path / "tmp", tmp_path / "other"
    parent.mkdir()
    other.mkdir()
    (other / "precious").write_text("x")
    (parent / "link").symlink_to(other)
    (parent / "note.txt").write_text("x")
    with workspace(parent):
        assert (other / "precious").exists()
    assert (other / "precious").exists()
    assert {path.name for path in parent.iterdir()} == {"link", "note.txt"}


def test_an_unusable_parent_is_the_operators_error() -> None:
    """It names the folder and what to do."""
    with (
        pytest.raises(StateError, match="the temporary folder /proc/pratique cannot be used"),
        workspace(Path("/proc/pratique")),
    ):
        pytest.fail("there is no such folder")
