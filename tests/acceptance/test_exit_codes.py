"""Every exit code through the real command line: what a person sees, what a program reads, and what a signal leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
import forked
import pytest

from pratique.ledger import open_ledger

SCHEMA = "primaryKey: id\nfields:\n  id: integer\n  amount: {type: integer, minimum: 0}\n"
PIPELINE = """sources:
  orders: {type: files, path: in/orders.csv, schema: orders}
destination: {connection: target, write: append}
"""
SECOND = PIPELINE.replace("destination:", "  more: {type: files, path: in/more.csv, schema: more}\ndestination:")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that works as it is."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text(
        "connections:\n  target: {url: 'duckdb://out.duckdb'}\nlimits: {lock_timeout_seconds: 0}\n"
    )
    (tmp_path / "schemas" / "orders.yaml").write_text(SCHEMA)
    (tmp_path / "schemas" / "more.yaml").write_text(SCHEMA)
    (tmp_path / "pipelines" / "shop.yaml").write_text(PIPELINE)
    (tmp_path / "in" / "orders.csv").write_text("id,amount\n1,10\n2,20\n")
    return tmp_path


def command(root: Path, *options: str) -> list[str]:
    """The words of `pratique run shop` for this project."""
    return [sys.executable, "-m", "pratique", "run", "shop", "--project", str(root), *options]


def pratique(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the pipeline as a process of its own."""
    return forked.pratique("run", "shop", "--project", root, *options)


# --- the table --------------------------------------------------------------------------------------------------


def works(_: Path, __: ExitStack) -> None:
    """Nothing is wrong."""


def bad_records(root: Path, _: ExitStack) -> None:
    """Half the records are not what the schema says."""
    (root / "in" / "orders.csv").write_text("id,amount\n1,10\n2,many\n")


def misspelt_key(root: Path, _: ExitStack) -> None:
    """A word of the pipeline is misspelt."""
    (root / "pipelines" / "shop.yaml").write_text(PIPELINE.replace("schema: orders", "shema: orders"))


def missing_file(root: Path, _: ExitStack) -> None:
    """The input has another name."""
    (root / "in" / "orders.csv").rename(root / "in" / "orders_1.csv")


def destination_held(root: Path, stack: ExitStack) -> None:
    """Another process, this one, has the database open."""
    stack.enter_context(duckdb.connect(str(root / "out.duckdb")))


def damaged_ledger(root: Path, _: ExitStack) -> None:
    """The ledger is no database any more."""
    (root / ".pratique").mkdir(mode=0o700)
    (root / ".pratique" / "ledger.sqlite").write_text("this is no database, but it is long enough to be one\n" * 99)


def runs_already(root: Path, stack: ExitStack) -> None:
    """This process runs the pipeline."""
    ledger = open_ledger(root / ".pratique" / "ledger.sqlite")
    stack.callback(ledger.close)
    stack.enter_context(ledger.begin("shop", "dev"))


def one_of_two(root: Path, _: ExitStack) -> None:
    """One source is there, the other is not."""
    (root / "pipelines" / "shop.yaml").write_text(SECOND)


@dataclass(frozen=True)
class Case:
    """What is wrong, the exit code, and what a person must read: what, where, what next."""

    code: int
    damage: Callable[[Path, ExitStack], None]
    what: str
    where: str
    what_next: str
    options: tuple[str, ...] = ()


CASES = [
    Case(0, works, "DONE · exit 0", "orders   loaded", "pratique runs show"),
    Case(0, works, "DRY RUN · DONE · exit 0", "would load", "pratique run shop", ("--dry-run",)),
    Case(1, bad_records, "1 of 2 records quarantined (50.00%)", "in/orders.csv line 3", "correct it"),
    Case(2, misspelt_key, 'unknown key "shema"', "shop.yaml:2:", '"schema"'),
    Case(2, works, "there is no environment", "config", "known environments", ("--env", "prdo")),
    Case(2, works, "there is no option", "--dryrun", "pratique run --help", ("--dryrun",)),
    Case(3, missing_file, "no file", "in/orders.csv", "orders_1.csv"),
    Case(4, destination_held, "held by process", "out.duckdb", "limits.lock_timeout_seconds"),
    Case(5, damaged_ledger, "damaged or not a ledger", "ledger.sqlite", "mv "),
    Case(6, runs_already, "runs shop since", "process", "wait for it to end"),
    Case(8, one_of_two, "PARTIAL · exit 8", "in/more.csv", "pratique runs show"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.damage.__name__}-{'-'.join(case.options)}")
def test_each_code_says_what_where_and_what_next(case: Case, root: Path) -> None:
    """The process ends with the code of its class and prints what happened, where, and what to do; no traceback."""
    if "--env" in case.options:
        (root / "config" / "prod.yaml").write_text("")
    with ExitStack() as stack:
        case.damage(root, stack)
        done = pratique(root, *case.options)
    printed = "".join((done.stdout + done.stderr).split())  # a report breaks a line where it must
    assert done.returncode == case.code, printed
    for part in (case.what, case.where, case.what_next):
        assert "".join(part.split()) in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.damage.__name__}-{'-'.join(case.options)}")
