"""What every kind of source promises, as tests to inherit.

Give a subclass whose name begins with `Test` a pytest fixture `place`: a `SourcePlace` whose place is empty.

    class TestMySource(SourceSuite):
        @pytest.fixture
        def place(self, tmp_path):
            put = lambda records: ...  # make these records new where the source reads
            return SourcePlace(tmp_path, {"type": "python", "use": "sources/mine.py:records"}, put)
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import SkipTest
from urllib.parse import quote

from pratique.destinations import open_destination
from pratique.ingestion import run_pipeline
from pratique.project import Project
from pratique.reports import RunReport
from pratique.schema import Schema
from pratique.sources import ReadLimits, Source, planned_source
from pratique.testing.landing_suite import FIELDS, LandingSuite, Record, by_id, records

_PIPELINE: Final = "suite"
_TIMEOUT_SECONDS: Final = 120
_KILLED: Final = -9
_FAILPOINTS: Final = ("source.landed", "rows.staged", "load.written", "load.committed", "ledger.recorded")


@dataclass
class SourcePlace:
    """How a source is named in a project, and how records come to where it reads.

    The project is written into `root`. `connections` may refer to `secrets`, variables that are set for it. A source
    that asks a server also says how often it asked (`attempts`), lets its next requests fail as things do that pass
    (`disturb(times)`, 0 for none) and lets them be refused from now on (`refuse()`). `program` starts `pratique`.
    """

    root: Path
    source: Mapping[str, Any]
    put_records: Callable[[Sequence[Record]], None]
    connections: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    limits: Sequence[str] = ("columns_max",)
    attempts: Callable[[], int] | None = None
    disturb: Callable[[int], None] | None = None
    refuse: Callable[[], None] | None = None
    program: Sequence[str] = (sys.executable, "-m", "pratique")

    def __post_init__(self) -> None:
        fields = {name: str(kind) for name, kind in FIELDS.items()}
        source = {"schema": "records", **self.source}
        documents = {
            "config/default.json": {"connections": {**self.connections, "lake": {"url": "duckdb://lake.duckdb"}}},
            "schemas/records.json": {"primaryKey": "id", "fields": fields},
            f"pipelines/{_PIPELINE}.json": {"sources": {"records": source}, "destination": {"connection": "lake"}},
        }
        for name, value in documents.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(json.dumps(value), encoding="utf-8")
        env = "".join(f"{name}='{value}'\n" for name, value in self.secrets.items())
        (self.root / ".env").write_text(env, encoding="utf-8")

    def put(self, records: Sequence[Record]) -> None:
        """Make these records new there."""
        self.put_records(records)

    def open(self, schema: Schema, limits: ReadLimits, workspace: Path) -> Source:
        """The source as a run opens it; `schema` is that of the project."""
        del schema
        plan = Project(self.root, "dev").pipeline(_PIPELINE).sources[0]
        return planned_source(plan, limits, workspace)

    def run(self, *, dry_run: bool = False) -> RunReport:
        """Run the pipeline in this process."""
        return run_pipeline(Project(self.root, "dev"), _PIPELINE, dry_run=dry_run)

    def command(self, *words: str, failpoint: str = "") -> subprocess.CompletedProcess[bytes]:
        """Run `pratique` on the project as a process of its own, killed at `failpoint`."""
        environ = {**os.environ, "PRATIQUE_FAILPOINT": failpoint, "NO_COLOR": "1"}
        command = [*self.program, *words, "--project", str(self.root)]
        return subprocess.run(command, env=environ, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603 - our own words

    def loaded(self) -> list[Record]:
        """What the destination holds, by id."""
        lookup = open_destination("duckdb", self.root / "lake.duckdb").lookup()
        with lookup.existing("records", tuple(FIELDS), None) as rows:
            return by_id([row for batch in rows.batches() for row in batch.to_pylist()] if rows else [])


def _needs(method: Any, what: str) -> Any:
    if method is None:
        raise SkipTest(f"this source {what}")
    return method


class SourceSuite(LandingSuite):
    """Promises of a source in a pipeline; every method is one."""

    # ruff: noqa: S101

    def test_a_run_loads_every_record_once_and_exactly(self, place: SourcePlace) -> None:
        """Edges of every type arrive in the destination as they are, and the account says so."""
        place.put(self.edges)
        report = place.run()
        assert report.exit_code == 0, report
        assert place.loaded() == by_id(self.edges)
        account = report.sources[0].account
        assert account is not None
        assert (account.read, account.loaded, account.quarantined) == (len(self.edges), len(self.edges), 0)

    def test_an_empty_source_loads_nothing(self, place: SourcePlace) -> None:
        """Where nothing is, nothing is loaded, and it is told plainly; what comes later is loaded."""
        place.put([])
        report = place.run()
        problem = report.sources[0].problem
        assert report.exit_code == (3 if problem else 0)
        assert problem is None or (problem.code == "source" and problem.hint)
        assert place.loaded() == []
        place.put(records(1, 5))
        assert place.run().exit_code in {0, 8}
        assert place.loaded() == records(1, 5)

    def test_a_second_run_reads_what_is_new(self, place: SourcePlace) -> None:
        """A run goes on where the last one ended; a third one, with nothing new, changes nothing."""
        place.put(records(1, 800))
        assert place.run().exit_code == 0
        place.put(records(801, 200))
        assert place.run().exit_code == 0
        assert place.loaded() == records(1, 1_000)
        third = place.run()
        assert third.exit_code == 0
        written = third.sources[0].written
        assert written is None or written.inserted == 0
        assert place.loaded() == records(1, 1_000)

    def test_a_killed_run_is_taken_up(self, place: SourcePlace) -> None:
        """Killed between any two steps, while records come: the next run loads what is missing, once.

        What came after the kill may wait for the run after it, where a source goes on with what it had landed.
        """
        place.put(records(1, 50))
        assert place.run().exit_code == 0
        for number, failpoint in enumerate(_FAILPOINTS, 1):
            place.put(records(50 * number + 1, 25))
            killed = place.command("run", _PIPELINE, failpoint=failpoint)
            assert killed.returncode == _KILLED, (failpoint, killed.stdout + killed.stderr)
            place.put(records(50 * number + 26, 25))
            assert place.run().exit_code == 0
            assert place.loaded()[: 50 * number + 25] == records(1, 50 * number + 25), failpoint
            assert place.run().exit_code == 0
            assert place.loaded() == records(1, 50 * number + 50), failpoint

    def test_a_dry_run_leaves_no_trace(self, place: SourcePlace) -> None:
        """`--dry-run` reads and judges; afterwards nothing is loaded, known or remembered."""
        place.put(records(1, 20))
        report = place.run(dry_run=True)
        assert report.exit_code == 0
        assert report.sources[0].account
        assert report.sources[0].account.read == 20  # noqa: PLR2004 - as above
        assert not (self_made := [path for path in place.root.rglob("*.duckdb") if path.name.startswith("lake")]), (
            self_made
        )
        assert place.run().exit_code == 0
        assert place.loaded() == records(1, 20)

    def test_a_probe_shows_five_records_and_changes_nothing(self, place: SourcePlace) -> None:
        """`pratique probe` says what works, or at which step it ends; it writes nothing, and loads nothing."""
        place.put(records(1, 20))
        before = {path for path in place.root.rglob("*") if path.suffix != ".pyc"}
        told, code = self._probed(place)
        assert (code, told["reachable"], told["failed"]) == (0, True, None)
        assert len(told["records"]) == 5  # noqa: PLR2004 - of 20
        assert all(record["note"] == f"note {record['id']}" for record in told["records"])
        after_it = {path for path in place.root.rglob("*") if path.suffix != ".pyc"}
        assert [path for path in after_it - before if path.is_file() and path.parent.name != "there"] == []
        if place.disturb:
            place.disturb(1_000)
            told, code = self._probed(place)
            assert (code, told["failed"], told["records"]) == (3, "address", [])
            assert told["hint"]
            place.disturb(0)
        if place.refuse:
            place.refuse()
            told, code = self._probed(place)
            assert (code, told["reachable"], told["records"]) == (3, False, [])
            assert told["hint"]

    @staticmethod
    def _probed(place: SourcePlace) -> tuple[dict[str, Any], int]:
        done = place.command("probe", f"{_PIPELINE}.records", "--json")
        told: dict[str, Any] = json.loads(done.stdout or b"{}")
        return told, done.returncode

    def test_planning_touches_no_row(self, place: SourcePlace, tmp_path: Path) -> None:
        """Checking a pipeline and opening its source reads nothing and asks nobody."""
        attempts = place.attempts or (lambda: 0)
        before = attempts()
        checked = place.command("lint")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert place.command("config", "show", _PIPELINE).returncode == 0
        workspace = tmp_path / "untouched"
        workspace.mkdir()
        self._opened(place, workspace)
        assert attempts() == before
        assert [path for path in workspace.rglob("*") if path.is_file()] == []

    def test_a_passing_fault_is_tried_again(self, place: SourcePlace) -> None:
        """What passes within three retries costs time alone; what stays fails the source, not its records."""
        disturb = _needs(place.disturb, "asks nobody who could fail")
        place.put(records(1, 20))
        disturb(2)
        assert place.run().exit_code == 0
        assert place.loaded() == records(1, 20)
        place.put(records(21, 20))
        disturb(1_000)
        printed = place.command("run", _PIPELINE, "--dry-run", "--json").stdout
        assert json.loads(printed)["exit_code"] == 3  # noqa: PLR2004 - nothing but the report is on stdout
        report = place.run()
        problem = report.sources[0].problem
        assert report.exit_code == 3  # noqa: PLR2004 - of a source, see docs/reference/errors.md
        assert problem is not None
        assert (problem.code, problem.gravity) == ("source_unreachable", "transient")
        assert problem.hint
        assert place.loaded() == records(1, 20)
        disturb(0)
        assert place.run().exit_code == 0
        assert place.loaded() == records(1, 40)

    def test_a_lasting_fault_fails_at_once(self, place: SourcePlace) -> None:
        """What somebody must act on is not tried again, and loads nothing."""
        refuse, attempts = (
            _needs(place.refuse, "asks nobody who could refuse"),
            _needs(place.attempts, "does not count"),
        )
        place.put(records(1, 20))
        before = attempts()
        assert place.run(dry_run=True).exit_code == 0
        usual = attempts() - before
        refuse()
        before = attempts()
        report = place.run()
        assert 1 <= attempts() - before <= 2 * usual  # it may be asked once more, to tell why
        problem = report.sources[0].problem
        assert report.exit_code == 3  # noqa: PLR2004 - of a source
        assert problem is not None
        assert (problem.code, problem.gravity) == ("source", "permanent")
        assert problem.hint
        assert place.loaded() == []

    def test_no_secret_is_told(self, place: SourcePlace) -> None:
        """Whatever a run, a plan or a failure prints or keeps, no byte of it is a secret, in whatever form."""
        _needs(place.secrets or None, "has no secrets")
        place.put(records(1, 5))
        words = ("run", _PIPELINE)
        done = [
            place.command(*more) for more in ((*words, "--dry-run"), (*words, "--json"), ("config", "show", _PIPELINE))
        ]
        if place.disturb:
            place.disturb(1_000)
            done.append(place.command("--debug", *words))
        if place.refuse:
            place.refuse()
            done.append(place.command(*words, "--json"))
        told = b"".join(item.stdout + item.stderr for item in done)
        told += b"".join(path.read_bytes() for path in place.root.rglob("*") if path.is_file() and path.name != ".env")
        for value in place.secrets.values():
            for form in (value, quote(value, safe=""), base64.b64encode(value.encode()).decode()):
                assert form.encode() not in told
