"""The command `pratique`: knows the names of its commands and loads one only when it is called."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from pratique.cli.failure import Failure
from pratique.cli.signals import stop

_COMMANDS: Final[dict[str, tuple[str, str]]] = {  # name -> (module:attribute, what it does)
    "init": ("pratique.cli.init:command", "Write a project for your files, and run it; alone, a small example."),
    "run": ("pratique.cli.run:run", "Run pipelines: read, judge, load or quarantine, account."),
    "probe": ("pratique.cli.probe:probe", "Try a source: address, credentials, permissions, five records."),
    "runs": ("pratique.cli.runs:runs", "List the latest runs, or show one in full."),
    "lint": ("pratique.cli.lint:command", "Find every mistake in a project's files, and say how to mend it."),
    "test": ("pratique.cli.test:command", "Run the tests beside the pipelines: given these records, expect these."),
    "config": ("pratique.cli.config:config", "Show the merged settings and pipelines, and where each value stands."),
    "schema": ("pratique.cli.schema:schema", "Show and compare schemas; write JSON Schemas for editors."),
    "quarantine": ("pratique.cli.quarantine:quarantine", "List, show and export the records that were held."),
    "health": ("pratique.cli.health:health", "Say whether the latest runs are healthy; the exit code says it too."),
    "metrics": ("pratique.cli.metrics:metrics", "Print what all runs measured, as JSON or for Prometheus."),
    "alerts": ("pratique.cli.alerts:alerts", "Show what is wrong and who was told; acknowledge, silence, deliver."),
    "completion": ("pratique.cli.completion:completion", "Print the script that lets a shell complete commands."),
    "version": ("pratique.cli.version:version", "Print the versions of Pratique and of what it stands on."),
}
_EPILOG: Final = """\b
Examples:
  pratique init orders.csv              a project out of a file, and its run
  pratique run                          all pipelines, in order of name
  pratique run shop_daily --env prod    one pipeline with the settings of prod
  pratique run shop_daily --dry-run     judge and report, write nothing
  pratique quarantine list              what is held, by cause
  pratique lint                         every mistake in the files
  pratique test                         the tests in pipelines/tests/

\b
Exit codes: 0 done, 1 the gate failed, 2 configuration, 3 source,
4 destination, 5 internal, 6 already running, 7 interrupted (run again),
8 partial.

\b
Completion for bash (likewise zsh, fish):
  eval "$(pratique completion bash)"
"""


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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before the command; a wrong one is told like any mistake."""
        with Failure(list(args), debug=False):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors become lines and an exit code, never a traceback."""
        with Failure(ctx.args, debug=ctx.params.get("debug", False)):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=_COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)


def _say_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's signature
    if asked:
        from pratique.cli.version import own_version  # noqa: PLC0415 - it reads package metadata; only this option needs it

        click.echo(f"pratique {own_version()}")
        ctx.exit()


@click.command(
    "pratique",
    cls=Program,
    epilog=_EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_say_version, help="Show the version."
)
@click.pass_context
def program(ctx: click.Context, debug: bool) -> None:  # noqa: ARG001, FBT001 - read by Program.invoke
    """Load data so that every record is loaded once, or held with its reasons.

    read = loaded + quarantined + skipped, for every run.
    """
    if ctx.invoked_subcommand is None:
        from pratique.cli.first_steps import first_steps  # noqa: PLC0415 - only without a command

        click.echo(first_steps(Path.cwd(), tuple(_COMMANDS)))


def main() -> None:
    """Run the program as a process: signals are heard, and no character is one that the terminal cannot take."""
    stop.install()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # looking for them costs a tenth of a short run
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # not a text stream of Python
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = _code()
        stop.leave(code)
    finally:
        stop.over()
    sys.exit(code)


def _code() -> int:
    """Run the program; its exit code.

    Upstream: on its own click makes "Aborted!" and code 1 of a signal that comes while it reads the command line.
    """
    try:
        with Failure(sys.argv[1:], debug=False):
            return program(prog_name="pratique", standalone_mode=False) or 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:  # only what is to be shown as it is: the help of a group of commands
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Aborted!", err=True)
        return 1
