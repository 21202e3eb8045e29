"""One record at a time: the engine's own SELECT, prepared once and kept open."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pratique.engines.duckdb_rules import refusals, row_failure, shown_values
from pratique.engines.duckdb_session import Session
from pratique.engines.settings import EngineSettings
from pratique.errors import InternalError
from pratique.model import Failure
from pratique.schema import Schema
from pratique.schema.compile import InputColumn, compile_schema
from pratique.schema.sql import identifier, literal


class RecordJudge:
    """Judges text values by the row rules of a schema whose fields are read from columns of their own names."""

    def __init__(self, settings: EngineSettings, schema: Schema) -> None:
        self._session = Session(settings)
        names = tuple(item.name for item in schema.fields if item.expression is None)
        self._judge = compile_schema(schema, tuple(InputColumn(name) for name in names))
        self._names = names
        columns = ", ".join(f"_record[{number}] AS {identifier(name)}" for number, name in enumerate(names, 1))
        judged = self._judge.select(f"(SELECT {columns} FROM (SELECT $1::VARCHAR[] AS _record))")
        shown = shown_values(schema, (self._judge,), "false")
        try:
            self._session.run(f"PREPARE judge AS SELECT s._failed, {shown} FROM ({judged}) s")
        except BaseException as error:
            self._session.close()
            if isinstance(error, InternalError) and (broken := refusals(schema)):
                raise broken[0] from error
            raise

    def failures(self, values: Mapping[str, str | None]) -> tuple[Failure, ...]:
        """Every row rule that the record fails, in the order of the rules."""
        # Upstream: EXECUTE takes no bound parameters; binding them to the SELECT itself would plan it every time.
        record = ", ".join(_constant(values.get(name)) for name in self._names)
        failed, shown = self._session.one(f"EXECUTE judge([{record}])")
        known = {} if shown is None else json.loads(shown)
        rules, bindings = self._judge.rules, self._judge.bindings
        return tuple(row_failure(rules[abs(n) - 1], bindings, values, known, unknown=n < 0) for n in failed or ())

    def close(self) -> None:
        """Close the connection. Harmless when repeated."""
        self._session.close()


def _constant(text: str | None) -> str:
    """A text as a SQL constant; a NUL character cannot stand in a literal."""
    return "NULL" if text is None else " || chr(0) || ".join(literal(part) for part in text.split("\0"))
