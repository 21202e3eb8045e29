"""One server of each kind for all tests of this folder, and a project that reads from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import forked
import psycopg
import pymysql
import pytest
import servers

from pratique.cli.state import quarantine_of
from pratique.ingestion import run_pipeline
from pratique.project import Project


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Server]:
    """A PostgreSQL server."""
    with servers.postgres() as server:
        yield server


@dataclass
class Shop:
    """A project with one pipeline over a database, and the database itself under `sql`."""

    root: Path
    sql: Callable[..., list[Any]]
    url: str
    type: str
    options: str = ""

    def write(self, source: str, schema: str, write: str = "append", more: str = "") -> None:
        """Write the project: the source `orders`, its schema, the destination `orders` in a DuckDB file."""
        secret = "" if self.type == "sqlite" else ', password: "${SHOP_PASSWORD}"'
        texts = {
            "config/default.yaml": (
                f'connections:\n  shop: {{url: "{self.url}"{secret}{self.options}}}\n'
                "  lake: {url: duckdb://lake.duckdb}\n"
            ),
            "pipelines/shop.yaml": (
                f"sources:\n  orders: {{type: {self.type}, connection: shop, {source}, write: {write}}}\n"
                f"destination: {{connection: lake}}\n{more}"
            ),
            "schemas/orders.yaml": schema,
        }
        for name, text in texts.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)

    def run(self, code: int = 0, *, dry_run: bool = False) -> dict[str, Any]:
        """Run the pipeline in this process; its report as plain values. No byte of it is the password."""
        report = run_pipeline(Project(self.root, "dev"), "shop", dry_run=dry_run)
        plain: dict[str, Any] = json.loads(json.dumps(asdict(report)))
        assert servers.PASSWORD not in json.dumps(plain)
        assert report.exit_code == code, plain
        return plain

    def command(self, *words: str, code: int = 0) -> str:
        """Run the pipeline by the command line; every byte that is printed, of which none is the password."""
        done = forked.pratique("run", "shop", "--project", self.root, *words)
        assert done.returncode == code, done.stdout + done.stderr
        assert servers.PASSWORD not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def held(self) -> list[tuple[Any, ...]]:
        """What the quarantine holds, as `id` and `note`."""
        with quarantine_of(self.root, "dev") as (quarantine, _):
            return [(record["values"]["id"], record["values"]["note"]) for record in quarantine.records()]

    def rows(self, sql: str = "SELECT id, note FROM orders ORDER BY ALL") -> list[Any]:
        """What the destination holds."""
        with duckdb.connect(str(self.root / "lake.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def postgres(postgres_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A project over an empty database of its own in PostgreSQL."""
    monkeypatch.setenv("SHOP_PASSWORD", servers.PASSWORD)
    name = "t" + tmp_path.name.replace("-", "_").lower()[-50:]

    def admin(sql: str) -> None:
        with psycopg.connect(
            f"{postgres_server.url('postgres')}", password=servers.PASSWORD, autocommit=True
        ) as connection:
            connection.execute(sql)

    admin(f'CREATE DATABASE "{name}"')
    with psycopg.connect(postgres_server.url(name), password=servers.PASSWORD, autocommit=True) as connection:

        def sql(text: str, values: Any = None) -> list[Any]:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []

        yield Shop(tmp_path, sql, postgres_server.url(name), "postgres")
    admin(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[servers.Server]:
    """A MariaDB server."""
    with servers.mariadb() as server:
        yield server


@pytest.fixture
def mariadb(mariadb_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A project over an empty database of its own in MariaDB."""
    monkeypatch.setenv("SHOP_PASSWORD", servers.PASSWORD)
    name = "t" + tmp_path.name.replace("-", "_").lower()[-50:]
    to = {"host": "127.0.0.1", "port": mariadb_server.port, "user": "owner", "password": servers.PASSWORD}
    connection = pymysql.connect(**to, autocommit=True, charset="utf8mb4")

    def sql(text: str, values: Any = None) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall())

    sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    sql(f"USE {name}")
    yield Shop(tmp_path, sql, mariadb_server.url(name), "mysql")
    sql(f"DROP DATABASE {name}")
    connection.close()
