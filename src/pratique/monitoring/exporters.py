"""What was measured, for other programs: Prometheus' text format and JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pratique.measures import BUCKETS, BUILD, METRICS, Metric, Sample

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def own_version() -> str:
    """The version that is at work."""
    try:
        return version("pratique")
    except PackageNotFoundError:
        return "source tree"


def build_sample() -> Sample:
    """Which version is at work; an image says its revision in `PRATIQUE_REVISION`."""
    revision = os.environ.get("PRATIQUE_REVISION", "unknown")
    return Sample(BUILD.name, (own_version(), revision, platform.python_version()), "", 1, adds=False)


def prometheus_text(samples: Iterable[Sample]) -> str:
    """All samples in Prometheus' text format 0.0.4, with help and type for each metric."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - 0.1 s that only exports pay

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([*samples, build_sample()]))
    return generate_latest(registry).decode()


class _Families:
    """Samples in the form that the Prometheus client writes."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._found: dict[str, dict[tuple[str, ...], dict[str, float]]] = {}
        for sample in samples:
            self._found.setdefault(sample.name, {}).setdefault(sample.attributes, {})[sample.part] = sample.value

    def collect(self) -> Iterable[Any]:
        """One family for each metric."""
        from prometheus_client import metrics_core  # noqa: PLC0415 - see above

        kinds = {
            "counter": metrics_core.CounterMetricFamily,
            "gauge": metrics_core.GaugeMetricFamily,
            "histogram": metrics_core.HistogramMetricFamily,
        }
        for name, series in self._found.items():
            metric = METRICS[name]
            labels = [attribute.replace(".", "_") for attribute in metric.attributes]
            family: Any = kinds[metric.kind](metric.prometheus, metric.meaning, labels=labels)
            for attributes, parts in series.items():
                if metric.kind == "histogram":
                    family.add_metric(list(attributes), _buckets(parts), parts["sum"])
                else:
                    family.add_metric(list(attributes), parts[""])
            yield family


def _buckets(parts: dict[str, float]) -> list[tuple[str, float]]:
    bounds = [(str(float(bound)), parts[f"le={bound}"]) for bound in BUCKETS]
    return [*bounds, ("+Inf", parts["count"])]


def described(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """All samples as plain values, one entry for each series: name, kind, unit, attributes, and its value or parts."""
    found: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for sample in samples:
        metric: Metric = METRICS[sample.name]
        entry = found.setdefault(
            (sample.name, sample.attributes),
            {
                "name": sample.name,
                "kind": metric.kind,
                "unit": metric.unit,
                "attributes": dict(zip(metric.attributes, sample.attributes, strict=True)),
            },
        )
        if not sample.part:
            entry["value"] = sample.value
        elif sample.part.startswith("le="):
            entry.setdefault("buckets", {})[sample.part.removeprefix("le=")] = sample.value
        else:
            entry[sample.part] = sample.value
    for entry in found.values():
        if "buckets" in entry:
            entry["buckets"] = dict(sorted(entry["buckets"].items(), key=lambda pair: float(pair[0])))
    return list(found.values())
