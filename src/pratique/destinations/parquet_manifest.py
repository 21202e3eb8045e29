"""The manifests of a Parquet folder: which files are live, and the marker of the load that made it so.

`_manifest/000000000007.json` is the state after the seventh commit. Publishing one is the only moment at which anything
becomes true; a reader follows the newest and nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pratique.destinations.refusals import locked, refused
from pratique.errors import DestinationError, DestinationMovedError
from pratique.model import Marker

FOLDER: Final[str] = "_manifest"
KEPT: Final[int] = 2  # Limit: states whose files stay, so that a slow outside reader of the last but one can finish
_NAME: Final = re.compile(r"(\d{12})\.json")
_PART: Final = re.compile(r"part-[0-9A-Za-z]+-\d{12}-\d+\.parquet")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A live Parquet file: its path relative to the root, rows, hash and size."""

    name: str
    rows: int
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table: DuckDB types by column, and its live files in the order in which they were written."""

    columns: Mapping[str, str]
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state after one commit. `trimmed` ones are old: only their marker is left."""

    sequence: int
    tables: Mapping[str, Table]
    marker: Marker
    trimmed: bool = False
    beside: tuple[Marker, ...] = ()  # of further tables of the same load

    @property
    def markers(self) -> tuple[Marker, ...]:
        """All that this commit made true."""
        return (self.marker, *self.beside)

    def to_bytes(self) -> bytes:
        """JSON with a hash of itself, so that a flipped bit is noticed."""
        tables = {name: asdict(table) for name, table in self.tables.items()}
        marker = json.loads(self.marker.to_json())
        state: dict[str, Any] = {"sequence": self.sequence, "trimmed": self.trimmed, "marker": marker, "tables": tables}
        if self.beside:
            state["beside"] = [json.loads(marker.to_json()) for marker in self.beside]
        return json.dumps({"sha256": _hash(state), "state": state}, ensure_ascii=False).encode()

    @classmethod
    def from_file(cls, path: Path) -> Manifest:
        """The manifest in `path`; DestinationError if it is not what was written."""
        try:
            data = json.loads(path.read_bytes())
            state = data["state"]
            if data["sha256"] != _hash(state):
                raise _damaged(path)
            marker, *beside = (
                Marker.from_json(json.dumps(item)) for item in (state["marker"], *state.get("beside", ()))
            )
            return cls(state["sequence"], _tables(state), marker, state["trimmed"], tuple(beside))
        except OSError as error:
            raise refused(path, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path) from error


def _damaged(path: Path) -> DestinationError:
    return DestinationError("the manifest is damaged", hint="restore it from a backup", where=str(path))


def _tables(state: Mapping[str, Any]) -> dict[str, Table]:
    return {
        name: Table(table["columns"], tuple(DataFile(**file) for file in table["files"]))
        for name, table in state["tables"].items()
    }


def _hash(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def numbers(root: Path) -> list[int]:
    """The numbers of all published manifests, ascending."""
    try:
        found = [_NAME.fullmatch(name) for name in os.listdir(root / FOLDER)]  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []
    except OSError as error:
        raise refused(root, error) from error
    return sorted(int(match[1]) for match in found if match)


def manifest_path(root: Path, number: int) -> Path:
    """Where the manifest of this number stands."""
    return root / FOLDER / f"{number:012d}.json"


def newest(root: Path) -> Manifest | None:
    """The state that is true now; None if nothing was ever published."""
    published = numbers(root)
    return Manifest.from_file(manifest_path(root, published[-1])) if published else None


def states(root: Path) -> Iterator[Manifest]:
    """Every state that was published, oldest first."""
    return (Manifest.from_file(manifest_path(root, number)) for number in numbers(root))


def markers(root: Path) -> Iterator[Marker]:
    """Every committed marker, oldest first."""
    return (marker for state in states(root) for marker in state.markers)


def publish(root: Path, manifest: Manifest, about_to: Callable[[], None]) -> None:
    """Make `manifest` the state that is true; `about_to` is called when it is durable but not yet visible.

    DestinationMovedError if another writer published this number: nothing of ours is visible then.
    """
    path = manifest_path(root, manifest.sequence)
    young = path.with_suffix(f".{os.getpid()}.tmp")
    content = manifest.to_bytes()
    try:
        write_durably(young, content)
        about_to()
        try:
            os.link(young, path)  # refuses an existing name, which a rename would replace
        except FileExistsError as error:
            if path.read_bytes() != content:  # ours after all: a network share may lose the answer
                raise DestinationMovedError(
                    "another load was published in between", hint="run again", where=str(root)
                ) from error
    finally:
        with suppress(OSError):
            young.unlink(missing_ok=True)
    try:
        sync(root / FOLDER)
    except OSError as error:
        raise DestinationError(
            f"the load is visible, but the disk did not confirm it: {error}",
            hint="look at the disk, then run again: it asks for the marker first",
            where=str(path),
        ) from error


def write_durably(path: Path, content: bytes) -> None:
    """Write a file whose content is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def tidy(root: Path) -> None:
    """Under the exclusive lock: remove what killed loads left and what no kept state names; trim old manifests.

    Only files whose names we give are touched.
    """
    published = numbers(root)
    for number in reversed(published[:-KEPT]):
        path = manifest_path(root, number)
        old = Manifest.from_file(path)
        if old.trimmed:
            break
        young = path.with_suffix(f".{os.getpid()}.tmp")
        write_durably(young, replace(old, tables={}, trimmed=True).to_bytes())
        young.replace(path)
    for path in (root / FOLDER).glob("*.tmp"):
        path.unlink()
    kept = [Manifest.from_file(manifest_path(root, number)) for number in published[-KEPT:]]
    live = {root / file.name for manifest in kept for table in manifest.tables.values() for file in table.files}
    for path in root.rglob("part-*.parquet"):
        if path not in live and _PART.fullmatch(path.name):
            path.unlink()


@contextmanager
def held(root: Path, *, exclusive: bool, timeout_seconds: float) -> Iterator[None]:
    """Hold the folder against other writers (and, exclusively, readers) of any process; the kernel frees it at kill -9.

    DestinationLockedError with the holder's process after `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    path = root / FOLDER / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise refused(root, error) from error
    try:
        pause = 0.02
        while not _flock(descriptor, exclusive=exclusive):
            if time.monotonic() >= deadline:
                raise locked(root, os.pread(descriptor, 40, 0).decode(errors="replace"), timeout_seconds)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)
        if exclusive:
            os.ftruncate(descriptor, 0)
            with suppress(OSError):  # a full disk: only the holder's name is lost
                os.pwrite(descriptor, f"PID {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int, *, exclusive: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
