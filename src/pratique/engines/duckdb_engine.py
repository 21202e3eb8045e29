"""The DuckDB engine: one reading, one pass of typed columns and verdicts, then few steps on what was staged."""

from __future__ import annotations

import json
from typing import Any, Final

import duckdb

from pratique.engines.duckdb_late import LateJudge
from pratique.engines.duckdb_relations import FILE, relation, unreadable
from pratique.engines.duckdb_rules import guilty
from pratique.engines.duckdb_session import Session, binding_error
from pratique.engines.duckdb_staged import DuckStaged
from pratique.engines.settings import EngineSettings
from pratique.errors import InternalError
from pratique.gauge import gauge
from pratique.model import CsvForm, Landed, Lookup, ParquetForm, Part, Stamp, Target
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
        files = tuple(file.path for file in landed.files)
        believing = not any(isinstance(part.form, ParquetForm) for part in landed.parts)
        session = Session(self._settings, files, vacuum=target.disposition == "merge", believing=believing)
        try:
            judges = _stage_parts(session, landed, schema)
            late = LateJudge(session, schema, target, lookup)
            late.judge(judges[0].rules)
            return DuckStaged(session, landed, schema, target, stamp, judges, late)
        except BaseException:
            session.close()
            raise


def _stage_parts(session: Session, landed: Landed, schema: Schema) -> tuple[Judge, ...]:
    """Fill the table `staged` with all parts, in order; give each file's judge, or the schema's own for no file."""
    headers = tuple(item.headers[0] for item in schema.fields if item.capture is None and item.expression is None)
    parts = landed.parts or (Part(CsvForm(headers), ()),)
    judges: list[Judge] = []
    for number, part in enumerate(parts):
        judge = _stage_part(session, part, schema, len(judges), create=number == 0)
        judges += [judge] * max(len(part.files), 1)
    return tuple(judges)


def _stage_part(session: Session, part: Part, schema: Schema, first: int, *, create: bool) -> Judge:
    with relation(session, part, first) as item:
        judge = compile_schema(schema, item.inputs)
        judged = judge.select(item.sql, (FILE,), item.captures, item.malformed)
        # The header may differ from part to part; the raw values become text, so that one table holds them all.
        text = f"SELECT * REPLACE (CASE WHEN _raw IS NOT NULL THEN to_json(_raw)::VARCHAR END AS _raw) FROM ({judged})"
        statement = f"CREATE TABLE staged AS {text}" if create else f"INSERT INTO staged {text}"
        try:
            check_order(session, statement)
            with gauge.statement(sum(file.records for file in part.files), session.connection.query_progress):
                session.run(statement)
        except InternalError as error:
            cause = error.__cause__
            if not isinstance(cause, duckdb.Error):
                raise
            if binding_error(cause):
                raise guilty(session, schema, judge.rules, cause) from cause
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
