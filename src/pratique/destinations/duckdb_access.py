"""How a DuckDB file is born, opened, waited for and closed: by one connection at a time, only while it is used."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import duckdb

from pratique.destinations.refusals import exists, locked, refused
from pratique.errors import DestinationError, DestinationLockedError
from pratique.failpoints import hit
from pratique.schema.sql import identifier, literal

# Upstream: DuckDB locks by fcntl, and closing any descriptor of a file drops all such locks of a process. A second
# opening in this process, even a refused one, would unlock the file for everybody; so there is never a second one.
_GUARDS: Final[dict[Path, threading.Lock]] = {}
_GUARDS_LOCK: Final = threading.Lock()
_ALIASES: Final = count(1)


def side_files(file: Path) -> tuple[Path, ...]:
    """The files that DuckDB itself makes beside a database file."""
    return tuple(file.with_name(file.name + end) for end in (".wal", ".wal.checkpoint", ".wal.recovery", ".tmp"))


@contextmanager
def attached(
    file: Path, connection: duckdb.DuckDBPyConnection, *, read_only: bool, timeout_seconds: float
) -> Iterator[str]:
    """Attach `file` to `connection`, give the quoted alias, detach at the end.

    For writing, the file is made if there is none. Waits up to `timeout_seconds` for other threads and processes, then
    raises DestinationLockedError.
    """
    with _GUARDS_LOCK:
        guard = _GUARDS.setdefault(file, threading.Lock())
    deadline = time.monotonic() + timeout_seconds
    if not guard.acquire(timeout=timeout_seconds):
        raise locked(file, f"PID {os.getpid()}", timeout_seconds)
    try:
        alias = identifier(f"_pratique_{next(_ALIASES)}")
        if not read_only:
            _create(file)
        mode = "TYPE duckdb, READ_ONLY" if read_only else "TYPE duckdb"
        _attach(file, connection, f"ATTACH {literal(str(file))} AS {alias} ({mode})", deadline, timeout_seconds)
        try:
            yield alias
        finally:
            with suppress(duckdb.Error):  # after a fatal error of the file there is nothing left to detach
                connection.execute(f"DETACH {alias}")
    finally:
        guard.release()


def _attach(
    file: Path, connection: duckdb.DuckDBPyConnection, statement: str, deadline: float, timeout_seconds: float
) -> None:
    pause = 0.02
    while True:
        try:
            connection.execute(statement)
        except duckdb.Error as error:
            if "already attached" in str(error):
                raise DestinationLockedError(
                    "this process has the file open in another connection",
                    hint="close that connection before the run",
                    where=str(file),
                ) from error
            if "Could not set lock" not in str(error):
                raise refused(file, error) from error
            if time.monotonic() >= deadline:
                raise locked(file, str(error), timeout_seconds) from error
        else:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def _create(file: Path) -> None:
    """Make an empty database if there is none; never half of one, never over another's.

    A fault while DuckDB writes the first blocks of a file leaves one that blocks every later run, so it is born under
    a temporary name and appears whole.
    """
    if exists(file):
        return
    wal = file.with_name(file.name + ".wal")
    if exists(wal):
        raise DestinationError(
            "the database file is gone, but its write-ahead log is there",
            hint=f"put the database file back, or move {wal.name} away",
            where=str(file),
        )
    young = file.with_name(f".{file.name}.creating-{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(file)
        try:
            duckdb.connect(young).close()
            _sync(young)
            _publish(young, file)
        finally:
            young.unlink(missing_ok=True)
        hit("destination.created")
        _sync(file.parent)
    except (OSError, duckdb.Error) as error:
        raise refused(file, error) from error


def _publish(young: Path, file: Path) -> None:
    """Give the database its name. If another process was faster, its file is as good."""
    with suppress(FileExistsError):
        try:
            os.link(young, file)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
                raise
            # A file system without links: the name is claimed first, for a rename would replace another's database.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            young.rename(file)


def _remove_leftovers(file: Path) -> None:
    """Remove what killed processes left while they created this file."""
    pattern = re.compile(re.escape(f".{file.name}.creating-") + r"(\d{1,9})(\.wal|\.tmp)?")
    for path in file.parent.iterdir():
        found = pattern.fullmatch(path.name)
        if found and (int(found[1]) == os.getpid() or not _alive(int(found[1]))):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, under another user
        return True
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
