"""One process runs a pipeline: a lock that the kernel frees when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from pratique.errors import AlreadyRunningError, StateError
from pratique.ledger.disk import file_name, private_file, private_folder

# Limit: a holder writes who it is right after it locks; a second starter waits this long for it to be readable.
_HOLDER_WAIT_SECONDS = 1.0


class PipelineLock:
    """Held from creation until `release`. The file stays: to remove it would let two processes hold two files."""

    def __init__(self, folder: Path, pipeline: str, run_id: str, since: str) -> None:
        path = lock_path(folder, pipeline)
        try:
            private_folder(folder)
            self._descriptor = private_file(path)
        except OSError as error:
            raise StateError(f"cannot make the lock {path}: {error.strerror}", hint=f"check {folder}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(pipeline, run_id, since)
        except BlockingIOError:
            os.close(self._descriptor)
            raise _already_running(path, pipeline) from None
        except OSError as error:
            os.close(self._descriptor)
            raise StateError(f"cannot lock {path}: {error.strerror}", hint="use a local, writable disk") from error

    def _write(self, pipeline: str, run_id: str, since: str) -> None:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": since,
            "run_id": run_id,
            "pipeline": pipeline,
            "command": sys.argv,
        }
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Let the next process run the pipeline. Harmless when repeated."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)  # nobody holds it: nobody is to be named
            os.close(self._descriptor)
            self._descriptor = -1


def lock_path(folder: Path, pipeline: str) -> Path:
    """The lock file of a pipeline."""
    return folder / f"{file_name(pipeline)}.lock"


def holder(path: Path) -> dict[str, Any] | None:
    """Who wrote itself into the lock file and lives, as far as this host can know; None if nobody did."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        pid = int(found["pid"])
        if found["host"] == socket.gethostname():
            os.kill(pid, 0)
    except PermissionError:  # it lives, under another user
        return found
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return found


def _already_running(path: Path, pipeline: str) -> AlreadyRunningError:
    deadline = time.monotonic() + _HOLDER_WAIT_SECONDS
    while (found := holder(path)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if found is None:
        return AlreadyRunningError(
            f"another process runs {pipeline}; it did not say which in {path}",
            hint=f"find it with: fuser {path}",
        )
    pid, host = found["pid"], found["host"]
    return AlreadyRunningError(
        f"process {pid} on {host} runs {pipeline} since {found.get('since')} (run {str(found.get('run_id'))[:6]})",
        hint=f"wait for it to end, or end it with: kill {pid}. Nothing is to be cleaned up afterwards",
        facts={name: found.get(name) for name in ("pid", "host", "since", "run_id", "command")},
    )
