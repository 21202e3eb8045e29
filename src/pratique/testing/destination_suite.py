"""What every destination promises, as tests to inherit.

Give a subclass whose name begins with `Test` a pytest fixture `destination`: a function that makes a new `Destination`
over one and the same place, which is empty at first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.destinations.base import Destination
from pratique.destinations.queries import own_connection
from pratique.errors import DestinationError, DestinationMovedError, InternalError, PratiqueError
from pratique.model import (
    Account,
    Cause,
    Column,
    DuckQuery,
    FileVersion,
    Lookup,
    Marker,
    Segment,
    Target,
    Written,
)

if TYPE_CHECKING:
    import pyarrow as pa

Make = Callable[[], Destination]

_ID: Final = "c0ffee00-0000-4000-8000-00000000000a"
_SELECTS: Final[dict[str, str]] = {  # a type of the schema's words -> values at its edges
    "string": "unnest(['', 'O''Brien; \"x\"', 'a\nb', '𝄞é\u202e', NULL])",
    "integer": "unnest([9223372036854775807, -9223372036854775808, 0, NULL])::BIGINT",
    "number": "unnest([1e308, -0.0, 0.1, 5e-324, NULL])::DOUBLE",
    "decimal(38,10)": "unnest(['9999999999999999999999999999.9999999999', '-0.0000000001', NULL])::DECIMAL(38,10)",
    "boolean": "unnest([true, false, NULL])",
    "date": "unnest(['0001-01-01', '9999-12-31', NULL])::DATE",
    "time": "unnest(['00:00:00', '23:59:59.999999', NULL])::TIME",
    "datetime": "unnest(['0001-01-01 00:00:00', '9999-12-31 23:59:59.999999', NULL])::TIMESTAMP",
    "uuid": f"unnest(['{_ID}', NULL])::UUID",
    "json": """unnest(['{"a": [1, 1.0, null]}', 'null', NULL])::JSON""",
}


class SuiteRows:
    """Rows of a query; `arrow` hides the query, as an engine without DuckDB would."""

    def __init__(self, query: DuckQuery, columns: tuple[Column, ...], *, arrow: bool = False) -> None:
        self.columns = columns
        self.count = int(query.connection.execute(f"SELECT count(*) FROM ({query.sql})").fetchall()[0][0])
        self.duckdb: DuckQuery | None = None if arrow else query
        self._query = query

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in small batches."""
        yield from self._query.connection.sql(self._query.sql).to_arrow_reader(2048)


COLUMNS: Final = (Column("id", "integer"), Column("name", "string"), Column("amount", "decimal(12,2)"))
NAMES: Final = ("id", "name", "amount", "_load_id")
Record = tuple[int, str | None, str | None]


@contextmanager
def engine_side() -> Iterator[Any]:
    """A DuckDB connection, as an engine has one."""
    with own_connection(Path("/nonexistent/pratique")) as connection:
        yield connection


def rows_on(connection: Any, records: Sequence[Record], load_id: str, *, arrow: bool = False) -> SuiteRows:
    """Rows (id, name, amount, _load_id) as a query on this connection."""
    table = f"staged_{load_id}"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} (id BIGINT, name VARCHAR, amount DECIMAL(12,2), _load_id VARCHAR)"
    )
    for record in records:
        connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", [*record, load_id])
    columns = (*COLUMNS, Column("_load_id", "string"))
    return SuiteRows(DuckQuery(connection, f"FROM {table}"), columns, arrow=arrow)


def marker_of(load_id: str, written: Written, target: Target, *, pipeline: str = "shop", file: str = "") -> Marker:
    """A marker with something in each of its fields."""
    loaded = written.inserted + written.updated + written.unchanged
    return Marker(
        load_id=load_id,
        attempt=2,
        run_id="7f3a91" + "0" * 26,
        pipeline=pipeline,
        source="sales",
        table=target.table,
        disposition=target.disposition,
        schema="sales",
        schema_version=3,
        files=(FileVersion(file or f"in/{load_id} é.csv", "ab" * 32, 12),),
        account=Account(loaded + 2, loaded, 1, {"identical": 1}),
        written=written,
        segment=Segment(f"shop/{load_id}/2.jsonl.zst", "cd" * 32, 1),
        causes=(Cause("amount.minimum", "amount", "-1 is below 0", 1, (("in/x.csv", 2),)),),
        tally={"quality": 99.5},
        started_at="2026-11-01T07:00:04+00:00",
    )


