"""A folder for what a process writes in passing; what killed processes left behind is cleared away."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pratique.errors import StateError


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """Give an empty folder below `parent` (0700) to this process alone, and remove it at the end.

    Folders of processes that were killed are removed first: a living process holds a lock on its own, so disk space
    never leaks, however often a run is killed. StateError if `parent` cannot be written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(parent, fcntl.LOCK_EX):  # nobody sweeps between making a folder and locking it
            _sweep(parent)
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))  # mkdtemp makes it 0700
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise StateError(
            f"the temporary folder {parent} cannot be used: {error.strerror}",
            hint="make it writable, or name another state folder in state.path",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a lock on a folder; OSError if another process holds it and `how` does not wait."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove the folders that no living process holds."""
    for left in parent.iterdir():
        if left.is_symlink() or not left.is_dir():
            continue
        try:
            with _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left)
        except BlockingIOError:
            continue
