"""Verdicts that need other rows: keys, rows loaded before, references. Only rows that are still good are judged.

`staged` is never updated: `gone` holds the rows that left the good ones (reason 0: quarantined), `late` the failures.
An UPDATE would move rows, and record numbers are rowids.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from pratique.engines.base import TableInput
from pratique.engines.duckdb_relations import registered
from pratique.engines.duckdb_session import Session, refused
from pratique.errors import DestinationError, InternalError
from pratique.model import DuckQuery, Lookup, Rows
from pratique.schema import Reference, Schema
from pratique.schema.compile import Rule
from pratique.schema.sql import identifier, literal
from pratique.schema.types import storage

# Reasons in `gone`; 0 is quarantined.
SKIPS = {1: "identical", 2: "superseded", 3: "loaded before", 4: "filter"}
IDENTICAL, SUPERSEDED, LOADED_BEFORE, FILTERED = SKIPS

_THERE = "_there"
_FIXED_WIDTH = frozenset({"integer", "number", "decimal", "boolean", "date", "time", "datetime"})


def stored(schema: Schema, name: str, prefix: str = "") -> str:
    """SQL for a field's value as the destination holds it: itself, its SHA-256, or `***`."""
    column = prefix + identifier(name)
    store = schema.field(name).store
    if store == "hash":
        return f"sha256({column}::VARCHAR)"
    if store == "mask":
        return f"CASE WHEN {column} IS NOT NULL THEN '***' END"
    return column


