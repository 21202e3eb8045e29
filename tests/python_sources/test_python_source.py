"""`type: python`: a program of the project's owner is a source like any; its faults are told with its file and line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import forked
import pytest

from pratique.testing import SourcePlace, SourceSuite
from pratique.testing.landing_suite import Record, texts

SECRET = "canary-py-77/ä"  # noqa: S105 - of a server that does not exist
READ = '''
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent.parent / "there"


def asked(connection):
    """Count how often we were asked, and fail as the test wants it."""
    with (HERE / "asked").open("a") as file:
        file.write("x")
    left = int((HERE / "broken").read_text()) if (HERE / "broken").exists() else 0
    if left:
        (HERE / "broken").write_text(str(left - 1))
        raise ConnectionError("no answer with " + connection["token"])
    if (HERE / "refused").exists():
        raise PermissionError("wrong token " + connection["token"])


def record(line):
    text = json.loads(line)
    return {
        "id": int(text["id"]),
        "note": text["note"],
        "amount": text["amount"] and Decimal(text["amount"]),
        "at": text["at"] and datetime.fromisoformat(text["at"]),
    }
'''
FUNCTION = (
    READ
    + """

def orders(connection, since):
    print("token", connection["token"])
    asked(connection)
    for line in (HERE / "records").read_text().splitlines():
        found = record(line)
        if since is None or found["id"] > int(since):
            yield found
"""
)
CLASS = (
    READ
    + """

class Orders:
    def __init__(self, connection):
        self.connection = connection

    def records(self):
        asked(self.connection)
        yield [record(line) for line in (HERE / "records").read_text().splitlines()]
"""
)


def place_of(root: Path, program: str, name: str, **words: object) -> SourcePlace:
    """A project whose program reads records out of a file."""
    there = root / "there"
    there.mkdir()
    (there / "records").touch()
    (root / "sources").mkdir()
    (root / "sources" / "shop.py").write_text(program, encoding="utf-8")

    def put(records: Sequence[Record]) -> None:
        with (there / "records").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(texts(record)) + "\n" for record in records)

    def attempts() -> int:
        return len((there / "asked").read_text()) if (there / "asked").exists() else 0

    return SourcePlace(
        root,
        {"type": "python", "use": f"sources/shop.py:{name}", "connection": "shop", **words},
        put,
        connections={"shop": {"url": "https://shop.example", "token": "${SHOP_TOKEN}"}},
        secrets={"SHOP_TOKEN": SECRET},
        limits=("unpacked_bytes_max", "record_bytes_max"),
        attempts=attempts,
        disturb=lambda times: (there / "broken").write_text(str(times)) and None,
        refuse=(there / "refused").touch,
        program=[forked.program()],
    )


class TestFunction(SourceSuite):
    """A generator that begins after a cursor."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """Its project."""
        return place_of(tmp_path, FUNCTION, "orders", cursor={"field": "id"})


class TestClass(SourceSuite):
    """A class that gives all records each time, page by page."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """Its project."""
        return place_of(tmp_path, CLASS, "Orders")


@pytest.fixture
def project(tmp_path: Path):
    """Write a program and run it: exit code, what is told, and the rows."""
    for name, text in {
        "config/default.yaml": "connections: {lake: {url: duckdb://lake.duckdb}}\n",
        "schemas/orders.yaml": "fields: {id: integer, note: string, amount: 'decimal(9,2)'}\n",
        "pipelines/shop.yaml": "sources: {orders: {type: python, use: 'sources/shop.py:orders'}}\n"
        "destination: {connection: lake}\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    (tmp_path / "sources").mkdir()

    def run(program: str, *words: str) -> tuple[int, str, str]:
        (tmp_path / "sources" / "shop.py").write_text(program)
        done = forked.pratique(*(words or ("run", "shop")), "--project", ".", cwd=tmp_path, env={"COLUMNS": "200"})
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    run.root = tmp_path
    return run


def rows(root: Path) -> list[tuple[object, ...]]:
    """What the destination holds."""
    with duckdb.connect(str(root / "lake.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT id, note, amount FROM orders ORDER BY id").fetchall()


def test_what_a_program_raises_is_told_with_its_line_and_kept_in_the_log(project) -> None:
    """An error names the owner's file and line; the whole way to it stands in the log."""
    program = (
        "def inner():\n    return 1 / 0\n\ndef orders():\n    yield {'id': 1, 'note': 'a', 'amount': 1}\n    inner()\n"
    )
    code, out, _ = project(program)
    assert code == 3
    assert "sources/shop.py:2" in out
    assert "ZeroDivisionError: division by zero" in out
    assert not (project.root / "lake.duckdb").exists()
    log = (project.root / "logs" / "pipeline.log").read_text()
    assert 'sources/shop.py", line 6, in orders' in log
    assert 'sources/shop.py", line 2, in inner' in log
    done = forked.pratique("--debug", "probe", "--project", project.root)
    assert done.returncode == 3
    assert 'sources/shop.py", line 2, in inner' in done.stderr


