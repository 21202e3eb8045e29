"""Pipeline files: where data comes from, how it is written and where it goes, as people write it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from pratique.databases import Lookback
from pratique.model import Disposition
from pratique.specs.base import Free, Name, Share, Spec, seconds_of
from pratique.specs.promises import OwnerWord, PipelineExpectSpec, SourceExpectSpec
from pratique.specs.schema import DialectSpec

SourceType = Literal["files", "api", "postgres", "mysql", "sqlite", "python"]
LineageColumn = Literal["_source", "_file", "_row_number", "_ingestion_timestamp", "_run_id", "_load_id"]
Text = Annotated[str, Field(min_length=1)]

NOTICED_WORDS: Final = frozenset({"schedule"})  # not served yet, but the rows are right without them
TOGETHER_WORDS: Final = frozenset({"commit"})  # not served yet, and the result would be wrong without them
DATABASE_TYPES: Final = frozenset({"postgres", "mysql", "sqlite"})
_FILE_WORDS: Final = frozenset({"path", "format", "on_new_version", "overrides"})
_DATABASE_WORDS: Final = frozenset({"query", "columns"})
_API_WORDS: Final = frozenset({"get", "post", "params", "body", "paginate", "parent"})
_JSON_WORDS: Final = frozenset({"records", "unit", "tables"})
_PROGRAM_WORDS: Final = frozenset({"use"})
# Words of other types, by the type of source for which they mean nothing.
STRANGE_WORDS: Final[dict[str, frozenset[str]]] = {
    "files": _DATABASE_WORDS | _API_WORDS | _PROGRAM_WORDS | {"cursor", "filter"},
    "api": _FILE_WORDS | _DATABASE_WORDS | _PROGRAM_WORDS,
    "python": _FILE_WORDS | _DATABASE_WORDS | _API_WORDS | _JSON_WORDS,
    **dict.fromkeys(DATABASE_TYPES, _FILE_WORDS | _API_WORDS | _PROGRAM_WORDS | _JSON_WORDS),
}
DESTINATION_WORDS: Final = frozenset({"delete", "children"})


def _when(value: Any) -> Any:
    return (
        {key: str(item) if isinstance(item, int) else item for key, item in value.items()}
        if isinstance(value, dict)
        else value
    )


class OverrideSpec(Spec):
    """Another dialect for the files whose captures have these values."""

    when: Annotated[dict[str, str], BeforeValidator(_when), Field(min_length=1)]
    dialect: DialectSpec


class SourceQuarantineSpec(Spec):
    """When so much of a source is quarantined that nothing of it is loaded."""

    max_share: Share | None = None


def _lookback(value: Any) -> Any:
    """`10m`, `1h`, `2d`, or a whole number in units of the cursor."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Lookback(value, seconds=False)
    try:
        return Lookback(seconds_of(value), seconds=True)
    except (TypeError, ValueError):
        message, hint = "expected a time such as 10m, 1h or 2d, or a whole number", "a number is in units of the cursor"
        raise ValueError(message, hint) from None


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class CursorSpec(Spec):
    """The column by which new rows are told from known ones."""

    field: Text
    start: Annotated[Text | None, BeforeValidator(_text_of_number, json_schema_input_type=str | int | None)] = None
    lookback: Annotated[Any, BeforeValidator(_lookback, json_schema_input_type=str | int)] = None


class TableSpec(Spec):
    """One of the tables into which nested records go; without `unnest` that of the documents themselves."""

    schema_: Text | None = Field(None, alias="schema")
    unnest: Text | None = None
    add: dict[str, Text] = Field(default_factory=dict)


def _parameter(value: Any) -> Any:
    """One value, or a list of them: the parameter is then sent several times."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float | bool) for item in values):
        raise ValueError("expected a text, a number, true or false, or a list of them", "such as 10, active or [a, b]")
    return value


_One = str | int | float | bool
Parameter = Annotated[Any, BeforeValidator(_parameter, json_schema_input_type=_One | list[_One])]


def _paginate(value: Any) -> Any:
    """`page`, `offset` or `link_header` alone is the usual name of the parameter or relation."""
    usual = {"page": "page", "offset": "offset", "link_header": "next"}
    return {value: usual[value]} if isinstance(value, str) and value in usual else value


class PaginateSpec(Spec):
    """How one page of an API leads to the next: one of the first six words."""

    next: Text | None = None
    link_header: Text | None = None
    next_page_header: Text | None = None
    cursor: Text | None = None
    page: Text | None = None
    offset: Text | None = None
    param: Text | None = None
    in_: Literal["query", "body"] | None = Field(None, alias="in")
    first: Annotated[int, Field(ge=0)] | None = None
    size: Annotated[int, Field(ge=1)] | None = None
    size_param: Text | None = None
    total: Text | None = None
    pages: Text | None = None


class SourceSpec(Spec):
    """One source with its schema and its table."""

    type: SourceType = "files"
    connection: Name | None = None
    use: Text | None = None
    path: Text | None = None
    format: Literal["csv", "jsonl", "json", "excel", "parquet"] | None = None
    schema_: Text | None = Field(None, alias="schema")
    table: Text | None = None
    write: Disposition | None = None
    keep: Text | None = None
    on_new_version: Literal["replace", "merge", "append", "refuse"] | None = None
    overrides: list[OverrideSpec] = Field(default_factory=list)
    quarantine: SourceQuarantineSpec = SourceQuarantineSpec()
    description: str = ""
    query: Text | None = None
    columns: Annotated[list[Text], Field(min_length=1)] | None = None
    cursor: CursorSpec | None = None
    filter: Text | None = None
    expect: SourceExpectSpec | None = None
    get: Text | None = None
    post: Text | None = None
    params: dict[str, Parameter] | None = None
    body: Free | None = None
    paginate: Annotated[
        PaginateSpec | None, BeforeValidator(_paginate, json_schema_input_type=PaginateSpec | str | None)
    ] = None
    records: Text | None = None
    parent: Name | None = None
    unit: Literal["document", "row"] | None = None
    tables: Annotated[dict[Name, TableSpec], Field(min_length=1)] | None = None


class DestinationSpec(Spec):
    """Where good rows go, and how they are written."""

    connection: Name
    table: Text | None = None
    dataset: Text | None = None
    write: Disposition | None = None
    keep: Text | None = None
    delete: Any = None
    children: Any = None


class TogetherSpec(Spec):
    """What the sources of a pipeline share."""

    snapshot: Literal["one"] | None = None
    commit: Any = None


class PipelineSpec(Spec):
    """A pipeline; `defaults` is already merged into each source."""

    description: str = ""
    owner: OwnerWord | None = None
    schedule: Any = None
    expect: PipelineExpectSpec | None = None
    defaults: Free = Field(default_factory=dict)
    sources: Annotated[dict[Name, SourceSpec], Field(min_length=1)]
    destination: DestinationSpec
    write: Disposition | None = None
    together: TogetherSpec = TogetherSpec()
    lineage: list[LineageColumn] = ["_load_id"]  # noqa: RUF012 - pydantic copies it
    quarantine: SourceQuarantineSpec = SourceQuarantineSpec()
