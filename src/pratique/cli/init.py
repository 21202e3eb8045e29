"""`pratique init`: a project out of files, or a small one to look at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Literal

import click

from pratique.cli.console import Console, folder_options, json_option, to_json
from pratique.cli.run import run_named
from pratique.cli.text import coloured, hanging, shown, table
from pratique.config_manager import ConfigManager, config_files, write_dotenv
from pratique.documents import shown_path
from pratique.errors import ConfigurationError
from pratique.inference.columns import Answers, Column, Question
from pratique.inference.databases import is_database, place_of
from pratique.inference.download import DOWNLOAD_BYTES_MAX, download, file_of, is_url
from pratique.inference.example import PIPELINE, example_texts
from pratique.inference.profile import KINDS
from pratique.inference.proposal import Proposal, propose, propose_database, write
from pratique.inference.schema_text import doubts, seen
from pratique.mistakes import Mistakes
from pratique.project import Project

_COLUMNS_SHOWN: Final = 40  # Limit: of one file; the schema has them all
_ASKED: Final = {
    "dates": ("is the day or the month first?", {"d": "day-first", "m": "month-first"}, "[d]ay first, [m]onth first"),
    "decimals": ("what is the mark before decimals?", {"p": "point", "c": "comma"}, "[p]oint, [c]omma"),
}


@click.command(
    "init",
    epilog="""\b
Examples:
  pratique init                         a small project that runs, to look at
  pratique init orders.csv              a project out of a file, and its run
  pratique init data                    every file of a folder is a source
  pratique init https://example.org/orders.csv
  pratique init postgres://reader@db.example/shop --table orders
  pratique init orders.csv --dates day-first --no-run

