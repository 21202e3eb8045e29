"""`CSVDataSource`: the records of one CSV file as Python dicts, values as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pratique.errors import SourceError
from pratique.schema import Dialect, Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.header import check_header, check_names, expected, one_character, wrong_delimiter
from pratique.sources.files.text import TextReader, malformed


class CSVDataSource:
    """One CSV file, read record by record in flat memory, never guessing its dialect.

    `dialect` words are those of `Dialect` (delimiter, quote_char, encoding, …). A relative path is looked for under the
    configuration's root, then in the working directory. Without a schema the header gives the names.
    """

    def __init__(
        self, config: Any, path: str | Path, schema: Schema | None = None, name: str | None = None, **dialect: Any
    ) -> None:
        self.path = _resolve(config, Path(path))
        self.schema = schema
        self.name = name or self.path.stem
        self.dialect = replace(schema.dialect if schema else Dialect(), **dialect)
        self.limits = ReadLimits()

    def ingest(self) -> Iterator[dict[str, Any]]:
        """Yield every record as a dict of text by header name, with `_source`, `_file`, `_row_number`, and time.

        Raises SourceError at the first record that has too few or too many fields, after the records before it; it
        names the line. Nothing is judged here: values are the text as read.
        """
        one_character(self.dialect)
        try:
            yield from self._records()
        except SourceError as error:
            raise SourceError(error.message, hint=error.hint, where=str(self.path)) from error

    def _records(self) -> Iterator[dict[str, Any]]:
        columns: tuple[str, ...] | None = None
        header_rows = max(self.dialect.header_rows, 1) if self.dialect.header else 0
        lineage = {"_source": self.name, "_ingestion_timestamp": datetime.now(UTC).isoformat(), "_file": self.path.name}
        for record in TextReader(self.path, self.dialect, self.limits.record_bytes_max):
            if record.ordinal < header_rows:
                continue
            if columns is None:
                columns = self._columns(record.fields)
                if header_rows:
                    continue
            problem = malformed(record.fields, len(columns))
            if problem:
                raise SourceError(f"line {record.line}: {problem}", hint="correct the file, or run it as a pipeline")
            yield {**dict(zip(columns, record.fields, strict=True)), **lineage, "_row_number": record.ordinal}
        if columns is None:
            raise SourceError("it is empty", hint="not even a header: ask the sender")

    def _columns(self, first: list[str]) -> tuple[str, ...]:
        if self.schema is not None:
            check_header(self.schema, first, self.limits.columns_max, by_name=self.dialect.header)
            return tuple(first) if self.dialect.header else expected(self.schema)
        if not self.dialect.header:
            raise SourceError("it has no header and no schema", hint="pass a schema: its fields give the names")
        check_names(first, self.limits.columns_max)
        hint = wrong_delimiter(first)
        if hint:
            raise SourceError(f"it has one column, named {first[0]!r}", hint=hint)
        return tuple(first)


def _resolve(config: Any, path: Path) -> Path:
    root = getattr(config, "root", None)
    if root is not None and not path.is_absolute() and (Path(root) / path).exists():
        return Path(root) / path
    return path
