"""`pratique quarantine`: which records are held and why; show some, export all."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pratique.cli.account import count
from pratique.cli.candidates import cause_ids, pipeline_names, rule_names, run_ids, source_names
from pratique.cli.console import Console, json_option, project_options, to_json, typed_options, written
from pratique.cli.report import SHORT_ID, places
from pratique.cli.state import quarantine_of
from pratique.cli.text import coloured, columns, hanging, left, middle, right, shown
from pratique.errors import ConfigurationError
from pratique.ledger import Ledger
from pratique.model import Cause
from pratique.quarantine import Filters, HeldCause

_Command = TypeVar("_Command", bound=Callable[..., Any])
_CAUSE: Final = re.compile(r"[Qq][0-9]+")
_VALUE_COLUMNS: Final = 200  # Limit: of one value among many; a record shown by its id is shown whole


def _filters(command: _Command) -> _Command:
    told = "Only of this run; causes are then numbered as in its report."
    rule = "Only records that failed this rule, such as amount.type."
    for option in (
        click.option("--run", metavar="RUN", help=told, shell_complete=run_ids),
        click.option("--rule", metavar="RULE", help=rule, shell_complete=rule_names),
        click.option("--source", metavar="NAME", help="Only of this source.", shell_complete=source_names),
        click.option("--pipeline", metavar="NAME", help="Only of this pipeline.", shell_complete=pipeline_names),
    ):
        command = option(command)
    return command


def _typed(**filters: str | None) -> str:
    return "".join(f" --{name} {value}" for name, value in filters.items() if value)


@click.group()
def quarantine() -> None:
    """Show the records that were held, with every rule that each failed."""


@quarantine.command(
    "list",
    epilog="""\b
Examples:
  pratique quarantine list
  pratique quarantine list --run 7f3a91    numbered as in that run's report
  pratique quarantine list --source sales --json""",
)
@_filters
@json_option
@project_options
def list_(
    *,
    pipeline: str | None,
    source: str | None,
    rule: str | None,
    run: str | None,
    environment: str | None,
    root: Path | None,
    color: str,
    as_json: bool,
) -> None:
    """List the causes for which records are held.

    Each comes with its count, most records first.
    """
    console = Console.choose(color)
    with quarantine_of(root, environment) as (held, ledger):
        causes = held.causes(pipeline, source, rule, ledger.run(run).run_id if run else None)
    if as_json:
        for cause in causes:
            console.out(to_json({name: getattr(cause, name) for name in HeldCause.__slots__}))
        return
    if not causes:
        console.out("nothing is held" + (" that fits" if pipeline or source or rule or run else ""))
        return
    options = _typed(pipeline=pipeline, run=run) + typed_options(environment, root)
    for line in listing(causes, console):
        console.out(line)
    console.out(f"look at them: pratique quarantine show {causes[0].id}{options}")


def listing(causes: list[HeldCause], console: Console) -> Iterator[str]:
    """Two lines for each cause: how many and what; then where, and since when."""
    several = len({cause.pipeline for cause in causes}) > 1
    names = [
        middle(shown(f"{cause.pipeline}." * several + f"{cause.source}.{cause.rule}"), 40)  # Limit: of a name in a list
        for cause in causes
    ]
    ids, sizes = max(len(cause.id) for cause in causes), max(len(count(cause.records)) for cause in causes)
    widest = max(columns(name) for name in names)
    indent = " " * (ids + sizes + 4)
    for cause, name in zip(causes, names, strict=True):
        start = f"{left(cause.id, ids)}  {right(count(cause.records), sizes)}  "
        message = middle(shown(cause.message), _VALUE_COLUMNS)
        beside = columns(start) + widest + 2 + columns(message) <= console.width
        yield coloured(start, "yellow", on=console.color) + (f"{left(name, widest)}  {message}" if beside else name)
        if not beside:
            yield from hanging(indent, message, console.width)
        where = places(Cause(cause.rule, cause.field, cause.message, cause.records, cause.places))
        run = f", run {shown(cause.since_run[:SHORT_ID])}" if cause.since_run else ""  # none: held by hand
        since = f"since {_moment(cause.since)}{run}"
        yield from hanging(indent, " · ".join(text for text in (where, since) if text), console.width)


@quarantine.command(
    epilog="""\b
