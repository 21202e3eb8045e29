"""`pratique test`: the tests beside the pipelines, for people, programs and build servers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pratique.cli.console import Console, json_option, project_options, to_json
from pratique.cli.junit import junit
from pratique.cli.text import coloured, columns, hanging, left, shown, wrapped
from pratique.errors import ConfigurationError
from pratique.mistakes import Mistakes
from pratique.pipeline_tests import CaseResult, Difference, TestReport, run_pipeline_tests
from pratique.project import Project

_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "error": ("!", "red")}
_COLUMN_MAX = 40  # Limit: a longer value is wrapped below, for two of them stand side by side


@click.command(
    "test",
    epilog="""\b
Examples:
  pratique test                              all tests of the project
  pratique test orders                       those of one pipeline
  pratique test pipelines/tests/orders.yaml  those of one file
  pratique test --only "a date*"             those whose names fit
  pratique test --junit build/tests.xml      for a build server

\b
Exit codes: 0 all passed, 1 a test failed, 2 a test could not be run, for a
mistake in its file, or there is none.""",
)
@click.argument("wanted", nargs=-1, metavar="[PIPELINE|FILE]...")
@click.option("--only", metavar="NAME", help="Only tests of this name; * stands for anything.")
@click.option(
    "--junit", "target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML."
)
@json_option
@project_options
def command(
    *,
    wanted: tuple[str, ...],
    only: str | None,
    target: Path | None,
    as_json: bool,
    environment: str | None,
    root: Path | None,
    color: str,
) -> None:
    """Run the tests in pipelines/tests/: given these records, expect these loaded and these held.

    They run by the same engine as a run, into a temporary folder. Nothing of the project is written, no connection is
    opened, no secret is needed.
    """
    console = Console.choose(color)
    found = Mistakes()
    project = Project(root, environment, found)
    found.refuse()

    def told(result: CaseResult) -> None:
        if not as_json:
            console.out(_one(result, console))

    report = run_pipeline_tests(project, *wanted, only=only, told=told)
    if as_json:
        console.out(to_json(_as_json(report)))
    else:
        console.out("")
        console.out(_summary(report, color=console.color))
    if target is not None:
        _write(target, junit(report, lambda result: "\n".join(_why(result, 100))))
    raise click.exceptions.Exit(report.exit_code)


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written: {error.strerror}", hint="give --junit a file in a folder that may be written"
        ) from error


def _one(result: CaseResult, console: Console) -> str:
    mark, colour = _MARKS[result.status]
    took = f"{result.seconds:.2f} s"
    name = shown(f"{result.pipeline}: {result.name}")
    head = f"{left(name, max(console.width - len(took) - 4, columns(name)))} {took}"
    return "\n".join([f"{coloured(mark, colour, on=console.color)} {head}", *_why(result, console.width)])


def _why(result: CaseResult, width: int) -> list[str]:
    """What is not as expected, or why the test could not be run."""
    lines: list[str] = []
    for difference in result.differences:
        lines += _difference(difference, width)
    if result.problem:
        problem = result.problem
        lines += hanging("    ", shown(f"could not be run: {problem.message}"), width)
        lines.append(f"      at {shown(problem.where or result.where)}")
        lines += hanging("      do: ", shown(problem.hint), width) if problem.hint else []
    return [line.rstrip() for line in lines]


def _difference(difference: Difference, width: int) -> list[str]:
    lines = [f"    {shown(difference.what)}   {shown(difference.where)}"]
    if difference.values:
        lines += _beside(difference, width)
    else:
        for word, text in (("expected", difference.expected), ("got", difference.got)):
            lines += hanging(f"      {left(word, 8)}  ", shown(text), width) if text else []
    for note in difference.notes:
        lines += hanging("      · ", shown(note), width)
    return lines


def _beside(difference: Difference, width: int) -> list[str]:
    """Two records side by side, field by field; what differs is marked."""
    rows = [("", "expected", "got"), *((shown(a), shown(b), shown(c)) for a, b, c in difference.values)]
    name = min(max(columns(row[0]) for row in rows), 24)
    size = max(min(max(columns(row[1]) for row in rows), _COLUMN_MAX, (width - name - 14) // 2), 8)
    rest = max(width - name - size - 12, 20)
    lines = []
    for number, (field, expected, got) in enumerate(rows):
        mark = "≠" if number and expected != got else " "
        cells = [wrapped(field, name), wrapped(expected, size), wrapped(got, rest)]
        for line in range(max(map(len, cells))):
            texts = [cell[line] if line < len(cell) else "" for cell in cells]
            lines.append(f"    {mark if not line else ' '} {left(texts[0], name)}  {left(texts[1], size)}  {texts[2]}")
    return lines


def _summary(report: TestReport, *, color: bool) -> str:
    parts = [
        coloured(f"{number} {word}", colour, on=color)
        for number, word, colour in (
            (report.count("passed"), "passed", "green"),
            (report.count("failed"), "failed", "red"),
            (report.count("error"), "could not be run", "red"),
        )
        if number
    ]
    return f"{', '.join(parts)} in {report.seconds:.2f} s"


def _as_json(report: TestReport) -> dict[str, object]:
    return {
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "errors": report.count("error"),
        "seconds": report.seconds,
        "started_at": report.started_at,
        "tests": [asdict(result) for result in report.results],
    }
