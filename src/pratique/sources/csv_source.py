"""`CSVDataSource`: the records of one CSV file as Python dicts, values as text."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pratique.errors import SourceError
from pratique.schema import Dialect, Schema
from pratique.sources.base import ReadLimits
from pratique.sources.files.cutter import Cutter
from pratique.sources.files.grammar import csv_options, grammar
from pratique.sources.files.head import Head, find_head, top_head
from pratique.sources.files.header import check_names, one_character, wrong_delimiter
from pratique.sources.files.text import Text, utf8_text

_CHUNK_BYTES: Final = 64 << 10


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
        csv.field_size_limit(max(csv.field_size_limit(), self.limits.record_bytes_max))
        try:
            with self.path.open("rb", buffering=0) as file, tempfile.TemporaryDirectory() as folder:
                yield from self._records(utf8_text(file.fileno(), self.path, self.dialect.encoding, Path(folder)))
        except SourceError as error:
            raise SourceError(error.message, hint=error.hint, where=str(self.path)) from error
        except OSError as error:
            raise SourceError(
                f"it cannot be read: {error.strerror}",
                hint="check that it is there and readable",
                where=str(self.path),
            ) from error

    def _records(self, text: Text) -> Iterator[dict[str, Any]]:
        head = self._head(text)
        number = head.first_number - 1
        lineage = {"_source": self.name, "_ingestion_timestamp": datetime.now(UTC).isoformat(), "_file": self.path.name}
        cutter = Cutter(
            text.chunks(head.offset, _CHUNK_BYTES),
            grammar(head.dialect, len(head.columns), header=head.header, carriage=head.carriage),
            self.limits.record_bytes_max,
            encoding=text.encoding,
            footer=head.dialect.footer,
            offset=head.offset,
            line=head.line,
        )
        for cut in cutter:
            if cut.problem:
                raise SourceError(f"line {cut.line}: {cut.problem}", hint="correct the file, or run it as a pipeline")
            for values in csv.reader(io.StringIO(text.decode(cut.data), newline=""), **csv_options(head.dialect)):
                number += 1
                yield {**dict(zip(head.columns, values, strict=True)), **lineage, "_row_number": number}

    def _head(self, text: Text) -> Head:
        if self.schema is not None:
            return find_head(text, self.schema, self.dialect, self.limits)
        if not self.dialect.header:
            raise SourceError("it has no header and no schema", hint="pass a schema: its fields give the names")
        if text.path.stat().st_size == 0:
            raise SourceError("it is empty", hint="not even a header: ask the sender")
        head = top_head(text, self.dialect, self.limits)
        check_names(head.columns, self.limits.columns_max)
        hint = wrong_delimiter(head.columns)
        if hint:
            raise SourceError(f"it has one column, named {head.columns[0]!r}", hint=hint)
        return head


def _resolve(config: Any, path: Path) -> Path:
    root = getattr(config, "root", None)
    if root is not None and not path.is_absolute() and (Path(root) / path).exists():
        return Path(root) / path
    return path
