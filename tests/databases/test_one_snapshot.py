"""Tables that belong together are read as their database was at one moment, whatever is written meanwhile."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymysql
import pytest
import servers

from conftest import Shop

TOGETHER = "together: {snapshot: one}\n"
FIELDS = "primaryKey: id\nfields: {id: integer}\n"


def shop_of_two(shop: Shop, first: str, more: str = TOGETHER, second: str = "table: items") -> None:
    """A pipeline of two sources, the first as it is written."""
    shop.write("table: orders", FIELDS)
    (shop.root / "schemas" / "items.yaml").write_text(FIELDS)
    (shop.root / "pipelines" / "shop.yaml").write_text(
        f"defaults: {{type: {shop.type}, connection: shop}}\n"
        f"sources:\n  orders: {{{first}}}\n  items: {{{second}}}\n"
        f"destination: {{connection: lake, write: replace}}\n{more}"
    )


def sqlite_shop(tmp_path: Path) -> Iterator[Shop]:
    """A project over a SQLite file, in which is read while somebody writes."""
    connection = sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    yield Shop(tmp_path, lambda text: connection.execute(text).fetchall(), "sqlite://shop.sqlite", "sqlite")
    connection.close()


@pytest.mark.parametrize(("more", "seen"), [(TOGETHER, 1), ("", 2)])
def test_postgres_shows_nothing_that_was_written_between_two_tables(postgres, more: str, seen: int) -> None:
    """A row that is committed while the first table is read is not in the second; without `together` it is."""
    postgres.sql("CREATE TABLE items (id int)")
    postgres.sql("INSERT INTO items VALUES (1)")
    postgres.sql("SELECT pg_advisory_lock(7)")
    shop_of_two(postgres, 'query: "SELECT 1 AS id FROM (SELECT pg_advisory_lock(7)) AS waited", schema: orders', more)

    def write() -> None:
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not postgres.sql(waiting):
            time.sleep(0.05)
        postgres.sql("INSERT INTO items VALUES (2)")
        postgres.sql("SELECT pg_advisory_unlock(7)")

    writer = threading.Thread(target=write)
    writer.start()
    report = postgres.run()
    writer.join()
    assert [source["account"]["loaded"] for source in report["sources"]] == [1, seen]


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "sqlite"])
def test_what_is_written_together_is_read_together(kind: str, request, tmp_path: Path, monkeypatch) -> None:
    """While orders and items are written in common transactions, each run reads as many of one as of the other."""
    monkeypatch.setenv("SHOP_PASSWORD", servers.PASSWORD)
    shops = sqlite_shop(tmp_path) if kind == "sqlite" else iter([request.getfixturevalue(kind)])
    shop = next(shops)
    for table in ("orders", "items"):
        shop.sql(f"CREATE TABLE {table} (id integer)")
        shop.sql(f"INSERT INTO {table} VALUES (0)")
    shop_of_two(shop, "table: orders")
    done = threading.Event()
    writer = threading.Thread(target=write_pairs, args=(shop, done))
    writer.start()
    try:
        counts = [[source["account"]["read"] for source in shop.run()["sources"]] for _ in range(4)]
    finally:
        done.set()
        writer.join()
    assert all(orders == items for orders, items in counts)
    assert counts[-1][0] > counts[0][0], "nothing was written meanwhile"
    assert len(shop.rows("SELECT id FROM items")) == counts[-1][0]
    next(shops, None)


def write_pairs(shop: Shop, done: threading.Event) -> None:
    """Write a row into each table in one transaction, again and again."""
    if shop.type == "sqlite":
        connection = sqlite3.connect(shop.root / "shop.sqlite", isolation_level=None, timeout=30)
    elif shop.type == "postgres":
        connection = psycopg.connect(shop.url, password=servers.PASSWORD, autocommit=True)
    else:
        name = shop.url.rpartition("/")[2].partition("?")[0]
        port = int(shop.url.rpartition(":")[2].partition("/")[0])
        connection = pymysql.connect(
            host="127.0.0.1", port=port, user="owner", password=servers.PASSWORD, database=name, autocommit=True
        )
    cursor = connection.cursor()
    number = 0
    while not done.is_set():
        number += 1
        cursor.execute("BEGIN")
        cursor.execute(f"INSERT INTO orders VALUES ({number})")
        cursor.execute(f"INSERT INTO items VALUES ({number})")
        cursor.execute("COMMIT")
        time.sleep(0.001)
    connection.close()


def test_a_database_that_fails_fails_all_of_them(tmp_path: Path) -> None:
    """Where one table cannot be read there is no moment at which all were: each says why, and nothing is loaded.

    Columns that do not fit a schema are found before a row is read: they hold their own source only.
    """
    shops = sqlite_shop(tmp_path)
    shop = next(shops)
    shop.sql("CREATE TABLE orders (id integer)")
    shop_of_two(shop, "table: orders")
    report = shop.run(3)
    assert [source["outcome"] for source in report["sources"]] == ["failed", "failed"]
    assert all("there is no table items" in source["problem"]["message"] for source in report["sources"])
    assert not (tmp_path / "lake.duckdb").exists()
    shop.sql("CREATE TABLE items (other integer)")
    shop.sql("INSERT INTO orders VALUES (1)")
    assert [source["outcome"] for source in shop.run(8)["sources"]] == ["loaded", "failed"]
    next(shops, None)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("type: files, connection: null, path: a.csv, schema: items", "not all sources are of one database"),
        ("connection: lake", "not all sources are of one database"),
    ],
)
def test_one_snapshot_is_of_one_database(tmp_path: Path, second: str, message: str) -> None:
    """Files, or another database, have no moment in common with this one."""
    shops = sqlite_shop(tmp_path)
    shop = next(shops)
    shop_of_two(shop, "table: orders", second=second)
    assert message in " ".join(shop.command(code=2).split())
    next(shops, None)