@pytest.mark.parametrize(
    ("program", "place", "message"),
    [
        ("def orders():\n    yield 1\n", "shop.py:2", "gave int, which is no record"),
        ("def orders():\n    yield {1: 2}\n", "shop.py:2", "gave dict, which is no record"),
        ("def orders():\n    yield {'id': 1, 'note': b'x', 'amount': 1}\n", "shop.py:2", "bytes is no value"),
        ("def orders():\n    exit(3)\n    yield {}\n", "shop.py:2", "raised SystemExit"),
        ("def orders():\n    return None\n", "shop.py", "raised TypeError"),
        ("class orders:\n    pass\n", "shop.py", "neither a function nor a class with a method `records`"),
        ("def orders(shop):\n    yield {}\n", "shop.py", "asks for 'shop', which nobody gives"),
        ("import nothing_like_it\norders = 1\n", "shop.py:1", "No module named 'nothing_like_it'"),
    ],
)
def test_a_program_that_is_wrong_is_told_where(project, program: str, place: str, message: str) -> None:
    """Whatever is wrong with it, the place in the owner's file and what to do are told."""
    code, out, err = project(program)
    assert code in {2, 3}
    assert place in out + err
    assert message in out + err
    assert "do:" in out + err or "action" in out + err


def test_values_arrive_as_they_are(project) -> None:
    """Numbers with all digits, not by way of a float; what is no number is quarantined with its text, not changed."""
    program = (
        "from decimal import Decimal\nimport numpy\ndef orders():\n"
        "    yield {'id': 1, 'note': 'a', 'amount': Decimal('1234567.89')}\n"
        "    yield [{'id': numpy.int64(2), 'note': None, 'amount': 0.1}]\n"
        "    yield ({'id': 10**18, 'note': 'x', 'amount': '2.50'},)\n"
        "    for n in range(40): yield {'id': 100 + n, 'note': 'y', 'amount': 1}\n"
        "    yield {'id': 3, 'note': 'nan', 'amount': float('nan')}\n"
        "    yield {'id': 4, 'note': 'half \\ud83d', 'amount': 1}\n"
        "    yield {'id': 5, 'note': 'more', 'amount': 1, 'extra': 1}\n"
    )
    code, out, _ = project(program)
    assert code == 0, out
    assert [row for row in rows(project.root) if not 100 <= row[0] < 200] == [
        (1, "a", Decimal("1234567.89")),
        (2, None, Decimal("0.10")),
        (10**18, "x", Decimal("2.50")),
    ]
    _, listed, _ = project(program, "quarantine", "list")
    assert "Q1  3  orders.malformed  NaN is not a JSON number" in listed
    _, shown, _ = project(program, "quarantine", "show", "Q1", "--json")
    assert "unknown field 'extra'" in shown
    assert "half a character" in shown


def test_arrow_tables_are_records_too(project) -> None:
    """A program may give Arrow tables and batches in place of dicts."""
    code, out, _ = project(
        "import pyarrow as pa\ndef orders():\n"
        "    yield pa.table({'id': [1, 2], 'note': ['a', None], 'amount': ['1.5', '2']})\n"
        "    yield from pa.table({'id': [3], 'note': ['c'], 'amount': ['3']}).to_batches()\n"
    )
    assert code == 0, out
    assert [row[:2] for row in rows(project.root)] == [(1, "a"), (2, None), (3, "c")]


def test_what_a_program_prints_is_not_in_the_report(project) -> None:
    """`--json` stays JSON whatever a program prints; its words are on stderr."""
    program = "def orders():\n    print('hello')\n    yield {'id': 1, 'note': 'a', 'amount': 1}\n"
    code, out, err = project(program, "run", "shop", "--json")
    assert code == 0
    assert json.loads(out)["outcome"] == "done"
    assert "hello" in err


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("data/shop.py:orders", "is not in the folder sources"),
        ("sources/../data/shop.py:orders", "is not in the folder sources"),
        ("sources/link.py:orders", "is not in the folder sources"),
        ("sources/none.py:orders", "cannot be read"),
        ("sources/shop.py:ordres", 'did you mean "orders"?'),
        ("sources/bad.py:orders", "it is no Python"),
        ("shopp", "no package that is installed gives a source"),
    ],
)
def test_only_programs_of_the_owner_are_run_and_mistakes_are_told_before(project, use: str, message: str) -> None:
    """A plan finds the program without running it; what was sent into a data folder is never run."""
    root = project.root
    (root / "data").mkdir()
    evil = "open('ran', 'w')\ndef orders():\n    yield {}\n"
    (root / "data" / "shop.py").write_text(evil)
    (root / "sources" / "bad.py").write_text("def orders(:\n")
    (root / "sources" / "link.py").symlink_to(root / "data" / "shop.py")
    pipeline = root / "pipelines" / "shop.yaml"
    pipeline.write_text(pipeline.read_text().replace("sources/shop.py:orders", use))
    for words in (("lint",), ("run", "shop")):
        code, out, err = project(evil, *words)
        assert code in {1, 2}
        assert message in (out + err).replace("\n      ", " ")
    assert not (root / "ran").exists()


