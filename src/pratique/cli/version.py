"""`pratique version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from pratique.cli.console import Console, to_json


def own_version() -> str:
    """Give the version that is installed; `source tree` where nothing is, as in a checkout."""
    try:
        return installed("pratique")
    except PackageNotFoundError:
        return "source tree"


@click.command(
    epilog="""\b
Examples:
  pratique version
  pratique version --json"""
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, and nothing else.")
def version(*, as_json: bool) -> None:
    """Print the versions of Pratique, Python and the libraries that decide what a value means."""
    versions = {"pratique": own_version(), "python": platform.python_version()}
    versions |= {name: installed(name) for name in ("duckdb", "pyarrow", "sqlglot")}
    console = Console.choose("never")
    console.out(to_json(versions) if as_json else "\n".join(f"{name} {number}" for name, number in versions.items()))
