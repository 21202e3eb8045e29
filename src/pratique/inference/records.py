"""Records for a first test: sound ones out of the files, and one with a wrong value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pratique.engines.duckdb_relations import MALFORMED
from pratique.engines.duckdb_session import Session
from pratique.inference.columns import Column
from pratique.inference.keys import Key, Link
from pratique.inference.profile import Table
from pratique.inference.project_text import harmless
from pratique.schema.sql import identifier

_WRONG: Final = {"date": "2026-02-30", "datetime": "2026-02-30T25:00:00", "boolean": "perhaps", "time": "25:00"}
Record = dict[str, str | None]


def sound_records(session: Session, tables: Sequence[Table], linked: Sequence[Link]) -> dict[str, list[Record]]:
    """The first sound record of each table, and the records of other tables that it refers to; values as text."""
    by_name = {table.name: table for table in tables}
    wanted: dict[str, list[int]] = {table.name: [] for table in tables}
    for table in reversed(tables):  # children first: they say which parents they need
        first = session.all(f"SELECT min(_pratique_number) FROM {table.typed}")[0][0]
        if first is not None and first not in wanted[table.name]:
            wanted[table.name].append(first)
        for link in linked:
            if link.rule and link.child == table.name:
                for number in wanted[table.name]:
                    _add_parent(session, table, by_name[link.parent], link, number, wanted)
    found = {table.name: [_record(session, table, number) for number in sorted(wanted[table.name])] for table in tables}
    return {name: records for name, records in found.items() if records}


def _add_parent(
    session: Session, child: Table, parent: Table, link: Link, number: int, wanted: dict[str, list[int]]
) -> None:
    ours, theirs = f"c{child.place(link.field)}", f"c{parent.place(link.parent_field)}"
    value = f"SELECT {ours} FROM {child.typed} WHERE _pratique_number = {number}"
    rows = session.all(f"SELECT min(_pratique_number) FROM {parent.typed} WHERE {theirs} = ({value})")
    if rows[0][0] is not None and rows[0][0] not in wanted[parent.name]:
        wanted[parent.name].append(rows[0][0])


def _record(session: Session, table: Table, number: int) -> Record:
    wanted = ", ".join(f"CAST({column.raw} AS VARCHAR)" for column in table.columns)
    values = session.one(f"SELECT {wanted} FROM {table.raw} WHERE rowid = {number} AND {identifier(MALFORMED)} IS NULL")
    return {
        column.header: harmless(column.header, column.field.format, value)
        if column.field.type.name == "string"
        else value
        for column, value in zip(table.columns, values, strict=True)
    }


def broken_record(
    tables: Sequence[Table], found: Mapping[str, Sequence[Key]], given: Mapping[str, Sequence[Record]]
) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """A source that refers to no other, its record with one wrong value, how it is held; None if nothing can fail."""
    table = tables[0]
    if table.name not in given:
        return None
    key = next((key.fields for key in found[table.name] if key.good), ())
    columns = sorted(table.columns, key=lambda column: (_NAMES.index(_rank(column)), column.field.name in key))
    chosen = columns[0]
    if _rank(chosen) == "none":
        return None
    word, value = ("required", "") if _rank(chosen) == "required" else ("type", _WRONG.get(chosen.field.type.name, "x"))
    record = {**given[table.name][0], chosen.header: value}
    named = next((column for column in table.columns if column.field.name in key), table.columns[0])
    held = {named.header: record[named.header], "rules": [f"{chosen.field.name}.{word}"]}
    return table.name, record, held


_NAMES: Final = ("date", "other", "required", "none")


def _rank(column: Column) -> str:
    """How well a field shows what a rule does."""
    kind = column.field.type.name
    if kind == "string":
        return "required" if column.field.required else "none"
    return "date" if kind == "date" else "other"
