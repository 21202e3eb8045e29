"""Tests of pipelines as they are run: what is given and what is expected, each checked against its pipeline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.mistakes import Mistake, refuse
from pratique.planning import Pipeline
from pratique.schema import Schema

if TYPE_CHECKING:
    from pratique.specs.cases import ExpectSpec

# What an expected quarantined record may say beside its fields.
RECORD_WORDS: Final[Mapping[str, str]] = {
    "rules": "exactly the rules that hold it, in any order; those that only warn do not count",
    "message": "a part of one of its messages",
    "line": "the first line of its text in the file",
    "raw": "its text in the file",
    "record": "its fields, if one of them is called like one of these words",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a given record: its text as a file without types holds it (None: missing), and as JSON."""

    text: str | None
    json: str


@dataclass(frozen=True, slots=True)
class GivenFile:
    """One file of a source: its records, or its text, or a file of the project. `path` is its name or its captures."""

    where: str
    records: tuple[Mapping[str, Cell], ...] | None = None
    text: str | None = None
    file: Path | None = None
    path: str | Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """One record that is expected: the values by which it is compared, and for a held one why it is held."""

    where: str
    values: Mapping[str, Any]
    rules: tuple[str, ...] | None = None
    message: str | None = None
    line: int | None = None
    raw: str | None = None


Records = int | tuple[ExpectedRecord, ...] | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What becomes of one source; `where(word)` is the place of a word of it."""

    spec: ExpectSpec
    where: Callable[[str], str]
    loaded: Records = None
    quarantined: Records = None


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of a table, by the schema of which it is: those that are there before, or expected at the end."""

    schema: Schema
    where: str
    records: Records = ()
    written: tuple[Mapping[str, Cell], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One test, checked: every name in it exists."""

    name: str
    where: str
    pipeline: Pipeline
    before: Mapping[str, tuple[GivenFile, ...]]
    given: Mapping[str, tuple[GivenFile, ...]]
    there: Mapping[str, TableRows]
    expect: Mapping[str, Expectation]
    tables: Mapping[str, TableRows]


def bare(schema: Schema) -> Schema:
    """The schema of the rows as its table holds them: the same columns, and nothing that could refuse a row."""
    from pratique.schema.fields import Field, FieldType  # noqa: PLC0415 - beside its use

    fields = tuple(
        Field(
            item.name,
            item.type if item.store == "keep" else FieldType(),
            missing_values=(),
            sensitive=item.sensitive,
        )
        for item in schema.fields
        if item.store != "drop"
    )
    return Schema(schema.name, schema.version, fields, timezone=schema.timezone)


def chosen(cases: Iterable[Case], only: str) -> tuple[Case, ...]:
    """The tests that are called `only`, or whose name it matches with `*`; ConfigurationError if there is none."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - beside its use

    from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

    known = tuple(cases)
    found = tuple(case for case in known if case.name == only or fnmatchcase(case.name, only))
    if not found:
        hint = nearest(only, [case.name for case in known], "tests")
        refuse([Mistake("", f'no test is called "{only}"', hint, "unknown-name")])
    return found


def given_only(pipeline: Pipeline, given: Collection[str]) -> Pipeline:
    """The pipeline with the sources to which something is given, in its order."""
    chosen = {plan.name for plan in pipeline.sources if plan.given in given}
    plans = tuple(
        replace(plan, parents=tuple(name for name in plan.parents if name in chosen))
        for plan in pipeline.sources
        if plan.name in chosen
    )
    return replace(pipeline, sources=plans)
