"""Where the commands write: results to stdout, everything about them to stderr; a closed pipe is quiet."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from pratique.cli.candidates import environment_names
from pratique.errors import OutputError

_WIDTH_MAX = 120  # Limit: wider lines are hard to follow with the eye
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Console:
    """How to write for the person or program at the other end: decided once, at the start of a command."""

    color: bool
    color_error: bool
    width: int

    @classmethod
    def choose(cls, color: str) -> Console:
        """`color` is auto, always or never; auto means a terminal, no `NO_COLOR`, and not `TERM=dumb`."""
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"

        def coloured(stream: Any) -> bool:
            return color == "always" or (color == "auto" and not plain and stream.isatty())

        width = min(shutil.get_terminal_size((80, 24)).columns, _WIDTH_MAX)
        return cls(coloured(sys.stdout), coloured(sys.stderr), width)

    def out(self, text: str) -> None:
        """Write a result and a line end to stdout; raise BrokenPipeError if nobody reads it any more.

        Raises OutputError if it cannot be written, as on a full disk.
        """
        with written():
            click.echo(text, color=self.color)

    def report(self, text: str) -> None:
        """Write as `out` does what is told of work that goes on; if nobody reads it any more, in silence."""
        try:
            self.out(text)
        except BrokenPipeError:
            close_pipe(error=False)

    def err(self, text: str) -> None:
        """Write a line about the work to stderr; if that cannot be done, in silence: there is no place to tell it."""
        try:
            click.echo(text, err=True, color=self.color_error)
        except OSError:
            close_pipe(error=True)


@contextmanager
def written() -> Iterator[None]:
    """Turn what the system says of our output into an OutputError; a reader that left stays a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        close_pipe(error=False)
        raise OutputError(f"the output cannot be written: {error.strerror}") from error


def close_pipe(*, error: bool) -> None:
    """Give stdout (or stderr) a place to end in: what is still buffered would raise again when Python closes it."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2 if error else 1)
    os.close(sink)


def to_json(value: Any) -> str:
    """Give one line of JSON; text stays readable, what JSON does not know is written as text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def project_options(command: _Command) -> _Command:
    """Add the options that every command on a project has: --env, --project, --color, --no-color."""
    env = click.option(
        "--env",
        "environment",
        metavar="NAME",
        help="Environment. Default: $PRATIQUE_ENV, else dev.",
        shell_complete=environment_names,
    )
    return env(folder_options(command))


def folder_options(command: _Command) -> _Command:
    """Add --project, --color and --no-color."""
    for option in (
        click.option("--no-color", "color", flag_value="never", help="The same as --color never."),
        click.option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="Colour of the output.",
            show_default=True,
        ),
        click.option(
            "--project",
            "root",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="DIR",
            help="Folder of the project. Default: the nearest one upwards that has config/.",
        ),
    ):
        command = option(command)
    return command


def json_option(command: _Command) -> _Command:
    """Add --json: then nothing but JSON is written to stdout, and an error is a JSON problem on stderr."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, and nothing else.")(command)


def typed_options(environment: str | None, root: Path | None) -> str:
    """Give the options that a printed command needs to mean this project and environment again."""
    text = f" --env {shlex.quote(environment)}" if environment else ""
    return text + (f" --project {shlex.quote(click.format_filename(root))}" if root else "")
