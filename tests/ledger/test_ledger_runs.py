"""What the ledger keeps of runs, attempts and loads."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pratique.errors import AlreadyRunningError, ConfigurationError, InternalError, StateError
from pratique.ledger import Ledger, Reconciled, open_ledger, report_from_json, report_to_json
from pratique.ledger.base import RunHandle
from pratique.model import Account, Cause, FileVersion, HeldFile, Marker, RuleTally, Segment, SetVerdict, Written
from pratique.reports import Problem, RunReport, SourceReport


def _marker(run: RunHandle, load: str = "a", source: str = "sales", attempt: int = 1) -> Marker:
    return Marker(
        load_id=load * 32,
        attempt=attempt,
        run_id=run.run_id,
        pipeline=run.pipeline,
        source=source,
        table=f"t_{source}",
        disposition="append",
        schema="s",
        schema_version=1,
        files=(FileVersion("bad\udcff.csv", "00", 7),),
        account=Account(10, 7, 2, {"identical": 1}),
        written=Written(7),
        segment=Segment("p/a/1.jsonl.zst", "ff", 2),
        causes=(Cause("amount.type", "amount", "not a number", 2, (("a.csv", 3),)),),
        tally={
            "quality": 98.5,
            "dimensions": {"validity": 98.5},
            "warnings": [asdict(RuleTally("w", None, "warn", "validity", 10, 1))],
            "changed": {"amount": 3},
            "newest": "2026-01-01",
        },
        started_at="2026-01-01T00:00:00.000+00:00",
        committed_at=f"2026-01-01T00:00:0{attempt}.000+00:00",
        sequence=attempt,
    )


def _report(run: RunHandle, **changes: object) -> RunReport:
    bare = RunReport(
        run.run_id, run.pipeline, "dev", "done", 0, run.started_at.isoformat(), "2026-01-01T00:00:09+00:00"
    )
    return replace(bare, **changes)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with open_ledger(tmp_path / "state" / "ledger.sqlite") as opened:
        yield opened


def test_a_report_comes_back_from_json_unchanged(ledger: Ledger) -> None:
    """Every part of a report, nested tuples and surrogates of file names too, survives the way through JSON."""
    tally = RuleTally("r", "f", "warn", "validity", 5, 1, 1)
    source = SourceReport(
        source="s",
        table="t",
        outcome="failed",
        account=Account(3, 1, 1, {"filter": 1}),
        written=Written(1, 2, 3),
        dimensions={"validity": 99.5},
        warnings=(tally, tally),
        causes=(Cause("r", None, "m \udcff", 1, (("a", 1), ("b", 2))),),
        sets=(SetVerdict("no_gaps", "fail", None, "?"),),
        files_known=("x", "y"),
        held=(HeldFile(FileVersion("n\udcff", "00", 1), "why"),),
        problem=Problem("source", "gone"),
    )
    with ledger.begin("p", "dev") as run:
        report = _report(run, sources=(source,), problem=Problem("state", "m", "h", "w", 5), notices=("n",))
        assert report_from_json(report_to_json(report)) == report
        run.finish(report)
    assert ledger.runs() == [report]


def test_a_report_of_a_newer_version_is_read_without_what_is_unknown() -> None:
    """A name that this version does not know is left out instead of failing the listing."""
    text = report_to_json(RunReport("r", "p", "dev", "done", 0, "a", "b"))
    assert report_from_json(text[:-1] + ', "tomorrow": 1}').run_id == "r"


def test_runs_are_listed_newest_first(ledger: Ledger) -> None:
    """The newest run comes first, of one pipeline or of all, no more than asked for."""
    ids = []
    for name in ("p", "q", "p"):
        with ledger.begin(name, "dev") as run:
            run.finish(_report(run))
            ids.append(run.run_id)
    assert [report.run_id for report in ledger.runs()] == ids[::-1]
    assert [report.run_id for report in ledger.runs("p")] == [ids[2], ids[0]]
    assert [report.run_id for report in ledger.runs(limit=1)] == [ids[2]]


def test_a_run_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    """A unique beginning finds the run; none or several name near ones and say what to do."""
    with pytest.raises(ConfigurationError, match="no runs yet"):
        ledger.run("abc")
    ids = []
    for _ in range(17):  # more runs than hexadecimal digits: two begin alike
        with ledger.begin("p", "dev") as run:
            ids.append(run.run_id)
    assert ledger.run(ids[0][:20]).run_id == ids[0]
    shared = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)
    with pytest.raises(ConfigurationError, match="more than one run begins with"):
        ledger.run(shared)
    wrong = ids[0][:5] + "z"
    with pytest.raises(ConfigurationError, match=ids[0][:6]):
        ledger.run(wrong)


def test_attempts_are_counted_from_one_for_each_load(ledger: Ledger) -> None:
    """Every attempt at a load has a number of its own, also over several runs."""
    with ledger.begin("p", "dev") as run:
        assert [run.attempt("a" * 32, "s"), run.attempt("b" * 32, "s"), run.attempt("a" * 32, "s")] == [1, 1, 2]
    with ledger.begin("p", "dev") as run:
        assert run.attempt("a" * 32, "s") == 3


def test_a_lost_ledger_repeats_no_number_of_a_committed_attempt(ledger: Ledger) -> None:
    """After a rebuild, attempts count on from those that the markers name."""
    with ledger.begin("p", "dev") as run:
        run.reconcile([_marker(run, attempt=4)])
        assert run.attempt("a" * 32, "s") == 5


def test_a_recorded_load_comes_back_as_its_marker(ledger: Ledger) -> None:
    """`loads` gives the marker back unchanged, once, however often it is recorded; the newer word of it counts."""
    with ledger.begin("p", "dev") as run:
        first, second = _marker(run), _marker(run, "b", attempt=2)
        run.record(second)
        run.record(first)
        run.record(first)
        assert ledger.loads() == [Marker.from_json(first.to_json()), Marker.from_json(second.to_json())]
        run.record(replace(first, sequence=9))
        assert ledger.loads("p", run.run_id)[0].sequence == 9
        assert ledger.loads("other") == ledger.loads(run_id="other") == []


def test_a_dry_run_holds_the_pipeline_and_leaves_nothing(ledger: Ledger) -> None:
    """While a dry run judges nobody else runs the pipeline; afterwards the ledger is as it was."""
    with ledger.begin("p", "dev", dry_run=True) as run:
        with pytest.raises(AlreadyRunningError):
            ledger.begin("p", "dev")
        assert run.attempt("a" * 32, "s") == 1
        assert run.reconcile([_marker(run)]) == Reconciled(("a" * 32,), ())
        run.record(_marker(run))
        run.finish(_report(run))
    assert ledger.runs() == []
    assert ledger.loads() == []


def test_a_run_is_not_finished_with_the_report_of_another(ledger: Ledger) -> None:
    """A mix-up of runs stops instead of overwriting history."""
    with ledger.begin("p", "dev") as run, pytest.raises(InternalError, match="with the report of"):
        run.finish(_report(run, run_id="0" * 32))


def test_a_killed_run_without_commit_is_interrupted(ledger: Ledger) -> None:
    """The next run names it as unfinished and settles it; before that it shows as interrupted already."""
    with ledger.begin("p", "dev", sources=("sales",)) as killed:
        assert ledger.runs()[0].outcome == "running"
        killed.attempt("a" * 32, "sales")
    assert (ledger.runs()[0].outcome, ledger.run(killed.run_id).exit_code) == ("interrupted", 7)
    with ledger.begin("p", "dev") as run:
        assert run.unfinished == (killed.run_id,)
        assert run.reconcile([]) == Reconciled((), (killed.run_id,))
        run.finish(_report(run))
    settled = ledger.run(killed.run_id)
    assert (settled.outcome, settled.sources[0].outcome) == ("interrupted", "not run")
    with ledger.begin("p", "dev") as run:
        assert run.unfinished == ()


def test_a_killed_run_whose_sources_are_all_committed_is_done(ledger: Ledger) -> None:
    """The commit is what counts: with every source's marker there the run is done, with the original times."""
    with ledger.begin("p", "dev", sources=("sales",)) as killed:
        killed.attempt("a" * 32, "sales")
        marker = _marker(killed)
    with ledger.begin("p", "dev") as run:
        assert run.reconcile([marker]) == Reconciled(("a" * 32,), ())
        assert run.reconcile([marker]) == Reconciled((), ())
    settled = ledger.run(killed.run_id)
    assert (settled.outcome, settled.exit_code, settled.ended_at) == ("done", 0, marker.committed_at)
    assert settled.started_at == killed.started_at.isoformat()
    source = settled.sources[0]
    assert (source.outcome, source.account, source.written) == ("loaded", marker.account, marker.written)
    assert (source.quality, source.causes, source.newest) == (98.5, marker.causes, "2026-01-01")
    assert source.warnings == (RuleTally("w", None, "warn", "validity", 10, 1),)