\b
Exit codes: those of `pratique run`; 2 a file is there already, 3 nothing can
be read.""",
)
@click.argument("target", required=False, metavar="[FILE|FOLDER|URL]")
@click.option("--name", metavar="NAME", help="Name of the pipeline. Default: that of the file or folder.")
@click.option(
    "--dates", type=click.Choice(["day-first", "month-first"]), help="How 01/02/2024 is meant, if no record tells."
)
@click.option(
    "--decimals", type=click.Choice(["point", "comma"]), help="The decimal mark of 1.234 or 1,234, if no record tells."
)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table of a database. Repeatable.")
@click.option("--run/--no-run", "runs", default=True, help="Run the pipeline at once.", show_default=True)
@click.option("--force", is_flag=True, help="Replace schemas, pipelines and tests that are there.")
@click.option(
    "--allow-private-address", "private", is_flag=True, help="Fetch from an address inside of a network, too."
)
@json_option
@folder_options
def command(
    *,
    target: str | None,
    name: str | None,
    dates: Literal["day-first", "month-first"] | None,
    decimals: Literal["point", "comma"] | None,
    tables: tuple[str, ...],
    runs: bool,
    force: bool,
    private: bool,
    as_json: bool,
    root: Path | None,
    color: str,
) -> None:
    """Write a project for your files, or a database, and run it.

    All records are looked at. A type is written where all values have it, a key where all records agree; ranges and
    lists of values are warnings. Every line says what it rests on. Nothing that is there is replaced without --force;
    config/ is only written where there is none. The project is the current folder.
    """
    console = Console.choose(color)
    root = (root or Path.cwd()).resolve()
    if target is None:
        texts = _example(root)
        write(root, texts, force=force)
        if not as_json:
            console.out("\n".join(_written(root, texts, console)))
        code = run_named(Project(root), PIPELINE, console, as_json=as_json) if runs else 0
        raise click.exceptions.Exit(code)
    answers = Answers(dates, decimals, _asker(console) if _can_ask(as_json=as_json) else lambda _: None)
    if is_database(target):
        place = place_of(target, root, ConfigManager(root=root))
        proposal = propose_database(root, place, tables, name, answers)
    elif tables:
        raise ConfigurationError("--table names a table of a database", hint="leave it out for files")
    else:
        path = _fetched(root, target, console, private=private, force=force) if is_url(target) else Path(target)
        place, proposal = None, propose(root, path, name, answers)
    write(root, proposal.texts, force=force)
    if place is not None and place.variable is not None:
        write_dotenv(root, *place.variable)
        console.err("the password stands in .env, which only you can read: keep it out of version control")
    if as_json:
        console.out(to_json(_as_json(proposal)))
    else:
        console.out("\n".join(_summary(proposal, console)))
        console.out("\n".join(_written(root, proposal.texts, console)))
    if not runs:
        console.err(f"next: pratique run {proposal.pipeline}")
        return
    console.err("")
    raise click.exceptions.Exit(run_named(Project(root), proposal.pipeline, console, as_json=as_json))


def _example(root: Path) -> dict[str, str]:
    if config_files(root, Mistakes()) or (root / "pipelines").is_dir():
        raise ConfigurationError(
            f"{root} is a project already", hint="name a file, a folder or an address: pratique init orders.csv"
        )
    return dict(example_texts())


def _fetched(root: Path, url: str, console: Console, *, private: bool, force: bool) -> Path:
    """The file of an address, in data/."""
    target = root / "data" / file_of(url)
    if target.exists() and not force:
        raise ConfigurationError(
            f"{shown_path(target)} is there already: nothing was fetched",
            hint=f"pratique init {shown_path(target)} uses it; --force fetches it again",
        )
    console.err(f"fetching {shown(url)} into {shown_path(target)}, at most {DOWNLOAD_BYTES_MAX >> 30} GiB")
    size = download(url, target, private=private)
    console.err(f"fetched {size:,} bytes")
    return target


def _can_ask(*, as_json: bool) -> bool:
    return not as_json and sys.stdin.isatty() and sys.stderr.isatty()


def _asker(console: Console) -> Callable[[Question], str | None]:
    """Ask once for each kind and table; no answer leaves the column a text."""
    given: dict[tuple[str, str], str | None] = {}

    def ask(question: Question) -> str | None:
        key = (question.kind, question.table)
        if key in given:
            return given[key]
        text, answers, choice = _ASKED[question.kind]
        values = ", ".join(shown(value) for value in question.examples)
        told = f"{question.table}.{shown(question.column)} has {values}, and no record tells: {text}"
        console.err("\n".join(hanging("? ", told, console.width)))
        while True:
            typed = click.prompt(f"  {choice}, or Enter to keep text", default="", show_default=False, err=True)
            answer = answers.get(typed.strip().lower()[:1])
            if answer is not None or not typed.strip():
                given[key] = answer
                return answer

    return ask


def _summary(proposal: Proposal, console: Console) -> list[str]:
    lines: list[str] = []
    if len(proposal.tables) == 1:
        found = proposal.tables[0]
        counted = f"{_count(found.records, 'record')}, {_count(len(found.columns), 'column')}"
        lines.append(f"{shown(found.path)}  {counted}, {found.format}")
        rows = [
            (shown(column.field.name), _type(column), shown(seen(found, column)))
            for column in found.columns[:_COLUMNS_SHOWN]
        ]
        lines += table(("column", "type", "what all records say"), rows, console.width)
        if len(found.columns) > _COLUMNS_SHOWN:
            lines.append(f"  … and {len(found.columns) - _COLUMNS_SHOWN} more in schemas/{found.name}.yaml")
    else:
        tables = [
            (found.name, f"{found.records:,}", str(len(found.columns)), _key(proposal, found.name), shown(found.path))
            for found in proposal.tables
        ]
        place = "table there" if proposal.tables[0].format in KINDS else "files"
        lines += table(("table", "records", "columns", "key", place), tables, console.width, numbers=(1, 2))
        refers = [link for link in proposal.links if link.rule]
        if refers:
            told = ", ".join(f"{link.child}.{link.field} → {link.parent}.{link.parent_field}" for link in refers)
            lines += hanging("  refers: ", shown(told), console.width)
    look = list(_look_at(proposal))
    if look:
        lines.append(coloured("look at", "yellow", on=console.color))
        for line in look:
            lines += hanging("  ", shown(line), console.width)
    return lines


def _key(proposal: Proposal, name: str) -> str:
    return next((", ".join(key.fields) for key in proposal.keys[name] if key.good), "none")


def _type(column: Column) -> str:
    form = column.field.format
    kind = str(column.field.type) + (f" {form}" if form else "")
    return kind + ("" if column.field.required else ", optional")


def _look_at(proposal: Proposal) -> Iterable[str]:
    """What a person should decide, or know."""
    for found in proposal.tables:
        for notice in found.notices:
            yield f"{found.name}: {notice}"
        if found.torn:
            yield f"{found.name}: {found.torn:,} of {found.records:,} records cannot be read: {found.torn_reason}"
        for column in found.columns:
            for doubt in doubts(found, column):
                yield f"{found.name}.{column.field.name}: {doubt}"
    if any(column.near or column.question for found in proposal.tables for column in found.columns):
        yield "a table keeps its types: after a change of type, load into a new one"
    if proposal.left_out:
        yield f"left out: {'; '.join(proposal.left_out)}"


def _written(root: Path, texts: Iterable[str], console: Console) -> list[str]:
    names = [shown_path(root / path) for path in texts]
    return [coloured("wrote", "green", on=console.color), *hanging("  ", "  ".join(names), console.width)]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _as_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "pipeline": proposal.pipeline,
        "project": str(proposal.root),
        "written": list(proposal.texts),
        "left_out": list(proposal.left_out),
        "tables": [
            {
                "name": found.name,
                "path": found.path,
                "format": found.format,
                "records": found.records,
                "torn": found.torn,
                "notices": list(found.notices),
                "keys": [
                    {"fields": list(key.fields), "primary": key.good, "why": key.why}
                    for key in proposal.keys[found.name]
                ],
                "columns": [_column_json(column) for column in found.columns],
            }
            for found in proposal.tables
        ],
        "references": [{word: getattr(link, word) for word in link.__slots__} for link in proposal.links],
    }


def _column_json(column: Column) -> dict[str, Any]:
    item, near, question = column.field, column.near, column.question
    return {
        "header": column.header,
        "field": item.name,
        "type": str(item.type),
        "format": item.format,
        "required": item.required,
        "values": column.present,
        "missing": column.missing,
        "missing_words": dict(column.missing_words),
        "distinct": column.distinct,
        "least": column.least,
        "greatest": column.greatest,
        "nearly": near
        and {"type": str(near.type), "format": near.format, "wrong": near.wrong, "example": near.example},
        "question": question and {"kind": question.kind, "examples": list(question.examples)},
    }
