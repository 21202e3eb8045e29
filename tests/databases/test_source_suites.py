"""Every kind of database keeps every promise of a source, read whole and by a cursor."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import fault_proxy
import forked
import pytest

from pratique.testing import SourcePlace, SourceSuite
from pratique.testing.landing_suite import Record, texts

SECRET = "canary-suite-5e/1"  # noqa: S105 - the secret of a user that lives for one test
TABLE = "CREATE TABLE records (id bigint PRIMARY KEY, note text, amount decimal(18,4), at {moment})"
WHOLE: dict[str, Any] = {"table": "records"}
GROWING: dict[str, Any] = {**WHOLE, "cursor": {"field": "id"}}


def _inserted(sql, records: Sequence[Record], mark: str = "%s") -> None:
    for record in records:
        sql(f"INSERT INTO records VALUES ({', '.join([mark] * 4)})", tuple(texts(record).values()))


def _behind(proxy: fault_proxy.FaultProxy, shop, root: Path, asked: dict[str, Any], refuse) -> SourcePlace:
    url = f"{shop.type}://suite_reader@127.0.0.1:{proxy.port}/{shop.url.rpartition('/')[2]}"
    return SourcePlace(
        root / "project",
        {"type": shop.type, "connection": "shop", **asked},
        lambda records: _inserted(shop.sql, records),
        connections={"shop": {"url": url, "password": "${SUITE_PASSWORD}"}},
        secrets={"SUITE_PASSWORD": SECRET},
        limits=("columns_max", "unpacked_bytes_max"),
        attempts=lambda: proxy.connections,
        disturb=proxy.disturb,
        refuse=refuse,
        program=[forked.program()],
    )


@pytest.fixture(params=[WHOLE, GROWING], ids=["whole", "growing"])
def asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The whole table, or what is new by a cursor."""
    found: dict[str, Any] = request.param
    return found


class TestPostgres(SourceSuite):
    """PostgreSQL, seen by a user who may only read."""

    @pytest.fixture
    def place(self, postgres, asked, tmp_path: Path) -> Iterator[SourcePlace]:
        """A table behind a proxy."""
        sql = postgres.sql
        sql(TABLE.format(moment="timestamp"))
        sql(f"DROP ROLE IF EXISTS suite_reader; CREATE ROLE suite_reader LOGIN PASSWORD '{SECRET}'")
        sql("GRANT SELECT ON records TO suite_reader")
        port = int(postgres.url.rpartition("/")[0].rpartition(":")[2])
        with fault_proxy.before(port) as proxy:
            yield _behind(proxy, postgres, tmp_path, asked, lambda: sql("REVOKE SELECT ON records FROM suite_reader"))
        sql("DROP OWNED BY suite_reader; DROP ROLE suite_reader")


class TestMariaDB(SourceSuite):
    """MariaDB, seen by a user who may only read."""

    @pytest.fixture
    def place(self, mariadb, asked, tmp_path: Path) -> Iterator[SourcePlace]:
        """A table behind a proxy."""
        sql = mariadb.sql
        sql(TABLE.format(moment="datetime(6)"))
        sql(f"CREATE OR REPLACE USER suite_reader@'127.0.0.1' IDENTIFIED BY '{SECRET}'")
        sql("GRANT SELECT ON records TO suite_reader@'127.0.0.1'")
        port = int(mariadb.url.rpartition("/")[0].rpartition(":")[2])
        with fault_proxy.before(port) as proxy:
            yield _behind(
                proxy,
                mariadb,
                tmp_path,
                asked,
                lambda: sql("REVOKE SELECT ON records FROM suite_reader@'127.0.0.1'"),
            )


class TestSQLite(SourceSuite):
    """A SQLite file."""

    @pytest.fixture
    def place(self, asked, tmp_path: Path) -> Iterator[SourcePlace]:
        """A table; exact numbers are text there."""
        with closing(sqlite3.connect(tmp_path / "shop.sqlite", isolation_level=None)) as shop:
            shop.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, note TEXT, amount TEXT, at TEXT)")
            yield SourcePlace(
                tmp_path / "project",
                {"type": "sqlite", "connection": "shop", **asked},
                lambda records: _inserted(shop.execute, records, "?"),
                connections={"shop": {"url": f"sqlite://{tmp_path}/shop.sqlite"}},
                limits=("columns_max", "unpacked_bytes_max"),
                program=[forked.program()],
            )
