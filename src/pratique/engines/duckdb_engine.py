"""The DuckDB engine: one reading, one pass of typed columns and verdicts, then few steps on what was staged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import duckdb

from pratique.engines.base import TableInput
from pratique.engines.duckdb_documents import Documents
from pratique.engines.duckdb_late import LateJudge
from pratique.engines.duckdb_relations import FILE, relation, unreadable
from pratique.engines.duckdb_rules import refusals
from pratique.engines.duckdb_session import Session, binding_error
from pratique.engines.duckdb_staged import DuckStaged
from pratique.engines.settings import EngineSettings
from pratique.errors import InternalError
from pratique.gauge import gauge
from pratique.model import CsvForm, Landed, Lookup, ParquetForm, Part, Stamp, Target
from pratique.nesting import DOCUMENT, Unit
from pratique.schema import Schema
from pratique.schema.compile import Judge, compile_schema

# Operators that give their rows on in the order in which they come. Whatever else a plan holds (a join, a sort, an
# aggregate) may move rows, and the number of a record is the place of its row.
_KEEPS_ORDER: Final = frozenset(
    {"CREATE_TABLE_AS", "BATCH_CREATE_TABLE_AS", "INSERT", "BATCH_INSERT", "PROJECTION", "FILTER"}
    | {"READ_CSV", "READ_PARQUET", "PYTHON_ARROW_SCAN", "DUMMY_SCAN", "EMPTY_RESULT"}
)


class DuckEngine:
    """Judges landed inputs on a locked-down in-memory DuckDB, a fresh one for every `stage`. Thread-safe."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    def stage(self, landed: Landed, schema: Schema, target: Target, stamp: Stamp, lookup: Lookup | None) -> DuckStaged:
        """Read every landed file once, in order, and judge every record; nothing is visible to anybody.

        Without `lookup` neither the rows there nor references to other tables are judged (`decided` 0). Raises
        SourceError where a file cannot be read, ConfigurationError where a rule cannot be evaluated, StateError where
        memory or temporary disk is exhausted; a signal comes out as KeyboardInterrupt within a moment.
        """
        return self.stage_nested((TableInput(landed, schema, target, stamp),), "row", lookup)[0]

    def stage_nested(self, tables: Sequence[TableInput], unit: Unit, lookup: Lookup | None) -> tuple[DuckStaged, ...]:
        """Judge documents, the first of `tables`, and the records in them, as `stage` does; closing one closes all."""
        parts = [part for table in tables for part in table.landed.parts]
        files = tuple(file.path for part in parts for file in part.files)
        believing = not any(isinstance(part.form, ParquetForm) for part in parts)
        merges = any(table.target.disposition == "merge" for table in tables)
        session = Session(self._settings, files, vacuum=merges, believing=believing)
        try:
            judges, lates = [], list[LateJudge]()
            for number, table in enumerate(tables):
                place = session.enter(f"t{number}")
                judges.append(_stage_parts(session, table.landed, table.schema, nested=number > 0))
                lates.append(LateJudge(session, place, table, lookup))
            documents = Documents(session, lates, unit)
            for late, (judge, *_) in zip(lates, judges, strict=True):
                documents.follow()
                late.judge(judge.rules, lates)
            documents.settle()
            staged = tuple(
                DuckStaged(session, table, judge, late)
                for table, judge, late in zip(tables, judges, lates, strict=True)
            )
        except BaseException:
            session.close()
            raise
        for one in staged:
            one.beside = staged
        return staged


def _stage_parts(session: Session, landed: Landed, schema: Schema, *, nested: bool) -> tuple[Judge, ...]:
    """Fill the table `staged` with all parts, in order; give each file's judge, or the schema's own for no file."""
    headers = tuple(item.headers[0] for item in schema.fields if item.capture is None and item.expression is None)
    carried = (FILE, DOCUMENT) if nested else (FILE,)
    parts = landed.parts or (Part(CsvForm((*headers, *carried[1:])), ()),)
    judges: list[Judge] = []
    for number, part in enumerate(parts):
        judge = _stage_part(session, part, schema, len(judges), carried, create=number == 0)
        judges += [judge] * max(len(part.files), 1)
    return tuple(judges)


def _stage_part(
    session: Session, part: Part, schema: Schema, first: int, carried: Sequence[str], *, create: bool
) -> Judge:
    with relation(session, part, first) as item:
        judge = compile_schema(schema, [column for column in item.inputs if column.name not in carried])
        judged = judge.select(item.sql, carried, item.captures, item.malformed)
        # The header may differ from part to part; the raw values become text, so that one table holds them all.
        made = ["CASE WHEN _raw IS NOT NULL THEN to_json(_raw)::VARCHAR END AS _raw"]
        made += [f"{DOCUMENT}::BIGINT AS {DOCUMENT}"] if DOCUMENT in carried else []
        text = f"SELECT * REPLACE ({', '.join(made)}) FROM ({judged})"
        statement = f"CREATE TABLE staged AS {text}" if create else f"INSERT INTO staged {text}"
        try:
            check_order(session, statement)
            with gauge.statement(sum(file.records for file in part.files), session.connection.query_progress):
                session.run(statement)
        except InternalError as error:
            cause = error.__cause__
            if not isinstance(cause, duckdb.Error):
                raise
            if broken := refusals(schema):
                raise broken[0] from cause
            if binding_error(cause):
                raise
            raise unreadable(cause, part) from cause
    return judge


def check_order(session: Session, statement: str) -> None:
    """Raise InternalError, before a row is read, if DuckDB's plan for `statement` could move rows. Costs some ms."""

    def operators(nodes: list[Any]) -> set[str]:
        return {name for node in nodes for name in {node["name"], *operators(node["children"])}}

    plan = json.loads(session.one(f"EXPLAIN (FORMAT json) {statement}")[1])
    movers = sorted(operators(plan) - _KEEPS_ORDER)
    if movers:
        raise InternalError(
            f"DuckDB's plan of the one reading holds {', '.join(movers)}, which may move rows",
            hint="nothing was read; please report this with the schema",
        )
