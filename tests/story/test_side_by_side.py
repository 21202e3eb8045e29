"""Rows and quarantine are written side by side: whichever fails, nothing is visible, and the next run makes it good."""

import shutil
import threading
from pathlib import Path

import pytest
from rig import Rig

from pratique.destinations import open_destination
from pratique.errors import DestinationError, DestinationMovedError
from pratique.ingestion import run_pipeline
from pratique.project import Project


class Watched:
    """A DuckDB file whose loads call `before_write` and `before_commit` first."""

    def __init__(self, root, *, before_write=lambda: None, before_commit=lambda _: None):
        self._file = open_destination("duckdb", root / "out.duckdb")
        self._hooks = before_write, before_commit
        self.name = self._file.name
        self.paths, self.markers, self.lookup = self._file.paths, self._file.markers, self._file.lookup

    def begin(self, load_id, judged_against=None):
        """A load of the file, watched."""
        return WatchedLoad(self._file.begin(load_id, judged_against), *self._hooks)


class WatchedLoad:
    """One load, which does what the file's own does."""

    def __init__(self, load, before_write, before_commit):
        self._load, self._before_write, self._before_commit = load, before_write, before_commit

    def __enter__(self):
        self._load.__enter__()
        return self

    def __exit__(self, *error):
        return self._load.__exit__(*error)

    def write(self, rows, target):
        """Write the rows."""
        self._before_write()
        return self._load.write(rows, target)

    def commit(self, marker):
        """Commit."""
        self._before_commit(marker)
        return self._load.commit(marker)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A project with one file, a twentieth of whose 40,000 records are bad."""
    made = Rig(tmp_path)
    made.add_file("a.csv", rows=40_000)
    return made


def run(rig, **hooks):
    """Run the pipeline here, in this process."""
    return run_pipeline(Project(rig.root, "dev"), "orders", destination=Watched(rig.root, **hooks))


def fail(error):
    """A hook that raises."""

    def hook(*_):
        raise error

    return hook


def test_the_commit_waits_for_a_quarantine_that_is_on_disk(rig):
    """When the marker is given to the destination the segment that it names is there, whole."""
    seen = []

    def look(marker):
        file = rig.root / ".pratique" / "quarantine" / marker.segment.path
        seen.append((file.exists(), marker.segment.records, [*file.parent.glob("*.tmp")]))

    assert run(rig, before_commit=look).exit_code == 0
    assert seen == [(True, 2000, [])]
    assert rig.check() == []


@pytest.mark.parametrize("hook", ["before_write", "before_commit"])
def test_a_destination_that_fails_stops_the_quarantine_too(rig, hook):
    """No thread goes on, no half file is left, nobody sees a record; the next run loads all of it once."""
    report = run(rig, **{hook: fail(DestinationError("the disk is gone", hint="bring it back"))})
    assert report.exit_code == DestinationError.exit_code
    assert report.sources[0].problem.message == "the disk is gone"
    assert [thread.name for thread in threading.enumerate() if "pratique" in thread.name] == []
    assert [*rig.root.glob(".pratique/quarantine/**/*.tmp")] == []
    assert rig.rows() == []
    assert not rig.held()
    assert run(rig).exit_code == 0
    assert rig.check() == []


def test_a_quarantine_that_fails_rolls_the_rows_back(rig):
    """The rows were written, but their transaction ends without a commit; the error names what to do."""
    blocked = rig.root / ".pratique" / "quarantine" / "orders"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder must be")
    report = run(rig)
    assert report.sources[0].problem.code == "state"
    assert report.sources[0].problem.hint
    assert rig.rows() == []
    blocked.unlink()
    assert run(rig).exit_code == 0
    assert rig.check() == []


def test_a_signal_ends_both(rig):
    """Told to stop while rows are written, the run says so and leaves nothing; the next one loads all."""
    report = run(rig, before_write=fail(KeyboardInterrupt()))
    assert report.outcome == "interrupted"
    assert [thread.name for thread in threading.enumerate() if "pratique" in thread.name] == []
    assert rig.rows() == []
    assert run(rig).exit_code == 0
    assert rig.check() == []


def test_a_load_that_is_judged_again_writes_its_quarantine_again(rig):
    """Another pipeline committed in between: the second judging has a segment of its own, and one is seen."""
    moved = iter([DestinationMovedError("run abc committed into orders")])

    def once():
        for error in moved:
            raise error

    assert run(rig, before_write=once).exit_code == 0
    assert rig.check() == []


def test_a_table_that_moves_on_and_on_ends_the_load_with_a_reason(rig):
    """After five judgements the source fails, nothing of it is visible, and the next run loads all."""
    report = run(rig, before_write=fail(DestinationMovedError("run abc committed into orders", hint="run again")))
    assert report.sources[0].problem.message == "run abc committed into orders"
    assert rig.rows() == []
    assert run(rig).exit_code == 0
    assert rig.check() == []


def test_what_was_loaded_before_a_signal_stays_on_the_account(rig):
    """The first of two loads is committed, the second is stopped: the report tells of both, the next run goes on."""
    config = rig.root / "config" / "default.yaml"
    config.write_text(config.read_text() + "limits: {files_per_load_max: 1}\n")
    rig.add_file("b.csv", rows=100)
    calls = []

    def second():
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt

    report = run(rig, before_write=second)
    assert (report.outcome, report.exit_code) == ("interrupted", 7)
    source = report.sources[0]
    assert (source.account.read, source.problem.code) == (40_000, "interrupted")
    assert run(rig).exit_code == 0
    assert rig.check() == []


def test_a_child_is_not_run_when_its_parent_failed(tmp_path):
    """The report says so, and its table is not touched."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text('connections:\n  target: {url: "duckdb://out.duckdb"}\n')
    (tmp_path / "schemas" / "shops.yaml").write_text("primaryKey: id\nfields:\n  id: integer\n")
    (tmp_path / "schemas" / "sales.yaml").write_text(
        "fields:\n  id: integer\n  shop: integer\nreferences: {shop: shops.id}\n"
    )
    (tmp_path / "pipelines" / "shop.yaml").write_text(
        "sources:\n  shops: {type: files, path: in/shops.csv, schema: shops}\n"
        "  sales: {type: files, path: in/sales.csv, schema: sales}\n"
        "destination: {connection: target}\n"
    )
    (tmp_path / "in" / "sales.csv").write_text("id,shop\n1,1\n")
    report = run_pipeline(Project(tmp_path, "dev"), "shop")
    assert [(source.source, source.outcome) for source in report.sources] == [("shops", "failed"), ("sales", "not run")]
    assert "shops" in report.sources[1].problem.message


