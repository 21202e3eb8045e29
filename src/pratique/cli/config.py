"""`pratique config`: the merged settings and pipelines, and where each value stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from pratique.cli.candidates import pipeline_names
from pratique.cli.console import Console, json_option, project_options, to_json
from pratique.cli.text import columns, left, shown
from pratique.documents import read_scalar
from pratique.project import Project
from pratique.settled import Settled, settled_pipeline, settled_settings

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./$][A-Za-z0-9_./~*+@$%()-]*( [A-Za-z0-9_./~*+$%(][A-Za-z0-9_./~*+@$%()-]*)*")


@click.group(
    epilog="""\b
Examples:
  pratique config show                  all settings of the environment
  pratique config show --env prod
  pratique config show shop_daily       a pipeline, defaults merged in"""
)
def config() -> None:
    """Show the merged settings and pipelines, and where each value stands."""


@config.command(
    epilog="""\b
Examples:
  pratique config show --env prod
  pratique config show shop_daily --json"""
)
@click.argument("pipeline", required=False, shell_complete=pipeline_names)
@json_option
@project_options
def show(*, pipeline: str | None, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Show the settings of an environment, or a PIPELINE as it runs in it: each value, and where it stands.

    Secrets are shown as the references that stand for them, such as ${NAME}, never as their values.
    """
    console = Console.choose(color)
    project = Project(root, environment)
    values = settled_settings(project.config) if pipeline is None else settled_pipeline(project, pipeline)
    if as_json:
        console.out(to_json({"environment": project.config.environment, "values": [_as_json(item) for item in values]}))
        return
    console.out("\n".join(_as_yaml(values, console.width)))


def _as_json(item: Settled) -> dict[str, Any]:
    return {"key": ".".join(map(str, item.path)), "value": item.value, "from": item.where}


def _as_yaml(values: list[Settled], width: int) -> list[str]:
    """Lay the values out as the YAML that would say them, each with its place as a comment beside it, or above it."""
    tree: dict[str, Any] = {}
    for item in values:
        branch = tree
        for part in item.path[:-1]:
            branch = branch.setdefault(str(part), {})
        branch[str(item.path[-1])] = item
    lines = list(_branch(tree, ""))
    beside = max((columns(text) for text, place in lines if columns(text) + len(place) + 4 <= width), default=0)
    told: list[str] = []
    for text, place in lines:
        indent = " " * (len(text) - len(text.lstrip()))
        fits = max(columns(text), beside) + len(place) + 4 <= width
        fits = fits or columns(text) + len(place) + 4 <= width
        told += [] if fits or not place else [f"{indent}# {place}"]
        told.append(f"{left(text, beside)}  # {place}" if place and fits else text)
    return told


def _branch(tree: dict[str, Any], indent: str) -> Iterator[tuple[str, str]]:
    for key, item in tree.items():
        if isinstance(item, Settled):
            yield f"{indent}{_scalar(key)}: {_scalar(item.value)}", shown(item.where)
        else:
            yield f"{indent}{_scalar(key)}:", ""
            yield from _branch(item, indent + "  ")


def _scalar(value: Any) -> str:
    """A value as YAML writes it: text without quotes only where nothing else could be meant."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and read_scalar(value) == value:
        return value
    return shown(to_json(value))
