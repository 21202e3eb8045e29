"""The other files of a project: configuration, pipeline and a first test, each line with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pratique.inference.layout import Line, flow, laid_out, scalar
from pratique.inference.profile import Table

_TORN_SHARE: Final = 0.1
_MOVED: Final = re.compile(r"^(updated|modified|changed|last_?(update|change|modified))|_(updated|modified|changed)")
_PERSONAL: Final = re.compile(
    r"(^|_)(e?mail|phone|mobile|name|first|last|surname|street|address|birth|ssn|iban|passw|token|secret)"
)


def config_text(connections: Mapping[str, Mapping[str, str]], second: str = "") -> str:
    """The text of config/default.yaml: `connections` by name, the warehouse first, and what the `second` one is."""
    lines = [
        Line("", "What holds in every environment; config/prod.yaml would come on top of it with --env prod."),
        Line("connections:", "places that pipelines name"),
    ]
    for at, (name, words) in enumerate(connections.items()):
        lines.append(Line(f"  {name}: {flow(words)}", "rows go into this DuckDB file" if at == 0 else second))
    return laid_out(lines)


def pipeline_text(
    name: str, tables: Sequence[Table], told: Mapping[str, str], connection: str | None, destination: str
) -> str:
    """The text of pipelines/NAME.yaml; `told` are formats by source that no suffix says."""
    lines = _head(name, tables)
    for table in tables:
        lines.append(Line(f"  {table.name}:", f"{table.records:,} records in {_files(table)} when this was written"))
        lines.append(Line("    type: files", "files of this machine"))
        if connection:
            lines.append(Line(f"    connection: {connection}", "the folder from which the path counts"))
        more = "; * stands for any characters" if "*" in table.path else ""
        lines.append(
            Line(
                f"    path: {scalar(table.path)}", ("from there" if connection else "from the project's folder") + more
            )
        )
        if table.name in told:
            lines.append(Line(f"    format: {told[table.name]}", "the suffix does not say it"))
        lines.append(
            Line(
                f"    schema: {table.name}", f"schemas/{table.name}.yaml says what good data is; the table has its name"
            )
        )
        lines.append(
            Line("    on_new_version: replace", "a corrected file takes the place of the rows it brought before")
        )
        share = table.torn / table.records if table.records else 0
        most, why = (
            ("50 %", f"{share:.0%} of the records are torn") if share > _TORN_SHARE else ("10 %", "the usual limit")
        )
        lines.append(_tolerated(most, why))
    lines.append(
        Line(
            f"destination: {{connection: {destination}, write: append}}",
            "rows are added; a file that is loaded is not loaded again",
        )
    )
    return laid_out(lines)


def database_text(name: str, tables: Sequence[Table], connection: str, destination: str) -> str:
    """The text of pipelines/NAME.yaml: whole tables, each run anew, out of one snapshot."""
    lines = _head(name, tables)
    for table in tables:
        lines.append(Line(f"  {table.name}:", f"{table.records:,} rows when this was written"))
        lines.append(Line(f"    type: {table.format}", "rows of a database"))
        lines.append(Line(f"    connection: {connection}", "config/ says where it is"))
        lines.append(Line(f"    table: {scalar(table.path)}", "read whole"))
        if moved := next((column for column in table.columns if _MOVED.search(column.field.name.lower())), None):
            cursor = flow({"cursor": {"field": moved.header, "lookback": "10m"}, "write": "merge"})[1:-1]
            lines.append(Line("", f"{cursor}  (to read only what is new, if {moved.header} grows with each change)"))
        lines.append(
            Line(
                f"    schema: {table.name}", f"schemas/{table.name}.yaml says what good data is; the table has its name"
            )
        )
        lines.append(_tolerated("10 %", "the usual limit"))
    if len(tables) > 1:
        lines.append(Line("together: {snapshot: one}", "all tables are read as they were at one moment"))
    lines.append(
        Line(
            f"destination: {{connection: {destination}, write: replace}}",
            "the rows of a run take the place of those there; what was not changed is not loaded again",
        )
    )
    return laid_out(lines)


def _head(name: str, tables: Sequence[Table]) -> list[Line]:
    what = tables[0].path if len(tables) == 1 else f"{len(tables)} tables"
    more = "" if len(tables) == 1 else "; tables stand before those that refer to them"
    return [
        Line("", f"Loads {what}: `pratique run {name}`. Each line says why it is there."),
        Line("sources:", f"where data comes from{more}"),
    ]


def _tolerated(most: str, why: str) -> Line:
    return Line(f"    quarantine: {{max_share: {most}}}", f"if more is held, nothing is loaded; {why}")


def _files(table: Table) -> str:
    return "one file" if table.files == 1 else f"{table.files:,} files"


def examples_text(
    name: str,
    given: Mapping[str, Sequence[Mapping[str, str | None]]],
    broken: tuple[str, dict[str, Any], dict[str, Any]] | None,
) -> str:
    """The text of pipelines/tests/NAME.yaml: sound records are loaded, and a `broken` one (of a source) is held."""
    lines = [
        Line("", f"What {name} does with a few records: tests of a pipeline; values are text as read."),
        Line(f"pipeline: {name}", "the pipeline under test"),
        Line("tests:", "given these records, expect these outcomes"),
        Line("  - name: sound records are loaded", "records like the first of each source"),
        Line("    given:", "by source"),
    ]
    for source, records in given.items():
        lines.append(Line(f"      {source}:", "its records"))
        lines += [Line(f"        - {flow(record)}") for record in records]
    loaded = {source: {"loaded": len(records)} for source, records in given.items()}
    lines.append(Line(f"    expect: {flow(loaded)}", "every one is loaded"))
    if broken is not None:
        source, record, held = broken
        lines.append(Line("  - name: a record that breaks a rule is held", "the same record with one wrong value"))
        lines.append(Line("    given:", "by source"))
        lines.append(Line(f"      {source}:", "its records"))
        lines.append(Line(f"        - {flow(record)}"))
        lines.append(Line(f"    expect: {flow({source: {'quarantined': [held]}})}", "held, for this rule"))
    return laid_out(lines)


def harmless(header: str, form: str | None, value: str | None) -> str | None:
    """A value for a test: what may be about a person is replaced by something of the same look."""
    if value is None:
        return None
    if form == "email":
        return "someone@example.org"
    if not _PERSONAL.search(re.sub(r"\W+", "_", header).lower()):
        return value
    return re.sub("[^\\W\\d_]", "x", re.sub("[0-9]", "0", value))
