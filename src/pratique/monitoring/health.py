"""Whether what was measured is good: against thresholds, with what to do about each number that is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pratique.config_manager import ConfigManager
from pratique.monitoring.metrics import MetricsCollector

if TYPE_CHECKING:
    from pratique.specs.settings import ThresholdsSpec

Health = Literal["healthy", "degraded", "unhealthy"]

_WORST_FIRST: Final[tuple[Health, ...]] = ("unhealthy", "degraded")
HEALTH_JSON: Final[Mapping[Health, str]] = {"healthy": "pass", "degraded": "warn", "unhealthy": "fail"}
HEALTH_JSON_TYPE: Final = "application/health+json"


@dataclass(frozen=True, slots=True)
class _Watched:
    """A number of the metrics: its threshold's name, its way there, whether more of it is better, and what to do."""

    metric: str
    path: tuple[str, ...]
    more_is_better: bool
    says: str
    action: str


_WATCHED: Final = (
    _Watched(
        "run_success_rate_percent",
        ("runs", "success_rate_percent"),
        True,
        "only {value:g} % of the runs got to their end",
        "look at what failed: pratique runs, then pratique runs show RUN",
    ),
    _Watched(
        "success_rate_percent",
        ("records", "success_rate_percent"),
        True,
        "only {value:g} % of the records are good",
        "look at what is held: pratique quarantine list",
    ),
    _Watched(
        "ingestion_success_rate_percent",
        ("ingestion", "success_rate_percent"),
        True,
        "only {value:g} % of the ingestions of sources succeeded",
        "look at what failed: pratique runs, then pratique runs show RUN",
    ),
    _Watched(
        "quality_score",
        ("quality", "score"),
        True,
        "the quality score is {value:g}",
        "look at which rules fail: pratique quarantine list, and tell the owner of the data",
    ),
    _Watched(
        "ingestion_p95_seconds",
        ("ingestion", "duration_seconds", "p95"),
        False,
        "one source in twenty takes longer than {value:g} s",
        "look at which source is slow: pratique metrics, and at what it waits for",
    ),
    _Watched(
        "running_seconds",
        ("pipeline", "running_seconds"),
        False,
        "the run is at work for {value:g} s and has no end",
        "see in its log what it waits for; SIGTERM ends it, and the same command goes on from there",
    ),
    _Watched(
        "errors",
        ("errors", "total"),
        False,
        "errors: {value:g}",
        "look at what failed: pratique runs, then pratique runs show RUN",
    ),
    _Watched(
        "critical_errors",
        ("errors", "by_gravity", "critical"),
        False,
        "errors: {value:g} after which no run can be trusted to work",
        "read the log at CRITICAL, and do what its hint says",
    ),
)


@dataclass(frozen=True, slots=True)
class Issue:
    """A number beyond its threshold."""

    metric: str
    value: float
    threshold: float
    severity: Health
    message: str
    action: str


class PipelineMonitor:
    """Says whether what `metrics_collector` holds is healthy, by `monitoring.thresholds` of the configuration.

    Without a `config` it is the one of the working directory, with environment `PRATIQUE_ENV`, else `dev`.
    """

    def __init__(self, config: ConfigManager | None = None, metrics_collector: MetricsCollector | None = None) -> None:
        self._config = config or ConfigManager()
        self.metrics_collector = metrics_collector or MetricsCollector()

    def check_health(self) -> dict[str, Any]:
        """Give `status` (`healthy`, `degraded` or `unhealthy`), `issues`, `checked_at` and `summary`.

        The status is that of the worst issue. An issue says `metric`, `value`, `threshold`, `severity`, `message` and
        `action`; what was not measured is no issue. `summary` is `MetricsCollector.get_metrics()`.
        """
        summary = self.metrics_collector.get_metrics()
        issues = list(_issues(summary, self._config.settings.monitoring.thresholds))
        found = {issue.severity for issue in issues}
        return {
            "status": next((status for status in _WORST_FIRST if status in found), "healthy"),
            "checked_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "issues": [asdict(issue) for issue in issues],
            "summary": summary,
        }


def _issues(summary: Mapping[str, Any], thresholds: ThresholdsSpec) -> Iterator[Issue]:
    for watched in _WATCHED:
        value: Any = summary
        for part in watched.path:
            value = value.get(part)
            if value is None:
                break
        if value is None:
            continue
        for severity in _WORST_FIRST:
            bound = getattr(getattr(thresholds, severity), watched.metric)
            if bound is not None and (value < bound if watched.more_is_better else value >= bound):
                said = watched.says.format(value=value)
                told = (
                    f"{said}; {'at least' if watched.more_is_better else 'less than'} {bound:g} is {_better(severity)}"
                )
                yield Issue(watched.metric, value, bound, severity, told, watched.action)
                break


def _better(severity: Health) -> str:
    return "healthy" if severity == "degraded" else "needed"


def worst(statuses: list[Health]) -> Health:
    """The worst of several, healthy where there is none."""
    return next((status for status in _WORST_FIRST if status in statuses), "healthy")
