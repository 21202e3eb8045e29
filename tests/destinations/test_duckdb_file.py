"""What is special about a DuckDB file: how it is born, opened, waited for, and read under lock and key."""

import os
import subprocess
import sys
import threading
from decimal import Decimal

import duckdb
import pytest

from pratique.destinations import open_destination
from pratique.destinations.duckdb_file import DuckDBLoad
from pratique.errors import ConfigurationError, DestinationError, DestinationLockedError, InternalError
from pratique.model import DuckQuery, Target
from pratique.testing.destination_suite import SuiteRows, load, marker_of, rows_on, visible

T = Target("sales")
A = (1, "ann", "1.10")
HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path):
    """A path for a database."""
    return tmp_path / "w.duckdb"


class Holder:
    """Another process that has the file open until it is told to close it."""

    def __init__(self, file, mode):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, file, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self):
        assert self.process.stdout.readline() == b"held\n"
        return self.process

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def can_open(file):
    """Whether another process can open the file for writing now."""
    code = f"import duckdb; duckdb.connect({str(file)!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def engine(paths, temporary):
    """A connection locked down as the engine's is."""
    connection = duckdb.connect()
    for name, value in (
        ("memory_limit", "'500MB'"),
        ("temp_directory", f"'{temporary}'"),
        ("allowed_paths", f"[{', '.join(repr(str(path)) for path in paths)}]"),
        ("allowed_directories", f"[{', '.join(repr(str(path)) for path in paths)}]"),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("python_enable_replacements", "false"),
        ("enable_external_access", "false"),
        ("allowed_configs", "['preserve_insertion_order']"),
        ("lock_configuration", "true"),
    ):
        connection.execute(f"SET {name} = {value}")
    return connection


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_locked_down_engine(kind, file, tmp_path):
    """Writing, merging and looking up work on a connection that may touch `paths()` and nothing else."""
    destination = open_destination(kind, file)
    connection = engine(destination.paths(), tmp_path / "temporary")
    for load_id, target in (("a1", T), ("b2", Target("sales", "merge", ("id",))), ("c3", Target("sales", "replace"))):
        lookup = destination.lookup()
        rows = rows_on(connection, [A, (ord(load_id[0]), load_id, None)], load_id)
        with lookup.existing("sales", ("id",), rows.duckdb) as found:
            assert (found is None) == (load_id == "a1")
            if found is not None:
                assert connection.execute(f"SELECT min(id) FROM ({found.duckdb.sql})").fetchall() == [(1,)]
        with destination.begin(load_id, lookup) as opened:
            opened.commit(marker_of(load_id, opened.write(rows, target), target))
        attached = "SELECT count(*) FROM duckdb_databases() WHERE NOT internal"
        assert connection.execute(attached).fetchall() == [(1,)]
    connection.close()
    assert visible(destination, "sales", ("id", "_load_id")) == [(1, "c3"), (99, "c3")]
    if kind == "duckdb":
        assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("w.")) == ["w.duckdb"]


def test_merge_updates_what_is_there(file):
    """A person who reads the file with DuckDB alone sees plain tables and one row per load and per file."""
    load(open_destination("duckdb", file), "a1", [A], T)
    with duckdb.connect(file) as connection:
        assert connection.execute("FROM sales").fetchall() == [(1, "ann", Decimal("1.10"), "a1")]
        sql = "SELECT load_id, sequence, pipeline, source, table_name, loaded FROM _pratique_loads"
        assert connection.execute(sql).fetchall() == [("a1", 1, "shop", "sales", "sales", 1)]
        assert connection.execute("FROM _pratique_files").fetchall() == [
            ("sales", "shop", "a1", "in/a1 é.csv", "ab" * 32, 12)
        ]
        assert connection.execute("SELECT count(*) FROM duckdb_constraints()").fetchall() == [(0,)]


def test_held_by_another_process(file):
    """A file that stays locked is an error that names the process and its command, and can be retried."""
    load(open_destination("duckdb", file), "a1", [A], T)
    with Holder(file, "write") as process:
        for action in (
            lambda destination: load(destination, "b2", [A], T),
            lambda destination: destination.markers("shop"),
            lambda destination: visible(destination, "sales"),
        ):
            with pytest.raises(DestinationLockedError) as caught:
                action(open_destination("duckdb", file, lock_timeout_seconds=0.1))
            assert caught.value.facts["pid"] == process.pid
            assert "held" in str(caught.value)
            assert "import sys, duckdb connection =" in str(caught.value), "the command of the holder, on one line"
            assert caught.value.hint
    assert visible(open_destination("duckdb", file), "sales", ("id",)) == [(1,)]


def test_a_reader_elsewhere_holds_a_writer_up(file):
    """Another process that only reads holds a load up, but no other reader."""
    load(open_destination("duckdb", file), "a1", [A], T)
    with Holder(file, "read"):
        assert len(open_destination("duckdb", file).markers("shop")) == 1
        with pytest.raises(DestinationLockedError):
            load(open_destination("duckdb", file, lock_timeout_seconds=0.1), "b2", [A], T)


def test_waited_for(file):
    """A file that becomes free in time is waited for."""
    load(open_destination("duckdb", file), "a1", [A], T)
    with Holder(file, "write") as process:
        threading.Timer(0.3, process.stdin.close).start()
        load(open_destination("duckdb", file, lock_timeout_seconds=20), "b2", [A], T)
    assert len(open_destination("duckdb", file).markers("shop")) == 2


