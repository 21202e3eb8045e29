"""Suites of other people: each case comes out as it asks, or is explained, and is never read otherwise in silence."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from public_suites import EXPLAINED, NotReachedError, SuiteCase, papaparse, spectrum


def project(root: Path, made: list[SuiteCase]) -> dict[str, SuiteCase]:
    """A project with a schema, a source and a table for each case; the cases by their source."""
    for folder in ("config", "pipelines", "schemas"):
        (root / folder).mkdir(parents=True)
    (root / "config" / "default.json").write_text(
        json.dumps({"connections": {"target": {"url": "duckdb://out.duckdb"}}, "quarantine": {"max_share": 1}})
    )
    sources = {}
    for number, case in enumerate(made):
        name = f"case{number:03}"
        width = len(case.rows[0]) if case.rows else 1
        names = case.header or tuple(f"c{place}" for place in range(width))
        dialect = {"header": case.header is not None} | ({"commentChar": case.comment} if case.comment else {})
        fields = {f"f{place}": {"from": header} for place, header in enumerate(names)}
        schema = {"schema": name, "version": 1, "dialect": dialect, "fields": fields}
        (root / "schemas" / f"{name}.json").write_text(json.dumps(schema))
        folder = root / "in" / name
        folder.mkdir(parents=True)
        (folder / "data.csv").write_bytes(case.data)
        sources[name] = {"type": "files", "path": f"in/{name}/*.csv", "schema": name}
    spec = {"sources": sources, "destination": {"connection": "target"}, "lineage": ["_row_number"]}
    (root / "pipelines" / "suite.json").write_text(json.dumps(spec))
    return dict(zip(sources, made, strict=True))


def outcomes(root: Path, made: list[SuiteCase]) -> dict[str, tuple[list[tuple[str, ...]], bool]]:
    """What became of each case: the rows that were loaded, and whether anything was told to be wrong."""
    cases = project(root, made)
    command = [sys.executable, "-m", "pratique", "run", "suite", "--env", "dev", "--project", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    report = json.loads(done.stdout)
    found = {}
    with duckdb.connect(str(root / "out.duckdb"), read_only=True) as connection:
        tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        for source in report["sources"]:
            name, rows = source["source"], []
            if name in tables:
                sql = f'SELECT * EXCLUDE (_row_number) FROM "{name}" ORDER BY _row_number'
                rows = [tuple(value or "" for value in row) for row in connection.execute(sql).fetchall()]
            told = source["held"] or source["problem"] or (source["account"] or {}).get("quarantined")
            found[cases[name].name] = (rows, bool(told))
    return found


@pytest.mark.parametrize("suite", [spectrum, papaparse])
def test_public_suites(tmp_path: Path, suite: Callable[[Path], list[SuiteCase]]) -> None:
    """What a suite reads we read the same, or say that something is wrong; which cases those are is a closed list."""
    try:
        made = suite(tmp_path)
    except NotReachedError as error:
        pytest.fail(str(error), pytrace=False)
    found = outcomes(tmp_path / "project", made)
    other = defaultdict(list)
    for case in made:
        rows, told = found[case.name]
        as_asked = told if case.damaged or not case.data.strip() else rows == list(case.rows) and not told
        if not told and rows != list(case.rows) and not case.damaged:
            other["silent"].append((case.name, rows, case.rows))
        if not as_asked:
            other["differs"].append(case.name)
    assert other["silent"] == []
    prefix = made[0].name.partition(":")[0]
    assert set(other["differs"]) == {name for name in EXPLAINED if name.startswith(prefix)}
