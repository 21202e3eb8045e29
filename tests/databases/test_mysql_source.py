"""MariaDB as a source: types, cursor, refusals, broken connections."""

from __future__ import annotations

import random
import threading
import time

import pymysql
import pytest
import servers

from pratique.databases import DatabaseInput, Server
from pratique.model import Landed, Position
from pratique.schema import Field, Schema
from pratique.sources import open_source

SCHEMA = "primaryKey: id\nfields: {id: integer, note: {missingValues: []}}\n"
# type, literal, the text that arrives
EXACT = [
    ("tinyint", "-128", "-128"),
    ("boolean", "true", "1"),
    ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
    ("int(5) zerofill", "42", "00042"),
    ("decimal(65,30)", "12345678901234567890123456789012345.000000000000000000000000000001", None),
    ("float", "16777216", "16777216"),
    ("float", "0.1", "0.10000000149011612"),
    ("double", "0.1", "0.1"),
    ("double", "1.7976931348623157e308", "1.7976931348623157e308"),
    ("double", "2.2250738585072014e-308", "2.2250738585072014e-308"),
    ("double(10,2)", "1.25", "1.25"),
    ("bit(1)", "b'1'", "1"),
    ("bit(64)", "b'1111111111111111111111111111111111111111111111111111111111111111'", "18446744073709551615"),
    ("year", "2026", "2026"),
    ("date", "'0000-00-00'", "0000-00-00"),
    ("date", "'9999-12-31'", "9999-12-31"),
    ("time(6)", "'-838:59:58.999999'", "-838:59:58.999999"),
    ("datetime(6)", "'2026-02-28 23:59:59.999999'", "2026-02-28 23:59:59.999999"),
    ("datetime", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
    ("timestamp(3) null", "'2026-03-29 02:30:00.125'", "2026-03-29 02:30:00.125+00:00"),
    ("char(5)", "'ab '", "ab"),
    ("varchar(9) character set latin1", "'äß€ '", "äß€ "),
    ("varchar(9) character set utf16", "'ä😀'", "ä😀"),
    ("text", "''", ""),
    ("longtext", r"'a\tb\n\\N\r\0z'", "a\tb\n\\N\r\0z"),
    ("enum('a','ö')", "'ö'", "ö"),
    ("set('a','b')", "'a,b'", "a,b"),
    ("json", '\'{"b": 1.10,  "a":1e400}\'', '{"b": 1.10,  "a":1e400}'),
    ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
    ("inet6", "'2001:db8::1'", "2001:db8::1"),
]
REFUSED = [
    ("blob", "bytes are no text"),
    ("varbinary(5)", "bytes are no text"),
    ("binary(3)", "bytes are no text"),
    ("point", "geometry is not known to be exact"),
]


def _land(mariadb, count: int) -> Landed:
    url = mariadb.url.rpartition("/")
    port = int(url[0].rpartition(":")[2])
    there = Server("mysql", "t", "127.0.0.1", port, "owner", servers.PASSWORD, url[2])
    schema = Schema("t", 1, tuple(Field(f"c{at}") for at in range(count)))
    source = open_source(
        "t",
        path="",
        base=mariadb.root,
        format="",
        schema=schema,
        workspace=mariadb.root,
        database=DatabaseInput(there, table="types"),
    )
    return source.land(Position())


def test_every_exact_type_arrives_as_its_text(mariadb) -> None:
    """Unsigned 64 bits, 65 digits, zero dates, times of 838 hours, floats as the doubles that they are; NULL is NULL."""
    mariadb.sql("SET SESSION sql_mode = '', time_zone = '+00:00'")
    mariadb.sql(
        f"CREATE TABLE types ({', '.join(f'c{at} {kind} null' if 'null' not in kind else f'c{at} {kind}' for at, (kind, _, _) in enumerate(EXACT))})"
    )
    mariadb.sql(f"INSERT INTO types VALUES ({', '.join(literal for _, literal, _ in EXACT)})")
    mariadb.sql(f"INSERT INTO types VALUES ({', '.join('NULL' for _ in EXACT)})")
    landed = _land(mariadb, len(EXACT))
    assert not landed.held
    (part,) = landed.parts
    first, second = (dict(record.values) for record in landed.reader.records(part, part.files[0], [1, 2]))
    assert first == {f"c{at}": literal if shown is None else shown for at, (_, literal, shown) in enumerate(EXACT)}
    assert set(second.values()) == {None}


@pytest.mark.parametrize(("kind", "reason"), REFUSED)
def test_other_types_are_refused_by_name_before_a_row_is_read(mariadb, kind: str, reason: str) -> None:
    """Bytes and geometries hold the input, with the column, its type and why."""
    mariadb.sql(f"CREATE TABLE types (c0 {kind})")
    (held,) = _land(mariadb, 1).held
    assert held.reason.startswith("the column c0 is ")
    assert reason in held.reason


def test_rows_of_every_size_are_loaded_as_they_are(mariadb) -> None:
    """Lengths of one, two, three and four bytes, and a row of more than one packet of 16 MiB is told as too long."""
    sizes = [0, 9, 10, 250, 251, 252, 253, 255, 256, 65_535, 65_536, 1 << 20]
    mariadb.sql("CREATE TABLE orders (id int PRIMARY KEY, note longtext)")
    for at, size in enumerate(sizes):
        mariadb.sql("INSERT INTO orders VALUES (%s, %s)", (at, "x" * size))
    mariadb.write("table: orders", SCHEMA)
    assert mariadb.run()["sources"][0]["account"]["loaded"] == len(sizes)
    assert [size for (size,) in mariadb.rows("SELECT length(note) FROM orders ORDER BY id")] == sizes
    assert mariadb.run()["sources"][0]["outcome"] == "unchanged"
    mariadb.sql("INSERT INTO orders SELECT 99, repeat('y', 17 << 20)")
    assert "Maximum line size" in mariadb.run(3)["sources"][0]["problem"]["message"]


def test_new_rows_are_told_by_a_cursor_with_ties_and_late_rows(mariadb) -> None:
    """Random inserts and updates, transactions open during the run, ties: at the end both tables are equal."""
    dice = random.Random(7)  # noqa: S311 - repeatable, no secret
    mariadb.sql("CREATE TABLE orders (id int PRIMARY KEY, note text, moved datetime(6))")
    schema = "primaryKey: id\nfields: {id: integer, note: {}, moved: datetime}\n"
    mariadb.write('table: orders, cursor: {field: moved, start: "2026-01-01", lookback: 1h}', schema, "merge")
    upsert = "REPLACE INTO orders VALUES (%s, %s, TIMESTAMPADD(SECOND, %s, '2026-01-01 00:00:00.000001'))"
    clock = 0
    for _ in range(3):
        url = mariadb.url.rpartition("/")
        late = pymysql.connect(
            host="127.0.0.1",
            port=int(url[0].rpartition(":")[2]),
            user="owner",
            password=servers.PASSWORD,
            database=url[2],
        )
        for number in range(6):
            clock += dice.choice((0, 1))
            with late.cursor() as cursor:
                if dice.random() < 0.5:
                    cursor.execute(upsert, (number, f"late {clock}", clock))
                else:
                    mariadb.sql(upsert, (number + 100, f"at once {clock}", clock))
        mariadb.run()
        late.commit()
        late.close()
    mariadb.sql("INSERT INTO orders VALUES (500, 'none', NULL)")
    assert "1 rows are not read" in mariadb.run()["notices"][0]
    there = mariadb.sql("SELECT id, note, moved FROM orders WHERE moved IS NOT NULL ORDER BY id")
    assert mariadb.rows("SELECT id, note, moved FROM orders ORDER BY id") == there


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("table: ordres", "there is no table ordres in ", "did you mean orders?"),
        ('query: "delete from orders"', "READ ONLY transaction", "changes nothing"),
        ('query: "select 1; delete from orders"', "error in your SQL syntax", "one SELECT"),
        ('query: "select 1) as a; delete from orders; select * from (select 1"', "error in your SQL syntax", ""),
        ("query: \"select 1) as a into outfile '/tmp/x' #\"", "error in your SQL syntax", ""),
        ('query: "select id, nope from orders"', "Unknown column 'nope'", "table or query"),
        (
            'query: "select id, sleep(9) as note from orders"',
            "max_statement_time exceeded",
            "statement_timeout_seconds",
        ),
        ("table: orders, cursor: {field: id, start: x}", "'x' is no long", "as the column does"),
    ],
)
def test_what_is_refused_is_told(mariadb, source: str, message: str, hint: str) -> None:
    """Permanent errors, at once, with what to do; the table is as it was."""
    mariadb.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    mariadb.sql("INSERT INTO orders VALUES (1, 'x')")
    mariadb.options = ", statement_timeout_seconds: 1"
    mariadb.write(source, SCHEMA)
    problem = mariadb.run(3)["sources"][0]["problem"]
    assert message in problem["message"]
    assert hint in problem["hint"]
    assert problem["code"] == "source"
    assert mariadb.sql("SELECT id FROM orders") == [(1,)]


