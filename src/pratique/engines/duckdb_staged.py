"""A judged load: what was counted, the rows to load, the records to hold. Nobody else sees any of it."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pratique.engines.base import TableInput
from pratique.engines.duckdb_documents import FOLLOWED
from pratique.engines.duckdb_late import LateJudge, stored
from pratique.engines.duckdb_rules import row_failure, shown_values
from pratique.engines.duckdb_session import Session
from pratique.engines.duckdb_tally import count, extents
from pratique.model import (
    Column,
    CsvForm,
    DuckQuery,
    Failure,
    HeldRecord,
    ParquetForm,
    Rows,
    Tally,
)
from pratique.schema.compile import Judge
from pratique.schema.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 32_768  # Limit: rows in one Arrow batch; bounds what a destination holds in memory
_FETCH_ROWS = 2_048  # Limit: quarantined records in Python at a time
_LINEAGE_TYPES = {"_row_number": "integer", "_ingestion_timestamp": "datetime"}


@dataclass(slots=True)
class DuckRows:
    """Rows as a query on the engine's connection; valid until the staged load is closed."""

    columns: tuple[Column, ...]
    count: int
    session: Session
    duckdb: DuckQuery | None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow record batches of bounded size, on a cursor of its own."""
        if self.duckdb is None:
            return
        with self.session.guarded():
            cursor = self.session.connection.cursor()
        try:
            with self.session.guarded(cursor):
                reader = cursor.sql(self.duckdb.sql).to_arrow_reader(_BATCH_ROWS)
            while True:
                with self.session.guarded(cursor):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch
        finally:
            cursor.close()


class DuckStaged:
    """What `DuckEngine.stage` gives: `tally`, `good()`, `quarantined()`; close it to free memory and disk."""

    def __init__(self, session: Session, table: TableInput, judges: tuple[Judge, ...], late: LateJudge) -> None:
        landed, schema = table.landed, table.schema
        session.enter(late.place.split(".")[1])
        self.beside: tuple[DuckStaged, ...] = ()  # all tables of the load
        self._session = session
        self._files = landed.files
        self._schema = schema
        self._target = table.target
        self._stamp = table.stamp
        self._judges = judges
        self._late = late
        self._rules = judges[0].rules
        self._extents = extents(session, landed)
        self._typed = [
            not (
                isinstance(part.form, CsvForm)
                or (not isinstance(part.form, ParquetForm) and _all_text(part.form.columns))
            )
            for part in landed.parts
            for _ in part.files
        ]
        self.tally: Tally = count(session, schema, self._rules, late, self._extents)

    def good(self) -> Rows:
        """The rows to load, in the schema's order of fields with `store` applied, then the target's lineage columns."""
        kept = [item for item in self._schema.fields if item.store != "drop"]
        columns = [Column(item.name, _stored_type(item.store, str(item.type))) for item in kept]
        columns += [Column(name, _LINEAGE_TYPES.get(name, "string")) for name in self._target.lineage]
        selected = [f"{stored(self._schema, item.name, 's.')} AS {identifier(item.name)}" for item in kept]
        selected += [f"{self._lineage(name)} AS {identifier(name)}" for name in self._target.lineage]
        query = f"SELECT {', '.join(selected)} FROM {self._late.good(self._late.place)}"
        return DuckRows(tuple(columns), self.tally.good, self._session, DuckQuery(self._session.connection, query))

    def _lineage(self, name: str) -> str:
        """SQL for a lineage column. A record's number is its place in `staged`, counted from its file's first row."""
        files = self._files
        stamp = self._stamp
        constants = {
            "_source": literal(stamp.source),
            "_run_id": literal(stamp.run_id),
            "_load_id": literal(stamp.load_id),
            "_ingestion_timestamp": f"{literal(stamp.started_at.isoformat())}::TIMESTAMPTZ",
        }
        if name in constants:
            return constants[name]
        if name == "_file":
            return _per_file([literal(file.version.name) for file in files])
        shifts = [file.first_number - place.first for file, place in zip(files, self._extents, strict=True)]
        return "s.rowid + " + _per_file([f"({shift})::BIGINT" for shift in shifts])

    def quarantined(self) -> Iterator[HeldRecord]:
        """Every quarantined record once, by file and number ascending, with all rules that it failed, warnings too."""
        return self._records(f"s._held OR s.rowid IN (SELECT rid FROM {self._late.place}gone WHERE reason = 0)")

    def failing(self) -> Iterator[HeldRecord]:
        """Every record that failed any rule, held or not, in order."""
        return self._records(f"s._held OR s._failed IS NOT NULL OR s.rowid IN (SELECT rid FROM {self._late.place}late)")

    def _records(self, condition: str) -> Iterator[HeldRecord]:
        shown = shown_values(self._schema, self._judges, "l.failed IS NOT NULL")
        sql = (
            f"SELECT s.rowid, s._pratique_file, s._failed, s._malformed, s._raw, {shown}, l.failed "
            f"FROM {self._late.place}staged s LEFT JOIN (SELECT rid, list([rule, n, low, high] ORDER BY rule) AS "
            f"failed FROM {self._late.place}late GROUP BY rid) l ON s.rowid = l.rid WHERE {condition} ORDER BY s.rowid"
        )
        rules = self._rules
        shifts = [file.first_number - place.first for file, place in zip(self._files, self._extents, strict=True)]
        for rid, file, failed, malformed, raw, fields, late in self._session.stream(sql, _FETCH_ROWS):
            if malformed is not None:  # its fields are nobody's: the source shows the record as it stands
                failures = [Failure("malformed", None, None, malformed, "quarantine")]
                yield HeldRecord(file, rid + shifts[file], tuple(failures))
                continue
            values = None if raw is None else _decoded(raw, typed=self._typed[file])
            known = {} if fields is None else orjson.loads(fields)
            bindings = self._judges[file].bindings
            failures = [
                row_failure(rules[abs(n) - 1], bindings, values or {}, known, unknown=n < 0) for n in failed or ()
            ]
            failures += [self._late_failure(rid, entry, known) for entry in late or ()]
            yield HeldRecord(file, rid + shifts[file], tuple(failures), None if self._typed[file] else values)

    def _late_failure(self, rid: int, entry: list[int | None], known: Mapping[str, Any]) -> Failure:
        """A key or reference as people read it: the values, and where the other records of the key stand."""
        number, total, low, high = entry
        if number == FOLLOWED:
            other = self.beside[total or 0]
            return Failure("document", None, None, f"held with {other.place(low or 0)}", "quarantine")
        rule = self._rules[int(number or 0) - 1]
        value: Any = {name: known[name] for name in rule.fields}
        said = ", ".join(value if rule.sensitive else [f"{name} = {text}" for name, text in value.items()])
        if rule.scope == "reference":
            message = rule.message(value if len(value) > 1 else known[rule.fields[0]])
        elif total is None or low is None or high is None:
            message = f"{said} is already in {self._target.table}, with other values"
        else:
            others = [self._record(other) for other in dict.fromkeys((low, high)) if other != rid]
            more = f" and {total - 1 - len(others)} more" if total - 1 > len(others) else ""
            message = f"{said} stands in {total} records that differ: also {', '.join(others)}{more}"
        return Failure(
            rule.name, rule.field, value if len(value) > 1 else known[rule.fields[0]], message, rule.severity
        )

    def place(self, rid: int) -> str:
        """Where a row of the load stands, for people."""
        return f"{self._stamp.source}: {self._record(rid)}"

    def _record(self, rid: int) -> str:
        starts = [place.first if place.records else -1 for place in self._extents]
        used = [index for index, start in enumerate(starts) if start >= 0]
        index = used[bisect_right([starts[item] for item in used], rid) - 1]
        file = self._files[index]
        return f"{file.version.name} record {rid - starts[index] + file.first_number}"

    def close(self) -> None:
        """Close the connection and remove temporary files. Harmless when repeated."""
        self._session.close()


def _stored_type(store: str, kind: str) -> str:
    return kind if store == "keep" else "string"


def _per_file(values: list[str]) -> str:
    """The value of a row's file: one constant for one file, else looked up by the file's index."""
    if len(values) <= 1:
        return values[0] if values else "NULL"
    return f"([{', '.join(values)}])[s._pratique_file + 1]"


def _decoded(raw: str, *, typed: bool) -> dict[str, Any]:
    """The raw values of a record; a decimal's digits stay as they are."""
    found: dict[str, Any] = json.loads(raw, parse_float=str) if typed else orjson.loads(raw)
    return found


def _all_text(columns: Mapping[str, str]) -> bool:
    return all(kind == "VARCHAR" for kind in columns.values())
