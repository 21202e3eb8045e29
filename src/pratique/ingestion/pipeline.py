"""The door for Python users."""

from __future__ import annotations

from typing import Any

from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError, PratiqueError, SourceError, StateError
from pratique.ingestion.run import run_pipeline
from pratique.project import Project
from pratique.sources.csv_source import CSVDataSource
from pratique.sources.database_source import DatabaseDataSource


class DataIngestionPipeline:
    """Ingests from Python: a pipeline file by name, or sources added by hand whose records are returned.

    With a `name`, `run()` does what `pratique run NAME` does and returns its RunReport. Without one, nothing is
    recorded or written: `run()` returns the records of all added sources as `ingest()` yields them, values as text as
    read; `errors` then holds the sources that failed, the others carry on, and `counts` the records of each.
    """

    def __init__(self, config: ConfigManager, name: str | None = None) -> None:
        self._config = config
        self._name = name
        self._sources: list[CSVDataSource | DatabaseDataSource] = []
        self.errors: dict[str, PratiqueError] = {}
        self.counts: dict[str, int] = {}

    def add_source(self, source: CSVDataSource | DatabaseDataSource) -> None:
        """Read this source too, after those added before."""
        if self._name is not None:
            raise ConfigurationError(
                f"the sources of {self._name} stand in its pipeline file",
                hint="add the source there, or make a DataIngestionPipeline without a name",
            )
        self._sources.append(source)

    def run(self) -> Any:
        """Return the records of the added sources, or the RunReport of the named pipeline.

        Raises the first source's error if every source failed, and StateError above `limits.records_in_memory_max`
        records: what does not fit is refused, not cut off.
        """
        if self._name is not None:
            return run_pipeline(Project(self._config.root, self._config.environment), self._name)
        limit = self._config.settings.limits.records_in_memory_max
        records: list[dict[str, Any]] = []
        self.errors, self.counts = {}, {}
        for source in self._sources:
            before = len(records)
            try:
                for record in source.ingest():
                    if len(records) >= limit:
                        raise StateError(
                            f"more than {limit:,} records would be held in memory",
                            hint="iterate over source.ingest(), or write a pipeline with a destination "
                            "(limits.records_in_memory_max raises the limit)",
                        )
                    records.append(record)
            except SourceError as error:
                del records[before:]
                self.errors[source.name] = error
            self.counts[source.name] = len(records) - before
        if self.errors and len(self.errors) == len(self._sources):
            raise next(iter(self.errors.values()))
        return records
