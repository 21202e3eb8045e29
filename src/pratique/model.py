"""The nouns: values that are passed between source, engine, destination and ledger. No behaviour with effects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pratique.databases import CursorSpan
from pratique.errors import DestinationError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Disposition = Literal["append", "replace", "merge"]
Severity = Literal["warn", "quarantine", "fail"]

SKIP_REASONS: tuple[str, ...] = ("filter", "identical", "superseded", "loaded before", "held before")  # of accounts

LINEAGE_COLUMNS: tuple[str, ...] = ("_source", "_file", "_row_number", "_ingestion_timestamp", "_run_id", "_load_id")


# --- what is read -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One content of one file: its name as people see it (posix, below the connection), hash, size in bytes."""

    name: str
    sha256: str
    size: int
    tag: str = field(default="", compare=False)  # what a cloud calls this version


@dataclass(frozen=True, slots=True)
class Position:
    """Where a source stands, read from committed markers: every file version that is loaded, the newest last."""

    known: tuple[FileVersion, ...] = ()
    latest: tuple[FileVersion, ...] = ()  # of a replace source: those of its newest load only
    cursor: CursorSpan | None = None  # of the newest load that has one


@dataclass(frozen=True, slots=True)
class CsvForm:
    """UTF-8 text that an engine reads itself, by this dialect and these names, never by guessing.

    `columns` are the header's names in file order; `skip` physical lines stand before the first record.
    """

    columns: tuple[str, ...]
    delimiter: str = ","
    quote: str | None = '"'
    skip: int = 1
    multiline: bool = False  # a quoted field holds a line end somewhere: a parallel scan may refuse it
    broken: str | None = None  # how a placeholder of a broken record begins; its reason follows, UTF-8 in hex
    encoded: str | None = None  # how a record begins whose fields stand there in hex: it has several lines
    copied: bool = False  # as `sources.database.lines` writes it: each line a record, NULL apart from an empty text


@dataclass(frozen=True, slots=True)
class ParquetForm:
    """Typed columns: name -> DuckDB type as its reader reports it.

    `nanoseconds`: timestamps of 96 bits are read as TIMESTAMP_NS, which keeps their last digits and ends in 2262.
    """

    columns: Mapping[str, str]
    nanoseconds: bool = False


@dataclass(frozen=True, slots=True)
class ArrowForm:
    """Record batches, made anew by each call, of one file after another in order.

    Every batch has the columns of `columns` (name -> DuckDB type; text sources are all `VARCHAR`) and, where
    `malformed` is set, a last text column `_malformed`: NULL, or why this record cannot be judged at all.
    """

    columns: Mapping[str, str]
    batches: Callable[[], Iterator[pa.RecordBatch]]
    malformed: bool = False
    captures: Mapping[str, str] = field(default_factory=dict)  # parts of a path -> columns that hold them


Form = CsvForm | ParquetForm | ArrowForm


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One immutable file: where its bytes are, which version it is, and how many records it holds.

    `records` was counted by another way than the engine's reader. `first_number` is the number of its first
    record (2 under a header row, else 1). `captures` are the parts of the path that the pattern names.
    """

    path: Path
    version: FileVersion
    records: int
    first_number: int = 1
    captures: Mapping[str, str] = field(default_factory=dict)
    blank_lines: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Files of one form: the same columns in the same order, the same dialect."""

    form: Form
    files: tuple[LandedFile, ...]


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that was not loaded at all, and why; the other files go on."""

    version: FileVersion
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as it stands in its file: first physical line (from 1), text, and values by header name.

    `raw` is the record's text without its line end, None for formats without text. `values` are text for text
    formats, else what the format holds. `offset` is where the text begins, in bytes of the unpacked file as UTF-8.
    In a workbook `line` is the row of the sheet `sheet`.
    """

    number: int
    line: int | None
    raw: str | None
    values: Mapping[str, Any]
    offset: int | None = None
    sheet: str | None = None


class RecordReader(Protocol):
    """Gives records back as they stand in a landed file."""

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """Yield the records of `file` with these numbers, ascending, each once."""
        ...


