"""Whatever leaves a command becomes lines for people, or a JSON problem, and the exit code of its class."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType

import click

from pratique.cli.console import Console, close_pipe, to_json
from pratique.cli.problems import problem, render_error
from pratique.cli.signals import stop
from pratique.errors import ConfigurationError, InternalError, InterruptedRunError, PratiqueError
from pratique.secrets import hide_secrets

_BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE ended
_PASSED = (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, SystemExit, click.Abort)


class Failure:
    """Tells the error that leaves its block on stderr, and exits with the code of its class.

    How to tell is read from the arguments as typed and not from the command: its options may be what is wrong.
    """

    def __init__(self, typed: Sequence[str], *, debug: bool) -> None:
        self.debug = debug
        self.as_json = "--json" in typed or "json" in (*_values("--format", typed), *_values("--error-format", typed))
        self.color = "never" if "--no-color" in typed else next(iter(_values("--color", typed)), "auto")

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or (isinstance(error, _PASSED) and not (stop.asked and isinstance(error, click.Abort))):
            return
        if isinstance(error, BrokenPipeError):  # whoever read our output has enough of it
            close_pipe(error=False)
            raise click.exceptions.Exit(_BROKEN_PIPE)
        if self.debug:
            click.echo(hide_secrets("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)
        told = self._error(error)
        console = Console.choose(self.color)
        if self.as_json:
            console.err(to_json(problem(told)))
        else:
            console.err(render_error(told, width=console.width, color=console.color_error))
        raise click.exceptions.Exit(told.exit_code)

    def _error(self, error: BaseException) -> PratiqueError:
        if stop.asked or isinstance(error, KeyboardInterrupt):
            return InterruptedRunError(
                "interrupted: what was committed stays, nothing half done is visible",
                hint="run the same command again; it goes on from there",
            )
        if isinstance(error, PratiqueError):
            return error
        if isinstance(error, click.ClickException):
            return _mistyped(error)
        again = "" if self.debug else "; `pratique --debug …` shows where it happened"
        return InternalError(
            f"unexpected {type(error).__name__}: {error}",
            hint=f"this is a fault of Pratique, nothing half done is visible. Please report it with this line{again}",
        )


def _values(option: str, typed: Sequence[str]) -> list[str]:
    """What was typed for an option, as `--option value` and as `--option=value`."""
    beside = [value for name, value in pairwise(typed) if name == option]
    return beside + [item.partition("=")[2] for item in typed if item.startswith(f"{option}=")]


def _mistyped(error: click.ClickException) -> PratiqueError:
    """A wrong command line; the hint is the nearest command or option, and the help that lists all of them."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "pratique"
    if isinstance(error, click.exceptions.NoSuchCommand):
        near = error.possibilities[:1] if error.possibilities else ["--help"]
        return ConfigurationError(f"there is no command {error.command_name!r}", hint=" ".join([path, *near]))
    if isinstance(error, click.exceptions.NoSuchOption):
        near = error.possibilities[:1] if error.possibilities else []
        hint = f"did you mean {near[0]}? All options: {path} --help" if near else f"{path} --help"
        return ConfigurationError(f"there is no option {error.option_name}", hint=hint)
    return ConfigurationError(error.format_message(), hint=f"{path} --help")
