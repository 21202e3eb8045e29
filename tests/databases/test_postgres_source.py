"""PostgreSQL as a source: landed out of one snapshot, judged, loaded once, incremental by a cursor."""

from __future__ import annotations

SCHEMA = """
schema: orders
version: 1
primaryKey: id
timezone: UTC
fields:
  id: integer
  amount: "decimal(12,2)"
  note: {missingValues: []}
  updated_at: datetime
"""
TABLE = "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(12,2), note text, updated_at timestamptz)"


def test_a_table_is_loaded_with_the_exact_text_of_every_value(postgres) -> None:
    """Rows arrive as they are: NULL is not an empty text, tabs and line ends and backslashes stay what they are."""
    notes = ["", None, "\\N", "a\tb\nc\r\\d", "\\n", "\\\\", "\b\v\f", "é\u2028", ' "x", ', "\\"]
    postgres.sql(TABLE)
    for number, note in enumerate(notes):
        postgres.sql("INSERT INTO orders VALUES (%s, 1.10, %s, '2026-01-01T10:00:00.123456+02')", (number, note))
    postgres.write("table: orders", SCHEMA)
    report = postgres.run()
    assert report["sources"][0]["account"]["loaded"] == len(notes)
    assert [row[2] for row in postgres.rows("SELECT id, amount, note FROM orders ORDER BY id")] == notes
    assert postgres.rows("SELECT DISTINCT amount::VARCHAR, epoch_us(updated_at) FROM orders") == [
        ("1.10", 1767254400123456)
    ]
    assert postgres.run()["sources"][0]["outcome"] == "unchanged"


MERGE = SCHEMA.replace("{missingValues: []}", "string")
CURSOR = "table: orders, cursor: {field: updated_at, lookback: 10m}"


def _update(postgres, number: int, at: str, note: str = "x") -> None:
    postgres.sql(
        "INSERT INTO orders VALUES (%s, 1, %s, %s) ON CONFLICT (id) DO UPDATE SET note = excluded.note, "
        "updated_at = excluded.updated_at",
        (number, note, at),
    )


def test_only_new_rows_are_read_by_the_cursor_and_the_position_is_in_the_marker(postgres) -> None:
    """The next run begins where the last ended; the position is the database's own text, found beside the rows."""
    postgres.sql(TABLE)
    _update(postgres, 1, "2026-01-01 10:00:00.000001Z")
    _update(postgres, 2, "2026-01-01 11:00:00.000001Z")
    postgres.write("table: orders, cursor: {field: updated_at}", MERGE, "merge")
    assert postgres.run()["sources"][0]["account"]["read"] == 2
    _update(postgres, 3, "2026-01-01 11:00:00.000001Z")  # a tie with the border
    _update(postgres, 4, "2026-01-01 12:00:00Z")
    second = postgres.run()["sources"][0]
    assert (second["account"]["read"], second["written"]) == (3, {"inserted": 2, "updated": 0, "unchanged": 1})
    (postgres.root / ".pratique" / "ledger.sqlite").unlink()
    third = postgres.run()["sources"][0]
    assert (third["outcome"], third["account"]["read"]) == ("loaded", 1), "the newest row is read and known again"
    assert postgres.run()["sources"][0]["outcome"] == "unchanged"
    assert [row[0] for row in postgres.rows()] == [1, 2, 3, 4]
    cursor = "json_extract_string(marker, '$.cursor.end')"
    (newest,) = postgres.rows(f"SELECT {cursor} FROM _pratique_loads ORDER BY sequence DESC LIMIT 1")
    assert newest == ("2026-01-01 12:00:00+00",)


def test_rows_known_again_are_skipped_where_rows_are_appended(postgres) -> None:
    """Ties at the border are read again and stand on the account as loaded before."""
    postgres.sql(TABLE)
    _update(postgres, 1, "2026-01-01 10:00Z")
    postgres.write("table: orders, cursor: {field: updated_at}", MERGE)
    postgres.run()
    _update(postgres, 2, "2026-01-01 10:00Z")
    account = postgres.run()["sources"][0]["account"]
    assert (account["loaded"], account["skipped"]) == (1, {"loaded before": 1})


def test_without_a_key_no_row_comes_twice(postgres) -> None:
    """An append without a key reads strictly after its position; a number that grows loses nothing by that."""
    postgres.sql("CREATE TABLE orders (id bigint, note text)")
    postgres.sql("INSERT INTO orders SELECT n, 'x' FROM generate_series(1, 100) n")
    postgres.write("table: orders, cursor: {field: id}", "fields: {id: integer, note: {}}")
    assert postgres.run()["sources"][0]["account"]["loaded"] == 100
    postgres.sql("INSERT INTO orders SELECT n, 'x' FROM generate_series(101, 110) n")
    assert postgres.run()["sources"][0]["account"]["loaded"] == 10
    assert postgres.run()["sources"][0]["outcome"] == "unchanged"
    assert postgres.rows("SELECT count(*), count(DISTINCT id) FROM orders") == [(110, 110)]