class LateJudge:
    """Judges keys, then references, on the table `staged` of a session; counts how many rows each rule decided."""

    def __init__(self, session: Session, place: str, table: TableInput, lookup: Lookup | None) -> None:
        self.place = place  # what stands before the names of its tables elsewhere
        self._session = session
        self._schema = table.schema
        self._target = table.target
        self._lookup = lookup
        self._shrunk = False
        self._beside: Sequence[LateJudge] = ()
        self._again: list[tuple[Rule, Reference]] = []
        self.decided: dict[int, int] = {}
        session.run("CREATE TABLE gone (rid BIGINT, reason UTINYINT)")
        session.run("CREATE TABLE late (rid BIGINT, rule SMALLINT, n BIGINT, low BIGINT, high BIGINT)")

    def judge(self, rules: tuple[Rule, ...], beside: Sequence[LateJudge] = ()) -> None:
        """Judge every key in the schema's order, among the rows that the key before left; then all references.

        `beside` are the tables of the load: a reference may lead to rows that come with it.
        """
        self._session.enter(self.place.split(".")[1])
        self._beside = [other for other in beside if other is not self]
        for rule in rules:
            if rule.scope == "key":
                self._key(rule)
        references = [rule for rule in rules if rule.scope == "reference"]
        if references:
            self._references(references)

    def good(self, place: str = "") -> str:
        """FROM item and condition of the rows that are good so far, under the alias `s`; `place` qualifies tables."""
        anti = f" ANTI JOIN {place}gone g ON s.rowid = g.rid" if self._shrunk else ""
        return f"{place}staged s{anti} WHERE NOT s._held AND NOT s._out"

    def sound(self) -> str:
        """As `good`, with the rows that are in the table already: what a check over the whole load speaks of."""
        anti = f" ANTI JOIN (FROM gone WHERE reason <> {LOADED_BEFORE}) g ON s.rowid = g.rid" if self._shrunk else ""
        return f"staged s{anti} WHERE NOT s._held AND NOT s._out"

    def leave(self, query: str) -> int:
        """Take rows (rid, reason) away from the good ones, each at most once; how many."""
        left = self._session.count(f"INSERT INTO {self.place}gone {query}")
        self._shrunk = self._shrunk or left > 0
        return left

    # --- keys -------------------------------------------------------------------------------------------------

    def _key(self, rule: Rule) -> None:
        columns = [f"s.{identifier(name)}" for name in rule.fields]
        complete = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        self.decided[rule.number] = self._session.count(f"SELECT count(*) FROM {self.good()} AND {complete}")
        # A window, because GROUP BY holds every key in memory where a window spills.
        doubled = self._session.count(
            "CREATE OR REPLACE TABLE doubled AS SELECT rid FROM (SELECT s.rowid AS rid, count(*) OVER (PARTITION BY "
            f"{', '.join(columns)}) AS n FROM {self.good()} AND {complete}) WHERE n > 1"
        )
        if doubled:
            self._resolve(rule)
        if self._target.disposition == "append" and self._lookup is not None:
            self._loaded_before(rule, self._lookup)
        self._session.run("DROP TABLE doubled")

    def _resolve(self, rule: Rule) -> None:
        """Among rows that share a key: copies are skipped, the latest wins where that is declared, others are held.

        A key that only warns skips and holds nothing.
        """
        keep = self._target.keep if rule.fields == self._target.key else None
        order = f"s.{identifier(keep)}" if keep else "NULL"
        # Columns of our own only: a field may have any name, `rid` too.
        columns = "".join(f", s.{identifier(name)} AS key{at}" for at, name in enumerate(rule.fields))
        key = ", ".join(f"key{at}" for at in range(len(rule.fields)))
        self._copies(columns, key)
        self._session.run(
            f"CREATE OR REPLACE TABLE sharing AS WITH keyed AS (SELECT s.rowid AS rid{columns}, {order} AS _keep "
            "FROM staged s JOIN doubled d ON s.rowid = d.rid), "
            "copied AS (SELECT k.*, coalesce(c.copy, 1) AS _copy FROM keyed k LEFT JOIN copies c ON k.rid = c.rid), "
            f"best AS (SELECT *, max(_keep) OVER (PARTITION BY {key}) AS _best FROM copied), "
            "ranked AS (SELECT *, _keep IS NOT DISTINCT FROM _best AS _latest FROM best) "
            "SELECT rid, _copy, _latest, count(*) OVER w AS n, min(rid) OVER w AS low, max(rid) OVER w AS high, "
            "count(*) FILTER (WHERE _latest AND _copy = 1) OVER w AS versions "
            f"FROM ranked WINDOW w AS (PARTITION BY {key})"
        )
        held = "_latest AND versions > 1" if rule.holds else "true"  # a warning counts every row that shares a key
        self._session.run(f"INSERT INTO late SELECT rid, {rule.number}, n, low, high FROM sharing WHERE {held}")
        if rule.holds:
            self.leave(
                f"SELECT * FROM (SELECT rid, CASE WHEN NOT _latest THEN {SUPERSEDED} WHEN versions > 1 THEN 0 "
                f"WHEN _copy > 1 THEN {IDENTICAL} END AS reason FROM sharing) WHERE reason IS NOT NULL"
            )
        for table in ("sharing", "copies", "twins"):
            self._session.run(f"DROP TABLE {table}")

    def _copies(self, columns: str, key: str) -> None:
        """Number the identical rows among those that share a key, from 1, in the table `copies`.

        Texts cost ten times as much to read as all else: they are read only of rows that agree in all else.
        """
        cheap = [item.name for item in self._schema.fields if item.type.name in _FIXED_WIDTH]
        some = "".join(f", s.{identifier(name)} AS own{at}" for at, name in enumerate(cheap))
        alike = ", ".join([key, *(f"own{at}" for at in range(len(cheap)))])
        twins = self._session.count(
            "CREATE OR REPLACE TABLE twins AS SELECT rid, alike FROM (SELECT rid, count(*) OVER w AS n, "
            f"min(rid) OVER w AS alike FROM (SELECT s.rowid AS rid{columns}{some} FROM staged s JOIN doubled d "
            f"ON s.rowid = d.rid) WINDOW w AS (PARTITION BY {alike})) WHERE n > 1"
        )
        texts = "".join(f", s.{identifier(item.name)}" for item in self._schema.fields if item.name not in cheap)
        whole = "FROM staged s JOIN twins t ON s.rowid = t.rid" if twins else "FROM staged s, twins t WHERE false"
        self._session.run(
            "CREATE OR REPLACE TABLE copies AS SELECT s.rowid AS rid, "
            f"row_number() OVER (PARTITION BY t.alike{texts} ORDER BY s.rowid) AS copy {whole}"
        )

    def _loaded_before(self, rule: Rule, lookup: Lookup) -> None:
        """Against the rows there: an identical one makes this row `loaded before`, a different one holds it."""
        schema = self._schema
        names = tuple(item.name for item in schema.fields if item.store != "drop")
        complete = " AND ".join(f"s.{identifier(name)} IS NOT NULL" for name in rule.fields)
        keys = ", ".join(f"{stored(schema, name, 's.')} AS {identifier(name)}" for name in rule.fields)
        query = f"SELECT {keys} FROM {self.good()} AND {complete}"
        with self._existing(lookup, self._target.table, names, query, self.superseded) as there:
            if there is None:
                return
            # Columns of our own only: a field may have any name, `rid` too.
            own = "".join(f", {stored(schema, name, 's.')} AS own{at}" for at, name in enumerate(names))
            same = [f"s.own{at} IS NOT DISTINCT FROM e.{identifier(name)}" for at, name in enumerate(names)]
            same_key = " AND ".join(f"s.own{names.index(name)} = e.{identifier(name)}" for name in rule.fields)
            with self._comparing(there, names):
                met = self._session.count(
                    f"CREATE OR REPLACE TABLE met AS SELECT rid FROM (SELECT s.rowid AS rid{own} "
                    f"FROM {self.good()} AND {complete}) s SEMI JOIN {there} e ON {same_key}"
                )
                if met and rule.holds:
                    self.leave(
                        f"SELECT rid, {LOADED_BEFORE} FROM (SELECT s.rowid AS rid{own} FROM staged s "
                        f"JOIN met m ON s.rowid = m.rid) s SEMI JOIN {there} e ON {' AND '.join(same)}"
                    )
        self._session.run(
            f"INSERT INTO late SELECT rid, {rule.number}, NULL, NULL, NULL FROM met ANTI JOIN gone USING (rid)"
        )
        if rule.holds:
            self.leave("SELECT rid, 0 FROM met ANTI JOIN gone USING (rid)")
        self._session.run("DROP TABLE met")

    @contextmanager
    def _comparing(self, there: str, names: tuple[str, ...]) -> Iterator[None]:
        """Name the columns whose types keep this load from being compared with the rows of its table."""
        try:
            yield
        except InternalError as error:
            if not isinstance(error.__cause__, (duckdb.BinderException, duckdb.ConversionException)):
                raise
            fields = [self._schema.field(name) for name in names]
            kinds = {item.name: storage(item.type, self._schema.timezone) for item in fields if item.store == "keep"}
            found = {row[0]: row[1] for row in self._session.all(f"DESCRIBE SELECT * FROM {there}")}
            other = [f"{name} is {found[name]}, not {kind}" for name, kind in kinds.items() if found[name] != kind]
            raise DestinationError(
                f"the table {self._target.table} has other columns than the schema: {'; '.join(other)}",
                hint="change the schema back, or load into a new table",
                facts={"other": other},
            ) from error.__cause__

    @contextmanager
    def _existing(
        self, lookup: Lookup, table: str, names: tuple[str, ...], keys: str, superseded: tuple[str, ...]
    ) -> Iterator[str | None]:
        """Give the rows of a table as a FROM item, without those of superseded loads; None if there is no table."""
        asked = (*names, "_load_id") if superseded else names
        with lookup.existing(table, asked, DuckQuery(self._session.connection, keys)) as rows:
            if rows is None:
                yield None
                return
            if rows.duckdb is not None and rows.duckdb.connection is self._session.connection:
                item = f"({rows.duckdb.sql})"
            else:
                item = self._copied(rows)
            if superseded:
                replaced = ", ".join(literal(load) for load in superseded)
                item = f"(SELECT * FROM {item} WHERE coalesce(_load_id NOT IN ({replaced}), true))"
            yield item

    def _copied(self, rows: Rows) -> str:
        """A table with rows that come as Arrow, which can be read once only."""
        self._session.run(f"DROP TABLE IF EXISTS {_THERE}")
        batches = rows.batches()
        first = next(batches, None)
        if first is None:
            nothing = ", ".join(f"NULL AS {identifier(column.name)}" for column in rows.columns)
            return f"(SELECT {nothing} WHERE false)"
        with registered(self._session, "_existing_rows", itertools.chain([first], batches)):
            self._session.run(f"CREATE TABLE {_THERE} AS SELECT * FROM _existing_rows")
        return _THERE

    # --- references -------------------------------------------------------------------------------------------

    def _references(self, rules: list[Rule]) -> None:
        """Judge all references on the same rows; a reference to the load itself again until nothing more falls."""
        by_name = {item.name: item for item in self._schema.references}
        pairs = [(rule, by_name[rule.name]) for rule in rules]
        for rule, _ in pairs:
            complete = " AND ".join(f"s.{identifier(name)} IS NOT NULL" for name in rule.fields)
            self.decided[rule.number] = self._session.count(f"SELECT count(*) FROM {self.good()} AND {complete}")
        fallen = self._fall(pairs)
        inside = {self._schema.name, *(other.schema.name for other in self._beside)}
        self._again = [pair for pair in pairs if pair[1].parent in inside and pair[0].holds]
        if fallen:
            self.fall_again()

    def fall_again(self) -> int:
        """Judge references to rows of this load again until nothing more falls; how many rows fell."""
        if not self._again:
            return 0
        self._session.enter(self.place.split(".")[1])
        total = 0
        while fallen := self._fall(self._again):
            total += fallen
        return total

    def _fall(self, pairs: list[tuple[Rule, Reference]]) -> int:
        """Judge each reference once, then take the rows away; how many rows went."""
        before = self._session.count("SELECT count(*) FROM gone")
        for rule, reference in pairs:
            self._reference(rule, reference)
        holding = [str(rule.number) for rule, _ in pairs if rule.holds]
        if holding:
            self.leave(
                f"SELECT DISTINCT rid, 0 FROM late ANTI JOIN gone USING (rid) WHERE rule IN ({', '.join(holding)})"
            )
        return self._session.count("SELECT count(*) FROM gone") - before

    def _reference(self, rule: Rule, reference: Reference) -> None:
        schema = self._schema
        itself = reference.parent == schema.name
        if self._lookup is None and not itself:
            self.decided[rule.number] = 0
            return
        table = self._target.table if itself else self._target.parents.get(reference.parent, reference.parent)
        children = [stored(schema, name, "s.") for name in reference.fields]
        complete = " AND ".join(f"s.{identifier(name)} IS NOT NULL" for name in reference.fields)
        match = " AND ".join(f"s.own{at} = e.{identifier(name)}" for at, name in enumerate(reference.parent_fields))
        wanted = ", ".join(
            f"{child} AS {identifier(name)}" for child, name in zip(children, reference.parent_fields, strict=True)
        )
        names = ", ".join(identifier(name) for name in reference.parent_fields)
        parents: list[str] = []
        coming = [self] if itself else [other for other in self._beside if other.fills(table)]
        with self._parents(
            table, reference, f"SELECT {wanted} FROM {self.good()} AND {complete}", next(iter(coming), None)
        ) as there:
            if there is not None:
                parents.append(f"SELECT {names} FROM {there}")
            for other in coming:
                own = ", ".join(
                    f"{stored(other.schema, name, 's.')} AS {identifier(name)}" for name in reference.parent_fields
                )
                parents.append(f"SELECT {own} FROM {other.good(other.place)}")
            lonely = f" ANTI JOIN ({' UNION ALL '.join(parents)}) e ON {match}" if parents else ""
            asked = "".join(f", {child} AS own{at}" for at, child in enumerate(children))
            with _blaming(rule.name, reference.where):
                self._session.run(
                    f"INSERT INTO late SELECT s.rid, {rule.number}, NULL, NULL, NULL FROM "
                    f"(SELECT s.rowid AS rid{asked} FROM {self.good()} AND {complete}) s{lonely}"
                )

    @contextmanager
    def _parents(self, table: str, reference: Reference, keys: str, coming: LateJudge | None) -> Iterator[str | None]:
        """Give the parent rows in the destination. A table that this load replaces has none that will stay."""
        if self._lookup is None or (coming and coming.replaces):
            yield None
            return
        superseded = coming.superseded if coming else ()
        with self._existing(self._lookup, table, reference.parent_fields, keys, superseded) as there:
            yield there

    # --- what other tables of the load ask ----------------------------------------------------------------------

    @property
    def schema(self) -> Schema:
        """What its rows are judged by."""
        return self._schema

    @property
    def replaces(self) -> bool:
        """Whether no row of its table stays."""
        return self._target.disposition == "replace"

    @property
    def superseded(self) -> tuple[str, ...]:
        """The loads whose rows do not stay."""
        return self._target.supersedes

    def fills(self, table: str) -> bool:
        """Whether its rows go into this table."""
        return self._target.table.casefold() == table.casefold()


@contextmanager
def _blaming(what: str, where: str) -> Iterator[None]:
    """Name the rule whose values cannot be compared with those in the destination."""
    try:
        yield
    except InternalError as error:
        cause = error.__cause__
        if isinstance(cause, (duckdb.BinderException, duckdb.ConversionException)):
            raise refused(what, cause, where) from cause
        raise
