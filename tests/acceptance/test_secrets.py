"""Secrets and personal data stay where they belong, whatever happens: every byte that is printed or kept is searched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import forked
import pytest

# Each stands for a secret of its own, so that a find says where it came from.
IN_ENVIRONMENT, IN_DOT_ENV, IN_FILE = "canary-env-5d1f", "canary-dotenv-77ab", "canary-file-c09e"
SECRETS = (IN_ENVIRONMENT, IN_DOT_ENV, IN_FILE)
# Every value of a sensitive field begins so, in good and in bad records.
PERSONAL = "99870"

CONFIG = """connections:
  warehouse: {url: "duckdb://${DOT_ENV_CANARY}/out.duckdb"}
  lake: {url: "parquet://${file:secret.txt}"}
  here: {url: "${ENVIRONMENT_CANARY}"}
  unused: {url: "postgres://me:${ENVIRONMENT_CANARY}@db.example/x"}
"""
SCHEMA = """primaryKey: id
uniqueKeys: [[phone]]
fields:
  id: {type: integer, sensitive: true}
  ssn: {pattern: "[0-9]+", sensitive: true, store: hash}
  phone: {sensitive: true, from: [Phone, Tel]}
  born: {type: date, format: "%Y%m%d", sensitive: true}
  tail: {from: "= right(ssn, 20)", pattern: "[0-9]*"}
  city: {enum: [A, B]}
  manager: {type: integer, sensitive: true}
checks:
  adult: "born < DATE '2010-01-01'"
  long: {rule: "length(ssn) > 100 OR city = 'A'", severity: warn}
  numbers: {rule: "sum(cast(ssn as decimal(38,0))) > 0", scope: set, severity: warn}
references: {manager: people.id}
"""
PIPELINE = """sources:
  people: {type: files, connection: here, path: "in/*.csv", schema: people, quarantine: {max_share: SHARE}}
destination: {connection: CONNECTION, table: people, write: append}
"""
HEADER = "id,ssn,Phone,born,city,manager\n"
ROWS = (
    "998700001,99870123456,99870-1,19980101,A,\n"
    "998700011,99870123,99870-b,19980101,A,998700001\n"
    "998700002,99870x,99870-2,19980101,A,\n"  # pattern
    "998700003,99870123,99870-3,99870000,A,\n"  # no date
    "998700004,99870123,99870-4,19980101,A,\n"
    "998700004,99870124,99870-5,19980101,A,\n"  # same key, another record
    "998700006,99870123,99870-6,19980101,A,998709999\n"  # no such manager
    "998700007,99870123,99870-7,19980101,C,\n"  # enum
    "99870.5,99870123,99870-8,19980101,B,\n"  # no integer
    "998700009,99870123,99870-9,20200101,B,\n"  # a check
    "998700010,99870123,99870-a,19980101\n"  # malformed
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a secret of each kind in use and personal data in its input."""
    for folder in ("config", "pipelines", "schemas", f"{IN_ENVIRONMENT}/in", IN_DOT_ENV):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config" / "default.yaml").write_text(CONFIG)
    (tmp_path / ".env").write_text(f"DOT_ENV_CANARY={IN_DOT_ENV}\n")
    (tmp_path / "secret.txt").write_text(f"{IN_FILE}\n")
    (tmp_path / "schemas" / "people.yaml").write_text(SCHEMA)
    for name, connection, share in (
        ("good", "warehouse", "1"),
        ("parquet", "lake", "1"),
        ("gated", "warehouse", "0.01"),
    ):
        text = PIPELINE.replace("SHARE", share).replace("CONNECTION", connection)
        (tmp_path / "pipelines" / f"{name}.yaml").write_text(text)
    (tmp_path / IN_ENVIRONMENT / "in" / "people.csv").write_text(HEADER + ROWS)
    return tmp_path


