"""What the bus promises to a run: everybody is told, nobody can hurt it."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from pratique.events import Event, RunStarted
from pratique.monitoring.bus import Bus

_STARTED = RunStarted(pipeline="p", run_id="r", environment="dev", started_at="2026-01-01T00:00:00+00:00")


def _raise(_: Event) -> None:
    raise LookupError("no such channel")


def test_every_observer_gets_every_event_in_order() -> None:
    """Observers are called in the order of subscription, with the same event."""
    seen: list[tuple[str, Event]] = []
    bus = Bus()
    bus.subscribe(lambda event: seen.append(("first", event)))
    bus.subscribe(lambda event: seen.append(("second", event)))
    bus.emit(_STARTED)
    assert seen == [("first", _STARTED), ("second", _STARTED)]
    assert bus.failures == 0


def test_an_observer_that_raises_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are told, the failure is counted each time and said once per observer, by name and event."""
    seen: list[Event] = []
    bus = Bus()
    bus.subscribe(_raise)
    bus.subscribe(seen.append)
    bus.subscribe(_raise)
    for _ in range(3):
        bus.emit(_STARTED)
    assert len(seen) == 3
    assert bus.failures == 6
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert all("observer _raise failed on RunStarted: LookupError: no such channel" in line for line in told)


def test_without_stderr_a_failing_observer_still_fails_nothing() -> None:
    """A process without standard error, or with a closed one, goes on all the same."""
    bus = Bus()
    bus.subscribe(_raise)
    with redirect_stderr(None):
        bus.emit(_STARTED)
    closed = io.StringIO()
    closed.close()
    bus.subscribe(_raise)
    with redirect_stderr(closed):
        bus.emit(_STARTED)
    assert bus.failures == 3


def test_an_interrupt_is_not_swallowed() -> None:
    """A person's Ctrl-C inside an observer still ends the run."""
    bus = Bus()

    def interrupted(_: Event) -> None:
        raise KeyboardInterrupt

    bus.subscribe(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bus.emit(_STARTED)