def test_a_dry_run_of_several_loads_says_what_it_cannot_judge(rig):
    """Keys between the loads of one dry run are not judged; the report says so, and nothing is written."""
    config = rig.root / "config" / "default.yaml"
    config.write_text(config.read_text() + "limits: {files_per_load_max: 1}\n")
    rig.add_file("b.csv", rows=100)
    report = run_pipeline(Project(rig.root, "dev"), "orders", dry_run=True)
    assert any("not by each other's keys" in notice for notice in report.notices)
    assert rig.rows() == []


def test_files_of_one_load_cannot_be_replaced_one_by_one(tmp_path):
    """`on_new_version: replace`, declared after two files were loaded together, is refused for the corrected one."""
    rig = Rig(tmp_path)
    rig.add_file("a.csv", rows=40)
    rig.add_file("b.csv", rows=40)
    assert rig.run() == 0
    pipeline = rig.root / "pipelines" / "orders.yaml"
    pipeline.write_text(pipeline.read_text().replace("write: append", "write: append, on_new_version: replace"))
    before = sorted(rig.rows())
    with (rig.root / "in" / "a.csv").open("a") as file:
        file.write("7,1.25,late\n")
    report = run(rig)
    assert "loaded together with 1 other files" in report.sources[0].problem.message
    assert sorted(rig.rows()) == before


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_damage_that_judging_meets_is_told_to_the_destination_owner(tmp_path, kind):
    """Wherever a bit of the destination flipped: if a run meets it, it names the place and the backup, and loads nothing."""
    rig = Rig(tmp_path / "sound", kind)
    rig.add_file("a.csv", rows=2_000)
    assert rig.run() == 0
    text = (rig.root / "in" / "a.csv").read_text()
    (rig.root / "in" / "b.csv").write_text(text + "1,1,new\n")  # every key of the table is met
    [file] = [*rig.root.glob("out.duckdb"), *rig.root.glob("out/**/part-*")]
    sound, told = file.read_bytes(), []
    for at in range(6, len(sound), 1 << 16) if kind == "duckdb" else (6, len(sound) - 20):
        damaged = shutil.copytree(rig.root, tmp_path / str(at))
        (damaged / file.relative_to(rig.root)).write_bytes(sound[:at] + bytes([sound[at] ^ 255]) + sound[at + 1 :])
        report = run_pipeline(Project(damaged, "dev"), "orders")
        problems = [report.problem, *(source.problem for source in report.sources)]
        told += [(report.exit_code, problem.code, problem.hint) for problem in problems if problem]
    assert len(told) > 1
    assert {(code, name) for code, name, _ in told} == {(4, "destination")}
    assert all("backup" in hint or "right file there" in hint for _, _, hint in told), told
