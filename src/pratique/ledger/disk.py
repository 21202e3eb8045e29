"""Folders and files of the state: only their owner reads them, and they survive a power cut."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pratique.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def file_name(name: str) -> str:
    """`name`, if it can be part of a path and nothing else; ConfigurationError otherwise.

    Refused are `..`, separators, blanks and all that is not a letter, a digit, `_`, `.` or `-`.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot name a pipeline", hint="use letters, digits, '_' and '-', beginning with a letter"
        )
    return name


def private_folder(folder: Path) -> Path:
    """`folder`, there after a power cut too; what had to be made is open to its owner only. Raises OSError."""
    missing = []
    place = folder
    while not place.is_dir():
        missing.append(place)
        place = place.parent
    for made in reversed(missing):
        made.mkdir(mode=0o700, exist_ok=True)
        sync_folder(made.parent)
    return folder


def private_file(path: Path, flags: int = 0) -> int:
    """A descriptor for reading and writing `path`, made if missing, open to its owner only. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    if os.fstat(descriptor).st_mode & 0o077:
        os.fchmod(descriptor, 0o600)
    return descriptor


def sync_folder(folder: Path) -> None:
    """Make names that were put into `folder` survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