@pytest.mark.parametrize("sources", [("sales", "items"), ("sales",)])
def test_a_killed_run_with_something_left_is_partial(ledger: Ledger, sources: tuple[str, ...]) -> None:
    """A source without a marker, declared at the start or known by its open attempt, makes the run partial."""
    with ledger.begin("p", "dev", sources=sources) as killed:
        killed.attempt("a" * 32, "sales")
        killed.attempt("b" * 32, "items")
        killed.record(_marker(killed))
    with ledger.begin("p", "dev") as run:
        assert run.reconcile(ledger.loads()) == Reconciled()
    settled = ledger.run(killed.run_id)
    assert (settled.outcome, settled.exit_code) == ("partial", 8)
    assert {source.source: source.outcome for source in settled.sources} == {"sales": "loaded", "items": "not run"}


def test_loads_of_one_source_are_summed_in_a_told_report(ledger: Ledger) -> None:
    """A killed run of several loads shows one account per source: the sum."""
    with ledger.begin("p", "dev", sources=("sales",)) as killed:
        killed.record(_marker(killed, "a"))
        killed.record(_marker(killed, "b", attempt=2))
    with ledger.begin("p", "dev") as run:
        run.reconcile(ledger.loads())
    source = ledger.run(killed.run_id).sources[0]
    assert source.account == Account(20, 14, 4, {"identical": 2})
    assert (source.files_loaded, source.causes[0].records) == (2, 4)