def test_the_first_read_begins_at_start(postgres) -> None:
    """`start` is the first value that is read; what is no value of the column is refused."""
    postgres.sql(TABLE)
    for number, day in enumerate(("2025-12-31", "2026-01-01", "2026-01-02")):
        _update(postgres, number, f"{day} 00:00Z")
    postgres.write('table: orders, cursor: {field: updated_at, start: "2026-13-01"}', MERGE)
    assert "'2026-13-01' is no timestamp with time zone" in postgres.run(3)["sources"][0]["problem"]["message"]
    postgres.write('table: orders, cursor: {field: updated_at, start: "2026-01-01"}', MERGE)
    postgres.run()
    assert [row[0] for row in postgres.rows()] == [1, 2]


def test_rows_without_a_place_in_the_order_are_told(postgres) -> None:
    """NULL and infinity are no positions: such rows are not read, and the run says how many there are."""
    postgres.sql(TABLE)
    _update(postgres, 1, "2026-01-01Z")
    _update(postgres, 2, "infinity")
    postgres.sql("INSERT INTO orders (id) VALUES (3), (4)")
    postgres.write(CURSOR, MERGE, "merge")
    report = postgres.run()
    assert report["sources"][0]["account"]["read"] == 1
    assert report["notices"] == ["orders: 3 rows are not read: their updated_at is NULL, or has no place in an order"]


def test_a_cursor_ahead_of_its_time_or_behind_itself_is_told(postgres) -> None:
    """A row of the year 9999 hides those that come later; a copy that is behind does not move the position back."""
    postgres.sql(TABLE)
    _update(postgres, 1, "9999-12-31Z")
    postgres.write(CURSOR, MERGE, "merge")
    assert "lies in the future" in postgres.run()["notices"][0]
    postgres.sql("DELETE FROM orders")
    _update(postgres, 2, "2026-01-01Z")
    report = postgres.run()
    assert "is less than at the last run" in report["notices"][0]
    assert report["sources"][0]["outcome"] == "unchanged"


def test_a_changed_type_of_the_cursor_is_refused(postgres) -> None:
    """A position of one type says nothing of another: the run stops and says what can be done."""
    postgres.sql(TABLE)
    _update(postgres, 1, "2026-01-01Z")
    postgres.write(CURSOR, MERGE, "merge")
    postgres.run()
    postgres.sql("ALTER TABLE orders ALTER updated_at TYPE timestamp")
    report = postgres.run(3)
    problem = report["sources"][0]["problem"]
    assert (
        "(timestamp with time zone), the cursor is now updated_at (timestamp without time zone)" in problem["message"]
    )
    assert "another name" in problem["hint"]


def test_a_table_that_returns_to_an_earlier_state_is_loaded_again(postgres) -> None:
    """A, B, A are three loads of a merged table that is read whole; an unchanged one is none."""
    postgres.sql(TABLE)
    postgres.write("table: orders", MERGE, "merge")
    for note, outcome in (("a", "loaded"), ("b", "loaded"), ("b", "unchanged"), ("a", "loaded")):
        _update(postgres, 1, "2026-01-01Z", note)
        assert postgres.run()["sources"][0]["outcome"] == outcome
        assert postgres.rows("SELECT note FROM orders") == [(note,)]


def test_a_replaced_table_follows_its_source_down_to_nothing(postgres) -> None:
    """`write: replace` swaps the rows; an emptied table empties the destination."""
    postgres.sql(TABLE)
    _update(postgres, 1, "2026-01-01Z")
    postgres.write("table: orders", MERGE, "replace")
    postgres.run()
    assert postgres.run()["sources"][0]["outcome"] == "unchanged"
    postgres.sql("DELETE FROM orders")
    assert postgres.run()["sources"][0]["outcome"] == "loaded"
    assert postgres.rows() == []
    _update(postgres, 1, "2026-01-01Z")
    postgres.run()
    assert len(postgres.rows()) == 1


def test_a_query_a_filter_and_columns_say_what_is_read(postgres) -> None:
    """A query is one SELECT; the filter is judged by the rules of the product and stands on the account."""
    postgres.sql(TABLE)
    for number in range(4):
        _update(postgres, number, "2026-01-01Z", "draft" if number == 2 else "x")
    query = 'query: "select id, note, 1 as ignored from orders where id > 0; ", columns: [note, id]'
    postgres.write(
        f"{query}, filter: \"note <> 'draft'\"", "fields: {id: integer, note: {}}", "replace", "lineage: [_file]\n"
    )
    account = postgres.run()["sources"][0]["account"]
    assert (account["loaded"], account["skipped"]) == (2, {"filter": 1})
    assert postgres.rows("SELECT id, note, _file FROM orders ORDER BY id") == [(1, "x", "query"), (3, "x", "query")]
    assert postgres.run(dry_run=True)["sources"][0]["outcome"] == "unchanged"
