"""`pratique lint`: everything that is wrong in a project's files, for people, programs and code review."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import click

from pratique.cli.candidates import environment_names
from pratique.cli.console import Console, folder_options, to_json
from pratique.cli.problems import extent, one_mistake
from pratique.cli.sarif import sarif
from pratique.cli.text import coloured
from pratique.linting import LintReport, lint
from pratique.mistakes import Mistake
from pratique.secrets import hide_secrets

_EXIT_MISTAKES: Final = 2  # the code of a configuration error in a run


@click.command(
    "lint",
    epilog="""\b
Examples:
  pratique lint                         all files, in every environment
  pratique lint --env prod              as prod sees it
  pratique lint pipelines schemas/a.yaml
  pratique lint --format github         annotations in a pull request
  pratique lint --format sarif > pratique.sarif

\b
Exit codes: 0 no mistakes, 2 mistakes. Warnings are 0, with --strict 2.""",
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="How mistakes are written.",
)
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("--strict", is_flag=True, help="Warnings are mistakes: exit 2.")
@click.option(
    "--env",
    "environment",
    metavar="NAME",
    help="Only as this environment sees it. Default: all of them.",
    shell_complete=environment_names,
)
@folder_options
def command(
    *,
    paths: tuple[Path, ...],
    form: Literal["text", "json", "github", "sarif"],
    strict: bool,
    environment: str | None,
    root: Path | None,
    color: str,
) -> None:
    """Find every mistake in config/, pipelines/, pipelines/tests/ and schemas/, without touching any data.

    The files are read as a run reads them, in every environment. Secrets that are not set are warnings.
    """
    report = lint(root, environment, paths)
    console = Console.choose(color)
    if form == "json":
        console.out(to_json(_as_json(report)))
    elif form == "sarif":
        console.out(to_json(sarif(report)))
    elif form == "github":
        for mistake in report.mistakes:
            console.out(_annotation(mistake))
    else:
        for mistake in report.mistakes:
            console.out("\n".join(one_mistake(mistake, console.width, color=console.color)))
        if report.mistakes:
            console.out("")
        console.out(_summary(report, color=console.color))
    raise click.exceptions.Exit(_EXIT_MISTAKES if report.errors or (strict and report.mistakes) else 0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _summary(report: LintReport, *, color: bool) -> str:
    looked = f"{_count(report.files, 'file')} checked"
    if not report.mistakes:
        return f"{coloured('no mistakes', 'green', on=color)}, {looked}"
    parts = [(report.errors, "error", "red"), (report.warnings, "warning", "yellow")]
    told = [coloured(_count(number, noun), colour, on=color) for number, noun, colour in parts if number]
    files = len({mistake.file for mistake in report.mistakes})
    return f"{', '.join(told)} in {_count(files, 'file')}, {looked}"


def _as_json(report: LintReport) -> dict[str, object]:
    return {
        "mistakes": [
            {
                "level": mistake.level,
                "code": mistake.code,
                "file": mistake.file,
                "line": mistake.line or None,
                "column": mistake.column or None,
                "end_column": mistake.column + extent(mistake) if mistake.column else None,
                "message": hide_secrets(mistake.message),
                "hint": hide_secrets(mistake.hint),
                "meant": mistake.meant or None,
            }
            for mistake in report.mistakes
        ],
        "errors": report.errors,
        "warnings": report.warnings,
        "files": report.files,
    }


def _annotation(mistake: Mistake) -> str:
    """A workflow command of GitHub: it marks the line in the pull request."""
    values = {"file": mistake.file, "title": mistake.code}
    if mistake.line:
        values |= {"line": str(mistake.line), "col": str(mistake.column or 1)}
    if mistake.column:
        values["endColumn"] = str(mistake.column + extent(mistake))
    told = mistake.message + (f"\ndo: {mistake.hint}" if mistake.hint else "")
    listed = ",".join(f"{name}={_escaped(text, also=':,')}" for name, text in values.items())
    return f"::{mistake.level} {listed}::{_escaped(hide_secrets(told))}"


def _escaped(text: str, also: str = "") -> str:
    for char in "%\r\n" + also:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
