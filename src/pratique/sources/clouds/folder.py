"""A bucket as a folder of files: listed by its prefix, landed in parallel into the run's own folder, a version each."""

from __future__ import annotations

import difflib
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pratique.errors import ConfigurationError, InterruptedRunError, SourceError
from pratique.inputs import CloudInput
from pratique.sources.base import ReadLimits
from pratique.sources.clouds.base import THREADS, Bucket, StoredObject, unreachable
from pratique.sources.files.pattern import Candidate, PathPattern, printable
from pratique.sources.files.scratch import scratch_file

_AHEAD = 2 * THREADS  # Limit: objects that are landed before they are asked for


class CloudFolder:
    """The objects of a bucket that a pattern names. What was landed stays until it is loaded, or the run ends."""

    def __init__(self, asked: CloudInput, path: str, limits: ReadLimits, workspace: Path) -> None:
        self._asked, self._limits, self._workspace = asked, limits, workspace
        self._pattern = PathPattern(path, Path("/"))
        self._bucket: Bucket = open_bucket(asked, self._pattern)
        self._objects: dict[str, StoredObject] = {}  # of the newest listing, by name
        self._landed: dict[tuple[str, str], Path] = {}  # by key and version
        self._coming: dict[str, Future[Path]] = {}
        self._waiting: Iterator[Candidate] = iter(())
        self._pool: ThreadPoolExecutor | None = None
        self._stopped = threading.Event()

    @property
    def shown(self) -> str:
        """Its url."""
        return self._asked.shown

    def files(self) -> list[Candidate]:
        """Every object that the pattern names, by name ascending; keys that end with a slash are folders' marks."""
        whole = self._limits.retries.of(self._list)
        found = sorted(whole, key=lambda item: item.name)
        if not found and not self._pattern.wild:
            hint = self._limits.retries.of(self._near)
            raise SourceError(f"there is no file {self._pattern.text!r} in {self.shown}", hint=hint)
        return found

    def captures(self, name: str) -> Mapping[str, str]:
        """What an object's path says, by its name."""
        return self._pattern.captures(name)

    def _list(self) -> list[Candidate]:
        self._objects.clear()
        found = []
        for item in self._bucket.list(self._asked.prefix + self._pattern.beginning):
            candidate = self._pattern.matched(item.key.removeprefix(self._asked.prefix))
            if candidate is not None and not item.key.endswith("/"):
                found.append(replace(candidate, tag=item.tag, size=item.size))
                self._objects[candidate.name] = item
        return found

    def _near(self) -> str:
        folder = self._asked.prefix + self._pattern.beginning.rpartition("/")[0]
        some = islice(self._bucket.list(folder), 1000)
        names = [item.key.removeprefix(self._asked.prefix) for item in some]
        near = difflib.get_close_matches(self._pattern.text, [printable(name) for name in names], 3, 0.5)
        return f"did you mean {' or '.join(near)}?" if near else f"{self.shown} holds {len(names)} other files"

    @contextmanager
    def bringing(self, wanted: Sequence[Candidate]) -> Iterator[None]:
        """Land these in parallel while the block runs, at most so many ahead of the one that is asked for."""
        self._waiting = iter(wanted)
        self._stopped.clear()
        with ThreadPoolExecutor(THREADS, "pratique-cloud") as pool:
            self._pool = pool
            try:
                self._go_on()
                yield
            finally:
                self._stopped.set()
                self._pool, coming = None, self._coming
                self._coming = {}
                for future in coming.values():
                    future.cancel()

    def _go_on(self) -> None:
        while self._pool and len(self._coming) < _AHEAD and (candidate := next(self._waiting, None)):
            item = self._objects[candidate.name]
            if (item.key, item.tag) not in self._landed:
                self._coming[candidate.name] = self._pool.submit(self._land, item)

    def here(self, candidate: Candidate) -> tuple[Candidate, Path]:
        """The candidate as a file of the run's folder: whole, and in the version that was listed."""
        item = self._objects[candidate.name]
        if item.size > self._limits.unpacked_bytes_max:
            raise SourceError(
                f"it has {item.size:,} bytes, more than {self._limits.unpacked_bytes_max:,}",
                hint="raise limits.unpacked_bytes_max if it is what it should be",
            )
        path = self._landed.get((item.key, item.tag))
        if path is None:
            coming = self._coming.pop(candidate.name, None)
            self._go_on()
            path = coming.result() if coming else self._land(item)
        return replace(candidate, path=path), self._workspace

    def _land(self, item: StoredObject) -> Path:
        if item.size > self._limits.unpacked_bytes_max:
            return Path()  # `here` refuses it
        path = self._limits.retries.of(lambda: self._copied(item))
        self._landed[item.key, item.tag] = path
        return path

    def _copied(self, item: StoredObject) -> Path:
        """The object in a file of its own; no trace of it if it did not come whole."""
        digest, size = hashlib.md5(usedforsecurity=False), 0
        with scratch_file(self._workspace, "a distant file cannot be landed") as file:
            body = self._bucket.read(item)
            for piece in body.pieces:
                if self._stopped.is_set():
                    raise InterruptedRunError("landing was given up")
                digest.update(piece)
                size += len(piece)
                file.write(piece)
            if size != item.size:
                raise unreachable(f"{item.key}: {size:,} of {item.size:,} bytes came")
            if body.md5 is not None and body.md5 != digest.digest():
                raise unreachable(f"{item.key}: what came does not have the MD5 that the cloud says")
        return file.path

    def forget(self, candidate: Candidate) -> None:
        """Give back the disk of an object that is loaded."""
        for (key, tag), path in [*self._landed.items()]:
            if path == candidate.path:
                path.unlink(missing_ok=True)
                del self._landed[key, tag]


def open_bucket(asked: CloudInput, pattern: PathPattern) -> Bucket:
    """The bucket; ConfigurationError if the package for its cloud is missing. Connects to nothing."""
    try:
        if asked.kind == "sftp":
            from pratique.sources.clouds.sftp import SftpServer  # noqa: PLC0415 - loads a library

            return SftpServer(asked, pattern.leads)
        if asked.kind == "s3":
            from pratique.sources.clouds.s3 import S3Bucket  # noqa: PLC0415 - loads a library

            return S3Bucket(asked)
        if asked.kind == "gs":
            from pratique.sources.clouds.gs import GoogleBucket  # noqa: PLC0415 - loads a library

            return GoogleBucket(asked)
        from pratique.sources.clouds.az import AzureContainer  # noqa: PLC0415 - loads a library

        return AzureContainer(asked)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"to read {asked.kind}:// the package {error.name} is missing",
            hint=f"python -m pip install 'pratique[{'sftp' if asked.kind == 'sftp' else 'cloud'}]'",
        ) from error
