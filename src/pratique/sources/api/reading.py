"""Pages on disk: landed as they come, never changed, told by a journal. A killed run goes on behind the last one.

A reading is one walk through an API, from one position to its end. Its folder holds `asked.json` (what is asked, and
since when), `pages` (bodies, one behind the other) and `journal` (a line for each page). A page counts if its line is
whole and its bytes have the hash that the line says.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pratique.errors import SourceError, StateError

_SYNC_SECONDS: Final = 1.0  # Limit: what a power cut may cost; a kill costs no page


@dataclass(frozen=True, slots=True)
class Page:
    """One landed page: of which stretch (a parent's row), its number there, its place and hash, and what it told.

    `after` is what leads to the next page, None at the end; `content` hashes the records alone.
    """

    stretch: int
    number: int
    offset: int
    size: int
    sha256: str
    records: int
    content: str
    after: str | None = None
    total: int | None = None
    last: int | None = None


class Reading:
    """The pages of one walk, in memory as what their lines say."""

    def __init__(self, folder: Path, values: Sequence[tuple[str, ...]]) -> None:
        """Open the files of a folder; `values` are what stands in the path, one for each stretch."""
        self.folder, self.values = folder, values
        self.pages: dict[tuple[int, int], Page] = {}
        self.complete = False
        self.resumed = False
        self.size = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with _disk(folder):
            self._pages = os.open(self.path, flags, 0o600)
            self._journal = os.open(folder / "journal", flags, 0o600)
            fcntl.flock(self._journal, fcntl.LOCK_SH)  # while this process lives, nobody takes it for outdated
        self._synced = time.monotonic()

    @classmethod
    def begin(cls, folder: Path, values: Sequence[tuple[str, ...]], asked: Mapping[str, Any]) -> Reading:
        """A new reading, in the place of whatever was in its folder."""
        with _disk(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            text = json.dumps({"asked": asked, "values": list(values), "began": time.time()})
            (folder / "asked.json").write_text(text, encoding="utf-8")
        return cls(folder, values)

    @classmethod
    def resume(cls, folder: Path, hours_max: float) -> Reading | None:
        """The reading that was begun in `folder`, with every page that is whole; None without one that counts."""
        try:
            head = json.loads((folder / "asked.json").read_bytes())
            if not _counts(head["began"], hours_max):
                return None
            values = [tuple(value) for value in head["values"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        reading = cls(folder, values)
        with _disk(folder):
            reading._recover()
        reading.resumed = bool(reading.pages) or reading.complete
        return reading

    def _recover(self) -> None:
        """Take the lines whose pages are whole; what stands behind the first one that is not is forgotten."""
        data = (self.folder / "journal").read_bytes()
        good = 0
        for line in data.splitlines(keepends=True):
            try:
                found = json.loads(line) if line.endswith(b"\n") else None
                if found == {"complete": True}:
                    self.complete = True
                else:
                    page = Page(**(found or {}))
                    if hashlib.sha256(self.body(page)).hexdigest() != page.sha256:
                        break
                    self.pages[page.stretch, page.number] = page
                    self.size = max(self.size, page.offset + page.size)
            except (ValueError, TypeError):
                break
            good += len(line)
        os.ftruncate(self._journal, good)
        os.ftruncate(self._pages, self.size)

    @property
    def path(self) -> Path:
        """The file that holds the bodies."""
        return self.folder / "pages"

    @property
    def records(self) -> int:
        """Records in all pages, by the length of their arrays."""
        return sum(page.records for page in self.pages.values())

    def add(self, body: bytes, page: Page) -> Page:
        """Land a page; it counts from here on, whatever becomes of this process. StateError if the disk refuses."""
        with _disk(self.folder):
            _write(self._pages, body)
            _write(self._journal, json.dumps(asdict(page)).encode() + b"\n")
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self._sync()
        self.size += len(body)
        self.pages[page.stretch, page.number] = page
        return page

    def finish(self) -> None:
        """All pages are there: durable from here on, also through a power cut."""
        if not self.complete:
            with _disk(self.folder):
                self._sync()
                _write(self._journal, json.dumps({"complete": True}).encode() + b"\n")
                self._sync()
                folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                os.fsync(folder)
                os.close(folder)
            self.complete = True

    def _sync(self) -> None:
        os.fsync(self._pages)
        os.fsync(self._journal)
        self._synced = time.monotonic()

    def body(self, page: Page) -> bytes:
        """The bytes of a page."""
        return os.pread(self._pages, page.size, page.offset)

    def ordered(self) -> list[Page]:
        """All pages that hold records, in the order in which the API gives them."""
        return [self.pages[key] for key in sorted(self.pages) if self.pages[key].records]

    def sha256(self) -> str:
        """A hash over all pages in order, and what stands in the path of each."""
        digest = hashlib.sha256()
        for page in self.ordered():
            digest.update(json.dumps([*self.values[page.stretch], page.sha256]).encode())
        return digest.hexdigest()

    def check(self) -> None:
        """Raise SourceError if a page is no longer what was landed."""
        there = self.path.stat().st_size if self.path.is_file() else -1
        if there != self.size:
            raise SourceError("its landed pages were changed by somebody", hint="run again")

    def close(self) -> None:
        """Close the files."""
        if self._pages >= 0:
            os.close(self._pages)
            os.close(self._journal)
            self._pages = self._journal = -1

    def remove(self) -> None:
        """Give the disk back: what was landed is loaded, or refused."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _counts(began: float, hours_max: float) -> bool:
    return 0 <= time.time() - began <= hours_max * 3600


def clear_outdated(landing: Path, hours_max: float) -> None:
    """Give back the disk of readings that no run goes on with: begun too long ago, and held by no living process.

    `landing` has a folder for each pipeline, in it one for each source, in it one for each reading, also of those that
    are no longer there. Nothing is needed for evidence: what is held stands in the quarantine, text for text.
    """
    for folder in landing.glob("*/*/*"):
        with suppress(OSError):  # another process has it, or clears it as well
            if not _counts(_began(folder), hours_max):
                with (folder / "journal").open("ab") as journal:
                    fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)


def _began(folder: Path) -> float:
    """When a reading was begun; one that cannot say it, when its folder was made."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads((folder / "asked.json").read_bytes())["began"])
    return folder.stat().st_mtime


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"pages cannot be landed in {folder}: {error.strerror}",
            hint="free space there, or name another state folder in state.path",
        ) from error
