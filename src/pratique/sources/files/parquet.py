"""Parquet files: columns and count by the footer, every page checked against its checksum; no value is decoded here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pratique.errors import SourceError
from pratique.model import ParquetForm, RawRecord
from pratique.schema import Schema
from pratique.schema.binding import bind
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import check_header
from pratique.sources.files.parquet_footer import AGAIN, read_footer
from pratique.sources.files.parquet_pages import Pages, check_pages
from pratique.sources.files.parquet_types import check_types, finer_than_microseconds
from pratique.sources.files.survey import BATCH_RECORDS, Survey, fingerprint, python_rows


def survey_parquet(handle: int, path: Path, schema: Schema, limits: ReadLimits) -> Survey:
    """Hash, verify, count and describe a Parquet file; SourceError if it is damaged or its columns do not fit.

    Every page that has a checksum has the right one. Only the columns that the schema asks for are part of the form.
    """
    sha256, size = fingerprint(handle)
    try:
        return _surveyed(handle, path, schema, limits, (sha256, size))
    except SourceError as error:
        facts = {**error.facts, "sha256": sha256, "size": size}
        raise SourceError(error.message, hint=error.hint, facts=facts) from error


def _surveyed(handle: int, path: Path, schema: Schema, limits: ReadLimits, identity: tuple[str, int]) -> Survey:
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s where no Parquet is read
    import pyarrow.parquet as pq  # noqa: PLC0415

    if set("*?[{") & set(str(path)) or not str(path).isprintable():
        raise SourceError("its name has characters that the reader takes for a pattern", hint="rename it")
    footer = read_footer(handle, identity[1])
    try:
        with pq.ParquetFile(path) as file:
            header = tuple(file.schema_arrow.names)
            check_header(schema, header, limits.columns_max)
            kinds, records = _as_the_engine_reads(path, header)
            wanted = set(bind(schema, header).columns.values())
            columns = {name: kind for name, kind in kinds.items() if name in wanted} or kinds
            int96 = check_types(file, schema, columns)
        pages = check_pages(handle, footer, limits)
        nanoseconds = finer_than_microseconds(path, int96)
    except (OSError, ValueError, pa.ArrowException) as error:
        _incomplete(error)
    if records != footer.rows:
        raise SourceError(f"its footer is read as {footer.rows:,} rows, and as {records:,}", hint=AGAIN)
    if nanoseconds:
        columns.update(dict.fromkeys(int96, "TIMESTAMP_NS"))
    notices = (_unverified(pages),) if pages.with_checksum < pages.count else ()
    return Survey(
        *identity,
        records,
        ParquetForm(columns, nanoseconds),
        _Records(path, "ns" if nanoseconds else "us"),
        notices=notices,
    )


def _incomplete(error: Exception) -> NoReturn:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    if "encrypt" in reason.lower() or "decrypt" in reason.lower():
        raise SourceError("it is encrypted", hint="have it written without encryption") from error
    raise SourceError(f"its footer is damaged or not supported: {reason}", hint=AGAIN) from error


def _as_the_engine_reads(path: Path, header: Sequence[str]) -> tuple[dict[str, str], int]:
    """The DuckDB type of every column, and the number of rows, as the engine's own reader takes them."""
    import duckdb  # noqa: PLC0415 - only Parquet needs it here

    try:
        with duckdb.connect() as connection:
            described = connection.execute(
                "DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)]
            ).fetchall()
            count = connection.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchone()
    except duckdb.Error as error:
        _incomplete(error)
    columns = {str(row[0]): str(row[1]) for row in described}
    if tuple(columns) != tuple(header):
        raise SourceError("its columns are not read alike by two readers", hint=AGAIN)
    return columns, int(count[0]) if count else 0


def _unverified(pages: Pages) -> str:
    some = "its pages have" if not pages.with_checksum else f"{pages.count - pages.with_checksum:,} of its pages have"
    return f"{some} no checksum: damage that still decodes cannot be told from good data"


class _Records:
    """Gives records back by their numbers. Calls with rising numbers go on where the last one ended.

    Without that, every call would decode a row group from its beginning: minutes for a large one. `unit` is that of
    timestamps of 96 bits: as nanoseconds, far years would come out as others.
    """

    def __init__(self, path: Path, unit: str) -> None:
        self._path = path
        self._unit = unit
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._first = 0  # number of the first record of the batch

    def __call__(self, numbers: Sequence[int]) -> Iterator[RawRecord]:
        at = 0
        if self._batch is None or (numbers and numbers[0] < self._first):
            self._rewind()
        while at < len(numbers):
            beyond = self._first + (self._batch.num_rows if self._batch is not None else 0)
            end = at
            while end < len(numbers) and numbers[end] < beyond:
                end += 1
            if end > at:
                wanted = numbers[at:end]
                rows = python_rows(self._batch.take([number - self._first for number in wanted]))
                for number, values in zip(wanted, rows, strict=True):
                    yield RawRecord(number, None, None, values)
                at = end
                continue
            self._batch = next(self._batches, None)
            self._first = beyond
            if self._batch is None:
                return

    def _rewind(self) -> None:
        self._batches, self._batch, self._first = _batches(self._path, self._unit), None, 1


def _batches(path: Path, unit: str) -> Iterator[Any]:
    """The file in batches of bounded size, decoded in the order of its rows."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - costs 0.3 s where nothing is held

    with pq.ParquetFile(path, pre_buffer=False, coerce_int96_timestamp_unit=unit) as file:
        yield from file.iter_batches(BATCH_RECORDS)
