"""Faults below a destination, made for real: nothing is lost or doubled, and the error says who must act."""

import errno
import importlib
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from pratique.destinations import open_destination
from pratique.destinations.parquet_folder import FILE_ROWS
from pratique.destinations.parquet_manifest import Manifest, newest, publish
from pratique.errors import ConfigurationError, DestinationError, InternalError
from pratique.model import Column, DuckQuery, Target, Written
from pratique.testing.destination_suite import SuiteRows, load, marker_of, rows_on, visible

T = Target("sales")
A = (1, "ann", "1.10")
LOADER = Path(__file__).with_name("loader.py")
LINKLESS = Path(__file__).with_name("linkless.py")
NOBODY = 65534
COLUMNS = "(id BIGINT, name VARCHAR, amount DECIMAL(12,2), _load_id VARCHAR)"


@contextmanager
def limited(kind, limit):
    """Lower a limit of this process for a while."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def load_linkless(refusal, file):
    """Load where the kernel refuses links; how it ended and what it said."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, LINKLESS, refusal, file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("refusal", ["EPERM", "EOPNOTSUPP", "ENOSYS"])
def test_a_file_system_without_links(refusal, tmp_path):
    """A DuckDB file is born there too, whole, and nothing is left beside it."""
    assert load_linkless(refusal, tmp_path / "w.duckdb") == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["w.duckdb"]
    assert visible(open_destination("duckdb", tmp_path / "w.duckdb"), "sales", ("id",)) == [(1,)]


def test_a_database_that_cannot_get_its_name(tmp_path):
    """Any other refusal is the destination owner's, and nothing is left that blocks the next load."""
    code, told = load_linkless("EACCES", tmp_path / "w.duckdb")
    assert (code, told.split(":")[0]) == (1, "destination")
    assert "Permission denied" in told
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def simple_user():
    """The rest of the test is run by a user without rights over others; the folder given is hers."""
    importlib.import_module("pyarrow.parquet")  # while we may read it
    with tempfile.TemporaryDirectory() as name:
        user = os.getuid() or NOBODY
        os.chown(name, user, -1)
        os.setresuid(user, user, -1)
        try:
            yield Path(name)
        finally:
            os.setresuid(os.getresuid()[2], os.getresuid()[2], -1)


def test_a_leftover_of_another_user(simple_user):
    """A half-born file whose process lives under another user stays: it may become a database yet."""
    foreign = simple_user / ".w.duckdb.creating-1"
    nobody = simple_user / ".w.duckdb.creating-99999999999"
    foreign.write_bytes(b"half")
    nobody.write_bytes(b"no number of a process, so not ours")
    load(open_destination("duckdb", simple_user / "w.duckdb"), "a1", [A], T)
    assert foreign.exists()
    assert nobody.exists()


@pytest.mark.parametrize("action", ["markers", "lookup", "load"])
@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_a_folder_that_we_may_not_enter(simple_user, kind, action):
    """Without the right to look, nothing is taken for empty: the place and the missing right are told."""
    simple_user.chmod(0)
    with pytest.raises(DestinationError, match="Permission denied") as caught:
        ACTIONS[action](open_destination(kind, simple_user / "w"))
    assert caught.value.where.startswith(str(simple_user))
    simple_user.chmod(0o700)
    assert [*simple_user.iterdir()] == []


ACTIONS = {
    "markers": lambda destination: destination.markers("shop"),
    "lookup": lambda destination: visible(destination, "sales"),
    "load": lambda destination: load(destination, "b2", [A], T),
}
FOREIGN = {
    "markers of another form": (["CREATE TABLE _pratique_loads (note VARCHAR)"], ["markers", "lookup", "load"]),
    "markers with other columns": (
        ["CREATE TABLE _pratique_loads (load_id VARCHAR, pipeline VARCHAR, sequence BIGINT, marker VARCHAR)"],
        ["load"],
    ),
    "a view of a lost table": (
        [f"CREATE TABLE t {COLUMNS}", "CREATE VIEW sales AS FROM t", "DROP TABLE t"],
        ["lookup", "load"],
    ),
}


