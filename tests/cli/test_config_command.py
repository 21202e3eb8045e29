"""`pratique config show`: what holds, where it stands, and never a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pratique.cli.main import program
from pratique.documents import load_document

FILES = {
    "config/default.yaml": (
        "connections:\n"
        "  warehouse: {url: 'duckdb://${FOLDER}/w.duckdb'}\n"
        "  inbox: {url: in}\n"
        "  pg: {url: 'postgres://anna:canary-1@host/db', password: canary-2, token: '${TOKEN}'}\n"
        "logging: {level: INFO}\n"
    ),
    "config/prod.yaml": "logging:\n  level: WARNING\n",
    "schemas/users.yaml": "primaryKey: id\nfields: {id: integer}\n",
    "pipelines/daily.yaml": (
        "defaults: {connection: inbox, quarantine: {max_share: 5 %}}\n"
        "sources:\n  users: {path: users.csv, schema: users}\n  more:\n    path: '*.csv'\n    schema: users\n"
        "    quarantine: {max_share: 0.5}\ndestination: {connection: warehouse, write: merge, dataset: d}\n"
    ),
}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with secrets, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRATIQUE_ENV", raising=False)
    monkeypatch.setenv("FOLDER", "canary-3")
    monkeypatch.setenv("TOKEN", "canary-4")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def show(*args: str, width: int = 80) -> Result:
    """Run `pratique config show`."""
    return CliRunner().invoke(program, ["config", "show", *args], env={"COLUMNS": str(width)})


def values(*args: str) -> dict[str, tuple[object, str]]:
    """What it shows, by key."""
    told = json.loads(show("--json", *args).stdout)["values"]
    return {item["key"]: (item["value"], item["from"]) for item in told}


def test_each_setting_is_shown_with_its_origin(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment over the default, variables over both, what is built in under both; each with its place."""
    monkeypatch.setenv("PRATIQUE__LIMITS__MEMORY", "1GB")
    (root / ".env").write_text("A=1\nPRATIQUE__LIMITS__COLUMNS_MAX=10\n")
    found = values("--env", "prod")
    assert found["logging.level"] == ("WARNING", "config/prod.yaml:2")
    assert found["limits.memory"] == ("1GB", "environment variable PRATIQUE__LIMITS__MEMORY")
    assert found["limits.columns_max"] == (10, ".env:2")
    assert found["state.path"] == (".pratique", "built-in default")
    assert found["connections.inbox.url"] == ("in", "config/default.yaml:3")
    assert values()["logging.level"] == ("INFO", "config/default.yaml:5")


def test_secrets_are_shown_as_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference stays as it is written; passwords written out, and variables over a connection, are masked."""
    monkeypatch.setenv("PRATIQUE__CONNECTIONS__PG__USER", "canary-5")
    found = values()
    assert found["connections.warehouse.url"][0] == "duckdb://${FOLDER}/w.duckdb"
    assert found["connections.pg.url"][0] == "postgres://***@host/db"
    assert found["connections.pg.password"][0] == "***"
    assert found["connections.pg.token"][0] == "${TOKEN}"
    assert found["connections.pg.user"] == ("***", "environment variable PRATIQUE__CONNECTIONS__PG__USER")
    assert "canary" not in show().stdout + show("daily").stdout + show("--json").stdout


def test_a_pipeline_is_shown_merged() -> None:
    """Defaults stand in each source with the place in `defaults`; what was chosen for a source is said too."""
    found = values("daily")
    assert found["sources.users.connection"] == ("inbox", "pipelines/daily.yaml:1")
    assert found["sources.users.quarantine.max_share"] == ("5 %", "pipelines/daily.yaml:1")
    assert found["sources.more.quarantine.max_share"] == (0.5, "pipelines/daily.yaml:7")
    assert found["sources.more.path"] == ("*.csv", "pipelines/daily.yaml:5")
    assert found["sources.users.type"] == ("files", "built-in default")
    assert found["sources.users.format"] == ("csv", "pipelines/daily.yaml:3")
    assert found["sources.users.write"] == ("merge", "pipelines/daily.yaml:8")
    assert found["sources.users.table"] == ("d.users", "pipelines/daily.yaml:3")
    assert found["connections.inbox.url"] == ("in", "config/default.yaml:3")
    assert "connections.pg.url" not in found
    assert "defaults" not in {key.partition(".")[0] for key in found}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("args", [(), ("daily",), ("--env", "prod")], ids=str)
def test_the_text_is_yaml_with_places(root: Path, args: tuple[str, ...], width: int) -> None:
    """What is printed fits the terminal and reads as YAML with the same values."""
    printed = show(*args, width=width).stdout
    assert [line for line in printed.splitlines() if len(line) > width] == []
    (root / "printed.yaml").write_text(printed)
    document = load_document(root / "printed.yaml")
    for key, (value, where) in values(*args).items():
        path = tuple(key.split("."))
        assert document.has(path), key
        read = document.value
        for part in path:
            read = read[part]
        assert read == value
        assert re.search(rf"# {re.escape(where)}$", printed, re.MULTILINE)


def test_a_mistake_is_told_and_nothing_shown(root: Path) -> None:
    """Wrong settings, a wrong pipeline, an unknown one: exit 2 with the places."""
    assert 'there is no pipeline "dialy"' in show("dialy").stderr
    (root / "pipelines" / "daily.yaml").write_text("sources: {u: {pth: x}}\ndestination: {connection: warehouse}\n")
    wrong = show("daily")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "pipelines/daily.yaml:1:15" in wrong.stderr


def test_a_project_that_sets_nothing_is_shown_as_what_is_built_in(root: Path) -> None:
    """An empty file of settings, or none, is no fault: every default is told."""
    (root / "config" / "prod.yaml").unlink()
    (root / "config" / "default.yaml").write_text("# nothing yet\n")
    assert values()["limits.memory"] == ("600MB", "built-in default")
    (root / "config" / "default.yaml").unlink()
    assert values()["limits.memory"] == ("600MB", "built-in default")
