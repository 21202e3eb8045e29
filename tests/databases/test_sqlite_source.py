"""SQLite as a source: every value by its own type, new rows by a cursor, nothing but reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from conftest import Shop

SCHEMA = "primaryKey: id\nfields: {id: integer, note: {missingValues: []}}\n"


@pytest.fixture
def sqlite(tmp_path, monkeypatch) -> Iterator[Shop]:
    """A project over a SQLite file."""
    monkeypatch.setenv("SHOP_PASSWORD", "unused")
    connection = sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None)
    yield Shop(
        tmp_path, lambda text, values=(): connection.execute(text, values).fetchall(), "sqlite://shop.sqlite", "sqlite"
    )
    connection.close()


def test_each_value_arrives_by_its_own_type(sqlite) -> None:
    """Integers of 64 bits, shortest floats, texts with whatever they hold; NULL is not an empty text."""
    values = ["", None, 2**63 - 1, 0.1, 1e300, "a\tb\n\\N\r\0z", "é", " x ", "0012"]
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note)")
    for value in values:
        sqlite.sql("INSERT INTO orders (note) VALUES (?)", (value,))
    sqlite.write("table: orders", SCHEMA)
    assert sqlite.run()["sources"][0]["account"]["loaded"] == len(values)
    expected = [str(value) if value is not None else None for value in values]
    assert [note for _, note in sqlite.rows("SELECT id, note FROM orders ORDER BY id")] == expected
    assert sqlite.run()["sources"][0]["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("first", "second", "lookback", "read"),
    [
        ("10", "12", "3", 2),
        ("'2026-01-01 10:00:00'", "'2026-01-01 10:05:00'", "10m", 2),
        ("'2026-01-01'", "'2026-01-09'", "1d", 2),
    ],
)
def test_new_rows_are_told_by_a_cursor(sqlite, first: str, second: str, lookback: str, read: int) -> None:
    """Integers and ISO texts are cursors; values of another type are told, and never read by chance."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, moved)")
    sqlite.sql(f"INSERT INTO orders VALUES (1, 'a', {first}), (2, 'b', NULL), (3, 'c', 1.5)")
    schema = "primaryKey: id\nfields: {id: integer, note: {}, moved: {}}\n"
    sqlite.write(f"table: orders, cursor: {{field: moved, lookback: {lookback}}}", schema, "merge")
    report = sqlite.run()
    assert report["sources"][0]["account"]["read"] == 1
    assert report["notices"] == ["orders: 2 rows are not read: their moved is NULL, or has no place in an order"]
    sqlite.sql(f"INSERT INTO orders VALUES (4, 'd', {second}), (5, 'e', {first})")
    again = sqlite.run()["sources"][0]
    assert again["account"]["read"] == read + 1
    assert [row[0] for row in sqlite.rows()] == [1, 4, 5]
    sqlite.sql("DELETE FROM orders WHERE id IN (4, 5)")
    assert "is less than at the last run" in sqlite.run()["notices"][1]


@pytest.mark.parametrize("lookback", ["", ", lookback: 1m"])
def test_a_text_that_is_no_date_does_not_hide_those_that_come(sqlite, lookback: str) -> None:
    """Among dates and times it is told, not read: greater than each of them, it would be the last that is ever seen."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, moved TEXT)")
    sqlite.sql("INSERT INTO orders VALUES (1, 'a', '2026-01-01 10:00:00'), (2, 'b', 'unknown'), (3, 'c', '')")
    schema = "primaryKey: id\nfields: {id: integer, note: {}, moved: {}}\n"
    sqlite.write(f"table: orders, cursor: {{field: moved{lookback}}}", schema, "merge")
    assert sqlite.run()["notices"] == ["orders: 2 rows are not read: their moved is NULL, or has no place in an order"]
    sqlite.sql("INSERT INTO orders VALUES (4, 'd', '2026-01-02 10:00:00')")
    sqlite.run()
    assert [row[0] for row in sqlite.rows()] == [1, 4]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("table: ordres", "there is no table ordres in "),
        ("query: \"select id, x'00' as note from orders\"", "the column note holds bytes"),
        ("query: \"select id, cast(x'ff' as text) as note from orders\"", "note holds a text that is not UTF-8"),
        ('query: "delete from orders"', "does more than read"),
        ('query: "select 1; select 2"', "one statement at a time"),
        ('query: "select id, nope from orders"', "no such column: nope"),
        ("table: orders, cursor: {field: note, lookback: 5m}", "look-back cannot be taken from 'x'"),
        ("table: orders, cursor: {field: id, lookback: 5m}", "does not fit its type integer"),
        ("table: orders, cursor: {field: id, start: x}", "'x' is no integer"),
    ],
)
def test_what_is_refused_is_told(sqlite, source: str, message: str) -> None:
    """Permanent errors, with the place, before anything is loaded; the file is as it was."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    sqlite.sql("INSERT INTO orders VALUES (1, 'x')")
    sqlite.write(source, SCHEMA, "merge")
    if "note, lookback" in source:
        sqlite.run()
        sqlite.sql("UPDATE orders SET note = 'y' WHERE false")
        sqlite.sql("INSERT INTO orders VALUES (2, 'x')")
    problem = sqlite.run(3)["sources"][0]["problem"]
    assert message in problem["message"]
    assert sqlite.sql("SELECT id FROM orders WHERE id = 1") == [(1,)]


def test_a_file_that_is_not_there_or_no_database_is_told(sqlite) -> None:
    """Neither is created, nor taken for an empty table."""
    sqlite.url = "sqlite://nowhere.sqlite"
    sqlite.write("table: orders", SCHEMA)
    assert "there is no file" in sqlite.run(3)["sources"][0]["problem"]["message"]
    assert not (sqlite.root / "nowhere.sqlite").exists()
    (sqlite.root / "nowhere.sqlite").write_text("no database, but long enough to be looked at as if it were one\n" * 20)
    assert "not a database" in sqlite.run(3)["sources"][0]["problem"]["message"]