def test_each_code_is_one_line_of_json(case: Case, root: Path) -> None:
    """With --json there is one line of JSON with the exit code: a report on stdout, or on stderr why there is none."""
    if "--env" in case.options:
        (root / "config" / "prod.yaml").write_text("")
    with ExitStack() as stack:
        case.damage(root, stack)
        done = pratique(root, "--json", *case.options)
    (line,) = (done.stdout + done.stderr).splitlines()
    told = json.loads(line)
    assert told["exit_code"] == done.returncode == case.code
    assert bool(done.stdout) == ("sources" in told)


def test_strict_makes_a_held_record_exit_code_1(root: Path) -> None:
    """--strict is for those who want no held record at all: the good ones are loaded, the code is 1."""
    rows = "".join(f"{number},1\n" for number in range(40))
    (root / "in" / "orders.csv").write_text(f"id,amount\n{rows}99,many\n")
    done = pratique(root, "--strict")
    assert done.returncode == 1
    assert "40 +" in done.stdout
    assert "orders.amount.type" in done.stdout


# --- a signal ---------------------------------------------------------------------------------------------------


def big(root: Path, rows: int) -> None:
    """Write a file of `rows` records, of which every thousandth is bad."""
    with (root / "in" / "orders.csv").open("w") as file:
        file.write("id,amount\n")
        file.writelines(f"{number},{number if number % 1000 else 'many'}\n" for number in range(1, rows + 1))


def loaded(root: Path) -> tuple[int, int, int]:
    """Rows, different keys and markers, as the database itself says."""
    if not (root / "out.duckdb").exists():
        return 0, 0, 0
    with duckdb.connect(str(root / "out.duckdb"), read_only=True) as warehouse:
        tables = {name for (name,) in warehouse.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if "orders" not in tables:
            return 0, 0, 0
        rows = warehouse.execute("SELECT count(*), count(DISTINCT id) FROM orders").fetchone()
        markers = warehouse.execute("SELECT count(*) FROM _pratique_loads").fetchone()
    return rows[0], rows[1], markers[0]


def interrupted(root: Path, number: int, after_seconds: float) -> int:
    """Start a run, send the signal a while after it began; its exit code, at most ten seconds later, no traceback."""
    with subprocess.Popen(command(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "started" in process.stderr.readline()
        try:
            process.wait(after_seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert "Traceback" not in out + err
    assert process.returncode in {0, 7}, out + err
    if process.returncode == 7:
        assert "stays" in out + err
        assert "run shop" in out + err or "run the same command again" in out + err
    return process.returncode


def moments(root: Path, count: int) -> Iterator[float]:
    """Moments spread over the time that an undisturbed run takes, from its first word on."""
    done = json.loads(pratique(root, "--json").stdout)
    took = sum(source["seconds"] for source in done["sources"])
    fresh(root)
    yield from (took * (place + 0.5) / count for place in range(count))


def fresh(root: Path) -> None:
    """Forget every run: no database, no state."""
    for path in sorted([*root.glob("out.duckdb*"), *(root / ".pratique").rglob("*")], reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_signal_before_it_listens_is_not_lost(root: Path) -> None:
    """Who blocks SIGTERM before the start, as the container image does, loses none: code 7, and nothing was done."""
    kept = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        process = subprocess.Popen(command(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, kept)
    with process:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "started" not in out + err
    assert loaded(root) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rows", "count"), [(100_000, 4), pytest.param(1_000_000, 10, marks=pytest.mark.nightly)], ids=["short", "long"]
)
def test_a_signal_at_any_moment_leaves_all_or_nothing(root: Path, rows: int, count: int) -> None:
    """SIGTERM or SIGINT at any moment: code 7 within ten seconds, nothing half visible; the next run completes.

    Then every good row is there once, every bad one is held, and no temporary file is left.
    """
    big(root, rows)
    good = rows - rows // 1000
    codes = []
    for place, moment in enumerate(list(moments(root, count))):
        codes.append(interrupted(root, signal.SIGTERM if place % 2 else signal.SIGINT, moment))
        assert loaded(root) in {(0, 0, 0), (good, good, 1)}
        done = pratique(root)
        assert done.returncode == 0, done.stdout + done.stderr
        assert loaded(root) == (good, good, 1)
        held = forked.pratique("quarantine", "list", "--json", "--project", root)
        assert [json.loads(line)["records"] for line in held.stdout.splitlines()] == [rows // 1000]
        assert list((root / ".pratique" / "tmp").iterdir()) == []
        fresh(root)
    assert 7 in codes
