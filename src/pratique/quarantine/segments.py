"""Segments of the quarantine: `<pipeline>/<load>/<attempt>.jsonl.zst`, one JSON object a line (`quarantine_record`).

`zstdcat FILE | jq .` reads one. A segment exists for people if and only if a committed marker names it and its hash
(Invariant 3): no flag is ever flipped, and what a crash left behind is never seen.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, TypedDict, Unpack

from pratique import failpoints
from pratique.errors import ConfigurationError, StateError
from pratique.ledger.base import Ledger
from pratique.ledger.disk import file_name, private_file, private_folder, sync_folder
from pratique.model import Marker, Segment
from pratique.quarantine.export import Exported, ExportFormat, export
from pratique.quarantine.records import masked, to_line

# Limit: lines are compressed and written, files hashed, in pieces of this many bytes.
_BLOCK_BYTES: Final = 1 << 20


class Filters(TypedDict, total=False):
    """Which records are meant; what is not given, or None, does not matter.

    `run` is the beginning of a run id. `cause` is an id of `Quarantine.causes` for the same `pipeline` and `run`.
    `record` is the `id` of one record.
    """

    pipeline: str | None
    source: str | None
    run: str | None
    rule: str | None
    cause: str | None
    record: str | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class HeldCause:
    """Quarantined records that failed one rule, over all loads: the id to ask for them by, and when they began."""

    id: str
    pipeline: str
    source: str
    rule: str
    field: str | None
    message: str
    records: int
    places: tuple[tuple[str, int], ...]
    since: str  # when the first load with it was committed
    since_run: str


class Quarantine:
    """Writes segments, and shows those that the ledger's committed loads name."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self._ledger = ledger

    def write(self, pipeline: str, load_id: str, attempt: int, records: Iterator[Mapping[str, Any]]) -> Segment | None:
        """Make `records` durable as a segment that nobody sees yet; None if there are none.

        Streams; memory does not grow with the records. Never overwrites: where a lost ledger counts attempts anew, the
        file gets a further number. Raises StateError if the disk fails, and leaves nothing of the attempt then.
        """
        first = next(records, None)
        if first is None:
            return None
        folder = self.folder / file_name(pipeline) / file_name(load_id)
        with self._disk():
            private_folder(folder)
            for stale in folder.glob("*.tmp"):  # of a killed attempt; this process holds the pipeline
                stale.unlink()
        path = _free(folder, attempt)
        temporary = path.with_name(path.name + ".tmp")
        try:
            digest, count = self._fill(temporary, chain([first], records))
            failpoints.hit("quarantine.written")
            with self._disk():
                temporary.rename(path)
                sync_folder(folder)
        finally:
            temporary.unlink(missing_ok=True)  # there only if something went wrong
        failpoints.hit("quarantine.renamed")
        return Segment(path.relative_to(self.folder).as_posix(), digest, count)

    def _fill(self, path: Path, records: Iterator[Mapping[str, Any]]) -> tuple[str, int]:
        """Write and sync the file; hash of its bytes and number of its records."""
        zstd = _zstd()
        compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.checksum_flag: 1})
        hashed = hashlib.sha256()
        count = 0
        with self._disk():
            descriptor = private_file(path, os.O_TRUNC)
        try:
            for lines in _blocks(records):
                count += len(lines)
                self._put(descriptor, compressor.compress(b"".join(lines)), hashed)
            self._put(descriptor, compressor.flush(), hashed)
            with self._disk():
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return hashed.hexdigest(), count

    def _put(self, descriptor: int, data: bytes, hashed: Any) -> None:
        hashed.update(data)
        rest = memoryview(data)
        with self._disk():
            while rest:
                rest = rest[os.write(descriptor, rest) :]

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            there = next(place for place in (self.folder, *self.folder.parents) if place.exists())
            free = shutil.disk_usage(there).free
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            act = f"make room (df -h {there})" if full else f"check that {there} is a folder that may be written"
            raise StateError(
                f"cannot write the quarantine {self.folder}: {error.strerror} ({free / 1e6:,.1f} MB free); "
                "nothing of this load was loaded",
                hint=f"{act} or move the state folder (state.path), then run again",
                facts={"path": str(self.folder), "free_bytes": free},
            ) from error

    def loads(self, pipeline: str | None = None, source: str | None = None, run: str | None = None) -> list[Marker]:
        """Committed loads that have a segment, oldest first."""
        return [
            marker
            for marker in self._ledger.loads(pipeline)
            if marker.segment and source in {None, marker.source} and marker.run_id.startswith(run or "")
        ]

    def causes(
        self, pipeline: str | None = None, source: str | None = None, rule: str | None = None, run: str | None = None
    ) -> list[HeldCause]:
        """What is held, grouped by source and rule; no segment is opened.

        Ids are Q1, Q2 … by records (most first), then source, rule, pipeline. They are given to all causes of this
        `pipeline` and `run`, so that `source` and `rule` choose some without renumbering.
        """
        found: dict[tuple[str, str, str], HeldCause] = {}
        for marker in self.loads(pipeline, run=run):
            for cause in marker.causes:
                key = (marker.pipeline, marker.source, cause.rule)
                known = found.get(key) or HeldCause(
                    "", *key, cause.field, cause.message, 0, (), marker.committed_at, marker.run_id
                )
                places = (known.places + cause.places)[:10]
                found[key] = replace(known, records=known.records + cause.records, places=places)
        ordered = sorted(found.values(), key=lambda item: (-item.records, item.source, item.rule, item.pipeline))
        return [
            replace(item, id=f"Q{place}")
            for place, item in enumerate(ordered, 1)
            if source in {None, item.source} and rule in {None, item.rule}
        ]

    def records(self, *, reveal: bool = False, **filters: Unpack[Filters]) -> Iterator[dict[str, Any]]:
        """Stream visible records, oldest load first; sensitive values are masked unless `reveal`.

        Raises StateError, naming the file, if a segment is missing or is not what its marker says.
        """
        for _, record in self._selected(filters):
            yield record if reveal else masked(record)

    def export(
        self, target: Path | BinaryIO, form: ExportFormat = "jsonl", *, reveal: bool = False, **filters: Unpack[Filters]
    ) -> Exported:
        """Write the chosen records for others, to a file (complete or not at all) or a stream.

        `jsonl` lines are the segment's own bytes (but for masked records), `json` is one array, `csv` is for people: a
        text that a spreadsheet would take for a formula gets a `'` in front; `Exported.neutralised` says how many.
        """
        return export(target, form, lambda: self._shown(filters, reveal=reveal))

    def of(self, marker: Marker) -> Iterator[dict[str, Any]]:
        """Every record that a committed load quarantined, unmasked; StateError as `records`."""
        if marker.segment:
            yield from map(json.loads, self._lines(marker, marker.segment))

    def _shown(self, filters: Filters, *, reveal: bool) -> Iterator[tuple[bytes, dict[str, Any]]]:
        for line, record in self._selected(filters):
            shown = record if reveal else masked(record)
            yield (line if shown is record else to_line(shown)), shown

    def _selected(self, filters: Filters) -> Iterator[tuple[bytes, dict[str, Any]]]:
        return islice(self._matching(filters), filters.get("limit"))

    def _matching(self, filters: Filters) -> Iterator[tuple[bytes, dict[str, Any]]]:
        pipeline, run, record_id = filters.get("pipeline"), filters.get("run"), filters.get("record")
        sources, rules = {filters.get("source")}, {filters.get("rule")}
        if wanted := filters.get("cause"):
            cause = self._cause(wanted, pipeline, run)
            pipeline = cause.pipeline
            sources.add(cause.source)
            rules.add(cause.rule)
        rules.discard(None)
        needles = [json.dumps(rule).encode() for rule in rules if rule and rule.isascii()]
        for marker in self.loads(pipeline, run=run):
            if marker.segment is None or sources - {None, marker.source}:
                continue
            if record_id and marker.load_id[:12] != record_id.rpartition("-")[0]:
                continue
            for line in self._lines(marker, marker.segment):
                if any(needle not in line for needle in needles):
                    continue  # decoding is the cost of a long listing
                record = json.loads(line)
                failed = {error["rule"] for error in record["errors"]}
                if rules <= failed and record_id in {None, record["id"]}:
                    yield line, record

    def _cause(self, wanted: str, pipeline: str | None, run: str | None) -> HeldCause:
        causes = self.causes(pipeline, run=run)
        for cause in causes:
            if cause.id == wanted.upper():
                return cause
        known = f"there are Q1 to Q{len(causes)}" if causes else "nothing is held"
        raise ConfigurationError(f"there is no cause {wanted}; {known}", hint="pratique quarantine list")

    def _lines(self, marker: Marker, segment: Segment) -> Iterator[bytes]:
        """The lines of a committed segment, after its hash was compared with the marker's."""
        relative = PurePosixPath(segment.path)
        path = self.folder / relative
        if relative.is_absolute() or ".." in relative.parts:
            raise StateError(
                f"the marker of load {marker.load_id} names a file outside of {self.folder}: {relative}",
                hint="somebody changed the destination or the ledger: put a copy of it back from before",
            )
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != segment.sha256:
                    raise StateError(
                        f"{path} is not what was written: its hash is not the one in the marker of its load",
                        hint=f"restore it from a backup; its {segment.records:,} records are in the input of run "
                        f"{marker.run_id[:6]} too",
                    )
                file.seek(0)
                with _zstd().open(file, "rb") as lines:
                    yield from lines
        except OSError as error:
            raise StateError(
                f"cannot read {path}, in which load {marker.load_id} quarantined {segment.records:,} records: "
                f"{error.strerror}",
                hint="restore it from a backup, or look whether state.path is the one of that run",
            ) from error


def _blocks(records: Iterator[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    """The records as lines, in lists of about a block."""
    lines: list[bytes] = []
    size = 0
    for record in records:
        line = to_line(record)
        lines.append(line)
        size += len(line)
        if size >= _BLOCK_BYTES:
            yield lines
            lines, size = [], 0
    yield lines


def _free(folder: Path, attempt: int) -> Path:
    path = folder / f"{attempt}.jsonl.zst"
    again = 1
    while path.exists():
        again += 1
        path = folder / f"{attempt}.{again}.jsonl.zst"
    return path


def _zstd() -> Any:
    if sys.version_info >= (3, 14):  # pragma: no cover - which one is there depends on the version of Python
        from compression import zstd  # noqa: PLC0415  loaded when it is needed
    else:  # pragma: no cover - likewise
        from backports import zstd  # noqa: PLC0415
    return zstd
