"""What other programs are told where a run does not end as runs do: stopped, failed as a whole, put together again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collectors import Receiver, receiver

from pratique.events import (
    ErrorRaised,
    RunFinished,
    RunReconciled,
    RunRecovered,
    RunStarted,
    SourceLanded,
    SourceSkipped,
)
from pratique.monitoring.lineage import OpenLineage
from pratique.monitoring.otlp import OpenTelemetry
from pratique.monitoring.sending import Sender, Teller
from pratique.planning import DestinationPlan, Pipeline
from pratique.reports import Problem, RunOutcome, RunReport, SourceReport
from pratique.specs.settings import OpenTelemetrySpec

RUN = "0123456789abcdef0123456789abcdef"
COMMON: dict[str, Any] = {"pipeline": "shop", "run_id": RUN}
STARTED = RunStarted(**COMMON, environment="dev", started_at="2026-11-02T07:00:00.000+00:00")
LANDED = SourceLanded(**COMMON, source="orders", files=1, records=5, size_bytes=10)


def finished(outcome: RunOutcome, problem: Problem | None = None) -> RunFinished:
    """The end of a run."""
    ended = "2026-11-02T07:00:09.000+00:00"
    report = RunReport(RUN, "shop", "dev", outcome, 0, STARTED.started_at, ended, (), problem)
    return RunFinished(**COMMON, report=report)


@pytest.fixture
def told() -> Iterator[Receiver]:
    """A receiver of OTLP."""
    with receiver() as server:
        yield server


def spans(told: Receiver, *events: Any) -> dict[str, Any]:
    """The spans that come of these events, by name; everything of them was taken."""
    teller: Teller = OpenTelemetry(OpenTelemetrySpec(endpoint=told.url), "dev", lambda: ([], None))
    for event in events:
        teller(event)
    teller.end()
    assert teller.untold() == (0, "")
    return {span.name: span for span in told.spans}


def test_a_source_that_was_stopped_is_an_error_of_its_span(told: Receiver) -> None:
    """A run that is told to stop ends the spans of what it was at; its own span says why."""
    problem = Problem("interrupted", "the run was told to stop", "run again", "orders", 7, "transient")
    found = spans(told, STARTED, LANDED, finished("interrupted", problem))
    assert found["source orders"].status.message == "stopped"
    assert found["run shop"].status.message == "orders: the run was told to stop"
    assert found["run shop"].end_time_unix_nano - found["run shop"].start_time_unix_nano == 9 * 10**9


def test_a_run_that_fails_as_a_whole_says_why(told: Receiver) -> None:
    """An error of no source stands at the run, with its stack trace."""
    error = ErrorRaised(**COMMON, source="", problem=Problem("state", "no space left"), trace="Traceback …")
    [event] = spans(told, STARTED, error, finished("failed"))["run shop"].events
    assert {item.key: item.value.string_value for item in event.attributes} == {
        "exception.type": "state",
        "exception.message": "no space left",
        "exception.stacktrace": "Traceback …",
    }


def test_what_was_settled_and_what_was_not_run_are_events_of_the_run(told: Receiver) -> None:
    """Earlier runs that were killed, and a source whose parent failed."""
    settled = RunReconciled(**COMMON, recovered=("a",), abandoned=("b",))
    skipped = SourceSkipped(**COMMON, source="items", parent="orders")
    found = spans(told, STARTED, settled, skipped, finished("partial"))
    assert [event.name for event in found["run shop"].events] == ["run.reconcile", "source.skip"]
    assert found["run shop"].status.message == "partial"


def test_a_run_of_a_thousand_loads_is_sent_in_batches(told: Receiver) -> None:
    """No request grows with the run, and nothing is left out."""
    spans(told, STARTED, *[LANDED] * 1100, finished("done"))
    assert len(told.bodies) == 3
    assert len(told.spans) == 1100 + 2


def test_a_killed_run_of_a_source_that_is_gone_is_ended_too() -> None:
    """The pipeline has lost a source since: its run is aborted all the same, without tables."""
    told: list[dict[str, Any]] = []

    def take(event: dict[str, Any], _: float) -> None:
        told.append(event)

    sender: Sender[dict[str, Any]] = Sender("server", take, 5)
    destination = DestinationPlan("duckdb", Path("out.duckdb"), "warehouse")
    teller = OpenLineage(Pipeline("shop", "", "dev", "", (), destination), Path(), "pratique-dev", [sender])
    gone = SourceReport("items", "items", "not run")
    killed = RunReport(RUN, "shop", "dev", "interrupted", 7, STARTED.started_at, "", (gone,))
    teller(RunRecovered(**COMMON, report=killed))
    teller.end()
    assert teller.untold() == (0, "")
    assert [(event["job"]["name"], event["eventType"]) for event in told] == [
        ("shop", "START"),
        ("shop.items", "START"),
        ("shop.items", "ABORT"),
        ("shop", "ABORT"),
    ]