def test_a_package_gives_a_source_by_its_entry_point(project, tmp_path_factory, monkeypatch) -> None:
    """An installed package names its source in the group `pratique.sources`."""
    site = tmp_path_factory.mktemp("site")
    (site / "shop_source.py").write_text("def orders():\n    yield {'id': 1, 'note': 'a', 'amount': 1}\n")
    info = site / "shop_source-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-source\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pratique.sources]\nshop = shop_source:orders\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))
    pipeline = project.root / "pipelines" / "shop.yaml"
    pipeline.write_text(pipeline.read_text().replace("'sources/shop.py:orders'", "shop"))
    command = [sys.executable, "-m", "pratique", "run", "shop", "--project", project.root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(project.root)[0][:2] == (1, "a")


def test_a_cursor_of_moments_looks_back(project) -> None:
    """`since` is the greatest moment of the last run less the look-back; a cursor that changes its kind is told."""
    root = project.root
    (root / "schemas" / "orders.yaml").write_text("primaryKey: id\nfields: {id: integer, at: datetime}\n")
    pipeline = root / "pipelines" / "shop.yaml"
    pipeline.write_text(
        pipeline.read_text().replace("orders'}", "orders', cursor: {field: at, lookback: 10m, start: '2026'}}")
    )
    program = (
        "from datetime import datetime\ndef orders(since):\n    print('since', since)\n"
        "    yield {'id': 1, 'at': datetime(2026, 1, 1, 10)}\n    yield {'id': 2, 'at': datetime(2026, 1, 1, 9)}\n"
    )
    assert "since 2026\n" in project(program)[2]
    assert "since 2026-01-01T09:50:00\n" in project(program)[2]
    code, out, _ = project("def orders():\n    yield {'id': 3, 'at': 'soon'}\n")
    assert code == 3
    assert "the cursor at of orders is a datetime, now str" in " ".join(out.split())


def test_no_record_keeps_the_rows(project) -> None:
    """A program that gives nothing empties no table, not even one that is replaced."""
    pipeline = project.root / "pipelines" / "shop.yaml"
    pipeline.write_text(pipeline.read_text().replace("orders'}", "orders', write: replace}"))
    assert project("def orders():\n    yield {'id': 1, 'note': 'a', 'amount': 1}\n")[0] == 0
    code, out, _ = project("def orders():\n    return []\n")
    assert code == 0
    assert "it gave no record; the table keeps its rows" in out
    assert len(rows(project.root)) == 1


def test_a_folder_of_parquet_that_another_loader_writes_is_a_source(tmp_path: Path) -> None:
    """Files that another program writes, in folders by value and with names of its own, are read; new ones are new."""
    for name, text in {
        "config/default.yaml": "connections: {lake: {url: duckdb://lake.duckdb}}\n",
        "schemas/orders.yaml": "fields: {id: integer, note: string, year: {from: path.year, type: integer}}\n",
        "pipelines/shop.yaml": "sources: {orders: {path: 'out/year={year}/*.parquet', schema: orders}}\n"
        "destination: {connection: lake}\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    for run, count in ((1, 4), (2, 8)):
        with duckdb.connect() as loader:
            loader.execute(
                f"COPY (SELECT {run} * 10 + range AS id, 'n' AS note, 2025 + range % 2 AS year FROM range(4)) TO "
                f"'{tmp_path}/out' (FORMAT parquet, PARTITION_BY (year), APPEND, FILENAME_PATTERN 'part_{{uuid}}')"
            )
        done = forked.pratique("run", "shop", "--project", tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        with duckdb.connect(str(tmp_path / "lake.duckdb"), read_only=True) as lake:
            assert lake.execute("SELECT count(*), count(DISTINCT id), min(year) FROM orders").fetchone() == (
                count,
                count,
                2025,
            )
