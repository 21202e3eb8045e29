"""`pratique schema`: what the schemas of a project say, how versions differ, and JSON Schemas for editors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, cast

import click

from pratique.cli.candidates import schema_names
from pratique.cli.console import Console, json_option, project_options, to_json, typed_options
from pratique.cli.text import coloured, hanging, left, shown, table
from pratique.errors import ConfigurationError
from pratique.mistakes import Mistakes
from pratique.project import Project
from pratique.schema import Field, Schema

_COLOURS: Final = {"tighter": "red", "looser": "green", "both": "yellow"}


@click.group(
    epilog="""\b
Examples:
  pratique schema list
  pratique schema show orders@2
  pratique schema diff orders@1 orders@2
  pratique schema json-schema --write   so that editors complete and check"""
)
def schema() -> None:
    """Show and compare schemas; write JSON Schemas for editors."""


@schema.command(
    "list",
    epilog="""\b
Examples:
  pratique schema list
  pratique schema list --json""",
)
@json_option
@project_options
def list_(*, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """List the schemas of the project: versions, fields, rules, and the pipelines that use them."""
    from pratique.schema.rules import rules  # noqa: PLC0415 - the SQL parser

    console = Console.choose(color)
    project = Project(root, environment)
    users = _users(project)
    found = []
    for name in project.schema_names():
        for number, version in _versions(project, name).items():
            used = [pipeline for pipeline, read in users if (name, number) in read]
            found.append((version, len(rules(version)), used))
    if as_json:
        for version, count, used in found:
            line = {"schema": version.name, "version": version.version, "fields": len(version.fields)}
            console.out(to_json({**line, "rules": count, "pipelines": used, "file": version.path}))
        return
    if not found:
        console.out("no schemas yet; write schemas/NAME.yaml")
        return
    lines = [
        (f"{item.name}@{item.version}", str(len(item.fields)), str(count), item.path, ", ".join(used) or "none")
        for item, count, used in found
    ]
    console.out(
        "\n".join(table(("schema", "fields", "rules", "file", "pipelines"), lines, console.width, numbers=(1, 2)))
    )


def _versions(project: Project, name: str) -> dict[int, Schema]:
    found = Mistakes()
    versions = project.versions(name, found)
    found.refuse()
    return dict(sorted(versions.items()))


def _users(project: Project) -> list[tuple[str, set[tuple[str, int]]]]:
    """Each pipeline with the versions of schemas that its sources have; mistakes in it are for lint."""
    found = []
    for name in project.pipeline_names():
        pipeline = project.read_pipeline(name, Mistakes())
        sources = pipeline.sources if pipeline else ()
        found.append((name, {(source.schema.name, source.schema.version) for source in sources}))
    return found


@schema.command(
    epilog="""\b
Examples:
  pratique schema show orders       its latest version
  pratique schema show orders@1 --json"""
)
@click.argument("name", metavar="NAME[@VERSION]", shell_complete=schema_names)
@json_option
@project_options
def show(*, name: str, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Show a schema as records are judged by it: fields, and every rule with what it does to a record."""
    from pratique.schema.rules import rules  # noqa: PLC0415 - the SQL parser

    console = Console.choose(color)
    found = Project(root, environment).schema(name)
    judged = rules(found)
    if as_json:
        console.out(to_json(_as_json(found, judged)))
        return
    key = f", primaryKey {', '.join(found.primary_key)}" if found.primary_key else ""
    title = f"{shown(found.name)}@{found.version}  {found.path}{key}"
    console.out("\n".join(hanging("", title, console.width)))
    if found.description:
        console.out("\n".join(hanging("  ", shown(found.description), console.width)))
    rows = [(shown(item.name), str(item.type), _origin(item), ", ".join(_marks(item, found))) for item in found.fields]
    console.out("\n".join(table(("field", "type", "from", ""), rows, console.width)))
    console.out("")
    told = [(shown(rule.name), rule.severity, rule.scope, "") for rule in judged]
    header, *lines = table(("rule", "severity", "judges", "told if it fails"), told, console.width)
    console.out(header)
    begin = header.index("told")
    for line, rule in zip(lines, judged, strict=True):
        console.out("\n".join(hanging(left(line, begin), _rule_text(rule), console.width)))
    if found.filter:
        console.out("")
        console.out("\n".join(hanging("  filter  ", shown(found.filter), console.width)))


def _rule_text(rule: Any) -> str:
    share = f" (at most {rule.at_most:.2%})" if rule.at_most is not None else ""
    return shown(rule.text) + share


def _origin(item: Field) -> str:
    if item.expression:
        return shown(f"= {item.expression}")
    return f"path.{item.capture}" if item.capture else shown(" | ".join(item.headers))


