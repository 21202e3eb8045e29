"""Arrow record batches of a Python program as a source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pratique.errors import SourceError
from pratique.model import ArrowForm, Disposition, FileVersion, Landed, LandedFile, Part, Position, RawRecord
from pratique.schema import Schema
from pratique.sources.base import SHOWN_RECORDS, Probe, ReadLimits
from pratique.sources.files.header import check_header
from pratique.sources.files.survey import python_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class ArrowSource:
    """Record batches that `batches` makes anew at each call, the same ones each time.

    `fingerprint` names the content; without it, sha256 over the batches' Arrow IPC bytes does. Content that is known by
    it is loaded once.
    """

    name: str
    schema: Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    fingerprint: str | None = None
    disposition: Disposition = "append"
    limits: ReadLimits = field(default_factory=ReadLimits)

    def probe(self) -> Probe:
        """Always reachable: the batches are made by this program."""
        first = next((batch.slice(0, SHOWN_RECORDS) for batch in self.batches() if batch.num_rows), None)
        return Probe(True, "record batches of this program", tuple(python_rows(first)) if first else ())

    def land(self, since: Position) -> Landed:
        """Count and fingerprint the batches in one pass. Raises SourceError if they do not fit the schema."""
        version, count, columns = self._survey()
        reader = _BatchReader(self.batches)
        known = since.latest if self.disposition == "replace" else since.known
        if version.sha256 in {item.sha256 for item in known}:
            return Landed(self.name, (), reader, skipped=(version,))
        check_header(self.schema, tuple(columns), self.limits.columns_max)
        part = Part(ArrowForm(columns, self.batches), (LandedFile(Path(self.name), version, count),))
        return Landed(self.name, (part,), reader, verify=lambda: self._verify(version))

    def _survey(self) -> tuple[FileVersion, int, dict[str, str]]:
        digest, count, size = hashlib.sha256(), 0, 0
        columns: dict[str, str] = {}
        for batch in self.batches():
            if not columns:
                columns = _types(batch)
                digest.update(batch.schema.serialize())
            if self.fingerprint is None:
                digest.update(batch.serialize())
            count += batch.num_rows
            size += batch.nbytes
        if not columns:
            raise SourceError(
                f"the source {self.name} gave no record batch", hint="give one with no rows, for its columns"
            )
        return FileVersion(self.name, self.fingerprint or digest.hexdigest(), size), count, columns

    def _verify(self, version: FileVersion) -> None:
        if self.fingerprint is None and self._survey()[0] != version:
            raise SourceError(
                f"the source {self.name} gave other batches when it was asked again",
                hint="`batches` must give the same records at each call",
            )


@dataclass(frozen=True, slots=True)
class _BatchReader:
    batches: Callable[[], Iterator[pa.RecordBatch]]

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records with these numbers, ascending, each once."""
        del part, file
        at, first = 0, 1
        for batch in self.batches():
            beyond = first + batch.num_rows
            while at < len(numbers) and numbers[at] < beyond:
                values = python_rows(batch.slice(numbers[at] - first, 1))[0]
                yield RawRecord(numbers[at], None, None, values)
                at += 1
            first = beyond


def _types(batch: pa.RecordBatch) -> dict[str, str]:
    """Column -> type as DuckDB reports it."""
    import duckdb  # noqa: PLC0415 - it alone knows its types
    import pyarrow as pa  # noqa: PLC0415 - whoever has a batch has loaded it

    with duckdb.connect() as connection:
        relation = connection.from_arrow(pa.Table.from_batches([batch.slice(0, 0)]))
        return {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
