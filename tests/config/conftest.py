"""A project in a temporary folder, written file by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pratique.project import Project

PLAIN = {
    "config/default.yaml": "connections:\n  warehouse: {url: duckdb://data/warehouse.duckdb}\n  inbox: {url: data/in}\n",
    "schemas/users.yaml": "primaryKey: id\nfields:\n  id: integer\n  name: {required: true}\n",
    "pipelines/daily.yaml": (
        "sources:\n  users: {type: files, connection: inbox, path: users.csv, schema: users}\n"
        "destination: {connection: warehouse}\n"
    ),
}


class Folder:
    """Writes files under a root, and opens what stands there as a project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: dict[str, str]) -> None:
        """Write files by their path."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def project(self, environment: str | None = None) -> Project:
        """The project that stands here."""
        return Project(self.root, environment)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty folder that is also the current one, and an environment without PRATIQUE variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRATIQUE_ENV", raising=False)
    return Folder(tmp_path)


@pytest.fixture
def plain(folder: Folder) -> Folder:
    """A small project without mistakes."""
    folder.write(PLAIN)
    return folder