def pratique(root: Path, *words: str, prelude: str = "", **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process with a wide-open umask; `prelude` is Python that runs before it."""
    words = (*words, "--project", str(root))
    more = {"ENVIRONMENT_CANARY": IN_ENVIRONMENT, "COLUMNS": "400", **more}
    if not prelude:
        done = forked.pratique(*words, cwd=root.parent, env=more, umask=0)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.encode(), done.stderr.encode())
    code = f"import os, sys\nos.umask(0)\n{prelude}\nsys.argv = ['pratique', *sys.argv[1:]]\n"
    code += "from pratique.cli.main import main\nmain()\n"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=root.parent,
        env={**os.environ, **more},
        capture_output=True,
        timeout=60,
        check=False,
    )


def found(data: bytes, *canaries: str) -> list[str]:
    """The canaries that stand in the data, in whatever form text is kept: UTF-8 or UTF-16."""
    return [text for text in canaries if text.encode() in data or text.encode("utf-16-le") in data]


def assert_clean(done: subprocess.CompletedProcess[bytes]) -> None:
    """Neither stream holds a canary."""
    for stream in (done.stdout, done.stderr):
        assert found(stream, *SECRETS, PERSONAL) == [], stream.decode()


def state(root: Path) -> dict[str, bytes]:
    """Every file under the state folder but the segments of the quarantine, by its name."""
    folder = root / ".pratique"
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".jsonl.zst"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run_everything(root: Path) -> list[subprocess.CompletedProcess[bytes]]:
    """Good, gated and failing runs, and everything that people can ask about them."""
    runs = [("run", "good"), ("run", "parquet"), ("run", "gated"), ("run", "good", "--dry-run"), ("run", "nosuch")]
    done = [pratique(root, *words) for words in runs]
    done += [pratique(root, *words, "--json") for words in runs[2:]]
    asked = [("runs", "--json"), ("quarantine", "list"), ("quarantine", "list", "--json"), ("quarantine", "export")]
    asked += [("quarantine", "export", "--format", "csv"), ("quarantine", "show", "Q1"), ("quarantine", "show", "Q2")]
    return done + [pratique(root, *words) for words in asked]


def test_no_run_no_question_and_no_state_shows_a_secret(root: Path) -> None:
    """No canary stands in what good, gated, failing and dry runs and all listings print, in ledger, locks and markers.

    Only the segments of the quarantine hold personal data.
    """
    done = run_everything(root)
    assert {run.returncode for run in done} >= {0, 1, 2}
    for run in done:
        assert_clean(run)
    for name, data in state(root).items():
        assert found(data, *SECRETS, PERSONAL) == [], name
    with duckdb.connect(str(root / IN_DOT_ENV / "out.duckdb"), read_only=True) as warehouse:
        for table in ("_pratique_loads", "_pratique_files"):
            text = repr(warehouse.execute(f"FROM {table}").fetchall()).encode()
            assert found(text, *SECRETS, PERSONAL) == [], table
    for manifest in (root / IN_FILE).rglob("*.json"):
        assert found(manifest.read_bytes(), *SECRETS, PERSONAL) == [], manifest


def test_only_reveal_prints_what_is_held(root: Path) -> None:
    """The segment keeps the original values; `--reveal` prints them, and nothing else does."""
    assert pratique(root, "run", "good").returncode == 0
    for words in (("show", "Q1"), ("export", "--format", "csv")):
        assert found(pratique(root, "quarantine", *words).stdout, PERSONAL) == []
        assert found(pratique(root, "quarantine", *words, "--reveal").stdout, PERSONAL) == [PERSONAL]


def ledger_gone(root: Path) -> None:
    """The ledger is damaged."""
    (root / ".pratique").mkdir()
    (root / ".pratique" / "ledger.sqlite").write_bytes(b"no database" * 500)


def no_folder(root: Path) -> None:
    """A file stands where the folder of the destination should be."""
    (root / IN_DOT_ENV).rmdir()
    (root / IN_DOT_ENV).write_text("")


def no_database(root: Path) -> None:
    """The destination is no database."""
    (root / IN_DOT_ENV / "out.duckdb").write_bytes(b"no database" * 5000)


def no_input(root: Path) -> None:
    """The folder of the input is empty."""
    (root / IN_ENVIRONMENT / "in" / "people.csv").unlink()


def link_out(root: Path) -> None:
    """The input leads out of its folder."""
    (root / IN_ENVIRONMENT / "in" / "people.csv").rename(root / "people.csv")
    (root / IN_ENVIRONMENT / "in" / "people.csv").symlink_to(root / "people.csv")


def other_header(root: Path) -> None:
    """The header does not fit."""
    (root / IN_ENVIRONMENT / "in" / "people.csv").write_text("a,b\n" + ROWS)


def no_utf8(root: Path) -> None:
    """A byte of the header is not UTF-8."""
    (root / IN_ENVIRONMENT / "in" / "people.csv").write_bytes(b"\xff" + (HEADER + ROWS).encode())


def open_quote(root: Path) -> None:
    """A quote of the header is never closed."""
    (root / IN_ENVIRONMENT / "in" / "people.csv").write_text('"' + HEADER + ROWS)


def other_table(root: Path) -> None:
    """The table in the destination has other columns."""
    with duckdb.connect(str(root / IN_DOT_ENV / "out.duckdb")) as warehouse:
        warehouse.execute("CREATE TABLE people (x INTEGER)")


@pytest.mark.parametrize(
    "damage",
    [ledger_gone, no_folder, no_database, no_input, link_out, other_header, no_utf8, open_quote, other_table],
    ids=lambda damage: damage.__name__,
)
def test_no_failure_shows_a_secret(damage: object, root: Path) -> None:
    """A run that fails says so without a canary: for people, as JSON, with --debug, and in its ledger."""
    damage(root)  # type: ignore[operator]
    done = [
        pratique(root, *words) for words in (("run", "good"), ("--debug", "run", "good"), ("run", "good", "--json"))
    ]
    assert all(run.returncode for run in done)
    for run in done:
        assert_clean(run)
    for name, data in state(root).items():
        assert found(data, *SECRETS, PERSONAL) == [], name


def test_a_crash_shows_no_secret(root: Path) -> None:
    """An error of a library that nobody foresaw, with secrets in its text, is told without them, also with its traceback."""
    prelude = (
        "import sqlite3\n"
        "def crash(*_, **__):\n"
        f"    raise RuntimeError('at ' + {IN_DOT_ENV!r} + ' and ' + {IN_ENVIRONMENT!r})\n"
        "sqlite3.connect = crash"
    )
    for words in (("--debug", "run", "good"), ("run", "good", "--json")):
        done = pratique(root, *words, prelude=prelude)
        assert done.returncode == 5
        assert b"RuntimeError" in done.stdout + done.stderr
        assert found(done.stdout, *SECRETS, PERSONAL) == []
        assert b"at *** and ***" in done.stdout + done.stderr


def test_state_is_open_to_its_owner_only(root: Path) -> None:
    """With umask 000 every file under the state folder is 0600 and every folder 0700; an export is 0600."""
    assert pratique(root, "run", "good").returncode == 0
    assert pratique(root, "run", "gated").returncode == 1
    assert pratique(root, "quarantine", "export", "--output", str(root / "held.jsonl")).returncode == 0
    paths = [root / ".pratique", *(root / ".pratique").rglob("*")]
    assert any(path.name.endswith(".jsonl.zst") for path in paths)
    for path in (*paths, root / "held.jsonl"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