def _marks(item: Field, found: Schema) -> list[str]:
    return [
        *(["required"] if item.required or item.name in found.primary_key else []),
        *(["sensitive"] if item.sensitive else []),
        *([item.store] if item.store != "keep" else []),
    ]


def _as_json(found: Schema, judged: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "schema": found.name,
        "version": found.version,
        "description": found.description,
        "file": found.path,
        "primary_key": found.primary_key,
        "unique_keys": found.unique_keys,
        "extra_fields": found.extra_fields,
        "timezone": found.timezone,
        "filter": found.filter,
        "fields": [
            {
                "name": item.name,
                "type": str(item.type),
                "from": _origin(item),
                "required": item.required or item.name in found.primary_key,
                "sensitive": item.sensitive,
                "store": item.store,
                "description": item.description,
            }
            for item in found.fields
        ],
        "rules": [
            {
                "name": rule.name,
                "severity": rule.severity,
                "scope": rule.scope,
                "fields": rule.inputs,
                "at_most": rule.at_most,
                "text": rule.text,
            }
            for rule in judged
        ],
    }


@schema.command(
    epilog="""\b
Examples:
  pratique schema diff orders@1 orders@2
  pratique schema diff orders@1 orders --json"""
)
@click.argument("old", metavar="OLD[@VERSION]", shell_complete=schema_names)
@click.argument("new", metavar="NEW[@VERSION]", shell_complete=schema_names)
@json_option
@project_options
def diff(*, old: str, new: str, environment: str | None, root: Path | None, color: str, as_json: bool) -> None:
    """Compare two versions, and say for each change whether it can hold records that passed before.

    \b
    tighter  it may hold records that passed before
    looser   it may let records pass that were held before
    both     it may do either
    none     it changes no verdict
    """  # noqa: D301 - click's mark for lines that stay as they are
    from pratique.schema.difference import EFFECTS, difference  # noqa: PLC0415 - only here

    console = Console.choose(color)
    project = Project(root, environment)
    changes = difference(project.schema(old), project.schema(new))
    if as_json:
        for change in changes:
            said = {"what": change.what, "before": change.before, "after": change.after, "effect": change.effect}
            console.out(to_json(said))
        return
    if not changes:
        console.out(f"{old} and {new} say the same")
        return
    none = "–"  # noqa: RUF001 - the dash that tables use
    rows = [
        (change.effect, shown(change.what), shown(change.before or none), shown(change.after or none))
        for change in changes
    ]
    header, *lines = table(("effect", "what", "before", "after"), rows, console.width)
    console.out(header)
    for line, change in zip(lines, changes, strict=True):
        colour = _COLOURS.get(change.effect, "")
        told = coloured(change.effect, colour, on=console.color and bool(colour))
        console.out(line.replace(change.effect, told, 1))
    console.out("")
    for effect in dict.fromkeys(change.effect for change in changes):
        console.out(f"  {effect:7}  {EFFECTS[effect]}")


@schema.command(
    "json-schema",
    epilog="""\b
Examples:
  pratique schema json-schema pipeline
  pratique schema json-schema --write   all of them, into the state folder""",
)
@click.argument("kind", required=False, type=click.Choice(["pipeline", "schema", "config", "tests"]))
@click.option("--write", is_flag=True, help="Write all of them into the state folder, and say how editors find them.")
@project_options
def json_schema_(*, kind: str | None, write: bool, environment: str | None, root: Path | None, color: str) -> None:
    """Print the JSON Schema (2020-12) of a kind of file, by which editors complete and check it."""
    from pratique.specs.json_schemas import KINDS, Kind, json_schema  # noqa: PLC0415 - pydantic

    console = Console.choose(color)
    if not write:
        if kind is None:
            every = f"pratique schema json-schema --write{typed_options(environment, root)}"
            raise ConfigurationError(
                "of which kind of file? pipeline, schema, config or tests",
                hint=f"pratique schema json-schema pipeline; for all of them: {every}",
            )
        console.out(json.dumps(json_schema(cast(Kind, kind)), ensure_ascii=False, indent=2))
        return
    config = Project(root, environment).config
    folder = config.root / config.settings.state.path / "json-schemas"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    console.out("Editors that know the YAML language server read a first line in each file:")
    for name, place in KINDS.items() if kind is None else [(cast(Kind, kind), KINDS[cast(Kind, kind)])]:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json_schema(name), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        relative = os.path.relpath(path, config.root / place)
        console.out(f"  {left(f'{place}/*.yaml', 22)}   # yaml-language-server: $schema={relative}")
