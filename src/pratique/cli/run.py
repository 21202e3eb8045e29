"""`pratique run`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from pratique.cli.candidates import pipeline_names
from pratique.cli.console import Console, json_option, project_options, to_json, typed_options
from pratique.cli.problems import problem, render_error
from pratique.cli.progress import lines, moving, silence
from pratique.cli.report import render
from pratique.errors import ConfigurationError, PratiqueError
from pratique.ledger import report_to_json
from pratique.project import Project

# Of several pipelines the failure that needs a person most decides: ours, then configuration, destination, source,
# data; partial, interrupted and already running come last, for the next run may mend them by itself.
_WORST_FIRST: Final[tuple[int, ...]] = (5, 2, 4, 3, 1, 8, 7, 6)
_INTERRUPTED: Final[int] = 7


def worst(codes: Iterable[int]) -> int:
    """Give the exit code of several pipelines: 0 if all are 0, else the first that occurs of 5 2 4 3 1 8 7 6."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), 0)


@click.command(
    epilog="""\b
Examples:
  pratique run                         all pipelines, in order of name
  pratique run shop_daily --env prod
  pratique run shop_daily --dry-run    judge and report, write nothing
  pratique run --json | jq .outcome    one report per line

The report goes to stdout, progress to stderr. Of several pipelines the exit
code is the first that occurs of 5 2 4 3 1 8 7 6, else 0."""
)
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...", shell_complete=pipeline_names)
@click.option("--dry-run", is_flag=True, help="Judge and report; nothing is written.")
@click.option("--quiet", is_flag=True, help="Show no progress; the report and errors are told.")
@click.option("--strict", is_flag=True, help="Exit 1 if any row was quarantined.")
@json_option
@project_options
def run(
    *,
    pipelines: tuple[str, ...],
    environment: str | None,
    root: Path | None,
    color: str,
    dry_run: bool,
    quiet: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Run pipelines: read, judge, load or quarantine, and account for every record.

    Without a name all pipelines of the project run, one after the other. One that fails does not stop the next.
    """
    console = Console.choose(color)
    project = Project(root, environment)
    names = pipelines or tuple(sorted(project.pipeline_names()))
    if not names:
        raise ConfigurationError(
            "this project has no pipeline",
            where=str(project.config.root / "pipelines"),
            hint="write pipelines/NAME.yaml",
        )
    codes = []
    for name in names:
        codes.append(
            run_named(
                project,
                name,
                console,
                typed_options(environment, root),
                dry_run=dry_run,
                quiet=quiet,
                strict=strict,
                as_json=as_json,
            )
        )
        if codes[-1] == _INTERRUPTED:
            break
    raise click.exceptions.Exit(worst(codes))


def run_named(
    project: Project,
    name: str,
    console: Console,
    options: str = "",
    *,
    dry_run: bool = False,
    quiet: bool = False,
    strict: bool = False,
    as_json: bool = False,
) -> int:
    """Run one pipeline and tell about it; an error that stops it before it begins is told in the same place."""
    from pratique.ingestion import run_pipeline  # noqa: PLC0415 - pydantic: 0.3 s that --help and completion do without
    from pratique.logging_config import LoggerSetup  # noqa: PLC0415 - likewise

    logged = project.config.settings.logging.format == "json"  # then stderr is the log's, for machines
    display = silence() if as_json or quiet or logged else moving() if sys.stderr.isatty() else lines(console)
    try:
        # A dry run leaves no trace: it writes no log file.
        with LoggerSetup(project.config, console=logged, file=not dry_run), display as show:
            report = run_pipeline(project, name, emit=show, dry_run=dry_run, strict=strict)
    except PratiqueError as error:
        if as_json:
            console.err(to_json(problem(error, pipeline=name)))
        else:
            console.err(render_error(error, width=console.width, color=console.color_error))
        return error.exit_code
    if as_json:
        console.report(report_to_json(report))
    else:
        console.report(render(report, width=console.width, color=console.color, options=options))
    return report.exit_code
