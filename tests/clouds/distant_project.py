"""A project that reads files which lie elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pratique.ingestion import run_pipeline
from pratique.project import Project
from pratique.reports import RunReport

_OTHERS = ("AWS_", "SSH_")  # what this machine says of its owner is nothing to a test


@dataclass
class DistantProject:
    """A project with the pipeline `p`, which loads the integer `id` of CSV files from the connection `there`."""

    root: Path

    def write(self, connection: dict[str, Any], path: str, /, **source: Any) -> None:
        """Write the project; words of the source that are None are left out."""
        words = {"connection": "there", "path": path, "schema": "s", "format": "csv", "on_new_version": "append"}
        documents: dict[str, Any] = {
            "config/default.json": {"connections": {"there": connection, "lake": {"url": "duckdb://lake.duckdb"}}},
            "schemas/s.json": {"fields": {"id": "integer"}},
            "pipelines/p.json": {
                "sources": {"s": {key: value for key, value in (words | source).items() if value is not None}},
                "destination": {"connection": "lake"},
            },
        }
        for name, value in documents.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(json.dumps(value))

    def run(self) -> RunReport:
        """Run the pipeline in this process."""
        return run_pipeline(Project(self.root, "dev"), "p")

    def command(self, *words: str, code: int = 0, before: tuple[str, ...] = (), **environ: str) -> str:
        """Run `pratique` on the project, within another command if need be; all that it prints, in one line."""
        command = [*before, sys.executable, "-m", "pratique", *words, "--project", str(self.root)]
        some = {key: value for key, value in os.environ.items() if not key.startswith(_OTHERS)}
        done = subprocess.run(command, env=some | environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def rows(self) -> list[int]:
        """What was loaded."""
        with duckdb.connect(str(self.root / "lake.duckdb"), read_only=True) as connection:
            return [row[0] for row in connection.execute("SELECT id FROM s ORDER BY 1").fetchall()]