def test_a_lost_ledger_is_rebuilt_from_the_markers(tmp_path: Path) -> None:
    """With the markers alone a new ledger holds the same committed loads, and one row for each run that made them."""
    with open_ledger(tmp_path / "one" / "ledger.sqlite") as lost:
        ids = []
        for load, source in (("a", "sales"), ("b", "items"), ("c", "sales")):
            with lost.begin("p", "dev") as run:
                run.record(_marker(run, load, source, attempt=len(ids) + 1))
                ids.append(run.run_id)
        before = lost.loads()
    with open_ledger(tmp_path / "two" / "ledger.sqlite") as new:
        with new.begin("p", "dev") as run:
            assert run.reconcile(before) == Reconciled(tuple(load * 32 for load in "abc"), ())
        assert new.loads() == before
        assert {report.run_id: report.outcome for report in new.runs()} == {
            **dict.fromkeys(ids, "done"),
            run.run_id: "interrupted",
        }
        assert new.run(ids[0]).sources[0].account == before[0].account


def test_state_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """With an open umask folders still are 0700 and files 0600; a file that was opened to others is closed again."""
    before = os.umask(0)
    try:
        with open_ledger(tmp_path / "a" / "b" / "ledger.sqlite") as ledger, ledger.begin("p", "dev") as run:
            run.attempt("a" * 32, "s")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")}
    finally:
        os.umask(before)
    assert modes == {
        "b": 0o700,
        "locks": 0o700,
        "p.lock": 0o600,
        "ledger.sqlite": 0o600,
        "ledger.sqlite-wal": 0o600,
        "ledger.sqlite-shm": 0o600,
    }
    path = tmp_path / "a" / "b" / "ledger.sqlite"
    path.chmod(0o644)
    open_ledger(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_is_written_as_promised(tmp_path: Path) -> None:
    """WAL with synchronous FULL: an acknowledged commit survives a power cut."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        connection = ledger._connection  # type: ignore[attr-defined]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.isolation_level is None


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    """A file that a newer Pratique wrote is not touched, and the message says what to do."""
    path = tmp_path / "ledger.sqlite"
    open_ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="form 99") as caught:
        open_ledger(path)
    assert "newer Pratique" in caught.value.hint


def test_a_failed_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """All steps of a migration happen, or none: a table in its way stops it without half a form."""
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE loads (other)")
    connection.close()
    with pytest.raises(StateError, match="loads already exists"):
        open_ledger(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("loads",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


def test_a_file_that_is_no_database_is_named_with_the_way_out(tmp_path: Path) -> None:
    """A damaged ledger stops the start with its path and how to get on without it, and the way works."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"these are not the pages that you look for " * 200)
    with pytest.raises(StateError, match=str(path)) as caught:
        open_ledger(path)
    assert f"mv {path} {path}.broken" in caught.value.hint
    path.rename(f"{path}.broken")
    with open_ledger(path) as ledger:
        assert ledger.runs() == []


def test_a_page_that_rotted_is_an_error_and_not_an_empty_list(tmp_path: Path) -> None:
    """Damage inside the file is told as such when it is met."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        for _ in range(50):
            with ledger.begin("p", "dev") as run:
                run.finish(_report(run))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (size - 4096))
    with pytest.raises(StateError, match="damaged"), open_ledger(path) as ledger:
        ledger.runs(limit=1000)


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is a StateError that names it, not a traceback."""
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StateError, match="state"):
        open_ledger(tmp_path / "state" / "ledger.sqlite")


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where locks cannot be kept the run does not start, and the message names the place."""
    (tmp_path / "locks").write_text("in the way")
    with open_ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(StateError, match="cannot make the lock"):
        ledger.begin("p", "dev")


def test_a_run_that_cannot_be_entered_does_not_hold_its_pipeline(tmp_path: Path) -> None:
    """If the ledger refuses the new run, the lock is free again at once."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger, open_ledger(path) as other:
        connection = ledger._connection  # type: ignore[attr-defined]
        connection.execute("PRAGMA query_only = 1")
        with pytest.raises(StateError):
            ledger.begin("p", "dev")
        with other.begin("p", "dev") as run:
            assert run.unfinished == ()


