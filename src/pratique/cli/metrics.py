"""`pratique metrics`: what all runs measured, for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from pratique.cli.console import Console, project_options
from pratique.cli.state import ledger_of
from pratique.ingestion import current
from pratique.monitoring.exporters import described, prometheus_text
from pratique.monitoring.metrics import write_whole


@click.command(
    epilog="""\b
Examples:
  pratique metrics | jq '.history[-1]'
  pratique metrics --format prometheus
  pratique metrics --format prometheus --output pratique.prom

Totals grow over all runs. The history has every run of the last 7 days, and
one point a day for 90 days."""
)
@click.option(
    "--format", "form", type=click.Choice(["json", "prometheus"]), default="json", show_default=True, help="Form."
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Default: stdout.")
@project_options
def metrics(*, form: str, output: Path | None, environment: str | None, root: Path | None, color: str) -> None:
    """Print what all runs measured: totals, and the history of 90 days.

    A file is complete or not there at all.
    """
    with ledger_of(root, environment) as ledger:
        samples = current(ledger)
        points = ledger.history() if form == "json" else []
    if form == "prometheus":
        text = prometheus_text(samples)
    else:
        document = {
            "exported_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "metrics": described(samples),
            "history": [asdict(point) for point in points],
        }
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if output:
        write_whole(output, text)
    else:
        Console.choose(color).out(text.removesuffix("\n"))
