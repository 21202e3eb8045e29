"""Pipelines: run them by name, or from Python; the sources that Python users name."""

from pratique.ingestion.pipeline import DataIngestionPipeline
from pratique.ingestion.run import run_pipeline
from pratique.ingestion.telling import current, replayed
from pratique.sources.csv_source import CSVDataSource

__all__ = ["CSVDataSource", "DataIngestionPipeline", "current", "replayed", "run_pipeline"]
