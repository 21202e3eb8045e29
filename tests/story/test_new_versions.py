"""Files that come again with other content, several loads in one run, and dry runs: what the table and the report say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pratique.events import Event, FileHeld, LoadCommitted
from pratique.ingestion import run_pipeline
from pratique.project import Project
from pratique.reports import RunReport, SourceReport

KEYED = "schema: s\nprimaryKey: id\nfields: {id: integer, v: string}\n"
PLAIN = "schema: s\nfields: {id: integer, v: string}\n"


class Folder:
    """A project with one source `s` over in/*.csv; records are written as `1,a 2,b`."""

    def __init__(self, root: Path, schema: str) -> None:
        self.root = root
        for name in ("config", "pipelines", "schemas", "in"):
            (root / name).mkdir()
        (root / "config" / "default.yaml").write_text("connections: {target: {url: 'duckdb://out/out.duckdb'}}\n")
        (root / "schemas" / "s.yaml").write_text(schema)
        self.words()

    def words(self, words: str = "") -> None:
        """Write the pipeline with these words of the source."""
        path = "" if "path:" in words else "path: 'in/*.csv', "
        source = f"{path}schema: s, quarantine: {{max_share: 0.3}}, {words}"
        text = f"sources: {{s: {{{source}}}}}\ndestination: {{connection: target}}\n"
        (self.root / "pipelines" / "p.yaml").write_text(text)

    def put(self, name: str, records: str) -> None:
        """Write a file."""
        (self.root / "in" / f"{name}.csv").write_text("id,v\n" + "".join(f"{line}\n" for line in records.split()))

    def whole(self, **words: bool) -> RunReport:
        """Run the pipeline."""
        return run_pipeline(Project(self.root, "dev"), "p", **words)

    def run(self, **words: bool) -> SourceReport:
        """Run the pipeline; what became of its source."""
        return self.whole(**words).sources[0]

    def rows(self, table: str = "s") -> str:
        """The rows of a table, sorted, as they are written for `put`."""
        with duckdb.connect(self.root / "out" / "out.duckdb", read_only=True) as connection:
            found = connection.execute(f"SELECT id, v FROM {table} ORDER BY ALL").fetchall()
        return " ".join(f"{number},{text}" for number, text in found)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Folder]:
    """Make the project with a schema."""
    return lambda schema: Folder(tmp_path, schema)


def test_on_new_version_merge_updates_by_key(folder):
    """A corrected file changes and adds rows by their key under append, and new files are still appended."""
    project = folder(KEYED)
    project.words("on_new_version: merge")
    project.put("a", "1,a 2,b")
    project.run()
    project.put("a", "1,a 2,B 3,c")
    project.put("b", "4,d 5,e 6,f 1,x")
    source = project.run()
    assert project.rows() == "1,a 2,B 3,c 4,d 5,e 6,f"
    assert (source.written.inserted, source.written.updated, source.written.unchanged) == (4, 1, 1)
    assert [(cause.rule, cause.places) for cause in source.causes] == [("primaryKey", (("in/b.csv", 5),))]


@pytest.mark.parametrize("words", ["write: merge", "on_new_version: merge", "on_new_version: replace"])
def test_a_file_that_returns_to_its_first_content_brings_it_back(folder, words):
    """A, B, A: the rows that the file holds now are the rows in the table, and each time is a load of its own."""
    project = folder(KEYED)
    project.words(words)
    for records in ("1,a 2,b", "1,A 2,b", "1,a 2,b", "1,A 2,b"):
        project.put("a", records)
        assert project.run().account.loaded == 2
        assert project.rows() == records
    assert project.run().outcome == "unchanged"


@pytest.mark.parametrize("write", ["append", "merge", "replace"])
def test_two_partners_that_send_the_same_bytes_are_both_loaded(folder, write):
    """What a schema takes from the path makes a record what it is: only a copy that it cannot tell apart is skipped."""
    project = folder(
        "schema: s\nprimaryKey: [id, v]\nfields: {id: integer, v: {from: path.partner}}\nextraFields: drop\n"
    )
    project.words(f"path: 'in/{{partner}}_{{day}}.csv', write: {write}")
    project.put("acme_1", "1,x")
    project.put("globex_1", "1,x")
    assert project.run().account.loaded == 2
    assert project.rows() == "1,acme 1,globex"
    project.put("initech_1", "1,x")
    project.put("acme_2", "1,x")
    source = project.run()
    assert project.rows() == "1,acme 1,globex 1,initech"
    assert "in/acme_2.csv" in source.files_known
    assert project.run().outcome == "unchanged"


def test_another_table_is_loaded_from_the_beginning(folder):
    """What is loaded is loaded into a table: with a new `table:` all files are new, and the old table is untouched."""
    project = folder(PLAIN)
    project.put("a", "1,a")
    project.run()
    project.words("table: other")
    assert project.run().account.loaded == 1
    assert (project.rows(), project.rows("other")) == ("1,a", "1,a")
    assert project.run().outcome == "unchanged"


def test_what_a_replace_removed_is_not_loaded_before(folder):
    """Back from replace to append, a file whose rows the replace took away is new again; the others are not."""
    project = folder(PLAIN)
    project.put("a", "1,a")
    project.run()
    (project.root / "in" / "a.csv").unlink()
    project.put("b", "2,b")
    project.words("write: replace")
    project.run()
    project.words()
    project.put("a", "1,a")
    source = project.run()
    assert (source.account.loaded, source.files_known) == (1, ("in/b.csv",))
    assert project.rows() == "1,a 2,b"


@pytest.mark.parametrize(("more", "outcome"), [("3,f\n4,g\n", "loaded"), ("", "gated")])
def test_a_cause_tells_lines_as_an_editor_counts_them(folder, more, outcome):
    """Blank lines and texts of several lines stand above a record that is held: its place is its line all the same."""
    project = folder(PLAIN)
    (project.root / "in" / "a.csv").write_text('id,v\n1,"a\nb\nc"\n\n\nx,d\n2,e\n' + more)
    source = project.run()
    assert source.outcome == outcome
    assert [cause.places for cause in source.causes] == [(("in/a.csv", 7),)]


def test_a_file_that_the_gate_refuses_blocks_itself_only(folder):
    """The loads behind it go on; the report tells both: what took effect, and what was judged and refused."""
    project = folder(PLAIN)
    project.words("on_new_version: replace")
    project.put("a", "1,a")
    project.put("b", "x,b 2,b")
    project.put("c", "3,c")
    project.put("d", "4,d y,d")
    report = project.whole()
    source = report.sources[0]
    assert project.rows() == "1,a 3,c"
    assert (report.exit_code, source.outcome, source.problem.where) == (1, "gated", "in/b.csv")
    assert (source.account.read, source.account.loaded, source.files_known) == (2, 2, ())
    assert (source.judged.read, source.judged.quarantined) == (4, 2)
    assert [(file.version.name, file.reason) for file in source.held] == [
        ("in/d.csv", "1 of 2 records quarantined (50.00%), at most 30.00% allowed (quarantine.max_share)")
    ]
    project.put("b", "2,b")
    project.put("d", "4,d")
    assert project.run().files_known == ("in/a.csv", "in/c.csv")
    assert project.rows() == "1,a 2,b 3,c 4,d"


def test_a_dry_run_judges_every_load(folder):
    """A dry run tells what a run would do with all files, not only with the first load of them, and leaves nothing."""
    project = folder(PLAIN)
    project.words("on_new_version: replace")
    for name in "abc":
        project.put(name, f"1,{name}")
    source = project.run(dry_run=True)
    assert (source.account.loaded, source.files_loaded, source.files_known) == (3, 3, ())
    assert not (project.root / "out").exists()
    assert project.run().account == source.account


def test_a_dry_run_says_which_references_it_cannot_judge(folder):
    """Parents of the same run are not written, so children are not called orphans; the report says so."""
    project = folder(KEYED)
    (project.root / "schemas" / "kid.yaml").write_text("fields: {of: integer}\nreferences: {of: s.id}\n")
    pipeline = project.root / "pipelines" / "p.yaml"
    kid = "  kid: {path: 'kids/*.csv', schema: kid, quarantine: {max_share: 0.6}}\n"
    pipeline.write_text(f"sources:\n  s: {{path: 'in/*.csv', schema: s}}\n{kid}destination: {{connection: target}}\n")
    project.put("a", "1,a 2,b")
    (project.root / "kids").mkdir()
    (project.root / "kids" / "k.csv").write_text("of\n1\n9\n")
    dry = project.whole(dry_run=True)
    assert [source.account.loaded for source in dry.sources] == [2, 2]
    assert dry.notices == ("dry run: kid is judged without reference.of: the parents' new rows are not written",)
    real = project.whole()
    assert ([source.account.loaded for source in real.sources], real.notices) == ([2, 1], ())
    (project.root / "kids" / "k2.csv").write_text("of\n2\n8\n")
    again = project.whole(dry_run=True)
    assert (again.sources[1].account.quarantined, again.notices) == (1, ())


def test_a_retyped_column_is_refused_by_its_name(folder):
    """Rows there of another type than the schema's cannot be compared: the destination's owner is told which."""
    project = folder(KEYED)
    project.put("a", "1,a")
    project.run()
    (project.root / "schemas" / "s.yaml").write_text("schema: s\nprimaryKey: id\nfields: {id: string, v: string}\n")
    project.put("b", "x,b")
    source = project.run()
    assert (source.problem.code, source.problem.exit_code) == ("destination", 4)
    assert "id is BIGINT, not VARCHAR" in source.problem.message
    assert project.rows() == "1,a"


def test_a_held_file_is_told_once(folder):
    """However many loads a run has, whoever listens hears of a file that cannot be read once, and the others go in."""
    project = folder(PLAIN)
    project.words("on_new_version: replace")
    project.put("a", "1,a")
    (project.root / "in" / "b.csv").write_bytes(b"id,w\n2,b\n")
    project.put("c", "3,c")
    heard: list[Event] = []
    report = run_pipeline(Project(project.root, "dev"), "p", emit=heard.append)
    assert report.exit_code == 8
    assert project.rows() == "1,a 3,c"
    assert len([event for event in heard if isinstance(event, LoadCommitted)]) == 2
    assert [event.file for event in heard if isinstance(event, FileHeld)] == ["in/b.csv"]