def load(
    destination: Destination,
    load_id: str,
    records: Sequence[Record],
    target: Target,
    *,
    file: str = "",
    judged_against: Lookup | None = None,
    arrow: bool = False,
) -> tuple[Written, Marker]:
    """One whole load of these records."""
    with engine_side() as connection, destination.begin(load_id, judged_against) as opened:
        written = opened.write(rows_on(connection, records, load_id, arrow=arrow), target)
        return written, opened.commit(marker_of(load_id, written, target, file=file))


def _two_tables(destination: Destination) -> tuple[Written, Written]:
    """One load of two tables, each with its marker; what was written into each."""
    other = Target("partner.lines")
    with engine_side() as connection, destination.begin("a1") as opened:
        first = opened.write(rows_on(connection, [A], "a1"), T)
        second = opened.write(rows_on(connection, [B, C], "b2"), other)
        stored = opened.commit(marker_of("a1", first, T), marker_of("b2", second, other))
    assert (stored.load_id, stored.sequence) == ("a1", 1)
    return first, second


def visible(destination: Destination, table: str, names: tuple[str, ...] = NAMES) -> list[tuple[Any, ...]] | None:
    """All rows of a table as a reader sees them, sorted; None if there is no table."""
    with engine_side() as connection:
        keys = DuckQuery(connection, "SELECT 1 AS id")
        with destination.lookup().existing(table, names, keys) as found:
            if found is None or found.duckdb is None:
                return None
            given = found.duckdb.connection.execute(found.duckdb.sql).fetchall()
            assert found.count == len(given)
            return sorted(given, key=repr)


@contextmanager
def refusal(kind: type[PratiqueError]) -> Iterator[list[PratiqueError]]:
    """Expect an error of this kind, with a hint; the list holds it afterwards."""
    caught: list[PratiqueError] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    assert caught, f"{kind.__name__} was expected"


T: Final = Target("sales")
A: Final[Record] = (1, "ann", "1.10")
B: Final[Record] = (2, None, "-2.00")
C: Final[Record] = (3, "", None)


def _row(record: Record, load_id: str) -> tuple[Any, ...]:
    return (record[0], record[1], None if record[2] is None else Decimal(record[2]), load_id)