@pytest.mark.parametrize(
    ("statements", "action"), [(made, action) for made, actions in FOREIGN.values() for action in actions]
)
def test_tables_that_others_made(statements, action, tmp_path):
    """A table under a name of ours, or a view that leads nowhere, is told as such; the file stays as it is."""
    file = tmp_path / "w.duckdb"
    with duckdb.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)
    with pytest.raises(DestinationError) as caught:
        ACTIONS[action](open_destination("duckdb", file))
    assert "its tables are not as Pratique made them" in caught.value.hint
    with duckdb.connect(file) as connection:
        names = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        assert names <= {"_pratique_loads"}
        assert all(connection.execute(f"FROM {name}").fetchall() == [] for name in names)


@pytest.mark.parametrize("promise", ["CHECK (amount < 1)", "CHECK (name IS NULL)"])
def test_a_table_that_asks_more_than_the_schema(promise, tmp_path):
    """Who made the table learns which promise of it a row breaks, and that the schema should say it, too."""
    file = tmp_path / "w.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute(f"CREATE TABLE sales {COLUMNS[:-1]}, {promise})")
    with pytest.raises(DestinationError, match="Constraint Error") as caught:
        load(open_destination("duckdb", file), "b2", [A], T)
    assert "the table asks more of a row than the schema" in caught.value.hint


def test_a_damaged_block(tmp_path):
    """Markers are whole, or their file is told to be damaged: never is one of them missing in silence."""
    file = tmp_path / "w.duckdb"
    destination = open_destination("duckdb", file)
    for load_id in ("a1", "b2"):
        load(destination, load_id, [A], T)
    markers, sound, told = destination.markers("shop"), file.read_bytes(), []
    for at in range(100, len(sound), 1 << 16):
        file.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        try:
            assert destination.markers("shop") == markers
        except DestinationError as error:
            told.append(error.hint)
    assert any("restore it from a backup" in hint for hint in told), told
    assert all(told)
    file.write_bytes(sound)
    assert destination.markers("shop") == markers


@pytest.mark.parametrize("name", ["a/b", "a*", "_mine", "data[1].x"])
def test_names_that_are_no_folders(name, tmp_path):
    """A table whose name would lead elsewhere, or be a pattern, is the config author's error."""
    with pytest.raises(ConfigurationError, match="cannot name a folder"):
        load(open_destination("parquet", tmp_path / "lake"), "a1", [A], Target(name))


def test_a_damaged_data_file(tmp_path):
    """A live file that is no Parquet file any more is named to the destination owner."""
    destination = open_destination("parquet", tmp_path)
    load(destination, "a1", [A], T)
    (part,) = tmp_path.rglob("part-*")
    part.write_bytes(part.read_bytes()[:-4] + b"NONE")
    with pytest.raises(DestinationError, match="another hash") as caught:
        visible(destination, "sales")
    assert caught.value.where == str(part)
    assert "restore it from a backup" in caught.value.hint


