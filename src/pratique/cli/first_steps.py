"""What `pratique` alone says: where one stands, and the few commands that make sense there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pratique.cli.text import columns, middle, shown

_WIDTH: Final = 80
_NAMES_SHOWN: Final = 5  # Limit: pipelines named here; `pratique run` without a name runs all
_NOWHERE: Final = (  # command, what follows, what it does
    ("init", " FILE…", "write a project for your own files, and run it"),
    ("schema", " json-schema pipeline", "what a pipeline may say, for your editor"),
    ("version", "", "what is installed"),
)
_PROJECT: Final = (
    ("init", " FILE…", "write a pipeline and its schema for your own files"),
    ("lint", "", "find every mistake in the files"),
    ("run", "", "run every pipeline, one after the other"),
    ("run", " {first} --dry-run", "judge and report, write nothing"),
    ("runs", "", "what has run"),
    ("quarantine", " list", "what is held, by cause"),
)


def first_steps(folder: Path, commands: Sequence[str]) -> str:
    """Give the first steps of somebody who stands in `folder`; only `commands` are named. Reads no file."""
    root = next((place for place in (folder, *folder.parents) if (place / "config").is_dir()), None)
    pipelines = sorted(path.stem for path in (root or folder).glob("pipelines/*.yaml"))
    if root is None and not pipelines:
        nothing = "There is no project here: no folder config/ or pipelines/, here or above."
        return "\n".join([nothing, *_steps(_NOWHERE, commands, ""), *_ends()])
    names = ", ".join([*map(shown, pipelines[:_NAMES_SHOWN]), *(["…"] if len(pipelines) > _NAMES_SHOWN else [])])
    told = [f"project    {middle(shown(root or folder), _WIDTH - 11)}"]
    told += [
        f"pipelines  {middle(names, _WIDTH - 11)}" if pipelines else "pipelines  none yet: write pipelines/NAME.yaml"
    ]
    steps = _PROJECT if pipelines else _PROJECT[:2]
    return "\n".join([*told, *_steps(steps, commands, next(iter(pipelines), "")), *_ends()])


def _steps(steps: Sequence[tuple[str, str, str]], commands: Sequence[str], first: str) -> list[str]:
    typed = [
        (f"pratique {name}{rest.format(first=middle(shown(first), 20))}", does)
        for name, rest, does in steps
        if name in commands
    ]
    widest = max(columns(text) for text, _ in typed)
    told = []
    for text, does in typed:
        beside = f"  {text}{' ' * (widest - columns(text))}  {does}"
        told += [beside] if columns(beside) <= _WIDTH else [f"  {text}", f"      {does}"]
    return ["", *told, ""]


def _ends() -> list[str]:
    return ["All commands, with examples: pratique --help"]
