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
    assert report["sources"][0]["account"]["loaded"] == len(notes), report["printed"]
    assert [row[2] for row in postgres.rows("SELECT id, amount, note FROM orders ORDER BY id")] == notes
    assert postgres.rows("SELECT DISTINCT amount::VARCHAR, epoch_us(updated_at) FROM orders") == [
        ("1.10", 1767254400123456)
    ]
    assert postgres.run()["sources"][0]["outcome"] == "unchanged"