@dataclass(frozen=True, slots=True)
class Landed:
    """An immutable input of one load: described, fingerprinted, counted.

    `more` says that further files wait for the next load of the same run. `verify()` raises SourceError if a
    file is no longer what was fingerprinted (asked again right before the commit).
    """

    source: str
    parts: tuple[Part, ...]
    reader: RecordReader
    skipped: tuple[FileVersion, ...] = ()
    held: tuple[HeldFile, ...] = ()
    more: bool = False
    supersedes: tuple[str, ...] = ()  # names of files whose earlier version these rows replace
    notices: tuple[str, ...] = ()  # what people should know of how it was read
    cursor: CursorSpan | None = None
    verify: Callable[[], None] = lambda: None
    release: Callable[[], None] = lambda: None  # the load is committed, or refused

    @property
    def files(self) -> tuple[LandedFile, ...]:
        """All files, in the order in which they are read; a held record names one by its index here."""
        return tuple(file for part in self.parts for file in part.files)

    @property
    def count(self) -> int:
        """Records in all files, by the source's own count."""
        return sum(file.records for file in self.files)


# --- what is judged ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RuleTally:
    """What one rule decided over the records read. `failed` includes `unknown`; `decided` = passed + failed."""

    name: str
    field: str | None
    severity: Severity
    dimension: str
    decided: int
    failed: int
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """Quarantined records that failed one rule: how many, one of the messages, and where the first ones stand."""

    rule: str
    field: str | None
    message: str
    records: int
    places: tuple[tuple[str, int], ...] = ()  # at most ten: file name, and line (record number if it has no lines)


@dataclass(frozen=True, slots=True)
class SetVerdict:
    """A check over the whole load: its value as text and whether it held; `passed` None is unknown."""

    name: str
    severity: Severity
    passed: bool | None
    message: str = ""
    dimension: str = "consistency"


@dataclass(frozen=True, slots=True)
class Tally:
    """Everything counted while judging one load: read = good + quarantined + sum(skipped)."""

    read: int
    good: int
    quarantined: int
    skipped: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[RuleTally, ...] = ()
    sets: tuple[SetVerdict, ...] = ()
    changed: Mapping[str, int] = field(default_factory=dict)  # field -> values that trim or declared parsing rewrote
    per_file: tuple[int, ...] = ()  # records the engine read of each landed file, in order
    newest: str | None = None
    malformed: int = 0

    def quality(self) -> tuple[float | None, dict[str, float]]:
        """Score 0-100 and its dimensions, by SPEC US-03: per dimension 100 x passed / decided, then their mean.

        Malformed records count as failed validity. None when no rule decided anything.
        """
        decided: dict[str, int] = {}
        passed: dict[str, int] = {}
        for rule in self.rules:
            decided[rule.dimension] = decided.get(rule.dimension, 0) + rule.decided
            passed[rule.dimension] = passed.get(rule.dimension, 0) + rule.decided - rule.failed
        for verdict in self.sets:
            decided[verdict.dimension] = decided.get(verdict.dimension, 0) + 1
            passed[verdict.dimension] = passed.get(verdict.dimension, 0) + (verdict.passed is True)
        if self.malformed:
            decided["validity"] = decided.get("validity", 0) + self.malformed
        parts = {name: 100.0 * passed.get(name, 0) / total for name, total in sorted(decided.items()) if total}
        return (sum(parts.values()) / len(parts) if parts else None), parts


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed rule of one record, as the quarantine keeps it."""

    rule: str
    field: str | None
    value: Any
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A quarantined record: index of its file in `Landed.files`, its number there, and every rule that it failed.

    `values` are the original values by header name as the engine read them; None where the engine kept none (keys and
    references, judged late): the source's reader gives them back then.
    """

    file: int
    number: int
    failures: tuple[Failure, ...]
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DuckQuery:
    """Rows as a query on an open DuckDB connection: the cheapest form where both sides know DuckDB."""

    connection: duckdb.DuckDBPyConnection
    sql: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name and its type in the schema's words, such as `decimal(12,2)` or `datetime`."""

    name: str
    type: str