def test_an_error_within_a_write_undoes_it(ledger: Ledger) -> None:
    """Whatever goes wrong halfway, nothing half is kept and the next write works."""
    with ledger.begin("p", "dev") as run:
        first, second = _marker(run), replace(_marker(run, "b"), tally={"odd": object()})
        with pytest.raises(TypeError):
            run.reconcile([first, second])
        assert ledger.loads() == []
        assert run.reconcile([first]) == Reconciled(("a" * 32,), ())


def test_a_run_can_be_left_twice(ledger: Ledger) -> None:
    """Leaving the context a second time neither fails nor frees what another run holds."""
    with ledger.begin("p", "dev") as run:
        pass
    with ledger.begin("p", "dev"):
        run.__exit__(None, None, None)
        with pytest.raises(AlreadyRunningError):
            ledger.begin("p", "dev")


@pytest.mark.parametrize("name", ["../p", "a/b", "", ".", "..", ".hidden", "a b", "p\0", "ü", "-p", "a" * 200])
def test_a_pipeline_name_cannot_leave_the_folder(ledger: Ledger, name: str) -> None:
    """A name that is more than a file name is refused before anything is made."""
    with pytest.raises(ConfigurationError, match="cannot name a pipeline"):
        ledger.begin(name, "dev")


def test_a_full_disk_is_told_and_rolled_back(tmp_path: Path) -> None:
    """SQLite's own limit on pages stands in for a full disk: StateError, nothing half, and usable afterwards."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger, ledger.begin("p", "dev") as run:
        connection = ledger._connection  # type: ignore[attr-defined]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        huge = replace(_marker(run), table="x" * 100_000)
        with pytest.raises(StateError, match="no space left"):
            run.record(huge)
        assert ledger.loads() == []
        connection.execute("PRAGMA max_page_count = 100000")
        run.record(huge)
        assert len(ledger.loads()) == 1
