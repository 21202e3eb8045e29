"""Parquet files: columns and count by the footer, through DuckDB's own reader; no value is read to land one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pratique.errors import SourceError
from pratique.model import ParquetForm, RawRecord
from pratique.schema import Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import check_header
from pratique.sources.files.survey import Survey, fingerprint, python_rows


def survey_parquet(handle: int, path: Path, schema: Schema, limits: ReadLimits) -> Survey:
    """Hash, count and describe a Parquet file. SourceError if its footer is damaged or its columns do not fit."""
    import duckdb  # noqa: PLC0415 - only Parquet needs it here

    sha256, size = fingerprint(handle)
    facts = {"sha256": sha256, "size": size}
    name = str(path)
    if set("*?[{") & set(name) or not name.isprintable():
        raise SourceError("its name has characters that the reader takes for a pattern", hint="rename it", facts=facts)
    try:
        with duckdb.connect() as connection:
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [name]).fetchall()
            count = connection.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [name]).fetchone()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"it is no complete Parquet file: {reason}", hint="send it again", facts=facts) from error
    columns = {str(row[0]): str(row[1]) for row in described}
    try:
        check_header(schema, tuple(columns), limits.columns_max)
    except SourceError as error:
        raise SourceError(error.message, hint=error.hint, facts=facts) from error
    records = int(count[0] or 0) if count else 0
    return Survey(sha256, size, records, ParquetForm(columns), lambda numbers: _records_of(path, numbers))


def _records_of(path: Path, numbers: Sequence[int]) -> Iterator[RawRecord]:
    """Row groups that hold one of the numbers are read one after another."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - costs 0.3 s where nothing is held

    with pq.ParquetFile(path) as file:
        at, first = 0, 1
        for group in range(file.num_row_groups):
            beyond = first + file.metadata.row_group(group).num_rows
            wanted = []
            while at < len(numbers) and numbers[at] < beyond:
                wanted.append(numbers[at])
                at += 1
            if wanted:
                rows = python_rows(file.read_row_group(group).take([number - first for number in wanted]))
                for number, values in zip(wanted, rows, strict=True):
                    yield RawRecord(number, None, None, values)
            first = beyond
