"""`pratique probe`: whether a source can be read, and a few of its records; nothing is changed anywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from pratique.cli.candidates import source_names
from pratique.cli.console import Console, json_option, project_options, to_json
from pratique.cli.text import coloured, hanging, left, shown, table
from pratique.destinations import open_destination
from pratique.errors import ConfigurationError
from pratique.ingestion.parents import parent_values
from pratique.ingestion.run import read_limits
from pratique.planning import SourcePlan
from pratique.project import Project
from pratique.schema.rules import sensitive
from pratique.secrets import hide_secrets
from pratique.sources import planned_source
from pratique.sources.base import STEPS, Probe

_MASK: Final = "***"
_SOURCE_FAILED: Final = 3
_VALUE_CHARACTERS_MAX: Final = 60  # Limit: what one cell of the table shows


@click.command(
    epilog="""\b
Examples:
  pratique probe                 every source of every pipeline
  pratique probe shop_daily      the sources of a pipeline
  pratique probe shop_daily.sales
  pratique probe sales --json | jq .records

\b
Exit codes: 0 all can be read, 2 configuration, 3 a source cannot.""",
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", shell_complete=source_names)
@json_option
@project_options
def probe(*, sources: tuple[str, ...], environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Try whether a SOURCE can be read: address, credentials, permissions, and five of its records.

    Nothing is loaded, written or remembered. Fields that a schema marks sensitive are masked. A SOURCE is named as
    PIPELINE.SOURCE, as SOURCE where one pipeline has it, or as PIPELINE for all of its sources.
    """
    console = Console.choose(color)
    project = Project(root, environment)
    failed = False
    limits = read_limits(project.config.settings.limits)
    for pipeline, plan in _named(project, sources):
        with tempfile.TemporaryDirectory(prefix="pratique-probe-") as folder:
            found = planned_source(plan, limits, Path(folder), values=_parents(project, pipeline, plan)).probe()
        failed = failed or not found.reachable
        records = [_shown_record(plan, record) for record in found.records]
        if as_json:
            console.out(to_json(_as_json(pipeline, plan, found, records)))
        else:
            console.out("\n".join(_lines(pipeline, plan, found, records, console)))
    raise click.exceptions.Exit(_SOURCE_FAILED if failed else 0)


def _named(project: Project, wanted: tuple[str, ...]) -> list[tuple[str, SourcePlan]]:
    """The sources that are meant, each once, in the order in which they are named."""
    names = project.pipeline_names()
    found: dict[tuple[str, str], SourcePlan] = {}
    for text in wanted or names:
        pipeline, dot, source = text.partition(".")
        if dot or pipeline in names:
            plans = {(pipeline, plan.name): plan for plan in project.pipeline(pipeline).sources}
            meant = {key: plan for key, plan in plans.items() if not dot or key[1] == source}
        else:
            plans = dict(_every(project))
            meant = {key: plan for key, plan in plans.items() if key[1] == text}
        if len(meant) != 1 and (dot or pipeline not in names):
            known = ", ".join(".".join(key) for key in (meant or plans)) or "none"
            what = "is in several pipelines" if meant else "is no source of this project"
            raise ConfigurationError(f"{text} {what}", hint=f"name one of: {known}")
        found.update(meant)
    if not found:
        raise ConfigurationError(
            "this project has no source", where=str(project.root / "pipelines"), hint="write pipelines/NAME.yaml"
        )
    return [(pipeline, plan) for (pipeline, _), plan in found.items()]


def _parents(project: Project, pipeline: str, plan: SourcePlan) -> Callable[[], list[tuple[str, ...]]]:
    """What stands in the path of a child, out of its parent's table."""
    there = project.pipeline(pipeline).destination
    return lambda: parent_values(open_destination(there.type, there.path, name=there.name), plan)


def _every(project: Project) -> Iterator[tuple[tuple[str, str], SourcePlan]]:
    for pipeline in project.pipeline_names():
        yield from (((pipeline, plan.name), plan) for plan in project.pipeline(pipeline).sources)


def _shown_record(plan: SourcePlan, record: Any) -> dict[str, Any]:
    """A record without what people must not see."""
    hidden = {name for field in sensitive(plan.schema) for name in (field, *plan.schema.field(field).headers)}
    return {
        str(name): _MASK if name in hidden and value is not None else hide_secrets(value)
        for name, value in record.items()
    }


def _as_json(pipeline: str, plan: SourcePlan, found: Probe, records: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "source": plan.name,
        "type": plan.type,
        "reachable": found.reachable,
        "failed": None if found.reachable else found.failed,
        "detail": hide_secrets(found.detail),
        "hint": hide_secrets(found.hint),
        "records": records,
    }


def _lines(pipeline: str, plan: SourcePlan, found: Probe, records: list[dict[str, Any]], console: Console) -> list[str]:
    lines = [shown(f"{pipeline}.{plan.name}  {plan.type}")]
    bad = len(STEPS) if found.reachable else STEPS.index(found.failed)
    for at, step in enumerate(STEPS):
        mark, colour = ("✓", "green") if at < bad else ("✗", "red") if at == bad else ("-", "white")
        told = found.detail if at == min(bad, len(STEPS) - 1) else ""
        head = f"  {mark} {left(step, 13)}"
        wrapped = hanging(head, shown(hide_secrets(told)), console.width, paths=True) if told else [head.rstrip()]
        lines += [wrapped[0].replace(mark, coloured(mark, colour, on=console.color), 1), *wrapped[1:]]
    if found.hint and not found.reachable:
        lines += hanging("    do: ", shown(hide_secrets(found.hint)), console.width, paths=True)
    if records:
        names = list(dict.fromkeys(name for record in records for name in record))
        rows = [[_cell(record.get(name)) for name in names] for record in records]
        lines += ["  " + line for line in table([shown(name) for name in names], rows, console.width - 2)]
    return [line.rstrip() for line in lines]


def _cell(value: Any) -> str:
    text = "" if value is None else shown(str(value))
    return text if len(text) <= _VALUE_CHARACTERS_MAX else text[: _VALUE_CHARACTERS_MAX - 1] + "…"
