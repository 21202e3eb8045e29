"""A log file that several processes write at once: no line is lost or torn, also while it is rotated."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

# Limit: a line waits this long for the lock; then it is written without, and the file is not rotated for it.
_WAIT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.0005


class LogFile:
    """Appends texts to `path`, each whole; what is full or of another day becomes `NAME.DAY.1`, the newest.

    A file takes at most `bytes_max` bytes; of each day at most `backups_max` full ones are kept, for `days_max` days.
    Processes take turns by a lock on the folder, which the kernel frees when its holder dies. Opened at the first
    line; raises OSError if the line cannot be written, and leaves nothing of it then.
    """

    def __init__(self, path: Path, bytes_max: int, backups_max: int, days_max: int) -> None:
        self.path = path
        self._bytes_max, self._backups_max, self._days_max = bytes_max, backups_max, days_max
        self._file = self._folder = -1
        self._process = 0

    def write(self, text: str) -> None:
        """Append the text in one piece."""
        data = text.encode("utf-8", "backslashreplace")
        self._open()
        with self._locked() as mine:
            failed = None
            try:
                if mine:
                    self._rotate(len(data))
            except OSError as error:  # then the line goes where it always went, and the failure is told after it
                failed = error
            self._append(data)
        if failed:
            raise failed

    def flush(self) -> None:
        """Nothing is held back: each line is with the system when `write` returns."""

    def close(self) -> None:
        """Let go of the file. Harmless when repeated."""
        for descriptor in (self._file, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._folder = -1

    def _open(self) -> None:
        """Open what is not open; a forked process opens its own, for a lock belongs to who opened it."""
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()
        if self._folder < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._file < 0:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the folder; False if somebody else does for too long, or this file system knows no locks."""
        deadline = time.monotonic() + _WAIT_SECONDS
        mine = False
        while not mine:
            try:
                fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(_PAUSE_SECONDS)
            except OSError:
                break
        try:
            yield mine
        finally:
            if mine:
                fcntl.flock(self._folder, fcntl.LOCK_UN)

    def _append(self, data: bytes) -> None:
        before = os.fstat(self._file).st_size
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            if len(rest) < len(data):  # half a line is none
                os.ftruncate(self._file, before)
            raise

    def _rotate(self, more: int) -> None:
        """Put a file aside that is of another day, or would grow too large; follow if another process did."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            found = None
        ours = os.fstat(self._file)
        if found is None or (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino):
            self._open_anew()
            found = os.fstat(self._file)
        # The day of its last line is that of all: the rule is asked before each.
        day = datetime.fromtimestamp(found.st_mtime).astimezone().date()
        if found.st_size and (day != _today() or found.st_size + more > self._bytes_max):
            self._shift(day)
            self._open_anew()

    def _open_anew(self) -> None:
        os.close(self._file)
        self._file = -1
        self._open()

    def _shift(self, day: date) -> None:
        def backup(number: int) -> Path:
            return self.path.with_name(f"{self.path.name}.{day}.{number}")

        for number in range(self._backups_max - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                backup(number).replace(backup(number + 1))
        self.path.replace(backup(1))
        oldest = _today() - timedelta(days=self._days_max)
        for path in self.path.parent.glob(f"{self.path.name}.????-??-??.*"):
            with contextlib.suppress(ValueError, FileNotFoundError):  # not one of ours
                if date.fromisoformat(path.name.removeprefix(f"{self.path.name}.")[:10]) < oldest:
                    path.unlink()


def _today() -> date:
    return datetime.now().astimezone().date()  # the day of the place, as in the lines' times


class TellingHandler(logging.StreamHandler[Any]):
    """Writes to a stream; that it cannot costs one line on stderr, and is counted in `failures`."""

    def __init__(self, stream: Any, name: str) -> None:
        super().__init__(stream)
        self.failures = 0
        self._target = name

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's signature
        """Tell the first failure, count the others; logging never fails what it tells about."""
        self.failures += 1
        if self.failures > 1 or sys.stderr is None:
            return
        error = sys.exc_info()[1]
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(
                f"warning: the log cannot be written to {self._target}: {reason}"
                " (everything else goes on; make it writable, or set logging.file)\n"
            )

    def close(self) -> None:
        """Close the file; the process's own streams stay open."""
        super().close()
        if isinstance(self.stream, LogFile):
            self.stream.close()


class Stderr:
    """Whatever `sys.stderr` is at the moment; nothing where there is none."""

    def write(self, text: str) -> None:
        """Write the text."""
        if sys.stderr is not None:
            sys.stderr.write(text)

    def flush(self) -> None:
        """Flush it."""
        if sys.stderr is not None:
            sys.stderr.flush()