def test_a_connection_that_may_not_read_the_folder(tmp_path):
    """An engine that was not given the destination's paths is refused; the sound files are not called damaged."""
    destination = open_destination("parquet", tmp_path)
    load(destination, "a1", [A], T)
    with duckdb.connect() as connection:
        connection.execute("SET enable_external_access = false")
        keys = DuckQuery(connection, "SELECT 1 AS id")
        with (
            pytest.raises(DestinationError, match="Permission Error"),
            destination.lookup().existing("sales", (), keys),
        ):
            pytest.fail("not reached")


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_an_error_while_rows_are_looked_at_stays_what_it_is(kind, tmp_path):
    """A promise of ours that did not hold is not put down to a destination whose files are sound."""
    destination = open_destination(kind, tmp_path / "w")
    load(destination, "a1", [A], T)
    with pytest.raises(InternalError, match="ours"), destination.lookup().existing("sales", ("id",), None):
        raise InternalError("ours")


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_the_disk_is_full_when_the_marker_comes(kind, tmp_path):
    """Rows were written, their marker finds no space: neither is visible, and the place is free for other processes."""
    destination = open_destination(kind, tmp_path / "w")
    load(destination, "a1", [A], T)
    with duckdb.connect() as connection, destination.begin("b2") as opened:
        written = opened.write(rows_on(connection, [A], "b2"), T)
        with limited(resource.RLIMIT_FSIZE, 100), pytest.raises(DestinationError, match="no space left"):
            opened.commit(marker_of("b2", written, T))
        opened.__exit__(None, None, None)  # the engine's connection stays open for the next load
        elsewhere = [sys.executable, LOADER, kind, tmp_path / "w", "c3"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run(elsewhere, env=environment, check=True, timeout=60)
    assert [marker.load_id for marker in destination.markers("shop")] == ["a1", "c3"]
    assert [name for (name,) in visible(destination, "sales", ("_load_id",))] == ["a1"] + ["c3"] * 20
    assert len([*tmp_path.rglob("part-*")]) == 2 * (kind == "parquet")
    assert [*tmp_path.rglob("*.tmp")] == []
    load(destination, "b2", [A], T)
    assert len(visible(destination, "sales")) == 22


def test_more_rows_than_one_file_holds(tmp_path):
    """A load of more rows than one Parquet file may have is split; all of them are there, once."""
    destination = open_destination("parquet", tmp_path)
    count = FILE_ROWS + 1000
    with duckdb.connect() as connection, destination.begin("a1") as opened:
        query = DuckQuery(connection, f"SELECT i // 1000 AS id FROM range({count}) r(i)")
        written = opened.write(SuiteRows(query, (Column("id", "integer"),)), T)
        opened.commit(marker_of("a1", written, T))
    assert written == Written(count)
    files = newest(tmp_path).tables["sales"].files
    assert (len(files), sum(file.rows for file in files)) == (2, count)
    assert max(file.rows for file in files) <= FILE_ROWS
    with destination.lookup().existing("sales", ("id",), None) as found:
        assert found.count == count


def next_manifest(root, load_id):
    """What a second load would publish."""
    return Manifest(2, newest(root).tables, marker_of(load_id, Written(0), T))


def test_a_lost_answer_to_publishing(tmp_path):
    """The link was made, and refused when the network asked again: what stands there is ours, so it is no error."""
    destination = open_destination("parquet", tmp_path)
    load(destination, "a1", [A], T)
    folder = tmp_path / "_manifest"

    def linked_before():
        (young,) = folder.glob("*.tmp")
        os.link(young, folder / "000000000002.json")

    publish(tmp_path, next_manifest(tmp_path, "b2"), linked_before)
    assert [marker.load_id for marker in destination.markers("shop")] == ["a1", "b2"]
    assert [*folder.glob("*.tmp")] == []


def test_a_publication_that_the_disk_does_not_confirm(tmp_path):
    """The error says that the load is visible; the next run finds its marker and repeats nothing."""
    destination = open_destination("parquet", tmp_path)
    load(destination, "a1", [A], T)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with pytest.raises(DestinationError, match="is visible, but the disk did not confirm it") as caught:
            publish(
                tmp_path,
                next_manifest(tmp_path, "b2"),
                lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1])),  # no folder can be opened now
            )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caught.value.__cause__.errno == errno.EMFILE
    assert "asks for the marker first" in caught.value.hint
    load(destination, "b2", [A], T)
    assert [marker.load_id for marker in destination.markers("shop")] == ["a1", "b2"]
    assert len(visible(destination, "sales")) == 1


def test_a_lock_that_cannot_be_opened(tmp_path):
    """A folder where the lock file should be is told with its name."""
    (tmp_path / "_manifest" / ".lock").mkdir(parents=True)
    for action in (ACTIONS["load"], ACTIONS["lookup"]):
        with pytest.raises(DestinationError, match=r"Is a directory.*\.lock"):
            action(open_destination("parquet", tmp_path))