class Rows(Protocol):
    """Typed rows in the cheapest form that both sides know: a DuckDB query where there is one, Arrow always."""

    columns: tuple[Column, ...]
    count: int
    duckdb: DuckQuery | None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow record batches, of bounded size."""
        ...


class Lookup(Protocol):
    """Reads rows that are already in the destination, for keys and references."""

    def existing(
        self, table: str, columns: tuple[str, ...], keys: DuckQuery | None
    ) -> AbstractContextManager[Rows | None]:
        """Give the rows of `table` (these columns, in this order) while the context is open; None if there is no table.

        `keys`, a query with some of these columns on the engine's connection, lets a distant destination send only the
        rows whose values occur there; a local one may send all. Where `keys` is given and the destination is a DuckDB
        file, the rows come as a query on the same connection.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the lineage columns of a load say: constants of the run, known before anything is judged."""

    source: str
    run_id: str
    load_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """Where good rows go: a table, how they are written, its key, and which lineage columns stand in it."""

    table: str
    disposition: Disposition = "append"
    key: tuple[str, ...] = ()
    keep: str | None = None  # merge: the field whose latest value wins among records of one key
    lineage: tuple[str, ...] = ("_load_id",)
    supersedes: tuple[str, ...] = ()  # load ids whose rows this load replaces (a corrected file)
    parents: Mapping[str, str] = field(default_factory=dict)  # schema that a reference names -> its table


# --- what is true -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """The balance of one load: read = loaded + quarantined + skipped, each skip under its reason."""

    read: int
    loaded: int
    quarantined: int
    skipped: Mapping[str, int] = field(default_factory=dict)

    def balances(self) -> bool:
        """True if every record read is accounted for."""
        return self.read == self.loaded + self.quarantined + sum(self.skipped.values())


@dataclass(frozen=True, slots=True)
class Written:
    """What a destination did with the good rows. For append and replace all are `inserted`."""

    inserted: int
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A durable quarantine file: its path relative to the quarantine folder, hash, and number of records."""

    path: str
    sha256: str
    records: int


@dataclass(frozen=True, slots=True)
class Marker:
    """The proof that a load is committed; stands in the destination beside its rows, written in their transaction.

    Everything that the ledger knows of a committed load can be rebuilt from it. Times are UTC, ISO 8601.
    """

    load_id: str
    attempt: int
    run_id: str
    pipeline: str
    source: str
    table: str
    disposition: Disposition
    schema: str
    schema_version: int
    files: tuple[FileVersion, ...]
    account: Account
    written: Written
    segment: Segment | None
    causes: tuple[Cause, ...]
    tally: Mapping[str, Any]  # quality, dimensions, warnings, changed, newest: what the report says
    started_at: str
    committed_at: str = ""
    sequence: int = 0  # order of commits in this destination, given by it
    cursor: CursorSpan | None = None  # what of a growing table was read

    def to_json(self) -> str:
        """One line of JSON that `from_json` gives back unchanged."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Marker:
        """The marker of which `text` is the JSON; DestinationError if another version wrote another form."""
        data = json.loads(text)
        try:
            data["files"] = tuple(FileVersion(**item) for item in data["files"])
            data["account"] = Account(**data["account"])
            data["written"] = Written(**data["written"])
            data["segment"] = Segment(**data["segment"]) if data["segment"] else None
            data["cursor"] = CursorSpan(**data["cursor"]) if data.get("cursor") else None
            causes = ({**item, "places": tuple((name, at) for name, at in item["places"])} for item in data["causes"])
            data["causes"] = tuple(Cause(**item) for item in causes)
            return cls(**data)
        except (TypeError, KeyError) as error:
            told = (
                f"in the destination a load into {data.get('table', '?')} has a marker that this version does not know"
            )
            raise DestinationError(told, hint="another Pratique wrote it: use that one, or a newer one") from error


def load_id(
    pipeline: str, source: str, table: str, disposition: str, files: Iterable[FileVersion], after: Sequence[str] = ()
) -> str:
    """The same input at the same position always has the same id: a hash, never of a clock (Invariant 5).

    `after` are the loads whose rows this one replaces: a source that returns to an earlier content is loaded again.
    """
    described = [pipeline, source, table, disposition, sorted((file.name, file.sha256) for file in files), list(after)]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]
