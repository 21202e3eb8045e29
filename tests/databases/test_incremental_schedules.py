"""Incremental reads under random schedules of inserts, updates, ties and commits that come late: no row is missed.

`PRATIQUE_SCHEDULES` says how many schedules are played on each database; the nightly run plays 1,000.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import servers

from pratique.databases import Cursor, DatabaseInput, Lookback, Server
from pratique.model import Position
from pratique.schema import Field, FieldType, Schema
from pratique.secrets import remembered
from pratique.sources import ReadLimits
from pratique.sources.database.lines import values_of
from pratique.sources.database.source import DatabaseSource

SCHEDULES = int(os.environ.get("PRATIQUE_SCHEDULES", "25"))
BACK = 50  # units of the number, or seconds: how late a row may come
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Play:
    """One schedule: a table that others write while it is read again and again; `there` is what was read, by key."""

    sql: Callable[..., Any]
    connect: Callable[[], Any]
    source: DatabaseSource
    chance: random.Random
    moments: bool
    now: int = 1000
    position: Position = field(default_factory=Position)
    there: dict[int, tuple[str, str]] = field(default_factory=dict)
    truth: dict[int, int] = field(default_factory=dict)  # key -> its cursor
    late: list[tuple[int, int, Any]] = field(default_factory=list)  # open transactions: since when, which key

    def value(self, number: int) -> Any:
        """The cursor's value at a time."""
        moment = BEGIN + timedelta(seconds=number)
        return moment.strftime("%Y-%m-%d %H:%M:%S") if self.moments else number

    def step(self) -> None:
        """Somebody writes, a transaction ends, time goes on, or the table is read."""
        what = self.chance.choice(
            ["insert", "insert", "insert", "late", "update", "begin", "end", "time", "read", "read"]
        )
        if what == "insert":
            self.insert(self.now)
        elif what == "late":
            self.insert(self.now - self.chance.randrange(BACK))
        elif what == "update" and (seen := self.truth.keys() - {key for _, key, _ in self.late}):
            key = self.chance.choice(sorted(seen))
            at = max(self.truth[key], self.now - self.chance.randrange(BACK))
            self.truth[key] = at
            self.sql("UPDATE orders SET note = %s, at = %s WHERE id = %s", (f"u{self.now}", self.value(at), key))
        elif what == "begin" and len(self.late) < 3:
            self.begin()
        elif what == "end":
            self.end(self.chance.randrange(3))
        elif what == "time":
            self.now += self.chance.randrange(20)
            for begun, _, _ in [*self.late]:
                if self.now - begun >= BACK - 20:
                    self.end(0)
        elif what == "read":
            self.read()

    def insert(self, at: int) -> None:
        """A new row with this cursor, seen by everybody at once."""
        key = len(self.truth) + 1
        self.truth[key] = at
        self.sql("INSERT INTO orders VALUES (%s, %s, %s)", (key, f"n{self.now}", self.value(at)))

    def begin(self) -> None:
        """A new row with the cursor of now, which nobody sees before its transaction ends."""
        connection = self.connect()
        key = len(self.truth) + 1
        self.truth[key] = self.now
        row = (key, "late", self.value(self.now))
        connection.cursor().execute("INSERT INTO orders VALUES (%s, %s, %s)", row)
        self.late.append((self.now, key, connection))

    def end(self, number: int) -> None:
        """One of the open transactions ends."""
        if number < len(self.late):
            _, _, connection = self.late.pop(number)
            connection.commit()
            connection.close()

    def read(self) -> None:
        """Read what is new, as a run does, and take the position that is committed with it."""
        landed = self.source.land(self.position)
        assert not landed.held, landed.held
        for part in landed.parts:
            (file,) = part.files
            for line in file.path.read_text(encoding="utf-8").splitlines():
                row = dict(zip(part.form.columns, values_of(line), strict=True))
                self.there[int(row["id"])] = (row["note"], row["at"])
            known = (*self.position.known, file.version)
            self.position = Position(known, cursor=landed.cursor)

    def missed(self) -> int:
        """Let all transactions end, read once more, and count the rows that are not there as they are."""
        while self.late:
            self.end(0)
        self.read()
        rows = dict(self.sql("SELECT id, note FROM orders"))
        assert rows.keys() == self.truth.keys()
        return sum(self.there.get(key, ("", ""))[0] != note for key, note in rows.items())


def _postgres(server: servers.Server) -> tuple[Callable[[], Any], Server]:
    there = Server("postgres", "shop", "127.0.0.1", server.port, server.user, remembered(servers.PASSWORD), "postgres")
    return lambda: psycopg.connect(server.url("postgres"), password=servers.PASSWORD), there


def _mariadb(server: servers.Server) -> tuple[Callable[[], Any], Server]:
    to = {"host": "127.0.0.1", "port": server.port, "user": "owner", "password": servers.PASSWORD, "database": "test"}
    there = Server("mysql", "shop", "127.0.0.1", server.port, "owner", remembered(servers.PASSWORD), "test")
    return lambda: pymysql.connect(**to), there


KINDS = {"postgres": (_postgres, "timestamp"), "mysql": (_mariadb, "datetime(6)")}


def missed_rows(kind: str, server: servers.Server, folder: Path, schedules: int, *, protected: bool) -> int:
    """How many rows all schedules together miss."""
    schema = Schema("orders", 1, (Field("id", FieldType("integer")), Field("note"), Field("at")), primary_key=("id",))
    reach, moment = KINDS[kind]
    connect, there = reach(server)
    missed = 0
    with closing(connect()) as connection:

        def sql(text: str, values: Any = None) -> Any:
            cursor = connection.cursor()
            cursor.execute(text, values)
            connection.commit()
            return cursor.fetchall() if cursor.description else []

        for moments in (False, True):
            sql("DROP TABLE IF EXISTS orders")
            sql(f"CREATE TABLE orders (id int PRIMARY KEY, note text, at {moment if moments else 'bigint'})")
            lookback = Lookback(BACK, seconds=moments) if protected else None
            asked = DatabaseInput(there, "orders", cursor=Cursor("at", lookback=lookback))
            for seed in range(schedules // 2 + 1):
                sql("DELETE FROM orders")
                source = DatabaseSource("orders", schema, asked, "merge", ReadLimits(), folder)
                play = Play(sql, connect, source, random.Random(seed), moments=moments)  # noqa: S311 - a seeded schedule
                for _ in range(40):
                    play.step()
                missed += play.missed()
    return missed


@pytest.mark.parametrize("kind", KINDS)
def test_no_schedule_misses_a_row(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Ties, late rows and late commits within the look-back are read, updates too; the last state of each row counts."""
    server = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[kind])
    assert missed_rows(kind, server, tmp_path, SCHEDULES, protected=True) == 0


def test_without_a_look_back_rows_are_missed(postgres_server: servers.Server, tmp_path: Path) -> None:
    """The control: the same schedules lose rows where the protection is off, so that the rig would see a loss."""
    assert missed_rows("postgres", postgres_server, tmp_path, SCHEDULES, protected=False) > 0


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
def test_no_schedule_of_many_misses_a_row(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """1,000 schedules on each database."""
    server = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[kind])
    assert missed_rows(kind, server, tmp_path, max(SCHEDULES, 1000), protected=True) == 0
