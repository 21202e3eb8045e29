"""Settings: what stands in config/*.yaml and in `PRATIQUE__…` variables, with every default."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pratique.specs.alerts import AlertsSpec
from pratique.specs.base import Free, Name, Share, Spec

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+[^\s]*$")]
Size = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?B|B)$")]


class LoggingSpec(Spec):
    """How much is logged, in which form, and into which file."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    format: Literal["text", "json"] = "text"
    file: str | None = "logs/pipeline.log"
    file_bytes_max: int = Field(10 * 1024 * 1024, ge=1024)
    backups_max: int = Field(5, ge=1, le=1000)
    days_max: int = Field(30, ge=1, le=3650)


class StateSpec(Spec):
    """Where Pratique keeps its ledger, locks and quarantine."""

    path: str = ".pratique"


class LimitsSpec(Spec):
    """A limit on everything; sizes are text such as `700MB`, `_max` counts."""

    memory: Size = "600MB"
    temporary_disk: Size = "20GB"
    threads: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=1024)
    lock_timeout_seconds: float = Field(30, ge=0)
    record_bytes_max: int = Field(16 * 1024 * 1024, ge=1024)
    columns_max: int = Field(2000, ge=1)
    files_per_load_max: int = Field(1000, ge=1)
    unpacked_bytes_max: int = Field(20 * 1024**3, ge=1)
    expansion_max: int = Field(200, ge=1)
    response_bytes_max: int = Field(32 * 1024**2, ge=1024)
    pages_max: int = Field(100_000, ge=1)
    read_seconds_max: float = Field(21_600, gt=0)
    landed_hours_max: float = Field(24, ge=0)
    retries_max: int = Field(3, ge=0, le=20)
    retries_per_run_max: int = Field(100, ge=0)
    records_in_memory_max: int = Field(1_000_000, ge=1)


class QuarantineSpec(Spec):
    """When so much is quarantined that nothing is loaded."""

    max_share: Share = 0.10


class DegradedSpec(Spec):
    """From where on a number is degraded: below a rate or score, at so many errors or seconds; nothing for never."""

    run_success_rate_percent: float | None = 100
    ingestion_success_rate_percent: float | None = 100
    success_rate_percent: float | None = 95
    quality_score: float | None = 90
    ingestion_p95_seconds: float | None = None
    running_seconds: float | None = None
    errors: float | None = 1
    critical_errors: float | None = None


class UnhealthySpec(Spec):
    """From where on a number is unhealthy, likewise."""

    run_success_rate_percent: float | None = 50
    ingestion_success_rate_percent: float | None = 50
    success_rate_percent: float | None = 90
    quality_score: float | None = 70
    ingestion_p95_seconds: float | None = None
    running_seconds: float | None = 21_600
    errors: float | None = None
    critical_errors: float | None = 1


class ThresholdsSpec(Spec):
    """What is healthy."""

    degraded: DegradedSpec = DegradedSpec()
    unhealthy: UnhealthySpec = UnhealthySpec()


class OpenTelemetrySpec(Spec):
    """Where runs are told as traces and metrics over OTLP (HTTP, protobuf)."""

    endpoint: HttpUrl | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    timeout_seconds: float = Field(5, gt=0, le=60)


class OpenLineageSpec(Spec):
    """Where runs are told as OpenLineage events: a file, a server, or both."""

    file: str | None = None
    url: HttpUrl | None = None
    endpoint: str = "api/v1/lineage"
    api_key: str | None = None
    namespace: str | None = None
    timeout_seconds: float = Field(5, gt=0, le=60)


class MonitoringSpec(Spec):
    """What is healthy, and to whom the numbers of each run are told."""

    thresholds: ThresholdsSpec = ThresholdsSpec()
    textfile: str | None = None
    opentelemetry: OpenTelemetrySpec = OpenTelemetrySpec()
    openlineage: OpenLineageSpec = OpenLineageSpec()


class SettingsSpec(Spec):
    """All settings. `retry` and `service` belong to features that are not built yet."""

    logging: LoggingSpec = LoggingSpec()
    state: StateSpec = StateSpec()
    connections: dict[Name, Free] = Field(default_factory=dict)
    limits: LimitsSpec = LimitsSpec()
    quarantine: QuarantineSpec = QuarantineSpec()
    monitoring: MonitoringSpec = MonitoringSpec()
    alerts: AlertsSpec = AlertsSpec()
    retry: Free = Field(default_factory=dict)
    service: Free = Field(default_factory=dict)
