"""Files of tests beside the pipelines: what is given, and what is expected of it, as people write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from pratique.specs.base import NAME_PATTERN, Name, Spec
from pratique.specs.pipeline import Text

Outcome = Literal["loaded", "unchanged", "failed", "gated", "not run"]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _expects(what: str, hint: str, shape: Any, *takes: Callable[[Any], bool]) -> BeforeValidator:
    """A value that one of `takes` accepts; `shape` is the type that editors know."""

    def check(value: Any) -> Any:
        if value is not None and not any(take(value) for take in takes):
            raise ValueError(f"expected {what}", hint)
        return value

    return BeforeValidator(check, json_schema_input_type=shape | None)


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_quality(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) == 1 and "at_least" in value and _is_quality(value["at_least"])
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100  # noqa: PLR2004 - a score


_Count = Annotated[int, Field(ge=0)]
_Rows = list[dict[str, Any]]
_RECORDS = _expects(
    "a number of records, or a list of records", "such as 2, or [{id: 1}]", _Count | _Rows, _is_count, _is_records
)
_SKIPPED = _expects(
    "a number of records, or a number for each reason",
    "such as 2, or {identical: 1, filter: 1}",
    _Count | dict[str, _Count],
    _is_count,
    _counts,
)
_WARNINGS = _expects(
    "rules, each with a number of records",
    "such as {big_order: 2}, or [big_order]",
    dict[str, _Count] | list[str],
    _counts,
    _texts,
)
_HELD = _expects(
    "a number of files, or a list of files",
    "such as 1, or [{reason: header}]",
    _Count | list[dict[Literal["file", "reason"], str]],
    _is_count,
    _is_records,
)
_QUALITY = _expects(
    "a score from 0 to 100",
    "such as 98.7, or {at_least: 95}",
    float | dict[Literal["at_least"], float],
    _is_quality,
)
_ROWS = _expects("a list of records", "such as [{id: 1}]", _Rows, _is_records)
_PATH = _expects(
    "the captures of the path, or a path",
    "such as {partner: acme}, or acme/sales.csv",
    str | dict[str, str | int | float],
    lambda value: isinstance(value, str) and value != "",
    lambda value: isinstance(value, dict),
)


class FileSpec(Spec):
    """One file of a source, as its records, as its text, or as a file of the project."""

    records: Annotated[Any, _ROWS] = None
    csv: str | None = None
    jsonl: str | None = None
    json_: str | None = Field(None, alias="json")
    file: Text | None = None
    path: Annotated[Any, _PATH] = None


class InputSpec(FileSpec):
    """What is new in a source: one file, or several."""

    files: Annotated[list[FileSpec], Field(min_length=1)] | None = None


class ExpectSpec(Spec):
    """What becomes of a source. What is not said must not happen, but for `loaded`, `quality` and `warnings`."""

    loaded: Annotated[Any, _RECORDS] = None
    exact: bool = False
    quarantined: Annotated[Any, _RECORDS] = None
    skipped: Annotated[Any, _SKIPPED] = None
    held: Annotated[Any, _HELD] = None
    gate: Literal["passed", "failed"] | None = None
    reasons: list[Text] | None = None
    quality: Annotated[Any, _QUALITY] = None
    warnings: Annotated[Any, _WARNINGS] = None
    outcome: Outcome | None = None


_NAME = NAME_PATTERN.strip("^$")
# A source, or SOURCE.TABLE of one with `tables`.
SourceOrTable = Annotated[str, StringConstraints(pattern=rf"^{_NAME}(\.{_NAME})?$")]


class CaseSpec(Spec):
    """One test: what is there, what is given, what is expected."""

    name: Text
    description: str = ""
    before: dict[Name, InputSpec] = Field(default_factory=dict)
    there: dict[str, Annotated[Any, _ROWS]] = Field(default_factory=dict)
    given: Annotated[dict[Name, InputSpec], Field(min_length=1)]
    expect: dict[SourceOrTable, ExpectSpec] = Field(default_factory=dict)
    tables: dict[str, Annotated[Any, _RECORDS]] = Field(default_factory=dict)


class CaseFileSpec(Spec):
    """A file of tests; without `pipeline` its name is the pipeline's."""

    pipeline: Name | None = None
    tests: Annotated[
        list[Any], BeforeValidator(lambda value: value, json_schema_input_type=list[CaseSpec]), Field(min_length=1)
    ]