class DestinationSuite:
    """Promises of `Destination`, `Load` and `Lookup`; every method is one."""

    # ruff: noqa: S101

    def test_nothing_there(self, destination: Make) -> None:
        """Before the first load there are no markers and no tables, and asking makes none."""
        assert destination().markers("shop") == ()
        assert visible(destination(), "sales") is None
        assert not any(path.is_file() for path in destination().paths())

    def test_rows_and_marker(self, destination: Make) -> None:
        """After a commit a reader sees the rows, and the marker has all that was given, a time and a sequence."""
        written, marker = load(destination(), "a1", [A, B, C], T)
        assert written == Written(3)
        assert visible(destination(), "sales") == sorted([_row(r, "a1") for r in (A, B, C)], key=repr)
        assert destination().markers("shop") == (marker,)
        assert replace(marker, committed_at="", sequence=0) == marker_of("a1", written, T)
        assert marker.sequence == 1
        assert marker.committed_at.endswith("+00:00")
        assert destination().markers("other") == ()

    def test_no_commit_no_trace(self, destination: Make) -> None:
        """Leaving a load without commit, by the door or by an error, leaves neither rows nor marker."""
        load(destination(), "a1", [A], T)
        with engine_side() as connection:
            with destination().begin("b2") as opened:
                opened.write(rows_on(connection, [B], "b2"), T)
            with refusal(InternalError), destination().begin("c3") as opened:
                opened.write(rows_on(connection, [C], "c3"), replace(T, disposition="replace"))
                raise InternalError("stop")
        assert visible(destination(), "sales") == [_row(A, "a1")]
        assert [marker.load_id for marker in destination().markers("shop")] == ["a1"]

    def test_same_load_twice_is_once(self, destination: Make) -> None:
        """A repeated load writes nothing and answers what the first one wrote and stored."""
        first = load(destination(), "a1", [A, B], T)
        load(destination(), "b2", [C], T)
        assert load(destination(), "a1", [A, B], T) == first
        assert visible(destination(), "sales") == sorted([_row(A, "a1"), _row(B, "a1"), _row(C, "b2")], key=repr)

    def test_replace_twice_is_once(self, destination: Make) -> None:
        """A repeated replace does not remove what came after it."""
        target = replace(T, disposition="replace")
        load(destination(), "a1", [A], target)
        load(destination(), "b2", [B], target)
        load(destination(), "a1", [A], target)
        assert visible(destination(), "sales") == [_row(B, "b2")]

    def test_markers_in_order(self, destination: Make) -> None:
        """Markers come oldest first, by a sequence without gaps."""
        for load_id in ("c3", "a1", "b2"):
            load(destination(), load_id, [A], T)
        markers = destination().markers("shop")
        assert [(marker.load_id, marker.sequence) for marker in markers] == [("c3", 1), ("a1", 2), ("b2", 3)]

    def test_a_marker_of_another_load(self, destination: Make) -> None:
        """A load commits no other load's marker."""
        with refusal(InternalError), destination().begin("a1") as opened:
            opened.commit(marker_of("b2", Written(0), T))
        assert destination().markers("shop") == ()

    def test_a_marker_alone(self, destination: Make) -> None:
        """A load of which nothing is to be written can be committed."""
        with destination().begin("a1") as opened:
            opened.commit(marker_of("a1", Written(0), T))
        assert [marker.load_id for marker in destination().markers("shop")] == ["a1"]

    def test_no_rows(self, destination: Make) -> None:
        """Zero rows are a load like any other: the table is there and empty, whatever form the rows have."""
        for number, arrow in enumerate((False, True)):
            target = Target(f"sales{number}")
            assert load(destination(), f"a{number}", [], target, arrow=arrow)[0] == Written(0)
            assert visible(destination(), target.table) == []
            load(destination(), f"b{number}", [A], target, arrow=arrow)
            assert visible(destination(), target.table) == [_row(A, f"b{number}")]

    def test_values_stay_exact(self, destination: Make) -> None:
        """Values at the edges of every type come back unchanged, from a query and from Arrow batches."""
        for number, (kind, select) in enumerate(_SELECTS.items()):
            for arrow in (False, True):
                target = Target(f"edge_{number}_{arrow}".lower())
                with engine_side() as connection:
                    query = DuckQuery(connection, f"SELECT {select} AS value")
                    expected = sorted(connection.execute(query.sql).fetchall(), key=repr)
                    rows = SuiteRows(query, (Column("value", kind),), arrow=arrow)
                    with destination().begin(f"v{number}{arrow}") as opened:
                        written = opened.write(rows, target)
                        opened.commit(marker_of(f"v{number}{arrow}", written, target))
                    with destination().lookup().existing(target.table, ("value",), query) as found:
                        assert found is not None
                        assert found.columns == (Column("value", kind),)
                assert visible(destination(), target.table, ("value",)) == expected

    def test_a_column_that_would_not_hold_its_values(self, destination: Make) -> None:
        """Rows of another type than declared are refused: a destination rounds and cuts nothing."""
        with engine_side() as connection:
            rows = SuiteRows(DuckQuery(connection, "SELECT 1.7::DOUBLE AS id"), (Column("id", "integer"),))
            with refusal(InternalError), destination().begin("a1") as opened:
                opened.write(rows, T)
        assert visible(destination(), "sales", ("id",)) is None

    def test_a_wrong_count(self, destination: Make) -> None:
        """If other than the promised number of rows was written, nothing can be committed."""
        with engine_side() as connection, destination().begin("a1") as opened:
            rows = rows_on(connection, [A, B], "a1")
            rows.count = 3
            with refusal(InternalError):
                opened.write(rows, T)
            with refusal(InternalError):
                opened.commit(marker_of("a1", Written(3), T))
        assert destination().markers("shop") == ()
        assert visible(destination(), "sales") is None

    def test_replace(self, destination: Make) -> None:
        """Replace shows the new rows and none of the old."""
        load(destination(), "a1", [A, B], T)
        written, _ = load(destination(), "b2", [C], replace(T, disposition="replace"))
        assert written == Written(1)
        assert visible(destination(), "sales") == [_row(C, "b2")]

    def test_merge(self, destination: Make) -> None:
        """Merge inserts new keys, updates rows that differ in a field and leaves the same ones, lineage included."""
        target = replace(T, disposition="merge", key=("id",))
        assert load(destination(), "a1", [A, B, C], target)[0] == Written(3)
        changed: Record = (2, "bob", "-2.00")
        new: Record = (4, "dan", None)
        assert load(destination(), "b2", [A, changed, new], target)[0] == Written(1, 1, 1)
        expected = [_row(A, "a1"), _row(changed, "b2"), _row(C, "a1"), _row(new, "b2")]
        assert visible(destination(), "sales") == sorted(expected, key=repr)

    def test_merge_from_arrow(self, destination: Make) -> None:
        """Merge does the same with rows that come as Arrow batches."""
        target = replace(T, disposition="merge", key=("id", "name"))
        load(destination(), "a1", [A, B], target, arrow=True)
        changed: Record = (2, None, "7.00")  # a key with NULL in it is a key
        assert load(destination(), "b2", [A, changed], target, arrow=True)[0] == Written(0, 1, 1)
        assert visible(destination(), "sales") == sorted([_row(A, "a1"), _row(changed, "b2")], key=repr)

    def test_merge_into_doubled_keys(self, destination: Make) -> None:
        """Merge refuses a table in which a key stands twice, and changes nothing."""
        load(destination(), "a1", [A, A], T)
        with refusal(DestinationError):
            load(destination(), "b2", [(1, "new", None)], replace(T, disposition="merge", key=("id",)))
        assert visible(destination(), "sales") == [_row(A, "a1")] * 2

    def test_merge_of_doubled_keys(self, destination: Make) -> None:
        """Merge refuses two rows for one row there, and changes nothing."""
        load(destination(), "a1", [A], T)
        with refusal(DestinationError):
            load(destination(), "b2", [(1, "x", None), (1, "y", None)], replace(T, disposition="merge", key=("id",)))
        assert visible(destination(), "sales") == [_row(A, "a1")]

    def test_a_corrected_file(self, destination: Make) -> None:
        """The rows of superseded loads go in the same instant in which the corrected ones come."""
        load(destination(), "a1", [A, B], T, file="jan.csv")
        load(destination(), "b2", [C], T, file="feb.csv")
        load(destination(), "c3", [A], replace(T, supersedes=("a1",)), file="jan.csv")
        assert visible(destination(), "sales") == sorted([_row(C, "b2"), _row(A, "c3")], key=repr)

    def test_a_corrected_file_takes_no_other_along(self, destination: Make) -> None:
        """Superseding a load is refused where rows of a file would be lost that the new load does not hold."""
        load(destination(), "a1", [A, B], T, file="jan.csv")
        with refusal(DestinationError):
            load(destination(), "b2", [C], replace(T, supersedes=("a1",)), file="feb.csv")
        assert visible(destination(), "sales") == sorted([_row(A, "a1"), _row(B, "a1")], key=repr)

    def test_other_columns(self, destination: Make) -> None:
        """A table with other columns or types than the rows is refused, says the difference and stays as it is."""
        load(destination(), "a1", [A], T)
        for columns, sql, word in (
            (
                (*COLUMNS, Column("extra", "string")),
                "SELECT 1::BIGINT AS id, '' AS name, 1::DECIMAL(12,2) AS amount, '' AS extra",
                "extra",
            ),
            (COLUMNS[:2], "SELECT 1::BIGINT AS id, 'x' AS name", "amount"),
            (
                (Column("id", "string"), *COLUMNS[1:]),
                "SELECT '1' AS id, '' AS name, 1::DECIMAL(12,2) AS amount",
                "BIGINT",
            ),
        ):
            for disposition in ("append", "replace"):
                with (
                    engine_side() as connection,
                    refusal(DestinationError) as caught,
                    destination().begin("b2") as opened,
                ):
                    lineage = Column("_load_id", "string")
                    query = DuckQuery(connection, f"SELECT *, 'b2' AS _load_id FROM ({sql})")
                    opened.write(SuiteRows(query, (*columns, lineage)), Target("sales", disposition))
                assert word in str(caught[0])
                assert caught[0].hint
        assert visible(destination(), "sales") == [_row(A, "a1")]

    def test_order_of_columns(self, destination: Make) -> None:
        """Columns are matched by name: another order is the same table."""
        load(destination(), "a1", [A], T)
        with engine_side() as connection, destination().begin("b2") as opened:
            sql = "SELECT 'b2' AS _load_id, -2::DECIMAL(12,2) AS amount, 2::BIGINT AS id, NULL::VARCHAR AS name"
            columns = (Column("_load_id", "string"), COLUMNS[2], COLUMNS[0], COLUMNS[1])
            written = opened.write(SuiteRows(DuckQuery(connection, sql), columns), T)
            opened.commit(marker_of("b2", written, T))
        assert visible(destination(), "sales") == sorted([_row(A, "a1"), _row(B, "b2")], key=repr)

    def test_hostile_names(self, destination: Make) -> None:
        """Column names are data: quotes, semicolons and keywords stay names."""
        names = ('a"; DROP TABLE sales; --', "select", "x y'", "filename")
        columns = tuple(Column(name, "string") for name in names)
        with engine_side() as connection:
            sql = "SELECT " + ", ".join("'v' AS \"" + name.replace('"', '""') + '"' for name in names)
            with destination().begin("a1") as opened:
                written = opened.write(SuiteRows(DuckQuery(connection, sql), columns), T)
                opened.commit(marker_of("a1", written, T))
        assert visible(destination(), "sales", names) == [("v", "v", "v", "v")]

    def test_two_tables_of_one_load(self, destination: Make) -> None:
        """All tables of a load become visible together; a table may stand in a dataset."""
        other = Target("partner.lines")
        with engine_side() as connection, destination().begin("a1") as opened:
            first = opened.write(rows_on(connection, [A], "a1"), T)
            opened.write(rows_on(connection, [B, C], "a1"), other)
            opened.commit(marker_of("a1", first, T))
        assert visible(destination(), "sales") == [_row(A, "a1")]
        assert visible(destination(), "partner.lines") == sorted([_row(B, "a1"), _row(C, "a1")], key=repr)

    def test_two_tables_of_one_load_each_with_its_marker(self, destination: Make) -> None:
        """Markers of several tables are true in one instant, and answer a load that comes twice table by table."""
        lookup = destination().lookup()
        with lookup.existing("partner.lines", ("id",), None):
            pass
        for _ in range(2):
            assert _two_tables(destination()) == (Written(1), Written(2))
        for load_id in ("c3", "d4", "e5"):
            load(destination(), load_id, [C], T)
        stored = {marker.load_id: marker for marker in destination().markers("shop")}
        assert [(name, marker.sequence) for name, marker in sorted(stored.items())] == [
            ("a1", 1),
            ("b2", 1),
            ("c3", 2),
            ("d4", 3),
            ("e5", 4),
        ]
        assert stored["b2"] == replace(
            marker_of("b2", Written(2), Target("partner.lines")), committed_at=stored["a1"].committed_at, sequence=1
        )
        with refusal(DestinationMovedError):
            load(destination(), "f6", [B], Target("other"), judged_against=lookup)

    def test_lookup_of_two_tables(self, destination: Make) -> None:
        """Several tables can be looked at together on one connection, and joined there with the engine's own rows."""
        load(destination(), "a1", [A, B], T)
        load(destination(), "b2", [C], Target("other"))
        lookup = destination().lookup()
        with engine_side() as connection:
            keys = rows_on(connection, [A], "k").duckdb
            assert keys is not None
            with lookup.existing("sales", ("id",), keys) as one, lookup.existing("other", ("id",), keys) as two:
                assert one is not None
                assert two is not None
                assert one.duckdb is not None
                assert two.duckdb is not None
                joined = f"SELECT (SELECT count(*) FROM ({one.duckdb.sql}) JOIN ({keys.sql}) USING (id)) + count(*)"
                assert connection.execute(f"{joined} FROM ({two.duckdb.sql})").fetchall() == [(2,)]

    def test_lookup_without_keys(self, destination: Make) -> None:
        """A lookup without keys gives all rows as Arrow batches, in the order of the columns asked for."""
        load(destination(), "a1", [A, B], T)
        with destination().lookup().existing("sales", ("name", "id"), None) as found:
            assert found is not None
            assert [column.name for column in found.columns] == ["name", "id"]
            values = [row for batch in found.batches() for row in batch.to_pylist()]
        assert sorted(values, key=repr) == sorted([{"name": "ann", "id": 1}, {"name": None, "id": 2}], key=repr)

    def test_lookup_of_a_missing_column(self, destination: Make) -> None:
        """A column that the table does not have is named in the error."""
        load(destination(), "a1", [A], T)
        with refusal(DestinationError) as caught, destination().lookup().existing("sales", ("nope",), None):
            raise InternalError("not reached")
        assert "nope" in str(caught[0])

    def test_moved(self, destination: Make) -> None:
        """Verdicts given before another commit into the same table are stale: the write says so, nothing is written."""
        lookup = destination().lookup()
        with lookup.existing("sales", ("id",), None) as found:
            assert found is None
        load(destination(), "a1", [A], T)
        with refusal(DestinationMovedError) as caught:
            load(destination(), "b2", [B], T, judged_against=lookup)
        assert caught[0].retryable
        fresh = destination().lookup()
        with fresh.existing("sales", ("id",), None):
            load_into_other = Target("other")
        load(destination(), "c3", [C], load_into_other)
        load(destination(), "b2", [B], T, judged_against=fresh)
        assert visible(destination(), "sales") == sorted([_row(A, "a1"), _row(B, "b2")], key=repr)

    def test_a_repeated_load_is_never_moved(self, destination: Make) -> None:
        """A load that is already committed is answered by its marker, whatever came after it."""
        lookup = destination().lookup()
        with lookup.existing("sales", ("id",), None):
            pass
        first = load(destination(), "a1", [A], T)
        assert load(destination(), "a1", [A], T, judged_against=lookup) == first
