"""What the pages show of other tools is true: Airflow and Dagster start runs, dlt and Great Expectations do what is said.

Each of them is installed into an environment of its own: nightly, for Airflow takes 300 MB and Dagster 160 MB. What runs on
every commit is that the programs can be compiled.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ("schedule-runs", "move-from-dlt", "move-from-great-expectations")
PAGES = [(ROOT / "docs" / "how-to" / f"{name}.md").read_text(encoding="utf-8") for name in GUIDES]
FILES = {
    name: text
    for page in PAGES
    for name, text in re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
}
RECIPES = ("dags/orders.py", "orders_asset.py")
AIRFLOW, DAGSTER = "apache-airflow==3.3.2", "dagster==1.13.29"
DLT, EXPECTATIONS = "dlt[duckdb]==1.31.0", "great_expectations==1.24.1"
OUTCOMES = {"good": "success", "bad": "failed", "gone": "up_for_retry", "slow": "skipped"}
PROGRAM = """
import pathlib, time
HERE = pathlib.Path(__file__).parent
def orders():
    mode = (HERE / "mode").read_text()
    if mode == "gone":
        raise ConnectionError("nobody answers")
    if mode == "slow":
        (HERE / "started").touch()
        time.sleep(600)
    yield {"order_id": 1, "amount": "-1" if mode == "bad" else "1"}
"""
DRIVER = """
import json, sys
import dagster as dg
import orders_asset
repository = orders_asset.definitions.get_repository_def()
result = dg.materialize([orders_asset.orders], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
kinds = [event.event_type_value for event in result.all_events]
found = result.get_asset_materialization_events()
told = {name: value.value for item in found for name, value in item.materialization.metadata.items()}
print(json.dumps([kinds, told, sorted(item.name for item in repository.schedule_defs)]))
"""

Python = Callable[[list[str], Path], str]


@pytest.mark.parametrize("name", [*RECIPES, "before/pipeline.py", "before/suite.py"])
def test_programs_for_other_tools_are_python(name: str) -> None:
    """What a page shows for another tool can be compiled; a recipe has the folder that a reader replaces."""
    compile(FILES[name], name, "exec")
    assert ('PROJECT = "/srv/shop"' in FILES[name]) == (name in RECIPES)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose one source does what the file sources/mode says."""
    files = {
        "config/default.yaml": 'connections: {warehouse: {url: "duckdb://warehouse.duckdb"}}\n',
        "config/prod.yaml": "limits: {memory: 300MB}\n",
        "schemas/orders.yaml": 'fields: {order_id: integer, amount: {type: "decimal(9,2)", minimum: 0}}\n',
        "pipelines/orders.yaml": 'sources: {orders: {type: python, use: "sources/orders.py:orders"}}\n'
        "destination: {connection: warehouse, write: replace}\n",
        "sources/orders.py": PROGRAM,
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "project"


def installed(folder: Path, package: str) -> Python:
    """Run a program of an environment that has nothing but `package`; the command `pratique` is on its path."""
    place = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    subprocess.run([place / "bin" / "python", "-m", "pip", "install", "--quiet", package], check=True)

    def run(command: list[str], home: Path) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
            "AIRFLOW_HOME": str(home),
            "HOME": str(home),
            "DLT_DATA_DIR": str(home / ".dlt"),  # for root it is one folder of the whole machine
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        whole = [str(place / "bin" / command[0]), *command[1:]]
        done = subprocess.run(
            whole, cwd=home, env=environment, check=False, capture_output=True, text=True, timeout=300
        )
        return done.stdout + done.stderr

    return run


def recipe(name: str, home: Path, project: Path) -> None:
    """Write what the page shows, for this project."""
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = FILES[name].replace("/srv/shop", str(project))
    text = text.replace("delay=60", "delay=0").replace("minutes=1", "seconds=1")  # nobody waits for the test
    path.write_text(text, encoding="utf-8")


def each_outcome(project: Path, play: Callable[[], str]) -> dict[str, str]:
    """What a scheduler makes of a run that is good, bad, without its server, and one too many."""
    found = {}
    for mode in OUTCOMES:
        (project / "sources" / "mode").write_text(mode, encoding="utf-8")
        if mode != "slow":
            found[mode] = play()
            continue
        command = [Path(sys.executable).with_name("pratique"), "run", "orders", "--env", "prod", "--quiet"]
        with subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
            while not (project / "sources" / "started").exists():
                assert first.poll() is None
            found[mode] = play()
            first.terminate()
    return found


@pytest.mark.nightly
def test_airflow_does_what_the_page_says(tmp_path: Path, project: Path) -> None:
    """In Airflow a good run succeeds, bad data fails at once, a server that is away is asked again, a second run skips."""
    home = tmp_path / "airflow"
    recipe("dags/orders.py", home, project)
    run = installed(tmp_path, AIRFLOW)
    run(["airflow", "db", "migrate"], home)

    def play() -> str:
        return re.findall(r"new_state=(\w+)", run(["airflow", "dags", "test", "pratique"], home))[0]

    assert each_outcome(project, play) == OUTCOMES


@pytest.mark.nightly
def test_dagster_does_what_the_page_says(tmp_path: Path, project: Path) -> None:
    """In Dagster likewise; the materialization tells what was loaded and held, and the schedule is there."""
    home = tmp_path / "dagster"
    recipe("orders_asset.py", home, project)
    run = installed(tmp_path, DAGSTER)
    told: list[dict[str, int]] = []

    def play() -> str:
        kinds, metadata, schedules = json.loads(run(["python", "-c", DRIVER], home).splitlines()[0])
        assert schedules == ["nightly"]
        told.append(metadata)
        if "STEP_UP_FOR_RETRY" in kinds:
            return "up_for_retry"
        if "STEP_FAILURE" in kinds:
            return "failed"
        return "success" if metadata else "skipped"

    assert each_outcome(project, play) == OUTCOMES
    assert told[0] == {"read": 1, "loaded": 1, "quarantined": 0}


@pytest.mark.nightly
def test_dlt_loads_what_the_page_says(tmp_path: Path) -> None:
    """The pipeline that the page moves away from loads all three records, as texts."""
    home = tmp_path / "shop"
    home.mkdir()
    for name in ("orders.csv", "before/pipeline.py"):
        (home / Path(name).name).write_text(FILES[name], encoding="utf-8")
    run = installed(tmp_path, DLT)
    run(["python", "pipeline.py"], home)
    ask = (
        "import duckdb; print(duckdb.connect('warehouse.duckdb').execute('SELECT amount FROM shop.orders').fetchall())"
    )
    assert "[('19.90',), ('1.239',), ('5.00',)]" in run(["python", "-c", ask], home)


@pytest.mark.nightly
def test_great_expectations_say_what_the_page_says(tmp_path: Path) -> None:
    """The suite that the page moves away from fails for the country alone."""
    home = tmp_path / "shop"
    home.mkdir()
    (home / "orders.csv").write_text(FILES["orders.csv"], encoding="utf-8")
    tell = "print([item.success for item in batch.validate(suite).results])\n"
    (home / "suite.py").write_text(FILES["before/suite.py"] + tell, encoding="utf-8")
    assert "[True, True, True, False, True]" in installed(tmp_path, EXPECTATIONS)(["python", "suite.py"], home)