def test_a_locked_file_is_waited_for_and_told_as_passing(sqlite) -> None:
    """Another process that writes exclusively: tried again, then exit 3 with the code of what may pass."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    sqlite.options = ", connect_timeout_seconds: 1"
    sqlite.write("table: orders", SCHEMA)
    sqlite.sql("BEGIN EXCLUSIVE")
    problem = sqlite.run(3)["sources"][0]["problem"]
    assert (problem["code"], "held by another process" in problem["message"]) == ("source_unreachable", True)
    sqlite.sql("COMMIT")
    assert sqlite.run()["outcome"] == "done"


CHECKED = """
primaryKey: id
fields: {id: integer, note: {enum: [good]}, moved: datetime}
checks:
  enough: {rule: "count(*) >= 3", scope: set, severity: fail}
  few_notes: {rule: "count(note) >= 0.9 * count(*)", scope: set, severity: fail}
"""


@pytest.mark.parametrize("write", ["append", "merge"])
def test_rows_that_are_read_again_count_as_what_they_are(sqlite, write: str) -> None:
    """An increment of one new row and three known ones is four good rows, for a check too; a run of known ones as well."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, moved TEXT)")
    for number in range(10):
        sqlite.sql("INSERT INTO orders VALUES (?, 'good', ?)", (number, f"2026-01-01 10:{number:02}:00"))
    sqlite.write("table: orders, cursor: {field: moved, lookback: 2m}", CHECKED, write)
    assert sqlite.run()["sources"][0]["account"]["loaded"] == 10
    sqlite.sql("INSERT INTO orders VALUES (10, 'good', '2026-01-01 10:09:30')")
    known = {"append": ({"loaded before": 3}, 1), "merge": ({}, 4)}[write]
    account = sqlite.run()["sources"][0]["account"]
    assert (account["skipped"], account["loaded"], account["read"]) == (*known, 4)
    known = {"append": ({"loaded before": 3}, 0), "merge": ({}, 3)}[write]
    account = sqlite.run()["sources"][0]["account"]
    assert (account["skipped"], account["loaded"], account["read"]) == (*known, 3)
    assert sqlite.run()["sources"][0]["outcome"] == "unchanged"
    assert [row[0] for row in sqlite.rows()] == list(range(11))


@pytest.mark.parametrize("write", ["append", "merge"])
def test_a_row_that_is_held_is_held_once_however_often_it_is_read(sqlite, write: str) -> None:
    """Within the look-back a bad row comes again and again: it is known, and a small increment beside it is loaded."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, moved TEXT)")
    for number in range(20):
        note = "bad" if number == 19 else "good"
        sqlite.sql("INSERT INTO orders VALUES (?, ?, ?)", (number, note, f"2026-01-01 10:{number:02}:00"))
    schema = (
        CHECKED.split("checks", maxsplit=1)[0]
        + 'checks: {short: {rule: "length(note) > 3", severity: fail, at_most: 6 %}}\n'
    )
    sqlite.write("table: orders, cursor: {field: moved, lookback: 1m}, quarantine: {max_share: 0.3}", schema, write)
    assert sqlite.run()["sources"][0]["account"]["quarantined"] == 1
    for number in range(20, 23):
        sqlite.sql("INSERT INTO orders VALUES (?, 'good', '2026-01-01 10:19:30')", (number,))
        account = sqlite.run()["sources"][0]["account"]
        assert account["skipped"]["held before"] == 1
        assert account["quarantined"] == 0
    assert sqlite.held() == [("19", "bad")]
    dry = sqlite.run(dry_run=True)["sources"][0]
    assert (dry["account"] or {}).get("quarantined", 0) == 0
    sqlite.sql("UPDATE orders SET note = 'worse' WHERE id = 19")
    assert sqlite.run()["sources"][0]["account"]["quarantined"] == 1, "it is another record now"
    assert sqlite.held() == [("19", "bad"), ("19", "worse")]
    sqlite.sql("INSERT INTO orders VALUES (30, 'bad', '2026-01-01 10:19:40')")
    account = sqlite.run(1)["sources"][0]["judged"]
    assert (account["quarantined"], account["skipped"]["held before"]) == (1, 1), "a new bad row is not known"
    sqlite.sql("UPDATE orders SET note = 'good' WHERE id IN (19, 30)")
    assert "held before" not in sqlite.run()["sources"][0]["account"]["skipped"]
    assert [row[0] for row in sqlite.rows()] == [*range(23), 30]
    assert len(sqlite.held()) == 2


def test_rows_are_held_again_where_the_evidence_is_gone(sqlite) -> None:
    """A row is known by what the quarantine holds: without that file it is held anew, and the run says why."""
    sqlite.sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, moved TEXT)")
    for number, note in enumerate(["good"] * 12 + ["bad"]):
        sqlite.sql("INSERT INTO orders VALUES (?, ?, '2026-01-01 10:00:00')", (number, note))
    sqlite.write("table: orders, cursor: {field: moved, lookback: 1m}", CHECKED.split("checks", maxsplit=1)[0])
    sqlite.run()
    for segment in (sqlite.root / ".pratique" / "quarantine").rglob("*.zst"):
        segment.unlink()
    sqlite.sql("INSERT INTO orders VALUES (20, 'good', '2026-01-01 10:00:30')")
    report = sqlite.run()
    assert report["sources"][0]["account"]["quarantined"] == 1
    assert "records that were held before may be held again: cannot read" in report["notices"][0]
