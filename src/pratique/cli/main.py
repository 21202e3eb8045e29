"""The command `pratique`: knows the names of its commands and loads one only when it is called."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from types import TracebackType
from typing import Any, Final

import click

from pratique.cli.console import Console, close_pipe, to_json
from pratique.cli.problems import error_as_json, render_error
from pratique.cli.signals import stop
from pratique.errors import ConfigurationError, InternalError, InterruptedRunError, PratiqueError
from pratique.secrets import hide_secrets

_COMMANDS: Final[dict[str, tuple[str, str]]] = {  # name -> (module:attribute, what it does)
    "run": ("pratique.cli.run:run", "Run pipelines: read, judge, load or quarantine, account."),
    "runs": ("pratique.cli.runs:runs", "List the latest runs, or show one in full."),
    "lint": ("pratique.cli.lint:command", "Find every mistake in a project's files, and say how to mend it."),
    "config": ("pratique.cli.config:config", "Show the merged settings and pipelines, and where each value stands."),
    "schema": ("pratique.cli.schema:schema", "Show and compare schemas; write JSON Schemas for editors."),
    "quarantine": ("pratique.cli.quarantine:quarantine", "List, show and export the records that were held."),
    "version": ("pratique.cli.version:version", "Print the versions of Pratique and of what it stands on."),
}
_EPILOG: Final = """\b
Examples:
  pratique run                          all pipelines, in order of name
  pratique run shop_daily --env prod    one pipeline with the settings of prod
  pratique run shop_daily --dry-run     judge and report, write nothing
  pratique quarantine list              what is held, by cause
  pratique lint                         every mistake in the files of the project
\b
Exit codes: 0 done, 1 the gate failed, 2 configuration, 3 source, 4 destination,
5 internal, 6 already running, 7 interrupted (run again), 8 partial.
\b
Completion for bash (likewise zsh, fish):
  eval "$(_PRATIQUE_COMPLETE=bash_source pratique)"
"""


class _Told:
    """Turns whatever leaves a command into lines for people (or JSON) and the exit code of its class."""

    def __init__(self, ctx: click.Context, *, debug: bool) -> None:
        self.debug = debug
        self.as_json = "--json" in ctx.args  # asked here and not of the command: its options may be what is wrong

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        passed = (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, SystemExit, click.Abort)
        if error is None or isinstance(error, passed):
            return
        if isinstance(error, BrokenPipeError):  # whoever read our output has enough of it
            close_pipe(error=False)
            raise click.exceptions.Exit(0)
        if self.debug:
            click.echo(hide_secrets("".join(traceback.format_exception(kind, error, trace))), err=True, nl=False)
        told = self._error(error)
        console = Console.choose("auto")
        if self.as_json:
            console.out(to_json(error_as_json(told)))
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
        if isinstance(error, click.UsageError):
            path = error.ctx.command_path if error.ctx else "pratique"
            return ConfigurationError(error.format_message(), hint=f"{path} --help")
        if isinstance(error, click.ClickException):
            return ConfigurationError(error.format_message())
        again = "" if self.debug else "; `pratique --debug …` shows where it happened"
        return InternalError(
            f"unexpected {type(error).__name__}: {error}",
            hint=f"this is a fault of Pratique, nothing half done is visible. Please report it with this line{again}",
        )


class Program(click.Group):
    """Finds a command by its name, and says what went wrong in one voice for all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which people need them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load the command's module and nothing else."""
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors become lines and an exit code, never a traceback."""
        with _Told(ctx, debug=ctx.params.get("debug", False)):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            near = _nearest(name)
            raise ConfigurationError(
                f"there is no command {name!r}", hint=f"pratique {near}" if near else "pratique --help"
            )
        return super().resolve_command(ctx, args)


def _nearest(name: str) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    return next(iter(difflib.get_close_matches(name, _COMMANDS, n=1)), "")


def _say_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's signature
    if asked:
        from pratique.cli.version import own_version  # noqa: PLC0415 - it reads package metadata; only this option needs it

        click.echo(f"pratique {own_version()}")
        ctx.exit()


@click.command("pratique", cls=Program, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version, help="Show the version."
)
def program(debug: bool) -> None:  # noqa: FBT001 - read by Program.invoke
    """Load data so that every record is loaded once, or held with its reasons.

    read = loaded + quarantined + skipped, for every run.
    """


def main() -> None:
    """Run the program as a process: signals are heard, and no character is one that the terminal cannot take."""
    stop.install()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them costs a tenth of a short run
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # not a text stream of Python
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        program(prog_name="pratique")
    except SystemExit as end:
        stop.leave(end.code if isinstance(end.code, int) else 1)
        raise
    finally:
        stop.over()
