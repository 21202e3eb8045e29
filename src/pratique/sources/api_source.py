"""`APIDataSource`: the records of a REST API as Python dicts, values as text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pratique.asking import api_of
from pratique.config_manager import ConfigManager
from pratique.documents import KeyPath
from pratique.errors import SourceError
from pratique.mistakes import refuse
from pratique.sources.base import ReadLimits


class APIDataSource:
    """The records of an API that a connection of the configuration leads to.

    The words are those of a source of `type: api`, secrets by reference. Pages are copied to a temporary folder before
    the first record is given, so memory stays flat. Raises ConfigurationError if there is no such connection, or a word
    is wrong.
    """

    def __init__(
        self,
        config: ConfigManager,
        connection: str,
        *,
        get: str | None = None,
        post: str | None = None,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        paginate: Mapping[str, Any] | str | None = None,
        records: str | None = None,
        name: str | None = None,
    ) -> None:
        from pratique.specs.base import parse  # noqa: PLC0415 - pydantic
        from pratique.specs.pipeline import SourceSpec  # noqa: PLC0415 - the same

        words = {
            "get": get,
            "post": post,
            "params": dict(params) if params else None,
            "body": dict(body) if body else None,
            "paginate": dict(paginate) if isinstance(paginate, Mapping) else paginate,
            "records": records,
        }
        self.name = name or (get or post or connection).rstrip("/").rpartition("/")[2]

        def where(path: KeyPath, key: bool = False) -> str:  # noqa: ARG001, FBT001, FBT002 - see specs.base.Where
            return ".".join(("APIDataSource", *map(str, path)))

        spoken = {"type": "api", "connection": connection, **{key: value for key, value in words.items() if value}}
        parsed = parse(SourceSpec, spoken, where)
        refuse(parsed.mistakes)
        assert parsed.spec is not None  # noqa: S101 - `refuse` raised otherwise
        self.input = api_of(config, self.name, parsed.spec, where)

    def ingest(self) -> Iterator[dict[str, Any]]:
        """Yield each record as a dict of text by key (null is None), with `_source`, `_file`, `_row_number`, and time.

        Nested values are their JSON text. Nothing is judged here: a record that is no plain JSON object raises
        SourceError, after the records before it. So does what the API refuses; what may pass is tried three times more.
        """
        from pratique.sources.api.pages import PageReader  # noqa: PLC0415 - whoever only names a source
        from pratique.sources.api.reading import Reading  # noqa: PLC0415 - the same
        from pratique.sources.api.source import run, walk_of  # noqa: PLC0415 - the same

        lineage = {
            "_source": self.name,
            "_ingestion_timestamp": datetime.now(UTC).isoformat(),
            "_file": self.input.name,
        }
        reader, number = PageReader(None, self.input.records), 0
        with tempfile.TemporaryDirectory() as folder:
            reading, limits = Reading.begin(Path(folder) / "pages", [()], {}), ReadLimits()
            try:
                run(walk_of(self.input, reading, limits, None))
                for page in reading.ordered():
                    for record in reader.records(reading.body(page)):
                        number += 1
                        if record.problem:
                            raise SourceError(
                                f"record {number:,} cannot be read: {record.problem}",
                                where=f"{self.input.name}, page {page.number}",
                                hint="have it repaired; a pipeline holds such a record and loads the others",
                            )
                        yield {**record.values, **lineage, "_row_number": number}
            finally:
                reading.close()