Examples:
  pratique quarantine show Q1 --run 7f3a91    records of a cause of that run
  pratique quarantine show 0f3b9c5d7e21-88    one record, whole
  pratique quarantine show Q2 --limit 100 --json | jq .values"""
)
@click.argument("what", metavar="CAUSE|RECORD-ID", shell_complete=cause_ids)
@_filters
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="At most so many records.")
@click.option("--reveal", is_flag=True, help="Show sensitive values, which are masked otherwise.")
@json_option
@project_options
def show(
    *,
    what: str,
    limit: int,
    reveal: bool,
    environment: str | None,
    root: Path | None,
    color: str,
    as_json: bool,
    **given: str | None,
) -> None:
    """Show the records of a cause, or one by its id.

    Causes are called Q1, Q2, … as in `quarantine list`.
    """
    console = Console.choose(color)
    by_cause = bool(_CAUSE.fullmatch(what))
    with quarantine_of(root, environment) as (held, ledger):
        filters = _chosen(given, ledger)
        filters["cause" if by_cause else "record"] = what
        filters["limit"] = limit
        found, total = 0, 0
        sensitive = False
        if by_cause:
            causes = held.causes(given["pipeline"], run=filters.get("run"))
            total = next((cause.records for cause in causes if cause.id == what.upper()), 0)
        for record in held.records(reveal=reveal, **filters):
            found += 1
            sensitive = sensitive or bool(record["sensitive"])
            if as_json:
                console.out(to_json(record))
            else:
                for line in record_lines(record, console, whole=not by_cause):
                    console.out(line)
    if not found and not by_cause:
        raise ConfigurationError(
            f"no quarantined record has the id {what}",
            hint="pratique quarantine list tells the causes, pratique quarantine show Q1 their records and ids",
        )
    if as_json:
        return
    if sensitive and not reveal:
        console.out("sensitive values are masked as ***; --reveal shows them")
    if found == limit < total:
        options = _typed(**given) + typed_options(environment, root)
        told = f"these are {count(found)} of {count(total)} records; all of them:"
        console.out(f"{told} pratique quarantine export --cause {what}{options}")


def _chosen(given: Mapping[str, str | None], ledger: Ledger) -> Filters:
    """The filters as given; a run that there is not is an error, not an empty answer."""
    run = ledger.run(given["run"]).run_id if given["run"] else None
    return Filters(pipeline=given["pipeline"], source=given["source"], rule=given["rule"], run=run)


def record_lines(record: Mapping[str, Any], console: Console, *, whole: bool) -> Iterator[str]:
    """One record: its place and id, every rule that it failed, then its values."""
    place = shown(record["file"]) + (f" line {record['line']}" if record["line"] else "")
    if record["line"] != record["record_number"]:
        place += f" record {record['record_number']}"
    name = middle(f"{shown(record['pipeline'])}.{shown(record['source'])}", 40)  # Limit: as in the list
    first, *rest = hanging(f"{name}  ", f"{place}  id {shown(record['id'])}", console.width)
    yield first.replace(name, coloured(name, "yellow", on=console.color), 1)
    yield from rest

    def cut(value: Any) -> str:
        text = "null" if value is None else shown(value)
        return text if whole else middle(text, _VALUE_COLUMNS)

    for error in record["errors"]:
        severity = "" if error["severity"] == "quarantine" else f" ({error['severity']})"
        rule = middle(shown(error["rule"]), _VALUE_COLUMNS)
        yield from hanging("  ✗ ", f"{rule}{severity}   {cut(error['message'])}", console.width)
    values = [f"{shown(header)}={cut(value)}" for header, value in record["values"].items()]
    if whole:
        for value in values:
            yield from hanging("    ", value, console.width)
        for key in ("raw", "table", "run_id", "load_id", "attempt", "schema", "schema_version", "quarantined_at"):
            yield from hanging(f"  {left(key, 14)} ", cut(record[key]), console.width)
    elif values:
        yield from hanging("    ", " · ".join(values), console.width)
    yield ""


@quarantine.command(
    epilog="""\b
Examples:
  pratique quarantine export > held.jsonl
  pratique quarantine export --source sales --format csv --output held.csv
  pratique quarantine export --cause Q1 --run 7f3a91 | jq .raw

JSON lines are the records as they are stored, byte by byte (but for masked
values). In CSV, made for spreadsheets, text that looks like a formula gets a
' in front; how many did is said."""
)
@_filters
@click.option("--cause", metavar="Q1", help="Only of this cause of `quarantine list`.", shell_complete=cause_ids)
@click.option("--format", "form", type=click.Choice(["jsonl", "json", "csv"]), default="jsonl", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Default: stdout.")
@click.option("--reveal", is_flag=True, help="Write sensitive values, which are masked otherwise.")
@project_options
def export(
    *,
    cause: str | None,
    form: Any,
    output: Path | None,
    reveal: bool,
    environment: str | None,
    root: Path | None,
    color: str,
    **given: str | None,
) -> None:
    """Write the held records to a file or stdout.

    A file is complete or not there at all.
    """
    console = Console.choose(color)
    with quarantine_of(root, environment) as (held, ledger):
        filters = _chosen(given, ledger)
        filters["cause"] = cause
        stdout = sys.stdout.buffer
        with written() if output is None else nullcontext():
            exported = held.export(output or stdout, form, reveal=reveal, **filters)
            stdout.flush()
    told = f"{count(exported.records)} record{'s' if exported.records != 1 else ''} written" + (
        f" to {output}" if output else ""
    )
    if exported.neutralised:
        told += f"; {count(exported.neutralised)} cells that look like formulas got a ' in front"
    console.err(told)


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}" if text else "unknown"
