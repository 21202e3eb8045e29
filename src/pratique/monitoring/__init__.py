"""Everybody who listens to events but the log: metrics, and whether they are healthy."""

from pratique.monitoring.health import PipelineMonitor
from pratique.monitoring.metrics import MetricsCollector

__all__ = ["MetricsCollector", "PipelineMonitor"]
