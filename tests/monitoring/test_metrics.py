"""The collector: bounded, exact where it can be, safe with threads."""

from __future__ import annotations

import math
import random
import threading
from statistics import quantiles

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pratique.measures import METRICS
from pratique.monitoring import MetricsCollector
from pratique.monitoring.exporters import prometheus_text


def test_percentiles_are_exact_for_a_few_values() -> None:
    """As statistics.quantiles gives them, between two neighbours by proportion."""
    collector = MetricsCollector()
    values = [random.Random(7).expovariate(1) for _ in range(1000)]  # noqa: S311
    for value in values:
        collector.record_ingestion("api", success=True, duration=value)
    took = collector.get_metrics()["ingestion"]["duration_seconds"]
    expected = quantiles(values, n=100, method="inclusive")
    assert [took["p50"], took["p95"], took["p99"]] == pytest.approx(
        [expected[49], expected[94], expected[98]], abs=1e-6
    )
    assert took["avg"] == pytest.approx(sum(values) / 1000, abs=1e-6)


def test_percentiles_of_many_values_are_near_in_bounded_memory() -> None:
    """Of 200,000 values in rising order a thousand are kept; least, greatest and count stay exact."""
    collector = MetricsCollector()
    for number in range(200_000):
        collector.record_ingestion("api", success=True, duration=float(number))
    took = collector.get_metrics()["ingestion"]["duration_seconds"]
    assert (took["count"], took["min"], took["max"]) == (200_000, 0.0, 199_999.0)
    assert took["p50"] == pytest.approx(100_000, rel=0.05)
    assert took["p95"] == pytest.approx(190_000, rel=0.02)
    [(_, distribution)] = [pair for key, pair in collector._series.items() if key[0] == "pratique.ingestion.duration"]
    assert len(distribution.kept) == 1024  # type: ignore[union-attr]


def test_names_without_end_are_counted_together() -> None:
    """A source for every record does not grow the memory: beyond the limit they are one series."""
    collector = MetricsCollector()
    for number in range(11_000):
        collector.record_validation(valid=True, source=f"s{number}")
    assert len(collector._series) <= 10_010
    assert collector.get_metrics()["validation"]["passed"] == 11_000 - collector_lost(collector)


def collector_lost(collector: MetricsCollector) -> int:
    """Verdicts that are counted under no verdict, because every label of their series is `(other)`."""
    return int(sum(item.value for item in collector.samples() if item.attributes == ("(other)",) * 3))


def test_threads_lose_no_count() -> None:
    """Eight threads record at once."""
    collector = MetricsCollector()

    def record() -> None:
        for _ in range(2000):
            collector.record_validation(valid=True)

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collector.get_metrics()["validation"]["passed"] == 16_000


def test_reset_forgets_everything() -> None:
    """After it the collector is as new."""
    collector = MetricsCollector()
    empty = collector.get_metrics()
    collector.start_pipeline("p")
    collector.record_error("oops", "s")
    collector.end_pipeline()
    assert collector.get_metrics()["pipeline"]["status"] == "done"
    collector.reset()
    assert collector.get_metrics() == empty


def test_every_metric_has_a_valid_name_for_prometheus() -> None:
    """Base units, `_total` on counters only, one word in front; labels of any text survive."""
    for metric in METRICS.values():
        assert metric.prometheus.startswith("pratique_")
        assert metric.prometheus.endswith("_total") is (metric.kind == "counter")
        assert "_seconds" in metric.prometheus or metric.unit != "s"
    collector = MetricsCollector()
    collector.record_error('odd\n"type\\', 'a"b')
    [sample] = [
        sample
        for family in text_string_to_metric_families(prometheus_text(collector.samples()))
        for sample in family.samples
        if sample.name == "pratique_errors_total"
    ]
    assert (sample.labels["error_type"], sample.labels["source"]) == ('odd\n"type\\', 'a"b')


def test_a_number_that_would_spoil_the_others_is_refused() -> None:
    """No score above 100, no time before 0, and nothing that is no number: it would stand in every mean from then on."""
    collector = MetricsCollector()
    for score in (101, -1, math.nan):
        with pytest.raises(ValueError, match="a score is 0 to 100"):
            collector.record_quality_score(score)
    for seconds in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="a duration in seconds is 0 or more"):
            collector.record_ingestion("csv", success=True, duration=seconds)
    with pytest.raises(ValueError, match="a number of records is 0 or more"):
        collector.record_validation(valid=True, records=-1)
    assert collector.samples() == []
