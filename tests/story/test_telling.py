"""What a run tells of itself while it is at work, and when it ends in a way that nobody foresaw."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from rig import Rig

from pratique.destinations.base import Load
from pratique.events import ErrorRaised, Event
from pratique.ingestion import current, run_pipeline
from pratique.ledger import open_ledger
from pratique.measures import ACTIVE, Sample
from pratique.model import Lookup, Marker
from pratique.project import Project


class Astray:
    """A destination of somebody else's, with a fault in it."""

    def paths(self) -> tuple[Path, ...]:
        """No files."""
        return ()

    def markers(self, pipeline: str) -> tuple[Marker, ...]:
        """Never gives any."""
        raise ZeroDivisionError(pipeline)

    def lookup(self) -> Lookup:
        """Is not asked for."""
        raise AssertionError

    def begin(self, load_id: str, judged_against: Lookup | None = None) -> AbstractContextManager[Load]:
        """Is not asked for."""
        raise AssertionError(load_id, judged_against)


def test_a_fault_that_nobody_foresaw_is_told_as_critical_and_raised(tmp_path: Path) -> None:
    """A connector that breaks in its own way stops the run; whoever listens hears of it, with where it happened."""
    rig = Rig(tmp_path, "duckdb")
    rig.add_file("a.csv")
    heard: list[Event] = []
    with pytest.raises(ZeroDivisionError):
        run_pipeline(Project(rig.root, "dev"), "orders", destination=Astray(), emit=heard.append)
    (told,) = (event for event in heard if isinstance(event, ErrorRaised))
    assert told.problem.gravity == "critical"
    assert told.problem.message == "unexpected ZeroDivisionError"
    assert "in markers" in told.trace


def test_a_run_at_work_is_measured_as_active(tmp_path: Path) -> None:
    """As long as a run holds its pipeline it is counted, and no longer."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        with ledger.begin("shop", "dev", sources=["orders"]):
            assert current(ledger) == [Sample(ACTIVE.name, ("shop",), "", 1, adds=False)]
        assert not any(sample.name == ACTIVE.name for sample in current(ledger))


def test_who_listens_cannot_fail_a_dry_run(tmp_path: Path) -> None:
    """A listener that breaks costs a notice in the report, where nothing is written too."""
    rig = Rig(tmp_path, "duckdb")
    rig.add_file("a.csv")

    def deaf(event: Event) -> None:
        raise RuntimeError(event)

    report = run_pipeline(Project(rig.root, "dev"), "orders", emit=deaf, dry_run=True)
    assert report.exit_code == 0
    assert "could not be told" in report.notices[-1]
