"""A small project with good, bad and sensitive records, and the command as a process."""

from __future__ import annotations

import subprocess
from pathlib import Path

import forked

SECRET = "canary-secret-41f7"  # noqa: S105 - no secret, but must not be seen
PERSONAL = "99870"

_FILES = {
    "config/default.yaml": (
        'connections:\n  warehouse: {url: "duckdb://warehouse.duckdb"}\n  lost: {url: "duckdb://${GONE}/out.duckdb"}\n'
    ),
    "config/dev.yaml": "logging: {level: DEBUG}\n",
    "config/prod.yaml": "logging: {level: WARNING}\n",
    "schemas/users.yaml": (
        "primaryKey: id\nfields:\n  id: {type: integer, required: true}\n  name: {minLength: 2}\n"
        '  ssn: {from: [SSN], pattern: "[0-9]+", sensitive: true}\n'
    ),
    "pipelines/users.yaml": (
        'sources:\n  users: {type: files, path: "in/*.csv", schema: users, quarantine: {max_share: 0.5}}\n'
        "destination: {connection: warehouse, write: append}\n"
    ),
    "pipelines/lost.yaml": (
        'sources:\n  users: {type: files, path: "in/*.csv", schema: users, quarantine: {max_share: 0.5}}\n'
        "destination: {connection: lost, write: append}\n"
    ),
    "in/users.csv": (
        f"id,name,SSN\n1,Ann,{PERSONAL}1\n2,Bob,{PERSONAL}2\n3,C,{PERSONAL}3\n4,Dora,{PERSONAL}x4\n5,Eve,{PERSONAL}5\n"
    ),
}


def make_project(root: Path) -> Path:
    """Write the project: of five records one has too short a name, one a letter in its number."""
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def pratique(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the project's folder."""
    return forked.pratique(*words, cwd=root, env={"GONE": f"/proc/{SECRET}", "COLUMNS": "120", **variables})
