"""The door for Python users."""

from __future__ import annotations

import time
from typing import Any

from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError, PratiqueError, SourceError, StateError, stack_trace
from pratique.events import Emit, ErrorRaised, IngestionRecorded
from pratique.ingestion.run import run_pipeline, silent
from pratique.ingestion.story import problem_of
from pratique.ingestion.telling import Telling
from pratique.monitoring.metrics import BY_HAND
from pratique.project import Project
from pratique.secrets import hide_secrets
from pratique.sources.api_source import APIDataSource
from pratique.sources.csv_source import CSVDataSource
from pratique.sources.database_source import DatabaseDataSource

DataSource = APIDataSource | CSVDataSource | DatabaseDataSource


class DataIngestionPipeline:
    """Ingests from Python: a pipeline file by name, or sources added by hand whose records are returned.

    With a `name`, `run()` does what `pratique run NAME` does and returns its RunReport. Without one, nothing is
    recorded or written: `run()` returns the records of all added sources as `ingest()` yields them, values as text as
    read; `errors` then holds the sources that failed, the others carry on, and `counts` the records of each.

    `emit` hears what happens, such as `MetricsCollector().observe`; it cannot fail a run.
    """

    def __init__(self, config: ConfigManager, name: str | None = None, *, emit: Emit | None = None) -> None:
        self._config = config
        self._name = name
        self._emit = emit or silent
        self._sources: list[DataSource] = []
        self.errors: dict[str, PratiqueError] = {}
        self.counts: dict[str, int] = {}

    def add_source(self, source: DataSource) -> None:
        """Read this source too, after those added before."""
        if not (callable(getattr(source, "ingest", None)) and hasattr(source, "name")):
            raise TypeError(f"a source has a name and ingest(), as CSVDataSource has; {type(source).__name__} has not")
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
            project = Project(self._config.root, self._config.environment)
            return run_pipeline(project, self._name, emit=self._emit)
        limit = self._config.settings.limits.records_in_memory_max
        records: list[dict[str, Any]] = []
        self.errors, self.counts = {}, {}
        failed: list[SourceError] = []
        bus = Telling(self._emit).bus
        for source in self._sources:
            before, failed_before, began = len(records), len(failed), time.monotonic()
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
                failed.append(error)
                self.errors.setdefault(source.name, error)
                told = {"problem": problem_of(error), "trace": hide_secrets(stack_trace(error))}
                bus.emit(ErrorRaised(pipeline=BY_HAND, run_id="", source=source.name, **told))
            count = len(records) - before
            self.counts[source.name] = self.counts.get(source.name, 0) + count  # two may have one name
            bus.emit(
                IngestionRecorded(
                    pipeline=BY_HAND,
                    run_id="",
                    source=source.name,
                    success=len(failed) == failed_before,
                    records=count,
                    seconds=time.monotonic() - began,
                )
            )
        if failed and len(failed) == len(self._sources):
            raise failed[0]
        return records
