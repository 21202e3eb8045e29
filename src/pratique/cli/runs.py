"""`pratique runs`: what has run, newest first, and one run in full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from pratique.cli.account import count
from pratique.cli.candidates import pipeline_names, run_ids
from pratique.cli.console import Console, json_option, project_options, typed_options
from pratique.cli.report import COLOURS, SHORT_ID, duration, render
from pratique.cli.state import ledger_of
from pratique.cli.text import coloured, shown, table
from pratique.errors import ConfigurationError
from pratique.ledger import report_to_json
from pratique.reports import RunReport

_HEADER = ("run", "pipeline", "env", "began", "took", "outcome", "loaded", "quarantined")


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  pratique runs                the latest 20 runs
  pratique runs --pipeline shop_daily
  pratique runs show 7f3a91    the report of one run, with all details""",
)
@click.option("--pipeline", metavar="NAME", help="Only runs of this pipeline.", shell_complete=pipeline_names)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many, newest first.")
@json_option
@project_options
@click.pass_context
def runs(
    ctx: click.Context,
    *,
    pipeline: str | None,
    limit: int,
    environment: str | None,
    root: Path | None,
    color: str,
    as_json: bool,
) -> None:
    """List the latest runs, newest first; `runs show RUN` tells one in full."""
    if ctx.invoked_subcommand:
        return
    console = Console.choose(color)
    with ledger_of(root, environment) as ledger:
        reports = ledger.runs(pipeline, limit)
    if as_json:
        for report in reports:
            console.out(report_to_json(report))
        return
    if not reports:
        console.out(f"no runs yet; the first one: pratique run{typed_options(environment, root)}")
        return
    header, *lines = runs_table(reports, console.width)
    console.out(header)
    for line, report in zip(lines, reports, strict=True):
        console.out(coloured(line, COLOURS[report.outcome], on=console.color and report.outcome != "done"))


def runs_table(reports: Sequence[RunReport], width: int) -> list[str]:
    """Lay runs out under a header, one line each, none wider than `width`."""
    return table(_HEADER, [_row(report) for report in reports], width, numbers=(6, 7), whole=(0, 3, 4, 5))


def _row(report: RunReport) -> tuple[str, ...]:
    begun = datetime.fromisoformat(report.started_at).astimezone()
    ended = datetime.fromisoformat(report.ended_at).astimezone() if report.ended_at else None
    accounts = [source.account for source in report.sources if source.account]
    return (
        report.run_id[:SHORT_ID],
        shown(report.pipeline),
        shown(report.environment),
        f"{begun:%Y-%m-%d %H:%M}",
        duration((ended - begun).total_seconds()) if ended else "",
        report.outcome,
        count(sum(account.loaded for account in accounts)),
        count(sum(account.quarantined for account in accounts)),
    )


@runs.command(
    epilog="""\b
Examples:
  pratique runs show           the latest run
  pratique runs show 7f3a91
  pratique runs show 7f3a91 --json"""
)
@click.argument("run", required=False, shell_complete=run_ids)
@json_option
@project_options
def show(*, run: str | None, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Show the report of one run, named by the first characters of its id; of the latest one without a name."""
    console = Console.choose(color)
    options = typed_options(environment, root)
    with ledger_of(root, environment) as ledger:
        report = ledger.run(run) if run else next(iter(ledger.runs(None, 1)), None)
    if report is None:
        raise ConfigurationError("there is no run yet", hint=f"the first one: pratique run{options}")
    if as_json:
        console.out(report_to_json(report))
        return
    console.out(render(report, width=console.width, color=console.color, detail=True, options=options))