def test_wrong_passwords_and_missing_tls_are_told_at_once(mariadb, monkeypatch) -> None:
    """Neither is retried; a server without TLS is not spoken to where TLS is asked for; no password is printed."""
    mariadb.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    mariadb.options = ", tls: verify-full"
    mariadb.write("table: orders", SCHEMA)
    problem = mariadb.run(3)["sources"][0]["problem"]
    assert problem["code"] == "source"
    assert "SSL is required" in problem["message"]
    mariadb.options = ""
    mariadb.write("table: orders", SCHEMA)
    monkeypatch.setenv("SHOP_PASSWORD", "canary-wrong-88")
    problem = mariadb.run(3)["sources"][0]["problem"]
    assert "Access denied" in problem["message"]
    assert "canary" not in str(problem)


def test_a_connection_that_breaks_while_rows_are_read_is_tried_again(mariadb) -> None:
    """A server that ends our session in the middle costs one retry; every row is loaded once."""
    mariadb.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    mariadb.sql("INSERT INTO orders SELECT seq, repeat('x', 100) FROM seq_1_to_20000")
    mariadb.write('query: "select id, note from orders where id % 4000 <> 0 or sleep(0.3) = 0"', SCHEMA)
    ended: list[int] = []

    def end_it() -> None:
        url = mariadb.url.rpartition("/")
        watcher = pymysql.connect(
            host="127.0.0.1", port=int(url[0].rpartition(":")[2]), user="owner", password=servers.PASSWORD
        )
        deadline = time.monotonic() + 20
        with watcher, watcher.cursor() as cursor:
            while not ended and time.monotonic() < deadline:
                cursor.execute(
                    "SELECT id FROM information_schema.processlist WHERE db = %s AND info LIKE 'SELECT %% FROM (%%sleep%%'",
                    (url[2],),
                )
                for (number,) in cursor.fetchall():
                    cursor.execute(f"KILL CONNECTION {number}")
                    ended.append(number)
                time.sleep(0.05)

    thread = threading.Thread(target=end_it)
    thread.start()
    report = mariadb.run()
    thread.join()
    assert ended
    assert report["sources"][0]["account"]["loaded"] == 20_000
