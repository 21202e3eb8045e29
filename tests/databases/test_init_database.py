"""`pratique init` of a database: its tables, types, keys and references become a project that runs at once."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import servers
import yaml


def pratique(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder`; nothing that it prints or writes but .env holds the password."""
    done = subprocess.run(
        [sys.executable, "-m", "pratique", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert servers.PASSWORD not in done.stdout + done.stderr
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".env" and path.suffix != ".sqlite":
            assert servers.PASSWORD.encode() not in path.read_bytes(), path
    return done


def document(path: Path) -> dict:
    """A file of YAML as plain values."""
    found: dict = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def warehouse(folder: Path, sql: str) -> list[tuple]:
    """What was loaded."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def with_password(url: str, password: str) -> str:
    """The URL with a password in it."""
    scheme, _, rest = url.partition("://")
    user, _, place = rest.partition("@")
    return f"{scheme}://{user}:{password}@{place}"


POSTGRES = """
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email varchar(80), since timestamptz, photo bytea);
CREATE TABLE orders (
    id integer, line smallint, customer bigint REFERENCES customers, amount numeric(12,2), weight numeric, paid boolean,
    day date, code text, extra jsonb, PRIMARY KEY (id, line));
CREATE TABLE archive (id uuid PRIMARY KEY, at timestamp, price numeric(9,3), tags text[]);
CREATE VIEW paid AS SELECT * FROM orders WHERE paid;
INSERT INTO customers VALUES (1, 'Anna', 'anna@example.com', '2024-01-01 10:00+02', 'x'), (2, 'Ben', NULL, NULL, NULL);
INSERT INTO orders VALUES (1, 1, 1, 12.50, 1.5, true, '2024-02-01', '007', '{"a": 1}'),
    (1, 2, 1, 3.00, 2.25, false, '2024-02-01', '', NULL), (2, 1, 2, 0.99, NULL, NULL, '2024-02-02', NULL, NULL);
"""


def test_a_postgres_database_is_a_project_at_once(postgres, tmp_path: Path) -> None:
    """Types are those of the database, keys and references its own; the run loads every row; a second one nothing."""
    postgres.sql(POSTGRES)
    pratique(tmp_path, "init", with_password(postgres.url, "${SHOP_PASSWORD}"), "--name", "shop")
    assert not (tmp_path / ".env").exists()
    config = document(tmp_path / "config" / "default.yaml")
    assert [item.get("password") for item in config["connections"].values()] == [None, "${SHOP_PASSWORD}"]
    orders = document(tmp_path / "schemas" / "orders.yaml")
    types = {
        name: spec if isinstance(spec, str) else spec.get("type", "string") for name, spec in orders["fields"].items()
    }
    assert types == {
        "id": "integer", "line": "integer", "customer": "integer", "amount": "decimal(12,2)", "weight": "decimal(9,2)",
        "paid": "boolean", "day": "date", "code": "string", "extra": "json",
    }  # fmt: skip
    assert orders["primaryKey"] == ["id", "line"]
    assert orders["references"] == {"customer": "customers.id"}
    archive = document(tmp_path / "schemas" / "archive.yaml")
    assert archive["primaryKey"] == "id"
    assert archive["fields"]["at"] == "datetime"
    assert archive["fields"]["price"] == "decimal(9,3)"
    assert names(tmp_path / "schemas") == ["archive.yaml", "customers.yaml", "orders.yaml"]
    assert warehouse(tmp_path, "SELECT id, line, customer, amount, code FROM orders ORDER BY ALL")[1][4] == ""
    assert warehouse(tmp_path, "SELECT id, since::VARCHAR FROM customers ORDER BY id")[0][1].startswith(
        "2024-01-01 08:00:00"
    )
    customers = warehouse(tmp_path, "DESCRIBE customers")
    assert "photo" not in {row[0] for row in customers}
    pratique(tmp_path, "lint", "--strict")
    pratique(tmp_path, "test")
    again = json.loads(pratique(tmp_path, "run", "shop", "--json", "--strict").stdout)
    assert sum(source["account"]["loaded"] for source in again["sources"] if source["account"]) == 0
    postgres.sql("DELETE FROM orders WHERE line = 2")
    pratique(tmp_path, "run", "shop")
    assert warehouse(tmp_path, "SELECT count(*) FROM orders") == [(2,)]


def test_a_password_in_the_address_goes_into_env_alone(postgres, tmp_path: Path, monkeypatch) -> None:
    """What stands in the address is written to .env, which only its owner reads; the configuration refers to it."""
    monkeypatch.delenv("SHOP_PASSWORD")
    postgres.sql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)")
    pratique(tmp_path, "init", with_password(postgres.url, servers.PASSWORD))
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert servers.PASSWORD in (tmp_path / ".env").read_text()
    assert warehouse(tmp_path, "SELECT id FROM t") == [(1,)]


def test_an_env_that_is_there_is_not_touched(postgres, tmp_path: Path) -> None:
    """A .env that is there stays as it is: the error says how to give the password by reference."""
    postgres.sql("CREATE TABLE t (id integer PRIMARY KEY)")
    (tmp_path / ".env").write_text("OTHER=1\n")
    done = pratique(tmp_path, "init", with_password(postgres.url, servers.PASSWORD), code=2)
    assert "${" in done.stderr
    assert (tmp_path / ".env").read_text() == "OTHER=1\n"
    assert not (tmp_path / "schemas").exists()


def test_a_wrong_password_writes_nothing(postgres, tmp_path: Path) -> None:
    """What the server refuses is told with what to do, and there is no project."""
    done = pratique(tmp_path, "init", with_password(postgres.url, "wrong-one-9"), code=3)
    assert "password" in done.stderr
    assert "wrong-one-9" not in done.stderr
    assert names(tmp_path) in ([], [".pratique"])


def test_only_the_tables_that_are_named(postgres, tmp_path: Path) -> None:
    """--table chooses, a table of another schema by its whole name; one that is not there is told with near ones."""
    postgres.sql(
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id integer PRIMARY KEY, n integer); "
        "INSERT INTO sales.orders VALUES (1, 2); CREATE TABLE other (id integer)"
    )
    url = with_password(postgres.url, "${SHOP_PASSWORD}")
    done = pratique(tmp_path, "init", url, "--table", "sales.order", code=3)
    assert "sales.orders" in done.stderr
    pratique(tmp_path, "init", url, "--table", "sales.orders")
    assert names(tmp_path / "schemas") == ["sales_orders.yaml"]
    assert warehouse(tmp_path, "SELECT id, n FROM sales_orders") == [(1, 2)]


def test_a_database_without_tables_says_so(postgres, tmp_path: Path) -> None:
    """There is nothing to propose: the error says whose rights to check."""
    done = pratique(tmp_path, "init", with_password(postgres.url, "${SHOP_PASSWORD}"), code=3)
    assert "no table" in done.stderr


def test_a_project_that_knows_the_database_uses_its_connection(postgres, tmp_path: Path) -> None:
    """A connection with this address is used, with its password; without one, the lines to add are told."""
    postgres.sql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)")
    (tmp_path / "config").mkdir()
    config = tmp_path / "config" / "default.yaml"
    config.write_text("connections:\n  warehouse: {url: duckdb://warehouse.duckdb}\n")
    done = pratique(tmp_path, "init", with_password(postgres.url, "${SHOP_PASSWORD}"), code=2)
    assert postgres.url in done.stderr
    config.write_text(
        "connections:\n  warehouse: {url: duckdb://warehouse.duckdb}\n"
        f'  erp: {{url: "{postgres.url}", password: "${{SHOP_PASSWORD}}"}}\n'
    )
    pratique(tmp_path, "init", postgres.url, "--name", "erp")
    assert "connection: erp" in (tmp_path / "pipelines" / "erp.yaml").read_text()
    assert warehouse(tmp_path, "SELECT id FROM t") == [(1,)]


MARIADB = """
CREATE TABLE customers (id bigint unsigned PRIMARY KEY, name varchar(40) NOT NULL, since timestamp NULL, pic blob);
CREATE TABLE orders (
    id int, line tinyint, customer bigint unsigned, amount decimal(12,2), at datetime(3), day date, code char(3),
    ratio double, PRIMARY KEY (id, line), FOREIGN KEY (customer) REFERENCES customers (id));
INSERT INTO customers VALUES (1, 'Anna', '2024-01-01 10:00:00', 'x'), (2, 'Ben', NULL, NULL);
INSERT INTO orders VALUES (1, 1, 1, 12.50, '2024-02-01 01:02:03.004', '2024-02-01', '007', 0.1),
    (1, 2, 2, 3.25, NULL, NULL, NULL, NULL)
"""


def test_a_mariadb_database_is_a_project_at_once(mariadb, tmp_path: Path) -> None:
    """The same of MySQL and MariaDB."""
    for statement in MARIADB.split(";"):
        mariadb.sql(statement)
    pratique(tmp_path, "init", with_password(mariadb.url, "${SHOP_PASSWORD}"), "--name", "shop")
    orders = document(tmp_path / "schemas" / "orders.yaml")
    types = {
        name: spec if isinstance(spec, str) else spec.get("type", "string") for name, spec in orders["fields"].items()
    }
    assert types == {
        "id": "integer", "line": "integer", "customer": "integer", "amount": "decimal(9,2)", "at": "datetime",
        "day": "date", "code": "string", "ratio": "number",
    }  # fmt: skip
    assert orders["primaryKey"] == ["id", "line"]
    assert orders["references"] == {"customer": "customers.id"}
    assert warehouse(tmp_path, "SELECT amount::VARCHAR, code FROM orders ORDER BY ALL") == [
        ("12.50", "007"),
        ("3.25", None),
    ]
    pratique(tmp_path, "lint", "--strict")
    pratique(tmp_path, "test")


@pytest.mark.parametrize("how", ["sqlite://shop.sqlite", "shop.sqlite"])
def test_a_sqlite_file_is_a_project_at_once(tmp_path: Path, how: str) -> None:
    """A file by its name or by its address; what a column holds decides its type, for SQLite lets it hold anything."""
    with sqlite3.connect(tmp_path / "shop.sqlite") as shop:
        shop.executescript(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount, day TEXT, customer REFERENCES customers (id), mixed);"
            "INSERT INTO customers VALUES (1, 'Anna'), (2, 'Ben');"
            "INSERT INTO orders VALUES (1, 1.5, '2024-01-01', 1, 7), (2, 2, '2024-01-02', 2, 'seven');"
        )
    shop.close()
    pratique(tmp_path, "init", how)
    orders = document(tmp_path / "schemas" / "orders.yaml")
    assert orders["primaryKey"] == "id"
    assert orders["references"] == {"customer": "customers.id"}
    loaded = warehouse(tmp_path, "SELECT id, amount::VARCHAR, day::VARCHAR, mixed FROM orders ORDER BY id")
    assert loaded == [(1, "1.5", "2024-01-01", "7"), (2, "2.0", "2024-01-02", "seven")]
    pratique(tmp_path, "lint", "--strict")
    pratique(tmp_path, "test")


def test_an_empty_table_keeps_what_the_database_says_of_it(postgres, tmp_path: Path) -> None:
    """Types, key and zone of a table without rows are declared, so that the first rows fit."""
    postgres.sql("CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, price numeric(9,2), ok boolean)")
    pratique(tmp_path, "init", with_password(postgres.url, "${SHOP_PASSWORD}"), "--name", "shop")
    schema = document(tmp_path / "schemas" / "t.yaml")
    assert schema["fields"] == {"id": "integer", "at": "datetime", "price": "decimal(9,2)", "ok": "boolean"}
    assert schema["timezone"] == "UTC"
    postgres.sql("INSERT INTO t VALUES (1, '2024-01-01 00:00+01', 1.25, true)")
    pratique(tmp_path, "run", "shop", "--strict")
    assert warehouse(tmp_path, "SELECT id, price::VARCHAR, ok FROM t") == [(1, "1.25", True)]
