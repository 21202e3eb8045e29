"""`DatabaseDataSource`: the rows of a table or query as Python dicts, values as text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pratique.config_manager import ConfigManager
from pratique.databases import DatabaseInput
from pratique.documents import KeyPath
from pratique.errors import ConfigurationError
from pratique.sources.base import ReadLimits


class DatabaseDataSource:
    """The rows of a table, or of a query, of a connection that the configuration names, out of one snapshot.

    Rows are copied to a temporary file before the first is given, so memory stays flat and the server is let go. Raises
    ConfigurationError if there is no such connection, or not one of `table` and `query`.
    """

    def __init__(
        self,
        config: ConfigManager,
        connection: str,
        *,
        table: str | None = None,
        query: str | None = None,
        columns: Sequence[str] | None = None,
        name: str | None = None,
    ) -> None:
        from pratique.specs.databases import kind_of, server  # noqa: PLC0415 - pydantic

        if (table is None) == (query is None):
            raise ConfigurationError("a DatabaseDataSource reads a table or a query", hint="give one of them")
        found = config.connection(connection, "DatabaseDataSource")

        def where(path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
            return config.where(("connections", connection, *path), key)

        there = server(connection, found, kind_of(connection, found, where), config.root, where)
        self.input = DatabaseInput(there, table, query, tuple(columns) if columns else None)
        self.name = name or table or connection

    def ingest(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a dict of text by column name (NULL is None), with `_source`, `_file`, `_row_number`, time.

        Nothing is judged here: values are the exact texts that a pipeline would judge. Raises SourceError where the
        database refuses or a column has no exact text; what may pass is tried again three times.
        """
        from pratique.sources.database.lines import Sink, values_of  # noqa: PLC0415 - whoever only names a source
        from pratique.sources.database.source import check_exact, named, open_database  # noqa: PLC0415 - the same
        from pratique.sources.files.scratch import scratch_file  # noqa: PLC0415 - the same

        database = open_database(self.input)
        lineage = {
            "_source": self.name,
            "_ingestion_timestamp": datetime.now(UTC).isoformat(),
            "_file": self.input.name,
        }
        limits = ReadLimits()
        with tempfile.TemporaryDirectory() as folder:

            def landed() -> tuple[list[str], Path]:
                with (
                    database.snapshot() as snapshot,
                    scratch_file(Path(folder), "the rows of a database cannot be landed") as file,
                ):
                    columns = snapshot.columns()
                    columns = named(columns, self.input) if self.input.columns else columns
                    check_exact(columns)
                    sink = Sink(file, limits.unpacked_bytes_max)
                    snapshot.copy(columns, frozenset(), None, sink.write)
                    sink.finish()
                return [column.name for column in columns], file.path

            names, path = limits.retries.of(landed)
            with path.open("rb") as lines:
                for number, data in enumerate(lines, 1):
                    values = values_of(data[:-1].decode("utf-8"))
                    yield {**dict(zip(names, values, strict=True)), **lineage, "_row_number": number}
