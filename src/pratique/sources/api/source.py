"""The records of a REST API as a source: pages landed as they come, counted, fingerprinted; a killed run goes on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pratique.apis import ApiInput
from pratique.databases import CursorSpan
from pratique.errors import ConfigurationError, SourceError
from pratique.gauge import Amount, gauge
from pratique.model import ArrowForm, Disposition, FileVersion, Landed, LandedFile, Part, Position, RawRecord
from pratique.schema import Schema
from pratique.schema.binding import reader_of
from pratique.sources.api.cursor import before, key_of
from pratique.sources.api.pages import PageReader, counted, shown_records
from pratique.sources.api.reading import Page, Reading
from pratique.sources.base import SHOWN_RECORDS, Probe, ReadLimits

# Limit: a batch is cut before it has so many records, or so many bytes of pages.
BATCH_RECORDS: Final = 8192
BATCH_BYTES: Final = 8 << 20
T = TypeVar("T")
Values = Callable[[], list[tuple[str, ...]]]


def nothing_in_the_path() -> list[tuple[str, ...]]:
    """One stretch, in whose path no value of a parent stands."""
    return [()]


@dataclass(slots=True)
class ApiSource:
    """The records of an API. Holds nothing open between two calls but the file of what it landed."""

    name: str
    schema: Schema
    input: ApiInput
    disposition: Disposition
    limits: ReadLimits
    folder: Path  # of this source alone: where its pages land
    values: Values = nothing_in_the_path
    _reading: Reading | None = field(default=None, init=False, repr=False)

    def probe(self) -> Probe:
        """Ask for the first page and look at its first records; nothing is kept."""
        values = self.values()[:1]
        where = f"{self.input.path} of {self.input.server.origin}"
        try:
            answer = run(
                _walking().first_answer(
                    self.input, self.limits, self._cursor(Position())[1], values[0] if values else ()
                )
            )
            if answer.status == 204 and not answer.body:  # noqa: PLR2004 - No Content
                return Probe(True, f"{where} answers 204: there are no records")
            found = counted(answer.body, self.input.records)
        except SourceError as error:
            return Probe.of(error, "permissions")
        records = shown_records(answer.body, self.input.records, SHOWN_RECORDS)
        return Probe(True, f"{where} answers with {found.records} records", records)

    def land(self, since: Position) -> Landed:
        """Land every page that is new since `since`, and describe them.

        Pages that a killed run landed from the same position are not asked for again. What the newest load has read
        already, byte by byte, is `skipped`. Raises SourceError, and SourceUnreachableError after the last retry; what
        has landed by then is kept for the next run.
        """
        if self._reading is not None:
            self._reading.close()
        span, cursor = self._cursor(since)
        known = next((item for item in reversed(since.known) if item.name == self.input.name), None)
        reading = self._begin(span, known, resume=True)
        resumed = reading.resumed
        try:
            notices = self._walk(reading, cursor)
        except SourceError as error:
            if not _outdated(error, resumed=resumed):
                raise
            reading, resumed = self._begin(span, known, resume=False), False
            told = f"{self.name}: the API no longer knew where the last run ended: all was asked again"
            notices = (told, *self._walk(reading, cursor))
        self._reading = reading
        return self._described(reading, span, known, notices, more=resumed and span is not None)

    def _begin(self, span: CursorSpan | None, known: FileVersion | None, *, resume: bool) -> Reading:
        """The reading from this position: one that was begun, else a new one. Those from others are of no use."""
        asked = _fingerprint(self.input, span.start if span else None, known.sha256 if known else "")
        name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        folder = self.folder / name
        if self.folder.is_dir():
            for other in self.folder.iterdir():
                if other != folder:
                    shutil.rmtree(other, ignore_errors=True)
        found = Reading.resume(folder, self.limits.landed_hours_max) if resume else None
        return found or Reading.begin(folder, self.values(), asked)

    def _walk(self, reading: Reading, cursor: str | None) -> tuple[str, ...]:
        """Land what is not there yet; what people should know of it."""
        if reading.complete:
            return ()
        try:
            with gauge.measuring(lambda: Amount("rows", reading.records, 0)):
                notices = run(walk_of(self.input, reading, self.limits, cursor))
            reading.finish()
        except BaseException as error:
            reading.close()
            if isinstance(error, SourceError) and error.facts.get("useless"):
                reading.remove()
            raise
        return tuple(f"{self.name}: {notice}" for notice in notices)

    def _described(
        self,
        reading: Reading,
        span: CursorSpan | None,
        known: FileVersion | None,
        notices: tuple[str, ...],
        *,
        more: bool,
    ) -> Landed:
        pages = _Pages(self.schema, self.input, reading)
        size = sum(page.size for page in reading.ordered())  # pages that were asked for ahead, beyond the end, are none
        version = FileVersion(self.input.name, reading.sha256(), size)
        again = known is not None and known.sha256 == version.sha256
        nothing = span is not None and known is not None and reading.records == 0
        if again or nothing:
            reading.remove()
            return Landed(self.name, (), pages, skipped=(version,) if again else (), notices=notices, more=more)
        if span is not None:
            end, told = self._end(pages, span)
            span, notices = CursorSpan(span.field, span.type, span.start, end), (*notices, *told)
        columns = dict.fromkeys((*pages.reader.columns, *pages.captured.values()), "VARCHAR")
        form = ArrowForm(columns, pages.batches, malformed=True, captures=pages.captured)
        constants = {name: text for name, text in self.input.path_params.items() if isinstance(text, str)}
        file = LandedFile(reading.path, version, reading.records, captures=constants)
        return Landed(
            self.name,
            (Part(form, (file,)),),
            pages,
            more=more,
            supersedes=(version.name,) if known else (),
            notices=notices,
            cursor=span,
            verify=reading.check,
            release=reading.remove,
        )

    # --- position -----------------------------------------------------------------------------------------------------

    def _cursor(self, since: Position) -> tuple[CursorSpan | None, str | None]:
        """Where this reading begins, and what stands for {cursor}: nothing at first, without a start."""
        cursor = self.input.cursor
        if cursor is None:
            return None, None
        field = reader_of(self.schema, cursor.field)
        assert field is not None  # noqa: S101 - the plan has looked
        kind = field.type.name
        last = since.cursor
        if last is not None and (last.field, last.type) != (cursor.field, kind):
            raise SourceError(
                f"the position of {self.name} is of {last.field} ({last.type}), its cursor now {cursor.field} ({kind})",
                hint="change it back, or begin anew: give the source another name, and its table too",
            )
        if last is None or last.end is None:
            return CursorSpan(cursor.field, kind, cursor.start, None), cursor.start
        try:
            return CursorSpan(cursor.field, kind, last.end, None), before(kind, last.end, cursor.lookback)
        except (ValueError, OverflowError) as error:
            hint = "take the look-back away, or write a shorter one"
            raise SourceError(f"the look-back cannot be taken from {last.end!r}", hint=hint) from error

    def _end(self, pages: _Pages, span: CursorSpan) -> tuple[str | None, tuple[str, ...]]:
        """The greatest value that was read, never less than the last position; what has no place in it is told."""
        key = key_of(span.type)
        greatest, end, without = None, None, 0
        field = reader_of(self.schema, span.field)
        assert field is not None  # noqa: S101 - the plan has looked
        for text in pages.values(field.headers[0]):
            try:
                found = key(text or "")
            except ValueError:
                without += 1
                continue
            if greatest is None or found > greatest:
                greatest, end = found, text
        told = (
            (f"{self.name}: {without:,} records have no {span.field} by which they could be ordered",)
            if without
            else ()
        )
        with suppress(ValueError):
            if span.start is not None and (greatest is None or greatest < key(span.start)):
                end = span.start
        return end, told


def _outdated(error: SourceError, *, resumed: bool) -> bool:
    """Whether a reading that was taken up is refused because what led on from it means nothing any more."""
    status = error.facts.get("status")
    return resumed and isinstance(status, int) and 400 <= status < 500 and status not in {401, 403, 408, 425, 429}  # noqa: PLR2004 - refusals


@dataclass(slots=True)
class _Pages:
    """The landed pages as batches, and as records that are given back."""

    schema: Schema
    input: ApiInput
    reading: Reading
    reader: PageReader = field(init=False)
    captured: dict[str, str] = field(init=False)  # what of a parent stands in the path -> its column

    def __post_init__(self) -> None:
        self.reader = PageReader(self.schema, self.input.records)
        names = self.input.parent.fields if self.input.parent else ()
        self.captured = {name: f"path.{name}" for name in names}

    def values(self, column: str) -> Iterator[str | None]:
        """The values of one column, of every record in order."""
        for page in self.reading.ordered():
            for values, _ in self.reader.table(self.reading.body(page)):
                yield values.get(column)

    def batches(self) -> Iterator[Any]:
        """Arrow batches of bounded size."""
        held: list[tuple[Page, list[tuple[dict[str, str | None], str | None]]]] = []
        for page in self.reading.ordered():
            held.append((page, self.reader.table(self.reading.body(page))))
            if (
                sum(page.records for page, _ in held) > BATCH_RECORDS
                or sum(page.size for page, _ in held) > BATCH_BYTES
            ):
                yield self._batch(held)
                held = []
        yield self._batch(held)

    def _batch(self, held: Sequence[tuple[Page, list[tuple[dict[str, str | None], str | None]]]]) -> Any:
        import pyarrow as pa  # noqa: PLC0415 - whoever only names a source does without

        rows = [values for _, table in held for values, _ in table]
        columns = {name: [values.get(name) for values in rows] for name in self.reader.columns}
        for at, name in enumerate(self.captured.values()):
            columns[name] = [self.reading.values[page.stretch][at] for page, table in held for _ in table]
        columns["_malformed"] = [problem for _, table in held for _, problem in table]
        arrays = [pa.array(values, pa.string()) for values in columns.values()]
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records with these numbers, ascending, each once; `line` counts within the page of `sheet`."""
        del part, file
        pages = iter(self.reading.ordered())
        first, page = 1, next(pages, None)
        at = 0
        while page is not None and at < len(numbers):
            wanted = []
            while at < len(numbers) and numbers[at] < first + page.records:
                wanted.append(numbers[at] - first + 1)
                at += 1
            if wanted:
                yield from self._given_back(page, first, wanted)
            first, page = first + page.records, next(pages, None)

    def _given_back(self, page: Page, first: int, wanted: Sequence[int]) -> Iterator[RawRecord]:
        more = dict(zip(self.captured.values(), self.reading.values[page.stretch], strict=True))
        of = "".join(f" of {value}" for value in self.reading.values[page.stretch])
        for number, raw, values, offset in self.reader.texts(self.reading.body(page), wanted):
            yield RawRecord(
                first + number - 1, number, raw, {**values, **more}, page.offset + offset, f"page {page.number}{of}"
            )


def _fingerprint(asked: ApiInput, cursor: str | None, known: str) -> Mapping[str, Any]:
    """What a reading depends on, without a secret: another walk does not go on with its pages."""
    paging = asked.paging
    return {
        "url": asked.server.url,
        "method": asked.method,
        "path": asked.path,
        "params": [[name, str(value)] for name, value in asked.params],
        "path_params": {name: str(value) for name, value in asked.path_params.items()},
        "body": json.loads(json.dumps(asked.body, default=str)),
        "paging": str(paging),
        "records": asked.records.text,
        "parent": str(asked.parent),
        "cursor": cursor,
        "known": known,
    }


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, also where a loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def walk_of(
    asked: ApiInput, reading: Reading, limits: ReadLimits, cursor: str | None
) -> Coroutine[Any, Any, list[str]]:
    """The walk through an API; ConfigurationError if the package for it is missing."""
    work: Coroutine[Any, Any, list[str]] = _walking().walk(asked, reading, limits, cursor)
    return work


def _walking() -> Any:
    try:
        from pratique.sources.api import walk  # noqa: PLC0415 - loads the HTTP client
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"to read an API the package {error.name} is missing", hint="python -m pip install 'pratique[api]'"
        ) from error
    return walk
