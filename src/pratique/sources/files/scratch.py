"""Files that are made on the way from a landed file to its records, in the run's own folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path

from pratique.errors import SourceError, StateError


class Scratch:
    """A file in the making. What its disk refuses is told as what it is: not the fault of the file that is read."""

    def __init__(self, path: Path, file: BufferedWriter[FileIO], task: str) -> None:
        self.path = path
        self._file, self._task = file, task

    def write(self, data: bytes) -> None:
        """Append; StateError if the disk cannot take it."""
        with _disk(self.path.parent, self._task):
            self._file.write(data)


@contextmanager
def scratch_file(folder: Path, task: str) -> Iterator[Scratch]:
    """Make a new file in `folder` (0600) that stays for its owner to remove; no trace of it if the block fails.

    `task` says in the error what could not be done there, such as "a packed file cannot be unpacked".
    """
    with _disk(folder, task):
        descriptor, name = tempfile.mkstemp(prefix="scratch-", dir=folder)  # mkstemp makes it 0600
    path = Path(name)
    done = False
    file = BufferedWriter(FileIO(descriptor, "wb"), 1 << 20)
    try:
        yield Scratch(path, file, task)
        with _disk(folder, task):
            file.flush()
        done = True
    finally:
        if not done:
            path.unlink()
        file.raw.close()  # what a full disk did not take is not tried again


@contextmanager
def _disk(folder: Path, task: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{task} into {folder}: {error.strerror}",
            hint="free space there, or name another state folder in state.path",
        ) from error


def check_landed(path: Path, size: int) -> None:
    """Raise SourceError unless what was landed is still there in its full length."""
    if not path.is_file() or path.stat().st_size != size:
        raise SourceError("its landed records were changed by somebody", hint="run again")
