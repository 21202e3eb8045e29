"""What a destination says when it refuses: in our words, with the holder, the free space and the next step."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

import duckdb

from pratique.errors import DestinationError, DestinationLockedError, PratiqueError, StateError


def refused(place: Path, error: BaseException) -> PratiqueError:
    """The error to raise for a third-party `error` about `place`: by whom has to act."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, duckdb.InterruptException):
        raise KeyboardInterrupt from error
    if isinstance(error, duckdb.OutOfMemoryException):
        return StateError(
            f"not enough memory or temporary disk to load: {text}",
            hint="raise limits.memory or limits.temporary_disk in config/default.yaml, or free disk; then run again",
            where=str(place),
        )
    if _is_full(error, text):
        folder = next(folder for folder in (place, *place.parents) if folder.exists())
        free = shutil.disk_usage(folder).free
        return DestinationError(
            f"no space left to write ({free / 1e6:.1f} MB free): {text}",
            hint="free space and run again: nothing of this load is visible, the rows before it are",
            where=str(place),
            facts={"free_bytes": free},
        )
    hint = "look at the file system and the permissions, then run again: nothing of this load is visible"
    if "not a valid DuckDB database" in text or "encrypted database" in text:
        hint = "nothing was changed in this file: name another path, or put the right file there"
    elif is_damage(text):
        hint = (
            "the file is damaged: keep a copy of it (and of its .wal, if there is one), then restore it from a backup"
        )
    elif isinstance(error, duckdb.ConstraintException):
        hint = "the table asks more of a row than the schema: say it there, too (`required`, `primaryKey`, a check)"
    elif isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        hint = "its tables are not as Pratique made them: put right what is named, then run again"
    if isinstance(error, OSError) and error.strerror:  # its own text names numbers of the system
        text = f"cannot be used: {error.strerror}" + (f" ({error.filename})" if error.filename else "")
    return DestinationError(text, hint=hint, where=str(place))


def exists(place: Path) -> bool:
    """Whether something is there; a refusal if we may not even ask."""
    try:
        return place.exists()
    except OSError as error:
        raise refused(place, error) from error


def is_damage(text: str) -> bool:
    """Whether DuckDB says that a database file is not what it wrote."""
    return "Corrupt database file" in text or "WAL" in text


def _is_full(error: BaseException, text: str) -> bool:
    numbers = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    words = ("No space left", "Disk quota exceeded", "File too large")
    return getattr(error, "errno", None) in numbers or any(word in text for word in words)


def locked(place: Path, holder: str, seconds: float) -> DestinationLockedError:
    """The error to raise when `place` stayed locked; `holder` is a text with `PID n` in it, or empty."""
    found = re.search(r"PID (\d+)", holder)
    facts: dict[str, object] = {"waited_seconds": seconds}
    who = "another process"
    if found:
        facts["pid"] = int(found[1])
        who = f"process {found[1]}{_command(found[1])}"
    return DestinationLockedError(
        f"held by {who}; waited {seconds:g} s",
        hint="close that process, or raise limits.lock_timeout_seconds; then run again",
        where=str(place),
        facts=facts,
    )


def _command(pid: str) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # another user's process, another name space, or no /proc
        return ""
    text = " ".join(word.decode(errors="replace") for word in words)
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())  # it is foreign text
    return f" ({text[:80]})" if text else ""
