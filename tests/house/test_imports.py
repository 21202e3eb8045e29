"""What an import costs: the cheap parts of the package load no driver."""

import json
import os
import subprocess
import sys

import pytest

DRIVERS = [
    "duckdb",
    "pyarrow",
    "numpy",
    "sqlglot",
    "pydantic",
    "yaml",
    "rich",
    "sqlite3",
    "structlog",
    "prometheus_client",
    "psycopg",
    "pymysql",
    "stamina",
    "boto3",
    "google.cloud",
    "azure",
    "asyncssh",
    "aiohttp",
    "opentelemetry",
    "requests",
]
CHEAP = [
    "pratique",
    "pratique.errors",
    "pratique.failpoints",
    "pratique.model",
    "pratique.events",
    "pratique.schema",
    "pratique.monitoring",
    "pratique.measures",
    "pratique.monitoring.sending",
]


def loaded_by(statement: str) -> set[str]:
    """Drivers that a fresh interpreter has loaded after `statement`."""
    program = f"import json, sys; {statement}; print(json.dumps([name for name in {DRIVERS} if name in sys.modules]))"
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, env=unmeasured, check=True, capture_output=True, text=True).stdout
    return set(json.loads(printed))


@pytest.mark.parametrize("module", CHEAP)
def test_a_cheap_module_loads_no_driver(module: str) -> None:
    """`import pratique` and its nouns cost next to nothing: no database, no Arrow, no parser is loaded."""
    assert loaded_by(f"import {module}") == set()


def test_a_loaded_driver_is_seen() -> None:
    """The measurement itself works: a module that does load a driver is found out."""
    assert loaded_by("import sqlite3") == {"sqlite3"}
