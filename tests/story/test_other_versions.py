"""What another version of Pratique wrote into a destination is told as that, and nothing is loaded on top of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import pytest

from pratique.ingestion import run_pipeline
from pratique.project import Project


def project(root: Path, url: str) -> Project:
    """A project that loads one file into this destination."""
    texts = {
        "config/default.yaml": f"connections: {{lake: {{url: {url}}}}}\n",
        "pipelines/sales.yaml": (
            "sources: {sales: {type: files, path: '*.csv', schema: sales}}\ndestination: {connection: lake}\n"
        ),
        "schemas/sales.yaml": "fields: {id: integer}\n",
        "a.csv": "id\n1\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return Project(root, "dev")


def of_tomorrow(root: Path) -> None:
    """Give the marker of the destination one word more, as a later version may."""
    if (root / "lake.duckdb").exists():
        with duckdb.connect(str(root / "lake.duckdb")) as connection:
            connection.execute("UPDATE _pratique_loads SET marker = '{\"tomorrow\": 1,' || marker[2:]")
        return
    (path,) = (path for path in (root / "lake").rglob("*.json") if "marker" in path.read_text())
    state = json.loads(path.read_text())["state"]
    state["marker"]["tomorrow"] = 1
    text = json.dumps(state, sort_keys=True)
    path.write_text(json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "state": state}))


@pytest.mark.parametrize("url", ["duckdb://lake.duckdb", "parquet://lake"])
def test_a_load_of_another_version_is_told_of(tmp_path: Path, url: str) -> None:
    """Exit code 4, with the load and what to do; and the rows stay as they are."""
    made = project(tmp_path, url)
    assert run_pipeline(made, "sales").exit_code == 0
    of_tomorrow(tmp_path)
    (tmp_path / "b.csv").write_text("id\n2\n")
    report = run_pipeline(made, "sales")
    assert report.exit_code == 4
    assert report.problem is not None
    assert "a load into sales has a marker that this version does not know" in report.problem.message
    assert "a newer one" in report.problem.hint
    assert report.sources == ()