def test_never_opened_twice_in_one_process(file):
    """While a load is open no other part of this process touches the file: a second opening would unlock it for all."""
    destination = open_destination("duckdb", file, lock_timeout_seconds=0.1)
    connection = duckdb.connect()
    with destination.begin("a1") as opened:
        opened.write(rows_on(connection, [A], "a1"), T)
        with pytest.raises(DestinationLockedError) as caught:
            destination.markers("shop")
        assert caught.value.facts["pid"] == os.getpid()
        assert not can_open(file)
    assert can_open(file)


def test_open_in_a_connection_of_this_process(file):
    """A connection of the same process is named as such, at once."""
    load(open_destination("duckdb", file), "a1", [A], T)
    with duckdb.connect(file), pytest.raises(DestinationLockedError, match="this process"):
        load(open_destination("duckdb", file), "b2", [A], T)


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_threads_take_turns(kind, file):
    """Loads from several threads into one place happen one after another, and all of them."""
    destination = open_destination(kind, file)
    work = [threading.Thread(target=load, args=(destination, f"t{n}", [A], T)) for n in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(marker.sequence for marker in destination.markers("shop")) == [1, 2, 3, 4]
    assert len(visible(destination, "sales")) == 4


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\0" * 4096])
def test_not_a_database(file, content):
    """A file that is no DuckDB database is refused and left byte for byte."""
    file.write_bytes(content)
    for action in (load_one, ask):
        with pytest.raises(DestinationError, match=r"not a valid DuckDB") as caught:
            action(open_destination("duckdb", file))
        assert "another path" in caught.value.hint
    assert file.read_bytes() == content


def load_one(destination):
    """Load a record."""
    load(destination, "a1", [A], T)


def ask(destination):
    """Ask for markers."""
    destination.markers("shop")


def test_an_encrypted_database(file):
    """An encrypted database is refused with a hint."""
    with duckdb.connect() as connection:
        connection.execute("SET force_mbedtls_unsafe = 'true'")
        connection.execute(f"ATTACH '{file}' AS e (ENCRYPTION_KEY 'abc')")
    with pytest.raises(DestinationError, match="encrypted") as caught:
        load_one(open_destination("duckdb", file))
    assert "another path" in caught.value.hint


def test_a_log_without_its_database(file):
    """Where only the write-ahead log is left no new database is made over it."""
    wal = file.with_name(file.name + ".wal")
    wal.write_bytes(b"bytes of a lost database")
    with pytest.raises(DestinationError, match="write-ahead log"):
        load_one(open_destination("duckdb", file))
    assert not file.exists()
    assert wal.read_bytes() == b"bytes of a lost database"


def test_leftovers_of_a_creation(file):
    """Half-born files of killed processes are removed, those of living ones and other files stay."""
    dead = file.with_name(f".{file.name}.creating-4194399")
    alive = file.with_name(f".{file.name}.creating-{os.getppid()}")
    other = file.with_name(".x.creating-4194399")
    for path in (dead, alive, other):
        path.write_bytes(b"half")
    load_one(open_destination("duckdb", file))
    assert not dead.exists()
    assert alive.exists()
    assert other.exists()


class LostAnswer(DuckDBLoad):
    """A load whose COMMIT happens, but whose caller is told of an error: the second COMMIT finds no transaction."""

    def _write_marker(self, connection, marker):
        super()._write_marker(connection, marker)
        connection.execute("COMMIT")


def test_a_lost_answer_to_commit(file):
    """After an error at COMMIT the marker is asked for: a load that is there is no error and not repeated."""
    with duckdb.connect() as connection, LostAnswer(file, 5, "a1", None) as opened:
        stored = opened.commit(marker_of("a1", opened.write(rows_on(connection, [A], "a1"), T), T))
    destination = open_destination("duckdb", file)
    assert destination.markers("shop") == (stored,)
    load_one(destination)
    assert visible(destination, "sales", ("id",)) == [(1,)]


def test_one_load_one_connection(file):
    """The tables of one load cannot come over two connections: they would not commit together."""
    with open_destination("duckdb", file).begin("a1") as opened:
        opened.write(rows_on(duckdb.connect(), [A], "a1"), T)
        with pytest.raises(InternalError):
            opened.write(rows_on(duckdb.connect(), [A], "a1"), T)
    assert open_destination("duckdb", file).markers("shop") == ()


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_rows_that_break_off(kind, file):
    """An error while the rows are read ends the load as an error of ours, without a trace."""
    connection = duckdb.connect()
    query = DuckQuery(connection, "SELECT i AS id FROM range(1000000) r(i)")
    rows = SuiteRows(query, SuiteRows(query, ()).columns)
    rows.columns = (rows_on(connection, [], "x").columns[0],)
    rows.duckdb = DuckQuery(connection, "SELECT if(i = 999999, error('broken'), i) AS id FROM range(1000000) r(i)")
    destination = open_destination(kind, file)
    with pytest.raises(DestinationError, match="broken"), destination.begin("a1") as opened:
        opened.write(rows, T)
    assert destination.markers("shop") == ()
    assert visible(destination, "sales", ("id",)) is None
    assert list(file.parent.rglob("part-*")) == []


@pytest.mark.parametrize("name", ["", ".", "a.b.c", "_pratique_loads", "main._pratique_files"])
@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_names_of_tables(kind, name, file):
    """A name that is no `table` or `dataset.table`, or is ours, is the config author's error."""
    with pytest.raises(ConfigurationError):
        load(open_destination(kind, file), "a1", [A], Target(name))


def test_types_of_destinations(tmp_path):
    """An unknown type is refused with the nearest known one."""
    with pytest.raises(ConfigurationError) as caught:
        open_destination("duckbd", tmp_path)
    assert "duckdb" in caught.value.hint


def test_open_loads_no_driver():
    """Importing the room costs no driver."""
    code = "import sys, pratique.destinations; sys.exit(bool({'duckdb', 'pyarrow', 'numpy'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
