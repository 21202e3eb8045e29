"""Pipelines: run them by name, or from Python; the sources that Python users name."""

from pratique.ingestion.alerting import Delivered, channels_of, deliver_alerts
from pratique.ingestion.pipeline import DataIngestionPipeline
from pratique.ingestion.run import run_pipeline
from pratique.ingestion.telling import current, replayed
from pratique.sources.api_source import APIDataSource
from pratique.sources.csv_source import CSVDataSource
from pratique.sources.database_source import DatabaseDataSource

__all__ = [
    "APIDataSource",
    "CSVDataSource",
    "DataIngestionPipeline",
    "DatabaseDataSource",
    "Delivered",
    "channels_of",
    "current",
    "deliver_alerts",
    "replayed",
    "run_pipeline",
]
